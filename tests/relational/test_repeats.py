"""Categories that repeat those of the row before, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synthvae.relational.repeats import mark, restore, with_repeats
from synthvae.relational.sequences import Family
from synthvae.schema.column import Column

ROWS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", None])), min_size=1, max_size=40)


@given(ROWS)
def test_marked_rows_are_restored(rows: list[tuple[int, str | None]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    parents = np.array([parent for parent, _ in rows])
    family = Family(parents, parents)
    table = pa.table({"team": pa.array([team for _, team in rows], pa.string())})
    marked = mark(table, family, {"team": "="})
    values, found = table.column("team").to_pylist(), marked.column("team").to_pylist()
    for place in range(len(rows)):
        same = place > 0 and parents[place] == parents[place - 1] and values[place] == values[place - 1]
        assert (found[place] == "=") == (same and values[place] is not None)
    back = restore({"team": marked.column("team").combine_chunks()}, family, {"team": "="})
    assert back["team"].to_pylist() == values


def test_a_first_row_has_the_category_of_another_first_row() -> None:
    family = Family(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2]))
    drawn = {"team": pa.array(["=", "=", "b", "c", "="])}
    assert restore(drawn, family, {"team": "="})["team"].to_pylist() == ["b", "b", "b", "c", "b"]
    alone = restore({"team": pa.array(["=", "c"])}, Family(np.array([0, 0]), np.array([0, 0])), {"team": "="})
    assert alone["team"].to_pylist() == [None, "c"]


def test_states_are_no_categories() -> None:
    columns = [
        Column(name="team", kind="categorical", categories=("a", "(as before)")),
        Column(name="code", kind="categorical", categories=(3, 7)),
        Column(name="games", kind="integer", bounds=(0, 9)),
    ]
    found, states = with_repeats(columns)
    assert states == {"team": "((as before))", "code": 8}
    assert [column.categories for column in found] == [("a", "(as before)", "((as before))"), (3, 7, 8), None]
