"""A table as an outlier detector sees it: what was never seen is strange, and no error."""

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
        codes: Its codes; what was never seen says nothing to the model.
        states: The states (rows, columns), columns standing as in the encoding; -1 where a cell was never seen: a
            category, a text beside numbers, a number where there are few, a gap where there was none.
        numbers: The numbers (rows,) that are points of a density, by column; NaN elsewhere.
    """

    codes: Codes
    states: States
    numbers: dict[str, npt.NDArray[np.float64]]


def read_cells(encoding: TableEncoding, table: pa.Table) -> Cells:
    """Return a table that has the columns learned.

    Raises:
        TableError: A column is of another type than that learned, or has an infinite number.
    """
    states = np.zeros((table.num_rows, len(encoding.columns)), np.int64)
    for place, (name, column) in enumerate(encoding.columns.items()):
        values = table.column(name)
        unseen = column.unseen(name, values)
        if unseen.any():
            values = pc.if_else(pa.array(~unseen), values, pa.scalar(None, values.type))
            table = table.set_column(table.column_names.index(name), name, values)
        states[:, place] = np.where(unseen, -1, column.encode(name, values))
    codes = _blanked(encoding, encoding.encode(table), states < 0)
    return Cells(codes, states, _numbers(encoding, table, states))


def _blanked(encoding: TableEncoding, codes: Codes, unseen: Mask) -> Codes:
    """The codes, unknown where a cell was never seen."""
    owners = np.array(encoding.layout.owners, int)
    width = encoding.layout.width
    digits = np.where(unseen[:, owners[:width]], np.int8(-1), codes.digits)
    values = np.where(unseen[:, owners[width:]], np.float32(np.nan), codes.values)
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
