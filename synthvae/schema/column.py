"""One column of a table: its kind and what is public about its values."""

from __future__ import annotations

import datetime as dt
import itertools
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

from synthvae.errors import SchemaError, explain, listing
from synthvae.schema import values as scalars
from synthvae.schema.renamed import rename_fields, warn_of_former

Origin = Literal["declared", "drafted from data", "reviewed draft", "measured privately"]
DRAFTS: tuple[Origin, Origin] = ("drafted from data", "reviewed draft")
Kind = Literal["categorical", "integer", "continuous", "boolean", "datetime", "date", "id"]

Int = Annotated[StrictInt, AfterValidator(scalars.storable)]
Value = StrictBool | Int | StrictFloat | StrictStr

Values = Annotated[tuple[Value, ...], BeforeValidator(scalars.plain_items)]
Bound = Int | StrictFloat | dt.datetime | dt.date
Bounds = Annotated[tuple[Bound, Bound], BeforeValidator(lambda values: scalars.moments(scalars.plain_items(values)))]
Cuts = Annotated[tuple[Int | StrictFloat, ...], BeforeValidator(scalars.plain_items)]
MAX_SENTINELS = 64
LONGEST_NAME = 100  # letters of a name that a refusal repeats
MAX_DECIMALS = 15  # a double has no more
NUMERIC: tuple[Kind, ...] = ("integer", "continuous")
TEMPORAL: tuple[Kind, ...] = ("datetime", "date")


class Column(BaseModel):
    """One column of a table.

    Args:
        name: Its name.
        kind: What its values mean.
        categories: The known values of a categorical column, in order if `ordered`; learned from the table if absent.
        other_category: The category that replaces a value outside `categories`; without it such a value is refused.
        ordered: Whether the categories have an order.
        bounds: Smallest and largest value of a number, datetime or date.
        bins: Cuts between the bins of a number, inside its bounds: all that a private model sees of it, which draws
            numbers evenly from each; a cut belongs to the bin after it. Absent: they follow from the bounds.
        decimals: Digits after the point that a continuous value carries; learned from the table if absent.
        nullable: Whether a value may be missing.
        sentinels: Non-numeric values among the numbers, such as "N" or -9; they come back as they are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    kind: Kind
    categories: Values | None = None
    other_category: Value | None = None
    ordered: bool = False
    bounds: Bounds | None = None
    bins: Cuts | None = None
    decimals: int | None = None
    nullable: bool = True
    sentinels: Values = ()

    def __init__(self, **data: Any) -> None:
        data, former = rename_fields(data)
        warn_of_former(former, "Column")
        try:
            super().__init__(**data)
        except ValidationError as error:
            what = explain(error)
            named = (
                what if what.startswith("column ") else f"column {str(data.get('name', ''))[:LONGEST_NAME]!r}: {what}"
            )
            raise SchemaError(named) from error

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
    def _consistent(self) -> Self:
        for fact in self._contradictions():
            raise ValueError(f"column {self.name!r}: {fact}")
        return self

    def _contradictions(self) -> Iterator[str]:
        if not self.name:
            yield "`name` must not be empty"
        if len(self.sentinels) > MAX_SENTINELS:
            yield f"`sentinels` must be at most {MAX_SENTINELS}, got {len(self.sentinels)}. Use `kind: categorical`."
        if self.sentinels and self.kind not in NUMERIC:
            yield f"`sentinels` belong to numbers, however, it is {self.kind}"
        yield from self._category_contradictions()
        yield from self._number_contradictions()

    def _category_contradictions(self) -> Iterator[str]:
        if self.categories is not None and self.kind not in ("categorical", "boolean"):
            yield f"`categories` belong to kind categorical, however, it is {self.kind}"
        if self.categories is not None and len(set(self.categories)) < len(self.categories):
            yield "`categories` must be distinct"
        if len({_family(value) for value in self.categories or ()}) > 1:
            yield "`categories` must have one type, texts, numbers or booleans"
        if self.other_category is not None and self.kind != "categorical":
            yield f"`other_category` belongs to kind categorical, however, it is {self.kind}"
        if (
            self.other_category is not None
            and self.categories is not None
            and self.other_category not in self.categories
        ):
            yield f"`other_category` must be among `categories`, however, it is {self.other_category!r}"
        if self.ordered and self.kind != "categorical":
            yield f"`ordered` belongs to kind categorical, however, it is {self.kind}"

    def _number_contradictions(self) -> Iterator[str]:
        if self.bounds is not None and self.kind not in (*NUMERIC, *TEMPORAL):
            yield f"`bounds` belong to numbers, datetimes and dates, however, it is {self.kind}"
        if self.bounds is not None and not _ordered(*self.bounds):
            yield f"`bounds` must be (smallest, largest), however, they are {self.bounds}"
        if self.bounds is not None and not self._bounds_fit():
            yield f"`bounds` of kind {self.kind} must be of its values' type, however, they are {self.bounds}"
        if self.decimals is not None and (self.kind != "continuous" or not 0 <= self.decimals <= MAX_DECIMALS):
            yield (
                f"`decimals` must be at least 0 and at most {MAX_DECIMALS}, of kind continuous, however, "
                f"it is {self.decimals} of {self.kind}"
            )
            return
        if self.bins is not None and not self._bins_fit():
            yield (
                "`bins` must ascend inside the `bounds` of a number, with no more digits after the point than it has, "
                f"however, they are {listing(self.bins)}"
            )

    def _bins_fit(self) -> bool:
        """Whether the bins are such, and each of them has a number."""
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


def _family(value: Value) -> type:
    return float if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)


def _ordered(low: Any, high: Any) -> bool:
    try:
        return bool(low <= high)
    except TypeError:
        return False
