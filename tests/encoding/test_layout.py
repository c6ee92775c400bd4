"""The laws of the layout: spans partition the width, splitting and joining are inverse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.codes import Slots, Value
from synthvae.encoding import Layout
from synthvae.encoding.layout import MAX_BASE, MAX_SINGLE, digit_sizes

LEVELS = st.integers(0, 30) | st.integers(0, 2000) | st.integers(2000, 250_000)
LAYOUTS = st.lists(LEVELS, min_size=1, max_size=8).map(
    lambda levels: Layout.from_levels({f"c{i}": n for i, n in enumerate(levels)})
)


@st.composite
def valued_layouts(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Layout:
    """Columns of atoms, perhaps a value behind them, then marks."""
    atoms = draw(st.lists(st.integers(0, 30) | st.integers(30, 2000), min_size=1, max_size=6))
    marks, valued = ([draw(kind) for _ in atoms] for kind in (st.integers(0, 4), st.booleans()))
    names = [f"c{i}" for i in range(len(atoms))]
    singles = [value + mark for value, mark in zip(valued, marks, strict=True)]
    levels = [max(atom + single, 1) for atom, single in zip(atoms, singles, strict=True)]
    return Layout(tuple(names), tuple(levels), tuple(singles), tuple(valued))


def _some_states(levels: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The first and the last state, and some between."""
    return np.concatenate([[0, max(levels - 1, 0)], rng.integers(0, max(levels, 1), 30)])


@settings(deadline=None)
@given(LEVELS)
def test_digits_number_all_states_and_little_more(levels: int) -> None:
    sizes = digit_sizes(levels)
    assert math.prod(sizes) >= levels or levels == 0
    assert all(size >= 2 for size in sizes)
    assert max(sizes, default=0) <= max(MAX_SINGLE, MAX_BASE)
    assert not sizes or math.prod(sizes[1:]) * (sizes[0] - 1) < levels


@pytest.mark.parametrize(("levels", "digits"), [(0, 0), (1, 0), (2, 1), (24, 1), (25, 2), (1024, 2), (1025, 3)])
def test_so_many_digits_for_so_many_levels(levels: int, digits: int) -> None:
    assert len(digit_sizes(levels)) == digits


@settings(deadline=None)
@given(LAYOUTS)
def test_spans_partition_the_width(layout: Layout) -> None:
    positions = [i for span in layout.spans.values() for i in range(span.start, span.stop)]
    assert positions == list(range(layout.width))
    assert list(layout.spans) == list(layout.names)
    assert [layout.sizes[span] for span in layout.spans.values()] == list(layout.digits)


@settings(deadline=None)
@given(LAYOUTS, st.integers(0, 99))
def test_join_undoes_split(layout: Layout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = [_some_states(levels, rng) for levels in layout.levels]
    digits = layout.split(states)
    assert digits.shape == (32, layout.width)
    assert (digits >= 0).all()
    assert (digits < np.array(layout.sizes, int)).all()
    for before, after in zip(states, layout.join(digits), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("levels", [2, 24, 25, 101, 1024, 1025, 33_000])
def test_every_state_has_digits_of_its_own(levels: int) -> None:
    layout = Layout.from_levels({"c": levels})
    digits = layout.split([np.arange(levels)])
    assert len(np.unique(digits, axis=0)) == levels


@settings(deadline=None)
@given(LAYOUTS, st.integers(0, 99))
def test_any_digits_join_to_known_states(layout: Layout, seed: int) -> None:
    digits = np.random.default_rng(seed).integers(0, layout.sizes, (50, layout.width))
    for state, levels in zip(layout.join(digits), layout.levels, strict=True):
        assert state.min() >= 0
        assert state.max() <= max(levels - 1, 0)


@settings(deadline=None)
@given(LAYOUTS)
def test_an_unknown_state_has_unknown_digits_only_in_its_column(layout: Layout) -> None:
    states = [np.zeros(1, np.int64) for _ in layout.names]
    for position, name in enumerate(layout.names):
        unknown = [state - 1 if i == position else state for i, state in enumerate(states)]
        digits = layout.split(unknown)[0]
        expected = np.zeros(layout.width, int)
        expected[layout.spans[name]] = -1
        np.testing.assert_array_equal(digits, expected)


def test_coarse_digits_come_first() -> None:
    layout = Layout.from_levels({"c": 1000})
    coarse = layout.split([np.arange(1000)])[:, 0]
    assert (np.diff(coarse) >= 0).all()


@pytest.mark.parametrize(("names", "levels"), [(("a",), (1, 2)), (("a", "a"), (1, 2)), ((), (1,))])
def test_a_layout_that_does_not_match_its_names_is_refused(names: tuple[str, ...], levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one number of levels for each distinct name"):
        Layout(names, levels, (0,) * len(levels), (False,) * len(levels))


@settings(deadline=None)
@given(st.integers(30, 5000), st.integers(1, 12), st.integers(0, 99))
def test_one_digit_alone_says_that_a_state_is_no_value(values: int, singles: int, seed: int) -> None:
    layout = Layout.from_levels({"x": values + singles}, {"x": singles})
    states = np.concatenate([np.arange(values, values + singles), _some_states(values, np.random.default_rng(seed))])
    digits = layout.split([states])
    assert np.array_equal(layout.join(digits)[0], states)
    coarse = digits[:, 0].astype(int) - (layout.sizes[0] - singles)
    assert np.array_equal(coarse >= 0, states >= values)
    assert (digits[states >= values, 1:] == 0).all()


@settings(deadline=None)
@given(st.integers(30, 5000), st.integers(0, 12), st.integers(0, 99))
def test_any_digits_mean_a_state(values: int, singles: int, seed: int) -> None:
    layout = Layout.from_levels({"x": values + singles}, {"x": singles})
    digits = np.random.default_rng(seed).integers(0, layout.sizes, (200, layout.width))
    (states,) = layout.join(digits)
    assert states.min() >= 0
    assert states.max() < values + singles
    assert np.array_equal(states >= values, digits[:, 0] >= layout.sizes[0] - singles)


@settings(deadline=None)
@given(valued_layouts())
def test_a_value_stands_behind_the_digits_of_its_column(layout: Layout) -> None:
    expected: list[tuple[bool, int]] = []
    digits = values = 0
    for sizes, valued in zip(layout.digits, layout.valued, strict=True):
        expected += [(False, j) for j in range(digits, digits + len(sizes))]
        expected += [(True, values)] if valued else []
        digits, values = digits + len(sizes), values + valued
    assert layout.slots.sizes == layout.sizes
    assert list(layout.slots.order) == expected
    assert layout.valued_names == tuple(n for n, valued in zip(layout.names, layout.valued, strict=True) if valued)


@settings(deadline=None)
@given(valued_layouts(), st.integers(0, 99))
def test_the_switch_says_exactly_where_a_value_is(layout: Layout, seed: int) -> None:
    """There is one where the state is the first after the atoms; without digits, there always is."""
    rng = np.random.default_rng(seed)
    states = [
        np.append(_some_states(levels, rng), levels - s)
        for levels, s in zip(layout.levels, layout.singles, strict=True)
    ]
    states = [np.minimum(state, levels - 1) for state, levels in zip(states, layout.levels, strict=True)]
    digits = layout.split(states)
    for name, value in zip(layout.valued_names, layout.slots.values, strict=True):
        column = layout.names.index(name)
        has = states[column] == layout.levels[column] - layout.singles[column]
        if value.switch is None:
            assert has.all()
        else:
            np.testing.assert_array_equal(digits[:, value.switch] == value.level, has)
            assert value.switch == layout.spans[name].start < layout.spans[name].stop == value.after


@settings(deadline=None)
@given(valued_layouts(), st.integers(0, 99))
def test_join_undoes_split_with_values(layout: Layout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = [_some_states(levels, rng) for levels in layout.levels]
    for before, after in zip(states, layout.join(layout.split(states)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_slots_of_a_small_table() -> None:
    layout = Layout.from_levels({"a": 1, "b": 3, "c": 40, "d": 2}, {"a": 1, "b": 2, "c": 3}, {"a", "b", "c"})
    values = (Value(0), Value(1, 0, 1), Value(3, 1, 6))
    assert layout.slots == Slots((3, 9, 7, 2), values, (None, None, 1, None))
    assert layout.slots.order == (
        (True, 0), (False, 0), (True, 1), (False, 1), (False, 2), (True, 2), (False, 3),
    )  # fmt: skip
