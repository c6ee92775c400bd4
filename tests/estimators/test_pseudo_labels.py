"""Rows without a label: what generator and classifier say of them together, and what the classifier learns of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_wine
from sklearn.neighbors import KNeighborsClassifier

from synthvae import Synthesizer
from synthvae.estimators import AugmentedClassifier
from synthvae.estimators.pseudo_labels import drawn, pooled, spread

TINY = Synthesizer(max_steps=2, width=4, latent_dim=2)
OPINIONS = arrays(np.float64, (5, 3), elements=st.floats(-4, 4))


class Learner(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn's bases have no types
    """Keeps what it is given."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Learner:
        self.X_, self.y_, self.weights_, self.classes_ = X, y, sample_weight, np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.full((X.shape[0], len(self.classes_)), 1 / len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@given(OPINIONS, OPINIONS)
def test_a_pool_is_the_geometric_mean(one: np.ndarray, other: np.ndarray) -> None:
    expected = np.sqrt(softmax(one, 1) * softmax(other, 1))
    np.testing.assert_allclose(pooled([one, other]), expected / expected.sum(1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(pooled([one, one + 7.0]), softmax(one, 1), rtol=1e-9)


def test_no_opinion_is_so_sure_that_the_other_has_no_say() -> None:
    sure, doubtful = np.array([[0.0, -900.0]]), np.log([[0.4, 0.6]])
    assert 0 < pooled([sure, doubtful])[0, 1] < 0.5


def test_a_row_is_each_class_by_its_chance() -> None:
    chances = np.array([[0.2, 0.8], [1.0, 0.0]])
    places, labels, weights = spread(chances, np.array(["a", "b"]))
    assert (places.tolist(), labels.tolist()) == ([0, 1, 0, 1], ["a", "a", "b", "b"])
    assert weights.tolist() == [0.2, 1.0, 0.8, 0.0]
    many = drawn(np.repeat(chances[:1], 20_000, 0), np.array(["a", "b"]), np.random.default_rng(0))
    assert np.mean(many == "b") == pytest.approx(0.8, abs=0.015)
    assert (drawn(np.repeat(chances[1:], 50, 0), np.array(["a", "b"]), np.random.default_rng(0)) == "a").all()


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_rows_with_a_label_weigh_as_much_as_those_without(container: Any) -> None:
    X, y = load_wine(return_X_y=True)
    given = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    with pytest.warns(UserWarning, match="class -1"):
        model = AugmentedClassifier(Learner(), amount=0, generator=TINY, random_state=0).fit(container(X), given)
    seen, labelled = model.estimator_, int((given >= 0).sum())
    assert seen.X_.shape == (labelled + 3 * (len(y) - labelled), X.shape[1])
    assert type(seen.X_) is type(container(X))
    assert seen.weights_[:labelled].sum() == pytest.approx(len(y) - labelled)
    assert seen.weights_[labelled:].sum() == pytest.approx(len(y) - labelled)
    assert model.generator_ is not None


def test_a_classifier_that_takes_no_weights_is_given_drawn_labels() -> None:
    X, y = load_wine(return_X_y=True)
    given = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    model = AugmentedClassifier(KNeighborsClassifier(1), amount=0, generator=TINY, random_state=0)
    with pytest.warns(UserWarning, match="class -1"):
        assert model.fit(X, given).estimator_.n_samples_fit_ == len(X)
    assert set(model.predict(X).tolist()) <= {0, 1, 2}


def test_weights_of_users_count() -> None:
    X, y = load_wine(return_X_y=True)
    given = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    weights = np.where(given == 0, 4.0, 2.0)
    model = AugmentedClassifier(Learner(), amount=0, generator=TINY, unlabeled=-1, random_state=0)
    seen = model.fit(X, given, sample_weight=weights).estimator_
    kinds, more = given[given >= 0], (given < 0).sum() / (given >= 0).sum()
    np.testing.assert_allclose(seen.weights_[: len(kinds)], np.where(kinds == 0, 4.0, 2.0) * more)
    assert seen.weights_.sum() == pytest.approx(2 * seen.weights_[: len(kinds)].sum())
