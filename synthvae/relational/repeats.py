"""Categories of a row that are those of the row before, coded as one state of their own.

Whether a value repeats is then a matter of one state, whatever the number of categories, which a model of few noisy
steps learns at once. The coding depends on no value but those of the parent's own rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.relational.sequences import Family
from synthvae.schema.column import Column

AS_BEFORE = "(as before)"

Repeats = Mapping[str, Any]
"""The category that stands for that of the row before, of each column that has one."""


def with_repeats(columns: list[Column], but: Collection[str] = ()) -> tuple[list[Column], dict[str, Any]]:
    """Return declared columns, those of categories with one more, and that category of each of these.

    Columns named by `but` stay as they are: rules are on their values.

    Example:
        >>> columns, states = with_repeats([Column(name="team", kind="categorical", categories=("a", "b"))])
        >>> columns[0].categories, states
        (('a', 'b', '(as before)'), {'team': '(as before)'})
    """
    states = {c.name: _state(c) for c in columns if c.kind == "categorical" and c.categories and c.name not in but}
    found = [
        c.model_copy(update={"categories": (*(c.categories or ()), states[c.name])}) if c.name in states else c
        for c in columns
    ]
    return found, states


def _state(column: Column) -> Any:
    """A category that the column does not have."""
    categories = column.categories or ()
    if all(isinstance(value, int) for value in categories):
        return max(int(value) for value in categories) + 1
    state = AS_BEFORE
    while state in categories:
        state = f"({state})"
    return state


def mark(table: pa.Table, family: Family, states: Repeats) -> pa.Table:
    """Return sorted rows in which a category that is that of the row before has the state for it."""
    later = family.places[:, 0] > 0
    for name, state in states.items():
        values = table.column(name).combine_chunks()
        before = values.take(pa.array(np.maximum(np.arange(len(values)) - 1, 0)))
        equal = pc.fill_null(pc.equal(values, before), fill_value=False)
        marked = pc.if_else(pc.and_(equal, pa.array(later)), pa.scalar(state, values.type), values)
        table = table.set_column(table.column_names.index(name), name, marked)
    return table


def restore(columns: Mapping[str, pa.Array], family: Family, states: Repeats) -> dict[str, pa.Array]:
    """Return drawn columns (rows,) in which each state for the category of the row before is that category.

    A first row of a parent has no row before: its category is that of a first row of another parent.
    """
    found, first = dict(columns), family.places[:, 0] == 0
    for name, state in states.items():
        repeated = pc.fill_null(pc.equal(found[name], pa.scalar(state, found[name].type)), fill_value=False)
        marked = repeated.to_numpy(zero_copy_only=False)
        places = _sources(marked, first)
        kept = found[name].take(pa.array(places, mask=places < 0))
        found[name] = kept
    return found


def _sources(marked: np.ndarray[Any, np.dtype[np.bool_]], first: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    """The row (rows,) whose value each row has; -1 where there is none."""
    rows = np.arange(len(marked))
    donors = rows[first & ~marked]
    own = np.where(marked, -1, rows)
    lost = first & marked
    own[lost] = donors[np.arange(lost.sum()) % len(donors)] if len(donors) else -1
    known = ~marked | lost  # rows of a parent are together, and the first one is known
    return own[np.maximum.accumulate(np.where(known, rows, 0))] if len(rows) else rows
