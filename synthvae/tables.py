"""Read a table from wherever it is. The only reader of the package.

Whatever comes in (pandas, Arrow, polars, CSV, Parquet) leaves as a `pyarrow.Table` whose schema remembers, in its
metadata, what is needed to hand rows back as they came: `to_pandas` is the inverse of `read`.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
from pandas.api.types import is_object_dtype

from synthvae import foreign
from synthvae.errors import TableError, TableTypeError

if TYPE_CHECKING:
    from typing import TypeAlias

TableLike: TypeAlias = "pd.DataFrame | pa.Table | str | Path | Any"

_METADATA_KEY = b"synthvae"
_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".csv.bz2", ".csv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")


def read(source: TableLike, *, encoding: str = "utf-8", as_text: bool = False) -> pa.Table:
    """Return `source` as an Arrow table with one chunk per column.

    Args:
        source: A DataFrame, a `pyarrow.Table`, a dataset, anything that speaks the Arrow PyCapsule interface (polars),
            or the path of a CSV file, a Parquet file, or a folder of either.
        encoding: Character encoding of CSV files.
        as_text: Whether the columns of CSV files stay text, so that no row has a say in the type of another.

    Raises:
        TableError: The file is damaged, a name is empty or twice there, or a column mixes types.
        TableTypeError: `source` is not a table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path)):
        table = _tag(_read_path(Path(source), encoding, as_text=as_text), {"container": "file"})
    elif isinstance(source, pd.DataFrame):
        table = _from_pandas(source)
    elif isinstance(source, pa.dataset.Dataset):
        table = _tag(source.to_table(), {"container": "file"})
    elif hasattr(source, "__arrow_c_stream__") and not isinstance(source, pd.Series):
        table = _from_arrow(pa.table(source))
    else:
        raise TableTypeError(
            "a table must be a DataFrame, a pyarrow.Table, a polars DataFrame or a path, however, "
            f"it is a {type(source).__name__}"
        )
    return foreign.without_nan(check_names(table)).combine_chunks()


def check_names(table: pa.Table) -> pa.Table:
    """Return `table` if its column names are present and distinct."""
    _check_names(table.column_names)
    return table


def _check_names(names: list[str]) -> None:
    if "" in names:
        raise TableError(
            f"every column needs a name, however, column {names.index('') + 1} has none: name it, or drop a saved index"
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TableError(f"column names must be distinct, however, {twice} occur more than once: rename or drop them")


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return `table` as a DataFrame with the dtypes and column names of the table it was modelled on."""
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
        raise TableError("column names must be plain, however, they form a MultiIndex: join the levels first")
    _check_names(names)
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
    """String views, which polars makes, as plain strings: Arrow's own functions do not know views yet."""
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
            found = f"mixes {' and '.join(types)}" if len(types) > 1 else f"holds {column.dtype} values"
            return (
                f"column {str(name)!r}: all values must have one type that Arrow knows, however, it {found}: "
                "convert it to one type or drop it"
            )
    return f"the DataFrame cannot be read as a table: {error}"


def _from_arrow(table: pa.Table) -> pa.Table:
    metadata = table.schema.metadata or {}
    if _METADATA_KEY in metadata:
        return table
    return _tag(_viewless(table), {"container": "pandas" if b"pandas" in metadata else "arrow"})


def _tag(table: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(origin).encode()}
    if (said := foreign.pandas_metadata(table.schema)) is None:
        metadata.pop(b"pandas", None)
    else:  # an index that was saved is a column like any other
        metadata[b"pandas"] = json.dumps({**said, "index_columns": []}).encode()
    return table.replace_schema_metadata(metadata)


def _origin(schema: pa.Schema) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((schema.metadata or {}).get(_METADATA_KEY, b'{"container": "file"}')))


def _read_path(path: Path, encoding: str, *, as_text: bool) -> pa.Table:
    if not path.exists():
        raise FileNotFoundError(f"no such table: {path}")
    name = path.name.lower()
    with _reading(path):
        if path.is_dir():
            return _read_folder(path, encoding, as_text=as_text)
        if name.endswith(_PARQUET_SUFFIXES):
            return _read_parquet(path)
        if name.endswith(_CSV_SUFFIXES):
            return _read_csv(path, encoding, as_text=as_text)
    raise TableError(
        f"a table file must end in {', '.join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))}, however, it is {path.name!r}"
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except TableError:
        raise
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} must be text in {error.encoding}, however, byte {error.object[error.start]:#x} is not: "
            "name its encoding (`--encoding latin-1`) or save it as UTF-8"
        ) from error
    except LookupError as error:
        raise TableError(f"a character encoding must be known, however, {error}: try utf-8 or latin-1") from error
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise TableError(f"{path} cannot be read as a table ({reason}): check the file or write it again") from error


def _read_folder(path: Path, encoding: str, *, as_text: bool) -> pa.Table:
    files = [f.name.lower() for f in path.rglob("*") if f.is_file() and not f.name.startswith(("_", "."))]
    if any(f.endswith(_PARQUET_SUFFIXES) for f in files):
        return _read_parquet(path)
    csv = sorted(f for f in path.iterdir() if f.name.lower().endswith(_CSV_SUFFIXES))
    if not csv:
        raise TableError(f"a folder must hold Parquet or CSV files, however, {path} holds none")
    return pa.concat_tables([_read_csv(f, encoding, as_text=as_text) for f in csv], promote_options="permissive")


def _read_parquet(path: Path) -> pa.Table:
    foreign.refuse_large_parquet(path)
    table = check_names(pa.parquet.read_table(path))
    table.validate(full=True)  # texts that are no texts would be found much later
    return table


def _read_csv(path: Path, encoding: str, *, as_text: bool) -> pa.Table:
    """Read as pandas does, or as text, but only an empty field is missing: "NA" or "None" may be a category."""
    foreign.refuse_large_csv(path)
    parse = pa.csv.ParseOptions(delimiter=_delimiter_of(path, encoding), newlines_in_values=True)
    options = {"read_options": pa.csv.ReadOptions(encoding=encoding), "parse_options": parse}
    convert = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
    return (_read_text if as_text else _read_typed)(path, encoding, options, convert)


def _delimiter_of(path: Path, encoding: str) -> str:
    """The mark between the fields of a CSV file."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise TableError(f"{path} must hold a header and rows, however, it is empty")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise TableError(f"{path} must be text in {encoding}, however, it is UTF-16: name it (`--encoding utf-16`)")
    return "\t" if ".tsv" in path.suffixes else _delimiter(head.decode(encoding, errors="replace"))


def _read_text(path: Path, encoding: str, options: Mapping[str, Any], convert: Any) -> pa.Table:
    """What stands in each field."""
    with pa.csv.open_csv(path, **options) as opened:
        names = opened.schema.names
    _check_names(names)
    convert.column_types = dict.fromkeys(names, pa.binary())  # so that what is not in the encoding can be named
    table = pa.csv.read_csv(path, **options, convert_options=convert)
    try:
        return table.cast(pa.schema([(name, pa.string()) for name in names]))
    except pa.ArrowInvalid:
        _check_decoded(table, encoding)
        raise


def _read_typed(path: Path, encoding: str, options: Mapping[str, Any], convert: Any) -> pa.Table:
    """Values of the types that all fields of a column have."""
    table = pa.csv.read_csv(path, **options, convert_options=convert)
    _check_names(table.column_names)
    types = {field.name: _csv_type(table.column(field.name)) for field in table.schema}
    if any(types[field.name] == pa.string() != field.type for field in table.schema):
        convert.column_types = {name: kind for name, kind in types.items() if kind == pa.string()}
        table = pa.csv.read_csv(path, **options, convert_options=convert)
    _check_decoded(table, encoding)
    return table.cast(pa.schema([(name, types[name]) for name in table.column_names]))


def _csv_type(values: pa.ChunkedArray) -> pa.DataType:
    """The type that `pandas.read_csv` gives: dates stay text, a gap makes whole numbers floating."""
    if pa.types.is_temporal(values.type):
        return pa.string()
    if pa.types.is_null(values.type) or (pa.types.is_integer(values.type) and values.null_count):
        return pa.float64()
    return values.type


def _check_decoded(table: pa.Table, encoding: str) -> None:
    for field in table.schema:
        field.name.encode(encoding)
        if pa.types.is_binary(field.type):  # what Arrow makes of bytes that are not UTF-8
            for value in table.column(field.name).drop_null():
                value.as_py().decode(encoding)


def _delimiter(head: str) -> str:
    """The mark that stands most often between the names; what is quoted does not count."""
    bare = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(",;\t|", key=lambda mark: (bare.count(mark), -",;\t|".index(mark)))
