"""Survey weights: synthetic rows are drawn as from the weighted table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import PrivacyBudget, Synthesizer
from synthvae.errors import PrivacyError, RequestError, TableError
from synthvae.estimators.augment import augment
from synthvae.synthesizer import weighting
from synthvae.tables import streaming


@pytest.fixture(scope="module")
def survey() -> pd.DataFrame:
    """A table of which one group and one class are over-sampled, as in NHANES, and rows that stand for nobody."""
    rng, n = np.random.default_rng(0), 1500
    group, label = rng.choice(list("abc"), n, p=[0.6, 0.3, 0.1]), rng.choice(["no", "yes"], n, p=[0.8, 0.2])
    weights = np.where(group == "c", 9.0, 1.0) * np.where(label == "yes", 4.0, 1.0) * 1000
    table = pd.DataFrame({"group": group, "x": rng.normal(size=n) + 2 * (group == "c"), "label": label, "w": weights})
    nobody = pd.DataFrame({"group": ["zero"] * 9, "x": 99.0, "label": "no", "w": 0.0})
    return pd.concat([table, nobody], ignore_index=True)


def weighted_shares(table: pd.DataFrame, name: str) -> pd.Series:
    kept = table[table["w"] > 0]
    return kept.groupby(name)["w"].sum() / kept["w"].sum()


def check_marginals(table: pd.DataFrame, drawn: pd.DataFrame) -> None:
    """Shares and means are those of the weighted table, from which those of its rows differ by several times more."""
    assert list(drawn.columns) == ["group", "x", "label"]
    for name in ("group", "label"):
        shares = drawn[name].value_counts(normalize=True).sort_index()
        pd.testing.assert_series_equal(shares, weighted_shares(table, name), atol=0.03, check_names=False, rtol=0)
    assert abs(drawn["x"].mean() - np.average(table["x"], weights=table["w"])) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("target", [None, "label"])
def test_marginals_are_those_of_the_weighted_table(survey: pd.DataFrame, target: str | None, tmp_path: Path) -> None:
    model = Synthesizer(target=target, weights="w", max_steps=120, width=32, random_state=0).fit(survey)
    drawn = model.sample(8000)
    check_marginals(survey, drawn)
    assert list(model.feature_names_in_) == list(drawn.columns)
    assert model.learned_.describe()["weighted_by"] == "w"
    assert np.array_equal(model.transform(survey[:3]), model.transform(survey[:3].drop(columns="w")))
    model.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model").sample(50, random_state=1).equals(model.sample(50, random_state=1))


@pytest.mark.slow
def test_tables_on_disk_are_weighted_as_those_in_memory(
    survey: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey.to_parquet(tmp_path / "table.parquet")
    monkeypatch.setattr(streaming, "LARGE", 1)
    model = Synthesizer(target="label", weights="w", max_steps=120, width=32, random_state=0)
    check_marginals(survey, model.fit(tmp_path / "table.parquet").sample(8000))


def test_equal_weights_have_no_effect_on_shares(survey: pd.DataFrame) -> None:
    model = Synthesizer(target="label", weights="w", max_steps=2, random_state=0).fit(survey.assign(w=7))
    counts = survey["label"].value_counts().sort_index()
    assert model.encoding_.frequencies == pytest.approx(counts.to_numpy() / len(survey))


@pytest.mark.parametrize(("values", "message"), [
    ([1.0, -1.0, 1.0], "-1"), ([1.0, None, 1.0], "1 missing"), ([1.0, np.inf, 1.0], "inf"),
    (["a", "b", "c"], "numbers"), ([0.0, 0.0, 1.0], "at least 2 rows"),
])  # fmt: skip
def test_weights_that_cannot_be_are_refused(values: list[Any], message: str) -> None:
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "w": values})
    with pytest.raises(TableError, match=message):
        Synthesizer(weights="w", max_steps=2).fit(table)
    with pytest.raises(TableError, match=r"'v'.*Choose among \['a', 'w'\]"):
        Synthesizer(weights="v", max_steps=2).fit(table)


def test_weights_under_a_budget_and_in_augmentation_are_refused(survey: pd.DataFrame) -> None:
    private = Synthesizer(weights="w", privacy=PrivacyBudget(epsilon=1.0, delta=1e-6), schema="private")
    with pytest.raises(PrivacyError, match="large weight"):
        private.fit(survey)
    with pytest.raises(RequestError, match="real rows keep their weights"):
        augment(survey, Synthesizer(weights="w", target="label"))


def test_representatives_occur_as_often_as_they_weigh(survey: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(survey, preserve_index=False)
    drawn = weighting.represented(table, "w", 0)
    assert drawn.num_rows == 1500
    assert drawn.column_names == ["group", "x", "label"]
    shares = drawn.to_pandas()["group"].value_counts(normalize=True).sort_index()
    assert np.allclose(shares, weighted_shares(survey, "group"), atol=0.01)
    assert weighting.represented(table, None, 0) is table


@pytest.mark.parametrize(
    "dtype", ["int64", "float32", "Int64", "Float64", "object", "double[pyarrow]", "int64[pyarrow]", "decimal"]
)
def test_weights_of_every_type(dtype: Any) -> None:
    old = np.arange(400) < 200
    weights = pd.Series(np.where(old, 2000, 18_000))
    column = weights.map(Decimal) if dtype == "decimal" else weights.astype(dtype)
    table = pd.DataFrame({"old": np.where(old, "yes", "no"), "x": np.arange(400) % 50, "w": column})
    drawn = Synthesizer(weights="w", max_steps=30, random_state=0).fit(table).sample(3000)
    assert list(drawn.columns) == ["old", "x"]
    assert abs((drawn["old"] == "no").mean() - 0.9) < 0.04


def test_weights_that_are_all_zero_are_refused() -> None:
    table = pd.DataFrame({"x": range(40), "w": 0.0})
    with pytest.raises(TableError, match="'w' of `weights` must have a positive weight in some row"):
        Synthesizer(weights="w", max_steps=2).fit(table)
