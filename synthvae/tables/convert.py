"""Convert tables of any source to Arrow, and back to pandas.

`read` returns a `pyarrow.Table` for pandas, Arrow, polars, CSV and Parquet. The metadata of its schema records the
original container, so that `to_pandas` is the inverse of `read`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
from pandas.api.types import is_object_dtype

from synthvae.errors import TableError, TableTypeError
from synthvae.tables import databases, files, text_forms, untrusted
from synthvae.tables.arrow import check_names
from synthvae.tables.databases import DatabaseUrl
from synthvae.tables.read_options import ReadOptions

if TYPE_CHECKING:
    from typing import TypeAlias


TableLike: TypeAlias = "pd.DataFrame | pa.Table | str | Path | Any"

_METADATA_KEY = b"synthvae"


def read(source: TableLike, *, encoding: str = "utf-8", options: ReadOptions | None = None) -> pa.Table:
    """Return `source` as an Arrow table with one chunk per column.

    Args:
        source: A DataFrame, a `pyarrow.Table`, a dataset, an object with the Arrow PyCapsule interface (polars), or the
            path of a CSV file, a Parquet file, or a folder of such files; see `files` for other formats, and
            `databases` for URLs.
        encoding: Character encoding of CSV files.
        options: How the table is written in its file, instead of `encoding`.

    Raises:
        TableError: The file is damaged, a column name is empty or a duplicate, or a column mixes types.
        TableTypeError: `source` is not a table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path, DatabaseUrl)):
        table = _tag(_stored(source, options or ReadOptions(encoding=encoding)), {"container": "file"})
    elif isinstance(source, pd.DataFrame):
        table = _from_pandas(source)
    elif isinstance(source, pa.dataset.Dataset):
        table = _tag(source.to_table(), {"container": "file"})
    elif hasattr(source, "__arrow_c_stream__") and not isinstance(source, pd.Series):
        table = _from_arrow(pa.table(source))
    else:
        raise TableTypeError(
            "A table must be a DataFrame, a pyarrow.Table, a polars DataFrame or a path, "
            f"got a {type(source).__name__}."
        )
    return _prepared(table)


def _stored(source: str | Path | DatabaseUrl, options: ReadOptions) -> pa.Table:
    """The table in a file, a folder or a database."""
    if not databases.is_url(source):
        return files.read(Path(cast("str", source)), options)
    url = source if isinstance(source, DatabaseUrl) else DatabaseUrl.parse(str(source))
    options.check_taken("database")
    found = databases.read(url, options.query)
    return text_forms.typed(text_forms.without_sentinels(found, options), options)


def as_read(table: pa.Table) -> pa.Table:
    """Return a table that was read from a file as `read` returns it."""
    return _prepared(_tag(table, {"container": "file"}))


def _prepared(table: pa.Table) -> pa.Table:
    check_names(table.column_names)
    return untrusted.without_nan(table).combine_chunks()


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return `table` as a DataFrame with the dtypes and column names of the original table."""
    origin = _origin(table.schema)
    if origin["container"] == "arrow":
        return cast("pd.DataFrame", table.to_pandas(types_mapper=pd.ArrowDtype))
    arrow, objects = origin.get("arrow", ()), origin.get("object", ())
    frame: pd.DataFrame = table.select([name for name in table.column_names if name not in arrow]).to_pandas()
    frame.columns = pd.Index([name for name in table.column_names if name not in arrow], dtype=object)
    for name in objects:
        if not is_object_dtype(frame[name].dtype):
            frame[name] = pd.Series(table.column(name).to_pylist(), dtype=object)
    strings = {name: pd.StringDtype(storage) for name, storage in origin.get("string", {}).items()}
    frame = frame.astype(strings)
    for name in arrow:
        kind = table.schema.field(name).type
        frame.insert(table.column_names.index(name), name, pd.array(table.column(name), dtype=pd.ArrowDtype(kind)))
    labels = origin.get("labels", {})
    frame.columns = pd.Index([labels.get(name, name) for name in table.column_names])
    return frame


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    if frame.columns.nlevels > 1:
        raise TableError("Column names must have one level, got a MultiIndex. Join the levels first.")
    check_names(names)
    dtypes = dict(zip(names, frame.dtypes, strict=True))
    labels = {str(label): label for label in frame.columns if isinstance(label, int)}
    origin = {
        "container": "pandas",
        "object": [name for name, dtype in dtypes.items() if is_object_dtype(dtype)],
        "arrow": [name for name, dtype in dtypes.items() if isinstance(dtype, pd.ArrowDtype)],
        "labels": labels,
        "string": {name: dtype.storage for name, dtype in dtypes.items() if _is_nullable_string(dtype)},
    }
    sparse = {name: dtype.subtype for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.SparseDtype)}
    try:
        return _tag(_viewless(pa.Table.from_pandas(frame.astype(sparse), preserve_index=False)), origin)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise TableError(_conversion_message(frame, error)) from error


def _is_nullable_string(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA


def _viewless(table: pa.Table) -> pa.Table:
    """The table with string views, as polars has them, as strings, since many Arrow functions do not support views."""
    for position, field in enumerate(table.schema):
        if _has_view(field.type):
            table = table.set_column(position, field.name, _without_view(table.column(position)))
    return table


def _has_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _without_view(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.cast(pa.dictionary(kind.index_type, pa.large_string(), kind.ordered))
    return values.cast(pa.large_string())


def _conversion_message(frame: pd.DataFrame, error: Exception) -> str:
    for name, column in frame.items():
        try:
            pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError):
            types = sorted({type(value).__name__ for value in column[column.notna()].head(1000)})
            found = f"a mix of {' and '.join(types)}" if len(types) > 1 else f"{column.dtype} values"
            return (
                f"Column {str(name)!r}: all values must have one type that Arrow supports, got {found}. "
                "Convert it to one type, or drop it."
            )
    return f"The DataFrame cannot be converted to an Arrow table ({error})."


def _from_arrow(table: pa.Table) -> pa.Table:
    metadata = table.schema.metadata or {}
    if _METADATA_KEY in metadata:
        return table
    return _tag(_viewless(table), {"container": "pandas" if b"pandas" in metadata else "arrow"})


def _tag(table: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(origin).encode()}
    if (pandas_metadata := untrusted.pandas_metadata(table.schema)) is None:
        metadata.pop(b"pandas", None)
    else:  # a saved index becomes a column
        metadata[b"pandas"] = json.dumps({**pandas_metadata, "index_columns": []}).encode()
    return table.replace_schema_metadata(metadata)


def _origin(schema: pa.Schema) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((schema.metadata or {}).get(_METADATA_KEY, b'{"container": "file"}')))
