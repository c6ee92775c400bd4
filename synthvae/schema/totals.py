"""Totals: columns of a parent table that add up, count or bound the rows of one of its child tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import StrictStr

from synthvae.errors import TableError
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.constraints.comparable import frame_of, numbers
from synthvae.schema.constraints.computed import agree
from synthvae.schema.schema import Schema

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Function = Literal["sum", "count", "min", "max"]


class Total(NamedTuple):
    """A column of a parent table that follows from the rows of each parent in a child table.

    Args:
        table: The parent table.
        column: Its column.
        function: "sum", "min" or "max" of a column of the child table, or "count", the number of rows.
        child: The child table, whose rows belong to those of the parent table.
        of: The column of the child table; None for "count".

    Example:
        >>> print(Total("orders", "total", "sum", "items", "price"))
        orders.total = sum of items.price
    """

    table: StrictStr
    column: StrictStr
    function: Function
    child: StrictStr
    of: StrictStr | None = None

    def __str__(self) -> str:
        return f"{self.table}.{self.column} = {self.what}"

    @property
    def what(self) -> str:
        """What the column is, in words."""
        return f"{self.function} of {self.child}{'' if self.of is None else f'.{self.of}'}"


def values_of(total: Total, parents: Places, tables: Mapping[str, pa.Table], of: Column | None) -> Floats:
    """Return the totals (rows,) of all rows of the parent table; NaN: there is none.

    The sum of no value is 0; the smallest and the largest of no value are missing. Dates are microseconds.

    Args:
        total: The total.
        parents: The place (child rows,) of the parent of each row of the child table; negative without one.
        tables: The tables by name.
        of: What is known of the column of the child table; None for a count.

    Raises:
        TableError: Values have no numbers, or numbers beyond 2**53.
    """
    rows, linked = tables[total.table].num_rows, parents >= 0
    if of is None:
        return np.asarray(np.bincount(parents[linked], minlength=rows), np.float64)
    own = numbers_of(of, tables[total.child])
    known = linked & ~np.isnan(own)
    if total.function == "sum":
        return np.asarray(np.bincount(parents[known], weights=own[known], minlength=rows), np.float64)
    worst = np.inf if total.function == "min" else -np.inf
    found = np.full(rows, worst)
    (np.minimum if total.function == "min" else np.maximum).at(found, parents[known], own[known])
    return np.where(np.isinf(found), np.nan, found)


def numbers_of(column: Column, table: pa.Table) -> Floats:
    """Return the numbers (rows,) of a column of a table; NaN: missing. Dates are microseconds.

    Raises:
        TableError: They are none, or beyond 2**53.
    """
    if column.kind not in (*NUMERIC, *TEMPORAL):
        raise TableError(
            f"A total must be of numbers or dates, got {column.name!r} of kind {column.kind}. Declare its `kind`, or "
            "remove it from `totals`."
        )
    found = numbers(
        frame_of(table, Schema(columns=[column.model_dump(exclude_unset=True)]), [column.name])[column.name]
    )
    if found.dtype == object:
        raise TableError(
            f"A total must be of numbers within 2**53, beyond which doubles are not exact, got others in "
            f"{column.name!r}. Scale the column, or remove it from `totals`."
        )
    return np.asarray(found, np.float64)


def kept(stated: Floats, found: Floats, decimals: int | None) -> npt.NDArray[np.bool_]:
    """Return which rows (rows,) have their total: the same number, or none where there is none.

    Args:
        stated: The values of the column.
        found: The totals.
        decimals: The digits after the decimal point of the column; None: unknown.
    """
    return np.asarray(agree(stated, found, decimals) & (np.isnan(stated) == np.isnan(found)))
