"""The catalogue of metrics is complete: the report and the documentation show every text."""

from __future__ import annotations

import re

import pytest

from synthvae.evaluation import METRICS, Metric
from synthvae.evaluation.metrics import SECTIONS


@pytest.mark.parametrize("metric", METRICS.values(), ids=str)
def test_every_metric_has_formula_range_source_and_limits(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", metric.name)
    for sentence in (metric.meaning, metric.formula, metric.range, metric.limits):
        assert sentence.endswith(".")
    assert re.search(r"https?://|arXiv|SDMetrics|\d{4}", metric.source)


def test_names_are_unique() -> None:
    assert len(METRICS) == sum(map(len, SECTIONS.values()))
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
