"""Real and synthetic rows side by side, as every metric sees them: a column is numbers, or it is categories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae import tables
from synthvae.errors import SynthvaeError, TableError, listing
from synthvae.schema import TEMPORAL, Column, Schema

LEAST_ROWS = 2
NUMBERS = ("integer", "continuous", *TEMPORAL)
FEW = 20  # distinct numbers of a target up to which it is classes

Frames = Sequence[pd.DataFrame]
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
        """Read tables (whatever `synthvae.tables.read` takes) and bring them side by side.

        Columns that only one of them has, ids and free text are left out, with a note.

        Raises:
            TableError: A table has less than two rows, or they have no column in common.
        """
        read = {"real": tables.read(real), "synthetic": tables.read(synthetic)}
        if holdout is not None:
            read["holdout"] = tables.read(holdout)
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


def codes(rows: pd.DataFrame) -> Matrix:
    """Return rows as numbers (rows, columns): categories by their place, NaN where a value is missing."""
    columns = [_codes(rows[name]) for name in rows]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def _codes(values: pd.Series[Any]) -> Matrix:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return np.asarray(values, np.float64)
    places = values.cat.codes.to_numpy(np.float64)
    return np.where(places < 0, np.nan, places)


def distances_ready(frames: Frames) -> list[npt.NDArray[np.float32]]:
    """Return rows as points (rows, dimensions), between which distances have a meaning.

    A number is scaled to the range of the first frame (missing: its median, and a one beside it where any is missing),
    a category is one of as many ones as there are categories, weighed so that two rows of different categories are as
    far apart as the ends of a number's range.
    """
    parts = [_points([frame[name] for frame in frames]) for name in frames[0]]
    return [np.hstack([part[place] for part in parts]) for place in range(len(frames))]


def _points(columns: Sequence[pd.Series[Any]]) -> list[npt.NDArray[np.float32]]:
    if isinstance(columns[0].dtype, pd.CategoricalDtype):
        kinds = np.arange(-1, len(columns[0].cat.categories))
        return [
            (c.cat.codes.to_numpy()[:, None] == kinds).astype(np.float32) / np.sqrt(2, dtype=np.float32)
            for c in columns
        ]
    first = columns[0].dropna()
    low, high, middle = (first.min(), first.max(), first.median()) if len(first) else (0.0, 1.0, 0.0)
    gaps = any(c.isna().any() for c in columns)
    scaled = [((c.fillna(middle) - low) / ((high - low) or 1)).to_numpy(np.float32)[:, None] for c in columns]
    if not gaps:
        return scaled
    return [np.hstack([s, c.isna().to_numpy(np.float32)[:, None]]) for s, c in zip(scaled, columns, strict=True)]


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
    if column is None or column.kind != "integer" or len(real.column(column.name).unique()) > FEW:
        return kinds
    return {**kinds, column.name: Column(name=column.name, kind="categorical", nullable=column.nullable)}


def _aligned(read: list[pa.Table], kinds: dict[str, Column], notes: list[str]) -> list[pd.DataFrame]:
    columns: dict[str, list[pd.Series[Any]]] = {}
    for name, column in kinds.items():
        values = [table.column(name).to_pandas() for table in read]
        if column.kind in NUMBERS:
            values = [_unmarked(v, column) for v in values]
            columns[name] = [_numbers(v, column) for v in values]
            _note_retyped(name, values[1], columns[name][1], notes)
        else:
            columns[name] = _categories([_texts(v) for v in values])
    return [pd.DataFrame({name: parts[place] for name, parts in columns.items()}) for place in range(len(read))]


def _numbers(values: pd.Series[Any], column: Column) -> pd.Series[float]:
    if column.kind in TEMPORAL:
        moments = pd.to_datetime(values, errors="coerce", utc=True)
        return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    found = pd.to_numeric(values.astype(object), errors="coerce").astype(np.float64)
    return found.where(np.isfinite(found))


def _unmarked(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Values without the marks among them, whether these are numbers or text."""
    if not column.marks:
        return values
    return values.astype(object).mask(_texts(values).isin([_text(mark) for mark in column.marks]))


def _note_retyped(name: str, before: pd.Series[Any], after: pd.Series[float], notes: list[str]) -> None:
    lost = int((before.notna() & after.isna()).sum())
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
