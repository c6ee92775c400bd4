"""Rules on the order and the steps of numbers: `Inequality` and `Increments`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from synthvae.schema.column import NUMERIC, TEMPORAL
from synthvae.schema.constraints.comparable import BoolArray, Columns, microseconds, numbers, refuse_absent
from synthvae.schema.constraints.rule import ORDERED, Constraint, Names, check_names, unfit

STEP_TOLERANCE = 1e-9  # of a step, by which doubles may miss a multiple


class Inequality(Constraint):
    """The values of a row ascend in the order of the columns: birth <= admission <= discharge.

    Missing values and sentinel values are skipped, so that the present values of a row ascend. A date is compared as
    its midnight.

    Args:
        columns: Two or more columns, all of numbers or all of dates and datetimes.
        strict: Whether equal values break the rule.
        kind: Always "inequality"; it need not be given.

    Raises:
        SchemaError: There are fewer than two columns, or one is named twice.

    Example:
        >>> import pandas as pd
        >>> rule = Inequality(columns=["low", "high"])
        >>> rule.holds(pd.DataFrame({"low": [1, 5, None], "high": [2, 4, 1]})).tolist()
        [True, False, True]
    """

    kind: Literal["inequality"] = "inequality"
    columns: Names
    strict: StrictBool = False

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names(self.columns, 2)
        return self

    def describe(self) -> str:
        """Return the chain of columns."""
        return (" < " if self.strict else " <= ").join(self.columns)

    @property
    def touches(self) -> tuple[str, ...]:
        """The columns of the chain."""
        return self.columns

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each two neighbours of the chain."""
        return itertools.pairwise(self.columns)

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns without an order, numbers beside dates, and bounds between which no row fits."""
        if problems := unfit(self, columns, self.columns, ORDERED, "numbers or dates"):
            return problems
        known = [columns[name] for name in self.columns if name in columns.names]
        dates = [column for column in known if column.kind in TEMPORAL]
        if 0 < len(dates) < len(known):
            named = [column for column in known if column not in dates]
            problem = (
                f"The rule `{self}` must compare numbers with numbers and dates with dates, got the date "
                f"{dates[0].name!r} and the number {named[0].name!r}. Declare their `kind`, or split the rule."
            )
            return [problem]
        return list(self._impossible(known))

    def _impossible(self, known: list[Any]) -> Iterator[str]:
        """Pairs of columns whose declared bounds leave no row."""
        for first, second in itertools.combinations(known, 2):
            if first.bounds is None or second.bounds is None or first.nullable or second.nullable:
                continue
            low, high = _comparable(first.bounds[0]), _comparable(second.bounds[1])
            if low > high or (self.strict and low == high):
                yield (
                    f"The rule `{self}` contradicts the bounds: {first.name!r} is at least {first.bounds[0]}, and "
                    f"{second.name!r} at most {second.bounds[1]}. Correct the bounds, or remove the rule."
                )
                return

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return in which rows (n,) two of the columns have values.

        Args:
            frame: The table.
        """
        refuse_absent(frame, self.columns)
        counts = sum((~pd.isna(numbers(frame[name]))).astype(int) for name in self.columns)
        return np.asarray(counts >= 2)

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the present values ascend; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, self.columns)
        kept = np.ones(len(frame), bool)
        last = numbers(frame[self.columns[0]]).copy()
        for name in self.columns[1:]:
            values = numbers(frame[name])
            with np.errstate(invalid="ignore"):
                broken = (last >= values) if self.strict else (last > values)
            kept &= ~broken.astype(bool)  # a comparison with NaN is false
            last = np.where(pd.isna(values), last, values)
        return kept

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return the cells (n,) of each two neighbours, of those that are present, that do not ascend."""
        del columns
        refuse_absent(frame, self.columns)
        found = {name: np.zeros(len(frame), bool) for name in self.columns}
        last, owner = np.full(len(frame), np.nan), np.full(len(frame), -1)
        for place, name in enumerate(self.columns):
            values = numbers(frame[name])
            known = ~pd.isna(values)
            descends = known & (owner >= 0)
            descends[descends] = (last >= values)[descends] if self.strict else (last > values)[descends]
            for before, other in enumerate(self.columns[:place]):
                found[other] |= descends & (owner == before)
            found[name] |= descends
            last, owner = np.where(known, values, last), np.where(known, place, owner)
        return found


class Increments(Constraint):
    """The values of a column are multiples of a step, counted from an offset: offset + k * step.

    Args:
        column: The column of numbers.
        step: The step.
        offset: One of the values.
        kind: Always "increments"; it need not be given.

    Raises:
        SchemaError: The step is not a positive number.

    Example:
        >>> import pandas as pd
        >>> Increments(column="dose", step=25).holds(pd.DataFrame({"dose": [50, 60, None]})).tolist()
        [True, False, True]
    """

    kind: Literal["increments"] = "increments"
    column: StrictStr
    step: StrictInt | StrictFloat
    offset: StrictInt | StrictFloat = 0

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if not (math.isfinite(self.step) and self.step > 0 and math.isfinite(self.offset)):
            raise ValueError(f"`step` must be a positive number, got {self.step} with the offset {self.offset}.")
        return self

    def describe(self) -> str:
        """Return the multiples."""
        return f"{self.column} = {f'{self.offset} + ' if self.offset else ''}k * {self.step}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def check(self, columns: Columns) -> list[str]:
        """Refuse a column that has no numbers, and bounds or decimals that exclude all multiples."""
        if problems := unfit(self, columns, (self.column,), NUMERIC, "numbers"):
            return problems
        if self.column not in columns.names:
            return []
        column = columns[self.column]
        if column.bounds is not None and not column.nullable:
            low, high = (Decimal(str(bound)) for bound in column.bounds)
            step, offset = Decimal(str(self.step)), Decimal(str(self.offset))
            if offset + (high - offset) // step * step + (step if high < offset else 0) < low:
                problem = (
                    f"The rule `{self}` contradicts the bounds {list(column.bounds)}, between which no multiple is."
                )
                return [f"{problem} Correct the bounds, or remove the rule."]
        return []

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return in which rows (n,) the column has a number.

        Args:
            frame: The table.
        """
        refuse_absent(frame, (self.column,))
        return ~pd.isna(numbers(frame[self.column]))

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the value is a multiple; see `Constraint.holds`."""
        del columns
        refuse_absent(frame, (self.column,))
        values = numbers(frame[self.column])
        unknown = pd.isna(values)
        if values.dtype == object:  # whole numbers that doubles do not distinguish
            exact = [
                bool(gone) or (value - self.offset) % self.step == 0
                for value, gone in zip(values, unknown, strict=True)
            ]
            return np.array(exact, bool)
        steps = (values - self.offset) / self.step
        near = np.abs(steps - np.rint(steps)) <= STEP_TOLERANCE * np.maximum(1, np.abs(steps))
        return np.asarray(near | unknown)


def _comparable(bound: Any) -> Any:
    return bound if isinstance(bound, (int, float)) else microseconds(bound)
