"""Given rows of a parent table with what is modelled beside their columns, such as the numbers of their children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthvae.codes import Codes
from synthvae.encoding.arrays import Mask, States
from synthvae.encoding.layout import Layout
from synthvae.errors import brief
from synthvae.relational.completion import complete_rows
from synthvae.relational.fitted_database import FittedRoot
from synthvae.relational.relative_dates import Surroundings, from_differences, only_dates, to_differences
from synthvae.relational.sequences import Places


@dataclass(frozen=True)
class Hidden:
    """A column that is modelled beside those of given rows, such as the number of their children.

    Args:
        values: Its values (rows,), missing where they are unknown.
        known: Which of them (rows,) are known.
        least: The smallest numbers (rows,) that it may have.
    """

    __repr__ = brief

    values: pa.Array
    known: Mask
    least: Places

    def put(self, drawn: pa.Array) -> pa.Array:
        """Return drawn values (rows,) with those that are known in place of them."""
        if not self.known.any():
            return drawn
        rows = np.arange(len(drawn))
        both = pa.chunked_array([self.values.cast(drawn.type), drawn]).unify_dictionaries().combine_chunks()
        return both.take(np.where(self.known, rows, rows + len(rows)))


def complete_root(
    root: FittedRoot, given: pa.Table, hidden: Mapping[str, Hidden], types: Mapping[str, pa.DataType], seed: int
) -> tuple[pa.Table, Codes]:
    """Return given rows of a root table with what is modelled beside their columns, and their codes.

    Args:
        root: The model of the table.
        given: The rows.
        hidden: What is known of the columns beside theirs.
        types: The types of all columns.
        seed: The seed of the draws.

    Raises:
        TableError: A value cannot be encoded.
    """
    model, encodings, rng = root.model, only_dates(root.encodings), np.random.default_rng(seed)
    assert model is not None
    whole = {n: given.column(n).combine_chunks() for n in model.encoding.names if n not in hidden}
    whole |= {n: hidden[n].values for n in model.encoding.names if n in hidden}
    table = to_differences(pa.table(whole), root.dates, Surroundings(), encodings).select(model.encoding.names)
    codes = hide(model.encode(table), model.encoding.layout, hidden)
    least = {name: column.least for name, column in hidden.items() if column.least.any()}

    def accept(found: Codes, places: States) -> Mask:
        accepted = np.ones(len(places), bool)
        drawn = model.encoding.decode(found, rng) if least else None
        for name, numbers in least.items():
            assert drawn is not None
            accepted &= drawn.column(name).to_numpy() >= numbers[places]
        return accepted

    codes = complete_rows(model, codes, seed, accept)
    decoded = model.encoding.decode(codes, rng, seed=seed)
    columns = whole | {name: decoded.column(name).combine_chunks() for name in hidden}
    dates = [date for date in root.dates if date.name in hidden]
    found = from_differences(columns, dates, Surroundings(), encodings, types, rng)
    found |= {name: hidden[name].put(found[name]) for name in hidden}
    return pa.table(found), codes


def hide(codes: Codes, layout: Layout, hidden: Mapping[str, Hidden]) -> Codes:
    """Return codes of rows whose hidden columns are unknown."""
    digits, values = codes.digits.copy(), codes.values.copy()
    for name, column in hidden.items():
        if name in layout.names:
            digits[~column.known, layout.spans[name]] = -1
        if name in layout.valued_names:
            values[~column.known, layout.valued_names.index(name)] = np.nan
    return Codes(digits, values, codes.labels)
