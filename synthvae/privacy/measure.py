"""Learning a table under a budget: what is bought, in which order, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from synthvae.encoding import Codes, TableEncoding
from synthvae.model import CVAE, ModelConfig
from synthvae.privacy.allocation import Allocation
from synthvae.privacy.counts import marginals, postprocessing
from synthvae.privacy.counts.tree import CodedTree
from synthvae.privacy.curator import Counts, Curator, Tables
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.dpsgd.trainer import Descender, Spending
from synthvae.privacy.plan import Plan
from synthvae.training.history import History
from synthvae.training.loop import Progress

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bought:
    """What is known of the rows, all of it noisy.

    Args:
        source: What draws rows like them: a decoder whose z means nothing, or a tree.
        totals: Rows of each class (C,), at least 1.
        states: For each column, the frequencies (C, levels) of its states within classes.
        history: How training of a decoder went; None: there was none.
    """

    source: CVAE | CodedTree
    totals: Floats
    states: dict[str, Floats]
    history: History | None


def learn(
    encoding: TableEncoding,
    codes: Codes,
    units: Counts | None,
    curator: Curator,
    allocation: Allocation,
    *,
    plan: Plan,
    descender: Descender,
    progress: Progress | None = None,
) -> Bought:
    """Return what a budget buys of private rows.

    By the strategy "gradients" part of it buys tables of each column within each class, from which a decoder starts and
    to which its marginals are matched in the end, and the rest buys gradients, which a `descender` follows, here or
    elsewhere; by "tables" all of it buys tables.

    Raises:
        PrivacyError: A unit has more rows than the budget says.
    """
    names = modelled(encoding)
    states, levels = _states(encoding, codes, names)
    tables = Tables(curator, states, levels)
    (counts,) = tables.release(allocation.classes, [(0,)])
    totals = np.maximum(counts, 1).astype(float)
    if allocation.gradients is None:
        tree = marginals.grow(tables, names, totals, allocation)
        return Bought(CodedTree(tree, encoding.layout), totals, tree.singles, None)
    frequencies = _start(tables, names, totals, allocation)
    seed = curator.journal.seed
    model = _decoder(encoding, plan, seed)
    if names:
        model.decoder.start_from(postprocessing.start(encoding.layout, frequencies, totals))
    cap = curator.ledger.budget.rows_of_one
    rows = PrivateRows.of(codes.digits, codes.labels, units, cap)
    spending = Spending(curator.lend(allocation.gradients), plan.descent, allocation.rows, cap)
    history = descender(model, rows, spending, curator.journal, progress)
    bought = Bought(model, totals, frequencies, history)
    match(model, encoding, bought, seed)
    return bought


def _start(tables: Tables, names: list[str], totals: Floats, allocation: Allocation) -> dict[str, Floats]:
    """The frequencies of each column within classes."""
    if allocation.singles is None:
        return {}
    found = marginals.measured(tables, allocation.singles, [(0, place) for place in range(1, len(names) + 1)])
    return {name: postprocessing.frequencies(found[0, place][0], totals) for place, name in enumerate(names, start=1)}


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


def modelled(encoding: TableEncoding) -> list[str]:
    """The columns that have more than one state."""
    layout = encoding.layout
    return [name for name, digits in zip(layout.names, layout.digits, strict=True) if digits]


def match(model: CVAE, encoding: TableEncoding, bought: Bought, seed: int) -> None:
    """Move the model's marginals to those bought."""
    if not bought.states:
        return
    if model.network_conditions < model.conditions:  # such a decoder is conditional on z alone
        return
    frequencies = torch.from_numpy(postprocessing.of_digits(encoding.layout, bought.states)).float()
    labels = torch.from_numpy(np.repeat(np.arange(len(bought.totals)), bought.totals.astype(np.int64)))
    model.match_marginals(frequencies, labels, torch.Generator().manual_seed(seed))
