"""A table and synthetic rows under it, which a column tells apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthvae import atomic, tables
from synthvae.encoding import TargetEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.estimators.strategy import Strategy, rows_to_make
from synthvae.seeds import Seed, as_seed
from synthvae.synthesizer import Synthesizer
from synthvae.writing import is_number

SUFFIXES = (".parquet", ".csv")
MARK = "synthetic"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # wide ones in Asian locales


def augment(
    table: Any,
    synthesizer: Synthesizer,
    strategy: Strategy = "auto",
    *,
    mark: str = MARK,
    synthetic_only: bool = False,
    random_state: Seed = None,
) -> pa.Table:
    """Learn a table and return it with synthetic rows of its scarce classes under it.

    Args:
        table: A DataFrame, a `pyarrow.Table`, a path, ...
        synthesizer: What learns it; its `target` is the column of the classes.
        strategy: Which classes get rows, as of `VAEOverSampler`; classes may be named by their text.
        mark: The name of the boolean column that says whether a row is synthetic.
        synthetic_only: Whether the real rows are left out.
        random_state: Seed of the draws; None uses the synthesizer's own.

    Raises:
        RequestError: There is no target of classes, no such rows can be asked for, or a column has the name `mark`.
        TableError: The table cannot be learned.
        PrivacyError: The synthesizer has a privacy budget: how many rows each class lacks is counted exactly.
    """
    read = tables.read(table)
    if mark in read.column_names:
        raise RequestError(f"the mark must be a new column, however, there is one named {mark!r}: name another")
    target = _classes(synthesizer, read)
    labels = np.asarray(read.column(target.name).drop_null().to_pylist(), dtype=object)
    asked = rows_to_make(_named(strategy, target), labels)
    learned = synthesizer.fit(read).learned_
    seed = as_seed(synthesizer.random_state if random_state is None else random_state)
    made = learned.sample(learned.request(asked, seed)).select(read.column_names)
    parts = [_marked(made, mark, synthetic=True)]
    if not synthetic_only:
        parts.insert(0, _marked(read.cast(made.schema), mark, synthetic=False))
    return pa.concat_tables(parts)


def _classes(synthesizer: Synthesizer, table: pa.Table) -> TargetEncoding:
    """The classes of the target, found before anything is learned."""
    if synthesizer.privacy is not None:
        raise PrivacyError(
            "real rows and exact counts of them are written, which no budget covers, however, there is one: fit with "
            "it, then generate"
        )
    name = synthesizer._target_in(table)  # noqa: SLF001 (one class in two rooms)
    if name is None:
        raise RequestError("rows of scarce classes need a target, however, the synthesizer has none: name one")
    schema = synthesizer._schema_of(table)  # noqa: SLF001
    found = TargetEncoding.learn(schema[name], table.column(name), min_class_rows=2)
    if found.classes is None:
        raise RequestError(
            f"rows of scarce classes need classes, however, {name!r} is continuous: choose another target"
        )
    return found


def _named(strategy: Strategy, target: TargetEncoding) -> Strategy:
    """A strategy that names the classes as the table does, though a shell gave them as text."""
    if not isinstance(strategy, Mapping):
        return strategy
    return {target.labels[target.index(label)]: count for label, count in strategy.items()}


def _marked(table: pa.Table, mark: str, *, synthetic: bool) -> pa.Table:
    return table.append_column(mark, pa.array(np.full(table.num_rows, synthetic)))


def check_place(path: Path, *, overwrite: bool, escape_formulas: bool = False) -> None:
    """Refuse a file that cannot be written, or not so.

    Raises:
        RequestError: It has another suffix than .csv and .parquet, is there already, or no spreadsheet opens it.
        DatasetError: Its folder cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise RequestError(f"a table is written to a file named {' or '.join(SUFFIXES)}, however, it is {path}")
    if escape_formulas and path.suffix != ".csv":
        raise RequestError(f"formulas are escaped in .csv, however, it is {path}: leave that out, or write .csv")
    atomic.check(path)
    if path.is_dir() or (path.exists() and not overwrite):
        raise RequestError(f"a file must not be lost, however, {path} is there: pass --overwrite or another name")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"a file is written to a folder that is there, however, {path.parent} is not: make it")


def write(table: pa.Table, path: Path, *, escape_formulas: bool = False) -> None:
    """Write a table as CSV or Parquet, as the file's name says: whole, or not at all.

    Args:
        table: The table.
        path: A file named .csv or .parquet.
        escape_formulas: Whether text in a CSV file that a spreadsheet would take for a formula, names of columns too,
            gets a ' in front, and all text stands in quotes; numbers stay as they are. Source: OWASP, CSV injection,
            https://owasp.org/www-community/attacks/CSV_Injection.

    Raises:
        DatasetError: It cannot be written.
    """
    if path.suffix == ".csv":
        frame = tables.to_pandas(table)
        frame = frame.map(_escaped).rename(columns=_escaped) if escape_formulas else frame
        content = _csv(frame, quoted=escape_formulas).encode()
    else:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        content = buffer.getvalue()
    atomic.export(path, content)


def _csv(frame: pd.DataFrame, *, quoted: bool) -> str:
    """A table as CSV, all text in quotes if asked for or needed: where they lack, a return ends a row."""
    text: str = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
    return text if quoted or "\r" not in text else _csv(frame, quoted=True)


def _escaped(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; one with a ' in front already gets another, to be told apart."""
    formula = isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA) and not is_number(cell)
    return f"'{cell}" if formula else cell
