"""Public knowledge of a table: which columns it has, of which kind, inside which bounds.

A schema says nothing that a data-protection officer could not read aloud. It is the one door: `Schema.check` is
called once on every table, and nothing behind it checks again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import (
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

from synthvae.errors import SchemaError, TableError, listing
from synthvae.writing import find_style

Kind = Literal["categorical", "integer", "continuous", "boolean", "datetime", "date", "id"]
Value = StrictBool | StrictInt | StrictFloat | StrictStr


def _plain(value: Any) -> Any:
    """NumPy scalars, as they come from `frame.unique()` or `min()`, become Python's."""
    return value.item() if hasattr(value, "item") else value


def _plain_items(values: Any) -> Any:
    if values is None or isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return values
    return tuple(_plain(value) for value in values)


def _moments(values: Any) -> Any:
    """ISO text, as JSON has it, becomes a date or datetime."""
    if not isinstance(values, tuple):
        return values
    return tuple(_moment(value) if isinstance(value, str) else value for value in values)


def _moment(text: str) -> dt.date:
    return dt.date.fromisoformat(text) if len(text) == len("2020-12-31") else dt.datetime.fromisoformat(text)


Values = Annotated[tuple[Value, ...], BeforeValidator(_plain_items)]
Bound = StrictInt | StrictFloat | dt.datetime | dt.date
Bounds = Annotated[tuple[Bound, Bound], BeforeValidator(lambda values: _moments(_plain_items(values)))]

MAX_MARKS = 64
MAX_DECIMALS = 15  # a double has no more
NUMERIC: tuple[Kind, ...] = ("integer", "continuous")
TEMPORAL: tuple[Kind, ...] = ("datetime", "date")


class Column(BaseModel):
    """One column of a table.

    Args:
        name: Its name.
        kind: What its values mean.
        categories: The known values of a categorical column, in order if `ordered`; learned from the table if absent.
        ordered: Whether the categories have an order.
        bounds: Smallest and largest value of a number, datetime or date.
        decimals: Digits after the point that a continuous value carries; learned from the table if absent.
        nullable: Whether a value may be missing.
        marks: Values that stand among the numbers without being one, such as "N" or -9, kept as they are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    kind: Kind
    categories: Values | None = None
    ordered: bool = False
    bounds: Bounds | None = None
    decimals: int | None = None
    nullable: bool = True
    marks: Values = ()

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            what = explain(error)
            named = what if what.startswith("column ") else f"column {data.get('name', '')!r}: {what}"
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    inferred: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = self.names
        if not names:
            raise ValueError("a schema must have at least one column, however, it has none")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"column names must be distinct, however, {twice} occur more than once")
        return self

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(explain(error)) from error

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
        return Schema(columns=columns, inferred=self.inferred)

    def check(self, table: pa.Table) -> pa.Table:
        """Return the schema's columns of `table`, in the schema's order, once they are found to obey it.

        Raises:
            TableError: A column is absent or unknown, or a value is outside its kind, categories or bounds.
        """
        return _check_table(self, table)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the schema as YAML, and write it to `path` if given."""
        page = self.model_dump(mode="json", exclude_defaults=True)
        page["columns"] = [
            {"name": c.name, "kind": c.kind, **row} for c, row in zip(self.columns, page["columns"], strict=True)
        ]
        text = yaml.safe_dump(page, sort_keys=False, allow_unicode=True, width=120)
        if yaml.safe_load(text) != page:  # a name holds what YAML takes for the end of a line
            text = yaml.safe_dump(page, sort_keys=False, width=120)
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read a schema from a YAML file, or from YAML text that has more than one line."""
        text = source if isinstance(source, str) and "\n" in source else Path(source).read_text(encoding="utf-8")
        try:
            page = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SchemaError(f"a schema must be YAML, however, {' '.join(str(error).split())}") from error
        if not isinstance(page, dict):
            raise SchemaError(f"a schema must be a mapping with `columns`, however, it is a {type(page).__name__}")
        return cls(**{str(key): value for key, value in page.items()})


_UNION_PARTS = {"int", "float", "bool", "str", "datetime", "date"}  # what pydantic calls the sides of a union


def explain(error: ValidationError) -> str:
    """The first mistake that pydantic found, on one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if str(part) not in _UNION_PARTS)
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where and not what.startswith(("column ", "a schema ")) else what


def _check_table(schema: Schema, table: pa.Table) -> pa.Table:
    if table.num_rows == 0:
        raise TableError("a table must have rows, however, it is empty")
    absent = [name for name in schema.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in schema.names]
    if absent:
        raise TableError(
            f"the table must have all columns of its schema, however, it lacks {listing(absent)}: add them"
        )
    if unknown:
        raise TableError(
            f"the table must have only columns of its schema, however, it has {listing(unknown)}: drop them"
        )
    table = table.select(schema.names)
    for column in schema.columns:
        for fact in _violations(column, table.column(column.name)):
            raise TableError(f"column {column.name!r}: {fact}")
    return table


def _violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if not column.nullable and values.null_count:
        yield f"no value may be missing, however, {values.null_count} are: fill them or declare `nullable: true`"
    if pa.types.is_nested(values.type):
        yield f"nested values ({values.type}) cannot be learned: flatten them into columns or drop it"
    if column.kind in NUMERIC:
        yield from _numeric_violations(column, values)
    elif column.kind in TEMPORAL:
        yield from _temporal_violations(column, values)
    elif column.kind == "id":
        yield from _id_violations(values)
    elif column.kind == "boolean" and column.categories is None and not pa.types.is_boolean(values.type):
        yield f"values must be boolean, however, they are {values.type}: declare `categories` or `kind: categorical`"
    elif not _has_categories(values.type):
        yield f"categories must be texts, numbers or booleans, however, they are {values.type}: declare another kind"
    elif column.categories is not None:
        yield from _category_violations(column, values)


def _has_categories(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    simple = is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return bool(simple or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numeric_violations(  # noqa: PLR0911 (each rule ends the list)
    column: Column, values: pa.ChunkedArray
) -> Iterator[str]:
    if pa.types.is_dictionary(values.type):
        yield f"a {values.type} column must be of kind categorical, however, it is {column.kind}: declare or convert it"
        return
    if not is_text(values.type) and any(isinstance(mark, str) and _is_number(mark) for mark in column.marks):
        yield f"`marks` of a column of numbers must not be numbers in text, however, they are {list(column.marks)}"
        return
    numbers, others = split_marks(values, column.marks)
    if others:
        yield (
            f"values must be numbers, however, there is {others[0]!r}: "
            f"declare it under `marks`, or the column as `kind: categorical`"
        )
        return
    if pc.any(pc.is_inf(numbers)).as_py():
        yield "values must be finite, however, there is an infinity: make it missing or cut it off"
        return
    if is_text(values.type) and find_style(_texts(values, column.marks)) is None:
        yield "numbers in text must be written in one way, however, they are not: declare `kind: categorical`"
        return
    if column.kind == "integer" and pc.any(pc.not_equal(numbers, pc.round(numbers))).as_py():
        yield "values must be whole numbers, however, there are fractions: declare `kind: continuous`"
        return
    if not exact_as_double(values):
        yield (
            "whole numbers must lie within ±2**53, decimal ones have at most 15 digits, beyond which they cannot be "
            "learned exactly, however, there are longer ones: declare `kind: categorical` or `kind: id`, or round them"
        )
        return
    if column.bounds is not None:
        span = pc.min_max(numbers).as_py()
        low, high = column.bounds
        if span["min"] is not None and (span["min"] < low or span["max"] > high):
            yield (
                f"values must lie in its bounds [{low}, {high}], however, they span [{span['min']}, {span['max']}]: "
                "widen the bounds or cut the values"
            )


def _texts(values: pa.ChunkedArray, marks: Iterable[Any]) -> set[str]:
    return set(pc.unique(values.drop_null()).to_pylist()) - {str(mark) for mark in marks}


def split_marks(values: pa.ChunkedArray, marks: Iterable[Any]) -> tuple[pa.ChunkedArray, list[Any]]:
    """Return the numbers of a column as doubles (missing where a mark stands), and what is neither number nor mark."""
    if is_text(values.type):
        known = pc.is_in(values, value_set=pa.array([str(mark) for mark in marks], values.type))
        values = pc.if_else(known, pa.scalar(None, values.type), values)
        try:
            return pc.cast(values, pa.float64()), []
        except pa.ArrowInvalid:
            return values, [text for text in pc.unique(values).to_pylist() if text is not None and not _is_number(text)]
    if pa.types.is_null(values.type):
        return values.cast(pa.float64()), []
    numbers = to_double(values)
    if numbers is None:
        return values, values.drop_null().slice(0, 1).to_pylist()
    known = pc.is_in(numbers, value_set=pa.array([m for m in marks if not isinstance(m, str)], pa.float64()))
    numbers = pc.if_else(known, pa.scalar(None, pa.float64()), numbers)
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers), []


LARGEST_EXACT = 2**53


def exact_as_double(values: pa.ChunkedArray) -> bool:
    """Whether all numbers of a column are such that a double tells them from their neighbours."""
    if pa.types.is_decimal(values.type):
        return all(
            len(number.as_tuple().digits) <= MAX_DECIMALS for number in pc.unique(values.drop_null()).to_pylist()
        )
    if not pa.types.is_integer(values.type) or values.null_count == len(values):
        return True
    span = pc.min_max(values).as_py()
    return bool(span["min"] >= -LARGEST_EXACT and span["max"] <= LARGEST_EXACT)


def to_double(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Numbers, durations and times of day as doubles; None for any other type."""
    kind = values.type
    if pa.types.is_duration(kind) or pa.types.is_time64(kind):
        values = values.cast(pa.int64())
    elif pa.types.is_time32(kind):
        values = values.cast(pa.int32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    return pc.cast(values, pa.float64(), safe=False)


def _is_number(text: str) -> bool:
    try:
        return bool(pc.cast(pa.scalar(text), pa.float64()).is_valid)
    except pa.ArrowInvalid:
        return False


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of the string types."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def temporal_type(column: Column, kind: pa.DataType) -> pa.DataType:
    """The Arrow type in which a datetime or date column of type `kind` (maybe ISO text) is reckoned."""
    if not is_text(kind):
        return kind
    return pa.date32() if column.kind == "date" else pa.timestamp("s")


def _id_violations(values: pa.ChunkedArray) -> Iterator[str]:
    kind = values.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        yield f"ids must be texts or whole numbers, however, they are {kind}: declare another kind or drop it"


def _temporal_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if pa.types.is_time(values.type) or not (
        pa.types.is_temporal(values.type) or is_text(values.type) or pa.types.is_null(values.type)
    ):
        yield f"values must be dates or ISO text, however, they are {values.type}: convert them"
        return
    try:
        moments = values.cast(temporal_type(column, values.type))
    except pa.ArrowInvalid as error:
        yield f"text must be ISO dates (2020-12-31) or datetimes, however, {str(error).splitlines()[0]}: convert it"
        return
    if is_text(values.type) and not pc.all(pc.equal(moments.cast(values.type), values)).as_py():
        yield "text must be dates (2020-12-31) or datetimes (2020-12-31 23:59:59) of this form: convert or drop it"
        return
    if column.bounds is not None:
        span = pc.min_max(moments).as_py()
        low = _comparable(column.bounds[0], span["min"], dt.time.min)
        high = _comparable(column.bounds[1], span["min"], dt.time.max)  # a day ends at midnight
        if span["min"] is not None and (span["min"] < low or span["max"] > high):
            yield f"values must lie in its bounds [{low}, {high}], however, they span [{span['min']}, {span['max']}]"


def _comparable(bound: Any, like: Any, time: dt.time) -> Any:
    """A bound as a date or datetime in the zone of the values; `time` completes a date."""
    if isinstance(like, dt.datetime):
        if not isinstance(bound, dt.datetime):
            bound = dt.datetime.combine(bound, time)
        return bound.replace(tzinfo=like.tzinfo) if bound.tzinfo is None else bound.astimezone(like.tzinfo)
    return bound.date() if isinstance(bound, dt.datetime) else bound


def _category_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    try:
        pa.array(column.categories).cast(kind)
    except pa.ArrowInvalid:
        yield f"`categories` must fit the column's type {kind}, however, {list(column.categories or ())[:5]} do not"
        return
    allowed = set(column.categories or ())
    seen = [value for value in pc.unique(values).to_pylist() if value is not None]
    unseen = [value for value in seen if value not in allowed]
    if unseen:
        shown = ", ".join(repr(value) for value in unseen[:3])
        yield (
            f"values must be among its {len(allowed)} categories, however, there "
            f"{'is' if len(unseen) == 1 else f'are {len(unseen)} others:'} {shown}: add to `categories` or clean it"
        )
