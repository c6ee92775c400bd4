"""The order of grades is the order of truth, on synthetic rows of known quality."""

from __future__ import annotations

import known_quality
import pytest

from synthvae.evaluation import Evaluation, evaluate

pytestmark = pytest.mark.slow
ROWS = 600


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


@pytest.fixture(scope="module")
def ranks(found: dict[str, Evaluation]) -> dict[str, known_quality.Points]:
    """The rank of the answer to the question of use, for each of them."""
    uses = {name: one.verdict.use for name, one in found.items()}
    return {
        name: known_quality.points(use.grade, {aspect.name: aspect.grade for aspect in use.aspects})
        for name, use in uses.items()
    }


def test_the_order_of_grades_is_the_order_of_truth(ranks: dict[str, known_quality.Points]) -> None:
    compared, wrong = known_quality.inverted(ranks)
    assert compared > 25
    assert not wrong, ranks


@pytest.mark.parametrize("order", known_quality.ORDERS, ids=" > ".join)
def test_the_best_is_graded_higher_than_the_worst(
    ranks: dict[str, known_quality.Points], order: tuple[str, ...]
) -> None:
    assert ranks[order[0]] > ranks[order[-1]]


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
