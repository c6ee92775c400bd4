"""Tables prepared for comparison: the same columns in the same order, each numeric or categorical."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, brief, listing
from synthvae.evaluation.results import warn_deprecated
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.problems import infer_supported, refuse_unknown
from synthvae.schema.repeated import repeated_subjects
from synthvae.schema.schema import Schema
from synthvae.tables import convert
from synthvae.tables.arrow import are_classes, are_sentinels, split_sentinels
from synthvae.tables.selection import without
from synthvae.tables.subjects import Units, units_of
from synthvae.tables.time_format import readings, to_timestamps

LEAST_ROWS = 2
LEAST_COLUMNS = 1 / 2  # share of the real columns that synthetic rows must have: tables with fewer are of other things
MOST_NAMED = 50  # columns that an error names
NUMERIC_KINDS = (*NUMERIC, *TEMPORAL)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Tables with the same columns in the same order.

    Numeric columns are float64 (dates: days since 1970), NaN for missing and sentinel values. Categorical columns have
    the same categories in every table.

    Args:
        real: Training rows (N, C).
        synthetic: Synthetic rows (M, C).
        holdout: Real rows that were not used for training (H, C); None: there are none.
        kinds: Schema column by name.
        target: The column to be predicted.
        notes: What of the tables could not be compared, and why.
        units: The unit (N,) of each training row, such as a patient, whose rows are on one side of every split. None:
            each row is a unit.
        schema: The schema of the training rows, with the columns that are not compared.
    """

    __repr__ = brief

    real: pd.DataFrame
    synthetic: pd.DataFrame
    holdout: pd.DataFrame | None
    kinds: dict[str, Column]
    target: str | None = None
    notes: tuple[str, ...] = ()
    units: Units | None = None
    schema: Schema | None = None

    @classmethod
    def from_tables(
        cls,
        real: Any,
        synthetic: Any,
        *,
        holdout: Any = None,
        target: str | None = None,
        schema: Schema | None = None,
        unit: str | None = None,
    ) -> Comparison:
        """Read and prepare tables.

        Columns that are missing from a table, identifiers and free text are left out, with a note.

        Args:
            real: Training rows: anything that `synthvae.tables.convert.read` accepts.
            synthetic: Synthetic rows.
            holdout: Real rows that were not used for training.
            target: The column to be predicted.
            schema: Schema of the training rows, which may be partial; None: it is inferred.
            unit: The column that identifies units, such as patients. It is not compared. None: each row is a unit.

        Raises:
            TableError: A table has less than two rows, the synthetic rows have less than half of the columns, the
                target is not a column that can be compared, or a unit has rows among the training rows and in the
                holdout.

        Example:
            >>> import pandas as pd
            >>> rows = pd.DataFrame({"age": [30, 41, 58], "sex": ["f", "m", "f"]})
            >>> Comparison.from_tables(rows, rows).numeric
            ['age']
        """
        read = {"real": convert.read(real), "synthetic": convert.read(synthetic)}
        if holdout is not None:
            read["holdout"] = convert.read(holdout)
        _check_rows(read)
        refuse_unknown([] if target is None else [target], read["real"].column_names)
        if schema is not None:
            read = {role: without(table, schema.drop) for role, table in read.items()}
        given = _completed(schema, read["real"])
        _check_columns(read, given.names)
        notes: list[str] = []
        units = None if unit is None else _units(read, unit)
        if unit is not None and unit in given.names:
            columns = [c if c.name != unit else Column(name=unit, kind="id") for c in given.columns]
            given = given.model_copy(update={"columns": tuple(columns)})
        notes += [_repeated_note(n) for n in repeated_subjects(given, read["real"], target) if n != unit]
        kinds = {c.name: c for c in given.columns if _is_comparable(c, read, notes)}
        kinds = {name: _with_one_reading(column, notes) for name, column in kinds.items()}
        kinds = _with_classes(kinds, target, read["real"])
        extra = [name for name in read["synthetic"].column_names if name not in given.names]
        if extra:
            notes.append(f"Columns that only the synthetic table has were not compared: {listing(extra)}.")
        if not kinds:
            raise TableError("The tables must have a column in common. " + " ".join(notes))
        frames = _aligned(list(read.values()), kinds, notes)
        if target is not None and target not in kinds:
            raise TableError(
                f"The target must be a column that can be compared, got {target!r}. "
                f"{' '.join(note for note in notes if repr(target) in note)} Choose among {listing(kinds)}."
            )
        found = dict(zip(read, frames, strict=True))
        return cls(
            found["real"],
            found["synthetic"],
            found.get("holdout"),
            kinds,
            target,
            tuple(notes),
            units,
            given,
        )

    @classmethod
    def of(cls, *tables: Any, **options: Any) -> Comparison:
        """Return `from_tables(...)`. Deprecated: to be removed in the next release."""
        warn_deprecated("of", "from_tables")
        return cls.from_tables(*tables, **options)

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric columns."""
        return [name for name, column in self.kinds.items() if column.kind in NUMERIC_KINDS]

    @property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [name for name, column in self.kinds.items() if column.kind not in NUMERIC_KINDS]

    @property
    def has_classes(self) -> bool:
        """Whether the target is categorical."""
        return self.target in self.categorical

    def against(self, other: pd.DataFrame, real: pd.DataFrame | None = None) -> Comparison:
        """Return a comparison with `other` in place of the synthetic rows, and `real` in place of the training rows."""
        return replace(self, synthetic=other, real=self.real if real is None else real)

    def split(self, share: float, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split the training rows at random, about a share of them and the rest; rows of a unit stay together."""
        return split_rows(self.real, share, rng, self.units)


def shuffle_columns(rows: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return `n` rows whose values are drawn from each column of `rows` independently."""
    drawn = {name: rows[name].iloc[rng.integers(len(rows), size=n)].reset_index(drop=True) for name in rows}
    return pd.DataFrame(drawn)


def subsample(rows: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return `most` rows drawn without replacement, or all rows in their order if there are fewer."""
    if len(rows) <= most:
        return rows
    return rows.iloc[rng.choice(len(rows), most, replace=False)].reset_index(drop=True)


def real_reference(comparison: Comparison, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two samples of real rows: training rows and holdout, or the halves of the training rows."""
    if comparison.holdout is not None:
        return comparison.real, comparison.holdout
    return comparison.split(1 / 2, rng)


def split_rows(
    rows: pd.DataFrame, share: float, rng: np.random.Generator, units: Units | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows at random: a share of them, and the rest; rows of a unit (rows,) stay together."""
    if units is not None:
        members = rng.permutation(np.unique(units))
        held = np.isin(units, members[: round(len(members) * share)])
        return rows[held].reset_index(drop=True), rows[~held].reset_index(drop=True)
    order = rng.permutation(len(rows))
    first = round(len(rows) * share)
    return rows.iloc[order[:first]].reset_index(drop=True), rows.iloc[order[first:]].reset_index(drop=True)


def codes(rows: pd.DataFrame) -> Matrix:
    """Return rows as numbers (N, C): the codes of categories, NaN for missing values."""
    columns = [_codes(rows[name]) for name in rows]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def _codes(values: pd.Series[Any]) -> Matrix:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return np.asarray(values, np.float64)
    places = values.cat.codes.to_numpy(np.float64)
    return np.where(places < 0, np.nan, places)


def _units(read: dict[str, pa.Table], unit: str) -> Units:
    """The unit (N,) of each training row.

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


def _repeated_note(name: str) -> str:
    return (
        f"Column {name!r} seems to be the key of subjects with several rows, and rows were taken as independent. "
        "Name it as `unit` (--unit in the shell), so that the rows of a subject are on one side of every split."
    )


def _with_one_reading(column: Column, notes: list[str]) -> Column:
    """A column with the first of its formats, if there are several."""
    ways = readings(column.format or "")
    if len(ways) == 1:
        return column
    notes.append(
        f"Column {column.name!r} can be read as {' or '.join(ways)}, and was read as {ways[0]}. "
        "Declare its `format`, or state it (`--date-format`, `--decimal`)."
    )
    return column.model_copy(update={"format": ways[0]})


def _check_rows(read: dict[str, pa.Table]) -> None:
    for name, table in read.items():
        if table.num_rows < LEAST_ROWS:
            raise TableError(
                f"The {name} table must have at least {LEAST_ROWS} rows, got {table.num_rows}. Evaluate more rows."
            )


def _check_columns(read: dict[str, pa.Table], names: list[str]) -> None:
    """Refuse a holdout that lacks a column of the real table, and synthetic rows that lack most of them."""
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


def _completed(given: Schema | None, real: pa.Table) -> Schema:
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


def _is_comparable(column: Column, read: dict[str, pa.Table], notes: list[str]) -> bool:
    absent = [name for name, table in read.items() if column.name not in table.column_names]
    if absent:
        notes.append(f"Column {column.name!r} is not in the {' and the '.join(absent)} table: it was not compared.")
    elif column.kind == "id":
        notes.append(f"Column {column.name!r} holds identifiers or free text: it was not compared.")
    elif column.kind == "fake":
        notes.append(f"Column {column.name!r} holds names or other data of people: it was not compared.")
    return not absent and column.kind not in {"id", "fake"}


def _with_classes(kinds: dict[str, Column], target: str | None, real: pa.Table) -> dict[str, Column]:
    """Make a target of few distinct integers categorical."""
    column = kinds.get(target or "")
    if column is None or column.kind != "integer" or not are_classes(real.column(column.name)):
        return kinds
    return {**kinds, column.name: Column(name=column.name, kind="categorical", nullable=column.nullable)}


def _aligned(read: list[pa.Table], kinds: dict[str, Column], notes: list[str]) -> list[pd.DataFrame]:
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
