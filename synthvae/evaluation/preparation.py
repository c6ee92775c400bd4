"""Columns of several tables brought to the same form: numbers, or categories that they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.problems import infer_supported
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import are_classes, are_sentinels, split_sentinels
from synthvae.tables.subjects import Units, units_of
from synthvae.tables.time_format import readings, to_timestamps

LEAST_ROWS = 2
LEAST_COLUMNS = 1 / 2  # share of the real columns that synthetic rows must have: tables with fewer are of other things
MOST_NAMED = 50  # columns that an error names
NUMERIC_KINDS = (*NUMERIC, *TEMPORAL)


def units_of_rows(read: dict[str, pa.Table], unit: str) -> Units:
    """Return the unit (N,) of each training row.

    Raises:
        TableError: The training rows have no such column, or the holdout has rows of the same units.
    """
    real, holdout = read["real"], read.get("holdout")
    if unit not in real.column_names:
        raise TableError(
            f"`unit` must be a column of the real table, got {unit!r}. Choose among {listing(real.column_names)}."
        )
    if holdout is not None and unit in holdout.column_names:
        seen = set(real.column(unit).unique().to_pylist()) - {None}
        both = len(seen & set(holdout.column(unit).unique().to_pylist()))
        if both:
            raise TableError(
                f"No unit of {unit!r} may have rows both in the real table and in the holdout, got {both:,} that do: "
                "what was memorised of them would be unknown. Split the table by unit."
            )
    return units_of(real.column(unit))


def repeated_note(name: str) -> str:
    """Return the note that a column has keys of subjects."""
    return (
        f"Column {name!r} seems to be the key of subjects with several rows, and rows were taken as independent. "
        "Name it as `unit` (--unit in the shell), so that the rows of a subject are on one side of every split."
    )


def with_one_reading(column: Column, notes: list[str]) -> Column:
    """Return a column with the first of its formats, if there are several."""
    ways = readings(column.format or "")
    if len(ways) == 1:
        return column
    notes.append(
        f"Column {column.name!r} can be read as {' or '.join(ways)}, and was read as {ways[0]}. "
        "Declare its `format`, or state it (`--date-format`, `--decimal`)."
    )
    return column.model_copy(update={"format": ways[0]})


def check_rows(read: dict[str, pa.Table]) -> None:
    """Refuse tables of too few rows to be compared.

    Raises:
        TableError: There is one.
    """
    for name, table in read.items():
        if table.num_rows < LEAST_ROWS:
            raise TableError(
                f"The {name} table must have at least {LEAST_ROWS} rows, got {table.num_rows}. Evaluate more rows."
            )


def check_columns(read: dict[str, pa.Table], names: list[str]) -> None:
    """Refuse a holdout that lacks a column of the real table, and synthetic rows that lack most of them.

    Raises:
        TableError: A table lacks them.
    """
    columns = [name for name in names if name in read["real"].column_names]
    lacking = {role: [name for name in columns if name not in table.column_names] for role, table in read.items()}
    if lacking.get("holdout"):
        raise TableError(
            f"The holdout must have the columns of the real table; it lacks {listing(lacking['holdout'])}. Withhold "
            "whole rows."
        )
    absent = lacking["synthetic"]
    if (1 - LEAST_COLUMNS) * len(columns) < len(absent) < len(columns):  # without any, notes name the columns
        raise TableError(
            f"The synthetic table must have at least half of the {len(columns)} columns of the real table, got "
            f"{len(columns) - len(absent)}; it lacks {listing(absent, MOST_NAMED)}. Pass the tables that belong "
            "together, or leave columns out (`--drop`; `drop` of a schema)."
        )


def completed(given: Schema | None, real: pa.Table) -> Schema:
    """Infer the columns that a schema does not name; columns of which none can be inferred become identifiers."""
    known = [] if given is None else given.names
    rest = [name for name in real.column_names if name not in known]
    if given is not None and not rest:
        return given
    inferred, problems = infer_supported(real.select(rest))
    unknown = [Column(name=name, kind="id") for name in problems]
    columns = {column.name: column for column in (*(given.columns if given else ()), *inferred, *unknown)}
    order = [
        *(name for name in real.column_names if name in columns),
        *(n for n in known if n not in real.column_names),
    ]
    rules = () if given is None else given.constraints
    return Schema(columns=[columns[name] for name in order], inferred=True, constraints=rules)


def is_comparable(column: Column, read: dict[str, pa.Table], notes: list[str]) -> bool:
    """Return whether a column can be compared; if not, a note says why."""
    absent = [name for name, table in read.items() if column.name not in table.column_names]
    if absent:
        notes.append(f"Column {column.name!r} is not in the {' and the '.join(absent)} table: it was not compared.")
    elif column.kind == "id":
        notes.append(f"Column {column.name!r} holds identifiers or free text: it was not compared.")
    elif column.kind == "fake":
        notes.append(f"Column {column.name!r} holds names or other data of people: it was not compared.")
    return not absent and column.kind not in {"id", "fake"}


def with_classes(kinds: dict[str, Column], target: str | None, real: pa.Table) -> dict[str, Column]:
    """Make a target of few distinct integers categorical."""
    column = kinds.get(target or "")
    if column is None or column.kind != "integer" or not are_classes(real.column(column.name)):
        return kinds
    return {**kinds, column.name: Column(name=column.name, kind="categorical", nullable=column.nullable)}


def aligned(read: list[pa.Table], kinds: dict[str, Column], notes: list[str]) -> list[pd.DataFrame]:
    """Return the tables with columns of the same types: numbers, or categories of all tables."""
    columns: dict[str, list[pd.Series[Any]]] = {}
    for name, column in kinds.items():
        values = [table.column(name) for table in read]
        if column.kind in NUMERIC_KINDS:
            known = [_without_sentinels(v, column) for v in values]
            columns[name] = [_numbers(v, column) for v in known]
            _note_retyped(name, len(known[1]) - known[1].null_count, columns[name][1], notes)
        else:
            columns[name] = _categories([_texts(v.to_pandas()) for v in values])
    return [pd.DataFrame({name: parts[place] for name, parts in columns.items()}) for place in range(len(read))]


def _without_sentinels(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Return values without sentinel values, as numbers where all others are."""
    if column.kind in TEMPORAL:
        known = are_sentinels(values, column.sentinels)
        return pc.if_else(known, pa.scalar(None, values.type), values) if column.sentinels else values
    return split_sentinels(values, column.sentinels, column.format)[0]


def _numbers(values: pa.ChunkedArray, column: Column) -> pd.Series[float]:
    if column.kind in TEMPORAL:
        known = values if column.format is None else to_timestamps(values, column.format)
        timestamps = pd.to_datetime(known.to_pandas(), errors="coerce", utc=True)
        days: pd.Series[float] = (timestamps - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        return days
    found: pd.Series[float] = pd.to_numeric(values.to_pandas().astype(object), errors="coerce").astype(np.float64)
    return found.where(np.isfinite(found))


def _note_retyped(name: str, before: int, after: pd.Series[float], notes: list[str]) -> None:
    lost = before - int(after.notna().sum())
    if lost:
        notes.append(
            f"Column {name!r} of the synthetic table has {lost} values that are not finite numbers or dates as in the "
            "real table: they are treated as missing."
        )


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Convert values to text, such that 1, 1.0 and "1" are the same category."""
    found = values.astype(object)
    kinds = {value: _text(value) for value in found.dropna().unique()}
    return found.map(kinds, na_action="ignore")


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _categories(columns: list[pd.Series[Any]]) -> list[pd.Series[Any]]:
    """Convert texts to shared categories: those of the first column by frequency, then those of the others."""
    known: Iterable[str] = columns[0].value_counts().index
    others = pd.concat(columns[1:]).dropna().unique()
    kinds = pd.CategoricalDtype(list(dict.fromkeys([*known, *others])))
    return [column.astype(kinds) for column in columns]
