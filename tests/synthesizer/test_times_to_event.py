"""Times to an event: drawn after the event and before all other columns, positive, with their censoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from synthvae import Column, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError, PrivacyError, TableError
from synthvae.evaluation import evaluate
from synthvae.evaluation.utility.event_times import CensoredTimes, curve_distance, kaplan_meier

CAUSES = ("censored", "relapse", "death")
END = 60.0  # months, at which the study ends
QUICK: dict[str, Any] = {"width": 24, "latent_dim": 3, "device": "cpu", "random_state": 0}
TIMES: dict[str, Any] = {"duration": "months", "event": "cause"}
COLUMNS = [
    Column(name="age", kind="integer", bounds=(30, 90), nullable=False),
    Column(name="arm", kind="categorical", categories=("a", "b"), nullable=False),
    Column(name="months", kind="continuous", bounds=(0, 60), decimals=1, nullable=False),
    Column(name="cause", kind="categorical", categories=CAUSES, nullable=False),
]


def cohort(rows: int, seed: int = 0) -> pd.DataFrame:
    """Two competing causes; a third of the patients reach the end of the study."""
    rng = np.random.default_rng(seed)
    age, arm = rng.integers(30, 91, rows), rng.choice(["a", "b"], rows)
    relapse = rng.exponential(np.where(arm == "a", 60, 120))
    death = rng.exponential(90 * np.exp(-0.03 * (age - 60)))
    lost = rng.exponential(300, rows)
    cause = np.argmin([np.minimum(lost, END), relapse, death], axis=0)
    months = np.maximum(np.minimum.reduce([lost, relapse, death, np.full(rows, END)]).round(1), 0.1)
    return pd.DataFrame({"age": age, "arm": arm, "months": months, "cause": np.take(CAUSES, cause)})


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return cohort(600)


@pytest.fixture(scope="module")
def model(patients: pd.DataFrame) -> Synthesizer:
    return Synthesizer(**TIMES, conditions=True, max_steps=250, **QUICK).fit(patients)


def test_the_duration_comes_first_given_the_event(model: Synthesizer, patients: pd.DataFrame) -> None:
    assert next(iter(model.encoding_.columns)) == "months"
    found = model.sample(600, random_state=1)
    assert list(found) == list(patients)
    assert found["cause"].value_counts().to_dict() == patients["cause"].value_counts().to_dict()


def test_censoring_at_the_end_stays_and_times_are_positive(model: Synthesizer, patients: pd.DataFrame) -> None:
    found = model.sample(6000, random_state=1)
    ends, real = found["months"] == END, patients["months"] == END
    assert real.mean() > 0.15
    assert abs(ends.mean() - real.mean()) < 0.03
    assert (found.loc[ends, "cause"] == "censored").mean() > 0.97
    assert found["months"].between(patients["months"].min(), END).all()


def test_curves_are_those_of_the_patients(model: Synthesizer, patients: pd.DataFrame) -> None:
    found = model.sample(6000, random_state=1)

    def curve(rows: pd.DataFrame, cause: str) -> Any:
        return kaplan_meier(CensoredTimes(rows["months"].to_numpy(), (rows["cause"] == cause).to_numpy()))

    for cause in ("relapse", "death"):
        halves = [curve(cohort(600, seed), cause) for seed in (1, 2, 3, 4)]
        apart = np.mean([curve_distance(halves[i], halves[j], END) for i in range(4) for j in range(i)])
        assert curve_distance(curve(found, cause), curve(patients, cause), END) < 1.2 * apart


def test_rows_are_requested_by_event_and_under_conditions(model: Synthesizer) -> None:
    assert model.sample({"death": 20, "relapse": 5})["cause"].value_counts().to_dict() == {"death": 20, "relapse": 5}
    found = model.sample(50, given={"cause": "death", "age": (70, None)})
    assert set(found["cause"]) == {"death"}
    assert found["age"].min() >= 70
    late = model.sample(50, given={"months": (36, None)})
    assert late["months"].min() >= 36


def test_a_saved_model_draws_the_same_rows(model: Synthesizer, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    assert (loaded.duration, loaded.event, loaded.target) == ("months", "cause", None)
    pd.testing.assert_frame_equal(loaded.sample(30, random_state=2), model.sample(30, random_state=2))


def test_a_target_comes_before_the_event(patients: pd.DataFrame) -> None:
    model = Synthesizer(**TIMES, target="arm", max_steps=20, **QUICK).fit(patients)
    assert list(model.encoding_.columns)[:2] == ["cause", "months"]
    assert model.sample({"a": 3, "b": 4})["arm"].value_counts().to_dict() == {"b": 4, "a": 3}
    ordered = Synthesizer(**TIMES, order=["age", "arm", "months", "cause"], max_steps=5, **QUICK)
    with pytest.raises(ConfigurationError, match="`order` must"):  # the event is the target
        ordered.fit(patients)
    model = ordered.set_params(target="arm", order=["months", "age", "cause"]).fit(patients)
    assert list(model.encoding_.columns) == ["cause", "months", "age"]


def test_an_order_may_name_the_other_columns_only(patients: pd.DataFrame) -> None:
    model = Synthesizer(**TIMES, order=["arm", "age"], max_steps=5, **QUICK).fit(patients)
    assert list(model.encoding_.columns) == ["months", "arm", "age"]
    model = model.set_params(target="arm", order=["age"]).fit(patients)
    assert list(model.encoding_.columns) == ["cause", "months", "age"]
    with pytest.raises(ConfigurationError, match="`order` must"):
        model.set_params(target=None, order=["age"]).fit(patients)


@pytest.mark.parametrize("strategy", ["tables", "gradients"])
def test_times_under_a_privacy_budget(patients: pd.DataFrame, strategy: str) -> None:
    private: dict[str, Any] = {"schema": Schema(columns=COLUMNS), "privacy": {"epsilon": 3, "delta": 1e-5}}
    model = Synthesizer(**TIMES, **private, strategy=strategy, max_steps=5, **QUICK).fit(patients)
    assert next(iter(model.encoding_.columns)) == "months"
    assert model.sample({"death": 5})["months"].between(0, 60).all()
    assert model.plan(600).epsilon <= 3


def test_an_evaluation_takes_the_same_columns(patients: pd.DataFrame) -> None:
    died = patients.assign(cause=(patients["cause"] == "death").astype(int))
    model = Synthesizer(**TIMES, max_steps=5, **QUICK).fit(died)
    found = evaluate(died, model.sample(600), attacks=False, **TIMES)
    assert {"kaplan_meier", "concordance"} <= found.figures.keys()


def test_a_missing_event_is_marginalised_or_with_a_target_a_value(patients: pd.DataFrame) -> None:
    some = patients.assign(cause=patients["cause"].where(patients.index >= 150))
    with pytest.warns(UserWarning, match="event 'cause': 150 of 600 rows have no value"):
        model = Synthesizer(**TIMES, max_steps=5, **QUICK).fit(some)
    assert not model.sample(300)["cause"].isna().any()
    model = Synthesizer(**TIMES, target="arm", max_steps=40, **QUICK).fit(some)
    assert 0.1 < model.sample(2000)["cause"].isna().mean() < 0.4


def test_dates_are_no_duration_of_an_evaluation(patients: pd.DataFrame) -> None:
    died = patients.assign(cause=(patients["cause"] == "death").astype(int))
    dated = died.assign(months=pd.Timestamp("2020-01-01") + pd.to_timedelta(died["months"].round() * 30, "D"))
    found = evaluate(dated, dated, attacks=False, **TIMES)
    assert not found["survival"].figures
    assert "'months' holds dates" in found["survival"].notes[0]


def declared(patients: pd.DataFrame) -> Schema:
    return Schema.infer(patients).declare("months", kind="duration", event="cause")


def test_a_schema_names_the_times(patients: pd.DataFrame, model: Synthesizer) -> None:
    """A fit with a declared duration is that with both parameters, also if nothing else is declared."""
    for schema in (declared(patients), Schema(columns=[declared(patients)["months"]])):
        found = Synthesizer(schema=schema, max_steps=5, **QUICK).fit(patients)
        expected = Synthesizer(**TIMES, max_steps=5, **QUICK).fit(patients)
        pd.testing.assert_frame_equal(found.sample(50), expected.sample(50))
        assert found.schema_["months"].kind == "duration"
    assert model.schema_["months"].kind == "continuous"
    both = Synthesizer(schema=declared(patients), **TIMES, max_steps=5, **QUICK).fit(patients)
    assert next(iter(both.encoding_.columns)) == "months"


def test_whole_days_stay_whole_in_a_saved_model(patients: pd.DataFrame, tmp_path: Path) -> None:
    days = patients.assign(months=(patients["months"] * 30).astype("int32"))
    model = Synthesizer(schema=declared(days), max_steps=5, **QUICK).fit(days)
    model.save(tmp_path)
    loaded = Synthesizer.load(tmp_path)
    assert loaded.schema_.duration == model.schema_.duration
    assert loaded.sample(20)["months"].dtype == "int32"
    assert loaded.sample(200)["months"].between(days["months"].min(), days["months"].max()).all()


def test_a_declared_duration_under_a_privacy_budget(patients: pd.DataFrame) -> None:
    months = Column(name="months", kind="duration", event="cause", bounds=(0, 60), decimals=1, nullable=False)
    schema = Schema(columns=[*COLUMNS[:2], months, COLUMNS[3]])
    model = Synthesizer(schema=schema, privacy={"epsilon": 3, "delta": 1e-5}, max_steps=5, **QUICK).fit(patients)
    assert next(iter(model.encoding_.columns)) == "months"
    assert model.sample({"death": 5})["months"].between(0, 60).all()


def test_a_declared_duration_that_does_not_fit(patients: pd.DataFrame) -> None:
    schema = declared(patients)
    refused: list[tuple[dict[str, Any], pd.DataFrame, str]] = [
        ({"duration": "age", "event": "cause"}, patients, "must be those of the schema, 'months' and 'cause'"),
        ({"event": "arm"}, patients, "must be those of the schema"),
        ({"target": "months"}, patients, "another column than the event and the target"),
        ({}, patients.assign(months=-patients["months"]), "durations must not be negative, got -60"),
    ]
    for parameters, table, words in refused:
        partial = Schema(columns=[schema["months"].model_copy(update={"bounds": None})])
        with pytest.raises((ConfigurationError, TableError), match=words):
            Synthesizer(schema=partial, **parameters, **QUICK).fit(table)
    with pytest.raises(TableError, match="event 'cause' is not a column of the table"):
        Synthesizer(schema=Schema(columns=[schema["months"]]), **QUICK).fit(patients.drop(columns="cause"))


REFUSED: dict[str, dict[str, Any]] = {
    "given together": {"duration": "months"},
    "`event` must be the name of one column": {"duration": "months", "event": ["cause"]},
    "`duration` must be the name of one column": {"duration": ["months"], "event": "cause"},
    "`weights` must be another column": {**TIMES, "weights": "months"},
    "another column than the event": {"duration": "months", "event": "months"},
    "another column than the event and the target": {**TIMES, "target": "months"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_parameters_that_contradict_each_other(patients: pd.DataFrame, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Synthesizer(**REFUSED[words], **QUICK).fit(patients)


def test_columns_that_are_no_times(patients: pd.DataFrame) -> None:
    with pytest.raises(TableError, match="duration 'arm' must have a kind"):
        Synthesizer(duration="arm", event="cause").fit(patients)
    with pytest.raises(TableError, match="event 'months' must have a kind"):
        Synthesizer(duration="age", event="months").fit(patients)
    with pytest.raises(TableError, match="'days' must be a column"):
        Synthesizer(duration="days", event="cause").fit(patients)
    with pytest.raises(TableError, match="event 'status' is not a column"):
        Synthesizer(duration="months", event="status").fit(patients)
    with pytest.raises(TableError, match="must not be negative, got -1"):
        Synthesizer(**TIMES).fit(patients.assign(months=patients["months"] - 1.5))
    declared = [*COLUMNS[:2], COLUMNS[2].model_copy(update={"bounds": (-5, 60)}), COLUMNS[3]]
    private: dict[str, Any] = {"schema": Schema(columns=declared), "privacy": {"epsilon": 3, "delta": 1e-5}}
    with pytest.raises(TableError, match="must not be negative"):
        Synthesizer(**TIMES, **private).fit(patients)
    with pytest.raises(PrivacyError, match="privacy budget"):
        Synthesizer(**TIMES, schema="private").fit(patients)


def test_times_in_the_shell(patients: pd.DataFrame, tmp_path: Path) -> None:
    patients.to_csv(tmp_path / "patients.csv", index=False)
    (tmp_path / "steps.yaml").write_text("max_steps: 5\nwidth: 8\n")
    words = ["fit", "patients.csv", "-o", "model", "--config", "steps.yaml", "--seed", "0", "--duration", "months"]
    words = [str(tmp_path / word) if word in {"patients.csv", "model", "steps.yaml"} else word for word in words]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert "`--duration` and `--event` must be given together" in refused.output
    assert CliRunner().invoke(app, [*words, "--event", "cause"]).exit_code == 0
    assert Synthesizer.load(tmp_path / "model").duration == "months"


def test_a_schema_names_the_times_in_the_shell(patients: pd.DataFrame, tmp_path: Path) -> None:
    patients.to_csv(tmp_path / "patients.csv", index=False)
    (tmp_path / "steps.yaml").write_text("max_steps: 5\nwidth: 8\n")
    (tmp_path / "schema.yaml").write_text("columns:\n- {name: months, kind: duration, event: cause}\n")
    files = {name: str(tmp_path / name) for name in ("patients.csv", "schema.yaml", "steps.yaml", "model")}
    words = ["fit", files["patients.csv"], "--schema", files["schema.yaml"], "-o", files["model"]]
    done = CliRunner().invoke(app, [*words, "--config", files["steps.yaml"], "--seed", "0"])
    assert done.exit_code == 0, done.output
    assert next(iter(Synthesizer.load(tmp_path / "model").encoding_.columns)) == "months"
    words = ["evaluate", files["patients.csv"], files["patients.csv"], "--schema", files["schema.yaml"]]
    found = CliRunner().invoke(app, [*words, "--no-attacks", "--quiet"])
    assert found.exit_code == 0, found.output
    assert "survival cumulative_incidence: 0.0000" in found.output
