"""Learning a table under a budget: what is bought, in which order, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from synthvae.descent import History, Progress, load
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import PrivacyError
from synthvae.model import CVAE, ModelConfig
from synthvae.privacy import estimates
from synthvae.privacy.dpsgd import MICRO_BATCH, PrivateDescent
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger, calibrated
from synthvae.privacy.plan import Plan
from synthvae.privacy.releases import Counts, Curator

Floats = npt.NDArray[np.float64]

CLASS_SHARE = 0.02  # of what tables cost, for the counts of the classes


@dataclass(frozen=True)
class Bought:
    """What is known of the rows, all of it noisy.

    Args:
        model: A decoder that draws rows like them; its z means nothing.
        totals: Rows of each class (C,), at least 1.
        states: For each column, the frequencies (C, levels) of its states within classes.
        ledger: What it cost.
        history: How training went.
    """

    model: CVAE
    totals: Floats
    states: dict[str, Floats]
    ledger: Ledger
    history: History


def learn(
    encoding: TableEncoding,
    codes: Codes,
    units: Counts | None,
    ledger: Ledger,
    *,
    plan: Plan,
    journal: Journal,
    progress: Progress | None = None,
) -> Bought:
    """Return what a budget buys of private rows, and what all cost.

    Part of it buys tables of each column within each class, from which a decoder starts and to which its marginals are
    matched in the end; the rest buys gradients.

    Raises:
        PrivacyError: The budget does not suffice, or delta is too large for so few rows.
    """
    layout = encoding.layout
    names = _modelled(encoding)
    curator = Curator(_cells(encoding, codes, names), codes.digits, codes.labels, units, ledger, journal=journal)
    totals, states = _buy_tables(curator, encoding, names, plan)
    model = _decoder(encoding, plan, journal.seed)
    if names:
        model.decoder.start_from(estimates.start(layout, states, totals))
    history = _descend(model, curator, int(totals.sum()), plan, progress=progress)
    bought = Bought(model, totals, states, curator.ledger, history)
    match(model, encoding, bought, journal.seed)
    return bought


def _decoder(encoding: TableEncoding, plan: Plan, seed: int) -> CVAE:
    """A small model to which z means nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = ModelConfig(width=plan.width, hidden=0, value_hidden=0, latent_dim=1)
        model = CVAE(encoding.layout.slots, encoding.conditions, config)
    with torch.no_grad():
        model.decoder.start.weight.zero_()
    return model


def _cells(encoding: TableEncoding, codes: Codes, names: list[str]) -> Counts:
    """The cells (rows, 1 + columns) of the tables: the class, then the state of each column within it."""
    layout = encoding.layout
    states = dict(zip(layout.names, layout.join(codes.digits), strict=True))
    levels = dict(zip(layout.names, layout.levels, strict=True))
    cells = [codes.labels, *(codes.labels * levels[name] + states[name] for name in names)]
    return np.stack(cells, 1).astype(np.int64)


def events(plan: Plan, ledger: Ledger, columns: int) -> tuple[Event, Event | None]:
    """What counts of classes and tables of columns cost: the plan's share of epsilon."""
    rows = float(ledger.budget.rows_of_one)

    def both(noise: float) -> list[Event]:
        share = CLASS_SHARE if columns else 1.0
        classes = Event(
            name="rows of each class",
            mechanism="discrete Gaussian",
            noise_multiplier=noise / share**0.5,
            sensitivity=rows,
            bought="shares of the classes",
        )
        tables = Event(
            name="one column within classes",
            mechanism="discrete Gaussian",
            noise_multiplier=noise * (max(columns, 1) / (1 - CLASS_SHARE)) ** 0.5,
            sensitivity=rows,
            times=max(columns, 1),
            bought="where the model starts, and the marginals it is matched to",
        )
        return [classes, tables] if columns else [classes]

    noise = calibrated(both, plan.tables_share * ledger.budget.epsilon, ledger.budget.delta)
    found = both(noise)
    return found[0], found[1] if columns else None


def _buy_tables(
    curator: Curator, encoding: TableEncoding, names: list[str], plan: Plan
) -> tuple[Floats, dict[str, Floats]]:
    conditions, layout = encoding.conditions, encoding.layout
    of_classes, of_tables = events(plan, curator.ledger, len(names))
    (counts,) = curator.counts(of_classes, slice(0, 1), [conditions])
    totals = np.maximum(counts, 1).astype(float)
    if curator.ledger.budget.delta >= 1 / totals.sum():
        raise PrivacyError(
            f"delta must be less than one over the number of rows (about {totals.sum():,.0f}), however, it is "
            f"{curator.ledger.budget.delta:g}: promise a smaller one"
        )
    if of_tables is None:
        return totals, {}
    levels = dict(zip(layout.names, layout.levels, strict=True))
    noisy = curator.counts(of_tables, slice(1, None), [conditions * levels[name] for name in names])
    tables = [table.reshape(conditions, -1).astype(float) for table in noisy]
    return totals, {name: estimates.frequencies(table, totals) for name, table in zip(names, tables, strict=True)}


def gradient_event(plan: Plan, ledger: Ledger, rows: int) -> Event:
    """What gradients may cost: all that is left."""
    settings, budget = plan.descent, ledger.budget

    def event(noise: float) -> Event:
        return Event(
            name="gradients",
            mechanism="Poisson-sampled Gaussian",
            noise_multiplier=noise,
            sensitivity=settings.clip,
            sampling_rate=min(settings.batch / rows, 1.0),
            times=settings.steps,
            bought="how columns depend on each other",
        )

    return event(calibrated(lambda noise: [*ledger.events, event(noise)], budget.epsilon, budget.delta))


def foresee(encoding: TableEncoding, ledger: Ledger, plan: Plan, rows: int) -> Ledger:
    """Return how the rest of a budget would be spent on about so many rows; none is looked at."""
    for event in events(plan, ledger, len(_modelled(encoding))):
        ledger = ledger if event is None else ledger.record(event)
    return ledger.record(gradient_event(plan, ledger, rows))


def _modelled(encoding: TableEncoding) -> list[str]:
    """The columns that have more than one state."""
    layout = encoding.layout
    return [name for name, digits in zip(layout.names, layout.digits, strict=True) if digits]


def _descend(model: CVAE, curator: Curator, rows: int, plan: Plan, *, progress: Progress | None) -> History:
    event = gradient_event(plan, curator.ledger, rows)
    batches = curator.batches(event, MICRO_BATCH)
    run = PrivateDescent(
        model,
        batches,
        event,
        plan.descent,
        rows=rows,
        rows_per_unit=curator.ledger.budget.rows_of_one,
        journal=curator.journal,
    )
    run.go(progress)
    load(run.parameters, run.average)
    model.eval()
    run.history.best_step = event.times
    return run.history


def match(model: CVAE, encoding: TableEncoding, bought: Bought, seed: int) -> None:
    """Move the model's marginals to those bought."""
    if not bought.states:
        return
    if model.told < model.conditions:  # all that such a decoder is told of the classes is z
        return
    frequencies = torch.from_numpy(estimates.of_digits(encoding.layout, bought.states)).float()
    labels = torch.from_numpy(np.repeat(np.arange(len(bought.totals)), bought.totals.astype(np.int64)))
    model.match_marginals(frequencies, labels, torch.Generator().manual_seed(seed))
