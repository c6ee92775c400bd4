"""Types and values of the columns of Arrow tables."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.tables.arrow import dense, has_view, unit_numbers, with_distinct_categories, without_views

TEXTS = ["a", None, "b", "a"]


def _twice() -> pa.ChunkedArray:
    """A dictionary that holds a value twice."""
    coded = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 2], pa.int8()), pa.array(["a", "b", "a"]))
    return pa.chunked_array([coded])


def test_dense_values_are_those_of_the_dictionary() -> None:
    for values in (_twice(), pa.chunked_array([TEXTS]), pa.chunked_array([TEXTS[:2], TEXTS[2:]]).dictionary_encode()):
        assert dense(values).to_pylist() == TEXTS
        assert not pa.types.is_dictionary(dense(values).type)
    assert unit_numbers(_twice()).tolist() == [0, -1, 1, 0]


@settings(max_examples=60)
@given(
    dictionary=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=6),
    chunks=st.lists(st.lists(st.integers(0, 5) | st.none(), max_size=5), max_size=3),
    ordered=st.booleans(),
)
def test_categories_are_distinct_and_values_stay(
    dictionary: list[str | None],
    chunks: list[list[int | None]],
    ordered: bool,  # noqa: FBT001
) -> None:
    coded = [
        pa.DictionaryArray.from_arrays(
            pa.array([None if i is None else i % len(dictionary) for i in indices], pa.int8()),
            pa.array(dictionary, pa.string()),
            ordered=ordered,
        )
        for indices in chunks
    ]
    values = pa.chunked_array(coded, pa.dictionary(pa.int8(), pa.string(), ordered=ordered))
    found = with_distinct_categories(values)
    assert found.to_pylist() == values.to_pylist()
    assert found.type == values.type
    for chunk in found.chunks:
        known = chunk.dictionary.to_pylist()
        assert len(set(known) - {None}) == len(known)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.string_view(), ordered=True)])
def test_views_become_large_strings_in_dictionaries_too(kind: pa.DataType) -> None:
    values = pa.array(TEXTS, pa.string_view())
    if pa.types.is_dictionary(kind):
        places = pa.array([0, None, 1, 0], pa.int8())
        values = pa.DictionaryArray.from_arrays(places, pa.array(["a", "b"], pa.string_view()), ordered=True)
    table = pa.table({"x": values, "y": [1, 2, 3, 4]})
    found = without_views(table)
    assert has_view(table.schema.field("x").type)
    assert not has_view(found.schema.field("x").type)
    assert found.to_pydict() == table.to_pydict()
    assert getattr(found.schema.field("x").type, "ordered", True)
