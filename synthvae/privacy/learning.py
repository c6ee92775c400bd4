"""Learning a table under a budget: what is bought, in which order, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from synthvae.descent import Progress
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import PrivacyError
from synthvae.history import History
from synthvae.model import CVAE, ModelConfig
from synthvae.privacy import estimates, tabling
from synthvae.privacy.dpsgd import Descender, Spending
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger, calibrated
from synthvae.privacy.plan import Plan
from synthvae.privacy.releases import Counts, Curator
from synthvae.privacy.trees import CodedTree

Floats = npt.NDArray[np.float64]

CLASS_SHARE = 0.01  # of the squared budget, for the counts of the classes


@dataclass(frozen=True)
class Bought:
    """What is known of the rows, all of it noisy.

    Args:
        source: What draws rows like them: a decoder whose z means nothing, or a tree.
        totals: Rows of each class (C,), at least 1.
        states: For each column, the frequencies (C, levels) of its states within classes.
        ledger: What it cost.
        history: How training of a decoder went; None: there was none.
    """

    source: CVAE | CodedTree
    totals: Floats
    states: dict[str, Floats]
    ledger: Ledger
    history: History | None


def learn(
    encoding: TableEncoding,
    codes: Codes,
    units: Counts | None,
    ledger: Ledger,
    *,
    plan: Plan,
    journal: Journal,
    descender: Descender,
    progress: Progress | None = None,
) -> Bought:
    """Return what a budget buys of private rows, and what all cost.

    By the strategy "gradients" part of it buys tables of each column within each class, from which a decoder starts and
    to which its marginals are matched in the end, and the rest buys gradients, which a `descender` follows, here or
    elsewhere; by "tables" all of it buys tables.

    Raises:
        PrivacyError: The budget does not suffice, or delta is too large for so few rows.
    """
    names = _modelled(encoding)
    states, levels = _states(encoding, codes, names)
    curator = Curator(states, levels, codes.digits, codes.labels, units, ledger=ledger, journal=journal)
    (counts,) = curator.counts(class_event(ledger, len(names)), [(0,)])
    totals = np.maximum(counts, 1).astype(float)
    _refuse_delta(ledger.budget.delta, totals.sum())
    if plan.strategy_for(ledger.budget, totals.sum(), len(names)) == "tables":
        tree = tabling.grow(curator, names, totals)
        return Bought(CodedTree(tree, encoding.layout), totals, tree.singles, curator.ledger, None)
    frequencies = _buy_tables(curator, names, totals, plan)
    model = _decoder(encoding, plan, journal.seed)
    if names:
        model.decoder.start_from(estimates.start(encoding.layout, frequencies, totals))
    rows = int(totals.sum())
    event = gradient_event(plan, curator.ledger, rows)
    spending = Spending(event, plan.descent, rows, ledger.budget.rows_of_one)
    history = descender(model, curator.sampled(event), spending, journal, progress)
    bought = Bought(model, totals, frequencies, curator.ledger, history)
    match(model, encoding, bought, journal.seed)
    return bought


def _refuse_delta(delta: float, rows: float) -> None:
    if delta >= 1 / rows:
        raise PrivacyError(
            f"delta must be less than one over the number of rows (about {rows:,.0f}), however, it is "
            f"{delta:g}: promise a smaller one"
        )


def _decoder(encoding: TableEncoding, plan: Plan, seed: int) -> CVAE:
    """A small model to which z means nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = ModelConfig(width=plan.width, hidden=0, value_hidden=0, latent_dim=1)
        model = CVAE(encoding.layout.slots, encoding.conditions, config)
    with torch.no_grad():
        model.decoder.start.weight.zero_()
    return model


def _states(encoding: TableEncoding, codes: Codes, names: list[str]) -> tuple[Counts, list[int]]:
    """The class and the states (rows, 1 + columns) of the rows, and how many levels each has."""
    layout = encoding.layout
    states = dict(zip(layout.names, layout.join(codes.digits), strict=True))
    levels = dict(zip(layout.names, layout.levels, strict=True))
    columns = [codes.labels, *(states[name] for name in names)]
    return np.stack(columns, 1).astype(np.int64), [encoding.conditions, *(levels[name] for name in names)]


def class_event(ledger: Ledger, columns: int) -> Event:
    """What counts of classes cost: a share of the squared budget, all of it where there is nothing else to learn."""
    share = CLASS_SHARE if columns else 1.0

    def event(noise: float) -> Event:
        return Event.of_counts("rows of each class", ledger.budget.rows_of_one, noise, bought="shares of the classes")

    budget = ledger.budget
    whole = calibrated(lambda noise: [*ledger.events, event(noise)], budget.epsilon, budget.delta)
    return event(whole / share**0.5)


def table_event(plan: Plan, ledger: Ledger, columns: int) -> Event:
    """What tables of columns cost: with all before them, the plan's share of epsilon."""

    def event(noise: float) -> Event:
        bought = "where the model starts, and the marginals it is matched to"
        return Event.of_counts(
            "one column within classes", ledger.budget.rows_of_one, noise, times=columns, bought=bought
        )

    classes, budget = ledger.events[-1], ledger.budget
    share = plan.tables_share * budget.epsilon
    return event(calibrated(lambda noise: [classes, event(noise)], share, budget.delta))


def _buy_tables(curator: Curator, names: list[str], totals: Floats, plan: Plan) -> dict[str, Floats]:
    if not names:
        return {}
    noisy = curator.counts(
        table_event(plan, curator.ledger, len(names)), [(0, place) for place in range(1, len(names) + 1)]
    )
    return {n: estimates.frequencies(table.astype(float), totals) for n, table in zip(names, noisy, strict=True)}


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
    """Return how the rest of a budget would be spent on about so many rows; none is looked at.

    Raises:
        PrivacyError: The budget does not suffice, or delta is too large for so few rows.
    """
    _refuse_delta(ledger.budget.delta, rows)
    columns = len(_modelled(encoding))
    ledger = ledger.record(class_event(ledger, columns))
    if plan.strategy_for(ledger.budget, rows, columns) == "tables":
        return tabling.foresee(ledger, columns, rows)
    ledger = ledger.record(table_event(plan, ledger, columns)) if columns else ledger
    return ledger.record(gradient_event(plan, ledger, rows))


def _modelled(encoding: TableEncoding) -> list[str]:
    """The columns that have more than one state."""
    layout = encoding.layout
    return [name for name, digits in zip(layout.names, layout.digits, strict=True) if digits]


def match(model: CVAE, encoding: TableEncoding, bought: Bought, seed: int) -> None:
    """Move the model's marginals to those bought."""
    if not bought.states:
        return
    if model.told < model.conditions:  # all that such a decoder is told of the classes is z
        return
    frequencies = torch.from_numpy(estimates.of_digits(encoding.layout, bought.states)).float()
    labels = torch.from_numpy(np.repeat(np.arange(len(bought.totals)), bought.totals.astype(np.int64)))
    model.match_marginals(frequencies, labels, torch.Generator().manual_seed(seed))
