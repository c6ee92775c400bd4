"""Conditions on any columns, imputation and prediction: laws on a table of all kinds, and real uses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import roc_auc_score

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.errors import ConfigurationError, PrivacyError, RequestError
from synthvae.synthesizer import conditional_sampling

pytestmark = pytest.mark.xdist_group("any columns")  # what they share is fitted once

ROWS = 600
STEPS = 60


def table(rows: int = ROWS) -> pd.DataFrame:
    """A table of all kinds of columns, whose columns depend on one another."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], rows)
    age = rng.integers(18, 91, rows)
    wage = np.round(np.where(sex == "f", 2000, 2500) + 20 * age + rng.normal(0, 100, rows), 2)
    frame = pd.DataFrame(
        {
            "sex": pd.Categorical(sex, ["f", "m", "x"]),
            "age": age,
            "wage": wage,
            "paid": np.where(rng.random(rows) < 0.4, wage, np.round(wage / 2, 2)),
            "clinic": rng.choice([f"W{k:02}" for k in range(30)], rows),
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 365, rows), "D"),
            "smoker": pd.array(rng.random(rows) < age / 120, "boolean"),
            "visits": pd.array(rng.integers(0, 5, rows), "Int64"),
            "constant": 7,
            "outcome": rng.choice(["dead", "alive"], rows, p=[0.3, 0.7]),
        }
    )
    for name, share in {"wage": 0.1, "clinic": 0.2, "smoker": 0.1, "visits": 0.1, "seen": 0.1}.items():
        frame.loc[rng.random(rows) < share, name] = None
    return frame


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return Synthesizer(target="outcome", conditions=True, max_steps=STEPS, random_state=0).fit(table())


def sampled(model: Synthesizer, rows: Any, given: Any, **options: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of conditions that are rare
        return model.sample(rows, given=given, **options)


CONDITIONS: list[tuple[dict[str, Any], Any]] = [
    ({"sex": "f"}, lambda f: f.sex == "f"),
    ({"age": 40}, lambda f: f.age == 40),
    ({"age": (60, None)}, lambda f: f.age >= 60),
    ({"age": (None, 30), "sex": ["f"]}, lambda f: (f.age <= 30) & (f.sex == "f")),
    ({"wage": (3000, 3500)}, lambda f: f.wage.between(3000, 3500)),
    ({"wage": None}, lambda f: f.wage.isna()),
    ({"wage": (None, None), "clinic": (None, None)}, lambda f: f.wage.notna() & f.clinic.notna()),
    ({"clinic": ["W03", None]}, lambda f: f.clinic.isna() | (f.clinic == "W03")),
    ({"clinic": [f"W{k:02}" for k in range(9, 20)]}, lambda f: f.clinic.between("W09", "W19")),
    ({"seen": ("2024-03-01", "2024-03-31")}, lambda f: f.seen.between("2024-03-01", "2024-03-31")),
    ({"smoker": True, "visits": [1, 2]}, lambda f: (f.smoker == True) & f.visits.isin([1, 2])),  # noqa: E712
    ({"outcome": "dead", "paid": (2000, 3000)}, lambda f: (f.outcome == "dead") & f.paid.between(2000, 3000)),
    ({"constant": 7}, lambda f: f.constant == 7),
]


@pytest.mark.parametrize(("given", "holds"), CONDITIONS, ids=[str(list(given)) for given, _ in CONDITIONS])
def test_conditions_hold_in_every_row(fitted: Synthesizer, given: dict[str, Any], holds: Any) -> None:
    found = sampled(fitted, 300, given)
    assert len(found) == 300
    assert holds(found).all()
    assert (found.dtypes == table().dtypes).all()
    pd.testing.assert_frame_equal(found, sampled(fitted, 300, given))  # the same seed


def test_rows_without_conditions_are_those_of_a_model_without() -> None:
    plain = Synthesizer(target="outcome", max_steps=STEPS, random_state=0).fit(table())
    both = Synthesizer(target="outcome", conditions=True, max_steps=STEPS, random_state=0).fit(table())
    pd.testing.assert_frame_equal(plain.sample(200), both.sample(200))
    rows = plain.sample(50)
    later = plain.learn_conditions(table())
    assert (sampled(later, 50, {"sex": "m"}).sex == "m").all()
    pd.testing.assert_frame_equal(later.sample(50), rows)


def test_classes_and_conditions(fitted: Synthesizer) -> None:
    found = sampled(fitted, {"dead": 30, "alive": 20}, {"age": (60, None)})
    assert found.outcome.value_counts().to_dict() == {"dead": 30, "alive": 20}
    assert (found.age >= 60).all()
    with pytest.raises(RequestError, match="must not name 'outcome'"):
        fitted.sample({"dead": 3}, given={"outcome": "dead"})


def test_a_row_for_each_row_of_a_table(fitted: Synthesizer) -> None:
    frame = table(40).drop(columns=["paid", "constant"]).set_axis(range(100, 140))
    found = sampled(fitted, None, frame)
    assert found.index.equals(frame.index)
    assert (found.dtypes == table().dtypes).all()
    for name in frame:
        kept = frame[name].notna()
        assert (found[name][kept].astype(object) == frame[name][kept].astype(object)).all()
    assert found.paid.notna().all()


@pytest.mark.parametrize("form", ["frame", "arrow"])
def test_imputation_keeps_present_cells_and_fills_the_others(fitted: Synthesizer, form: str) -> None:
    gaps = table(50)
    found = fitted.impute(gaps if form == "frame" else pa.Table.from_pandas(gaps, preserve_index=False))
    assert isinstance(found, pd.DataFrame)
    assert not found.isna().any().any()
    for name in gaps:
        kept = gaps[name].notna()
        assert (found[name][kept].astype(object) == gaps[name][kept].astype(object)).all()


def test_several_imputations_and_their_indicator(fitted: Synthesizer) -> None:
    gaps = table(50)
    first, second = fitted.impute(gaps, draws=2, indicator=True)
    assert not first.wage.equals(second.wage)
    assert first.missingindicator_wage.tolist() == gaps.wage.isna().tolist()
    assert "missingindicator_age" not in first
    pd.testing.assert_frame_equal(first, fitted.impute(gaps, draws=2, indicator=True)[0])


def test_unseen_categories_stay_and_are_told(fitted: Synthesizer) -> None:
    gaps = table(5).assign(clinic=pd.Series(["new", None, "W01", "W02", None]))
    with pytest.warns(UserWarning, match="'clinic'.*1 values did not occur in training"):
        found = fitted.impute(gaps)
    assert found.clinic[0] == "new"
    assert found.clinic.notna().all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sexe": "f"}, "must name columns"),
        ({"sex": "z"}, "must be a value that occurs in training"),
        ({"age": (90, 60)}, "from the smaller to the larger"),
        ({"age": (200, None)}, "No value of 'age' lies between"),
        ({"age": ("old", None)}, "must be a number"),
        ({"sex": ("a", "b")}, "needs a column of numbers or dates"),
        ({"age": None}, "must be present"),
        ({"age": "old"}, "must be of type"),
        ({"seen": "yesterday-ish"}, "must be of type"),
    ],
)
def test_impossible_conditions_are_refused(fitted: Synthesizer, given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fitted.sample(5, given=given)


def test_what_a_model_without_conditions_cannot_do() -> None:
    model = Synthesizer(target="outcome", max_steps=2, random_state=0).fit(table(60))
    for call in (
        lambda: model.sample(5, given={"sex": "f"}),
        lambda: model.impute(table(5)),
        lambda: model.predict(table(5), "age"),
        lambda: model.log_likelihood(table(5), columns=["age"]),
    ):
        with pytest.raises(ConfigurationError, match="conditions=True"):
            call()
    assert model.predict_proba(table(5)).columns.tolist() == ["alive", "dead"]  # by Bayes' rule


def test_private_models_learn_no_conditions() -> None:
    frame = pd.DataFrame({"a": [0, 1] * 50, "b": ["x", "y"] * 50})
    schema = Schema.from_dict(
        {
            "columns": [
                {"name": "a", "kind": "integer", "bounds": [0, 1], "nullable": False},
                {"name": "b", "kind": "categorical", "categories": ["x", "y"], "nullable": False},
            ]
        }
    )
    budget = PrivacyBudget(epsilon=1.0, delta=1e-3)
    with pytest.raises(PrivacyError, match="`conditions` must be False"):
        Synthesizer(schema=schema, privacy=budget, conditions=True).fit(frame)
    private = Synthesizer(schema=schema, privacy=budget, max_steps=2).fit(frame)
    with pytest.raises(PrivacyError, match="budget is spent"):
        private.learn_conditions(frame)
    way_out = r"Synthesizer\(conditions=True\).fit\(model.sample"
    for request in (
        lambda: private.sample(2, given={"a": 1}),
        lambda: private.impute(frame.mask(frame == 1)),
        lambda: private.log_likelihood(frame, columns=["a"], given=["b"]),
    ):
        with pytest.raises(ConfigurationError, match=way_out):
            request()
    second = Synthesizer(conditions=True, max_steps=2, protect=0, random_state=0).fit(private.sample(100))
    assert (second.sample(5, given={"a": 1})["a"] == 1).all()


def test_saved_models_have_their_conditions(fitted: Synthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(sampled(again, 20, {"age": (60, None)}), sampled(fitted, 20, {"age": (60, None)}))


@pytest.mark.slow
def test_datasets_with_conditions_are_the_same_with_workers(
    fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthvae.generation.request.PART_ROWS", 40)
    given = {"age": (60, None), "sex": "f"}
    for workers in (1, 2):
        manifest = fitted.generate(tmp_path / str(workers), rows=200, given=given, workers=workers)
    assert manifest["given"] == {"age": "(60, None)", "sex": "'f'"}
    one, two = (pd.read_parquet(tmp_path / name) for name in "12")
    pd.testing.assert_frame_equal(one, two)
    assert ((one.age >= 60) & (one.sex == "f")).all()
    pd.testing.assert_frame_equal(one, sampled(fitted, 200, given))
    frame = table(90)[["sex", "age"]]
    fitted.generate(tmp_path / "frame", given=frame)
    assert (pd.read_parquet(tmp_path / "frame").age == frame.age).all()


def test_ids_stay_unique_across_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.generation.request.PART_ROWS", 20)
    frame = table(100)[["sex", "age", "outcome"]].assign(key=[f"P{k:05}" for k in range(100)])
    schema = Schema(columns=[Column(name="key", kind="id")])
    model = Synthesizer(target="outcome", schema=schema, conditions=True, max_steps=5, random_state=0).fit(frame)
    assert sampled(model, 100, {"sex": "f"}).key.is_unique
    assert sampled(model, {"dead": 40, "alive": 30}, {"sex": "f"}).key.is_unique
    with pytest.raises(RequestError, match="fresh values"):
        model.sample(5, given={"key": "P00001"})


def test_log_likelihood_follows_the_chain_rule(fitted: Synthesizer) -> None:
    rows = table(40)
    joint = fitted.log_likelihood(rows, columns=["sex", "age"])
    chained = fitted.log_likelihood(rows, columns=["sex"]) + fitted.log_likelihood(rows, columns=["age"], given=["sex"])
    assert np.isfinite(joint).all()
    assert np.abs(joint - chained).mean() < 0.3  # two ways of the network to say the same
    with pytest.raises(RequestError, match="needs `columns`"):
        fitted.log_likelihood(rows, given=["age"])
    with pytest.raises(RequestError, match="in both"):
        fitted.log_likelihood(rows, columns=["age"], given=["age"])


def test_probabilities_are_those_of_draws(fitted: Synthesizer) -> None:
    row = table(1).drop(columns="clinic")
    expected = fitted.predict_proba(row, "clinic").iloc[0]
    drawn = sampled(fitted, None, pd.concat([row] * 4000, ignore_index=True)).clinic.value_counts(normalize=True)
    assert expected.sum() == pytest.approx(1.0)
    assert np.abs(expected - drawn.reindex(expected.index, fill_value=0.0)).max() < 0.03


def test_predictions_of_numbers(fitted: Synthesizer) -> None:
    rows = table(200).dropna()
    found = fitted.predict(rows, "wage")
    assert found.name == "wage"
    assert found.index.equals(rows.index)
    assert np.corrcoef(found, rows.wage)[0, 1] > 0.5


@pytest.mark.slow
def test_real_rows_are_classified() -> None:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 6, 7, 20, 27, 30]]
    train, test = frame.iloc[::2], frame.iloc[1::2]
    model = Synthesizer(target="target", conditions=True, random_state=0).fit(train)
    found = model.predict_proba(test.drop(columns="target"))
    assert roc_auc_score(test.target, found[1]) > 0.96
    assert (model.predict(test) == test.target).mean() > 0.9
    alone = model.predict_proba(test[["mean radius"]])  # from one column, the others unknown
    assert 0.85 < roc_auc_score(test.target, alone[1]) < roc_auc_score(test.target, found[1]) + 0.01


def test_conditioned_rows_are_like_real_rows_of_that_kind() -> None:
    frame = load_iris(as_frame=True).frame
    model = Synthesizer(conditions=True, random_state=0).fit(frame)
    real = frame[frame["petal length (cm)"] > 5]
    found = sampled(model, 500, {"petal length (cm)": (5.1, None)})
    assert abs(found["petal width (cm)"].mean() - real["petal width (cm)"].mean()) < 0.25
    assert found.target.eq(2).mean() > 0.8


def test_numbers_that_repeat_a_known_one(fitted: Synthesizer) -> None:
    frame = table(400)[["sex", "age", "wage"]].dropna()
    found = sampled(fitted, None, frame)
    assert 0.1 < (found.paid == found.wage).mean() < 0.8  # .4 in training


@pytest.mark.parametrize("given", [{"age": (60, None)}, {"clinic": [f"W{k:02}" for k in range(9)]}])
def test_the_probability_of_limits_is_the_share_of_draws_within(fitted: Synthesizer, given: dict[str, Any]) -> None:
    model = fitted.learned_.conditional
    assert model is not None
    found = conditional_sampling.conditions(model, given)
    generator = torch.Generator().manual_seed(0)
    _, log_p = conditional_sampling._resampled(model, found, 4000, generator)
    drawn = fitted.sample(given=table(4000)[[]].assign(constant=7))  # nothing is known
    (name, limit), *_ = given.items()
    inside = drawn[name].isin(limit) if isinstance(limit, list) else drawn[name].between(limit[0], limit[1] or np.inf)
    assert np.exp(log_p) == pytest.approx(inside.mean(), abs=0.07)
