"""The codes of tables whose classes are a column like others, for models of any columns given any others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.codes import Codes
from synthvae.encoding import TableEncoding
from synthvae.encoding.arrays import Floats
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.layout import Layout
from synthvae.encoding.links import Link
from synthvae.encoding.numeric import NumericEncoding


class Coded(NamedTuple):
    """Digits (rows, digits), those of the classes of a target first, and continuous values (rows, values)."""

    digits: npt.NDArray[np.int8]
    values: npt.NDArray[np.float32]


class Draws(NamedTuple):
    """The seed of the draws of some rows, and their place in a dataset.

    Args:
        seed: The seed.
        first_row: The number of rows before these in the dataset, so that ids stay unique.
        request: The seed of the request, on which fake values depend; None: `seed`.
    """

    seed: int
    first_row: int = 0
    request: int | None = None


def class_column(encoding: TableEncoding) -> str | None:
    """Return the name of a target of classes; None if there is none."""
    target = encoding.target
    return target.name if target is not None and target.classes is not None else None


def columns_of(encoding: TableEncoding) -> dict[str, StoredEncoding]:
    """Return the encodings of all columns, that of a target of classes first."""
    target = encoding.target
    if target is None or target.classes is None:
        return dict(encoding.columns)
    return {target.name: target.classes, **encoding.columns}


def links_of(column: StoredEncoding) -> tuple[Link, ...]:
    """Return the columns whose numbers a column repeats."""
    return column.links if isinstance(column, NumericEncoding) else ()


def layout_of(encoding: TableEncoding) -> Layout:
    """Return the places of all columns among digits and values, those of a target of classes first."""
    columns = columns_of(encoding)
    return Layout.from_levels(
        {name: column.levels for name, column in columns.items()},
        {name: column.singles for name, column in columns.items()},
        {name for name, column in columns.items() if column.valued},
        {name: column.affine.scale for name, column in columns.items() if column.affine is not None},
    )


def layout_of_one(layout: Layout, name: str) -> Layout:
    """Return the layout of one column of a layout alone."""
    place = layout.names.index(name)
    return Layout.from_levels({name: layout.levels[place]}, {name: layout.singles[place]})


def encode(encoding: TableEncoding, table: pa.Table, rng: np.random.Generator | None, *, linked: bool) -> Coded:
    """Return the codes of a table; a value that no training row lacks, and is missing, has digits -1.

    Args:
        encoding: The encoding of the table.
        table: The rows.
        rng: Draws continuous values from the intervals that round to a number; None takes the middle of each.
        linked: Whether a number that repeats another column's has a state of its own.
    """
    codes = encoding.model_copy(update={"target": None}).encode(table, rng, linked=linked)
    target = encoding.target
    if target is None or target.classes is None:
        return Coded(codes.digits, codes.values)
    labels = target.classes.encode(target.name, table.column(target.name))
    first = layout_of_one(layout_of(encoding), target.name).split([labels])
    return Coded(np.concatenate([first, codes.digits], 1), codes.values)


def codes_with_links(
    encoding: TableEncoding,
    table: pa.Table,
    seed: int,
    weights: npt.NDArray[np.float32] | None = None,
) -> Codes:
    """Return the codes of training rows twice side by side: with states of numbers that repeat others, then without."""
    pair = [encode(encoding, table, np.random.default_rng(seed), linked=linked) for linked in (True, False)]
    digits, values = (np.concatenate(parts, 1) for parts in zip(*pair, strict=True))
    return Codes(digits, values, np.zeros(table.num_rows, np.int64), weights)


def without_missing(encoding: TableEncoding, table: pa.Table, codes: Codes) -> Codes:
    """Return codes of `codes_with_links` in which missing values are neither known nor predicted: digits of -1."""
    digits, layout = codes.digits.copy(), layout_of(encoding)
    for name, span in layout.spans.items():
        missing = table.column(name).is_null().to_numpy()
        digits[missing, span] = -1
        digits[missing, span.start + layout.width : span.stop + layout.width] = -1
    return replace(codes, digits=digits)


def numbers_of(encoding: TableEncoding, table: pa.Table, names: Collection[str]) -> dict[str, Floats]:
    """Return the numbers (rows,) of the columns that others may repeat, NaN where they are missing."""
    linked = {link.to for column in encoding.columns.values() for link in links_of(column)} & set(names)
    found = {name: encoding.columns[name].linkable for name in linked}
    return {name: column.numbers_of(table.column(name)) for name, column in found.items() if column is not None}


def decode(encoding: TableEncoding, coded: Coded, draws: Draws, known: Mapping[str, Floats] | None = None) -> pa.Table:
    """Return the rows that codes stand for; numbers that are `known` are repeated as they are, not as their codes."""
    digits, labels, name = coded.digits, np.zeros(len(coded.digits), np.int64), class_column(encoding)
    if name is not None:
        layout = layout_of(encoding)
        span = layout.spans[name]
        labels = layout_of_one(layout, name).join(digits[:, span])[0]
        digits = np.delete(digits, span, axis=1)
    codes = Codes(np.maximum(digits, 0), coded.values, np.maximum(labels, 0))
    seed = draws.seed if draws.request is None else draws.request
    rows = range(draws.first_row, draws.first_row + len(codes))
    return encoding.decode(codes, np.random.default_rng(draws.seed), rows=rows, seed=seed, known=known)


def filled(table: pa.Table, drawn: pa.Table, wanted: npt.NDArray[np.bool_]) -> pa.Table:
    """Return a table with drawn values where they are wanted (rows, columns), in the types of the drawn ones."""
    columns = []
    for place, name in enumerate(table.column_names):
        new = drawn.column(name).combine_chunks()
        if not wanted[:, place].all():
            old = table.column(name).combine_chunks()
            new = _chosen(wanted[:, place], new, _cast(old, new.type))
        columns.append(new)
    fields = [drawn.schema.field(name).with_type(c.type) for name, c in zip(table.column_names, columns, strict=True)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=drawn.schema.metadata))


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(array.type):
        return array.cast(kind.value_type).dictionary_encode()
    return array.cast(kind)


def _chosen(wanted: npt.NDArray[np.bool_], new: pa.Array, old: pa.Array) -> pa.Array:
    """New values where they are wanted, old ones elsewhere."""
    if pa.types.is_dictionary(new.type):
        plain = pc.if_else(pa.array(wanted), new.dictionary_decode(), old.dictionary_decode())
        others = pc.unique(plain.filter(pc.invert(pc.is_in(plain, value_set=new.dictionary)))).drop_null()
        known = pa.concat_arrays([new.dictionary, others])  # all categories of the table, then unseen ones
        places = pc.index_in(plain, value_set=known).cast(new.type.index_type)
        return pa.DictionaryArray.from_arrays(places, known, ordered=new.type.ordered)
    return pc.if_else(pa.array(wanted), new, old)
