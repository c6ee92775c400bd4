"""The catalogue of the metrics of linked tables is complete; each has limits in the verdict, or is a risk."""

from __future__ import annotations

import re

import pytest

from synthvae.evaluation import METRICS, Metric
from synthvae.evaluation.linked.link_limits import LINK_LIMITS
from synthvae.evaluation.linked.link_metrics import LINK_METRICS, LINK_SECTIONS


@pytest.mark.parametrize("metric", LINK_METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_has_formula_range_source_and_limits(metric: Metric) -> None:
    assert all(text.endswith(".") for text in (metric.meaning, metric.formula, metric.range, metric.limits))
    assert re.search(r"https?://|\d{4}", metric.source)
    assert metric.risk or metric.name in {limits.metric for limits in LINK_LIMITS}


def test_names_and_titles_are_unique() -> None:
    assert len(LINK_METRICS) == sum(map(len, LINK_SECTIONS.values()))
    every = [*METRICS.values(), *LINK_METRICS.values()]
    assert len({metric.name for metric in every}) == len({metric.title for metric in every}) == len(every)
