"""scikit-learn's own checks, and the uses that its users make."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from synthvae import PrivacyBudget, Synthesizer
from synthvae.devices import one_thread
from synthvae.errors import ConfigurationError, PrivacyError, RequestError, TableError
from synthvae.estimators import VAEOutlierDetector, VAETransformer
from synthvae.synthesizer.fitted_model import FittedModel

TINY: dict[str, Any] = {"max_steps": 2, "width": 4, "latent_dim": 2, "random_state": 0}
WEIGHTS = "batches are drawn at random, so that a row of weight 2 and two rows give models that are alike, not equal"
REORDERED = "columns of a table are matched by name, so another order is no error"


@parametrize_with_checks(
    [
        Synthesizer(**TINY),
        VAETransformer(**TINY),
        VAETransformer(**TINY, likelihood="gaussian"),
        VAEOutlierDetector(**TINY),
    ],
    expected_failed_checks=lambda _: {
        "check_dataframe_column_names_consistency": REORDERED,
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
    },
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


@pytest.mark.slow
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
    with pytest.raises(TableError, match=r"\['hue'\] are missing"):
        fitted.transform(X.drop(columns="hue"))
    with pytest.raises(TableError, match=r"\['new'\] are new"):
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


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_threads_are_set_back_however_many_sample_at_once(
    fitted: VAETransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_four, draw = threading.Barrier(4), FittedModel.draw

    def drawn(self: FittedModel, *how: Any) -> Any:
        all_four.wait()
        return draw(self, *how)

    def counted(_: int) -> int:
        all_four.wait()
        return torch.get_num_threads()

    monkeypatch.setattr(FittedModel, "draw", drawn)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fitted.sample(500), range(12)))
        assert list(pool.map(counted, range(4))) == [2] * 4


@pytest.mark.usefixtures("two_threads")
def test_a_new_thread_keeps_to_one_though_another_sets_its_number_back() -> None:
    entered, left = threading.Event(), threading.Event()

    def counted() -> int:
        with one_thread():
            entered.set()
            left.wait()
            return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        with one_thread():
            inside = pool.submit(counted)
            entered.wait()
        left.set()
        assert inside.result() == 1
        assert pool.submit(torch.get_num_threads).result() == 2


PIXELS: dict[str, Any] = {**TINY, "likelihood": "bernoulli"}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:300].reshape(-1, 8, 8) / 16, y[:300]


@pytest.fixture(scope="module")
def drawing(digits: tuple[np.ndarray, np.ndarray]) -> VAETransformer:
    return VAETransformer(8, likelihood="bernoulli", max_steps=150, random_state=0).fit(
        digits[0].reshape(-1, 64), digits[1]
    )


def test_digits_of_a_class_are_nearest_to_it(drawing: VAETransformer, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    judge = LogisticRegression(max_iter=1000).fit(X.reshape(-1, 64), y)
    for label in range(3):
        made = drawing.sample(50, y=label, random_state=1)
        assert (judge.predict(made) == label).mean() > 0.9


def test_reconstructions_are_near_and_no_draws(drawing: VAETransformer, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X = digits[0].reshape(-1, 64)
    means = drawing.reconstruct(X)
    assert np.square(means - X).mean() < 0.4 * X.var(0).mean()
    assert np.array_equal(means, drawing.reconstruct(X))
    assert np.allclose(drawing.inverse_transform(drawing.transform(X)), means, atol=0.5)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_images_keep_their_shape(likelihood: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    vae = VAETransformer(**{**PIXELS, "likelihood": likelihood, "image_shape": (8, 8)}).fit(X, y)
    assert vae.transform(X).shape == (len(X), 2)
    assert np.array_equal(vae.transform(X), vae.transform(X.reshape(-1, 64)))
    for images in (vae.sample(5, y=1), vae.inverse_transform(np.zeros((5, 2))), vae.reconstruct(X[:5])):
        assert images.shape == (5, 8, 8)
        assert images.dtype == X.dtype
    assert np.isfinite(vae.score(X))
    with pytest.raises(TableError, match=r"shape \(8, 8\) of `image_shape`, got \(4, 16\)"):
        vae.transform(X.reshape(-1, 4, 16))


def test_tables_of_pixels_have_names(digits: tuple[np.ndarray, np.ndarray]) -> None:
    frame = pd.DataFrame(digits[0].reshape(-1, 64) > 0.5).add_prefix("p")
    vae = VAETransformer(**PIXELS).fit(frame)
    assert vae.sample(3).dtypes.equals(frame.dtypes)
    assert list(vae.reconstruct(frame[:4]).columns) == list(frame.columns)


def test_pixels_are_saved_and_loaded(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    frame = pd.DataFrame(digits[0].reshape(-1, 64)).add_prefix("p").assign(digit=digits[1])
    shape = {"likelihood": "gaussian", "variance": 0.05, "image_shape": (8, 8)}
    fitted = Synthesizer(target="digit", max_steps=2, width=8, random_state=0, **shape).fit(frame)  # type: ignore[arg-type]
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    assert {name: again.get_params()[name] for name in shape} == shape
    assert again.sample({1: 3, 2: 2}, random_state=1).equals(fitted.sample({1: 3, 2: 2}, random_state=1))
    assert np.array_equal(again.log_likelihood(frame), fitted.log_likelihood(frame))


def test_pixels_that_cannot_be(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits[0].reshape(-1, 64), digits[1]
    with pytest.raises(ConfigurationError, match=r"`image_shape` must multiply .* 64, got \(8, 9\)"):
        VAETransformer(**PIXELS, image_shape=(8, 9)).fit(X, y)
    with pytest.raises(TableError, match=r"Column 'x1': .* \[0, 1\], got 2"):
        VAETransformer(**PIXELS).fit(X * 16, y)
    with pytest.raises(TableError, match=r"Column 'b': .* must be a number, got 'u'"):
        VAETransformer(**PIXELS).fit(pd.DataFrame({"a": [0.5, 1.0], "b": ["u", "v"]}))
    with pytest.raises(PrivacyError, match="for a private fit"):
        Synthesizer(likelihood="gaussian", privacy=PrivacyBudget(epsilon=1.0, delta=1e-5), schema="private").fit(X)


def test_unknown_categories_are_refused_ignored_or_warned_of(mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, y = mixed
    strange, missing = X[:6].assign(strength="overproof"), X[:6].assign(strength=None)
    fitted = {how: VAETransformer(**TINY, handle_unknown=how).fit(X, y) for how in ("error", "ignore", "warn")}
    with pytest.raises(TableError, match="'overproof'"):
        fitted["error"].transform(strange)
    means = fitted["ignore"].transform(strange)
    assert np.isfinite(means).all()
    assert not np.allclose(means, fitted["ignore"].transform(missing))  # not observed is not missing
    assert np.array_equal(means, fitted["ignore"].transform(strange.assign(strength="another")))
    assert np.array_equal(fitted["ignore"].transform(X), fitted["error"].transform(X))
    with pytest.warns(UserWarning, match=r"\['strength'\]"):
        assert np.array_equal(fitted["warn"].transform(strange), means)
    with pytest.raises(ConfigurationError, match="`handle_unknown`"):
        VAETransformer(handle_unknown="infrequent").fit(X, y)


def test_sample_weight_moves_the_model_and_zero_leaves_rows_out() -> None:
    X = np.r_[np.zeros(200), np.ones(200)][:, None]
    weights = np.where(X[:, 0] == 0, 9.0, 1.0)
    drawn = VAETransformer(max_steps=60, random_state=0).fit(X, sample_weight=weights).sample(2000)
    assert abs(drawn.mean() - 0.1) < 0.04
    alone = VAETransformer(**TINY).fit(X, sample_weight=X[:, 0]).sample(50)
    assert (alone == 1).all()
    with pytest.raises(ValueError, match="zero"):
        VAETransformer(**TINY).fit(X, sample_weight=np.zeros(400))


def test_a_y_beside_the_table_is_warned_of_but_not_in_a_pipeline(mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    X, y = mixed
    with pytest.warns(UserWarning, match="`y` is not used"):
        Synthesizer(**TINY).fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "`y` is not used")
        make_pipeline(Synthesizer(**TINY), LogisticRegression()).fit(X, y)


def test_counts_may_be_a_series(mixed: tuple[pd.DataFrame, pd.Series[Any]]) -> None:
    table = mixed[0].assign(y=mixed[1])
    model = Synthesizer(**TINY, target="y").fit(table)
    for counts in (table["y"].value_counts(), table[["y"]].value_counts(), table.groupby("y").size()):
        assert model.sample(counts)["y"].value_counts().sort_index().tolist() == [59, 71, 48]
    with pytest.raises(RequestError, match="integer"):
        model.sample(table["y"].value_counts(normalize=True))
