"""Totals of linked tables: columns of a parent that are computed once the rows of its children are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Mask
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import PrivacyError, RequestError, SchemaError, TableError, brief, listing
from synthvae.relational.sequences import Places
from synthvae.schema import decisions
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.database import Database
from synthvae.schema.domain import arrow_type, decimals_of
from synthvae.schema.link_evidence import parent_rows
from synthvae.schema.totals import Total, kept, numbers_of, values_of

Tables = Mapping[str, pa.Table]


class FittedTotal(BaseModel):
    """How a total is computed and written.

    Args:
        total: The total.
        of: The column of the child table; None for a count.
        encoding: How a sum or a count is written; None for values of the child table.
        is_empty: Whether the sum of no value is missing; otherwise it is 0.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    total: Total
    of: Column | None
    encoding: ComputedEncoding | None
    is_empty: bool

    @classmethod
    def learn(cls, total: Total, database: Database, tables: Tables) -> FittedTotal:
        """Check a total in the training tables, and find how it is written.

        Raises:
            TableError: Rows have another value, or columns are absent or have no numbers.
            SchemaError: A total of dates is a sum, or columns have sentinel values.
        """
        own, of = _column(database, tables, total.table, total.column), None
        if total.of is not None:
            of = _column(database, tables, total.child, total.of)
        _refuse_kinds(total, own, of)
        parents = parent_rows(database.parents[total.child], tables)
        stated, found = numbers_of(own, tables[total.table]), values_of(total, parents, tables, of)
        empty = _without_values(total, parents, tables, of)
        is_empty = bool(total.function == "sum" and empty.any() and np.isnan(stated[empty]).all())
        found = np.where(empty & is_empty, np.nan, found)
        wrong = int((~kept(stated, found, decimals_of(own))).sum())
        if wrong:
            raise TableError(
                f"Column {total.column!r} must be the {total.what} in all rows, got {wrong:,} of {len(found):,} rows "
                "with another value. Correct these rows, or remove it from `totals`."
            )
        values = tables[total.table].column(total.column)
        encoding = None
        if total.function in {"sum", "count"}:
            encoding = ComputedEncoding.learn(own, values, (total.child,))
        return cls(total=total, of=of, encoding=encoding, is_empty=is_empty)

    @classmethod
    def declare(cls, total: Total, database: Database) -> FittedTotal:
        """Return a total of declared columns; whether the training tables have it is not checked.

        Raises:
            PrivacyError: A column cannot have the total of all rows.
            SchemaError: A total of dates is a sum, or columns have sentinel values.
        """
        own = Column(**database.schemas[total.table][total.column].model_dump(exclude_unset=True))
        of = None
        if total.of is not None:
            of = Column(**database.schemas[total.child][total.of].model_dump(exclude_unset=True))
        _refuse_kinds(total, own, of)
        _refuse_declared(total, own, of)
        is_added = total.function in {"sum", "count"}
        encoding = ComputedEncoding.declare(own, (total.child,)) if is_added else None
        return cls(total=total, of=of, encoding=encoding, is_empty=total.function == "sum" and own.nullable)

    def fill(self, database: Database, tables: Tables, kind: pa.DataType) -> pa.Array:
        """Return the values (rows,) of the column for drawn tables, as an Arrow array of type `kind`."""
        parents = parent_rows(database.parents[self.total.child], tables)
        found = values_of(self.total, parents, tables, self.of)
        if self.is_empty:
            found[_without_values(self.total, parents, tables, self.of)] = np.nan
        if self.encoding is not None:
            states = np.zeros(len(found), np.int64)
            return self.encoding.decode(CodedColumn(states, np.random.default_rng(0), numbers=found), kind)
        assert self.of is not None
        child = tables[self.total.child]
        own = numbers_of(self.of, child)
        places = np.full(len(found), -1)
        here = np.flatnonzero((parents >= 0) & (own == found[np.maximum(parents, 0)]))
        places[parents[here][::-1]] = here[::-1]  # the first one of equal ones
        values = child.column(self.of.name).combine_chunks()
        return values.take(pa.array(places, mask=places < 0)).cast(kind)


def learn_totals(database: Database, name: str, tables: Tables) -> tuple[FittedTotal, ...]:
    """Return the totals of a table.

    Raises:
        TableError: Rows have another value, or columns are absent or have no numbers.
        SchemaError: A total cannot be computed.
    """
    return tuple(FittedTotal.learn(total, database, tables) for total in database.totals if total.table == name)


def fill_totals(database: Database, fitted: Mapping[str, Sequence[FittedTotal]], tables: Tables) -> dict[str, pa.Table]:
    """Return tables with their totals, those of child tables first; a table whose child table is absent stays.

    Args:
        database: The keys.
        fitted: The totals by table, each table after its parent.
        tables: The tables by name, with all rows of each parent.
    """
    found = dict(tables)
    for name in reversed(list(fitted)):
        for one in fitted[name]:
            if name in found and one.total.child in found:
                place = found[name].column_names.index(one.total.column)
                field = found[name].schema.field(place)
                values = one.fill(database, found, field.type)
                found[name] = found[name].set_column(place, field.with_type(values.type), values)
    return found


def refuse_given(name: str, totals: Sequence[FittedTotal], rows: pa.Table) -> None:
    """Refuse given rows of a parent table that have a total, which other children than theirs would contradict.

    Raises:
        RequestError: A row has one.
    """
    for one in totals:
        column = one.total.column
        if known := rows.num_rows - rows.column(column).null_count:
            raise RequestError(
                f"Column {column!r} of given rows of {name!r} must be missing, since it is the {one.total.what}, whose "
                f"rows are drawn, got {known:,} of {rows.num_rows:,} rows with a value. Make it missing: it is filled "
                "in."
            )


def _refuse_kinds(total: Total, own: Column, of: Column | None) -> None:
    """Refuse a total of dates that is a sum, and sentinel values.

    Raises:
        SchemaError: There are any.
    """
    if total.function in {"sum", "count"} and {own.kind, of.kind if of else own.kind} & set(TEMPORAL):
        raise SchemaError(f"`totals` of dates must be a min or a max, got `{total}`. Remove it.")
    if own.sentinels:
        raise SchemaError(f"`totals` must be columns without sentinel values, got `{total}`. Make these missing.")


def _refuse_declared(total: Total, own: Column, of: Column | None) -> None:
    """Refuse declared columns that cannot have all totals, as a private fit finds none of it in the rows.

    Raises:
        PrivacyError: A column is not a number or a date, or cannot have what the other one has.
    """
    given = [own] if of is None else [own, of]
    if wrong := [column.name for column in given if column.kind not in (*NUMERIC, *TEMPORAL)]:
        raise PrivacyError(f"`totals` must be of numbers or dates, got `{total}` with {listing(wrong)}. Remove it.")
    digits = [math.inf if decimals_of(column) is None else float(decimals_of(column) or 0) for column in given]
    is_taken = total.function in {"min", "max"}
    if digits[0] < digits[-1] or (is_taken and arrow_type(given[0]) != arrow_type(given[-1])):
        raise PrivacyError(
            f"`totals` must be columns that can have all values of those of the child table, got `{total}` with "
            "another kind or fewer `decimals`. Declare both columns alike."
        )
    if is_taken and not own.nullable:
        raise PrivacyError(
            f"`totals` that are a min or a max are missing for a parent without rows, got `{total}`, whose column is "
            "not nullable. Declare `nullable: true`."
        )


def _column(database: Database, tables: Tables, name: str, column: str) -> Column:
    """What is known of a column of a table.

    Raises:
        TableError: The table has no such column.
    """
    table, given = tables[name], database.schemas.get(name)
    if column not in table.column_names:
        raise TableError(f"`totals` must be of columns of the tables, got none named {column!r} in {name!r}.")
    if given is not None and column in given.names:
        return Column(**given[column].model_dump(exclude_unset=True))
    return decisions.draft(None, table.select([column]))[column]


def _without_values(total: Total, parents: Places, tables: Tables, of: Column | None) -> Mask:
    """Which rows (rows,) of the parent table have no value to add up."""
    known = parents >= 0 if of is None else (parents >= 0) & ~np.isnan(numbers_of(of, tables[total.child]))
    return np.asarray(np.bincount(parents[known], minlength=tables[total.table].num_rows) == 0)
