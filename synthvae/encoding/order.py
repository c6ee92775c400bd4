"""The order in which columns are modelled: columns with much mutual information follow one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import ndtri, xlogy

from synthvae.encoding.arrays import Counts, Floats, States
from synthvae.encoding.layout import Layout
from synthvae.encoding.protocol import ColumnEncoding
from synthvae.errors import ConfigurationError, listing


@dataclass(frozen=True)
class Leading:
    """An order of columns that some of them lead.

    Args:
        first: The columns that come first.
        rest: The order of the others: one of `ORDERS`, or the names of all columns, from which `first` are moved.

    Example:
        >>> Leading(("time", "none")).put_first(["age", "time", "sex"])
        ['time', 'age', 'sex']
    """

    first: tuple[str, ...]
    rest: str | Sequence[str] = "auto"

    def put_first(self, names: Sequence[str]) -> list[str]:
        """Return names with those that lead in front."""
        return [*(name for name in self.first if name in names), *(name for name in names if name not in self.first)]


Order = str | Sequence[str] | Leading
"""The order of columns: one of `ORDERS`, the names of all columns, or an order that some columns lead."""

ORDERS = ("auto", "information", "table")
SAMPLE_ROWS = 10_000  # rows from which mutual information is estimated
BLOCK = 1 << 19  # counts, or rows, of all columns that are counted at once
VALUED_SHARE = 2 / 3  # "auto": by information if so many columns are continuous; of others it was measured to harm


def order_columns(columns: Mapping[str, ColumnEncoding], table: pa.Table, order: str | Sequence[str]) -> list[str]:
    """Return the names of columns in the order in which they are modelled.

    Args:
        columns: Their encodings, in the order of the table.
        table: The training rows.
        order: "table", "information", "auto" (by information if most columns are continuous), or the names.

    Raises:
        ConfigurationError: `order` is none of these.
    """
    valued = sum(encoding.valued for encoding in columns.values())
    if order == "table" or (order == "auto" and valued < VALUED_SHARE * len(columns)):
        return list(columns)
    if isinstance(order, str) and order in ORDERS:
        rows = np.unique(np.linspace(0, table.num_rows - 1, SAMPLE_ROWS).astype(np.int64))
        sample = table.take(rows)
        return chain({name: _coarse(encoding, name, sample.column(name)) for name, encoding in columns.items()})
    return named_order(columns, order)


def named_order(columns: Collection[str], order: str | Sequence[str]) -> list[str]:
    """Return an order that names each column once.

    Raises:
        ConfigurationError: It does not.
    """
    if isinstance(order, str) or sorted(order) != sorted(columns):
        given = repr(order) if isinstance(order, str) else listing(order)
        raise ConfigurationError(
            f"`order` must be among {listing(ORDERS)}, or name each of the {len(columns)} columns other than a target "
            f"of classes once, got {given}."
        )
    return list(order)


def _coarse(encoding: ColumnEncoding, name: str, values: pa.ChunkedArray) -> States:
    """The coarsest digit (rows,) of a column, combined with the decile of its continuous value."""
    states = encoding.encode(name, values)
    layout = Layout.from_levels({name: encoding.levels}, {name: encoding.singles})
    digits = layout.split([states])
    coarse = digits[:, 0].astype(np.int64) + 1 if layout.width else np.zeros(len(states), np.int64)
    if not encoding.valued:
        return coarse
    decile = np.searchsorted(ndtri(np.arange(1, 10) / 10), encoding.scores(values, states, None))  # of NaN, the last
    return coarse * 10 + np.minimum(decile, 9)


def chain(columns: Mapping[str, States]) -> list[str]:
    """Return the columns in an order in which each has much mutual information with one before it.

    The first column has the largest sum of mutual information with all others. The next is always the one with the most
    information on any of those chosen: Prim's algorithm on the tree of largest mutual information (Chow and Liu 1968,
    https://doi.org/10.1109/TIT.1968.1054142).

    Args:
        columns: Coarse states (rows,) of each column, from 0 on.
    """
    names = list(columns)
    if len(names) < 3:
        return names
    shared = informations(list(columns.values()))
    # `scipy.sparse.csgraph.minimum_spanning_tree` returns the edges of the tree, but not the order in which Prim's
    # algorithm reaches its vertices, and treats an information of 0 as no edge.
    chosen = [int(shared.sum(1).argmax())]
    nearest = shared[chosen[0]].copy()
    while len(chosen) < len(names):
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.maximum(nearest, shared[chosen[-1]])
    return [names[i] for i in chosen]


def informations(columns: Sequence[States]) -> Floats:
    """Return the mutual information (columns, columns) of each pair in nats, less its bias on so many rows.

    The bias is that of Miller 1955; what is less than 0 is 0, and so is the diagonal. A column is counted against many
    others at once: a call for each pair takes 20 times as long where there are a thousand columns of few rows.

    Args:
        columns: States (rows,) of each column, from 0 on.
    """
    rows, shared = len(columns[0]), np.zeros((len(columns), len(columns)))
    dense = np.stack([np.unique(states, return_inverse=True)[1].astype(np.int64) for states in columns])
    sizes = dense.max(1) + 1
    logs = xlogy(np.arange(rows + 1), np.arange(rows + 1))
    entropies = np.array([logs[np.bincount(states)].sum() for states in dense])
    width = max(BLOCK // max(rows, int(sizes.max()) ** 2), 1)
    for i, states in enumerate(dense):
        for start in range(i + 1, len(columns), width):
            others = slice(start, start + width)
            joint, starts = _joint_counts(states, sizes[i], dense[others], sizes[others])
            plain = np.add.reduceat(logs[joint].sum(0), starts) - entropies[i] - entropies[others] + logs[rows]
            extra = np.add.reduceat((joint > 0).sum(0), starts) - sizes[i] - sizes[others] + 1
            shared[i, others] = shared[others, i] = np.maximum((plain - extra / 2) / rows, 0.0)
    return shared


def _joint_counts(states: States, size: int, others: States, sizes: Counts) -> tuple[Counts, Counts]:
    """The counts (size, sum of sizes) of states with those of other columns (columns, rows), and where each starts."""
    starts = np.cumsum(sizes) - sizes
    width = int(sizes.sum())
    joint = np.bincount((states * width + others + starts[:, None]).ravel(), minlength=size * width)
    return joint.reshape(size, width), starts
