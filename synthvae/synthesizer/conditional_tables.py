"""Tables that a user passes: their missing values drawn, and numbers predicted, given the others."""

from __future__ import annotations

import contextlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from synthvae.encoding import limits
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import GeneratedColumn
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.written import is_written
from synthvae.errors import RequestError, listing, warn_user
from synthvae.synthesizer.conditional_coding import Draws, columns_of, numbers_of
from synthvae.synthesizer.conditional_model import CHUNK_ROWS, Cells, ConditionalModel
from synthvae.tables.arrow import is_text, plain_type, split_sentinels

PREDICTION_DRAWS = 32  # of a number, whose mean is the prediction


def aligned(model: ConditionalModel, table: pa.Table) -> pa.Table:
    """Return a table with all columns in order and in the types of training; absent ones are null.

    Raises:
        RequestError: A column is unknown, or a value has another type.
    """
    schema, columns = model.encoding.arrow_schema, columns_of(model.encoding)
    unknown = [name for name in table.column_names if name not in schema.names]
    if unknown:
        raise RequestError(f"The table has columns that the model does not know: {listing(unknown)}. Drop them.")
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            arrays.append(pa.nulls(table.num_rows, field.type))
            continue
        arrays.append(_typed(field.name, table.column(field.name), field.type, columns.get(field.name)))
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


def without_unseen(model: ConditionalModel, table: pa.Table) -> pa.Table:
    """Return an aligned table in which values that are no known categories are missing."""
    found = unseen(model, table)
    for place in np.flatnonzero(found.any(0)).tolist():
        column = table.column(place)
        known = pc.if_else(pa.array(~found[:, place]), column, pa.scalar(None, column.type))
        table = table.set_column(place, table.schema.field(place), known)
    return table


def _typed(name: str, column: pa.ChunkedArray, kind: pa.DataType, encoding: StoredEncoding | None) -> pa.Array:
    """A column in the type of training; numbers and dates of a column of text are written as it writes them."""
    array = column.combine_chunks()
    if array.type == kind:
        return array
    rewritten = is_written(encoding) and is_text(plain_type(kind)) and not is_text(plain_type(array.type))
    if not rewritten or pa.types.is_null(array.type):
        with contextlib.suppress(pa.ArrowException):
            return array.cast(kind)
    plain = limits.as_column(name, array.to_pylist(), kind, encoding, "The values of column")
    return plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain


def fill_table(model: ConditionalModel, table: pa.Table, draws: Draws) -> pa.Table:
    """Return an aligned table whose present values are kept, and whose missing ones are drawn."""
    return model.fill(table, _missing(table), draws, unknown=unseen(model, table))


def impute(
    model: ConditionalModel, table: pa.Table, draws: Draws, strata: int = 1, *, declared: bool = True
) -> pa.Table:
    """Return an aligned table whose missing values are drawn given the others; none is missing or a sentinel value.

    Columns whose values are generated anew stay as they are.

    Args:
        model: The model.
        table: Aligned rows.
        draws: The seed of the draws.
        strata: Copies of each row, one after another, whose draws are stratified; see `draw_rows`.
        declared: Whether the rules were declared: a value stays missing where they allow no other. Otherwise it breaks
            them: rules that were found in rows with missing values may have exceptions.
    """
    wanted = _missing(table)
    within = {name: limit._replace(yields=declared) for name, limit in model.real.items()}
    columns = columns_of(model.encoding)
    for place, name in enumerate(table.column_names):
        if isinstance(columns.get(name), GeneratedColumn) or (name not in within and _is_empty(model, name)):
            wanted[:, place] = False  # every training value is missing, or says nothing of others
    return model.fill(table, wanted, draws, within, unknown=unseen(model, table), strata=strata, declared=declared)


def has_numbers(column: StoredEncoding) -> bool:
    """Whether a column has numbers, of which a mean can be predicted."""
    if isinstance(column, RelativeEncoding):
        return isinstance(column.written, NumericEncoding)
    if isinstance(column, NumericEncoding):
        return bool(column.atoms) or column.curve is not None
    return isinstance(column, ComputedEncoding)


def mean_number(model: ConditionalModel, table: pa.Table, name: str, draws: Draws) -> npt.NDArray[np.float64]:
    """Return the mean (rows,) of draws of the numbers of one column given the others; sentinel values are none.

    Args:
        model: The model.
        table: Aligned rows; missing values are unknown, but for those that were missing in training, too.
        name: The column; see `has_numbers`.
        draws: The seed of the draws.
    """
    column = columns_of(model.encoding)[name]
    wanted = np.zeros((table.num_rows, table.num_columns), bool)
    wanted[:, table.column_names.index(name)] = True
    within = {name: model.real[name]} if name in model.real else {}
    unknown = unseen(model, table)
    unknown |= _missing(table) & ~wanted
    generator = torch.Generator(device=model.device).manual_seed(draws.seed)
    means = []
    for start in range(0, table.num_rows, CHUNK_ROWS):
        each = np.arange(start, min(start + CHUNK_ROWS, table.num_rows)).repeat(PREDICTION_DRAWS)
        some = table.take(pa.array(each))
        rows, cells = model.rows(some, unknown[each]), model.wanted(table.column_names, wanted[each])
        drawn = model.draw(rows, cells, generator, within, strata=PREDICTION_DRAWS, facts=model.facts_of(some))
        known = numbers_of(model.encoding, some, table.column_names)
        decoded = model.decode(drawn.rows, draws, {**known, **drawn.numbers})
        means.append(_numbers(column, decoded.column(name)).reshape(-1, PREDICTION_DRAWS).mean(1))
    return np.concatenate([np.empty(0), *means])


def _numbers(column: StoredEncoding, values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """The numbers (rows,) of a column."""
    if isinstance(column, (NumericEncoding, RelativeEncoding)):
        return column.numbers_of(values)
    assert isinstance(column, ComputedEncoding)
    return np.asarray(split_sentinels(values, (), column.format)[0].to_numpy().astype(np.float64))


def _is_empty(model: ConditionalModel, name: str) -> bool:
    """Whether every training value of a column is missing."""
    column = columns_of(model.encoding).get(name)
    return column is not None and column.levels == column.singles == 1 and not column.valued


def _missing(table: pa.Table) -> Cells:
    missing = [column.is_null().to_numpy() for column in table.columns]
    return np.stack(missing, 1) if missing else np.zeros((table.num_rows, 0), bool)
