"""Types and values of the columns of Arrow tables: text, numbers beside sentinel values, timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.tables.number_format import NumberForm

MAX_DIGITS = 15  # significant decimal digits that a double represents exactly
MAX_DECIMALS = 12
MAX_COLUMNS = 100_000
LARGEST_EXACT = 2**53  # the whole numbers up to it are doubles
MAX_NUMBER_CLASSES = 20  # a whole-number target with more values is continuous


def check_names(names: list[str]) -> None:
    """Raise an error for too many columns, for columns with an empty name, and for duplicate names.

    Raises:
        TableError: There is one.
    """
    if len(names) > MAX_COLUMNS:
        raise TableError(
            f"A table must have at most {MAX_COLUMNS:,} columns, got {len(names):,}. Select those that you need."
        )
    if "" in names:
        raise TableError(
            f"Every column must have a name, got none for column {names.index('') + 1}. Name it, or drop a saved index."
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TableError(f"Column names must be distinct, got duplicates of {twice}. Rename or drop them.")


def split_sentinels(
    values: pa.ChunkedArray,
    sentinels: Iterable[Any],
    format: str | None = None,  # noqa: A002 (the field of a column)
) -> tuple[pa.ChunkedArray, list[Any]]:
    """Return the numbers of a column as doubles, missing at sentinel values, and the other non-numeric values.

    Args:
        values: The column.
        sentinels: The sentinel values.
        format: How its text writes the number 1234.5; None: in this way.
    """
    if is_text(values.type):
        known = are_sentinels(values, sentinels)
        values = pc.if_else(known, pa.scalar(None, values.type), values)
        if format is not None:
            plain = NumberForm.of(format).plain(values)
            others = pc.unique(values.filter(pc.and_(values.is_valid(), plain.is_null()))).to_pylist()
            return (values, others) if others else (pc.cast(plain, pa.float64()), [])
        try:
            return pc.cast(values, pa.float64()), []
        except pa.ArrowInvalid:
            return values, [text for text in pc.unique(values).to_pylist() if text is not None and not parses(text)]
    if pa.types.is_null(values.type):
        return values.cast(pa.float64()), []
    numbers = to_double(values)
    if numbers is None:
        return values, values.drop_null().slice(0, 1).to_pylist()
    numbers = pc.if_else(are_sentinels(values, sentinels), pa.scalar(None, pa.float64()), numbers)
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers), []


def are_sentinels(values: pa.ChunkedArray, sentinels: Iterable[Any]) -> pa.ChunkedArray:
    """Return which values (rows,) of a column are among its sentinel values.

    Texts are compared as texts, and numbers as numbers of the precision of the column, also with sentinel values that
    are written as text. Values of other types are never sentinel values.

    >>> are_sentinels(pa.chunked_array([[-9, 1, None]]), ["-9"]).to_pylist()
    [True, False, False]
    >>> are_sentinels(pa.chunked_array([["-9", "-9.0"]]), [-9]).to_pylist()
    [True, False]
    """
    kind, stated = values.type, list(sentinels)
    keys = values if is_text(kind) else to_double(values)
    if keys is None or not stated:
        return pa.chunked_array([pa.array(np.zeros(len(values), bool))])
    if is_text(kind):
        known = pa.array(map(str, stated), kind)
    else:
        known = pa.array([float(s) for s in stated if not isinstance(s, str) or parses(s)], pa.float64())
    if pa.types.is_floating(kind):  # -99.9 is another number in single precision
        known = known.cast(kind, safe=False).cast(pa.float64())
    return pc.is_in(keys, value_set=known)


def as_array(values: Sequence[Any]) -> pa.Array:
    """Return Python values as an array, of unsigned integers if one is 2**63 or more."""
    large = any(isinstance(value, int) and value >= 1 << 63 for value in values)
    return pa.array(values, pa.uint64() if large else None)


def are_classes(numbers: pa.ChunkedArray) -> bool:
    """Whether whole numbers of a target are class labels, since they have few distinct values."""
    return bool(pc.count_distinct(numbers, mode="only_valid").as_py() <= MAX_NUMBER_CLASSES)


def unit_numbers(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the number of the unit of each row (rows,): one for equal values, whatever their type; -1 if missing."""
    values = dense(values)  # a dictionary may hold a value twice
    if pa.types.is_floating(values.type):
        values = pc.add(values.cast(pa.float64()), 0.0)  # -0.0 is 0.0
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    numbers = values.combine_chunks().dictionary_encode().indices.fill_null(-1)
    return np.asarray(numbers.to_numpy(), np.int64)


def exact_as_double(values: pa.ChunkedArray) -> bool:
    """Whether doubles distinguish all numbers of a column from their neighbours."""
    if pa.types.is_decimal(values.type):
        return all(len(number.as_tuple().digits) <= MAX_DIGITS for number in pc.unique(values.drop_null()).to_pylist())
    if not pa.types.is_integer(values.type) or values.null_count == len(values):
        return True
    span = pc.min_max(values).as_py()
    return bool(span["min"] >= -LARGEST_EXACT and span["max"] <= LARGEST_EXACT)


def to_double(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return numbers, durations and times of day as doubles; None for any other type."""
    kind = values.type
    if pa.types.is_duration(kind) or pa.types.is_time64(kind):
        values = values.cast(pa.int64())
    elif pa.types.is_time32(kind):
        values = values.cast(pa.int32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    return pc.cast(values, pa.float64(), safe=False)


def countable(values: Any) -> Any:
    """Return half floats, which Arrow before 24 does not count, as single ones, and all other values as they are."""
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


def are_whole(values: pa.Array | pa.ChunkedArray) -> bool:
    """Whether floating numbers, of any width, are whole, as pandas stores whole numbers beside missing values."""
    numbers = values.cast(pa.float64())  # Arrow rounds no half floats
    return bool(pc.all(pc.equal(numbers, pc.round(numbers))).as_py())


def whole_as_text(values: pa.ChunkedArray, digits: int = 0) -> pa.ChunkedArray:
    """Return whole numbers as text, with zeros before those of fewer digits; values that are not whole as they are."""
    if pa.types.is_floating(values.type):  # how whole numbers with missing values are read
        try:
            values = values.cast(pa.int64())
        except pa.ArrowInvalid:
            return values
    return pc.utf8_lpad(values.cast(pa.string()), digits, "0") if pa.types.is_integer(values.type) else values


def parses(text: str) -> bool:
    """Whether Arrow can parse a text as a number."""
    try:
        return bool(pc.cast(pa.scalar(text), pa.float64()).is_valid)
    except pa.ArrowInvalid:
        return False


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a dictionary type, and any other type as it is."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def dense(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a column themselves, in the place of a dictionary.

    >>> dense(pa.chunked_array([["a", "b", "a"]]).dictionary_encode()).to_pylist()
    ['a', 'b', 'a']
    """
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def with_distinct_categories(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in whose dictionary, if it has one, no value is missing or twice, as pandas wants categories.

    >>> twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3]), pa.array(["a", "b", "a", None]))
    >>> column = with_distinct_categories(pa.chunked_array([twice]))
    >>> column.to_pylist(), column.chunk(0).dictionary.to_pylist()
    (['a', 'b', 'a', None], ['a', 'b'])
    """
    if not pa.types.is_dictionary(values.type) or pa.types.is_nested(values.type.value_type):
        return values
    dictionaries = [chunk.dictionary for chunk in values.chunks]
    if all(len(pc.unique(known).drop_null()) == len(known) for known in dictionaries):
        return values
    known = pc.unique(pa.concat_arrays(dictionaries)).drop_null()
    plain = pa.concat_arrays([chunk.dictionary_decode() for chunk in values.chunks])
    indices = pc.index_in(plain, known).cast(values.type.index_type)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(indices, known, ordered=values.type.ordered)])


def in_one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the values of a column themselves, in the place of a dictionary and of several chunks."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def has_view(kind: pa.DataType) -> bool:
    """Whether a type is one of string views, as polars has them, or a dictionary of them."""
    return bool(pa.types.is_string_view(plain_type(kind)))


def without_views(table: pa.Table) -> pa.Table:
    """Return a table with string views as large strings, since many Arrow functions do not support views.

    >>> str(without_views(pa.table({"x": pa.array(["a"], pa.string_view())})).schema.field("x").type)
    'large_string'
    """
    for place, field in enumerate(table.schema):
        if has_view(field.type):
            kind: pa.DataType = pa.large_string()
            if pa.types.is_dictionary(field.type):
                kind = pa.dictionary(field.type.index_type, kind, field.type.ordered)
            table = table.set_column(place, field.name, table.column(place).cast(kind))
    return table


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of the string types."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def temporal_type(kind: pa.DataType, *, date: bool) -> pa.DataType:
    """Return the Arrow type of timestamps of type `kind`; ISO text is a date if `date`, else a timestamp in seconds."""
    if not is_text(kind):
        return kind
    return pa.date32() if date else pa.timestamp("s")


def finite_numbers(name: str, numbers: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return the values that are not missing, as doubles.

    Raises:
        TableError: A value is infinite.
    """
    array = numbers.drop_null().to_numpy()
    array = array[~np.isnan(array)]
    if np.isinf(array).any():
        raise TableError(f"Column {name!r}: values must be finite, got an infinite one. Make it missing, or clip it.")
    return np.asarray(array, np.float64)


def count_decimals(numbers: npt.NDArray[np.float64], *, single: bool = False) -> int | None:
    """Return the fewest decimals that represent every number exactly; None if more than `MAX_DECIMALS`.

    Args:
        numbers: The numbers (rows,).
        single: Whether the numbers are of single precision, so that 0.1 is the nearest float32.
    """
    exact = numbers.astype(np.float32) if single else numbers
    with np.errstate(over="ignore", invalid="ignore"):  # 1e308 has no decimals
        for digits in range(MAX_DECIMALS + 1):
            if np.array_equal(np.round(numbers, digits).astype(exact.dtype), exact):
                return digits
    return None
