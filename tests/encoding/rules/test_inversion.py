"""The interval that `solve` returns is the first one at which a scan of many points finds a wanted value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.encoding.arrays import Floats
from synthvae.encoding.rules.inversion import solve

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "falling": lambda x: 50 / (1 + x),
    "rising": lambda x: x**2 / 3,
    "turning": lambda x: (x - 4) ** 2,
    "floor": np.floor,
    "jump": lambda x: np.where(x < 3, x, x + 5),
    "undefined": lambda x: np.where(x < 2, np.nan, x),
    "constant": lambda x: np.full(len(x), 2.0),
}
SCAN = np.linspace(0, 10, 100_001)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(FUNCTIONS)), st.floats(-1, 40), st.floats(0.02, 3))
def test_the_first_run_of_a_scan_is_found(name: str, wanted: float, width: float) -> None:
    function = FUNCTIONS[name]
    low, high = solve(function, (np.array([wanted]), np.array([wanted + width])), (0.0, 10.0))
    values = function(SCAN)
    inside = (values >= wanted) & (values <= wanted + width)
    if not inside.any():
        assert low[0] > high[0] or high[0] - low[0] < 2e-4
        return
    first = int(inside.argmax())
    run = inside[first:]
    last = first + (len(run) if run.all() else int((~run).argmax())) - 1
    if SCAN[last] - SCAN[first] < 0.2 and low[0] > SCAN[last]:  # a turn between two points: a later run is right, too
        assert wanted <= function(low)[0] <= wanted + width
        return
    if low[0] > high[0]:
        assert SCAN[last] - SCAN[first] < 0.2
        return
    np.testing.assert_allclose([low[0], high[0]], [SCAN[first], SCAN[last]], atol=2e-4)


def test_each_row_has_a_function_of_its_own() -> None:
    height = np.array([1.5, 1.6, 1.9])
    bmi = np.array([20.0, 25.0, 31.2])
    low, high = solve(lambda weight: weight / height**2, (bmi - 0.05, bmi + 0.05), (30.0, 150.0))
    np.testing.assert_allclose(low, (bmi - 0.05) * height**2)
    np.testing.assert_allclose(high, (bmi + 0.05) * height**2)


@pytest.mark.parametrize("wanted", [-5.0, 200.0])
def test_a_value_that_is_never_reached_leaves_nothing(wanted: float) -> None:
    low, high = solve(np.square, (np.array([wanted]), np.array([wanted + 1])), (0.0, 10.0))
    assert low[0] == np.inf
    assert high[0] == -np.inf
