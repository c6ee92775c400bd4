"""Read files of statistical packages: Stata through pandas, SPSS and SAS through pyreadstat (extra `[files]`).

Value labels become categories if each value of a column has one of its own; otherwise the values stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
from pandas.api.types import is_numeric_dtype

from synthvae.errors import ConfigurationError, TableError
from synthvae.tables import untrusted
from synthvae.tables.isolation import read_isolated
from synthvae.tables.read_options import ReadOptions

VALUE_BYTES = 8


def read_stata(path: Path, options: ReadOptions) -> pa.Table:
    """Return the table in a Stata file (.dta)."""
    del options
    untrusted.refuse_size(path, path.stat().st_size)
    try:
        codes = pd.read_stata(path, convert_categoricals=False)
        labelled = _labelled_columns(path, [name for name in codes.columns if is_numeric_dtype(codes[name].dtype)])
        frame = pd.DataFrame({name: labelled.get(name, codes[name]) for name in codes.columns})
    except Exception as error:  # (pandas checks no damaged file, and raises errors of many types)
        raise _damaged(path, "a Stata file", error) from error
    return _table(frame, {})


def _labelled_columns(path: Path, names: list[Any]) -> dict[Any, pd.Series[Any]]:
    """Those columns of a Stata file of which each code has a label of its own, as categories.

    pandas refuses all columns if one has a label twice, and does not say which: the columns are read in halves.
    """
    if not names:
        return {}
    try:
        frame = pd.read_stata(path, columns=names, order_categoricals=False)
    except ValueError:
        middle = len(names) // 2
        halves = (names[:middle], names[middle:]) if middle else ()
        return {name: values for half in halves for name, values in _labelled_columns(path, half).items()}
    return {name: frame[name] for name in names if _are_texts(frame[name].dtype)}


def _are_texts(dtype: Any) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and all(isinstance(value, str) for value in dtype.categories)


def read_spss(path: Path, options: ReadOptions) -> pa.Table:
    """Return the table in an SPSS file (.sav, .zsav, .por)."""
    return _read(path, "read_por" if path.suffix.lower() == ".por" else "read_sav", options, "an SPSS file")


def read_sas(path: Path, options: ReadOptions) -> pa.Table:
    """Return the table in a SAS file (.sas7bdat, .xpt)."""
    return _read(path, "read_xport" if path.suffix.lower() == ".xpt" else "read_sas7bdat", options, "a SAS file")


def _required() -> ModuleType:
    try:
        import pyreadstat
    except ImportError as error:
        raise ConfigurationError("SPSS and SAS files need pyreadstat. Install synthvae[files].") from error
    return pyreadstat


def _read(path: Path, reader: str, options: ReadOptions, what: str) -> pa.Table:
    """The table in a file, read in a process of its own: some damaged files end the process in pyreadstat."""
    _required()
    stated = {"encoding": options.encoding} if "encoding" in options.given else {}
    try:
        return read_isolated(read_with, reader, str(path), stated)
    except (TableError, ConfigurationError):
        raise
    except Exception as error:  # (pyreadstat's own exceptions are plain ones)
        raise _damaged(path, what, error) from error


def read_with(reader: str, path: str, stated: Mapping[str, Any]) -> pa.Table:
    """Return the table that a function of pyreadstat reads from a file.

    Args:
        reader: The name of the function.
        path: The path of the file.
        stated: Arguments of the function.

    Raises:
        TableError: The file states a size that memory cannot hold.
        Exception: pyreadstat cannot read it.
    """
    read = getattr(_required(), reader)
    _, head = read(path, metadataonly=True, **stated)
    untrusted.refuse_size(path, (head.number_rows or 0) * head.number_columns * VALUE_BYTES)
    frame, found = read(path, **stated)
    return _table(frame, found.variable_value_labels)


def _damaged(path: Path, what: str, error: Exception) -> TableError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, MemoryError) or "allocat" in reason.lower():
        reason = "its header states a size that is too large"
    return TableError(
        f"{path} must be {what}, got one that cannot be read ({reason}). Check the file, or export it again."
    )


def _table(frame: pd.DataFrame, labels: Mapping[str, Mapping[Any, str]]) -> pa.Table:
    columns = {name: _labelled(frame[name], labels.get(name, {})) for name in frame.columns}
    return pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)


def _labelled(values: pd.Series[Any], labels: Mapping[Any, str]) -> pd.Series[Any]:
    """The values of a column; categories in the order of their codes if each value has a label of its own."""
    if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
        return values.where(values != "", None)
    known = set(values.dropna())
    if not labels or not known <= set(labels) or len(set(labels.values())) < len(labels):
        return values
    ordered = [labels[code] for code in sorted(labels)]
    return values.map(labels).astype(pd.CategoricalDtype(ordered))
