"""`Column`: the kind of a column and the public properties of its values."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from synthvae.errors import SchemaError, brief, explain, listing
from synthvae.schema.renamed import MAX_NAME, rename_fields, warn_of_former
from synthvae.schema.values import parse_timestamps, plain_items, storable
from synthvae.tables.arrow import MAX_DIGITS
from synthvae.tables.number_format import NumberForm
from synthvae.tables.time_format import problem_of, readings

Origin = Literal["declared", "drafted from data", "reviewed draft", "measured privately"]
DRAFTS: tuple[Origin, Origin] = ("drafted from data", "reviewed draft")
Kind = Literal["categorical", "integer", "continuous", "duration", "boolean", "datetime", "date", "id", "fake"]

Int = Annotated[StrictInt, AfterValidator(storable)]
Value = StrictBool | Int | StrictFloat | StrictStr

Values = Annotated[tuple[Value, ...], BeforeValidator(plain_items)]
Bound = Int | StrictFloat | dt.datetime | dt.date
Bounds = Annotated[tuple[Bound, Bound], BeforeValidator(lambda values: parse_timestamps(plain_items(values)))]
Cuts = Annotated[tuple[Int | StrictFloat, ...], BeforeValidator(plain_items)]
MAX_SENTINELS = 64
PROVIDER = r"[a-z][a-z0-9_]{0,60}"
LOCALE = r"[a-z]{2,3}([_-][A-Za-z]{2,4})?"
NUMERIC: tuple[Kind, ...] = ("integer", "continuous", "duration")
TEMPORAL: tuple[Kind, ...] = ("datetime", "date")
EVENTS: tuple[Kind, ...] = ("categorical", "boolean", "integer")  # of the event of a duration


class Column(BaseModel):
    """One column of a table.

    Args:
        name: Name of the column.
        kind: What the values are. A "duration" is the time until an event, or until the end of the observation, a
            number of at least 0.
        categories: Possible values of a categorical column, in order if `ordered`; None: those in the training table.
        other_category: The category that replaces a value outside `categories`; None: such a value is an error.
        ordered: Whether the categories have an order.
        bounds: Smallest and largest value of a number, datetime or date.
        bins: Inner edges of the bins of a number, inside its bounds; a value equal to an edge belongs to the bin above.
            A private model learns the bins alone, and draws numbers uniformly from each. None: they follow from the
            bounds.
        format: How a date or datetime is written as text or as a whole number, in the directives of `strptime`
            ("%d/%m/%Y", "%Y%m%d", "%H:%M:%S" for a time of day), or "timedelta" for durations as pandas writes them.
            None: ISO dates (2020-12-31) and datetimes (2020-12-31 23:59:59). Of a number in text: how the column writes
            1234.5 ("1.234,5", "$1,234.5", "1234.5 %").
        decimals: Digits after the decimal point of a continuous value or a duration; None: as many as in the training
            table.
        nullable: Whether values may be missing.
        sentinels: Values among numbers or dates that are none, such as "N", -9 or "0000-00-00". They are modelled as
            categories of their own and come back as they are written. They are compared as texts in a column of text,
            and as numbers in one of numbers. Those of dates require a `format`.
        provider: The provider of Faker (https://faker.readthedocs.io) that makes the values of a fake column, such as
            "name", "email" or "phone_number". They are drawn independently of the table: none is learned, and one
            equals a real value by chance alone.
        locale: The language and country of a fake column, such as "de_DE"; None: "en_US".
        unique: Whether all values of a fake column are different; None: as in the training table, as far as the
            provider has enough values.
        subject: Another column; rows with equal values of it have the same value of this fake column. None: rows are
            independent.
        event: The column that tells whether the event of a duration was observed, or which one of several.

    Raises:
        SchemaError: The properties contradict each other.

    Example:
        >>> Column(name="age", kind="integer", bounds=(0, 120), sentinels=["unknown"]).bounds
        (0, 120)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    __repr__ = __str__ = brief

    name: StrictStr
    kind: Kind
    categories: Values | None = None
    other_category: Value | None = None
    ordered: bool = False
    bounds: Bounds | None = None
    bins: Cuts | None = None
    format: StrictStr | None = None
    decimals: int | None = None
    nullable: bool = True
    sentinels: Values = ()
    provider: StrictStr | None = None
    locale: StrictStr | None = None
    unique: StrictBool | None = None
    subject: StrictStr | None = None
    event: StrictStr | None = None

    def __init__(self, **data: Any) -> None:
        data, former = rename_fields(data)
        warn_of_former(former, "Column")
        try:
            super().__init__(**data)
        except ValidationError as error:
            message = explain(error, data)
            if not message.startswith("Column "):
                message = f"Column {str(data.get('name', ''))[:MAX_NAME]!r}: {message}"
            raise SchemaError(message) from error

    @property
    def marks(self) -> Values:
        """Former name of `sentinels`; deprecated."""
        warn_of_former(["marks"], "Column")
        return self.sentinels

    @property
    def other(self) -> Value | None:
        """Former name of `other_category`; deprecated."""
        warn_of_former(["other"], "Column")
        return self.other_category

    @model_validator(mode="after")
    def _validate(self) -> Self:
        for problem in self._contradictions():
            raise ValueError(f"Column {self.name!r}: {problem}")
        return self

    def _contradictions(self) -> Iterator[str]:
        if not self.name:
            yield "`name` must not be empty."
        if len(self.sentinels) > MAX_SENTINELS:
            yield f"`sentinels` must be at most {MAX_SENTINELS}, got {len(self.sentinels)}. Use `kind: categorical`."
        if self.sentinels and self.kind not in NUMERIC and not (self.kind in TEMPORAL and self.format is not None):
            yield f"`sentinels` require a numeric kind, or dates with a `format` (%Y-%m-%d), got {self.kind}."
        yield from self._category_contradictions()
        yield from self._number_contradictions()
        yield from self._format_contradictions()
        yield from self._fake_contradictions()
        yield from self._duration_contradictions()

    def _format_contradictions(self) -> Iterator[str]:
        if self.format is None:
            return
        if self.kind not in (*NUMERIC, *TEMPORAL):
            yield f"`format` requires a kind of numbers, datetimes or dates, got {self.kind}."
            return
        for known in readings(self.format):
            if problem := problem_of(known) if self.kind in TEMPORAL else _number_problem(known):
                yield f"`format` {problem}, got {known!r}."

    def _fake_contradictions(self) -> Iterator[str]:
        if self.kind != "fake":
            fields = {"provider": self.provider, "locale": self.locale, "unique": self.unique, "subject": self.subject}
            yield from (f"`{f}` requires the kind fake, got {self.kind}." for f, v in fields.items() if v is not None)
            return
        if self.provider is None or not re.fullmatch(PROVIDER, self.provider):
            yield f"`provider` must name a provider of Faker, such as name, got {self.provider!r}. Declare one."
        if self.locale is not None and not re.fullmatch(LOCALE, self.locale):
            yield f"`locale` must be a language and a country, such as de_DE, got {self.locale!r}."
        if self.subject == self.name:
            yield f"`subject` must be another column, got {self.subject!r}."
        if self.subject is not None and self.unique:
            yield "`unique` must not be true for values that the rows of a `subject` share. Remove one of them."

    def _duration_contradictions(self) -> Iterator[str]:
        if self.kind != "duration":
            if self.event is not None:
                yield f"`event` requires the kind duration, got {self.kind}."
            return
        if not self.event:
            yield "`event` must name the column of the event of a duration, got none. Declare it."
        if self.event == self.name:
            yield f"`event` must be another column, got {self.event!r}. Name the column of the event."
        if self.bounds is not None and self.bounds[0] < 0:  # type: ignore[operator]
            yield f"`bounds` of a duration must not be negative, got {self.bounds}. Drop such rows, or correct them."

    def _category_contradictions(self) -> Iterator[str]:
        if self.categories is not None and self.kind not in ("categorical", "boolean"):
            yield f"`categories` require the kind categorical, got {self.kind}."
        if self.categories is not None and len(set(self.categories)) < len(self.categories):
            yield "`categories` must be distinct."
        if len({_family(value) for value in self.categories or ()}) > 1:
            yield "`categories` must have one type: texts, numbers or booleans."
        if self.other_category is not None and self.kind != "categorical":
            yield f"`other_category` requires the kind categorical, got {self.kind}."
        if (
            self.other_category is not None
            and self.categories is not None
            and self.other_category not in self.categories
        ):
            yield f"`other_category` must be among `categories`, got {self.other_category!r}."
        if self.ordered and self.kind != "categorical":
            yield f"`ordered` requires the kind categorical, got {self.kind}."

    def _number_contradictions(self) -> Iterator[str]:
        if self.bounds is not None and self.kind not in (*NUMERIC, *TEMPORAL):
            yield f"`bounds` require a kind of numbers, datetimes or dates, got {self.kind}."
        if self.bounds is not None and not _ordered(*self.bounds):
            yield f"`bounds` must be (smallest, largest), got {self.bounds}."
        if self.bounds is not None and not self._bounds_fit():
            yield f"`bounds` of kind {self.kind} must have the type of its values, got {self.bounds}."
        written = self.kind in ("continuous", "duration")
        if self.decimals is not None and not (written and 0 <= self.decimals <= MAX_DIGITS):
            yield (
                f"`decimals` must be between 0 and {MAX_DIGITS} and require the kind continuous or duration, "
                f"got {self.decimals} and {self.kind}."
            )
            return
        if self.bins is not None and not self._bins_fit():
            yield (
                "`bins` must ascend inside the `bounds` of a number and have no more decimals than it, "
                f"got {listing(self.bins)}."
            )

    def _bins_fit(self) -> bool:
        """Whether the inner edges ascend inside the bounds, and each bin contains a number."""
        if self.kind not in NUMERIC or self.bounds is None or not self._bounds_fit():
            return False
        edges: list[Any] = [self.bounds[0], *(self.bins or ()), self.bounds[1]]
        if any(low >= high for low, high in itertools.pairwise(edges[:-1])) or not edges[-2] <= edges[-1]:
            return False
        decimals = 0 if self.kind == "integer" else self.decimals
        if decimals is None or len(edges) == 2:
            return True
        below_first = round(edges[1] - 10.0**-decimals, decimals)
        return all(round(cut, decimals) == cut for cut in edges[1:-1]) and below_first >= edges[0]

    def _bounds_fit(self) -> bool:
        expected = dt.date if self.kind in TEMPORAL else (int, float)
        return self.kind not in (*NUMERIC, *TEMPORAL) or all(isinstance(b, expected) for b in self.bounds or ())


def _number_problem(format: str) -> str | None:  # noqa: A002
    try:
        NumberForm.of(format)
    except ValueError as error:
        return str(error)
    return None


def _family(value: Value) -> type:
    return float if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)


def _ordered(low: Any, high: Any) -> bool:
    try:
        return bool(low <= high)
    except TypeError:
        return False
