"""Figures that must be reached: each metric is held on the side on which it is worse."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import ConfigurationError
from synthvae.evaluation.results import Better, Figure, Metric, Section
from synthvae.evaluation.thresholds import failures, recorded

NUMBERS = st.floats(-1e6, 1e6)


def figures(**values: tuple[Better, float]) -> dict[str, Figure]:
    return {name: Figure(Metric(name, name, better, "", ""), value) for name, (better, value) in values.items()}


FOUND = figures(trend=("higher", 0.8), copies=("lower", 0.02), c2st=("half", 0.6), unknown=("higher", math.nan))


@given(value=NUMBERS, bound=NUMBERS)
def test_a_figure_fails_exactly_if_it_is_on_the_worse_side(value: float, bound: float) -> None:
    assert bool(failures(figures(m=("higher", value)), {"m": bound}, {})) == (value < bound)
    assert bool(failures(figures(m=("lower", value)), {}, {"m": bound})) == (value > bound)
    assert bool(failures(figures(m=("half", value)), {}, {"m": bound})) == (value > bound)


def test_each_failure_is_one_sentence_with_the_figure_and_they_keep_their_order() -> None:
    said = failures(FOUND, {"unknown": 0.1, "trend": 0.9}, {"c2st": 0.55, "copies": 0.02})
    assert said == [
        "unknown must be at least 0.1, however, it is not known",
        "trend must be at least 0.9, however, it is 0.8",
        "c2st must be at most 0.55, however, it is 0.6",
    ]
    assert failures(FOUND, {}, {}) == []


@pytest.mark.parametrize(("under", "over", "message"), [
    ({"trends": 0.5}, {}, r"'trends' was not: try \['trend'\]"), ({}, {"trends": 0.5}, "'trends' was not"),
    ({"copies": 0.1}, {}, "fail-over"), ({"c2st": 0.5}, {}, "at one half.*fail-over"),
    ({}, {"trend": 0.5}, "fail-under"), ({"trend": math.nan}, {}, "finite"), ({}, {"copies": math.inf}, "finite"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(under: dict[str, float], over: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        failures(FOUND, under, over)


@given(
    st.dictionaries(
        st.text(max_size=5), st.tuples(st.sampled_from(["higher", "lower", "half"]), st.floats()), max_size=4
    )
)
def test_figures_come_back_from_json(values: dict[str, tuple[Better, float]]) -> None:
    given_ = figures(**values)
    section = Section("s", tuple(given_.values()))
    page = json.loads(json.dumps({"sections": {"s": section.as_dict()}}, allow_nan=False))
    back = recorded(page)
    assert list(back) == list(given_)
    for name, figure in given_.items():
        assert back[name].metric.better == figure.metric.better
        assert back[name].value == figure.value or (math.isnan(back[name].value) and not math.isfinite(figure.value))
