"""The verdict follows from the figures."""

from __future__ import annotations

from typing import Any

import pytest

from synthvae.evaluation.metrics import Better, Metric
from synthvae.evaluation.results import Figure
from synthvae.evaluation.verdict import closeness, verdict

LEDGER = {"epsilon": 1.0, "delta": 1e-5, "unit": "row"}


def figure(name: str, value: float, better: Better = "higher", **more: Any) -> Figure:
    return Figure(Metric(name, name, better, "", "", risk=better != "higher"), value, **more)


def fidelity(trend: float, c2st: float, tstr: float) -> dict[str, Figure]:
    return {
        "shape": figure("shape", 0.99, real=0.995, independent=0.995),
        "trend": figure("trend", trend, real=0.99, independent=0.9),
        "c2st_real": figure("c2st_real", 0.5, "half", real=0.5, independent=0.95),
        "c2st_holdout": figure("c2st_holdout", c2st, "half", real=0.5, independent=0.95),
        "tstr": figure("tstr", tstr, real=0.92, independent=0.5),
    }


@pytest.mark.parametrize(
    ("figures", "grade"),
    [
        (fidelity(0.988, 0.52, 0.91), "good"), (fidelity(0.965, 0.6, 0.91), "fair"), (fidelity(0.9, 0.95, 0.5), "poor"),
        (fidelity(0.988, 0.98, 0.91), "poor"), ({}, "unknown"),
    ],
)  # fmt: skip
def test_use_is_graded_by_the_worst_figure(figures: dict[str, Figure], grade: str) -> None:
    found = verdict(figures, None).use
    assert found.grade == grade
    assert len(found.reasons) == max(len(figures) - 1, 0)  # the classifier is told of once
    assert all("real rows:" in reason for reason in found.reasons)


def test_closeness_is_one_for_real_rows_and_zero_for_shuffled_columns() -> None:
    for better, ends in (("higher", (0.9, 0.5)), ("lower", (0.1, 0.4)), ("half", (0.5, 0.95))):
        best, worst = ends
        for value, expected in ((best, 1), (worst, 0), ((best + worst) / 2, 0.5)):
            found = figure("m", value, better, real=best, independent=worst)  # type: ignore[arg-type]
            assert closeness(found) == pytest.approx(expected)
    assert closeness(figure("m", 0.7, real=0.7, independent=0.7)) is None
    assert closeness(figure("m", 0.7, real=0.7)) is None


@pytest.mark.parametrize(
    ("copies", "ledger", "held", "grade"),
    [
        ((0.01, 0.03), None, True, "poor"), ((0.01, 0.03), LEDGER, True, "poor"), ((0.0, 0.002), LEDGER, True, "good"),
        ((0.0, 0.002), {**LEDGER, "epsilon": 50.0}, True, "fair"), ((0.0, 0.002), None, True, "fair"),
        ((0.0, 0.002), {**LEDGER, "delta": 0.5}, True, "fair"),
        ((0.0, 0.002), None, False, "unknown"),
    ],
)  # fmt: skip
def test_sharing_needs_a_guarantee_or_a_holdout(copies: Any, ledger: Any, held: Any, grade: str) -> None:
    figures = {"copies": figure("copies", sum(copies) / 2, "lower", interval=copies, real=0.001)}
    if held:
        figures["dcr_share"] = figure("dcr_share", 0.501, "half", interval=(0.48, 0.52))
    found = verdict(figures, ledger).share
    assert found.grade == grade
    assert ("epsilon" in found.reasons[0]) == (ledger is not None)
    assert any("holdout" in reason for reason in found.reasons) is not held


def test_missing_attacks_and_weak_guarantees_are_reported() -> None:
    figures = {"dcr_share": figure("dcr_share", 0.5, "half", interval=(0.48, 0.52))}
    found = verdict(figures, {**LEDGER, "epsilon": 50.0}).share
    assert "too weak to rely on" in found.answer
    assert "Simulated attacks were not run." in found.reasons
    with_attacks = verdict(
        {**figures, "membership": figure("membership", 0.5, "half", interval=(0.4, 0.6))}, None
    ).share
    assert "Simulated attacks were not run." not in with_attacks.reasons


def test_auc_below_chance_is_good_and_few_rows_are_unknown() -> None:
    figures = fidelity(0.988, 0.3, 0.91)
    assert verdict(figures, None).use.grade == "good"
    del figures["c2st_real"]
    assert verdict(figures, None).use.grade == "unknown"


def test_a_figure_is_flagged_by_more_than_its_interval() -> None:
    assert not figure("copies", 0.02, "lower", interval=(0.0009, 0.03), real=0.001).flagged
    assert figure("dcr_share", 0.6, "half", interval=(0.55, 0.65)).flagged
    assert not figure("dcr_share", 0.56, "half", interval=(0.51, 0.61)).flagged
    assert not Figure(Metric("calibration", "", "lower", "", ""), 0.2, interval=(0.1, 0.3), real=0.0).flagged
    assert not figure("dcr_share", 0.3, "half", interval=(0.25, 0.35)).flagged
    assert not figure("trend", 0.3, "higher", interval=(0.25, 0.35)).flagged
    assert not figure("copies", 0.5, "lower").flagged
