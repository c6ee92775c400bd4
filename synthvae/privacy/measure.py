"""Measurement of coded private rows: tables and gradients are released, and a source of synthetic rows is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from synthvae.encoding import TableEncoding
from synthvae.errors import brief
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build
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
class Measurement:
    """What was released of the rows, all of it noisy.

    Args:
        source: Draws similar rows: a decoder that ignores z, or a tree.
        totals: Rows of each class (C,), at least 1.
        states: For each column, the frequencies (C, levels) of its states within classes.
        history: The history of a decoder's training; None: no decoder was trained.
    """

    __repr__ = brief

    source: CVAE | CodedTree
    totals: Floats
    states: dict[str, Floats]
    history: History | None


def measure(
    encoding: TableEncoding,
    rows: PrivateRows,
    curator: Curator,
    allocation: Allocation,
    *,
    plan: Plan,
    descender: Descender,
    progress: Progress | None = None,
) -> Measurement:
    """Release what the budget was allocated to.

    With the strategy "gradients", tables of each column within each class give a decoder its initial weights and its
    final marginals, and a `descender` trains it by DP-SGD, in this process or elsewhere. With "tables", tables of
    columns and of pairs of columns make a tree.
    """
    names = modelled(encoding)
    states, levels = _states(encoding, rows, names)
    tables = Tables(curator, states, levels)
    (counts,) = tables.release(allocation.classes, [(0,)])
    totals = np.maximum(counts, 1).astype(float)
    if allocation.gradients is None:
        tree = marginals.release_tree(tables, names, totals, allocation)
        return Measurement(CodedTree(tree, encoding.layout), totals, tree.singles, None)
    frequencies = _frequencies(tables, names, totals, allocation)
    seed = curator.journal.seed
    model = _decoder(encoding, plan, seed)
    if names:
        model.decoder.start_from(postprocessing.start(encoding.layout, frequencies, totals))
    spending = Spending(curator.lend(allocation.gradients), plan.descent, allocation.rows, rows.rows_per_unit)
    history = descender(model, rows, spending, curator.journal, progress)
    measurement = Measurement(model, totals, frequencies, history)
    match(model, encoding, measurement, seed)
    return measurement


def _frequencies(tables: Tables, names: list[str], totals: Floats, allocation: Allocation) -> dict[str, Floats]:
    """The frequencies of each column within classes."""
    if allocation.singles is None:
        return {}
    found = marginals.measured(tables, allocation.singles, [(0, place) for place in range(1, len(names) + 1)])
    return {name: postprocessing.frequencies(found[0, place][0], totals) for place, name in enumerate(names, start=1)}


def _decoder(encoding: TableEncoding, plan: Plan, seed: int) -> CVAE:
    """A small model that ignores z."""
    config = ModelConfig(width=plan.width, hidden=0, value_hidden=0, latent_dim=1)
    model = build(encoding.layout.slots, encoding.conditions, config, seed)
    with torch.no_grad():
        model.decoder.start.weight.zero_()
    return model


def _states(encoding: TableEncoding, rows: PrivateRows, names: list[str]) -> tuple[Counts, list[int]]:
    """The class and the states (rows, 1 + columns) of the rows, and the number of levels of each."""
    layout = encoding.layout
    states = dict(zip(layout.names, layout.join(rows.digits), strict=True))
    levels = dict(zip(layout.names, layout.levels, strict=True))
    columns = [rows.labels, *(states[name] for name in names)]
    return np.stack(columns, 1).astype(np.int64), [encoding.conditions, *(levels[name] for name in names)]


def modelled(encoding: TableEncoding) -> list[str]:
    """Return the columns that have more than one state."""
    layout = encoding.layout
    return [name for name, digits in zip(layout.names, layout.digits, strict=True) if digits]


def match(model: CVAE, encoding: TableEncoding, measurement: Measurement, seed: int) -> None:
    """Adjust the model's marginals to the measured ones; this is post-processing."""
    if not measurement.states:
        return
    if model.network_conditions < model.conditions:  # the decoder depends on the class through z only
        return
    frequencies = torch.from_numpy(postprocessing.of_digits(encoding.layout, measurement.states)).float()
    labels = torch.from_numpy(np.repeat(np.arange(len(measurement.totals)), measurement.totals.astype(np.int64)))
    model.match_marginals(frequencies, labels, torch.Generator().manual_seed(seed))
