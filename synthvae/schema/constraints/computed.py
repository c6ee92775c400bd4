"""Rules that compute a column from others: `Sum`, `Difference` and `Formula`.

A value keeps such a rule if it is the computed value, rounded to the decimals of its column: if it differs by at most
half of a unit of the last decimal. Sums and differences of whole and decimal numbers are decided exactly, since their
errors are far smaller. Where no number of decimals is known, both must agree to nine digits. Columns of single
precision may differ by their own error, and by what it changes of the computed value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import infer_dtype, is_datetime64_any_dtype
from pydantic import StrictStr, model_validator

from synthvae.schema.column import NUMERIC, TEMPORAL
from synthvae.schema.constraints.comparable import BoolArray, Columns, Numbers, numbers, refuse_absent, relative_error
from synthvae.schema.constraints.expression import Expression, parse
from synthvae.schema.constraints.rule import NUMBERS, ORDERED, Constraint, Names, check_names, unfit
from synthvae.tables.arrow import count_decimals

HALF = 0.5 + 1e-6  # units of the last decimal; the rest is the error of doubles
RELATIVE = 1e-9  # where the decimals are unknown

Unit = Literal["years", "weeks", "days", "hours", "minutes", "seconds"]
Rounding = Literal["nearest", "down", "up"]
SECONDS: dict[str, int] = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
ROUNDED: dict[str, Callable[[Numbers], Numbers]] = {"nearest": lambda found: found, "down": np.floor, "up": np.ceil}


class _Computed(Constraint):
    """A rule that computes one column."""

    @property
    def given(self) -> tuple[str, ...]:
        """The columns from which the column is computed."""
        raise NotImplementedError

    @property
    def touches(self) -> tuple[str, ...]:
        """The computed column, and those from which it is computed."""
        return (*self.computed, *self.given)

    def _values(self, frame: pd.DataFrame) -> Numbers:
        """The computed numbers (n,); NaN: a value is missing."""
        raise NotImplementedError

    def compute(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """Return the computed values (n,), before they are rounded to the decimals of the column; NaN: missing.

        Args:
            frame: The table; the computed column may be absent.
        """
        refuse_absent(frame, self.given)
        return pd.Series(self._values(frame), index=frame.index, name=self.computed[0])

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return in which rows (n,) both the value and the computed value are known.

        Args:
            frame: The table.
        """
        refuse_absent(frame, self.touches)
        return np.asarray(~pd.isna(numbers(frame[self.computed[0]])) & ~pd.isna(self._values(frame)))

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the value is the computed one; see `Constraint.holds`."""
        refuse_absent(frame, self.touches)
        name = self.computed[0]
        stated = numbers(frame[name])
        found = self._values(frame)
        return agree(stated, found, _decimals(name, stated, columns), self._room(frame, stated, found))

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return the cells (n,) of the computed column that have another value; see `Constraint.suspects`."""
        return dict.fromkeys(self.computed, ~self.holds(frame, columns))

    def _room(self, frame: pd.DataFrame, stated: Numbers, found: Numbers) -> Numbers:
        """The error (n,) of single precision: that of the value, and what those of the terms change of it."""
        error = relative_error(frame[self.computed[0]].dtype)
        room = error * np.maximum(np.abs(_doubles(stated)), np.abs(_doubles(found)))
        for name in self.given:
            if error := relative_error(frame[name].dtype):
                moved = self._values(frame.assign(**{name: numbers(frame[name]) * (1 + error)}))
                room = room + np.abs(_doubles(moved) - _doubles(found))
        return room


class Sum(_Computed):
    """A total is the sum of its parts.

    Args:
        total: The column of the sum.
        parts: Two or more columns.
        kind: Always "sum"; it need not be given.

    Raises:
        SchemaError: There are fewer than two parts, or the total is one of them.

    Example:
        >>> import pandas as pd
        >>> rule = Sum(total="bill", parts=["drugs", "care"])
        >>> rule.holds(pd.DataFrame({"drugs": [0.1, 1.0], "care": [0.2, 1.0], "bill": [0.3, 2.1]})).tolist()
        [True, False]
    """

    kind: Literal["sum"] = "sum"
    total: StrictStr
    parts: Names

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names(self.parts, 2, "parts")
        _check_result(self.total, self.parts)
        return self

    def describe(self) -> str:
        """Return the equation."""
        return f"{self.total} = {' + '.join(self.parts)}"

    @property
    def computed(self) -> tuple[str, ...]:
        """The total."""
        return (self.total,)

    @property
    def given(self) -> tuple[str, ...]:
        """The parts."""
        return self.parts

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns that have no numbers, and bounds that the sum cannot have."""
        problems = unfit(self, columns, (self.total,), NUMERIC, "numbers")
        problems += unfit(self, columns, self.parts, NUMBERS, "numbers")
        return problems or _outside(self, columns, dict.fromkeys(self.parts, 1))

    def _values(self, frame: pd.DataFrame) -> Numbers:
        return _added(frame, dict.fromkeys(self.parts, 1))


class Difference(_Computed):
    """A number is the difference of two others, or the time between two dates.

    Args:
        result: The column of the difference, such as length_of_stay.
        high: The column from which is subtracted, such as discharge.
        low: The column that is subtracted, such as admission.
        unit: The unit of the time between two dates: "days" (used if there is none), "weeks", "hours", "minutes" or
            "seconds"; or completed calendar "years", as an age has. None for numbers.
        rounding: How a fraction of the unit is counted: "nearest" rounds to the decimals of the result, "down" counts
            completed units, "up" begun ones.
        kind: Always "difference"; it need not be given.

    Raises:
        SchemaError: The columns are not distinct.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"admission": ["2020-02-28"], "discharge": ["2020-03-01"], "stay": [2]})
        >>> rows = rows.astype({"admission": "datetime64[us]", "discharge": "datetime64[us]"})
        >>> Difference(result="stay", high="discharge", low="admission", unit="days").holds(rows).tolist()
        [True]
    """

    kind: Literal["difference"] = "difference"
    result: StrictStr
    high: StrictStr
    low: StrictStr
    unit: Unit | None = None
    rounding: Rounding = "nearest"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        check_names((self.result, self.high, self.low), 3, "result, high and low")
        return self

    def describe(self) -> str:
        """Return the equation."""
        unit = "" if self.unit is None else f" in {self.unit}"
        rounding = "" if self.rounding == "nearest" else f", rounded {self.rounding}"
        return f"{self.result} = {self.high} - {self.low}{unit}{rounding}"

    @property
    def computed(self) -> tuple[str, ...]:
        """The result."""
        return (self.result,)

    @property
    def given(self) -> tuple[str, ...]:
        """Both columns that are subtracted."""
        return (self.high, self.low)

    def check(self, columns: Columns) -> list[str]:
        """Refuse numbers beside dates, a unit of numbers, and bounds that the difference cannot have."""
        problems = unfit(self, columns, (self.result,), NUMERIC, "a number as its result")
        problems += unfit(self, columns, self.given, ORDERED, "two numbers or two dates")
        known = [columns[name] for name in self.given if name in columns.names]
        dates = [column for column in known if column.kind in TEMPORAL]
        if problems:
            return problems
        if 0 < len(dates) < len(known):
            return [f"The rule `{self}` needs two numbers or two dates, got one of each. Declare their `kind`."]
        if known and not dates and self.unit is not None:
            return [f"The rule `{self}` has a unit of time, got numbers. Remove `unit`, or declare dates."]
        return [] if dates else _outside(self, columns, {self.high: 1, self.low: -1})

    def _values(self, frame: pd.DataFrame) -> Numbers:
        values = [frame[name] for name in self.given]
        if self.unit is None and not all(map(_are_dates, values)):
            return ROUNDED[self.rounding](_added(frame, {self.high: 1, self.low: -1}))
        high, low = (numbers(each).astype(np.float64) for each in values)
        if self.unit == "years":
            return completed_years(high, low)
        return ROUNDED[self.rounding]((high - low) / (SECONDS[self.unit or "days"] * 1e6))


class Formula(_Computed):
    """A column is the value of an arithmetic expression of others.

    Args:
        column: The column that is computed.
        expression: Numbers, names of columns (with other characters than letters, digits and _ between backticks),
            `+ - * / // % **`, comparisons, and, or, not, and the functions min, max, abs, round, floor, ceil and
            where(condition, value, otherwise). It is parsed and never run as Python code.
        kind: Always "formula"; it need not be given.

    Raises:
        SchemaError: The expression is not arithmetic, is too long, or names the column itself.

    Example:
        >>> import pandas as pd
        >>> rule = Formula(column="bmi", expression="weight / height ** 2")
        >>> rule.holds(pd.DataFrame({"weight": [80.0, 80.0], "height": [2.0, 2.0], "bmi": [20.0, 21.0]})).tolist()
        [True, False]
    """

    kind: Literal["formula"] = "formula"
    column: StrictStr
    expression: StrictStr

    @model_validator(mode="after")
    def _validate(self) -> Self:
        try:
            names = parse(self.expression).names
        except ValueError as error:
            raise ValueError(f"`expression` is not valid: {error}") from None
        _check_result(self.column, names)
        return self

    def describe(self) -> str:
        """Return the equation."""
        return f"{self.column} = {self.expression}"

    @property
    def parsed(self) -> Expression:
        """The expression as a tree."""
        return parse(self.expression)

    @property
    def computed(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def given(self) -> tuple[str, ...]:
        """The columns of the expression."""
        return self.parsed.names

    def check(self, columns: Columns) -> list[str]:
        """Refuse columns that have no numbers."""
        problems = unfit(self, columns, (self.column,), NUMERIC, "numbers")
        return problems + unfit(self, columns, self.given, NUMBERS, "numbers")

    def _values(self, frame: pd.DataFrame) -> Numbers:
        return self.parsed.evaluate({name: numbers(frame[name]) for name in self.given})


def agree(stated: Numbers, computed: Numbers, decimals: int | None, room: Numbers | float = 0.0) -> BoolArray:
    """Return where values (n,) are the computed ones (n,), rounded, or where one of them is missing.

    Args:
        stated: The values of the column.
        computed: The computed values.
        decimals: Digits after the decimal point of the column; None: unknown.
        room: By how much they may differ besides (n,).

    Example:
        >>> agree(np.array([20.1, 20.1, np.nan]), np.array([20.149, 20.16, 1.0]), 1).tolist()
        [True, False, True]
    """
    unknown = pd.isna(stated) | pd.isna(computed)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(np.where(unknown, 0, stated - computed))
        largest = np.where(unknown, 0, np.maximum(np.abs(stated), np.abs(computed)))
    allowed = RELATIVE * largest if decimals is None else HALF * 10.0**-decimals
    return np.asarray(apart <= allowed + room).astype(bool)


def _doubles(values: Numbers) -> npt.NDArray[np.float64]:
    """Numbers (n,) as doubles; missing ones are 0."""
    return np.nan_to_num(values.astype(np.float64))


def _decimals(name: str, stated: Numbers, columns: Columns | None) -> int | None:
    """The decimals of a column: those that are declared, or else the fewest that its values have."""
    if columns is not None and name in columns.names:
        column = columns[name]
        if column.kind == "integer" or column.decimals is not None:
            return 0 if column.kind == "integer" else column.decimals
    known = stated[~pd.isna(stated)]
    return 0 if known.dtype == object else count_decimals(known)


def _are_dates(values: pd.Series[Any]) -> bool:
    return is_datetime64_any_dtype(values.dtype) or infer_dtype(values, skipna=True) in {"date", "datetime"}


def _added(frame: pd.DataFrame, signs: dict[str, int]) -> Numbers:
    """The sum (n,) of columns with signs; exact for whole numbers of any size."""
    found = [(numbers(frame[name]), sign) for name, sign in signs.items()]
    if any(values.dtype == object for values, _ in found):
        whole = ([v if pd.isna(v) or v != int(v) else int(v) for v in values] for values, _ in found)
        found = [(np.array(values, object), sign) for values, (_, sign) in zip(whole, found, strict=True)]
    total: Numbers = found[0][0] * found[0][1]
    for values, sign in found[1:]:
        total = total + values * sign
    return total


def completed_years(high: Numbers, low: Numbers) -> Numbers:
    """Return the completed calendar years (n,) between two timestamps in microseconds, as an age is counted."""
    unknown = np.isnan(high) | np.isnan(low)
    ends = [np.where(unknown, 0, end).astype(np.int64).view("datetime64[us]") for end in (high, low)]
    years = [end.astype("datetime64[Y]").astype(np.int64) for end in ends]
    months = [end.astype("datetime64[M]") for end in ends]
    days = [
        (end.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
        + month.astype(np.int64) % 12 * 31
        for end, month in zip(ends, months, strict=True)
    ]
    completed = years[0] - years[1] - (days[0] < days[1])
    return np.where(unknown, np.nan, completed.astype(np.float64))


def _check_result(result: str, given: tuple[str, ...]) -> None:
    if not result or result in given:
        raise ValueError(f"The computed column must not be among {', '.join(given)}, got {result!r}. Correct it.")


def _outside(rule: Constraint, columns: Columns, signs: dict[str, int]) -> list[str]:
    """A problem if the declared bounds of a result and of signed terms have no value in common."""
    result, known = rule.computed[0], set(columns.names)
    names = (result, *signs)
    if not all(name in known and columns[name].bounds is not None and not columns[name].nullable for name in names):
        return []
    bounds: dict[str, Any] = {name: columns[name].bounds for name in names}
    ends = [[sign * end for end in bounds[name]] for name, sign in signs.items()]
    low, high = sum(map(min, ends)), sum(map(max, ends))
    decimals = 0 if columns[result].kind == "integer" else columns[result].decimals
    room = 0.0 if decimals is None else HALF * 10.0**-decimals
    if bounds[result][0] <= high + room and bounds[result][1] >= low - room:
        return []
    problem = (
        f"The rule `{rule}` contradicts the bounds: {result!r} is in {list(bounds[result])}, and its terms give "
        f"[{low}, {high}]. Correct the bounds, or remove the rule."
    )
    return [problem]
