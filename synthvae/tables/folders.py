"""The columns of all files of a folder, and the types of Parquet files that hold the values of all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset

from synthvae.errors import TableError, listing, warn_user
from synthvae.tables.arrow import is_text, plain_type


def warn_of_other_columns(names: Mapping[Path, Iterable[str]]) -> None:
    """Warn of columns that not all files of a folder have: their values are missing in the others."""
    every = set.intersection(*map(set, names.values()))
    some = [name for name in dict.fromkeys(itertools.chain(*names.values())) if name not in every]
    if some:
        folder = next(iter(names)).parent
        warn_user(
            f"{folder}: not all files have the columns {listing(some)}, so their values are missing in the others. Add "
            "them, or move files that are no part of the table."
        )


def parquet(path: Path, partitions: Any = None) -> pa.dataset.Dataset:
    """Return the dataset of a folder of Parquet files, with types that hold the values of all files.

    Args:
        path: The folder.
        partitions: The partitioning of its folders NAME=VALUE. None: their types are inferred.

    Raises:
        TableError: A column has types without a common one.
    """
    partitions = partitions or pa.dataset.HivePartitioning.discover(infer_dictionary=True)
    found = pa.dataset.dataset(path, format="parquet", partitioning=partitions)
    schemas = {Path(fragment.path): fragment.physical_schema for fragment in found.get_fragments()}
    if len(set(map(str, schemas.values()))) > 1:
        warn_of_other_columns({file: schema.names for file, schema in schemas.items()})
        try:
            known = pa.unify_schemas([*schemas.values(), found.schema], promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise TableError(
                f"A column of {path} must have types that one type holds, got others ({error}). Write all files with "
                "the same types."
            ) from error
        found = pa.dataset.dataset(path, format="parquet", partitioning=partitions, schema=known)
    return found


def refuse_conversions(dataset: pa.dataset.Dataset) -> None:
    """Raise an error for columns of which some values may not be converted to the type of the dataset.

    Whether one cannot is not looked at: under a privacy budget, the error would reveal it.

    Raises:
        TableError: There are such columns.
    """
    found: dict[str, str] = {}
    for fragment in dataset.get_fragments():
        for name, kind in zip(fragment.physical_schema.names, fragment.physical_schema.types, strict=True):
            if name in dataset.schema.names and not _holds(dataset.schema.field(name).type, kind):
                found[name] = f"{kind} and {dataset.schema.field(name).type}"
    if found:
        shown = "; ".join(f"{name!r}: {kinds}" for name, kinds in found.items())
        raise TableError(
            f"Under a privacy budget, a column must have a type that holds all values of all files, got others "
            f"({shown}). Write all files with the same types."
        )


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether every value of one type can be converted to another one without loss."""
    wide, narrow = plain_type(wide), plain_type(narrow)
    if wide == narrow or pa.types.is_null(narrow):
        return True
    if pa.types.is_integer(wide) and pa.types.is_integer(narrow):
        outer, inner = np.iinfo(wide.to_pandas_dtype()), np.iinfo(narrow.to_pandas_dtype())
        return bool(outer.min <= inner.min and inner.max <= outer.max)
    if pa.types.is_floating(wide) and pa.types.is_integer(narrow):
        return bool(np.finfo(wide.to_pandas_dtype()).nmant >= narrow.bit_width)
    if pa.types.is_floating(wide) and pa.types.is_floating(narrow):
        return bool(wide.bit_width >= narrow.bit_width)
    return is_text(wide) and is_text(narrow)
