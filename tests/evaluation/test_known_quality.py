"""The order of grades is the order of truth, on synthetic rows of known quality."""

from __future__ import annotations

import itertools

import known_quality
import pytest

from synthvae.evaluation import Evaluation, evaluate

pytestmark = pytest.mark.slow
ROWS = 600
GRADES = ("poor", "fair", "good")
ORDERS = [
    ["fresh", *(f"noise {strength}" for strength in known_quality.NOISES)],
    ["fresh", "cart", "within classes", "shuffled"],
    ["bootstrap", "half shuffled", "shuffled", "one row"],
]


@pytest.fixture(scope="module")
def found() -> dict[str, Evaluation]:
    """The evaluation of each of them."""
    tables = known_quality.population(3 * ROWS, 0)
    real, fresh, holdout = (tables[k * ROWS : (k + 1) * ROWS].reset_index(drop=True) for k in range(3))
    made = known_quality.pairs(real, fresh)
    return {
        name: evaluate(real, rows, holdout=holdout, target=known_quality.TARGET, attacks=False)
        for name, rows in made.items()
    }


def points(found: Evaluation) -> tuple[int, int]:
    """The grade of the answer, and the sum of those of the aspects."""
    use = found.verdict.use
    return GRADES.index(use.grade), sum(GRADES.index(aspect.grade) for aspect in use.aspects)


@pytest.mark.parametrize("order", ORDERS, ids=" > ".join)
def test_the_order_of_grades_is_the_order_of_truth(found: dict[str, Evaluation], order: list[str]) -> None:
    grades = [points(found[name]) for name in order]
    assert all(better >= worse for better, worse in itertools.pairwise(grades)), dict(zip(order, grades, strict=True))
    assert grades[0] > grades[-1]


@pytest.mark.parametrize(
    ("name", "use", "share"),
    [
        ("fresh", "good", "fair"), ("bootstrap", "fair", "poor"), ("copy", "good", "poor"),
        ("noise 0.05", "good", "poor"),
        ("shuffled", "poor", "fair"), ("one row", "poor", "poor"), ("noise 2.0", "poor", "fair"),
    ],
)  # fmt: skip
def test_what_is_known_is_said(found: dict[str, Evaluation], name: str, use: str, share: str) -> None:
    verdict = found[name].verdict
    assert (verdict.use.grade, verdict.share.grade) == (use, share), verdict


def test_shuffled_columns_are_poor_for_their_pairs(found: dict[str, Evaluation]) -> None:
    grades = {aspect.name: aspect.grade for aspect in found["shuffled"].verdict.use.aspects}
    assert grades["columns"] == "good"
    assert grades["pairs"] == "poor"
