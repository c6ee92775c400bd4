"""Order columns that number the rows of each parent: synthetic rows are numbered again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthvae import Schema
from synthvae.relational import Database, DatabaseSynthesizer, SequenceSynthesizer


def numbered(entities: int = 100) -> pd.DataFrame:
    """Entities of 1 to 5 visits, which are numbered from 1 on."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, entities)
    owner = np.repeat(np.arange(entities), counts)
    visit = np.concatenate([np.arange(count) + 1 for count in counts])
    return pd.DataFrame({"id": owner + 1, "visit": visit, "y": rng.normal(size=len(owner)).round(2)})


def is_numbered(rows: pd.DataFrame) -> bool:
    return bool((rows["visit"] == rows.groupby("id").cumcount() + 1).all())


def test_an_order_column_that_is_no_key_is_numbered_again() -> None:
    found = SequenceSynthesizer("id", time="visit", max_steps=10, random_state=0).fit(numbered()).sample(200)
    assert len(found) > 300
    assert is_numbered(found)


def test_rows_that_are_numbered_are_unique_in_their_numbers() -> None:
    rows = numbered().assign(y=1.0)
    tables = {"p": pd.DataFrame({"id": rows["id"].unique()}), "v": rows}
    links = [("v", "id", "p", "id")]
    keys = Database(tables=tables, primary_keys={"p": "id"}, foreign_keys=links, order={"v": "visit"})
    fitted = DatabaseSynthesizer(keys.model_copy(update={"unique": {"v": ("visit", "y")}}), max_steps=5, random_state=0)
    found = fitted.fit().sample(subjects=100)["v"]
    assert len(found) > 150
    assert is_numbered(found)


def test_a_rule_may_be_on_such_a_column() -> None:
    rows = numbered()
    rows["z"] = rows["visit"] + np.abs(rows["y"]).round()
    rule = {"kind": "inequality", "columns": ["visit", "z"]}
    schema = Schema(constraints=[rule])
    found = SequenceSynthesizer("id", time="visit", schema=schema, max_steps=20, random_state=0).fit(rows).sample(50)
    assert found.groupby("id")["visit"].is_monotonic_increasing.all()
    assert (found["visit"] <= found["z"]).all()


@pytest.mark.parametrize("first", [[2], [3], [4, 7], [0], [-5]])
@pytest.mark.parametrize("key", [{"v": ("id", "visit")}, {}])
def test_numbers_go_on_from_the_largest_given_one(first: list[int], key: dict[str, tuple[str, ...]]) -> None:
    tables = {"p": pd.DataFrame({"id": range(1, 101)}), "v": numbered()}
    primary = {"p": "id", **key}
    database = Database(
        tables=tables, primary_keys=primary, foreign_keys=[("v", "id", "p", "id")], order={"v": "visit"}
    )
    fitted = DatabaseSynthesizer(database, max_steps=5, random_state=0).fit()
    begun = pd.DataFrame({"id": np.repeat([1, 5, 9], len(first)), "visit": first * 3, "y": 0.5})
    found = fitted.sample(given={"p": tables["p"].iloc[:20], "v": begun})["v"]
    pd.testing.assert_frame_equal(found.iloc[: len(begun)], begun)
    for owner, numbers in found.groupby("id")["visit"]:
        begins = first if owner in {1, 5, 9} else []
        last = max(begins, default=0)
        later = len(numbers) - len(begins)
        assert numbers.tolist() == [*begins, *range(last + 1, last + 1 + later)]
