"""Rules that follow from a condition: `ImpliesMissing`, `RequiredIf` and `If`."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from synthvae.errors import listing
from synthvae.schema.constraints.comparable import BoolArray, Columns, present, refuse_absent
from synthvae.schema.constraints.condition import Condition
from synthvae.schema.constraints.rule import Constraint, Names, check_names


class ImpliesMissing(Constraint):
    """Where a condition is met, the values of some columns are missing.

    Args:
        condition: The condition, on another column.
        columns: The columns whose values are then missing.
        kind: Always "implies_missing"; it need not be given.

    Raises:
        SchemaError: There is no column, or the condition is on one of them.

    Example:
        >>> import pandas as pd
        >>> rule = ImpliesMissing(condition={"column": "alive", "in": [True]}, columns=["died_on"])
        >>> rule.holds(pd.DataFrame({"alive": [True, True, False], "died_on": [None, "2020-01-01", None]})).tolist()
        [True, False, True]
    """

    kind: Literal["implies_missing"] = "implies_missing"
    condition: Condition
    columns: Names

    @model_validator(mode="after")
    def _validate(self) -> Self:
        _check_columns(self.condition, self.columns)
        return self

    def describe(self) -> str:
        """Return the implication."""
        return f"if {self.condition}: {', '.join(self.columns)} missing"

    @property
    def touches(self) -> tuple[str, ...]:
        """The column of the condition, and those that are missing."""
        return (self.condition.column, *self.columns)

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns that are declared without missing values, or whose values are not learned."""
        never = [name for name in self.columns if name in columns.names and not columns[name].nullable]
        problems = self.condition.check(columns)
        if never:
            problems.append(
                f"The rule `{self}` contradicts `nullable: false` of {listing(never)}. Allow missing values, or remove "
                "the rule."
            )
        return problems

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return which rows (n,) meet the condition.

        Args:
            frame: The table.
        """
        return self.condition.meets(frame)

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the values are missing if the condition is met; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.touches)
        return ~(self.condition.meets(frame) & _present(frame, self.columns).any(axis=1))

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return the cells (n,) that should be missing; see `Constraint.suspects`."""
        broken = ~self.holds(frame, columns)
        return {name: broken & present(frame[name]) for name in self.columns}


class RequiredIf(Constraint):
    """Where a condition is met, the values of some columns are present.

    Args:
        condition: The condition, on another column.
        columns: The columns whose values are then present.
        kind: Always "required_if"; it need not be given.

    Raises:
        SchemaError: There is no column, or the condition is on one of them.

    Example:
        >>> import pandas as pd
        >>> rule = RequiredIf(condition={"column": "alive", "in": [False]}, columns=["died_on"])
        >>> rule.holds(pd.DataFrame({"alive": [True, False], "died_on": [None, None]})).tolist()
        [True, False]
    """

    kind: Literal["required_if"] = "required_if"
    condition: Condition
    columns: Names

    @model_validator(mode="after")
    def _validate(self) -> Self:
        _check_columns(self.condition, self.columns)
        return self

    def describe(self) -> str:
        """Return the implication."""
        return f"if {self.condition}: {', '.join(self.columns)} present"

    @property
    def touches(self) -> tuple[str, ...]:
        """The column of the condition, and those that are present."""
        return (self.condition.column, *self.columns)

    def check(self, columns: Columns) -> list[str]:
        """Refuse a condition that does not fit its column."""
        return self.condition.check(columns)

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return which rows (n,) meet the condition.

        Args:
            frame: The table.
        """
        return self.condition.meets(frame)

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the values are present if the condition is met; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.touches)
        return ~self.condition.meets(frame) | _present(frame, self.columns).all(axis=1)

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return no cell: a missing value is what breaks the rule."""
        del frame, columns
        return {}


class If(Constraint):
    """Where one condition is met, so is another, unless its column is missing.

    Args:
        condition: The condition.
        then: The condition that follows from it.
        kind: Always "if"; it need not be given.

    Raises:
        SchemaError: Both are the same.

    Example:
        >>> import pandas as pd
        >>> rule = If(condition={"column": "sex", "in": ["m"]}, then={"column": "pregnant", "in": [False]})
        >>> rule.holds(pd.DataFrame({"sex": ["m", "f", "m"], "pregnant": [True, True, None]})).tolist()
        [False, True, True]
    """

    kind: Literal["if"] = "if"
    condition: Condition
    then: Condition

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.condition == self.then:
            raise ValueError(f"`then` must be another condition, got `{self.then}` twice. Correct one.")
        return self

    def describe(self) -> str:
        """Return the implication."""
        return f"if {self.condition}: {self.then}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The columns of both conditions."""
        return tuple(dict.fromkeys((self.condition.column, self.then.column)))

    def check(self, columns: Columns) -> list[str]:
        """Refuse conditions that do not fit their columns."""
        return [*self.condition.check(columns), *self.then.check(columns)]

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return which rows (n,) meet the condition, and have a value that can be judged.

        Args:
            frame: The table.
        """
        return self.condition.meets(frame) & self.then.known(frame)

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the second condition follows from the first; see `Constraint.holds`."""
        del columns
        return ~(self.applies(frame) & ~self.then.meets(frame))

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return the cells (n,) that the condition excludes; see `Constraint.suspects`."""
        return {self.then.column: ~self.holds(frame, columns)}


def _check_columns(condition: Condition, columns: tuple[str, ...]) -> None:
    check_names(columns, 1)
    if condition.column in columns:
        raise ValueError(f"The condition must be on another column, got {condition.column!r} twice. Correct one.")


def _present(frame: pd.DataFrame, names: tuple[str, ...]) -> BoolArray:
    """Which values (n, columns) are present."""
    return np.column_stack([present(frame[name]) for name in names])
