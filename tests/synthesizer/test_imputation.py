"""Filled tables in the form of the caller's, and conditions in the written form of a column."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.encoding import limits
from synthvae.encoding.written import own_number
from synthvae.errors import PrivacyError, RequestError
from synthvae.synthesizer import conditional_sampling
from synthvae.tables import convert

pytestmark = pytest.mark.xdist_group("imputation")  # what they share is fitted once

ROWS = 400


def visits(rows: int = ROWS) -> pd.DataFrame:
    """A table with keys, weights, sentinel values, and numbers and dates in text."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 91, rows)
    wage = np.round(1000 + 20 * age + rng.normal(0, 100, rows), 2)
    pressure = np.where(rng.random(rows) < 0.3, -999, 100 + age // 2 + rng.integers(0, 40, rows))
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D")
    return pd.DataFrame(
        {
            "key": [f"P{k:04}" for k in range(rows)],
            "age": age,
            "wage": wage,
            "pressure": pressure,
            "lab": [str(k) if k % 4 else "unknown" for k in rng.integers(0, 400, rows)],
            "cost": [f"{1.5 * one:.2f}".replace(".", ",") for one in wage],
            "seen": day.strftime("%d/%m/%Y"),
            "sex": rng.choice(["f", "m"], rows),
            "weight": 1.0 + age % 3,
        }
    )


SCHEMA = Schema(
    columns=[
        Column(name="key", kind="id"),
        Column(name="pressure", kind="integer", sentinels=[-999]),
        Column(name="lab", kind="integer", sentinels=["unknown"]),
        Column(name="cost", kind="continuous", format="1234,5"),
        Column(name="seen", kind="date", format="%d/%m/%Y"),
    ]
)


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    options: dict[str, Any] = {"conditions": True, "max_steps": 60, "random_state": 0, "protect": 0}
    return Synthesizer(target="sex", schema=SCHEMA, weights="weight", **options).fit(visits())


def with_missing(frame: pd.DataFrame) -> pd.DataFrame:
    holed = frame.copy()
    rng = np.random.default_rng(1)
    for name in frame.columns.drop("weight"):
        holed[name] = frame[name].mask(rng.random(len(frame)) < 0.3)
    return holed


def sampled(model: Synthesizer, rows: Any, given: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of conditions that are rare
        return model.sample(rows, given=given)


def test_no_sentinel_value_is_drawn_and_present_ones_stay(fitted: Synthesizer) -> None:
    holed = with_missing(visits())
    found = fitted.impute(holed)
    for name, sentinel in {"pressure": -999, "lab": "unknown"}.items():
        drawn = found[name][holed[name].isna()]
        assert drawn.notna().all()
        assert (drawn != sentinel).all()
        assert (found[name] == sentinel).sum() == (holed[name] == sentinel).sum() > 0


def test_a_column_of_sentinel_values_alone_has_these() -> None:
    column = Column(name="x", kind="integer", sentinels=[-9])
    values = pa.chunked_array([[-9, -9, None]])
    from synthvae.encoding import kinds

    encoding = kinds.learn(column, values)
    assert limits.real("x", encoding).states.tolist() == [True, False]


@pytest.mark.parametrize("form", ["frame", "arrow", "file"])
def test_the_table_of_the_caller_comes_back(fitted: Synthesizer, form: str, tmp_path: Path) -> None:
    holed = with_missing(visits(60)).drop(columns="age").iloc[:, ::-1].assign(note="as it is")
    holed = holed.set_axis(range(500, 560))
    given: Any = holed
    if form == "arrow":
        given = pa.Table.from_pandas(holed, preserve_index=False)
    if form == "file":
        given = tmp_path / "holed.csv"
        holed.to_csv(given, index=False)
    with pytest.warns(UserWarning, match=r"does not have the columns \['note'\]"):
        found = fitted.impute(given)
    assert list(found) == list(holed)
    if form == "frame":
        assert found.index.equals(holed.index)
        assert found.dtypes.equals(holed.dtypes)
    for name in ("key", "note", "weight"):  # ids, unknown columns and weights stay as they are
        assert found[name].isna().tolist() == holed[name].isna().tolist()
        kept = holed[name].notna().to_numpy()
        assert found[name][kept].tolist() == holed[name][kept].tolist()
    for name in holed.columns.drop(["key", "note", "weight"]):
        assert found[name].notna().all()


def test_labels_that_are_no_texts_and_repeated_indices() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), index=[3] * 60)
    model = Synthesizer(conditions=True, max_steps=3, random_state=0).fit(frame.reset_index(drop=True))
    frame.iloc[5, 1] = np.nan
    found = model.impute(frame)
    assert found.columns.equals(frame.columns)
    assert found.index.equals(frame.index)
    assert np.isfinite(found.to_numpy()).all()


def test_a_table_without_columns_of_the_model_is_refused(fitted: Synthesizer) -> None:
    with pytest.raises(RequestError, match="must have a column of the model"):
        fitted.impute(pd.DataFrame({"other": [1]}))


def test_tables_with_weights_are_taken_by_every_method(fitted: Synthesizer) -> None:
    rows = visits(20)
    assert len(fitted.predict_proba(rows, "sex")) == 20
    assert len(fitted.predict(rows, "age")) == 20
    assert fitted.log_likelihood(rows, columns=["age"], given=["sex"]).shape == (20,)
    assert "weight" not in fitted.sample(given=rows[["sex", "weight"]])


def test_values_of_another_type_are_named_as_values_of_a_table(fitted: Synthesizer) -> None:
    with pytest.raises(RequestError, match=r"^The values of column 'age' must be of type int64, got 'old'"):
        fitted.impute(visits(5).assign(age=["41", "old", "1", "2", "3"], wage=None))
    with pytest.raises(RequestError, match=r"^A condition on 'age' must be of type int64"):
        fitted.sample(5, given={"age": "old"})


@pytest.mark.parametrize("options", [{"k": 5}, {"proposal": "prior"}])
def test_options_of_a_bound_are_refused_beside_columns(fitted: Synthesizer, options: Any) -> None:
    with pytest.raises(RequestError, match="`k` and `proposal` must not be given with `columns`"):
        fitted.log_likelihood(visits(5), columns=["age"], **options)


def numbers(texts: pd.Series[Any]) -> pd.Series[Any]:
    return texts.str.replace(",", ".").astype(float)


def dates(texts: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(texts, format="%d/%m/%Y")


@pytest.mark.parametrize("interval", [("2000,50", "3000"), (2000.5, 3000), ("2000.5", None)])
def test_intervals_of_numbers_with_a_decimal_comma(fitted: Synthesizer, interval: Any) -> None:
    found = numbers(sampled(fitted, 100, {"cost": interval}).cost)
    assert found.between(2000.5, 3000 if interval[1] else np.inf).all()


@pytest.mark.parametrize(
    "interval",
    [
        ("05/03/2024", "01/04/2024"),
        ("2024-03-05", "2024-04-01"),
        (pd.Timestamp("2024-03-05"), pd.Timestamp("2024-04-01").date()),
    ],
)
def test_intervals_of_dates_in_a_form(fitted: Synthesizer, interval: Any) -> None:
    assert dates(sampled(fitted, 100, {"seen": interval}).seen).between("2024-03-05", "2024-04-01").all()


@pytest.mark.parametrize("day", ["05/03/2024", "2024-03-05", pd.Timestamp("2024-03-05"), np.datetime64("2024-03-05")])
def test_single_dates_have_the_form_of_the_column(fitted: Synthesizer, day: Any) -> None:
    assert set(sampled(fitted, 20, {"seen": day}).seen) == {"05/03/2024"}


@pytest.mark.parametrize("cost", ["2345,60", 2345.6, "2345.6"])
def test_single_numbers_have_the_form_of_the_column(fitted: Synthesizer, cost: Any) -> None:
    assert set(sampled(fitted, 20, {"cost": cost}).cost) == {"2345,60"}


def test_numbers_and_dates_of_tables_are_written_as_in_training(fitted: Synthesizer) -> None:
    rows = visits(30)
    plain = rows.assign(cost=numbers(rows.cost), seen=dates(rows.seen))[["cost", "seen", "sex"]]
    found = fitted.sample(given=plain)
    assert found.cost.tolist() == rows.cost.tolist()
    assert found.seen.tolist() == rows.seen.tolist()
    filled = fitted.impute(plain.assign(sex=None))
    assert filled.cost.equals(plain.cost)  # in the form of the caller


@pytest.mark.parametrize("limit", ["32/13/2024", "soon"])
def test_limits_that_are_no_dates_are_refused(fitted: Synthesizer, limit: str) -> None:
    with pytest.raises(RequestError, match="'seen' must be a date written as %d/%m/%Y"):
        fitted.sample(5, given={"seen": (limit, None)})


def test_own_form_comes_before_plain_numbers() -> None:
    assert own_number("1.234", "1.234,5") == 1234.0
    assert own_number("1.234", None) == 1.234


def test_lists_of_numbers_that_do_not_repeat(fitted: Synthesizer) -> None:
    found = sampled(fitted, 300, {"wage": [1400.0, 2500.0], "sex": "f"})
    assert set(found.wage) == {1400.0, 2500.0}
    assert (found.sex == "f").all()
    assert found.key.is_unique
    assert len(sampled(fitted, 0, {"wage": [1400.0, 2500.0]})) == 0
    pd.testing.assert_frame_equal(found, sampled(fitted, 300, {"wage": [1400.0, 2500.0], "sex": "f"}))
    assert found.age[found.wage == 1400.0].mean() < found.age[found.wage == 2500.0].mean() - 5
    with pytest.raises(RequestError, match="at most 100 combinations"):
        fitted.sample(5, given={"wage": [1400 + k / 4 for k in range(101)]})


@pytest.mark.slow
def test_listed_numbers_are_as_frequent_as_intervals_around_them() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=3000).round(3), "group": rng.choice(["a", "b"], 3000)})
    frame.loc[::10, "x"] = 5.0  # an atom
    model = Synthesizer(conditions=True, max_steps=150, random_state=0, protect=0).fit(frame)
    near = sampled(model, 100_000, {"x": (None, None)}).x
    expected = np.array([near.between(x - 0.1, x + 0.1).mean() for x in (0.0, 1.0, 2.0)])
    found = sampled(model, 4000, {"x": [0.0, 1.0, 2.0]}).x.value_counts(normalize=True)
    assert np.abs(found.reindex([0.0, 1.0, 2.0]) - expected / expected.sum()).max() < 0.08
    mixed = sampled(model, 500, {"x": [5.0, 0.0]}).x
    assert (mixed == 5.0).mean() > 0.9  # a tenth of the rows beside a thousandth of a density


def test_few_effective_draws_are_reported_per_row(monkeypatch: pytest.MonkeyPatch, fitted: Synthesizer) -> None:
    monkeypatch.setattr(conditional_sampling, "FEW_EFFECTIVE", 1e9)
    with pytest.warns(UserWarning, match=r"effective draws for 50 rows \([0-9.e+]+ per row\)"):
        fitted.sample(50, given={"age": (80, None), "wage": (None, 1500)})


def test_more_rounds_are_drawn_until_enough_are_effective(monkeypatch: pytest.MonkeyPatch, fitted: Synthesizer) -> None:
    model, sizes = fitted.learned_.conditional, []
    assert model is not None
    drawn = conditional_sampling._Pool.drawn

    def counted(*arguments: Any) -> Any:
        sizes.append(arguments[2])
        return drawn(*arguments)

    monkeypatch.setattr(conditional_sampling._Pool, "drawn", staticmethod(counted))
    sampled(fitted, 10, {"age": (20, 60)})
    assert len(sizes) == 1
    monkeypatch.setattr(conditional_sampling, "ENOUGH_EFFECTIVE", 1e9)
    sampled(fitted, 10, {"age": (20, 60)})
    assert len(sizes) == 1 + conditional_sampling.MAX_ROUNDS


@pytest.mark.slow
def test_proper_imputations_come_from_networks_of_their_own(fitted: Synthesizer) -> None:
    holed = with_missing(visits(200))
    first, second = fitted.impute(holed, draws=2, proper=True)
    again = fitted.impute(holed, draws=2, proper=True)
    pd.testing.assert_frame_equal(first, again[0])
    pd.testing.assert_frame_equal(second, again[1])
    assert first.age.notna().all()
    assert (first.age[holed.age.notna()] == holed.age.dropna()).all()
    assert not first.wage.equals(fitted.impute(holed).wage)
    assert not first.wage.equals(second.wage)
    with pytest.raises(RequestError, match=r"needs all columns of the model.*'age'"):
        fitted.impute(holed.drop(columns="age"), proper=True)
    with pytest.raises(RequestError, match="at least 2 rows"):
        fitted.impute(holed.head(1), proper=True)


def test_models_say_whether_conditions_were_learned(fitted: Synthesizer) -> None:
    assert fitted.learned_.describe()["conditions"] is True
    assert "draws the others given them" in fitted.card()
    plain = Synthesizer(max_steps=2, random_state=0).fit(visits(40)[["age", "sex"]])
    assert plain.learned_.describe()["conditions"] is False
    assert "draws the others given them" not in plain.card()


def test_estimates_include_conditions() -> None:
    frame = visits(300)[["age", "wage", "sex"]]
    plain, both = (Synthesizer(conditions=one, max_steps=40).estimate(frame) for one in (False, True))
    assert (plain.steps, both.steps) == (40, 80)
    assert both.seconds > plain.seconds * 0.5


def test_estimates_of_drafted_tables_with_ids_in_text(tmp_path: Path) -> None:
    table, draft = tmp_path / "visits.csv", tmp_path / "schema.yaml"
    visits(300)[["key", "age", "sex"]].to_csv(table, index=False)

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    run("schema", table, "-o", draft)
    said = run("fit", table, "-o", tmp_path / "model", "--schema", draft, "--estimate", "--conditions")
    assert "seconds:" in said


def test_private_models_are_not_refitted() -> None:
    frame = pd.DataFrame({"a": [0, 1] * 50})
    schema = Schema(columns=[Column(name="a", kind="integer", bounds=(0, 1), nullable=False)])
    private = Synthesizer(schema=schema, privacy=PrivacyBudget(epsilon=1.0, delta=1e-3), max_steps=2).fit(frame)
    with pytest.raises(PrivacyError, match="no budget"):
        private._refitted(convert.read(frame), convert.read(frame), 0)
