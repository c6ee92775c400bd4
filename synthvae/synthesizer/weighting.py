"""Survey weights: a column of the training table that says how many people, or how much, each row stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import PrivacyError, SchemaError, TableError, listing
from synthvae.schema.schema import Schema
from synthvae.tables.streaming import Stream

MOST = 1e30  # weights are stored in single precision

Weights = npt.NDArray[np.float32]


def column_of(table: pa.Table, name: str) -> pa.Table:
    """Return the rows of a table that have a positive weight.

    Args:
        table: The rows.
        name: The column of weights.

    Raises:
        TableError: There is no such column, or a weight is missing, negative or not a finite number.
    """
    if name not in table.column_names:
        raise TableError(f"`weights` must name a column, got {name!r}. Choose among {listing(table.column_names)}.")
    values = table.column(name)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        raise TableError(f"Column {name!r} of `weights` must hold numbers, got {values.type}. Convert it.")
    if values.null_count:
        raise TableError(
            f"Column {name!r} of `weights` must have a weight in every row, got {values.null_count} missing ones. Drop "
            "these rows, or set their weight to 0."
        )
    numbers = _numbers(values)
    wrong = ~(numbers <= MOST) | (numbers < 0)
    if wrong.any():
        raise TableError(
            f"Column {name!r} of `weights` must hold numbers from 0 to {MOST:g}, got "
            f"{numbers[wrong][0]:g} ({int(wrong.sum())} such rows). Drop these rows, or set their weight to 0."
        )
    return table if numbers.all() else table.filter(pa.array(numbers > 0))


def _refuse_none(table: pa.Table, name: str) -> pa.Table:
    """Refuse a table in which no row has a positive weight.

    Raises:
        TableError: That is the case.
    """
    if not table.num_rows:
        raise TableError(f"Column {name!r} of `weights` must have a positive weight in some row, got none.")
    return table


def split(table: pa.Table, name: str | None) -> tuple[pa.Table, Weights | None]:
    """Return the rows with a positive weight without its column, and their weights (rows,); None without a column.

    Raises:
        TableError: See `column_of`.
    """
    if name is None:
        return table, None
    kept = _refuse_none(column_of(table, name), name) if table.num_rows else table
    return kept.drop_columns([name]), _numbers(kept.column(name)).astype(np.float32)


def weighted_stream(stream: Stream, name: str | None) -> Stream:
    """Return a stream of the rows with a positive weight; the stream itself without a column."""
    if name is None:
        return stream

    def batches() -> Iterator[pa.RecordBatch]:
        for table in stream.batches():
            yield from column_of(table, name).combine_chunks().to_batches()

    return Stream(stream.files, stream.size, batches)


def without(schema: Schema, name: str | None) -> Schema:
    """Return a schema without the column of weights, which is not modelled.

    Raises:
        SchemaError: A rule is on it.
    """
    if name is None or name not in schema.names:
        return schema
    if rules := [f"`{rule}`" for rule in schema.constraints if name in rule.touches]:
        raise SchemaError(
            f"Rules must not be on the column of weights, which is not modelled, got {', '.join(rules)}. Remove them."
        )
    return schema.model_copy(update={"columns": tuple(c for c in schema.columns if c.name != name)})


def drop_feature(estimator: Any, name: str | None) -> None:
    """Let the column of weights not count among the features of an estimator."""
    names = getattr(estimator, "feature_names_in_", None)
    if name is not None and names is not None and name in names:
        estimator.feature_names_in_ = names[names != name]
        estimator.n_features_in_ = len(estimator.feature_names_in_)


def refuse_in_private_fit(name: str | None) -> None:
    """Refuse weights under a privacy budget.

    Raises:
        PrivacyError: There are some.
    """
    if name is not None:
        raise PrivacyError(
            f"`weights` must be None under a privacy budget, got {name!r}: a row of large weight would change the "
            "result by more than the noise of the budget hides. Fit without weights, or without `privacy`."
        )


def effective_rows(weights: Weights) -> float:
    """Return the number of rows of equal weight with which means would be as precise.

    Source: Kish 1965, Survey sampling, section 11.7.

    Example:
        >>> effective_rows(np.array([1, 1, 1, 1], np.float32)), round(effective_rows(np.array([1, 3], np.float32)), 1)
        (4.0, 1.6)
    """
    exact = weights.astype(np.float64)
    return float(exact.sum() ** 2 / np.square(exact).sum())


def _numbers(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(), np.float64)


def represented(table: pa.Table, name: str | None, seed: int) -> pa.Table:
    """Return as many rows, drawn in proportion to their weights, without the column of weights, for comparisons.

    Without a column, the rows themselves are returned.
    """
    rows, weights = split(table, name)
    if weights is None:
        return rows
    ends = weights.astype(np.float64).cumsum()
    # Systematic draws: each row occurs as often as it weighs, up to less than once.
    places = (np.arange(len(weights)) + np.random.default_rng(seed).random()) / len(weights)
    return rows.take(np.minimum(np.searchsorted(ends / ends[-1], places, side="right"), len(weights) - 1))
