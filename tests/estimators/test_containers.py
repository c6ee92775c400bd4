"""Labels in the containers and dtypes that people have, with missing ones among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LinearRegression, LogisticRegression

from synthvae import Synthesizer
from synthvae.errors import RequestError, TableError
from synthvae.estimators import AugmentedClassifier, AugmentedRegressor, VAEOverSampler, VAETransformer, containers

TINY = Synthesizer(max_steps=2, width=4, latent_dim=2)
NUMBERS, MISSING = np.arange(12) % 2, np.arange(12) % 5 == 0
TEXTS = np.where(NUMBERS, "a", "b")


def with_gaps(values: Any, gap: Any) -> np.ndarray[Any, Any]:
    """Objects with `gap` at every fifth place."""
    return np.array([gap if missing else value for value, missing in zip(values, MISSING, strict=True)], dtype=object)


WITH_GAPS: dict[str, tuple[Any, str]] = {
    "objects": (with_gaps(NUMBERS, None), "i"),
    "objects and pd.NA": (with_gaps(NUMBERS, pd.NA), "i"),
    "object bools": (pd.Series(with_gaps(NUMBERS.astype(bool), None)), "b"),
    "floats": (pd.Series(NUMBERS).where(~MISSING), "f"),
    "nullable integers": (pd.Series(NUMBERS, dtype="Int64").mask(MISSING), "i"),
    "nullable bools": (pd.Series(NUMBERS.astype(bool), dtype="boolean").mask(MISSING), "b"),
    "nullable strings": (pd.Series(TEXTS, dtype="string").mask(MISSING), "O"),
    "object strings": (pd.Series(TEXTS, dtype=object).mask(MISSING), "O"),
    "categories of integers": (pd.Series(NUMBERS).mask(MISSING).astype("Int64").astype("category"), "i"),
    "Arrow-backed integers": (pd.Series(NUMBERS, dtype="int64[pyarrow]").mask(MISSING), "i"),
    "Arrow": (pa.array(NUMBERS, mask=MISSING), "i"),
    "list": (with_gaps(NUMBERS, None).tolist(), "i"),
    "list of texts and NaN": ([float("nan") if gap else text for text, gap in zip(TEXTS, MISSING, strict=True)], "O"),
    "frame": (pd.Series(NUMBERS, dtype="Int64").mask(MISSING).to_frame(), "i"),
    "column vector": (with_gaps(NUMBERS, None)[:, None], "i"),
}


@pytest.mark.parametrize("kind", WITH_GAPS)
def test_missing_labels_of_every_kind_are_found_and_the_others_keep_their_type(kind: str) -> None:
    y, expected = WITH_GAPS[kind]
    assert np.array_equal(containers.unlabelled(y, "auto"), MISSING)
    whole = containers.class_labels(np.asarray(containers.plain(y)).ravel()[~MISSING])
    assert whole.dtype.kind == expected
    assert len(np.unique(whole)) == 2
    for refuse in (containers.class_labels, containers.classes):
        with pytest.raises(TableError, match="3 are missing"):
            refuse(y)


def test_large_integers_beside_missing_ones_are_exact() -> None:
    y = pd.Series([2**60 + 1, 2**60 + 2, None], dtype="Int64")
    assert containers.class_labels(containers.plain(y)[:2]).tolist() == [2**60 + 1, 2**60 + 2]


@pytest.mark.parametrize("kind", ["objects", "object bools", "nullable integers", "nullable strings", "column vector"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_classifiers_are_fitted_to_labels_with_gaps(kind: str) -> None:
    y, expected = WITH_GAPS[kind]
    X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=12)})
    model = AugmentedClassifier(LogisticRegression(), amount="balance", generator=TINY, random_state=0).fit(X, y)
    assert model.classes_.dtype.kind == expected
    assert set(model.predict(X)) <= set(model.classes_)


def test_sentinel_of_missing_labels_beside_none() -> None:
    with pytest.warns(UserWarning, match="1 rows of class -1"):
        assert containers.unlabelled([-1, 0, 1, None], "auto").tolist() == [True, False, False, True]


def test_column_vectors_are_taken_with_scikit_learns_warning() -> None:
    with pytest.warns(DataConversionWarning):
        assert containers.class_labels(NUMBERS[:, None], warn=True).tolist() == NUMBERS.tolist()
    with pytest.warns(DataConversionWarning):
        assert containers.target_numbers(NUMBERS[:, None]).tolist() == NUMBERS.tolist()


def test_several_columns_of_y_are_refused_with_the_way_out() -> None:
    X, two = np.random.default_rng(0).normal(size=(12, 1)), np.stack([NUMBERS, NUMBERS], 1)
    with pytest.raises(RequestError, match="MultiOutputClassifier"):
        AugmentedClassifier(LogisticRegression(), generator=TINY).fit(X, two)
    with pytest.raises(RequestError, match="MultiOutputClassifier"):
        VAEOverSampler(generator=TINY).fit_resample(X, np.stack([NUMBERS, NUMBERS], 1) + 2)
    with pytest.raises(RequestError, match="MultiOutputRegressor"):
        AugmentedRegressor(LinearRegression(), generator=TINY).fit(X, two * 0.5)
    with pytest.raises(ValueError, match="1d array"):
        VAETransformer(max_steps=2).fit(X, two)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_regressor_needs_every_number(missing: Any) -> None:
    y = np.where(MISSING, missing, NUMBERS * 0.5)
    with pytest.raises(TableError, match=r"3 are missing \(NaN\)\. Drop these rows"):
        AugmentedRegressor(LinearRegression(), generator=TINY).fit(np.zeros((12, 1)), y)
