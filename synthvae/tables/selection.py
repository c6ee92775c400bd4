"""Leave columns out of a table of any kind before it is converted or checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from synthvae.errors import TableError
from synthvae.tables import convert, rowwise
from synthvae.tables.features import is_array
from synthvae.tables.streaming import Stream


def without(source: Any, names: Sequence[str]) -> Any:
    """Return a table without the columns `names`; those that it does not have are ignored.

    Args:
        source: A stream, or what `convert.read` takes. Arrow tables, streams and DataFrames keep their kind, all others
            become Arrow tables.
        names: Names of columns.

    Raises:
        TableError: The source is an array, whose columns have no names, or cannot be read.
    """
    if not names:
        return source
    if isinstance(source, Stream):
        return _stream_without(source, names)
    if isinstance(source, pd.DataFrame):
        return source.loc[:, [str(label) not in names for label in source.columns]]
    return _without(source if isinstance(source, pa.Table) else convert.read(_named(source)), names)


def without_privately(source: Any, names: Sequence[str]) -> Any:
    """Return a private table without columns as `without` does, but read row by row."""
    if not names:
        return source
    return _without(rowwise.read(_named(source)), names)


def _named(source: Any) -> Any:
    if is_array(source):
        raise TableError("`drop` requires a table with column names, got an array. Leave the columns out of the array.")
    return source


def _without(table: pa.Table, names: Sequence[str]) -> pa.Table:
    return table.select([name for name in table.column_names if name not in names])


def _stream_without(stream: Stream, names: Sequence[str]) -> Stream:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream.open():
            yield batch.select([name for name in batch.schema.names if name not in names])

    return replace(stream, open=batches)
