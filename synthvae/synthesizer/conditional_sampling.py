"""Rows that obey conditions on any columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from synthvae.encoding import limits
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.limits import Allowed
from synthvae.encoding.numeric import NumericEncoding
from synthvae.errors import RequestError, listing, warn_user
from synthvae.generation.given import Condition, Exactly, Given, Interval, parse
from synthvae.model import Rows
from synthvae.synthesizer.conditional_coding import Draws, columns_of, filled, numbers_of
from synthvae.synthesizer.conditional_model import Cells, ConditionalModel
from synthvae.training.batches import repeats

POOL, MIN_POOL = 2, 2048  # values within limits that are drawn for each row, and at least
FEW_EFFECTIVE = 0.1  # effective draws per row below which the rows repeat values of one another
PREDICTION_DRAWS = 32  # of a number, whose mean is the prediction
MIN_PROBABILITY = 1e-5  # of a condition below which a user is warned


class Conditions(NamedTuple):
    """Conditions on the columns of a table.

    Args:
        fixed: One row with the columns that have one value; the others are null.
        names: The columns that have one value.
        within: What is allowed of other columns.
    """

    fixed: pa.Table
    names: frozenset[str]
    within: Mapping[str, Allowed]


def conditions(model: ConditionalModel, given: Given) -> Conditions:
    """Check conditions against the encoding of a table.

    Raises:
        RequestError: A column is unknown or has fresh values, a value did not occur, or an interval has none.
    """
    encoding, columns = model.encoding, columns_of(model.encoding)
    parsed = parse(given, encoding.names)
    fixed = {name: condition.value for name, condition in parsed.items() if isinstance(condition, Exactly)}
    arrays = []
    for field in encoding.arrow_schema:
        array = limits.as_column(field.name, [fixed.get(field.name)], field.type)
        if field.name in fixed:
            _refuse_unmodelled(field.name, columns)
            limits.refuse_unseen(field.name, columns[field.name], pa.chunked_array([array]))
        arrays.append(array)
    table = pa.Table.from_arrays(arrays, names=encoding.arrow_schema.names)
    within = {n: _allowed(model, n, c) for n, c in parsed.items() if not isinstance(c, Exactly)}
    return Conditions(table, frozenset(fixed), within)


def _refuse_unmodelled(name: str, columns: Mapping[str, Any]) -> None:
    if name not in columns:
        raise RequestError(f"Column {name!r} has no values, so that it cannot be conditioned on. Remove the condition.")


def _allowed(model: ConditionalModel, name: str, condition: Condition) -> Allowed:
    """What a condition allows of a column."""
    columns, kind = columns_of(model.encoding), model.encoding.arrow_schema.field(name).type
    _refuse_unmodelled(name, columns)
    if not isinstance(condition, Interval):
        assert not isinstance(condition, Exactly)
        return limits.one_of(name, columns[name], condition.values, kind)
    if condition == Interval(None, None):
        return limits.present(name, columns[name])
    return limits.between(name, columns[name], *condition, kind)


def sample_given(model: ConditionalModel, rows: int, given: Given, draws: Draws) -> pa.Table:
    """Draw rows that obey conditions: p(the other columns | the conditions), without rejection.

    The columns that are limited are drawn first, many times within their limits; these draws are weighted by the
    probability of the limits and resampled. Then the other columns are drawn given them.

    Source: Rubin 1987, A noniterative sampling/importance resampling alternative, JASA 82(398).

    Args:
        model: The model.
        rows: The number of rows.
        given: The conditions.
        draws: The seed of the draws.

    Raises:
        RequestError: A condition cannot be met.
    """
    found, generator = conditions(model, given), torch.Generator(device=model.device).manual_seed(draws.seed)
    names = model.encoding.names
    others = np.array([[name not in found.names for name in names]])  # their nulls are unknown, not missing
    start = model.rows(found.fixed, unknown=others)
    log_p = _log_probability(model, found)
    known = start
    if found.within and rows:
        known, log_p_within = _resampled(model, start, found, rows, generator)
        log_p += log_p_within
    if np.exp(log_p) < MIN_PROBABILITY:
        warn_user(
            f"the conditions have a probability of {np.exp(log_p):.1g}: few or no training rows are like that, and the "
            "rows drawn are an extrapolation"
        )
    free = np.array([[name not in found.names and name not in found.within for name in names]])
    drawn, _ = model.draw(known, model.wanted(names, free.repeat(rows, 0)), generator)
    fixed = found.fixed.take(pa.array(np.zeros(rows, np.int64)))
    table = model.decode(drawn, draws, numbers_of(model.encoding, fixed, found.names))
    for name, allowed in found.within.items():
        table = _clipped(table, name, allowed.numbers)
    return filled(fixed, table, others.repeat(rows, 0))


def _clipped(table: pa.Table, name: str, ends: tuple[float, float] | None) -> pa.Table:
    """The table with the numbers of a column within limits, which rounding of scores to single precision may miss."""
    place, field = table.column_names.index(name), table.schema.field(name)
    if ends is None or not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        return table
    column = table.column(name)
    for end, nearest in zip(ends, (pc.max_element_wise, pc.min_element_wise), strict=True):
        if np.isfinite(end):
            limit = pa.scalar(int(end) if pa.types.is_integer(field.type) else end).cast(field.type)
            column = pc.if_else(column.is_valid(), nearest(column, limit), column)
    return table.set_column(place, field, column)


def _log_probability(model: ConditionalModel, found: Conditions) -> float:
    """Log p of the values that columns have, without the densities of continuous ones."""
    names = [name for name in model.encoding.names if name in found.names]
    return float(model.log_likelihood(found.fixed, names, [], densities=False)[0]) if names else 0.0


def _resampled(
    model: ConditionalModel, start: Rows, found: Conditions, rows: int, generator: torch.Generator
) -> tuple[Rows, float]:
    """Rows (B) with the limited columns drawn, and the log probability of the limits."""
    pool, names = max(POOL * rows, MIN_POOL), model.encoding.names
    within = {name: model.limit(name, allowed) for name, allowed in found.within.items() if name in model.cells}
    wanted = model.wanted(names, np.array([[name in within for name in names]]).repeat(pool, 0))
    drawn, logs = model.draw(start, wanted, generator, within)
    weights = (logs - logs.max()).double().exp()
    effective = float(weights.sum() ** 2 / weights.square().sum())
    if effective < FEW_EFFECTIVE * rows:
        warn_user(
            f"the conditions on {listing(found.within)} leave {effective:.0f} effective draws for {rows} rows, which "
            "repeat their values. Widen an interval, or condition on fewer columns."
        )
    picked = repeats(weights * (rows / weights.sum()), generator)
    picked = picked[torch.randperm(len(picked), generator=generator, device=picked.device)]
    picked = torch.cat([picked, picked[: max(rows - len(picked), 0)]])[:rows]  # the sum of the weights is rounded
    return drawn.take(picked), float(logs.double().logsumexp(0)) - float(np.log(pool))


def aligned(model: ConditionalModel, table: pa.Table) -> pa.Table:
    """Return a table with all columns in order and in the types of training; absent ones are null.

    Raises:
        RequestError: A column is unknown, or a value has another type.
    """
    schema = model.encoding.arrow_schema
    unknown = [name for name in table.column_names if name not in schema.names]
    if unknown:
        raise RequestError(f"The table has columns that the model does not know: {listing(unknown)}. Drop them.")
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            arrays.append(pa.nulls(table.num_rows, field.type))
            continue
        array = _typed(field.name, table.column(field.name), field.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema([schema.field(n) for n in schema.names], schema.metadata))


def unseen(model: ConditionalModel, table: pa.Table) -> Cells:
    """Return which values (rows, columns) of an aligned table are no known categories; they say nothing of others.

    A number that did not occur in training counts as the nearest one.
    """
    columns, found = columns_of(model.encoding), np.zeros((table.num_rows, table.num_columns), bool)
    for place, name in enumerate(table.column_names):
        if isinstance(columns.get(name), CategoricalEncoding):
            found[:, place] = columns[name].unseen(name, table.column(name))
    names = [name for place, name in enumerate(table.column_names) if found[:, place].any()]
    if names:
        warn_user(
            f"{listing(names)}: {int(found.sum())} values did not occur in training, or were protected. They are kept, "
            "and taken for unknown in drawing other columns"
        )
    return found


def _typed(name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    array = column.combine_chunks()
    if array.type == kind:
        return array
    try:
        return array.cast(kind)
    except pa.ArrowException:
        plain = limits.as_column(name, array.to_pylist(), kind)
        return plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain


def fill_table(model: ConditionalModel, table: pa.Table, draws: Draws) -> pa.Table:
    """Return an aligned table whose present values are kept, and whose missing ones are drawn."""
    return model.fill(table, _missing(table), draws, unknown=unseen(model, table))


def impute(model: ConditionalModel, table: pa.Table, draws: Draws) -> pa.Table:
    """Return an aligned table whose missing values are drawn given the others, none of which is missing."""
    wanted, within = _missing(table), model.present
    for place, name in enumerate(table.column_names):
        if name not in within and _is_empty(model, name):
            wanted[:, place] = False  # every training value is missing
    return model.fill(table, wanted, draws, within, unknown=unseen(model, table))


def mean_number(
    model: ConditionalModel, table: pa.Table, name: str, column: NumericEncoding, draws: Draws
) -> npt.NDArray[np.float64]:
    """Return the mean (rows,) of draws of the numbers of one column given the others; sentinel values are none.

    Args:
        model: The model.
        table: Aligned rows; missing values are unknown, but for those that were missing in training, too.
        name: The column.
        column: Its encoding.
        draws: The seed of the draws.
    """
    marks = column.levels - len(column.marks) - column.missing
    states = np.arange(column.levels) < max(marks, 1)
    wanted = np.zeros((table.num_rows, table.num_columns), bool)
    wanted[:, table.column_names.index(name)] = True
    within = {name: model.limit(name, Allowed(states))}
    unknown = unseen(model, table)
    rows = model.rows(table, unknown | (_missing(table) & ~wanted))
    generator = torch.Generator(device=model.device).manual_seed(draws.seed)
    total = np.zeros(table.num_rows)
    known = numbers_of(model.encoding, table, table.column_names)
    for repeat in range(PREDICTION_DRAWS):
        drawn, _ = model.draw(rows, model.wanted(table.column_names, wanted), generator, within)
        decoded = model.decode(drawn, draws._replace(seed=draws.seed + repeat), known)
        total += column.numbers_of(decoded.column(name))
    return total / PREDICTION_DRAWS


def _is_empty(model: ConditionalModel, name: str) -> bool:
    """Whether every training value of a column is missing."""
    column = columns_of(model.encoding).get(name)
    return column is not None and column.levels == column.singles == 1 and not column.valued


def _missing(table: pa.Table) -> Cells:
    missing = [column.is_null().to_numpy() for column in table.columns]
    return np.stack(missing, 1) if missing else np.zeros((table.num_rows, 0), bool)
