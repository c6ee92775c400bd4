"""Rules that imputation takes from a table: equal columns, orders, and values that follow from others."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae.estimators import VAEImputer
from synthvae.schema import Schema
from synthvae.synthesizer.determined import with_determined

ROWS = 400


def rules_of(frame: pd.DataFrame) -> list[str]:
    """The rules that are found, in words."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return [str(rule) for rule in with_determined(Schema.infer(frame), table).constraints]


def numbers(rng: np.random.Generator) -> pd.Series:
    """Numbers of which most occur several times."""
    return pd.Series(rng.integers(0, 40, ROWS).astype(float))


@pytest.fixture
def measured() -> pd.DataFrame:
    """A score, the same score as calibrated, which has values where the first is missing, and an upper end."""
    rng = np.random.default_rng(0)
    score = numbers(rng)
    calibrated = score.where(rng.random(ROWS) < 0.7, score + rng.random(ROWS))
    return pd.DataFrame(
        {
            "score": score.where(calibrated == score),
            "calibrated": calibrated,
            "highest": calibrated + rng.integers(0, 30, ROWS),
            "other": rng.normal(size=ROWS),
        }
    )


def test_columns_that_are_equal_where_both_are_present_limit_each_other(measured: pd.DataFrame) -> None:
    found = rules_of(measured)
    assert {"score <= calibrated", "calibrated <= score"} <= set(found)
    assert not any("other" in rule for rule in found)


@pytest.mark.parametrize("change", ["one row differs", "few rows have both", "constant"])
def test_columns_are_not_equal_by_chance(measured: pd.DataFrame, change: str) -> None:
    table = measured[["score", "calibrated"]].copy()
    if change == "one row differs":
        table["calibrated"] += np.arange(ROWS) == np.flatnonzero(table["score"].notna())[0]
    elif change == "few rows have both":
        table.loc[table["score"].dropna().index[19:], "score"] = np.nan
    else:
        table = table.assign(score=1.0, calibrated=1.0)
    assert "calibrated <= score" not in rules_of(table)


def test_equal_dates_are_found() -> None:
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 300, ROWS), unit="D")
    frame = pd.DataFrame({"seen": days, "written": days, "other": days[::-1]})
    frame.loc[::3, "seen"] = pd.NaT
    assert {"seen <= written", "written <= seen"} <= set(rules_of(frame))


def test_a_value_that_another_column_repeats_is_imputed_exactly(measured: pd.DataFrame) -> None:
    """Hidden scores are those of the other column, and each imputed number keeps the order."""
    holed = measured.copy()
    hidden = np.flatnonzero(measured["score"].notna())[::4]
    holed.loc[hidden, "score"] = np.nan
    lower = np.setdiff1d(np.arange(0, ROWS, 5), hidden)
    holed.loc[lower, "calibrated"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rules that the imputer found are none of the user's
        filled = VAEImputer(max_steps=30, random_state=0).fit_transform(holed)
    pd.testing.assert_series_equal(filled.loc[hidden, "score"], measured.loc[hidden, "score"])
    known = np.intersect1d(lower, np.flatnonzero(measured["score"].notna()))
    pd.testing.assert_series_equal(filled.loc[known, "calibrated"], measured.loc[known, "calibrated"])
    assert (filled["calibrated"] <= filled["highest"]).all()
