"""The verdict follows from the figures."""

from __future__ import annotations

from typing import Any

import pytest

from synthvae.evaluation.disclosure.identifying import Identifying
from synthvae.evaluation.linked.link_limits import LINK_LIMITS
from synthvae.evaluation.metric import Better, Metric
from synthvae.evaluation.results import Figure
from synthvae.evaluation.verdict import verdict
from synthvae.evaluation.verdict_aspects import aspects, closeness
from synthvae.evaluation.verdict_risks import sign

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
        (fidelity(0.988, 0.98, 0.91), "fair"), (fidelity(0.965, 0.98, 0.91), "poor"), ({}, "unknown"),
    ],
)  # fmt: skip
def test_use_is_graded_by_the_worst_figure(figures: dict[str, Figure], grade: str) -> None:
    found = verdict(figures, None).use
    assert found.grade == grade
    assert len(found.reasons) == len(found.aspects) == max(len(figures) - 1, 0)  # one classifier test counts
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


@pytest.mark.parametrize("name", ["dcr_share", "nndr_share", "membership"])
@pytest.mark.parametrize(
    ("value", "half", "expected", "grade"),
    [(0.545, 0.0295, "slight", "fair"), (0.51, 0.002, "slight", "fair"), (0.545, 0.04, "raised", "fair"),
     (0.555, 0.03, "found", "poor"), (0.555, 0.05, "raised", "fair"), (0.6, 0.06, "found", "poor"),
     (0.51, 0.03, "none", "fair")],
)  # fmt: skip
def test_a_flag_takes_more_than_chance_and_more_than_the_limit(
    name: str, value: float, half: float, expected: str, grade: str
) -> None:
    risk = figure(name, value, "half", interval=(value - half, value + half), real=0.5)
    assert (risk.limit, risk.flagged) == (0.55, expected == "found")
    assert sign(risk) == expected
    compared = {"singling_out": figure("singling_out", 0.0, "lower", interval=(0.0, 0.01))}
    found = verdict({name: risk} | compared, None).share
    assert found.grade == grade
    (listed,) = (reason for reason in found.reasons if "limit" in reason)
    assert "limit 55.0%" in listed.replace("limit: ", "limit ") or "limit 0.550" in listed.replace("limit: ", "limit ")
    assert ("stay within the limits" in found.answer) == (expected == "slight")


def test_copies_have_no_limit_of_their_own() -> None:
    risk = figure("copies", 0.02, "lower", interval=(0.015, 0.025), real=0.001)
    assert (risk.limit, sign(risk)) == (0.001, "found")


def test_the_answer_names_the_figure_that_decided_and_its_limit() -> None:
    found = verdict(fidelity(0.988, 0.74, 0.91), None).use
    assert found.grade == "fair"
    assert "What decided: detectability fair (0.740 > 0.600). Good: columns, pairs, utility." in found.answer
    grades = {aspect.name: (aspect.grade, aspect.decided) for aspect in found.aspects}
    assert grades["pairs"] == ("good", "98.8% ≥ 97.2%")
    assert grades["utility"] == ("good", "0.910 ≥ 0.836")


def test_other_tables_with_the_same_grade_have_other_reasons() -> None:
    recognised, related = (verdict(fidelity(*of), None).use for of in ((0.988, 0.74, 0.91), (0.965, 0.55, 0.91)))
    assert recognised.grade == related.grade == "fair"
    assert recognised.answer != related.answer
    assert "pairs fair (96.5% < 97.2%)" in related.answer


@pytest.mark.parametrize(
    ("more", "aspect", "grade"),
    [
        ({"missing": figure("missing", 0.3, "lower", real=0.0)}, "columns", "poor"),
        ({"adherence": figure("adherence", 0.95, real=1.0)}, "columns", "fair"),
        ({"worst_rule": figure("worst_rule", 0.95, real=1.0, interval=(0.94, 0.96))}, "logic", "fair"),
        ({"worst_rule": figure("worst_rule", 0.98, real=1.0, interval=(0.9, 0.995))}, "logic", "good"),
        ({"kaplan_meier": figure("kaplan_meier", 0.1, "lower", real=0.01)}, "survival", "poor"),
        ({"concordance": figure("concordance", 0.7, real=0.8, independent=0.5)}, "survival", "fair"),
        ({"group_utility": figure("group_utility", 0.3, "lower", real=0.01)}, "fairness", "poor"),
    ],
)
def test_missing_values_rules_survival_and_fairness_count(more: dict[str, Figure], aspect: str, grade: str) -> None:
    found = verdict({**fidelity(0.988, 0.52, 0.91), **more}, None).use
    assert {one.name: one.grade for one in found.aspects}[aspect] == grade
    whole = {"good": "good", "fair": "fair", "poor": "fair" if aspect == "fairness" else "poor"}
    assert found.grade == whole[grade]


def test_an_interval_with_the_limit_inside_is_uncertain() -> None:
    figures = fidelity(0.988, 0.52, 0.91)
    figures["c2st_holdout"] = figure("c2st_holdout", 0.58, "half", real=0.5, independent=0.95, interval=(0.5, 0.66))
    found = verdict(figures, None).use
    assert found.grade == "good"
    assert "The grade of detectability is uncertain" in found.answer
    assert [aspect.name for aspect in aspects(figures) if aspect.uncertain] == ["detectability"]


def test_a_figure_that_is_good_by_its_interval_alone_states_the_end_of_the_interval() -> None:
    rule = figure("worst_rule", 0.98, real=1.0, interval=(0.9, 0.995))
    (found,) = aspects({"worst_rule": rule})
    assert (found.grade, found.decided, found.uncertain) == ("good", "up to 99.5% ≥ 99.0%", True)
    assert "98.0%" in found.sentence
    missing = figure("time_steps", 0.06, "lower", real=0.0, interval=(0.04, 0.08))
    (found,) = aspects({"time_steps": missing}, [limits for limits in LINK_LIMITS if limits.metric == "time_steps"])
    assert (found.grade, found.decided) == ("good", "down to 4.0% ≤ 5.0%")


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((0.505, 0.578), "raised"), ((0.46, 0.54), "none"), ((0.38, 0.64), "uncertain"), ((0.6, 0.64), "found")],
)
def test_no_sign_agrees_with_the_interval(interval: tuple[float, float], expected: str) -> None:
    risk = figure("dcr_share", sum(interval) / 2, "half", interval=interval, real=0.5)
    assert sign(risk) == expected
    found = verdict({"dcr_share": risk}, None).share
    said = {
        "raised": "Slightly raised, which chance may explain: dcr_share 54.1% (95% interval: 50.5% to 57.8%, expected",
        "none": "No sign of disclosure: dcr_share",
        "uncertain": "Too uncertain to tell",
        "found": "closer to training rows than",
    }
    assert any(said[expected] in reason for reason in found.reasons)
    assert {"raised": "fair", "none": "fair", "uncertain": "unknown", "found": "poor"}[expected] == found.grade
    assert ("too small to tell" in found.answer) == (expected == "uncertain")


def test_values_that_identify_people_stand_first() -> None:
    figures = {"dcr_share": figure("dcr_share", 0.5, "half", interval=(0.48, 0.52))}
    mail = Identifying("mail", "e-mail addresses", 0.9, serious=True)
    found = verdict(figures, None, [mail]).share
    assert found.grade == "poor"
    assert found.reasons[0].startswith("Column 'mail' has e-mail addresses: 90.0% of its synthetic values are values")
    assert verdict(figures, LEDGER, [mail]).share.grade == "good"
    towns = Identifying("town", "addresses", 0.9, serious=False)
    assert verdict(figures, None, [towns]).share.grade == "fair"


@pytest.mark.parametrize(("trend", "grade"), [(0.99, "good"), (0.97, "fair"), (0.9, "poor")])
def test_pairs_that_are_hardly_related_have_a_grade(trend: float, grade: str) -> None:
    figures = fidelity(0.988, 0.52, 0.91) | {"trend": figure("trend", trend, real=0.99, independent=0.985)}
    assert {aspect.name: aspect.grade for aspect in aspects(figures)}["pairs"] == grade


@pytest.mark.parametrize(("raised", "said"), [(2, "chance may explain"), (3, "chance alone hardly explains")])
def test_many_raised_measurements_are_no_chance(raised: int, said: str) -> None:
    names = ("dcr_share", "nndr_share", "membership", "linkability")
    ends = [(0.505, 0.578) if k < raised else (0.46, 0.54) for k in range(4)]
    figures = {name: figure(name, sum(pair) / 2, "half", interval=pair) for name, pair in zip(names, ends, strict=True)}
    found = verdict(figures, None).share
    assert said in found.answer
    assert any(said in reason for reason in found.reasons)
