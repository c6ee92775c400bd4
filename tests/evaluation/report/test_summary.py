"""The first screen: large figures, bars of references, and measurements of disclosure."""

from __future__ import annotations

import math

import pytest

from synthvae.evaluation import METRICS, Figure
from synthvae.evaluation.report.summary import bars_of, measurements, text_of, tiles, unlisted, worst_measurement
from synthvae.evaluation.verdict import verdict
from synthvae.evaluation.verdict_risks import sentences


def made(
    name: str, value: float, real: float | None = None, independent: float | None = None, half: float = 0.0
) -> Figure:
    interval = (value - half, value + half) if half else None
    return Figure(METRICS[name], value, interval, real, independent)


FIGURES = {
    figure.metric.name: figure
    for figure in (
        made("shape", 0.96, 0.985, 0.99), made("trend", 0.9, 0.97, 0.6), made("c2st_holdout", 0.74, 0.5, 0.98, 0.02),
        made("c2st_real", 0.75, 0.5, 0.98, 0.02), made("tstr", 0.85, 0.9, 0.5, 0.01),
        made("worst_rule", 0.999, 1.0, 0.3, 0.001), made("copies", 0.0, 0.0, half=0.0001),
        made("dcr_share", 0.62, half=0.02), made("membership", 0.51, half=0.02),
    )
}  # fmt: skip


def test_five_large_figures_have_the_grades_of_the_verdict_and_one_is_of_disclosure() -> None:
    answers = verdict(FIGURES, None)
    found = tiles(answers, FIGURES)
    assert [tile.title for tile in found] == ["Columns", "Pairs", "Detectability", "Utility", "Disclosure"]
    grades = {aspect.name.capitalize(): aspect.grade for aspect in answers.use.aspects}
    assert [tile.grade for tile in found[:4]] == [grades[tile.title] for tile in found[:4]]
    assert (found[-1].value, found[-1].grade, found[-1].word) == ("62.0%", "poor", "Flagged")
    assert [len(tile.bars) for tile in found] == [3, 3, 3, 3, 2]


def test_without_a_target_or_a_holdout_fewer_figures_are_large() -> None:
    few = {name: FIGURES[name] for name in ("shape", "trend", "c2st_real")}
    assert [tile.title for tile in tiles(verdict(few, None), few)] == ["Columns", "Pairs", "Detectability"]
    assert tiles(verdict({}, None), {}) == ()


def test_the_most_serious_measurement_of_disclosure_is_large() -> None:
    calm = {"dcr_share": made("dcr_share", 0.5, half=0.02), "copies": made("copies", 0.0, 0.0, half=0.0001)}
    raised, flagged = made("linkability", 0.05, half=0.04), made("membership", 0.7, half=0.02)
    for figures, expected in (
        ({}, None), (calm, "dcr_share"), (calm | {"linkability": raised}, "linkability"),
        (calm | {"linkability": raised, "membership": flagged}, "membership"), ({"shape": made("shape", 0.9)}, None),
    ):  # fmt: skip
        found = worst_measurement(figures)
        assert (None if found is None else found.metric.name) == expected


def test_bars_are_in_the_order_of_quality_and_as_long_as_their_values() -> None:
    bars = bars_of(FIGURES["tstr"])
    assert [(bar.role, bar.label, bar.value) for bar in bars] == [
        ("independent", "shuffled columns", "0.500"), ("synthetic", "TSTR", "0.850"), ("real", "TRTR", "0.900"),
    ]  # fmt: skip
    assert [bar.width for bar in bars] == [50, 85, 90]
    assert bars[1].interval == (84, 86)


def test_bars_of_figures_that_are_best_at_one_half_start_there() -> None:
    assert [bar.width for bar in bars_of(FIGURES["c2st_holdout"])] == [96, 48, 0]
    assert bars_of(made("membership", 0.3))[0].width == 0


def test_bars_stay_within_the_track() -> None:
    for figure in (
        made("density", 3.0, 1.0, 0.1),
        made("tstr", -2.0, 0.4),
        made("tstr", 0.2, -0.4),
        made("copies", 0.0),
    ):
        assert all(0 <= bar.width <= 100 for bar in bars_of(figure))
    assert bars_of(made("missing", 0.004))[0].width == 20  # of 0.02
    assert bars_of(made("linkability", 0.004))[0].width == 0.4  # of 1, since it is a risk
    assert bars_of(made("shape", math.nan, 0.9)) == ()
    assert [bar.role for bar in bars_of(made("shape", 0.5, math.nan, math.inf))] == ["synthetic"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("shape", 0.9876, "98.8%"), ("shape", 0.0, "0.0%"), ("copies", 0.000123, "0.012%"),
     ("nearness", 3.1e-8, "≈ 0%"), ("kaplan_meier", 0.000123, "0.012%"),
     ("calibration", 0.000042, "0.000042"), ("calibration", -3e-9, "≈ 0"), ("tstr", 0.9, "0.900"),
     ("shape", math.nan, "—"), ("density", 1.0, "1.000")],
)  # fmt: skip
def test_shares_are_in_percent_and_small_ones_are_not_zero(name: str, value: float, text: str) -> None:
    assert text_of(made(name, value), value) == text


def test_measurements_replace_the_sentences_that_list_them() -> None:
    found = measurements(FIGURES)
    assert [(each.title, each.word) for each in found] == [
        ("Exact copies", "No sign"), ("DCR share", "Flagged"), ("Membership inference", "No sign"),
    ]  # fmt: skip
    assert found[1].interval == "60.0% to 64.0%"
    assert found[0].expected.startswith("expected 0.0%")
    assert [each.expected for each in found[1:]] == ["expected 50.0%, limit 55.0%", "expected 0.500, limit 0.550"]
    every = list(sentences(FIGURES))
    kept = unlisted(every, FIGURES)
    assert any("closer to training rows" in sentence for sentence in kept)  # what was found stays
    assert not any(sentence.startswith("No sign of disclosure") for sentence in kept)
    assert len(kept) == len(every) - 1
