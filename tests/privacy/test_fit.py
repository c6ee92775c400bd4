"""A private fit from end to end: its guarantees, its results and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError
from synthvae.privacy import Ledger, fit
from synthvae.privacy.accounting import spent
from synthvae.privacy.curator import Curator
from synthvae.schema import Inequality
from synthvae.schema.domain import arrow_schema
from synthvae.synthesizer.configuration import spending_plan
from synthvae.tables import convert

ROWS = 400
BUDGET = PrivacyBudget(epsilon=20.0, delta=1e-5)


def table(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Patients whose weight depends on their sex, with missing values."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], rows)
    weight = np.round(rng.normal(60, 8, rows) + 15 * (sex == "M"), 1)
    return pd.DataFrame(
        {
            "sex": sex,
            "age": rng.integers(18, 91, rows),
            "weight": np.where(rng.random(rows) < 0.2, np.nan, weight),
            "smoker": rng.random(rows) < 0.3,
            "seen": [
                day.date() for day in pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D")
            ],
            "ill": rng.choice(["no", "yes"], rows, p=[0.8, 0.2]),
        }
    )


SCHEMA = Schema(
    columns=[
        Column(name="sex", kind="categorical", categories=["F", "M"], nullable=False),
        Column(name="age", kind="integer", bounds=(18, 90), nullable=False),
        Column(name="weight", kind="continuous", bounds=(30.0, 150.0), decimals=1, bins=[50.0, 60.0, 70.0, 80.0]),
        Column(name="smoker", kind="boolean", nullable=False),
        Column(name="seen", kind="date", bounds=("2024-01-01", "2024-12-31"), nullable=False),
        Column(name="ill", kind="categorical", categories=["no", "yes"], nullable=False),
    ]
)


@pytest.fixture(autouse=True)
def few_drawn_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that take a second."""
    monkeypatch.setattr(fit, "DRAWN_ROWS", (2100, 2200))


def quick(**changes: Any) -> Synthesizer:
    given: dict[str, Any] = {"target": "ill", "schema": SCHEMA, "privacy": BUDGET, "random_state": 0}
    small = {"width": 8, "latent_dim": 2, "max_steps": 20, "batch_size": 200}
    return Synthesizer(**{**given, **small, **changes})


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "DRAWN_ROWS", (2100, 2200))
        return quick().fit(table())


def test_the_ledger_stays_within_the_budget_and_names_its_events(fitted: Synthesizer) -> None:
    ledger = fitted.ledger_
    assert ledger is not None
    assert 0.95 * BUDGET.epsilon < ledger.epsilon <= BUDGET.epsilon
    assert ledger.delta == BUDGET.delta
    assert [event.name for event in ledger.events] == [
        "number of rows",
        "interval bisections",
        "rows of each class",
        "marginals within classes",
        "gradients",
    ]
    assert [event.times for event in ledger.events[2:]] == [1, 5, 20]
    assert 0.95 * BUDGET.epsilon < spent(ledger.events, ledger.delta, BUDGET.epsilon) <= BUDGET.epsilon


def test_rows_obey_the_schema(fitted: Synthesizer) -> None:
    rows = fitted.sample({"no": 30, "yes": 50})
    assert rows["ill"].value_counts().to_dict() == {"no": 30, "yes": 50}
    assert list(rows) == SCHEMA.names
    assert SCHEMA.check(convert.read(rows)).num_rows == 80
    assert 0 < rows["weight"].isna().mean() < 0.6


def test_marginals_are_near_those_of_the_table(fitted: Synthesizer) -> None:
    rows = fitted.sample(2000)
    assert rows["ill"].eq("yes").mean() == pytest.approx(0.2, abs=0.08)
    assert rows["smoker"].mean() == pytest.approx(0.3, abs=0.15)
    assert rows["weight"].isna().mean() == pytest.approx(0.2, abs=0.15)


def test_what_a_model_can_do_a_private_one_can(fitted: Synthesizer, tmp_path: Path) -> None:
    frame = table(50, seed=1)
    assert fitted.transform(frame).shape == (50, 2)
    assert np.isfinite(fitted.log_likelihood(frame)).all()
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    assert again.ledger_ == fitted.ledger_
    assert again.privacy == BUDGET
    pd.testing.assert_frame_equal(again.sample(20, random_state=3), fitted.sample(20, random_state=3))
    np.testing.assert_array_equal(again.transform(frame), fitted.transform(frame))
    manifest = fitted.generate(tmp_path / "rows", rows=10)
    assert manifest["ledger"]["epsilon"] <= BUDGET.epsilon
    assert manifest["ledger"]["unit"] == "one row"


@pytest.mark.slow
def test_a_file_is_read_as_text_and_rows_have_the_declared_types(fitted: Synthesizer, tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    np.testing.assert_array_equal(fitted.transform(path), fitted.transform(frame))
    with path.open("a") as file:
        file.write("X,old,2020-01-01,perhaps,never,no\n")
    np.testing.assert_allclose(fitted.transform(path)[:ROWS], fitted.transform(frame), rtol=1e-9, atol=1e-9)
    from_file = quick().fit(path)
    assert from_file.sample(20).dtypes.equals(fitted.sample(20).dtypes)
    assert from_file.encoding_.arrow_schema == arrow_schema(SCHEMA)


def test_nothing_of_the_table_stands_in_the_model(fitted: Synthesizer, tmp_path: Path) -> None:
    """No loss, no held-out row, no bound but the declared ones; `test_replay` shows that no count is the real one."""
    fitted.save(tmp_path / "model")
    page = json.loads((tmp_path / "model" / "synthvae.json").read_text())
    assert page["history"]["records"] == []
    assert page["history"]["held_out_elbo"] is None
    assert page["encoding"]["columns"]["weight"]["edges"] == [30.0, 50.0, 60.0, 70.0, 80.0, 150.0]


@pytest.mark.slow
def test_the_same_seed_gives_another_model(fitted: Synthesizer) -> None:
    """Noise follows no seed."""
    other = quick().fit(table())
    assert other.learned_.fingerprint != fitted.learned_.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters", [{"decoder": "factorized"}, {"prior": "class_normal"}, {"prior": "vamp"}, {"target": None}]
)
def test_every_kind_of_model_can_be_private(parameters: dict[str, Any]) -> None:
    synthesizer = quick(**parameters).fit(table())
    assert len(synthesizer.sample(20)) == 20
    assert synthesizer.ledger_ is not None


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradients", "tables"])
@pytest.mark.parametrize("target", ["age", "weight", "smoker"])
def test_every_kind_of_target_can_be_private(target: str, strategy: str) -> None:
    frame = table()
    rows = quick(target=target, strategy=strategy).fit(frame).sample(50)
    assert SCHEMA.check(convert.read(rows)).num_rows == 50


@pytest.mark.slow
def test_tables_alone_find_the_dependent_columns() -> None:
    """Men weigh more: one edge of the tree."""
    synthesizer = quick(strategy="tables", target=None).fit(table(4000))
    assert synthesizer.ledger_ is not None
    names = [event.name for event in synthesizer.ledger_.events]
    assert names[2:] == [
        "rows of each class",
        "marginals within classes",
        "distances of column pairs from independence",
        "pairwise marginals within classes",
    ]
    assert synthesizer.ledger_.epsilon == pytest.approx(BUDGET.epsilon, rel=0.01)
    plan = quick(strategy="tables", target=None).plan(rows=4000)
    assert [event.name for event in plan.events] == names


@pytest.mark.slow
def test_the_strategy_follows_epsilon_rows_and_columns() -> None:
    """Gradients where there is much to spend on many rows."""
    much, little = (quick(privacy={"epsilon": epsilon, "delta": 1e-6}) for epsilon in (8.0, 0.2))
    assert "gradients" in [event.name for event in much.plan(rows=50_000).events]
    assert "gradients" not in [event.name for event in little.plan(rows=1000).events]
    with pytest.raises(ConfigurationError, match="strategy"):
        quick(strategy="magic").plan(rows=1000)


def test_a_plan_refuses_a_delta_that_so_few_rows_do_not_bear() -> None:
    with pytest.raises(PrivacyError, match="delta must be less than one over the number of rows"):
        quick(privacy={"epsilon": 1.0, "delta": 1e-3}).plan(rows=1000)


def test_a_mapping_is_a_budget_and_cloning_keeps_it() -> None:
    given = {"epsilon": 20.0, "delta": 1e-5}
    synthesizer = clone(quick(privacy=given)).fit(table())
    assert synthesizer.ledger_ is not None
    assert synthesizer.ledger_.budget == BUDGET


@pytest.mark.slow
def test_a_plan_says_beforehand_what_a_fit_spends(fitted: Synthesizer) -> None:
    plan = quick().plan(rows=ROWS)
    assert fitted.ledger_ is not None
    assert plan.events[:-1] == fitted.ledger_.events[:-1]
    assert plan.events[-1].name == fitted.ledger_.events[-1].name == "gradients"
    declared = {**BUDGET.model_dump(), "rows": 500}
    assert quick(privacy=declared).plan(rows=7) == quick(privacy=declared).fit(table()).ledger_
    with pytest.raises(PrivacyError, match="`privacy` must be a privacy budget for a plan"):
        quick(privacy=None).plan(rows=ROWS)


@pytest.mark.slow
def test_rows_of_one_patient_are_one_unit() -> None:
    frame = table().assign(patient=np.arange(ROWS) // 4)
    budget = PrivacyBudget(epsilon=50.0, delta=1e-5, unit="patient", rows_per_unit=2)
    synthesizer = quick(privacy=budget).fit(frame)
    assert synthesizer.ledger_ is not None
    assert [event.sensitivity for event in synthesizer.ledger_.events] == [2.0, 2.0, 2.0, 2.0, 1.0]
    assert "patient" in synthesizer.ledger_.statement()["unit"]
    assert "patient" not in synthesizer.sample(5)
    assert synthesizer.encoding_.target is not None
    assert sum(synthesizer.encoding_.target.counts) == pytest.approx(
        ROWS / 2, abs=30
    )  # 7 standard deviations of the noise


@pytest.mark.slow
def test_a_unit_that_is_not_declared_is_no_feature(tmp_path: Path) -> None:
    frame = table()
    owned = frame.assign(patient=np.arange(ROWS) // 4)
    fitted = quick(privacy={"epsilon": 50.0, "delta": 1e-5, "unit": "patient"}).fit(owned)
    fitted.save(tmp_path / "model")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for model in (fitted, Synthesizer.load(tmp_path / "model")):
        assert model.n_features_in_ == len(SCHEMA.names)
        assert list(model.feature_names_in_) == SCHEMA.names
        for given in (frame, owned, owned[owned.columns[::-1]], convert.read(owned), tmp_path / "t.csv"):
            np.testing.assert_array_equal(model.transform(given), fitted.transform(owned))
            np.testing.assert_array_equal(model.log_likelihood(given), fitted.log_likelihood(owned))
        with pytest.raises(TableError, match=r"\['visit'\] are new"):
            model.transform(owned.assign(visit=1))


@pytest.mark.slow
def test_a_unit_that_is_declared_is_a_feature(tmp_path: Path) -> None:
    schema = Schema(columns=[*SCHEMA.columns, Column(name="patient", kind="id", nullable=False)])
    frame = table().assign(patient=np.arange(ROWS) // 4)
    fitted = quick(schema=schema, privacy={"epsilon": 50.0, "delta": 1e-5, "unit": "patient"}).fit(frame)
    fitted.save(tmp_path / "model")
    for model in (fitted, Synthesizer.load(tmp_path / "model")):
        np.testing.assert_array_equal(model.transform(frame), fitted.transform(frame))
        with pytest.raises(TableError, match=r"\['patient'\] are missing"):
            model.transform(frame.drop(columns="patient"))


@pytest.mark.slow
def test_rows_without_a_unit_or_a_class_are_dropped() -> None:
    frame = table().assign(patient=np.arange(ROWS).astype(float))
    frame.loc[:199, "patient"] = np.nan
    frame.loc[200:249, "ill"] = None
    frame.loc[250:299, "ill"] = "perhaps"
    synthesizer = quick(privacy=PrivacyBudget(epsilon=50.0, delta=1e-5, unit="patient")).fit(frame)
    assert synthesizer.encoding_.target is not None
    assert sum(synthesizer.encoding_.target.counts) == pytest.approx(100, abs=10)  # 7 standard deviations of the noise


@pytest.mark.slow
def test_no_value_of_a_row_is_an_error() -> None:
    frame = table().astype(object)
    odd: list[list[Any]] = [
        ["X", "old", np.inf, "perhaps", "never", "no"],
        [None, None, None, None, None, "no"],
        ["F", 1e300, -1e300, 7, "2099-01-01", "no"],
    ]
    frame = pd.concat([pd.DataFrame(odd, columns=frame.columns, dtype=object), frame], ignore_index=True)
    frame = frame.astype({"age": str, "weight": str, "smoker": str, "seen": str})
    rows = quick().fit(frame).sample(20)
    assert SCHEMA.check(convert.read(rows)).num_rows == 20


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": None}, "got none. Draft one with `synthvae schema TABLE --declare"),
        ({"schema": Schema(columns=SCHEMA.columns, inferred=True)}, "got an inferred one. Draft one"),
        ({"schema": Schema(constraints=[Inequality(columns=["a", "b"])])}, "got one of rules alone. Draft one"),
        ({"schema": Schema(columns=[Column(name="ill", kind="categorical")])}, "'ill': `categories` must be declared"),
        (
            {"schema": Schema(columns=[Column(name="age", kind="integer")]), "target": None},
            "'age': `bounds` must be declared",
        ),
        ({"schema": Schema(columns=SCHEMA.columns[1:])}, "\\['sex'\\] are undeclared. Declare or drop"),
        ({"privacy": 1.0}, "must be a PrivacyBudget, got 1.0"),
        ({"privacy": {"epsilon": 1.0}}, "delta"),
        ({"privacy": PrivacyBudget(epsilon=1, delta=1e-5, unit="patient")}, "got 'patient', which is not among"),
        ({"privacy": PrivacyBudget(epsilon=9, delta=0.1)}, "delta must be less than one over the number of rows"),
        (
            {"privacy": PrivacyBudget(epsilon=1e-6, delta=1e-9)},
            "The noise multiplier must be at most 10000, got a budget",
        ),
    ],
)
def test_what_cannot_be_promised_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(PrivacyError, match=reason):
        quick(**changes).fit(table())


def test_a_target_that_is_not_declared_is_refused() -> None:
    with pytest.raises(SchemaError, match="'dead' is not"):
        quick(target="dead").fit(table())


@pytest.mark.slow
def test_progress_shows_no_loss() -> None:
    seen: list[float] = []
    quick_table = convert.read(table())
    synthesizer = quick()
    fit.learn(
        quick_table,
        SCHEMA,
        "ill",
        Curator(Ledger(budget=BUDGET)),
        fit.Setup(plan=spending_plan(synthesizer), **_configs(), progress=lambda *given: seen.append(given[2])),
    )
    assert len(seen) == 20
    assert np.isnan(seen).all()


def _configs() -> dict[str, Any]:
    from synthvae.model import ModelConfig
    from synthvae.privacy.dpsgd.trainer import descend
    from synthvae.training import TrainingConfig

    shape = ModelConfig(width=8, latent_dim=2)
    return {
        "model": shape,
        "training": TrainingConfig(max_steps=5),
        "descender": descend,
    }
