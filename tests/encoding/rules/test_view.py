"""Laws of grids of numbers, and of the numbers that rules compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae import Schema
from synthvae.encoding import TableEncoding
from synthvae.encoding.rules.view import Grid, View
from synthvae.schema.constraints.comparable import frame_of, numbers

STEPS = st.sampled_from([None, 1.0, 0.1, 0.01, 25.0, 0.5])
NUMBERS = st.floats(-1e6, 1e6)


@given(STEPS, NUMBERS, st.booleans())
def test_the_nearest_numbers_of_a_grid_are_on_it_and_on_their_side(
    step: float | None,
    number: float,
    strict: bool,  # noqa: FBT001
) -> None:
    grid, values = Grid(step), np.array([number])
    above, below = grid.above(values, strict=strict)[0], grid.below(values, strict=strict)[0]
    slack = 2e-6 * (step or 0.0)
    assert below <= number + slack
    assert above >= number - slack
    if strict:
        assert below < above
    if step is not None:
        assert above - below <= 2 * step + slack
        for end in (above, below):
            assert abs(end / step - round(end / step)) < 1e-6


@given(STEPS.filter(bool), st.integers(-1000, 1000))
def test_a_number_of_the_grid_is_its_own_neighbour_unless_it_is_excluded(step: float, place: int) -> None:
    grid = Grid(step)
    number = grid.nearest(np.array([place * step]))
    assert grid.above(number, strict=False) == grid.below(number, strict=False) == number
    assert grid.above(number, strict=True)[0] == pytest.approx(number[0] + step)
    assert grid.below(number, strict=True)[0] == pytest.approx(number[0] - step)


def dates() -> pd.Series[Any]:
    rng = np.random.default_rng(0)
    found: pd.Series[Any] = pd.Series(pd.Timestamp("2001-02-03") + pd.to_timedelta(rng.integers(0, 4000, 200), "D"))
    return found


@pytest.mark.parametrize(
    "column",
    [
        dates(),
        dates().dt.tz_localize("UTC"),
        dates() + pd.to_timedelta(np.arange(200) * 61, "s"),
        dates().dt.date,
        dates().dt.strftime("%Y-%m-%d"),
        dates().dt.strftime("%d.%m.%Y"),
        pd.Series(np.arange(200) % 90),
        pd.Series(np.arange(200) / 8),
        pd.Series((np.arange(200) / 8).round(1).astype(str)).str.replace(".", ","),
        pd.Series(np.arange(100) % 60, dtype="int8"),
    ],
)
def test_numbers_are_those_that_rules_compare(column: pd.Series[Any]) -> None:
    table = pa.table({"x": pa.array(column, from_pandas=True)})
    schema = Schema.infer(table)
    encoding = TableEncoding.learn(table, schema, None)
    view = View.of(schema["x"], encoding.columns["x"], table.schema.field("x").type)
    own = view.numbers_of(table.column("x"))
    expected = numbers(frame_of(table, schema, ["x"])["x"])
    np.testing.assert_allclose(view.compared(own), expected, rtol=1e-12)
    np.testing.assert_allclose(view.own(view.compared(own)), own, atol=1e-6)
    low, high = view.limits
    assert (low, high) == pytest.approx((expected.min(), expected.max()))
    states = encoding.columns["x"].encode("x", table.column("x"))
    first, last = view.ranges
    assert ((own >= first[states]) & (own <= last[states])).all()
