"""Read a table from wherever it is. The only reader of the package.

Whatever comes in (pandas, Arrow, polars, CSV, Parquet) leaves as a `pyarrow.Table` whose schema remembers, in its
metadata, what is needed to hand rows back as they came: `to_pandas` is the inverse of `read`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
from pandas.api.types import is_object_dtype

from synthvae.errors import TableError, TableTypeError

if TYPE_CHECKING:
    from typing import TypeAlias

TableLike: TypeAlias = "pd.DataFrame | pa.Table | str | Path | Any"

_METADATA_KEY = b"synthvae"
_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".csv.bz2", ".csv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")


def read(source: TableLike, *, encoding: str = "utf-8") -> pa.Table:
    """Return `source` as an Arrow table with one chunk per column.

    Args:
        source: A DataFrame, a `pyarrow.Table`, a dataset, anything that speaks the Arrow PyCapsule interface (polars),
            or the path of a CSV file, a Parquet file, or a folder of either.
        encoding: Character encoding of CSV files.

    Raises:
        TableError: The file is damaged, a name is empty or twice there, or a column mixes types.
        TableTypeError: `source` is not a table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path)):
        table = _tag(_read_path(Path(source), encoding), {"container": "file"})
    elif isinstance(source, pd.DataFrame):
        table = _from_pandas(source)
    elif isinstance(source, pa.dataset.Dataset):
        table = _tag(source.to_table(), {"container": "file"})
    elif hasattr(source, "__arrow_c_stream__"):
        table = _from_arrow(pa.table(source))
    else:
        raise TableTypeError(
            "a table must be a DataFrame, a pyarrow.Table, a polars DataFrame or a path, however, "
            f"it is a {type(source).__name__}"
        )
    return check_names(table).combine_chunks()


def check_names(table: pa.Table) -> pa.Table:
    """Return `table` if its column names are present and distinct."""
    names = table.column_names
    if "" in names:
        raise TableError(f"every column needs a name, however, column {names.index('') + 1} has none: name it")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise TableError(f"column names must be distinct, however, {twice} occur more than once: rename or drop them")
    return table


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return `table` as a DataFrame with the dtypes of the table it was modelled on."""
    origin = _origin(table.schema)
    if origin["container"] == "arrow":
        return cast("pd.DataFrame", table.to_pandas(types_mapper=pd.ArrowDtype))
    frame: pd.DataFrame = table.to_pandas()
    for position, name in enumerate(table.column_names):
        if name in origin.get("object", ()) and not is_object_dtype(frame.dtypes.iloc[position]):
            values = frame.iloc[:, position].astype(object)
            frame.isetitem(position, values.where(values.notna(), None).to_numpy())
        elif name in origin.get("arrow", ()):
            frame.isetitem(position, pd.array(table.column(name), dtype=pd.ArrowDtype(table.schema.field(name).type)))
    return frame


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    if frame.columns.nlevels > 1:
        raise TableError("column names must be plain, however, they form a MultiIndex: join the levels first")
    check_names(pa.table({}) if not names else pa.Table.from_arrays([pa.nulls(0)] * len(names), names=names))
    origin = {
        "container": "pandas",
        "object": [n for n, dtype in zip(names, frame.dtypes, strict=True) if is_object_dtype(dtype)],
        "arrow": [n for n, dtype in zip(names, frame.dtypes, strict=True) if isinstance(dtype, pd.ArrowDtype)],
    }
    try:
        return _tag(pa.Table.from_pandas(frame, preserve_index=False), origin)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise TableError(_conversion_message(frame, error)) from error


def _conversion_message(frame: pd.DataFrame, error: Exception) -> str:
    for name, column in frame.items():
        try:
            pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):
            types = sorted({type(value).__name__ for value in column[column.notna()].head(1000)})
            found = f"mixes {' and '.join(types)}" if len(types) > 1 else f"holds {column.dtype} values"
            return (
                f"column {str(name)!r}: all values must have one type that Arrow knows, however, it {found}: "
                "convert it to one type or drop it"
            )
    return f"the DataFrame cannot be read as a table: {error}"


def _from_arrow(table: pa.Table) -> pa.Table:
    container = "pandas" if b"pandas" in (table.schema.metadata or {}) else "arrow"
    return table if _METADATA_KEY in (table.schema.metadata or {}) else _tag(table, {"container": container})


def _tag(table: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(origin).encode()}
    return table.replace_schema_metadata(metadata)


def _origin(schema: pa.Schema) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((schema.metadata or {}).get(_METADATA_KEY, b'{"container": "file"}')))


def _read_path(path: Path, encoding: str) -> pa.Table:
    if not path.exists():
        raise FileNotFoundError(f"no such table: {path}")
    name = path.name.lower()
    with _reading(path):
        if path.is_dir():
            return _read_folder(path)
        if name.endswith(_PARQUET_SUFFIXES):
            return pa.parquet.read_table(path)
        if name.endswith(_CSV_SUFFIXES):
            return _read_csv(path, encoding)
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
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise TableError(f"{path} cannot be read as a table ({reason}): check the file or write it again") from error


def _read_folder(path: Path) -> pa.Table:
    files = [f.name.lower() for f in path.rglob("*") if f.is_file() and not f.name.startswith(("_", "."))]
    if any(f.endswith(_PARQUET_SUFFIXES) for f in files):
        return pa.parquet.read_table(path)
    csv = sorted(f for f in path.iterdir() if f.name.lower().endswith(_CSV_SUFFIXES))
    if not csv:
        raise TableError(f"a folder must hold Parquet or CSV files, however, {path} holds none")
    return pa.concat_tables([_read_csv(f, "utf-8") for f in csv], promote_options="permissive")


def _read_csv(path: Path, encoding: str) -> pa.Table:
    """Only an empty field is missing: "NA" or "None" may be a category."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise TableError(f"{path} must hold a header and rows, however, it is empty")
    header = head.split(b"\n", 1)[0].decode(encoding, errors="replace")
    convert = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
    parse = pa.csv.ParseOptions(delimiter=_delimiter(header), newlines_in_values=True)
    table = pa.csv.read_csv(
        path, read_options=pa.csv.ReadOptions(encoding=encoding), parse_options=parse, convert_options=convert
    )
    for field in table.schema:
        if pa.types.is_binary(field.type):  # what Arrow makes of bytes that are not UTF-8
            for value in table.column(field.name).drop_null():
                value.as_py().decode(encoding)
    return table


def _delimiter(header: str) -> str:
    return max(",;\t|", key=lambda mark: (header.count(mark), -",;\t|".index(mark)))
