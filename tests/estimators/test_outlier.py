"""Outlier detection: what must hold of scores, thresholds and explanations, on scikit-learn's own tables."""

from __future__ import annotations

import io
import math
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from synthvae.errors import ConfigurationError, TableError
from synthvae.estimators import VAEOutlierDetector
from synthvae.estimators.cells import read_cells
from synthvae.estimators.marginal_density import Density, Marginal
from synthvae.model import bound_by_slot
from synthvae.model.likelihood import _antithetic
from synthvae.tables.features import read_features

FAST: dict[str, Any] = {"max_steps": 60, "width": 24, "latent_dim": 3, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Wine with strings, dates, few numbers, one number, and gaps."""
    frame: pd.DataFrame = load_wine(as_frame=True).frame.drop(columns="target")
    frame["strength"] = np.where(frame["alcohol"] > 13, "strong", "light")
    frame["bottled"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(frame)) * 3 % 101, "D")
    frame["stars"] = np.arange(len(frame)) % 3
    frame["lab"] = 5
    frame["note"] = [("n/a", "1.5", "2.5", "7.25")[i % 4] for i in range(len(frame))]
    frame.loc[::7, "hue"] = np.nan
    frame.loc[::11, "strength"] = None
    return frame


@pytest.fixture(scope="module")
def detector(table: pd.DataFrame) -> VAEOutlierDetector:
    return VAEOutlierDetector(contamination=0.1, **FAST).fit(table)


@pytest.mark.parametrize("method", ["score_samples", "decision_function", "predict", "explain"])
def test_unfitted_use_says_so(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(VAEOutlierDetector(), method)(np.zeros((3, 2)))


def test_the_further_away_the_stranger(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    rows = table.head(20)
    for column in ("alcohol", "proline"):
        away = [rows.assign(**{column: table[column].max() * factor}) for factor in (1, 2, 10, 1e3, 1e9)]
        scores = np.array([detector.score_samples(moved) for moved in away])
        assert (np.diff(scores, axis=0) < 0).all()
        assert (scores[2] < detector.score_samples(rows)).all()
    assert (detector.predict(rows.assign(alcohol=1e9, proline=1e9, hue=1e9)) == -1).all()


def test_scores_are_those_of_the_row_alone(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    scores = detector.score_samples(table)
    assert np.array_equal(scores, detector.score_samples(table))
    assert np.allclose(scores[::-1], detector.score_samples(table[::-1]))
    assert np.allclose(scores, detector.score_samples(table[table.columns[::-1]]))
    assert np.allclose(scores[40:43], detector.score_samples(table.iloc[40:43]))


@pytest.mark.slow
def test_scores_do_not_hang_on_units(table: pd.DataFrame) -> None:
    numbers = table[["alcohol", "malic_acid", "proline"]]
    scores = [VAEOutlierDetector(**FAST).fit(frame).score_samples(frame) for frame in (numbers, numbers * 1024)]
    assert np.corrcoef(scores[0], scores[1])[0, 1] > 0.99


def test_threshold_scores_and_labels_agree(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    decisions, labels = detector.decision_function(table), detector.predict(table)
    assert np.array_equal(decisions, detector.score_samples(table) - detector.offset_)
    assert np.array_equal(labels == -1, decisions < 0)
    assert (labels == -1).mean() == pytest.approx(0.1, abs=1 / len(table))
    assert np.array_equal(clone(detector).fit_predict(table), labels)


def test_without_a_share_outliers_are_beyond_the_fence(table: pd.DataFrame) -> None:
    automatic = VAEOutlierDetector(**FAST).fit(table)
    scores = automatic.score_samples(table)
    low, high = np.quantile(scores, [0.25, 0.75])
    assert automatic.offset_ == pytest.approx(low - 1.5 * (high - low))


def test_cells_and_z_make_the_score(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    explained = detector.explain(table)
    assert list(explained.columns) == list(table.columns) == list(detector.surprise_.index)
    assert explained.index.equals(table.index)
    assert np.allclose(explained.mean(), 0, atol=1e-9)  # less what each column is in training
    cells = (explained + detector.surprise_).sum(axis=1)
    learned = detector.synthesizer_.learned_
    codes = learned.encode(read_features(detector, table, reset=False))
    bound, parts = learned.log_likelihood_by_column(codes, detector.draws)
    assert np.allclose(detector.score_samples(table), bound - parts.sum(1) - cells)


def test_the_strange_cell_is_found(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    changed: dict[str, Any] = {
        "alcohol": 99.0,
        "strength": "overproof",
        "stars": 17,
        "lab": 6,
        "note": "illegible",
        "magnesium": -1e6,
    }
    for column, value in changed.items():
        explained = detector.explain(table.head(8).assign(**{column: value}))
        assert (explained.drop(columns=column).max(axis=1) < explained[column]).mean() > 0.7, column


def test_what_was_never_seen_is_strange_and_no_error(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    rows = table.head(20)
    usual, rarest = detector.score_samples(rows), math.log(0.5 / len(table))
    new: dict[str, Any] = {
        "strength": "overproof",
        "stars": 17,
        "lab": 6,
        "note": "illegible",
        "alcohol": np.nan,
        "bottled": pd.NaT,
    }
    for column, value in new.items():
        strange = rows.assign(**{column: value})
        explained = detector.explain(strange)[column] + detector.surprise_[column]
        assert np.allclose(explained, -rarest), column
        assert (detector.score_samples(strange) < usual).mean() > 0.8, column
    with pytest.raises(TableError, match=r"\['hue'\] are missing"):
        detector.score_samples(rows.drop(columns="hue"))
    with pytest.raises(TableError, match="finite"):
        detector.score_samples(rows.assign(alcohol=np.inf))


def test_gaps_and_arrays(table: pd.DataFrame) -> None:
    X = table.select_dtypes("number").to_numpy()
    detector = VAEOutlierDetector(**FAST).fit(X, y=np.zeros(len(X)))
    assert np.isfinite(detector.score_samples(np.full((2, X.shape[1]), np.nan))).all()
    assert list(detector.explain(X).columns[:2]) == ["x0", "x1"]
    assert detector.n_features_in_ == X.shape[1]
    assert not hasattr(detector, "feature_names_in_")


def test_pickled_and_cloned(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    joblib.dump(detector, buffer)
    buffer.seek(0)
    assert np.array_equal(joblib.load(buffer).score_samples(table), detector.score_samples(table))
    assert clone(detector).get_params() == detector.get_params()


@pytest.mark.parametrize("contamination", [0.0, 0.7, -0.1, math.nan, "some", None])
def test_contamination_outside_its_domain(contamination: Any) -> None:
    with pytest.raises(ConfigurationError, match="contamination"):
        VAEOutlierDetector(contamination=contamination, **FAST).fit(np.eye(8))


@pytest.mark.parametrize("draws", [0, 1.5, "many"])
def test_draws_outside_their_domain(draws: Any) -> None:
    with pytest.raises(ConfigurationError, match="draws"):
        VAEOutlierDetector(draws=draws, **FAST).fit(np.eye(8))


@pytest.mark.slow
def test_tumours_are_outliers_among_benign() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    detector = VAEOutlierDetector(max_steps=200, random_state=0).fit(X[y == 1][:250])
    held = np.concatenate([X[y == 1][250:], X[y == 0]])
    malignant = np.arange(len(held)) >= (y == 1).sum() - 250
    assert roc_auc_score(malignant, -detector.score_samples(held)) > 0.93


def test_more_draws_bound_more_tightly(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    learned = detector.synthesizer_.learned_
    codes = read_cells(learned.encoding, read_features(detector, table, reset=False)).codes
    bounds = [learned.log_likelihood_by_column(codes, draws)[0].mean() for draws in (1, 8, 64)]
    assert bounds == sorted(bounds)
    assert learned.log_likelihood(codes).mean() == pytest.approx(bounds[0], abs=0.5)


def test_one_draw_is_the_elbo(detector: VAEOutlierDetector, table: pd.DataFrame) -> None:
    learned = detector.synthesizer_.learned_
    model = learned._double_precision()
    rows, labels = next(learned._batches(learned.encode(read_features(detector, table, reset=False))))
    noise = _antithetic(learned._double_precision(), 1)
    bound, slots = bound_by_slot(model, rows, labels, noise)
    terms = model.elbo(rows, labels, noise)
    entropy = 0.5 * (terms.log_variance + noise[0].square() + math.log(2 * math.pi)).sum(1)
    expected = terms.reconstruction + model.prior.log_prob(terms.z, labels) + entropy
    assert torch.allclose(bound, expected)
    assert torch.allclose(slots.sum(0), terms.reconstruction)


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(np.array)


@settings(deadline=None, max_examples=60)
@given(numbers, numbers)
def test_density_is_by_the_kth_nearest(seen: Any, asked: Any) -> None:
    density = Density.fit(seen)
    ordered = np.sort(np.abs(asked[:, None] - density.numbers), axis=1)[:, density.k - 1]
    assert np.allclose(density._distance(asked), ordered)
    assert np.isfinite(density.log_density(asked)).all()


def test_density_of_normal_numbers() -> None:
    drawn = np.random.default_rng(0).normal(3, 2, 20_000)
    at = np.array([-1.0, 1.0, 3.0, 5.0, np.nan])
    expected = -0.5 * (((at - 3) / 2) ** 2 + math.log(2 * math.pi))
    expected[-1] = 0
    assert np.allclose(Density.fit(drawn).log_density(at), expected, atol=0.35)


def test_shares_of_states() -> None:
    marginal = Marginal.fit(np.array([0, 0, 0, 1]), 3, None)
    nothing = np.full(4, np.nan)
    found = marginal.log_probability(np.array([0.0, -9, 0, 0]), np.array([0, 0, 2, -1]), nothing, nothing)
    assert np.allclose(np.exp(found), [0.75, math.exp(-9), 0.125, 0.125])
