"""Thresholds: each metric has one on the side on which it is worse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import ConfigurationError
from synthvae.evaluation.metric import Better, Metric
from synthvae.evaluation.results import Figure
from synthvae.evaluation.thresholds import failures

NUMBERS = st.floats(-1e6, 1e6)


def figures(**values: tuple[Better, float]) -> dict[str, Figure]:
    return {name: Figure(Metric(name, name, better, "", ""), value) for name, (better, value) in values.items()}


FOUND = figures(trend=("higher", 0.8), copies=("lower", 0.02), c2st=("half", 0.6), unknown=("higher", math.nan))


@given(value=NUMBERS, bound=NUMBERS)
def test_a_figure_fails_exactly_if_it_is_on_the_worse_side(value: float, bound: float) -> None:
    assert bool(failures(figures(m=("higher", value)), {"m": bound}, {})) == (value < bound)
    assert bool(failures(figures(m=("lower", value)), {}, {"m": bound})) == (value > bound)
    assert bool(failures(figures(m=("half", value)), {}, {"m": bound})) == (value > bound)


def test_each_failure_is_one_sentence_in_the_order_of_the_thresholds() -> None:
    said = failures(FOUND, {"unknown": 0.1, "trend": 0.9}, {"c2st": 0.55, "copies": 0.02})
    assert said == [
        "`unknown` must be at least 0.1, got an unknown value.",
        "`trend` must be at least 0.9, got 0.8.",
        "`c2st` must be at most 0.55, got 0.6.",
    ]
    assert failures(FOUND, {}, {}) == []


@pytest.mark.parametrize(("under", "over", "message"), [
    ({"trends": 0.5}, {}, r"No figure 'trends'.*Did you mean 'trend'"), ({}, {"trends": 0.5}, "No figure 'trends'"),
    ({"copies": 0.1}, {}, "fail-over"), ({"c2st": 0.5}, {}, "near 0.5.*fail-over"),
    ({}, {"trend": 0.5}, "fail-under"), ({"trend": math.nan}, {}, "finite"), ({}, {"copies": math.inf}, "finite"),
])  # fmt: skip
def test_invalid_thresholds_are_refused(under: dict[str, float], over: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        failures(FOUND, under, over)
