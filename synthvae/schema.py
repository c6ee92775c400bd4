"""Public knowledge of a table: which columns it has, of which kind, inside which bounds.

A schema says nothing that a data-protection officer could not read aloud. It is the one door: `Schema.check` is
called once on every table, and nothing behind it checks again.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
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

from synthvae import atomic, pages, scalars
from synthvae.errors import SchemaError, listing
from synthvae.pages import explain

Origin = Literal["declared", "drafted from data", "reviewed draft", "measured privately"]
DRAFTS: tuple[Origin, Origin] = ("drafted from data", "reviewed draft")
Kind = Literal["categorical", "integer", "continuous", "boolean", "datetime", "date", "id"]


Int = Annotated[StrictInt, AfterValidator(scalars.storable)]
Value = StrictBool | Int | StrictFloat | StrictStr


Values = Annotated[tuple[Value, ...], BeforeValidator(scalars.plain_items)]
Bound = Int | StrictFloat | dt.datetime | dt.date
Bounds = Annotated[tuple[Bound, Bound], BeforeValidator(lambda values: scalars.moments(scalars.plain_items(values)))]
Cuts = Annotated[tuple[Int | StrictFloat, ...], BeforeValidator(scalars.plain_items)]

LARGEST_PAGE = 1 << 26  # bytes of YAML
MOST_VALUES = 1_000_000  # in it
MAX_MARKS = 64
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
        other: The category that a value outside the known ones belongs to; without it such a value is refused.
        ordered: Whether the categories have an order.
        bounds: Smallest and largest value of a number, datetime or date.
        bins: Cuts between the bins of a number, inside its bounds: all that a private model sees of it, which draws
            numbers evenly from each; a cut belongs to the bin after it. Absent: they follow from the bounds.
        decimals: Digits after the point that a continuous value carries; learned from the table if absent.
        nullable: Whether a value may be missing.
        marks: Values that stand among the numbers without being one, such as "N" or -9, kept as they are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    kind: Kind
    categories: Values | None = None
    other: Value | None = None
    ordered: bool = False
    bounds: Bounds | None = None
    bins: Cuts | None = None
    decimals: int | None = None
    nullable: bool = True
    marks: Values = ()

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            what = explain(error)
            named = (
                what if what.startswith("column ") else f"column {str(data.get('name', ''))[:LONGEST_NAME]!r}: {what}"
            )
            raise SchemaError(named) from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for fact in self._contradictions():
            raise ValueError(f"column {self.name!r}: {fact}")
        return self

    def _contradictions(self) -> Iterator[str]:
        if not self.name:
            yield "`name` must not be empty"
        if len(self.marks) > MAX_MARKS:
            yield f"`marks` must be at most {MAX_MARKS}, however, they are {len(self.marks)}: use kind categorical"
        if self.marks and self.kind not in NUMERIC:
            yield f"`marks` belong to numbers, however, it is {self.kind}"
        yield from self._category_contradictions()
        yield from self._number_contradictions()

    def _category_contradictions(self) -> Iterator[str]:
        if self.categories is not None and self.kind not in ("categorical", "boolean"):
            yield f"`categories` belong to kind categorical, however, it is {self.kind}"
        if self.categories is not None and len(set(self.categories)) < len(self.categories):
            yield "`categories` must be distinct"
        if len({_family(value) for value in self.categories or ()}) > 1:
            yield "`categories` must have one type, texts, numbers or booleans"
        if self.other is not None and self.kind != "categorical":
            yield f"`other` belongs to kind categorical, however, it is {self.kind}"
        if self.other is not None and self.categories is not None and self.other not in self.categories:
            yield f"`other` must be among `categories`, however, it is {self.other!r}"
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


class Schema(BaseModel):
    """The columns of a table, in order. Operations return new schemas.

    Args:
        columns: The columns.
        inferred: Whether the schema was guessed from a table and reviewed by nobody.
        declared: The columns of an inferred schema that somebody has declared since.
        origin: Whether a person "declared" it, it was "drafted from data", or it is a "reviewed draft": one that is no
            longer `inferred`. A draft stays one when it is written and read. One that a privacy budget paid for was
            "measured privately".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    inferred: bool = False
    declared: tuple[StrictStr, ...] = ()
    origin: Origin = "declared"

    @model_validator(mode="before")
    @classmethod
    def _of_origin(cls, page: Any) -> Any:
        """A draft that is inferred was reviewed by nobody; one that is not, by somebody."""
        if not isinstance(page, dict) or not (page.get("inferred") or page.get("origin", "declared") in DRAFTS):
            return page
        inferred = bool(page.get("inferred")) and page.get("origin") != "reviewed draft"
        return {**page, "inferred": inferred, "origin": DRAFTS[0] if inferred else DRAFTS[1]}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = self.names
        if not names:
            raise ValueError("a schema must have at least one column, however, it has none")
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise ValueError(f"column names must be distinct, however, {twice} occur more than once")
        return self

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(explain(error)) from error
        except TypeError as error:  # a column is asked for by keys such as 1
            raise SchemaError(f"keys of a column must be names, however, {error}") from error

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @classmethod
    def infer(cls, table: Any) -> Schema:
        """Guess the schema of `table` (anything that `synthvae.tables.read` takes); it is marked `inferred`."""
        from synthvae import inference, tables

        return cls(columns=inference.infer_columns(tables.read(table)), inferred=True)

    def declare(self, name: str, **changes: Any) -> Schema:
        """Return the schema with column `name` declared anew: `declare("SEX", kind="categorical")`.

        Facts of the old kind (bounds, categories, ...) are dropped when the kind changes.
        """
        if name not in self.names:
            raise SchemaError(
                f"a column declared must be in the schema, however, {name!r} is not among {listing(self.names)}"
            )
        old = self[name]
        kept = old.model_dump(exclude_unset=True) if changes.get("kind", old.kind) == old.kind else {"name": name}
        new = {**kept, "nullable": old.nullable, **changes}
        columns = [new if column.name == name else column.model_dump() for column in self.columns]
        declared = (*self.declared, name) if self.inferred else ()
        return Schema(columns=columns, inferred=self.inferred, declared=declared, origin=self.origin)

    def check(self, table: pa.Table) -> pa.Table:
        """Return the schema's columns of `table`, in the schema's order, once they are found to obey it.

        Raises:
            TableError: A column is absent or unknown, or a value is outside its kind, categories or bounds.
        """
        from synthvae import checks

        return checks.check_table(self, table)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the schema as YAML, and write it to `path` if given.

        Raises:
            DatasetError: It cannot be written.
        """
        text = pages.dump(self.page())
        if path is not None:
            atomic.export(Path(path), text.encode())
        return text

    def page(self) -> dict[str, Any]:
        """What is written down of the schema, in plain values."""
        page = self.model_dump(mode="json", exclude_defaults=True)
        rows = zip(self.columns, page["columns"], strict=True)
        return {**page, "columns": [{"name": c.name, "kind": c.kind, **row} for c, row in rows]}

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read a schema from a YAML file, or from YAML text that has more than one line.

        Raises:
            SchemaError: It cannot be read, is no schema, is longer than 64 MiB or a million values, or has aliases or a
                key twice; the message names the file.
            FileNotFoundError: There is no such file.
        """
        if isinstance(source, str) and "\n" in source:
            return cls._from_text(source)
        try:
            return cls._from_text(pages.read(Path(source), LARGEST_PAGE))
        except ValueError as error:
            raise SchemaError(f"{source}: {'' if isinstance(error, SchemaError) else 'a schema '}{error}") from error

    @classmethod
    def _from_text(cls, text: str) -> Schema:
        try:
            page = pages.load(text, MOST_VALUES)
        except ValueError as error:
            raise SchemaError(f"a schema {error}") from error
        if not isinstance(page, dict):
            raise SchemaError(f"a schema must be a mapping with `columns`, however, it is a {type(page).__name__}")
        return cls(**{str(key): value for key, value in page.items()})
