"""`read`: a table from a file, a database or memory, as an Arrow table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from synthvae.tables import convert, text_forms
from synthvae.tables.convert import TableLike
from synthvae.tables.read_options import ReadOptions


def read(source: TableLike, *, query: str | None = None, **options: Any) -> pa.Table:
    """Return a table as an Arrow table, which `Synthesizer.fit` and `evaluate` take.

    Text of a file or a database that has the stated `decimal`, `thousands` or `date_format` becomes numbers, dates or
    timestamps, as in pandas. Commands and recipes leave it as text, so that synthetic rows are written in the same way.

    Args:
        source: The path of a CSV, Parquet, Excel, Stata, SPSS, SAS, Feather or JSON lines file, a folder of CSV or
            Parquet files, the URL of a database (`postgresql://`, `sqlite:///`), a DataFrame, or an Arrow table.
        query: The SQL query whose rows are the table, for a URL.
        **options: The fields of `ReadOptions`: `encoding`, `sep`, `decimal`, `thousands`, `date_format`, `na_values`,
            `sheet`.

    Raises:
        TableError: The table cannot be read. Messages about a database contain no user and no password.
        ConfigurationError: An option has a wrong value, or an optional dependency is not installed.
        FileNotFoundError: There is no such file.

    Example:
        >>> import pandas as pd
        >>> read(pd.DataFrame({"x": [1, 2]})).num_rows
        2
    """
    how = ReadOptions(query=query, **options)
    table = convert.read(source, options=how)
    return text_forms.typed(table, how) if convert.is_file(table) else table
