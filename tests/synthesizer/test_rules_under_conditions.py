"""Rules hold in rows with conditions and in imputed rows, and conditions in rows with rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated import RULES, hospital

from synthvae import Schema, Synthesizer
from synthvae.errors import RequestError
from synthvae.schema import Difference, ImpliesMissing, RequiredIf

pytestmark = pytest.mark.xdist_group("rules under conditions")  # what they share is fitted once

FIT: dict[str, Any] = {"max_steps": 150, "width": 48, "latent_dim": 2, "device": "cpu", "random_state": 0}
MARCH = pd.Timestamp("2020-03-01"), pd.Timestamp("2020-03-31")


@pytest.fixture(scope="module")
def stays() -> pd.DataFrame:
    """Stays that keep all rules."""
    return hospital(1500)


@pytest.fixture(scope="module")
def synthesizer(stays: pd.DataFrame) -> Synthesizer:
    """A synthesizer of them that takes conditions."""
    return Synthesizer(schema=Schema(constraints=RULES), conditions=True, **FIT).fit(stays)


def refuse_broken(rows: pd.DataFrame, stays: pd.DataFrame, kinds: set[str] | None = None) -> None:
    for rule in RULES:
        if kinds is None or rule.kind in kinds:
            assert rule.learned(stays).holds(rows).all(), str(rule)


@pytest.mark.parametrize(
    "given",
    [
        {"department": "children"},
        {"ward": "A1", "sex": "m"},
        {"admitted": MARCH},
        {"discharged": MARCH},
        {"discharged": MARCH[0]},
        {"discharged": list(MARCH)},
        {"admitted": MARCH[0], "discharged": MARCH[0] + pd.Timedelta("3D")},
        {"systolic": (100, 120)},
        {"diastolic": 70, "systolic": (100, None)},
        {"planned": 1},
        {"emergency": 0, "transfer": 0},
        {"drug": None},
        {"dose": [100, 125]},
        {"pregnant": True},
    ],
)
def test_rows_with_conditions_keep_rules_and_conditions(
    given: dict[str, Any], synthesizer: Synthesizer, stays: pd.DataFrame
) -> None:
    rows = synthesizer.sample(120, given=given, random_state=0)
    refuse_broken(rows, stays)
    assert len(rows) == 120
    for name, condition in given.items():
        found = rows[name]
        if isinstance(condition, tuple):
            low, high = (found.min() if condition[0] is None else condition[0], condition[1] or found.max())
            assert found.between(low, high).all()
        elif condition is None:
            assert found.isna().all()
        else:
            assert found.isin(condition if isinstance(condition, list) else [condition]).all()
    pd.testing.assert_frame_equal(rows, synthesizer.sample(120, given=given, random_state=0))


def test_stays_that_end_in_an_interval_are_as_long_as_others(synthesizer: Synthesizer) -> None:
    free, given = synthesizer.sample(1500), synthesizer.sample(1500, given={"discharged": MARCH})
    assert abs(given["nights"].median() - free["nights"].median()) <= 1
    assert abs(given["nights"].quantile(0.9) - free["nights"].quantile(0.9)) <= 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sex": "m", "pregnant": True}, "keep the rules"),
        ({"admitted": MARCH[1], "discharged": MARCH[0]}, "keep the rules"),
        ({"planned": 1, "emergency": 1}, "keep the rules"),
        ({"bill": (0, 1000)}, "computed from \\['care', 'drugs', 'lab'\\]"),
        ({"nights": 3}, "computed from \\['discharged', 'admitted'\\]"),
        ({"discharged": (MARCH[1], MARCH[0])}, "smaller to the larger"),
        ({"discharged": pd.Timestamp("1999-01-01")}, "within the values of training"),
    ],
)
@pytest.mark.filterwarnings("ignore:the conditions have a probability")
def test_conditions_that_contradict_rules_are_refused(
    given: dict[str, Any], told: str, synthesizer: Synthesizer
) -> None:
    with pytest.raises(RequestError, match=told):
        synthesizer.sample(20, given=given)


@pytest.mark.filterwarnings("ignore:.*rows break a rule")
def test_imputed_values_keep_rules_and_solve_computed_columns(synthesizer: Synthesizer, stays: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    holes = stays.copy()
    for name in ("care", "lab", "discharged", "systolic", "ward", "emergency", "weight", "height", "bmi"):
        holes[name] = holes[name].astype(object).where(rng.random(len(stays)) > 0.3)
    inside = stays["weight"].between(50, 100) & stays["height"].between(1.55, 1.85)
    inside &= stays["discharged"].between(*stays["discharged"].quantile([0.02, 0.98])) & stays["lab"].between(5, 250)
    holes = holes.infer_objects().loc[inside & stays["care"].between(300, 9000)]  # within what protection leaves
    filled = synthesizer.impute(holes, random_state=0)
    assert not filled[holes.columns[holes.isna().any()].difference(["drug", "dose"])].isna().any().any()
    refuse_broken(filled, stays, {"sum", "difference", "formula", "inequality", "fixed_combinations", "one_hot", "if"})
    kept = holes.notna()
    pd.testing.assert_frame_equal(filled.where(kept).astype(object), holes.where(kept).astype(object))


def test_rows_whose_values_break_a_rule_are_counted(synthesizer: Synthesizer, stays: pd.DataFrame) -> None:
    wrong = stays.head(50).assign(lab=np.nan, bill=0.5)
    with pytest.warns(UserWarning, match="50 of 50 rows break a rule"):
        filled = synthesizer.impute(wrong, random_state=0)
    pd.testing.assert_series_equal(filled["bill"], wrong["bill"])


@pytest.mark.parametrize("decimals", [0, 2])
@pytest.mark.parametrize("hidden", ["high", "low"])
def test_one_hidden_term_of_a_difference_is_found(decimals: int, hidden: str) -> None:
    rng = np.random.default_rng(0)
    high, low = np.round(rng.gamma(2, 50, 400) + 50, decimals), np.round(rng.uniform(0, 50, 400), decimals)
    table = pd.DataFrame({"high": high, "low": low, "rest": np.round(high - low, decimals)})
    rule = Difference(result="rest", high="high", low="low")
    fitted = Synthesizer(schema=Schema(constraints=(rule,)), conditions=True, **{**FIT, "max_steps": 20}).fit(table)
    inside = table["high"].between(*table["high"].quantile([0.05, 0.95])) & table["low"].between(2, 48)
    filled = fitted.impute(table[inside].assign(**{hidden: np.nan}), random_state=0)
    np.testing.assert_allclose(filled[hidden], table.loc[inside, hidden], atol=1e-9)


@pytest.mark.parametrize("hidden", [["admitted"], ["born"], ["born", "admitted"]])
def test_hidden_dates_agree_with_a_known_age(hidden: list[str]) -> None:
    rng = np.random.default_rng(0)
    born = pd.Timestamp("1940-01-01") + pd.to_timedelta(rng.integers(0, 20_000, 400), unit="D")
    admitted = pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 7_000, 400), unit="D")
    table = pd.DataFrame({"born": born, "admitted": admitted})
    rule = Difference(result="age", high="admitted", low="born", unit="years", rounding="down")
    table["age"] = rule.compute(table).astype(int)
    fitted = Synthesizer(schema=Schema(constraints=(rule,)), conditions=True, **{**FIT, "max_steps": 20}).fit(table)
    inside = table["born"].between(*table["born"].quantile([0.1, 0.9])) & table["admitted"].between(
        *table["admitted"].quantile([0.1, 0.9])
    )
    unknown = table[inside].copy()
    unknown[hidden] = np.datetime64("NaT")
    filled = fitted.impute(unknown, random_state=0)
    assert rule.holds(filled).all()
    assert filled[hidden].nunique().min() > 50  # drawn among the dates of that age


def test_cells_that_must_be_missing_stay_missing() -> None:
    rng = np.random.default_rng(0)
    alive, age = rng.random(400) < 0.7, rng.integers(20, 90, 400)
    died = pd.Series(age + rng.integers(0, 20, 400)).where(~alive).astype("Int64")
    table = pd.DataFrame({"alive": alive, "age": age, "died_at": died})
    rules = (
        ImpliesMissing(condition={"column": "alive", "in": [True]}, columns=["died_at"]),
        RequiredIf(condition={"column": "alive", "in": [False]}, columns=["died_at"]),
    )
    fitted = Synthesizer(schema=Schema(constraints=rules), conditions=True, **{**FIT, "max_steps": 20}).fit(table)
    filled = fitted.impute(table.assign(died_at=pd.array([pd.NA] * 400, "Int64")), random_state=0)
    assert (filled["died_at"].isna() == filled["alive"]).all()


def test_a_table_of_conditions_keeps_its_rows(synthesizer: Synthesizer, stays: pd.DataFrame) -> None:
    given = stays[["department", "admitted", "nights"]].head(60)
    rows = synthesizer.sample(given=given, random_state=0)
    refuse_broken(rows, stays, {"difference", "inequality", "fixed_combinations", "sum"})
    pd.testing.assert_frame_equal(rows[list(given)], given)


@pytest.mark.slow
def test_predictions_of_a_distance_are_of_its_column(synthesizer: Synthesizer, stays: pd.DataFrame) -> None:
    probabilities = synthesizer.predict_proba(stays.head(40), target="ward")
    assert probabilities.shape == (40, 8)
    for name in ("systolic", "highest_pulse"):
        predicted = synthesizer.predict(stays.drop(columns=name), target=name)
        assert np.corrcoef(predicted, stays[name])[0, 1] > 0.5
    bill = synthesizer.predict(stays.drop(columns="bill"), target="bill")
    np.testing.assert_allclose(bill, stays["bill"], atol=0.01)
