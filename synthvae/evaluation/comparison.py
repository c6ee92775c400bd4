"""Tables prepared for comparison: the same columns in the same order, each numeric or categorical."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.errors import TableError, brief, listing
from synthvae.evaluation import preparation
from synthvae.evaluation.results import warn_deprecated
from synthvae.schema.column import Column
from synthvae.schema.problems import refuse_unknown
from synthvae.schema.repeated import repeated_subjects
from synthvae.schema.schema import Schema
from synthvae.tables import convert
from synthvae.tables.selection import without
from synthvae.tables.subjects import Units

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
        preparation.check_rows(read)
        refuse_unknown([] if target is None else [target], read["real"].column_names)
        if schema is not None:
            read = {role: without(table, schema.drop) for role, table in read.items()}
        given = preparation.completed(schema, read["real"])
        preparation.check_columns(read, given.names)
        notes: list[str] = []
        units = None if unit is None else preparation.units_of_rows(read, unit)
        if unit is not None and unit in given.names:
            columns = [c if c.name != unit else Column(name=unit, kind="id") for c in given.columns]
            given = given.model_copy(update={"columns": tuple(columns)})
        notes += [preparation.repeated_note(n) for n in repeated_subjects(given, read["real"], target) if n != unit]
        kinds = {c.name: c for c in given.columns if preparation.is_comparable(c, read, notes)}
        kinds = {name: preparation.with_one_reading(column, notes) for name, column in kinds.items()}
        kinds = preparation.with_classes(kinds, target, read["real"])
        extra = [name for name in read["synthetic"].column_names if name not in given.names]
        if extra:
            notes.append(f"Columns that only the synthetic table has were not compared: {listing(extra)}.")
        if not kinds:
            raise TableError("The tables must have a column in common. " + " ".join(notes))
        frames = preparation.aligned(list(read.values()), kinds, notes)
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
        return [name for name, column in self.kinds.items() if column.kind in preparation.NUMERIC_KINDS]

    @property
    def categorical(self) -> list[str]:
        """Names of the categorical columns."""
        return [name for name, column in self.kinds.items() if column.kind not in preparation.NUMERIC_KINDS]

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
