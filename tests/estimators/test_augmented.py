"""Over-sampling and augmented estimators: the checks of imbalanced-learn and scikit-learn, and uses in pipelines."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from imblearn.utils import check_sampling_strategy
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_sampler_checks
from scipy import sparse, stats
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from synthvae import PrivacyBudget, Schema, Synthesizer
from synthvae.errors import PrivacyError
from synthvae.estimators import AugmentedClassifier, AugmentedRegressor, VAEOverSampler
from synthvae.estimators.generator import JointGenerator
from synthvae.estimators.sampling_strategy import AmountSelection, rows_to_make

TINY = Synthesizer(max_steps=2, width=4, latent_dim=2)
QUICK = Synthesizer(max_steps=60, width=32, latent_dim=2)
WEIGHTS = "the generator learns all rows that weigh anything alike, so that twice the weight is not two rows"
Mixed = tuple[pd.DataFrame, "pd.Series[Any]"]
LABELS = st.lists(st.integers(0, 3), min_size=4, max_size=40).map(np.array)


@pytest.mark.slow
@parametrize_with_sampler_checks([VAEOverSampler(generator=TINY, random_state=0)])
def test_checks_of_imbalanced_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        AugmentedClassifier(LogisticRegression(), amount="balance", generator=TINY, random_state=0),
        AugmentedRegressor(LinearRegression(), amount=0.5, generator=TINY, random_state=0),
    ],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
        "check_sample_weight_equivalence_on_sparse_data": WEIGHTS,
    },
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def mixed() -> Mixed:
    """Breast cancer, a few columns, with a string column, gaps and few malignant rows."""
    frame = load_breast_cancer(as_frame=True).frame
    y = frame.pop("target").map({0: "malignant", 1: "benign"})
    frame = frame[["mean radius", "mean texture", "mean smoothness"]].assign(
        size=np.where(frame["mean area"] > 600, "large", "small")
    )
    frame.loc[::7, "mean texture"] = np.nan
    frame.loc[::11, "size"] = None
    kept = (y == "benign") | (np.arange(len(y)) % 5 == 0)
    return frame[kept], y[kept]


@given(y=LABELS, strategy=st.sampled_from(["auto", "minority", "not minority", "not majority", "all", 0.5, 0.9, 1.0]))
def test_strategies_ask_for_what_imbalanced_learn_asks_for(y: np.ndarray, strategy: str | float) -> None:
    try:
        expected = dict(check_sampling_strategy(strategy, y, "over-sampling"))
    except ValueError:
        with pytest.raises(ValueError, match=r"class|float|ratio"):
            rows_to_make(strategy, y)
    else:
        assert rows_to_make(strategy, y) == expected


@given(y=LABELS, more=st.integers(0, 5))
def test_mappings_functions_and_lists(y: np.ndarray, more: int) -> None:
    have = Counter(y.tolist())
    if len(have) < 2:
        return
    wanted = {label: count + more for label, count in have.items()}
    expected = dict(check_sampling_strategy(wanted, y, "over-sampling"))
    assert rows_to_make(wanted, y) == rows_to_make(lambda _: wanted, y) == expected
    some = sorted(have)[:2]
    assert rows_to_make(some, y) == {label: max(have.values()) - have[label] for label in some}


@pytest.mark.parametrize(("strategy", "message"), [
    ({"c": 9}, "not present"), ({"a": 1}, "greater or equal"), ({"a": -1}, "negative"), ("some", "needs to be one of"),
    (2.0, r"range \(0, 1\]"), (0.1, "increase the ratio"), (["c"], "not present"), (object(), "must be one of"),
])  # fmt: skip
def test_strategies_that_cannot_be_are_refused(strategy: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows_to_make(strategy, np.array(["a", "a", "b", "b", "b"]))


@pytest.mark.slow
@pytest.mark.parametrize("filter_", [None, "agreement", "likelihood"])
def test_real_rows_stay_and_classes_are_balanced(mixed: Mixed, filter_: str | None) -> None:
    X, y = mixed
    made, labels = VAEOverSampler(generator=QUICK, filter=filter_, random_state=0).fit_resample(X, y)
    pd.testing.assert_frame_equal(made[: len(X)], X.reset_index(drop=True))
    assert set(Counter(labels).values()) == {int((y == "benign").sum())}
    assert (made.dtypes == X.dtypes).all()
    assert made["size"].isna().sum() > X["size"].isna().sum()
    new = made[len(X) :]
    assert set(new["size"].dropna()) <= {"large", "small"}
    assert new["mean radius"].mean() > X["mean radius"][y == "benign"].mean() + 1


@pytest.mark.slow
def test_agreement_is_with_a_classifier_of_the_real_rows(mixed: Mixed) -> None:
    X, y = mixed
    judge = HistGradientBoostingClassifier(random_state=1, class_weight="balanced")
    numbers = ["mean radius", "mean texture", "mean smoothness"]
    judge.fit(X[numbers], y)
    shares = []
    for name in (None, "agreement"):
        made, labels = VAEOverSampler(generator=QUICK, filter=name, random_state=0).fit_resample(X, y)
        shares.append(float((judge.predict(made[len(X) :][numbers]) == labels[len(X) :]).mean()))
    assert shares[1] > shares[0]
    assert shares[1] > 0.9


@pytest.mark.slow
def test_the_same_seed_makes_the_same(mixed: Mixed) -> None:
    first, second = (VAEOverSampler(generator=QUICK, random_state=3).fit_resample(*mixed)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_sparse_rows_stay_sparse() -> None:
    X, y = make_classification(80, 5, weights=[0.8], random_state=0)
    made, _ = VAEOverSampler(generator=TINY, random_state=0).fit_resample(sparse.csc_array(np.where(X > 0, X, 0)), y)
    assert sparse.issparse(made)
    assert made.format == "csc"


def test_it_stands_in_pipelines_and_searches() -> None:
    X, y = make_classification(120, 5, weights=[0.8], random_state=0)
    pipeline = ImbalancedPipeline(
        [("more", VAEOverSampler(generator=TINY, random_state=0)), ("clf", LogisticRegression())]
    )
    grid = {"more__sampling_strategy": [0.5, 1.0], "more__generator__latent_dim": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring="roc_auc", error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class Recorder(DummyClassifier):  # type: ignore[misc]
    """Remembers what it was fitted to."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        self.seen_, self.labels_, self.weights_ = X, y, sample_weight
        super().fit(X, y, sample_weight)
        return self


def test_no_row_of_a_test_fold_is_seen(mixed: Mixed) -> None:
    """Every real row that the estimator sees is of the training fold, and so is the range of all rows made."""
    X, y = mixed
    train = X["mean radius"] < 15
    fitted = AugmentedClassifier(Recorder(), amount=1.0, generator=QUICK, random_state=0).fit(X[train], y[train])
    seen = fitted.estimator_.seen_
    assert len(seen) == 2 * train.sum()
    assert seen["mean radius"].max() < 15


def test_weights_of_rows_made_are_those_of_their_class(mixed: Mixed) -> None:
    X, y = mixed
    weights = np.where(y == "malignant", 3.0, 0.5)
    fitted = AugmentedClassifier(Recorder(), amount="balance", generator=TINY, random_state=0).fit(X, y, weights)
    np.testing.assert_allclose(fitted.estimator_.weights_, np.where(fitted.estimator_.labels_ == "malignant", 3.0, 0.5))


def test_a_row_without_weight_is_not_learned() -> None:
    X, y = make_classification(60, 3, n_informative=2, n_redundant=0, random_state=0)
    X[0] = 1000.0
    weights = np.ones(60)
    weights[0] = 0.0
    fitted = AugmentedClassifier(Recorder(), amount=2.0, generator=TINY, random_state=0).fit(
        X, y, sample_weight=weights
    )
    assert not (fitted.estimator_.seen_ > 900).any()
    fitted = AugmentedClassifier(Recorder(), amount=2.0, generator=TINY).fit(X, y, np.where(y == 0, 1.0, 0.0))
    assert fitted.classes_.tolist() == [0]


def test_auto_takes_none_where_rows_made_do_not_help() -> None:
    """A tree that already separates all, and rows of noise: no gain, no rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = (X[:, 0] > 0).astype(int)
    fitted = AugmentedClassifier(DecisionTreeClassifier(random_state=0), generator=TINY, random_state=0).fit(X, y)
    assert fitted.amount_ == 0.0
    assert fitted.generator_ is None
    assert fitted.choice_ is not None
    assert fitted.choice_.scores.shape == (len(fitted.choice_.amounts), 3)


@given(arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), st.floats(0.1, 0.5))
def test_a_choice_is_the_corrected_t_test(scores: np.ndarray, ratio: float) -> None:
    """The interval of scipy's own t-test, widened from 1 / folds to 1 / folds + ratio, and two candidates asked."""
    choice = AmountSelection([0.0, "balance", 1.0], scores, ratio)
    place = int((scores - scores[0]).mean(1).argmax())
    gains = scores[place] - scores[0]
    assume(place and gains.std() > 1e-9)
    wider = np.sqrt((0.25 + ratio) / 0.25)
    chance = stats.t.sf(stats.ttest_1samp(gains, 0).statistic / wider, 3)
    assume(abs(chance - 0.05) > 1e-6)
    assert (choice.best == choice.amounts[place]) is bool(chance < 0.05)


def count_of_rows(model: Any, X: Any, y: Any) -> float:
    """A score that likes rows, no fold as much as another."""
    return float(len(model.seen_) + len(X) % 2 + y[0])


def test_auto_takes_rows_where_they_help() -> None:
    X, y = load_wine(return_X_y=True)
    model = AugmentedClassifier(Recorder(), generator=TINY, scoring=count_of_rows, random_state=0).fit(X, y)
    assert model.amount_ == 1.0
    assert len(model.estimator_.seen_) == 2 * len(X)


def test_a_regressor_chooses_too() -> None:
    """More rows of two steps of learning tell a line nothing."""
    X, y = load_diabetes(return_X_y=True)
    assert AugmentedRegressor(LinearRegression(), generator=TINY, random_state=0).fit(X, y).amount_ == 0.0


@pytest.mark.slow
def test_the_prior_is_corrected() -> None:
    """Balanced rows overstate the scarce class; corrected, its mean probability is its share again."""
    X, y = make_classification(600, 6, weights=[0.9], class_sep=0.5, random_state=0)
    generator = Synthesizer(max_steps=150, width=32)
    made: dict[str, Any] = {"amount": "balance", "generator": generator, "random_state": 0}
    plain = AugmentedClassifier(LogisticRegression(), **made).fit(X, y)
    corrected = AugmentedClassifier(LogisticRegression(), calibration="prior", **made).fit(X, y)
    assert plain.predict_proba(X)[:, 1].mean() > y.mean() + 0.05
    assert abs(corrected.predict_proba(X)[:, 1].mean() - y.mean()) < 0.05
    assert log_loss(y, corrected.predict_proba(X)) < log_loss(y, plain.predict_proba(X))
    order = np.argsort(plain.predict_proba(X)[:, 1])
    assert (np.diff(corrected.predict_proba(X)[order, 1]) > -1e-9).all()
    CalibratedClassifierCV(plain, cv=2).fit(X, y)


def test_metadata_are_routed() -> None:
    X, y = make_classification(60, 3, n_informative=2, n_redundant=0, random_state=0)
    with config_context(enable_metadata_routing=True):
        inner = Recorder().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = AugmentedClassifier(inner, amount=1.0, generator=TINY, random_state=0)
        pipeline = make_pipeline(scaler, model.set_fit_request(sample_weight=True))
        pipeline.fit(X, y, sample_weight=np.full(60, 2.0))
        np.testing.assert_allclose(pipeline[-1].estimator_.weights_, np.full(120, 2.0))


@pytest.mark.slow
def test_mixed_types_in_cross_validation(mixed: Mixed) -> None:
    X, y = mixed
    X = X.astype({"size": "category"})
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    model = AugmentedClassifier(boosting, amount={"malignant": 50}, generator=QUICK, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    assert cross_val_score(model, X, y, cv=folds, scoring="roc_auc").mean() > 0.9


@pytest.mark.parametrize(("options", "message"), [
    ({"amount": "much"}, "`amount` must be"), ({"amount": -1.0}, "`amount` must be"),
    ({"amount": {7: 1}}, "not present"), ({"calibration": "some"}, "`calibration`"), ({"filter": "some"}, "`filter`"),
    ({"generator": LinearRegression()}, "must be a Synth"),
    ({"generator": Synthesizer(target="y")}, "target=None"),
])  # fmt: skip
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        AugmentedClassifier(**{"amount": 1.0, "generator": TINY, **options}).fit(X, y)


def test_a_class_of_one_row_is_learned_and_made() -> None:
    X, y = load_wine(return_X_y=True)
    y = np.where(np.arange(len(y)) == 0, 9, y)
    made, labels = VAEOverSampler(generator=TINY, sampling_strategy={9: 5}, random_state=0).fit_resample(X, y)
    assert len(made) == len(X) + 4
    assert (labels[len(y) :] == 9).all()


def test_many_whole_numbers_are_classes_too() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(260, 3)), rng.permutation(np.arange(260) % 26)
    made, labels = VAEOverSampler(generator=TINY, sampling_strategy={3: 15}, random_state=0).fit_resample(X, y)
    assert len(made) == 265
    assert (labels[260:] == 3).all()
    assert AugmentedClassifier(LogisticRegression(), amount=1.0, generator=TINY).fit(X, y).classes_.tolist() == [
        *range(26)
    ]


def test_a_schema_of_the_columns_is_enough(mixed: Mixed) -> None:
    X, y = mixed
    schema = Schema.infer(X).declare("mean radius", bounds=(0.0, 50.0))
    generator = Synthesizer(max_steps=2, schema=schema)
    sampler = VAEOverSampler(generator=generator, random_state=0)
    assert len(sampler.fit_resample(X, y)[0]) > len(X)
    assert sampler.generator_.schema_["mean radius"].bounds == (0.0, 50.0)


def test_a_generator_with_a_budget_is_refused(mixed: Mixed) -> None:
    """Its promise would not hold: real rows are learned beside those made."""
    generator = Synthesizer(max_steps=2, privacy=PrivacyBudget(epsilon=1.0, delta=1e-5))
    with pytest.raises(PrivacyError, match="privacy=None"):
        VAEOverSampler(generator=generator).fit_resample(*mixed)


def test_a_filter_that_refuses_all_says_so() -> None:
    X, y = load_wine(return_X_y=True)
    sampler = VAEOverSampler(generator=TINY, random_state=0)
    sampler.fit_resample(X, y)
    generator = JointGenerator(sampler.generator_, "y")
    with pytest.warns(UserWarning, match="rejects too many synthetic rows: 5 rows"):
        _, labels = generator.sample_filtered({0: 3, 1: 2}, 0, lambda made, _: np.zeros(len(made), bool))
    assert Counter(labels.tolist()) == {0: 3, 1: 2}
