"""scikit-learn's own checks, and the uses that its users make."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from synthvae import Synthesizer
from synthvae.errors import RequestError, TableError
from synthvae.estimators import VAETransformer

TINY: dict[str, Any] = {"max_steps": 2, "width": 4, "latent_dim": 2, "random_state": 0}
REORDERED = "columns of a table are matched by name, so another order is no error"


@parametrize_with_checks(
    [Synthesizer(**TINY), VAETransformer(**TINY)],
    expected_failed_checks=lambda _: {"check_dataframe_column_names_consistency": REORDERED},
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def mixed() -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Wine with a string column and gaps."""
    frame = load_wine(as_frame=True).frame
    y = frame.pop("target")
    frame["strength"] = np.where(frame["alcohol"] > 13, "strong", "light")
    frame.loc[::7, "hue"] = np.nan
    frame.loc[::11, "strength"] = None
    return frame, y


@pytest.fixture(scope="module")
def fitted(mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> VAETransformer:
    return VAETransformer(latent_dim=3, max_steps=60, random_state=0).fit(*mixed)


@pytest.mark.parametrize("estimator", [Synthesizer(), VAETransformer()])
@pytest.mark.parametrize("method", ["transform", "score_samples", "sample", "save", "inverse_transform"])
def test_unfitted_use_says_so(estimator: Any, method: str) -> None:
    if hasattr(estimator, method):
        with pytest.raises(NotFittedError):
            getattr(estimator, method)(np.zeros((3, 2)))


def test_latents_predict_the_class_without_seeing_it() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(VAETransformer(max_steps=300, random_state=0), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    assert cross_val_score(pipeline, X, y, cv=folds).mean() > 0.88


def test_pipelines_clone_pickle_and_search(mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, y = mixed
    columns = ["strength", "hue", "alcohol"]
    latent = ColumnTransformer([("z", VAETransformer(**TINY), columns)])
    search = GridSearchCV(
        make_pipeline(latent, LogisticRegression()), {"columntransformer__z__latent_dim": [2, 3]}, cv=2
    )
    search.fit(X, y)
    assert clone(search).fit(X, y).best_params_ == search.best_params_
    again = reload(search)
    assert np.array_equal(again.predict(X), search.predict(X))


def reload(estimator: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def test_transform_is_a_function_of_the_row(fitted: VAETransformer, mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, _ = mixed
    assert np.allclose(fitted.transform(X)[5:9], fitted.transform(X.iloc[5:9]), atol=1e-6)
    assert np.allclose(fitted.transform(X), fitted.transform(X[X.columns[::-1]]))
    assert np.array_equal(fitted.score_samples(X), fitted.score_samples(X))


def test_output_as_pandas_has_names(fitted: VAETransformer, mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    out = clone(fitted).set_output(transform="pandas").fit(*mixed).transform(mixed[0])
    assert list(out.columns) == ["vaetransformer0", "vaetransformer1", "vaetransformer2"]
    assert list(fitted.get_feature_names_out()) == list(out.columns)


def test_latents_go_back_to_rows(fitted: VAETransformer, mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, _ = mixed
    rows = fitted.inverse_transform(fitted.transform(X))
    assert rows.dtypes.equals(X.dtypes)
    assert rows.equals(fitted.inverse_transform(fitted.transform(X)))
    assert np.corrcoef(rows["proline"], X["proline"])[0, 1] > 0.3
    with pytest.raises(RequestError, match="3 columns"):
        fitted.inverse_transform(np.zeros((4, 2)))


def test_samples_are_of_the_class_asked_for(fitted: VAETransformer, mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, y = mixed
    real = X["proline"].groupby(y).mean()
    made = [fitted.sample(300, y=label, random_state=1)["proline"].mean() for label in real.index]
    assert np.argmax(made) == np.argmax(real)
    assert fitted.sample(10).shape == (10, X.shape[1])
    with pytest.raises(RequestError, match=r"\[0, 1, 2\]"):
        fitted.sample(3, y=7)


def test_unseen_values_at_transform(fitted: VAETransformer, mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, _ = mixed
    assert np.isfinite(fitted.transform(X.assign(alcohol=np.nan))).all()  # a gap where fit saw none
    assert np.isfinite(fitted.transform(X.assign(alcohol=1e9))).all()  # the outermost bin
    with pytest.raises(TableError, match=r"'strength'.*'overproof'"):
        fitted.transform(X.assign(strength="overproof"))
    with pytest.raises(TableError, match=r"lacks \['hue'\]"):
        fitted.transform(X.drop(columns="hue"))
    with pytest.raises(TableError, match=r"has \['new'\]"):
        fitted.transform(X.assign(new=1))


def test_a_continuous_y_and_no_y() -> None:
    X, y = load_diabetes(return_X_y=True)
    assert VAETransformer(**TINY).fit_transform(X, y).shape == (442, 2)
    unsupervised = VAETransformer(**TINY).fit(X)
    assert unsupervised.sample(4).shape == (4, 10)
    assert unsupervised.score(X) < 0
    with pytest.raises(RequestError, match="none"):
        unsupervised.sample(4, y=1)


def test_labels_missing_in_y_are_refused() -> None:
    with pytest.raises(TableError, match="2 are missing"):
        VAETransformer(**TINY).fit(np.random.default_rng(0).random((20, 2)), [None, None, *[0, 1] * 9])


def test_whole_number_targets_of_a_regression_are_binned() -> None:
    X, _ = load_diabetes(return_X_y=True)
    y = np.random.default_rng(0).integers(0, 100_000, len(X))
    assert len(VAETransformer(**TINY).fit(X, y).synthesizer_.encoding_.frequencies) <= 10


def test_a_count_of_the_rows_is_a_feature() -> None:
    latents = VAETransformer(latent_dim=2, max_steps=200, random_state=0).fit_transform(np.arange(200)[:, None])
    assert latents.std(0).max() > 0.05


def test_arrays_and_tables_may_take_turns() -> None:
    X = np.random.default_rng(0).random((30, 2))
    frame = pd.DataFrame(X, columns=["a", "b"])
    with pytest.warns(UserWarning, match="fitted without feature names"):
        by_name = VAETransformer(**TINY).fit(X).transform(frame)
    assert np.array_equal(by_name, VAETransformer(**TINY).fit(X).transform(X))


def test_threads_are_set_back_however_many_sample_at_once(fitted: VAETransformer) -> None:
    torch.set_num_threads(2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fitted.sample(500), range(12)))
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {2}
