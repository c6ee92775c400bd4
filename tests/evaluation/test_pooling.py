"""Pooled intervals cover as often as they state where a closed form tells so, and say where they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae import Synthesizer
from synthvae.errors import ConfigurationError
from synthvae.evaluation import pool

N, REPLICATIONS = 400, 4000
ERROR = 3 * np.sqrt(0.95 * 0.05 / REPLICATIONS)
ABOUT: dict[str, Any] = {"training_rows": 100, "rows": 100, "ledger": None, "class_counts": "drawn"}


def share_covered(copies: int, synthetic: int, rule: str, *, posterior: bool) -> float:
    """The coverage of the mean 0 of normal rows, by a generator that is a normal distribution fitted to N of them.

    Means and variances of the rows are drawn from their own distributions, which are known.
    """
    rng = np.random.default_rng([copies, synthetic])
    shape = (copies, REPLICATIONS)
    mean, variance = rng.normal(size=REPLICATIONS) / np.sqrt(N), rng.chisquare(N - 1, REPLICATIONS) / (N - 1)
    if posterior:
        variance = variance * (N - 1) / rng.chisquare(N - 1, shape)
        mean = mean + np.sqrt(variance / N) * rng.normal(size=shape)
    means = mean + np.sqrt(variance / synthetic) * rng.normal(size=shape)
    variances = variance * rng.chisquare(synthetic - 1, shape) / (synthetic - 1) / synthetic
    found = pool(means, variances, rows=N, synthetic_rows=synthetic, rule=rule)  # type: ignore[arg-type]
    return float(((found.low <= 0) & (found.high >= 0)).mean())


@pytest.mark.parametrize(("copies", "synthetic"), [(1, N), (1, 100), (5, N), (20, 100), (3, 900)])
def test_intervals_of_a_fitted_normal_distribution_cover(copies: int, synthetic: int) -> None:
    assert abs(share_covered(copies, synthetic, "plug-in", posterior=False) - 0.95) < ERROR


@pytest.mark.parametrize(("copies", "synthetic"), [(200, N), (50, 2000)])
def test_intervals_of_posterior_draws_cover(copies: int, synthetic: int) -> None:
    assert abs(share_covered(copies, synthetic, "posterior", posterior=True) - 0.95) < ERROR


def test_the_wrong_rule_does_not_cover() -> None:
    assert share_covered(20, N, "posterior", posterior=False) > 0.95 + ERROR
    assert share_covered(1, 100, "plug-in", posterior=True) < 0.95 - ERROR


def share_covered_by_fits(fits: int, copies: int, spread: float) -> float:
    """The coverage of the mean 0 of N normal rows, by fits whose means have a spread of their own around that of rows.

    Args:
        fits: The number of fits.
        copies: The number of copies of each, of N rows.
        spread: The standard deviation of the means of fits, in standard errors of the mean of the rows.
    """
    rng = np.random.default_rng([fits, copies])
    error = 1 / np.sqrt(N)
    fitted = error * (rng.normal(size=REPLICATIONS) + spread * rng.normal(size=(fits, 1, REPLICATIONS)))
    means = fitted + error * rng.normal(size=(fits, copies, REPLICATIONS))
    variances = error**2 * rng.chisquare(N - 1, means.shape) / (N - 1)
    manifests = [{**ABOUT, **dict.fromkeys(("training_rows", "rows"), N), "model_sha256": str(f)} for f in range(fits)]
    found = pool(
        means.reshape(-1, REPLICATIONS),
        variances.reshape(-1, REPLICATIONS),
        manifest=[{**manifest, "copies": [{}] * copies} for manifest in manifests],
    )
    assert found.rule == "fits"
    return float(((found.low <= 0) & (found.high >= 0)).mean())


@pytest.mark.parametrize(("fits", "copies", "spread"), [(3, 1, 0.6), (5, 1, 0), (5, 1, 2), (5, 4, 0.6), (20, 2, 2)])
def test_intervals_of_several_fits_cover_whatever_their_spread(fits: int, copies: int, spread: float) -> None:
    assert abs(share_covered_by_fits(fits, copies, spread) - 0.95) < ERROR


def test_one_fit_does_not_cover_where_fits_have_a_spread() -> None:
    rng = np.random.default_rng(0)
    means = (rng.normal(size=REPLICATIONS) + rng.normal(size=(6, REPLICATIONS)) + rng.normal(size=REPLICATIONS)) / 20
    found = pool(means, np.full(means.shape, 1 / N), rows=N, synthetic_rows=N)
    assert ((found.low <= 0) & (found.high >= 0)).mean() < 0.95 - 5 * ERROR


def test_several_fits_have_the_rule_of_partially_synthetic_tables() -> None:
    """Formulas of Reiter 2003: T = b / m + v, and (m - 1) (1 + v / (b / m))^2 degrees of freedom."""
    found = pool([1.0, 2.0, 6.0], [0.5, 0.7, 0.6], rows=200, synthetic_rows=200, rule="fits")
    assert found.variance == pytest.approx([7 / 3 + 0.6])
    assert found.freedom == pytest.approx([2 * (1 + 0.6 / (7 / 3)) ** 2])
    one = {**ABOUT, "copies": [{}, {}]}
    nested = pool(
        [0.5, 1.5, 1.0, 3.0, 5.0, 7.0],
        [0.5, 0.7, 0.6] * 2,
        rows=200,
        synthetic_rows=200,
        manifest=[{**one, "model_sha256": name} for name in "abc"],
    )
    assert nested.variance == pytest.approx(found.variance)
    assert (nested.copies, nested.notes) == (6, ())
    same = pool([1.0, 1.0], [0.5, 0.5], rows=200, synthetic_rows=50, rule="fits")
    assert same.variance == pytest.approx([0.125])
    assert np.isinf(same.freedom).all()


def test_the_rules_are_the_published_ones() -> None:
    estimates, variances = np.array([[1.0], [2.0], [6.0]]), np.array([[0.5], [0.7], [0.6]])
    plain = pool(estimates, variances, rows=200, synthetic_rows=50)
    assert plain.estimate == pytest.approx([3.0])
    assert plain.variance == pytest.approx([0.6 * (50 / 200 + 1 / 3)])
    drawn = pool(estimates, variances, rows=200, synthetic_rows=50, rule="posterior")
    spread = (4 + 1 + 9) / 2 * (1 + 1 / 3)
    assert drawn.variance == pytest.approx([spread - 0.6])
    assert drawn.freedom == pytest.approx([2 * (1 - 0.6 / spread) ** 2])
    flat = pool([[1.0], [1.0]], [[0.5], [0.5]], rows=200, synthetic_rows=50, rule="posterior")
    assert flat.variance == pytest.approx([0.5 * (0.25 + 1.25 / 2)])
    assert any("large samples" in note for note in flat.notes)


def test_quantities_have_the_names_of_a_series() -> None:
    one, other = pd.Series({"age": 1.0, "sex": 2.0}), pd.Series({"sex": 4.0, "age": 3.0})
    found = pool([one, other], [one, other], rows=10, synthetic_rows=10).table()
    assert found["estimate"].to_dict() == {"age": 2.0, "sex": 3.0}
    assert pool([dict(one)], [dict(one)], rows=10, synthetic_rows=10).names == ("age", "sex")


def test_variances_are_matched_by_name() -> None:
    mean, variance = pd.Series({"dose": 0.5, "constant": 1.0}), pd.Series({"constant": 0.01, "dose": 4.0})
    expected = pool([[0.5, 1.0]] * 2, [[4.0, 0.01]] * 2, rows=10, synthetic_rows=10).table().to_numpy()
    for given in ([variance] * 2, [dict(variance)] * 2, pd.DataFrame([variance] * 2), [[4.0, 0.01]] * 2):
        for estimates in ([mean] * 2, pd.DataFrame([mean] * 2)):
            found = pool(estimates, given, rows=10, synthetic_rows=10).table()
            assert list(found.index) == ["dose", "constant"]
            assert found.to_numpy() == pytest.approx(expected)


def test_what_generate_returns_tells_the_numbers(fitted: Synthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", rows=50, copies=2)
    with pytest.warns(UserWarning, match=r"holds only approximately.*protected"):
        pooled = pool([1.0, 1.0], [0.3, 0.3], manifest=manifest)
    assert pooled.variance == pytest.approx([0.3 * (50 / 178 + 1 / 2)])
    assert "protected" in pooled.notes[0]


CONDITIONS: dict[str, dict[str, Any]] = {
    "rules": {"rules": 2},
    "under conditions": {"given": {"sex": "'f'"}},
    "weights": {"weighted_by": "w"},
    "Units": {"protection": {"unit": "patient", "columns": {}}},
    "asked for": {"class_counts": "requested"},
    "protected": {"protection": {"columns": {"age": {"cells_at_ends": 8}}}},
}


@pytest.mark.parametrize("words", CONDITIONS)
def test_what_is_not_met_is_said(words: str) -> None:
    with pytest.warns(UserWarning, match=words):
        found = pool([1.0], [1.0], manifest={**ABOUT, **CONDITIONS[words]})
    assert words in " ".join(found.notes)


def test_a_single_dataset_is_said_to_be_stratified(fitted: Synthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", rows=50)
    with pytest.warns(UserWarning, match="copies=1"):
        pool([1.0], [1.0], rows=178, manifest=manifest)


@pytest.mark.filterwarnings("error")
def test_what_hardly_matters_is_no_warning() -> None:
    few = {"columns": {"age": {"cells_at_ends": 1}}}
    assert pool([1.0], [1.0], manifest={**ABOUT, "protection": few}).notes[0].startswith("Values were protected, 1.0%")
    assert [note.split(" is ")[0] for note in pool([1.0], [1.0], manifest=ABOUT).notes] == ["The spread between fits"]
    assert "not checked" in pool([1.0], [1.0], rows=10, synthetic_rows=10).notes[0]


FITS = [{**ABOUT, "model_sha256": name} for name in ("one", "other")]
NAMED = pd.Series({"q": 1.0, "r": 2.0})
REFUSED: dict[str, Callable[[], Any]] = {
    "private model": lambda: pool([1.0], [1.0], manifest={"rows": 9, "ledger": {"epsilon": 1.0}}),
    "`rows` must be": lambda: pool([1.0], [1.0], synthetic_rows=10),
    "`synthetic_rows` must be": lambda: pool([1.0], [1.0], rows=10),
    "same shape": lambda: pool([1.0, 2.0], [1.0], rows=10, synthetic_rows=10),
    "variances positive": lambda: pool([1.0], [0.0], rows=10, synthetic_rows=10),
    "at least 2 copies": lambda: pool([1.0], [1.0], rows=10, synthetic_rows=10, rule="posterior"),
    "`rule` must be": lambda: pool([1.0], [1.0], rows=10, synthetic_rows=10, rule="rubin"),  # type: ignore[arg-type]
    "`level` must be": lambda: pool([1.0], [1.0], rows=10, synthetic_rows=10, level=95),
    "as many for each copy": lambda: pool([[1.0], [1.0, 2.0]], [[1.0], [1.0]], rows=10, synthetic_rows=10),
    "must have the same names": lambda: pool([NAMED], [pd.Series({"a": 1.0})], rows=10, synthetic_rows=10),
    "in several orders": lambda: pool([NAMED, NAMED[::-1]], [[1.0, 1.0]] * 2, rows=10, synthetic_rows=10),
    "each name once": lambda: pool([pd.Series([1.0, 2.0], ["q", "q"])], [[1.0, 1.0]], rows=10, synthetic_rows=10),
    "same quantities in each": lambda: pool([NAMED, [1.0, 2.0]], [[1.0, 1.0]] * 2, rows=10, synthetic_rows=10),
    "an item for each copy": lambda: pool(1.0, 1.0, rows=10, synthetic_rows=10),
    "must be numbers": lambda: pool(["x"], [1.0], rows=10, synthetic_rows=10),
    "`manifest` must be": lambda: pool([1.0], [1.0], manifest="path"),  # type: ignore[arg-type]
    "each of the 4 copies": lambda: pool([1.0] * 8, [1.0] * 8, manifest={**ABOUT, "copies": [{}] * 4}),
    "at least 2 fits": lambda: pool([1.0], [1.0], manifest=[ABOUT]),
    "needs at least 2 fits": lambda: pool([1.0, 2.0], [1.0] * 2, manifest=ABOUT, rule="fits"),
    "the same model twice": lambda: pool([1.0, 2.0], [1.0] * 2, manifest=[FITS[0], FITS[0]]),
    "must agree in 'rows'": lambda: pool([1.0, 2.0], [1.0] * 2, manifest=[FITS[0], {**FITS[1], "rows": 9}]),
    "as many copies": lambda: pool([1.0] * 3, [1.0] * 3, manifest=[FITS[0], {**FITS[1], "copies": [{}, {}]}]),
    "of the 2 manifests": lambda: pool([1.0] * 3, [1.0] * 3, manifest=FITS),
    "need the rule 'fits'": lambda: pool([1.0, 2.0], [1.0] * 2, manifest=FITS, rule="plug-in"),
    "for a private model": lambda: pool([1.0, 2.0], [1.0] * 2, manifest=[FITS[0], {**FITS[1], "ledger": {}}]),
    "must have the shape": lambda: pool([], [], rows=10, synthetic_rows=10),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_pooled_is_refused(words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        REFUSED[words]()
