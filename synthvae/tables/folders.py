"""Join the files of a folder: one table, whose columns have one type."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from synthvae.errors import TableError, listing, warn_user
from synthvae.tables.arrow import exact_as_double, is_text

NUMERAL = r"^ *[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)? *$"

AsText = Callable[[Path, list[str]], pa.Table]


def joined(tables: Mapping[Path, pa.Table], as_text: AsText) -> pa.Table:
    """Return the rows of several CSV files; codes with leading zeros in one of them are codes in all.

    Args:
        tables: The table of each file.
        as_text: Reads some columns of a file as text.

    Raises:
        TableError: A column has words in one file and numbers in another.
    """
    _warn_of_other_columns({file: table.column_names for file, table in tables.items()})
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables.values():
        for field in table.schema:
            kinds.setdefault(field.name, set())
            kinds[field.name] |= {field.type} if _is_present(table.column(field.name)) else set()
    texts = {name for name, found in kinds.items() if len(found) > 1 and not found <= {pa.int64(), pa.float64()}}
    for name in sorted(texts):
        _refuse_words_among_numbers(name, tables)
    rows = pa.concat_tables(
        [_with_text(file, table, texts & set(table.column_names), kinds, as_text) for file, table in tables.items()],
        promote_options="permissive",
    )
    for place, field in enumerate(rows.schema):
        values = rows.column(place)
        if field.type == pa.int64() and values.null_count and exact_as_double(values):  # as in one file
            rows = rows.set_column(place, field.name, values.cast(pa.float64()))
    return rows.replace_schema_metadata(next(iter(tables.values())).schema.metadata)


def _refuse_words_among_numbers(name: str, tables: Mapping[Path, pa.Table]) -> None:
    """Raise an error for a column that is not written as numbers in all files.

    Raises:
        TableError: It is not.
    """
    found = {file: table.column(name) for file, table in tables.items() if name in table.column_names}
    for file, values in found.items():
        written = is_text(values.type) and pc.all(pc.match_substring_regex(values, NUMERAL)).as_py()
        if not written and not pa.types.is_integer(values.type) and not pa.types.is_floating(values.type):
            kinds = ", ".join(f"{other.name}: {column.type}" for other, column in found.items())
            raise TableError(
                f"{file.parent} cannot be read as a table: column {name!r} must have one type in all files, got others "
                f"({kinds}). Correct the files, or read them one by one."
            )


def _is_present(values: pa.ChunkedArray) -> bool:
    return bool(values.null_count < len(values))


def _with_text(
    file: Path, table: pa.Table, texts: set[str], kinds: Mapping[str, set[pa.DataType]], as_text: AsText
) -> pa.Table:
    """The table of a file with some columns as text, and those without a value as those of other files."""
    fields = as_text(file, sorted(texts)) if texts else None
    for place, name in enumerate(table.column_names):
        values = table.column(name)
        if fields is not None and name in texts:
            values = fields.column(name)
        elif kinds[name] and not _is_present(values):
            values = values.cast(next(iter(kinds[name])))
        table = table.set_column(place, name, values)
    return table


def refuse_other_columns(names: Mapping[Path, list[str]]) -> None:
    """Raise an error if the files of a folder do not have the same columns, in any order.

    Raises:
        TableError: They do not.
    """
    first, expected = next(iter(names.items()))
    for file, found in names.items():
        differing = sorted(set(found) ^ set(expected))
        if differing:
            raise TableError(
                f"All files of a folder must have the same columns, got {listing(differing)} in only one of "
                f"{first.name} and {file.name} ({file.parent}). Add the columns, or read the files one by one."
            )


def _warn_of_other_columns(names: Mapping[Path, list[str]]) -> None:
    """Warn of columns that not all files of a folder have: their values are missing in the others."""
    every = set.intersection(*map(set, names.values()))
    some = [name for name in dict.fromkeys(itertools.chain(*names.values())) if name not in every]
    if some:
        folder = next(iter(names)).parent
        warn_user(
            f"{folder}: not all files have the columns {listing(some)}, so their values are missing in the others. Add "
            "them, or move files that are no part of the table."
        )


def parquet(path: Path) -> pa.dataset.Dataset:
    """Return the dataset of a folder of Parquet files, with types that hold the values of all files.

    Raises:
        TableError: The files do not have the same columns, or a column has types without a common one.
    """
    partitions = pa.dataset.HivePartitioning.discover(infer_dictionary=True)
    found = pa.dataset.dataset(path, format="parquet", partitioning=partitions)
    schemas = {Path(fragment.path): fragment.physical_schema for fragment in found.get_fragments()}
    if len(set(map(str, schemas.values()))) > 1:
        _warn_of_other_columns({file: schema.names for file, schema in schemas.items()})
        try:
            known = pa.unify_schemas([*schemas.values(), found.schema], promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise TableError(
                f"A column of {path} must have types that one type holds, got others ({error}). Write all files with "
                "the same types."
            ) from error
        found = pa.dataset.dataset(path, format="parquet", partitioning=partitions, schema=known)
    return found
