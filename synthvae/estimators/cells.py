"""Codes of a table for outlier detection, in which unobserved values are improbable and not an error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.temporal import TemporalEncoding

Mask = npt.NDArray[np.bool_]
States = npt.NDArray[np.int64]


class Cells(NamedTuple):
    """A table in codes.

    Args:
        codes: Its codes; unobserved values are masked.
        states: The states (rows, columns) in the order of the encoding; -1 for values that did not occur in training: a
            category, a non-numeric value in a column of numbers, one of few numbers, a missing value.
        numbers: The numbers (rows,) by column that have a density; NaN elsewhere.
    """

    codes: Codes
    states: States
    numbers: dict[str, npt.NDArray[np.float64]]


def read_cells(encoding: TableEncoding, table: pa.Table) -> Cells:
    """Return the cells of a table that has the columns of the encoding.

    Raises:
        TableError: A column has another type than in training, or an infinite number.
    """
    states = np.zeros((table.num_rows, len(encoding.columns)), np.int64)
    for place, (name, column) in enumerate(encoding.columns.items()):
        values = table.column(name)
        unobserved = column.unseen(name, values)
        if unobserved.any():
            values = pc.if_else(pa.array(~unobserved), values, pa.scalar(None, values.type))
            table = table.set_column(table.column_names.index(name), name, values)
        states[:, place] = np.where(unobserved, -1, column.encode(name, values))
    codes = _masked(encoding, encoding.encode(table), states < 0)
    return Cells(codes, states, _numbers(encoding, table, states))


def without_unknown(encoding: TableEncoding, table: pa.Table, unknown: list[str]) -> Codes:
    """Return the codes of a table in which the unknown categories of some columns are masked as not observed."""
    masks = np.zeros((table.num_rows, len(encoding.columns)), bool)
    for name in unknown:
        values = table.column(name)
        mask = encoding.columns[name].unseen(name, values)
        masks[:, list(encoding.columns).index(name)] = mask
        known = pc.if_else(pa.array(~mask), values, pa.scalar(None, values.type))
        table = table.set_column(table.column_names.index(name), name, known)
    return _masked(encoding, encoding.encode(table), masks)


def _masked(encoding: TableEncoding, codes: Codes, unobserved: Mask) -> Codes:
    """The codes, masked where a cell is unobserved."""
    owners = np.array(encoding.layout.owners, int)
    width = encoding.layout.width
    digits = np.where(unobserved[:, owners[:width]], np.int8(-1), codes.digits)
    values = np.where(unobserved[:, owners[width:]], np.float32(np.nan), codes.values)
    return Codes(digits, values, codes.labels)


def _numbers(encoding: TableEncoding, table: pa.Table, states: States) -> dict[str, npt.NDArray[np.float64]]:
    found = {}
    for name in encoding.layout.valued_names:
        column, state = encoding.columns[name], states[:, encoding.layout.names.index(name)]
        steps = column.steps if isinstance(column, TemporalEncoding) else column
        assert isinstance(column, NumericEncoding | TemporalEncoding)
        assert isinstance(steps, NumericEncoding)
        found[name] = np.where(steps.is_free(state), column.numbers_of(table.column(name)), np.nan)
    return found
