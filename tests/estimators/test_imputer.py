"""Imputation: scikit-learn's checks, what must hold of any mask and dtype, and errors beside simple imputers'."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from synthvae import Synthesizer
from synthvae.errors import ConfigurationError, RequestError, TableError
from synthvae.estimators import VAEImputer
from synthvae.estimators.imputer import _summary

TINY: dict[str, Any] = {"max_steps": 2, "width": 4, "n_draws": 3, "random_state": 0}
SEVENTH = np.arange(200) % 7 == 0


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [VAEImputer(**TINY), VAEImputer(**TINY, sample_posterior=True, add_indicator=True)]
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def mixed(rows: int = 200) -> pd.DataFrame:
    """Columns of all types that follow one number."""
    z = np.random.default_rng(0).normal(size=rows)
    low = np.where(z > 0, "high", "low")
    frame = pd.DataFrame(
        {
            "number": z,
            "single": z.astype(np.float32),
            "whole": np.round(40 + 10 * z),
            "nullable": pd.array(np.round(10 * z).astype(int), dtype="Int64"),
            "arrow": pd.Series(np.round(10 * z)).astype("int64[pyarrow]"),
            "sparse": pd.arrays.SparseArray(np.where(z > 1, z, np.nan)),
            "text": low,
            "nullable text": pd.array(low, dtype="string"),
            "object": pd.Series(low, dtype=object),
            "mixture": pd.Series([1 if value > 0 else "none" for value in z], dtype=object),
            "category": pd.Categorical(low, categories=["low", "high"], ordered=True),
            "number category": pd.Categorical(np.where(z > 0, 1, 2)),
            "flag": pd.array(z > 0, dtype="boolean"),
            "object flag": pd.Series(list(z > 0), dtype=object),
            "stamp": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(100 * z), "D"),
            "zoned": pd.Timestamp("2020-01-01", tz="Europe/Paris") + pd.to_timedelta(np.round(100 * z), "h"),
            "span": pd.to_timedelta(np.round(100 * z), "D"),
            "day": pd.Series([dt.date(2020, 1, 1) + dt.timedelta(int(10 * value)) for value in z], dtype=object),
            "decimal": pd.Series([decimal.Decimal(int(100 * value)) / 100 for value in z], dtype=object),
            "constant": 1.0,
        }
    )
    return frame.set_index(np.arange(rows) * 2 + 5)


def with_gaps(frame: pd.DataFrame, share: float = 0.3, seed: int = 0) -> pd.DataFrame:
    holed, rng = frame.copy(), np.random.default_rng(seed)
    for name in frame.columns.drop("sparse", errors="ignore"):
        holed[name] = frame[name].mask(rng.random(len(frame)) < share)
    return holed


@pytest.fixture(scope="module")
def holed() -> pd.DataFrame:
    return with_gaps(mixed())


def same(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    return list(one.astype(object)) == list(other.astype(object))


@pytest.mark.slow
@pytest.mark.parametrize("sample_posterior", [False, True])
def test_present_values_index_and_dtypes_stay(holed: pd.DataFrame, sample_posterior: bool) -> None:  # noqa: FBT001
    imputer = VAEImputer(max_steps=20, random_state=0, sample_posterior=sample_posterior)
    filled = imputer.fit_transform(holed)
    assert filled.index.equals(holed.index)
    assert filled.dtypes.equals(holed.dtypes)
    assert not filled.isna().any().any()
    for name in holed:
        assert same(filled[name][holed[name].notna()], holed[name].dropna())
    complete = mixed()
    for name in ("text", "object", "mixture", "category", "flag", "day", "decimal", "constant"):
        assert set(map(type, filled[name])) == set(map(type, complete[name]))
    for name in ("text", "mixture", "category", "flag", "constant"):
        assert set(filled[name]) == set(complete[name])
    assert filled["number"].between(complete["number"].min(), complete["number"].max()).all()
    pd.testing.assert_frame_equal(filled, imputer.transform(holed))
    pd.testing.assert_frame_equal(filled, clone(imputer).fit(holed).transform(holed))
    assert not filled.equals(clone(imputer).set_params(random_state=1).fit_transform(holed))


@pytest.fixture(scope="module")
def numbers() -> np.ndarray[Any, Any]:
    z = np.random.default_rng(0).normal(size=(40, 1))
    return z + np.random.default_rng(1).normal(size=(40, 3))


@pytest.fixture(scope="module")
def fitted(numbers: np.ndarray[Any, Any]) -> VAEImputer:
    return VAEImputer(**TINY).fit(numbers)


@settings(max_examples=30, deadline=None)
@given(mask=arrays(bool, (40, 3)), sample_posterior=st.booleans(), single=st.booleans())
def test_any_cells_may_be_missing(
    fitted: VAEImputer,
    numbers: np.ndarray[Any, Any],
    mask: Any,
    sample_posterior: bool,  # noqa: FBT001
    single: bool,  # noqa: FBT001
) -> None:
    X = np.where(mask, np.nan, numbers).astype(np.float32 if single else np.float64)
    given_X = X.copy()
    imputer = clone(fitted).set_params(sample_posterior=sample_posterior)
    vars(imputer).update({name: value for name, value in vars(fitted).items() if name not in imputer.get_params()})
    filled = imputer.transform(X)
    assert np.array_equal(X, given_X, equal_nan=True)
    assert filled.dtype == X.dtype
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~mask], X[~mask])
    assert np.array_equal(filled, imputer.transform(X))


def test_a_complete_table_is_returned_as_it_is(fitted: VAEImputer, numbers: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(fitted.transform(numbers), numbers)
    whole = np.arange(30).reshape(10, 3)
    assert VAEImputer(**TINY).fit_transform(whole).dtype == whole.dtype
    frame = mixed(40).drop(columns="sparse")
    pd.testing.assert_frame_equal(VAEImputer(**TINY).fit_transform(frame), frame)


@pytest.mark.parametrize("sample_posterior", [False, True])
def test_indicators_are_those_of_scikit_learn(sample_posterior: bool) -> None:  # noqa: FBT001
    X, _ = load_wine(return_X_y=True)
    X[::3, 0], X[1::5, 4] = np.nan, np.nan
    own = VAEImputer(**TINY, add_indicator=True, sample_posterior=sample_posterior)
    theirs = SimpleImputer(add_indicator=True)
    assert np.array_equal(own.fit_transform(X)[:, 13:], theirs.fit_transform(X)[:, 13:])
    assert list(own.get_feature_names_out()) == list(theirs.get_feature_names_out())
    frame = pd.DataFrame(X).add_prefix("c")
    out = own.fit(frame).transform(frame)
    assert list(out) == list(own.get_feature_names_out()) == [*frame, "missingindicator_c0", "missingindicator_c4"]
    assert np.array_equal(out["missingindicator_c4"], frame["c4"].isna())
    assert own.transform(frame.head(1)).shape == (1, 15)  # whatever is missing there
    with pytest.raises(ValueError, match="input_features"):
        own.get_feature_names_out(["a", "b"])


def test_a_column_without_values_is_dropped_with_a_warning() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[:, 1], X[3, 0] = np.nan, np.nan
    imputer = VAEImputer(**TINY, add_indicator=True)
    with pytest.warns(UserWarning, match=r"\['x1'\] have no value"):
        filled = imputer.fit_transform(X)
    assert filled.shape == (20, 4)
    assert np.array_equal(filled[:, 1], X[:, 2])
    assert list(imputer.get_feature_names_out()) == ["x0", "x2", "missingindicator_x0", "missingindicator_x1"]
    assert list(imputer.set_output(transform="pandas").transform(X)) == list(imputer.get_feature_names_out())
    with pytest.raises(TableError, match="missing values only"):
        VAEImputer(**TINY).fit(np.full((5, 2), np.nan))


@pytest.mark.parametrize("gap", [False, True])
def test_constant_columns_stay_constant(gap: bool) -> None:  # noqa: FBT001
    X = np.ones((10, 2))
    holed = np.where(np.arange(20).reshape(10, 2) % 3 == 0, np.nan, X)
    assert np.array_equal(VAEImputer(**TINY).fit(holed if gap else X).transform(holed), X)


def test_unseen_categories_are_kept_with_one_warning() -> None:
    frame = mixed()[["number", "text"]].reset_index(drop=True)
    imputer = VAEImputer(**TINY).fit(frame)
    strange = frame.assign(text=frame["text"].where(~SEVENTH, "medium"), number=np.nan)
    with pytest.warns(UserWarning, match=r"\['text'\]: 29 values did not occur") as caught:
        filled = imputer.transform(strange)
    assert len(caught) == 1
    assert same(filled["text"], strange["text"])
    assert filled["number"].notna().all()
    wider = pd.Categorical(
        ["medium" if is_seventh else None for is_seventh in SEVENTH]
    )  # whose missing values are no categories of theirs
    with pytest.warns(UserWarning, match="did not occur"):
        assert set(imputer.transform(strange.assign(text=wider))["text"].cat.categories) == {"medium", "low", "high"}


def test_columns_of_other_types_than_in_training() -> None:
    frame = mixed()[["number", "text", "whole"]].astype({"whole": "int64"})
    imputer = VAEImputer(**TINY).fit(frame)
    halves = imputer.transform(frame.assign(whole=3.5, number=np.nan))
    assert (halves["whole"] == 3.5).all()
    for gap in (None, np.nan):
        assert imputer.transform(frame.assign(text=gap))["text"].isin(["low", "high"]).all()
    with pytest.raises(RequestError, match="'number'"):
        imputer.transform(frame.assign(number="one", text=None))
    with pytest.raises(TableError, match=r"\['number'\] are missing"):
        imputer.transform(frame.drop(columns="number"))
    assert list(imputer.transform(frame[["whole", "text", "number"]])) == list(frame)


def test_containers_and_labels() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    X[3, 0] = np.nan
    frame = VAEImputer(**TINY).fit_transform(pd.DataFrame(X))
    assert list(frame) == [0, 1]
    assert np.array_equal(frame, VAEImputer(**TINY).fit_transform(X))
    assert np.array_equal(frame, VAEImputer(**TINY).fit_transform(X.tolist()))
    arrow = VAEImputer(**TINY).fit_transform(pa.table({"a": [1, 2, None, 4], "b": ["u", None, "v", "u"]}))
    assert list(arrow.dtypes.astype(str)) == ["int64[pyarrow]", "string[pyarrow]"]
    objects = np.array([[1, "u"], [None, "v"], [3, None], [1, np.nan]] * 5, dtype=object)
    filled = VAEImputer(**TINY).fit_transform(objects)
    assert set(filled[:, 1]) == {"u", "v"}
    repeated = pd.DataFrame(X, columns=["a", "b"], index=[0, 1] * 10)
    assert VAEImputer(**TINY).fit_transform(repeated).index.equals(repeated.index)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        assert np.array_equal(VAEImputer(**TINY).fit(X).transform(repeated), frame)


def test_wrong_parameters_and_unfitted_use() -> None:
    for draws in (0, 1.5, True):
        with pytest.raises(ConfigurationError, match="`n_draws`"):
            VAEImputer(n_draws=draws).fit(np.eye(3))  # type: ignore[arg-type]
    for method in ("transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(VAEImputer(), method)(np.eye(3))


def draws_of(*draws: Any) -> pd.Series[Any]:
    return _summary([pa.table({"c": draw}) for draw in draws])


def test_summaries_of_draws() -> None:
    assert draws_of([1, 5], [2, 5], [6, 5]).tolist() == [3.0, 5.0]
    assert draws_of(["b", "a"], ["c", "b"], ["c", "c"]).tolist() == ["c", "a"]  # of a tie the first
    days = [dt.date(2020, 1, day) for day in (9, 3, 5, 1)]
    assert draws_of(*([day] for day in days)).tolist() == [dt.date(2020, 1, 3)]
    assert draws_of([True], [False], [True]).tolist() == [True]
    parts = [pa.array([text]).dictionary_encode() for text in ("x", "y", "y")]
    assert draws_of(*parts).tolist() == ["y"]


@pytest.mark.filterwarnings("error")
def test_pipelines_clone_pickle_and_search() -> None:
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = X[["alcohol", "hue", "proline"]].mask(np.random.default_rng(0).random((len(X), 3)) < 0.2)
    X["strength"] = np.where(X["alcohol"] > 13, "strong", "light")
    columns = ColumnTransformer([("imputed", VAEImputer(**TINY), ["alcohol", "hue"])], remainder="drop")
    search = GridSearchCV(
        make_pipeline(columns, LogisticRegression()), {"columntransformer__imputed__n_draws": [1, 2]}, cv=2
    )
    search.fit(X, y)
    assert clone(search).fit(X, y).best_params_ == search.best_params_
    buffer = io.BytesIO()
    joblib.dump(search, buffer)
    buffer.seek(0)
    assert np.array_equal(joblib.load(buffer).predict(X), search.predict(X))
    boosted = make_pipeline(VAEImputer(**TINY), HistGradientBoostingClassifier(max_iter=5))
    assert boosted.fit(X.drop(columns="strength"), y).score(X.drop(columns="strength"), y) > 0.7


def test_named_output_of_arrays() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    X[3, 0] = np.nan
    out = VAEImputer(**TINY, add_indicator=True).set_output(transform="pandas").fit_transform(X)
    assert list(out) == ["x0", "x1", "missingindicator_x0"]


def test_no_model_of_whole_rows_is_fitted_nor_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VAEImputer(max_steps=40, random_state=0).fit(load_diabetes().data)


def correlated(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    z = rng.normal(size=rows)
    numbers = {f"n{place}": z * (1 - 2 * (place % 2)) + 0.4 * rng.normal(size=rows) for place in range(4)}
    bands = np.array(["low", "middle", "high"])[np.digitize(z + 0.2 * rng.normal(size=rows), [-0.5, 0.5])]
    return pd.DataFrame({**numbers, "band": bands, "sign": pd.array(z > 0, dtype="boolean")})


@pytest.mark.slow
def test_imputed_values_are_nearer_than_means_and_modes() -> None:
    truth = correlated()
    gaps = pd.DataFrame(np.random.default_rng(1).random(truth.shape) < 0.3, truth.index, truth.columns)
    X = truth.mask(gaps)
    filled = VAEImputer(max_steps=120, random_state=0).fit_transform(X)
    for name in truth.columns[:4]:
        error = (filled[name] - truth[name])[gaps[name]]
        assert np.sqrt((error**2).mean()) < 0.65 * truth[name][gaps[name]].std()
    for name in ("band", "sign"):
        hits = (filled[name] == truth[name])[gaps[name]].mean()
        modal = (X[name].mode()[0] == truth[name])[gaps[name]].mean()
        assert hits > modal + 0.2


def coded(rows: int = 400) -> pd.DataFrame:
    """Names of which each has a code, and a class of names; and a number that has nothing to do with them."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 12, rows)
    names = np.array([f"ward {chr(97 + one)}" for one in place])
    return pd.DataFrame({"ward": names, "code": 100.0 + 7 * place, "floor": place // 3, "age": rng.normal(50, 9, rows)})


@pytest.mark.parametrize("sample_posterior", [False, True])
def test_a_value_that_another_determines_is_met(sample_posterior: bool) -> None:  # noqa: FBT001
    truth = coded()
    hidden = np.random.default_rng(1).random(len(truth)) < 0.3
    X = truth.assign(code=truth["code"].mask(hidden))
    filled = VAEImputer(**{**TINY, "sample_posterior": sample_posterior}).fit_transform(X)
    assert np.array_equal(filled["code"], truth["code"])


def test_rows_that_break_what_was_found_in_training_are_kept() -> None:
    imputer = VAEImputer(**TINY).fit(coded())
    other = coded(20).assign(code=100.0).mask(np.eye(20, 4, dtype=bool))
    filled = imputer.transform(other)
    assert not filled.isna().to_numpy().any()
    assert (filled["code"][4:] == 100).all()


def test_no_value_stays_missing_where_rules_of_the_training_rows_allow_none() -> None:
    whole = coded().assign(code=lambda rows: rows["code"].astype(str), floor=lambda rows: rows["floor"].astype(str))
    holed = whole.mask(np.random.default_rng(2).random(whole.shape) < 0.2)
    kinds = dict.fromkeys(["ward", "code", "floor"], "category")
    imputer = VAEImputer(**TINY).fit(holed.astype(kinds))
    other = whole.assign(floor=np.where(whole["floor"] == "0", "3", "0"), code=None).astype(kinds)
    filled = imputer.transform(other)
    assert filled["code"].isin(whole["code"].unique()).all()
    assert same(filled["floor"], other["floor"])


@pytest.mark.slow
def test_multiple_imputations_differ_and_spread_as_the_truth_does() -> None:
    truth = correlated()
    hidden = np.random.default_rng(1).random(len(truth)) < 0.3
    X = truth.assign(n0=truth["n0"].mask(hidden))
    model = Synthesizer(conditions=True, max_steps=80, random_state=0, protect=0).fit(X)
    draws = model.impute(X, draws=5)
    assert isinstance(draws, list)
    drawn = np.stack([draw["n0"].to_numpy()[hidden] for draw in draws])
    assert (drawn.std(0) > 0).mean() > 0.95
    assert np.array_equal(draws[0]["n0"][~hidden], truth["n0"][~hidden])
    within = np.sqrt(drawn.var(0, ddof=1).mean())
    error = np.sqrt(((drawn.mean(0) - truth["n0"][hidden]) ** 2).mean())
    assert 0.5 * error < within < 2 * error
    assert abs(drawn.std() / truth["n0"][hidden].std() - 1) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_wine, load_diabetes])
def test_errors_on_real_tables_are_below_those_of_means(load: Any) -> None:
    truth, _ = load(return_X_y=True)
    scale = truth.std(0)
    gaps = np.random.default_rng(0).random(truth.shape) < 0.3
    X = np.where(gaps, np.nan, truth)
    errors = [
        np.sqrt((((imputer.fit_transform(X) - truth) / scale)[gaps] ** 2).mean())
        for imputer in (VAEImputer(random_state=0), SimpleImputer())
    ]
    assert errors[0] < 0.9 * errors[1]


def test_proper_fits_differ_by_their_weights_alone(holed: pd.DataFrame) -> None:
    columns = ["number", "text", "whole"]
    one, two = (
        VAEImputer(**{**TINY, "max_steps": 20}, proper=proper).fit(holed[columns]).transform(holed[columns])
        for proper in (False, True)
    )
    assert not one.equals(two)
    assert not two.isna().any().any()
    again = VAEImputer(**{**TINY, "max_steps": 20}, proper=True).fit_transform(holed[columns])
    pd.testing.assert_frame_equal(two, again)
