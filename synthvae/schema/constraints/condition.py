"""`Condition`: a simple predicate on one column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictStr,
    ValidationError,
    model_serializer,
    model_validator,
)

from synthvae.errors import SchemaError, explain, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Bound, Column, Values
from synthvae.schema.constraints.comparable import (
    TRUTHS,
    BoolArray,
    Columns,
    label,
    labelled,
    microseconds,
    numbers,
    present,
    refuse_absent,
)
from synthvae.schema.values import parse_timestamps, plain_items

Limits = Annotated[
    tuple[Bound | None, Bound | None], BeforeValidator(lambda values: parse_timestamps(plain_items(values)))
]
TESTS = ("is_in", "not_in", "between", "is_missing")
MIDNIGHT = " 00:00:00"
TRUTH_LABELS = {text: bool(float(number)) for text, number in TRUTHS.items() for text in (text, text.capitalize())}
SHOWN = 4  # values that a description names


class Condition(BaseModel):
    """A predicate on one column, with exactly one test. A missing value meets `is_missing: true` alone.

    Args:
        column: The column.
        is_in: The value is one of these; the key is `in` in YAML. 1, 1.0 and "1" are the same value.
        not_in: The value is none of these.
        between: The number, date or datetime is in [low, high]; None: there is no limit on this side.
        is_missing: Whether the value is missing.

    Raises:
        SchemaError: There is no test, or more than one, or the limits are in the wrong order.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"age": [12, 40, None]})
        >>> Condition(column="age", between=[None, 17]).meets(rows).tolist()
        [True, False, False]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: StrictStr
    is_in: Values | None = None
    not_in: Values | None = None
    between: Limits | None = None
    is_missing: StrictBool | None = None

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(f"A condition is not valid: {explain(error, data)}") from error

    @model_validator(mode="before")
    @classmethod
    def _from_document(cls, document: Any) -> Any:
        """A document with `in`, which is a keyword of Python, and dates among its values as text."""
        if isinstance(document, dict):
            document = {name: _texts_of_dates(name, values) for name, values in document.items()}
        if not isinstance(document, dict) or "in" not in document:
            return document
        if "is_in" in document:
            raise ValueError("`in` must not be given beside `is_in`. Remove one.")
        return {("is_in" if name == "in" else name): value for name, value in document.items()}

    @model_serializer(mode="wrap")
    def _to_document(self, handler: Any) -> dict[str, Any]:
        fields = handler(self)
        return {("in" if name == "is_in" else name): value for name, value in fields.items() if value is not None}

    @model_validator(mode="after")
    def _validate(self) -> Self:
        given = [name for name in TESTS if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(name.replace("is_in", "in") for name in given) or "none"
            raise ValueError(f"A condition must have one of in, not_in, between and is_missing, got {names}.")
        if (self.is_in, self.not_in).count(()):
            raise ValueError("`in` and `not_in` must have a value, got none. Add one, or use `is_missing`.")
        if self.between is not None and not _are_limits(*self.between):
            raise ValueError(f"`between` must be [smallest, largest], got {list(self.between)}.")
        return self

    def __str__(self) -> str:
        if self.is_missing is not None:
            return f"{self.column} is {'' if self.is_missing else 'not '}missing"
        if self.between is not None:
            low, high = self.between
            below = "" if high is None else f" <= {high}"
            return f"{self.column}{below}" if low is None else f"{low} <= {self.column}{below}"
        values = self.is_in or self.not_in or ()
        shown = listing(values, SHOWN) if len(values) > 1 else repr(values[0])
        several = ("in", "not in") if len(values) > 1 else ("is", "is not")
        return f"{self.column} {several[self.is_in is None]} {shown}"

    def __repr__(self) -> str:
        return f"Condition({str(self)!r})"

    def known(self, frame: pd.DataFrame) -> BoolArray:
        """Return in which rows (n,) the condition can be judged.

        Args:
            frame: The table.
        """
        refuse_absent(frame, [self.column])
        values = frame[self.column]
        if self.is_missing is not None:
            return np.ones(len(frame), bool)
        return ~pd.isna(numbers(values)) if self.between is not None else present(values)

    def meets(self, frame: pd.DataFrame) -> BoolArray:
        """Return which rows (n,) meet the condition.

        Args:
            frame: The table.

        Raises:
            TableError: The column is absent, or holds text where limits are given.
        """
        refuse_absent(frame, [self.column])
        values = frame[self.column]
        if self.is_missing is not None:
            return np.asarray(present(values) != self.is_missing)
        if self.between is not None:
            return _within(numbers(values), *self.between)
        places, known = labelled(values)
        wanted = self.wanted(known)
        among = np.array([*(text in wanted for text in known), False], bool)[places]
        return among if self.is_in is not None else ~among & (places >= 0)

    def wanted(self, known: Iterable[str]) -> set[str]:
        """Return the values of `in` or `not_in` as labels, written as those of a column.

        True and 1 are the same value in columns of truths, and a date is its midnight.

        Args:
            known: The labels of the column.
        """
        own = {label(value) for value in self.is_in or self.not_in or ()}
        texts = set(known)
        if texts and texts <= TRUTH_LABELS.keys():
            truths = {TRUTH_LABELS.get(text) for text in own}
            return {text for text in texts if TRUTH_LABELS[text] in truths}
        plain = {text.removesuffix(MIDNIGHT) for text in own}
        return own | {text for text in texts if text.removesuffix(MIDNIGHT) in plain}

    def check(self, columns: Columns) -> list[str]:
        """Return what is wrong with the condition for the columns of a schema.

        Args:
            columns: The schema.
        """
        return list(self._problems(columns[self.column])) if self.column in columns.names else []

    def _problems(self, column: Column) -> Iterator[str]:
        if self.between is not None:
            dates = any(not isinstance(limit, (int, float)) for limit in self.between if limit is not None)
            fits = TEMPORAL if dates else NUMERIC
            if column.kind not in fits:
                kinds = " or ".join(fits)
                yield f"The condition `{self}` needs the kind {kinds}, got {column.kind}. Declare it, or use `in`."
        values = self.is_in or self.not_in or ()
        if column.kind == "fake" or (values and column.kind == "id"):
            yield f"The condition `{self}` needs values that are learned, got the kind {column.kind}. Remove it."
        if values and column.kind == "categorical" and column.categories is not None:
            allowed = {label(value) for value in column.categories}
            if unknown := [value for value in values if label(value) not in allowed]:
                yield (
                    f"The condition `{self}` must name categories of {column.name!r}, got {listing(unknown, SHOWN)}. "
                    "Add them to `categories`, or correct them."
                )
        if self.is_missing is not None and not column.nullable:
            yield f"The condition `{self}` is useless, since {column.name!r} has no missing values. Remove it."


def _texts_of_dates(name: str, values: Any) -> Any:
    """The values of `in` and `not_in` with text in place of dates and datetimes."""
    if name not in ("in", "is_in", "not_in") or not isinstance(values, (list, tuple, set, frozenset)):
        return values
    return [str(value) if isinstance(value, dt.date) else value for value in values]


def _are_limits(low: Any, high: Any) -> bool:
    if low is None or high is None:
        return not (low is None and high is None)
    if isinstance(low, (int, float)) != isinstance(high, (int, float)):
        return False
    return bool(_limit(low) <= _limit(high))


def _limit(value: Any) -> float | int:
    return value if isinstance(value, (int, float)) else microseconds(value)


def _within(found: Any, low: Any, high: Any) -> BoolArray:
    with np.errstate(invalid="ignore"):
        above = np.ones(len(found), bool) if low is None else (found >= _limit(low)).astype(bool)
        below = np.ones(len(found), bool) if high is None else (found <= _limit(high)).astype(bool)
    return np.asarray(above & below & ~pd.isna(found))
