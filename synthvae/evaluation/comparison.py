"""Real and synthetic rows side by side, as every metric sees them: a column is numbers, or it is categories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.errors import SynthvaeError, TableError, listing
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.schema import Schema
from synthvae.tables import convert
from synthvae.tables.arrow import are_classes, split_sentinels

LEAST_ROWS = 2
NUMBERS = ("integer", "continuous", *TEMPORAL)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The tables that are compared, with the same columns in the same order.

    A column of numbers (dates: days since 1970) is float64, NaN where it is missing or a mark; a column of categories
    is categorical, of the same categories in each table, missing where it is missing.

    Args:
        real: The rows that the generator learned (N, C).
        synthetic: The rows that it made (M, C).
        holdout: Real rows that it did not learn (H, C), if there are any.
        kinds: The schema's column behind each.
        target: The column that is to be predicted.
        notes: What of the tables could not be compared, and why.
    """

    real: pd.DataFrame
    synthetic: pd.DataFrame
    holdout: pd.DataFrame | None
    kinds: dict[str, Column]
    target: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        real: Any,
        synthetic: Any,
        *,
        holdout: Any = None,
        target: str | None = None,
        schema: Schema | None = None,
    ) -> Comparison:
        """Read tables (whatever `synthvae.tables.convert.read` takes) and bring them side by side.

        Columns that only one of them has, ids and free text are left out, with a note.

        Raises:
            TableError: A table has less than two rows, or they have no column in common.
        """
        read = {"real": convert.read(real), "synthetic": convert.read(synthetic)}
        if holdout is not None:
            read["holdout"] = convert.read(holdout)
        _check_rows(read)
        given = schema or _inferred(read["real"])
        _check_holdout(read, given.names)
        notes: list[str] = []
        kinds = {c.name: c for c in given.columns if _is_comparable(c, read, notes)}
        kinds = _with_classes(kinds, target, read["real"])
        extra = [name for name in read["synthetic"].column_names if name not in given.names]
        if extra:
            notes.append(f"Columns that only the synthetic table has were not looked at: {listing(extra)}.")
        if not kinds:
            raise TableError("tables must have a column in common, however, there is none: " + " ".join(notes))
        frames = _aligned(list(read.values()), kinds, notes)
        if target is not None and target not in kinds:
            notes.append(f"The target {target!r} is no column that can be compared: nothing was predicted.")
        found = dict(zip(read, frames, strict=True))
        return cls(
            found["real"],
            found["synthetic"],
            found.get("holdout"),
            kinds,
            target if target in kinds else None,
            tuple(notes),
        )

    @property
    def numeric(self) -> list[str]:
        """The columns of numbers."""
        return [name for name, column in self.kinds.items() if column.kind in NUMBERS]

    @property
    def categorical(self) -> list[str]:
        """The columns of categories."""
        return [name for name, column in self.kinds.items() if column.kind not in NUMBERS]

    @property
    def has_classes(self) -> bool:
        """Whether there is a target, and it is one of classes."""
        return self.target in self.categorical

    def against(self, other: pd.DataFrame, real: pd.DataFrame | None = None) -> Comparison:
        """Return the comparison with `other` rows in the place of the synthetic ones (and of the real ones)."""
        return replace(self, synthetic=other, real=self.real if real is None else real)


def independent(rows: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return `n` rows whose columns are drawn from those of `rows`, each by itself."""
    drawn = {name: rows[name].iloc[rng.integers(len(rows), size=n)].reset_index(drop=True) for name in rows}
    return pd.DataFrame(drawn)


def some(rows: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return at most so many of some rows, drawn without replacement; all of them in their order if there are fewer."""
    if len(rows) <= most:
        return rows
    return rows.iloc[rng.choice(len(rows), most, replace=False)].reset_index(drop=True)


def fresh(comparison: Comparison, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return real rows and fresh ones to compare with them: the holdout, or one half against the other."""
    if comparison.holdout is not None:
        return comparison.real, comparison.holdout
    return parts(comparison.real, 1 / 2, rng)


def parts(rows: pd.DataFrame, share: float, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a share of rows, drawn at random, and the others."""
    order = rng.permutation(len(rows))
    first = round(len(rows) * share)
    return rows.iloc[order[:first]].reset_index(drop=True), rows.iloc[order[first:]].reset_index(drop=True)


def codes(rows: pd.DataFrame) -> Matrix:
    """Return rows as numbers (rows, columns): categories by their place, NaN where a value is missing."""
    columns = [_codes(rows[name]) for name in rows]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def _codes(values: pd.Series[Any]) -> Matrix:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return np.asarray(values, np.float64)
    places = values.cat.codes.to_numpy(np.float64)
    return np.where(places < 0, np.nan, places)


def _check_rows(read: dict[str, pa.Table]) -> None:
    for name, table in read.items():
        if table.num_rows < LEAST_ROWS:
            raise TableError(
                f"an evaluation needs at least {LEAST_ROWS} rows of each table, however, the {name} one has "
                f"{table.num_rows}: give more"
            )


def _check_holdout(read: dict[str, pa.Table], names: list[str]) -> None:
    real = read["real"]
    known = read.get("holdout", real).column_names
    absent = [name for name in names if name in real.column_names and name not in known]
    if absent:
        raise TableError(
            f"a holdout must have the real table's columns, however, it lacks {listing(absent)}: hold out whole rows"
        )


def _inferred(real: pa.Table) -> Schema:
    """The schema of the columns of which one can be guessed."""
    columns: list[Column] = []
    for name in real.column_names:
        try:
            columns += Schema.infer(real.select([name])).columns
        except SynthvaeError:
            columns.append(Column(name=name, kind="id"))
    return Schema(columns=columns, inferred=True)


def _is_comparable(column: Column, read: dict[str, pa.Table], notes: list[str]) -> bool:
    absent = [name for name, table in read.items() if column.name not in table.column_names]
    if absent:
        notes.append(f"Column {column.name!r} is not in the {' and the '.join(absent)} table: it was left out.")
    elif column.kind == "id":
        notes.append(f"Column {column.name!r} holds ids or free text, which are not compared: it was left out.")
    return not absent and column.kind != "id"


def _with_classes(kinds: dict[str, Column], target: str | None, real: pa.Table) -> dict[str, Column]:
    """A target of few distinct integers is classes."""
    column = kinds.get(target or "")
    if column is None or column.kind != "integer" or not are_classes(real.column(column.name)):
        return kinds
    return {**kinds, column.name: Column(name=column.name, kind="categorical", nullable=column.nullable)}


def _aligned(read: list[pa.Table], kinds: dict[str, Column], notes: list[str]) -> list[pd.DataFrame]:
    columns: dict[str, list[pd.Series[Any]]] = {}
    for name, column in kinds.items():
        values = [table.column(name) for table in read]
        if column.kind in NUMBERS:
            known = [_unmarked(v, column) for v in values]
            columns[name] = [_numbers(v, column) for v in known]
            _note_retyped(name, len(known[1]) - known[1].null_count, columns[name][1], notes)
        else:
            columns[name] = _categories([_texts(v.to_pandas()) for v in values])
    return [pd.DataFrame({name: parts[place] for name, parts in columns.items()}) for place in range(len(read))]


def _unmarked(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Values without the marks among them; numbers as such where all of them are."""
    return values if column.kind in TEMPORAL else split_sentinels(values, column.sentinels)[0]


def _numbers(values: pa.ChunkedArray, column: Column) -> pd.Series[float]:
    if column.kind in TEMPORAL:
        moments = pd.to_datetime(values.to_pandas(), errors="coerce", utc=True)
        days: pd.Series[float] = (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        return days
    found: pd.Series[float] = pd.to_numeric(values.to_pandas().astype(object), errors="coerce").astype(np.float64)
    return found.where(np.isfinite(found))


def _note_retyped(name: str, before: int, after: pd.Series[float], notes: list[str]) -> None:
    lost = before - int(after.notna().sum())
    if lost:
        notes.append(
            f"Column {name!r} of the synthetic table has {lost} values that are no finite numbers or dates, as those "
            "of the real one are: they count as missing."
        )


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Values as text: 1, 1.0 and "1" are one category."""
    found = values.astype(object)
    kinds = {value: _text(value) for value in found.dropna().unique()}
    return found.map(kinds, na_action="ignore")


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _categories(columns: list[pd.Series[Any]]) -> list[pd.Series[Any]]:
    """Texts as categories of one list: those of the first by how often they occur, then those of the others."""
    known: Iterable[str] = columns[0].value_counts().index
    others = pd.concat(columns[1:]).dropna().unique()
    kinds = pd.CategoricalDtype(list(dict.fromkeys([*known, *others])))
    return [column.astype(kinds) for column in columns]
