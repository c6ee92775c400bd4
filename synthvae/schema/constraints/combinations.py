"""Rules on the values of several columns together: `FixedCombinations`, `OneHot` and `Unique`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, model_validator

from synthvae.errors import TableError, listing, warn_user
from synthvae.schema.column import Kind, Value
from synthvae.schema.constraints.comparable import (
    BoolArray,
    Columns,
    codes,
    label,
    labelled,
    labels,
    refuse_absent,
    truths,
)
from synthvae.schema.constraints.rule import Constraint, Names, check_names, unfit
from synthvae.schema.values import plain_items
from synthvae.tables.subjects import Units

MAX_COMBINATIONS = 200_000
DISCRETE: tuple[Kind, ...] = ("categorical", "integer", "boolean")

Combinations = Annotated[
    tuple[tuple[Value, ...], ...],
    BeforeValidator(lambda rows: tuple(map(plain_items, rows)) if isinstance(rows, (list, tuple)) else rows),
]


class FixedCombinations(Constraint):
    """Only some combinations of values occur: those declared, or else those of the training table.

    Rows with a missing value in one of the columns keep the rule. 1, 1.0 and "1" are the same value.

    Args:
        columns: Two or more columns of categories, booleans or whole numbers.
        combinations: The allowed combinations, one value for each column. None: those of the training table, which
            `learned` fills in; until then every row keeps the rule. A private fit needs them.
        kind: Always "fixed_combinations"; it need not be given.

    Raises:
        SchemaError: There are fewer than two columns, or a combination has another number of values.

    Example:
        >>> import pandas as pd
        >>> rule = FixedCombinations(columns=["ward", "department"], combinations=[["A1", "surgery"]])
        >>> rule.holds(pd.DataFrame({"ward": ["A1", "A1"], "department": ["surgery", "x"]})).tolist()
        [True, False]
    """

    kind: Literal["fixed_combinations"] = "fixed_combinations"
    columns: Names
    combinations: Combinations | None = None

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names(self.columns, 2)
        if self.combinations is None:
            return self
        if not 0 < len(self.combinations) <= MAX_COMBINATIONS:
            raise ValueError(f"`combinations` must be 1 to {MAX_COMBINATIONS:,}, got {len(self.combinations):,}.")
        if wrong := [one for one in self.combinations if len(one) != len(self.columns)]:
            raise ValueError(
                f"`combinations` must have {len(self.columns)} values each, one for each column, got "
                f"{listing(wrong[0])}. Correct it."
            )
        return self

    def describe(self) -> str:
        """Return the columns."""
        return f"fixed combinations of {', '.join(self.columns)}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The columns."""
        return self.columns

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns of fractions, dates or ids, and combinations with unknown categories."""
        problems = unfit(self, columns, self.columns, DISCRETE, "categories, booleans or whole numbers")
        for place, name in enumerate(self.columns):
            column = columns[name] if name in columns.names else None
            if problems or column is None or column.categories is None or self.combinations is None:
                continue
            allowed = {label(value) for value in column.categories}
            unknown = {value for one in self.combinations if label(value := one[place]) not in allowed}
            if unknown:
                problems.append(
                    f"The rule `{self}` must combine categories of {name!r}, got {listing(sorted(unknown, key=str), 4)}"
                    ". Add them to `categories`, or correct them."
                )
        return problems

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return which rows (n,) have an allowed combination; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.columns)
        if self.combinations is None:
            return np.ones(len(frame), bool)
        allowed, rows = np.zeros(len(self.combinations), np.int64), np.zeros(len(frame), np.int64)
        for name, values in zip(self.columns, zip(*self.combinations, strict=True), strict=True):
            texts = [label(value) for value in values]
            known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
            places, own = labelled(frame[name])
            numbers = np.array([*(known.get(text, len(known)) for text in own), -1])[places]
            missing = (rows < 0) | (numbers < 0)
            wanted = rows * (len(known) + 1) + numbers
            starts = allowed * (len(known) + 1) + np.array([known[text] for text in texts])
            begun, allowed = np.unique(starts, return_inverse=True)  # the beginnings of combinations
            rows = np.searchsorted(begun, wanted).clip(max=len(begun) - 1)
            rows = np.where(missing, -1, np.where(begun[rows] == wanted, rows, len(begun)))
        return np.asarray(rows < len(begun))

    def learned(self, frame: pd.DataFrame) -> Self:
        """Return the rule with the combinations of the training table, unless it declares some.

        Args:
            frame: The training table.
        """
        if self.combinations is not None:
            return self
        refuse_absent(frame, self.columns)
        rows = pd.DataFrame({name: labels(frame[name]) for name in self.columns}).dropna().drop_duplicates()
        found = tuple(rows.head(MAX_COMBINATIONS).itertuples(index=False, name=None))
        return type(self)(columns=self.columns, combinations=found) if found else self

    def frequent(self, frame: pd.DataFrame, protected: pd.DataFrame, least: int, units: Units | None) -> Self:
        """Return the rule with those combinations of a training table that at least `least` subjects have.

        Args:
            frame: The training table.
            protected: The same without rare values, whose combinations go without a warning.
            least: The smallest number of subjects.
            units: The unit (rows,) of each row; None: each row is a subject.

        Raises:
            TableError: There is none.
        """
        rows = pd.DataFrame({name: labels(frame[name]) for name in self.columns})
        for name in self.columns:
            rows[name] = rows[name].where(rows[name].isin(labels(protected[name])))
        rows = rows.assign(unit=range(len(rows)) if units is None else units).dropna()
        counts = rows.groupby(list(self.columns), sort=False)["unit"].nunique()
        found = tuple(counts.index[counts >= least])
        if not found:
            raise TableError(
                f"The rule `{self}` must have a combination of at least {least} subjects, got none. Declare its "
                "`combinations`, remove the rule, or pass a smaller `protect` (0: none)."
            )
        if len(found) < len(counts):
            warn_user(
                f"rule `{self}`: {len(counts) - len(found)} of {len(counts)} combinations have fewer than {least} "
                "subjects, and no synthetic row has them. Declare `combinations` if they are public, or pass a smaller "
                "`protect` (0: none)."
            )
        return type(self)(columns=self.columns, combinations=found)


class OneHot(Constraint):
    """Exactly one of several flags is true (or 1), all others are false (or 0).

    A row with a missing flag breaks the rule only if two others are true.

    Args:
        columns: Two or more columns of booleans, or of 0 and 1.
        kind: Always "one_hot"; it need not be given.

    Raises:
        SchemaError: There are fewer than two columns, or one is named twice.

    Example:
        >>> import pandas as pd
        >>> OneHot(columns=["red", "blue"]).holds(pd.DataFrame({"red": [1, 1, 0], "blue": [0, 1, 0]})).tolist()
        [True, False, False]
    """

    kind: Literal["one_hot"] = "one_hot"
    columns: Names

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names(self.columns, 2)
        return self

    def describe(self) -> str:
        """Return the flags."""
        return f"exactly one of {', '.join(self.columns)}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The flags."""
        return self.columns

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns that are no flags: of another kind, or with declared values beside 0 and 1."""
        problems = unfit(self, columns, self.columns, DISCRETE, "booleans, or 0 and 1")
        known = [columns[name] for name in self.columns if name in columns.names]
        wrong = [column.name for column in known if not _may_be_flag(column)]
        if wrong and not problems:
            problems.append(
                f"The rule `{self}` needs booleans, or 0 and 1, got other values of {listing(wrong)}. Correct the "
                "`bounds` or `categories`, or remove the rule."
            )
        return problems

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) exactly one flag is true; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.columns)
        flags = np.column_stack([truths(frame[name]) for name in self.columns])
        count, unknown = (flags == 1).sum(axis=1), np.isnan(flags).any(axis=1)
        return np.asarray(((count == 1) | (unknown & (count == 0))) & ~(flags == -1).any(axis=1))


class Unique(Constraint):
    """No two rows have the same values in these columns; of those that have, all but the first break the rule.

    Args:
        columns: One or more columns that together are a key.
        kind: Always "unique"; it need not be given.

    Raises:
        SchemaError: There is no column, or one is named twice.

    Example:
        >>> import pandas as pd
        >>> Unique(columns=["patient", "visit"]).holds(pd.DataFrame({"patient": [1, 1], "visit": [1, 1]})).tolist()
        [True, False]
    """

    kind: Literal["unique"] = "unique"
    columns: Names

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names(self.columns, 1)
        return self

    def describe(self) -> str:
        """Return the key."""
        return f"distinct rows of {', '.join(self.columns)}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The key."""
        return self.columns

    def check(self, columns: Columns) -> list[str]:
        """Refuse fake values, which have a field of their own for this."""
        kinds = set(get_args(Kind)) - {"fake"}
        return unfit(self, columns, self.columns, kinds, "values that are learned (fake ones have `unique: true`)")

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return which rows (n,) repeat no row above them; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.columns)
        found = pd.Series(codes(frame, self.columns))
        return np.asarray(~found.duplicated().to_numpy() | (found < 0).to_numpy())

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return no cell: it is the row that is one too many."""
        del frame, columns
        return {}


def _may_be_flag(column: Any) -> bool:
    """Whether the declared values of a column are true and false, or 0 and 1."""
    if column.categories is not None:
        known = pd.Series(list(column.categories), dtype=object)
        return bool((truths(known) >= 0).all())
    return column.bounds is None or (column.bounds[0] >= 0 and column.bounds[1] <= 1)
