"""Convert tables of any source to Arrow, and back to pandas.

`read` returns a `pyarrow.Table` for pandas, Arrow, polars, CSV and Parquet. The metadata of its schema records the
original container, so that `to_pandas` is the inverse of `read`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
from pandas.api.types import is_object_dtype

from synthvae.errors import TableError, TableTypeError
from synthvae.tables import databases, files, labels, objects, text_forms, untrusted, written_forms
from synthvae.tables.arrow import (
    check_names,
    exact_as_double,
    has_view,
    with_distinct_categories,
    without_views,
)
from synthvae.tables.databases import DatabaseUrl
from synthvae.tables.read_options import ReadOptions

if TYPE_CHECKING:
    from typing import TypeAlias


TableLike: TypeAlias = "pd.DataFrame | pa.Table | str | Path | Any"

_METADATA_KEY = b"synthvae"
LARGE_TEXT = pd.ArrowDtype(pa.large_string())
OBJECTS = {"date", "time", "Decimal", "UUID"}  # of which Arrow holds columns, but no categories


def read(source: TableLike, *, options: ReadOptions | None = None) -> pa.Table:
    """Return `source` as an Arrow table with one chunk per column.

    Args:
        source: A DataFrame, a `pyarrow.Table`, a dataset, an object with the Arrow PyCapsule interface (polars), or the
            path of a CSV file, a Parquet file, or a folder of such files; see `files` for other formats, and
            `databases` for URLs.
        options: How the table is written in its file. Text stays as it is written.

    Raises:
        TableError: The file is damaged, a column name is empty or a duplicate, or a column mixes types.
        TableTypeError: `source` is not a table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path, DatabaseUrl)):
        table = _tag(_stored(source, options or ReadOptions()), {"container": "file"})
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
    if str(source).strip() == "":
        raise TableError("A table must be a path, a URL, a DataFrame or an Arrow table, got an empty text.")
    if not databases.is_url(source):
        return files.read(Path(cast("str", source)), options)
    url = source if isinstance(source, DatabaseUrl) else DatabaseUrl.parse(str(source))
    options.check_taken("database")
    found = databases.read(url, options.query)
    return text_forms.without_sentinels(found, options)


def as_read(table: pa.Table) -> pa.Table:
    """Return a table that was read from a file as `read` returns it."""
    return _prepared(_tag(table, {"container": "file"}))


def is_file(table: pa.Table) -> bool:
    """Whether a table was read from a file, whose columns may have no types."""
    return bool(_origin(table.schema)["container"] == "file")


def _prepared(table: pa.Table) -> pa.Table:
    check_names(table.column_names)
    columns = [with_distinct_categories(column) for column in table.columns]
    return untrusted.without_nan(pa.table(columns, schema=table.schema)).combine_chunks()


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return `table` as a DataFrame with the dtypes and column names of the original table."""
    origin = _of_columns(_origin(table.schema), table.column_names)
    if origin["container"] == "arrow":
        return cast("pd.DataFrame", table.to_pandas(types_mapper=pd.ArrowDtype))
    arrow, python = origin.get("arrow", ()), origin.get("object", ())
    frame: pd.DataFrame = table.select([name for name in table.column_names if name not in arrow]).to_pandas()
    frame.columns = pd.Index([name for name in table.column_names if name not in arrow], dtype=object)
    for name in python:
        if not is_object_dtype(frame[name].dtype):
            frame[name] = pd.Series(table.column(name).to_pylist(), dtype=object)
    strings = {name: pd.StringDtype(storage) for name, storage in origin.get("string", {}).items()}
    frame = frame.astype(strings)
    for name in arrow:
        kind = table.schema.field(name).type
        frame.insert(table.column_names.index(name), name, pd.array(table.column(name), dtype=pd.ArrowDtype(kind)))
    for name, form in origin.get("text", {}).items():
        frame[name] = pd.Series(
            objects.restored(frame[name].where(frame[name].notna(), None).tolist(), form), dtype=object
        )
    for name, fill in origin.get("sparse", {}).items():
        frame[name] = frame[name].astype(pd.SparseDtype(frame[name].dtype, np.nan if fill is None else fill))
    frame = objects.as_given(_with_large(table, frame), origin)
    frame.columns = labels.from_json(table.column_names, origin)
    return frame


def to_written(table: pa.Table) -> pd.DataFrame:
    """Return `table` as `to_pandas` does, with numbers and booleans as its CSV file writes them."""
    return written_forms.as_written(to_pandas(table), _origin(table.schema).get("written", {}))


def written_like(frame: pd.DataFrame, table: pa.Table) -> pa.Table:
    """Return a DataFrame as Arrow, whose columns a CSV file writes as the file of `table` wrote those of its names."""
    own, forms = read(frame), _origin(table.schema).get("written", {})
    return _tag(own, {**_origin(own.schema), "written": forms}) if forms else own


def _of_columns(origin: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """What the origin states of columns that the table still has: weights, and columns that are dropped, are not."""
    kept = dict(origin)
    for key in {"arrow", "object", "nan", "timestamp"} & kept.keys():
        kept[key] = [name for name in kept[key] if name in names]
    for key in {"string", "text", "sparse", "categories", "written"} & kept.keys():
        kept[key] = {name: what for name, what in kept[key].items() if name in names}
    return kept


def _with_large(table: pa.Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The table with whole numbers that doubles would round, beside missing values, as nullable integers."""
    for field in table.schema:
        values = table.column(field.name)
        if pa.types.is_integer(field.type) and values.null_count and not exact_as_double(values):
            frame[field.name] = pd.array(
                values.to_pylist(), dtype="UInt64" if pa.types.is_uint64(field.type) else "Int64"
            )
    return frame


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    if frame.columns.nlevels > 1:
        raise TableError("Column names must have one level, got a MultiIndex. Join the levels first.")
    check_names(names)
    frame = _without_views(frame)
    dtypes = dict(zip(names, frame.dtypes, strict=True))
    _refuse_extensions(frame)
    labels.warn_of_others(frame.columns)
    given = frame
    frame, objects_as_text = objects.as_text(frame)
    sparse = {name: dtype for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.SparseDtype)}
    origin = {
        "container": "pandas",
        "object": [name for name, dtype in dtypes.items() if is_object_dtype(dtype)],
        "arrow": [name for name, dtype in dtypes.items() if isinstance(dtype, pd.ArrowDtype)],
        "labels": labels.to_json(frame.columns),
        "string": {name: dtype.storage for name, dtype in dtypes.items() if _is_nullable_string(dtype)},
    }
    origin |= {name: found for name, found in objects.origins(given).items() if found}
    if objects_as_text:
        origin["text"] = objects_as_text
    if sparse:
        origin["sparse"] = {str(name): _plain(dtype.fill_value) for name, dtype in sparse.items()}
    if frame.columns.name is not None:
        origin["columns_name"] = labels.label_to_json(frame.columns.name)
    dense = frame.astype({name: dtype.subtype for name, dtype in sparse.items()})
    try:
        return _tag(without_views(pa.Table.from_pandas(dense, preserve_index=False)), origin)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise TableError(_conversion_message(frame, error)) from error


def _without_views(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with columns of string views, which pandas holds and does not know, as large strings."""
    for place, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, pd.ArrowDtype) and has_view(dtype.pyarrow_dtype):
            texts = pa.array(frame.iloc[:, place]).cast(pa.large_string())
            columns = [frame.iloc[:, other] for other in range(frame.shape[1])]
            columns[place] = pd.Series(pd.array(texts, dtype=LARGE_TEXT), index=frame.index)
            frame = pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)
    return frame


def _plain(value: Any) -> Any:
    """A fill value for JSON; None for a missing one."""
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def _refuse_extensions(frame: pd.DataFrame) -> None:
    """Refuse, in one message, columns of intervals, periods and categories that are neither texts nor numbers."""
    problems = []
    for name, dtype in frame.dtypes.items():
        kind = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype
        if isinstance(kind, (pd.IntervalDtype, pd.PeriodDtype)):
            problems.append((name, str(kind), "astype(str)"))
        elif kind is not dtype and kind.kind in "mM":
            problems.append((name, f"categories of type {kind}", f"astype({str(kind)!r})"))
        elif kind is not dtype and is_object_dtype(kind):
            found = sorted({type(value).__name__ for value in dtype.categories} - {"str", "int", "float", "bool"})
            if found:
                way = "astype(object)" if set(found) <= OBJECTS else "astype(str)"
                problems.append((name, f"categories of type {', '.join(found)}", way))
    if problems:
        shown = "; ".join(f"{str(name)!r}: {kind}, use `frame[{name!r}].{way}`" for name, kind, way in problems)
        raise TableError(f"Columns must have types that Parquet holds, got others ({shown}). Convert them first.")


def _is_nullable_string(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA


def _conversion_message(frame: pd.DataFrame, whole: Exception) -> str:
    for name, column in frame.items():
        try:
            pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            types = sorted({type(value).__name__ for value in column[column.notna()].head(1000)})
            found = (
                f"a mix of {' and '.join(types)}" if len(types) > 1 else f"{types[0] if types else column.dtype} values"
            )
            found += _reason(error)
            return (
                f"Column {str(name)!r}: all values must have one type that Arrow supports, got {found}. "
                f"Convert it to one type, such as text (`frame[{name!r}].astype(str)`), or drop it."
            )
    return f"The DataFrame cannot be converted to an Arrow table ({whole})."


def _reason(error: Exception) -> str:
    """What a type alone does not say: numbers that are too large, text that is not Unicode."""
    if isinstance(error, UnicodeError):
        return " that are not valid Unicode"
    return " beyond 64 bits" if isinstance(error, OverflowError) else ""


def _from_arrow(table: pa.Table) -> pa.Table:
    metadata = table.schema.metadata or {}
    if _METADATA_KEY in metadata:
        return table
    return _tag(without_views(table), {"container": "pandas" if b"pandas" in metadata else "arrow"})


def _tag(table: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    metadata = {**(table.schema.metadata or {})}
    if forms := metadata.pop(written_forms.KEY, None):
        origin = {**origin, "written": json.loads(forms)}
    metadata[_METADATA_KEY] = json.dumps(origin).encode()
    if (pandas_metadata := untrusted.pandas_metadata(table.schema)) is None:
        metadata.pop(b"pandas", None)
    else:  # a saved index becomes a column
        metadata[b"pandas"] = json.dumps({**pandas_metadata, "index_columns": []}).encode()
    return table.replace_schema_metadata(metadata)


def _origin(schema: pa.Schema) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((schema.metadata or {}).get(_METADATA_KEY, b'{"container": "file"}')))
