"""The section on logic: rules are judged in each table, the worst one comes first, and caps the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae import Schema
from synthvae.errors import SchemaError
from synthvae.evaluation import Evaluation, evaluate
from synthvae.evaluation.saved import SavedEvaluation
from synthvae.evaluation.thresholds import MOST_BROKEN
from synthvae.schema import FixedCombinations, Inequality, Sum

SUM = Sum(total="whole", parts=["left", "right"])


def rows(n: int = 600, seed: int = 0, broken: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.integers(0, 60, (n, 2)), columns=["left", "right"])
    frame["whole"] = frame["left"] + frame["right"] + (np.arange(n) < broken * n)
    frame["place"] = rng.choice(["a", "b", "c"], n)
    frame["region"] = frame["place"].map({"a": "north", "b": "south", "c": "south"})
    return frame


def measured(synthetic: pd.DataFrame, **options: Any) -> Evaluation:
    return evaluate(rows(), synthetic, attacks=False, **options)


def shares(found: Evaluation) -> dict[str, tuple[float, float]]:
    listed = found["logic"].details["rules"]
    return {row["rule"]: (row["real"], row["synthetic"]) for row in listed.to_dict("records")}


def test_rules_are_found_and_judged_without_a_schema() -> None:
    found = measured(rows(seed=1, broken=0.1))
    assert shares(found) == {str(SUM): (1.0, 0.9), "fixed combinations of place, region": (1.0, 1.0)}
    assert found["logic"].details["rules"]["rule"][0] == str(SUM)  # worst first
    assert found.figures["rules"].value == 0.9
    assert found.figures["rules"].real == 1.0
    assert found.figures["worst_rule"].value == 0.9
    assert f"The rule `{SUM}` holds in 90.0% of the synthetic rows" in str(found)


def test_combinations_are_those_of_the_real_rows() -> None:
    synthetic = rows(seed=1)
    synthetic["region"] = synthetic["region"].sample(frac=1, random_state=0).to_numpy()
    pairs = set(rows()[["place", "region"]].itertuples(index=False, name=None))
    kept = float(np.mean([pair in pairs for pair in synthetic[["place", "region"]].itertuples(index=False, name=None)]))
    assert shares(measured(synthetic))["fixed combinations of place, region"] == (1.0, kept)


def test_declared_rules_are_judged_too() -> None:
    schema = Schema(constraints=[Inequality(columns=["left", "right"]), FixedCombinations(columns=["place", "region"])])
    found = measured(rows(seed=1), schema=schema)
    share = (rows(seed=1)["left"] <= rows(seed=1)["right"]).mean()
    assert shares(found)["left <= right"] == ((rows()["left"] <= rows()["right"]).mean(), share)
    origins = dict(zip(found["logic"].details["rules"]["rule"], found["logic"].details["rules"]["origin"], strict=True))
    assert origins == {
        "left <= right": "declared",
        "fixed combinations of place, region": "declared",
        str(SUM): "found",
    }
    assert found.figures["rules"].value == share  # a declared rule counts, even if real rows break it
    assert found.figures["worst_rule"].value == 1.0  # real rows break it


def test_a_holdout_is_the_reference() -> None:
    found = measured(rows(seed=1), holdout=rows(300, seed=2, broken=0.5))
    assert shares(found)[str(SUM)] == (0.5, 1.0)


@pytest.mark.parametrize(("broken", "grade"), [(0.0, "good"), (MOST_BROKEN / 2, "good"), (0.1, "fair")])
def test_a_rule_that_is_often_broken_caps_the_verdict(broken: float, grade: str) -> None:
    found = evaluate(rows(3_000), rows(3_000, seed=1, broken=broken), attacks=False).verdict.use
    assert found.grade == grade
    assert any("the one broken most often holds in" in reason for reason in found.reasons)


def test_other_tables_keep_their_types(tmp_path: Path) -> None:
    rows(seed=1, broken=0.1).astype(str).to_csv(tmp_path / "synthetic.csv", index=False)
    assert shares(measured(pd.read_csv(tmp_path / "synthetic.csv")))[str(SUM)] == (1.0, 0.9)
    assert shares(measured(rows(seed=1, broken=0.1).astype(str)))[str(SUM)] == (1.0, 0.9)
    assert shares(measured(rows(seed=1, broken=0.1).astype({"whole": float})))[str(SUM)] == (1.0, 0.9)


def test_a_table_that_lacks_a_column_is_judged_by_the_other_rules() -> None:
    found = measured(rows(seed=1).drop(columns="right"))
    assert set(shares(found)) == {"fixed combinations of place, region"}
    assert any("was not judged" in note for note in found["logic"].notes)


def test_values_of_another_type_cannot_be_judged() -> None:
    found = measured(rows(seed=1).assign(whole="none"))
    first = found["logic"].details["rules"].set_index("rule").loc[str(SUM)]
    assert first["judged"] == 0
    assert np.isnan(first["synthetic"])
    assert found.figures["worst_rule"].value == 1.0  # of the other rule
    assert found.to_dict()["sections"]["logic"]["details"]["rules"][0]["real"] == 1.0


def test_a_table_without_rules_has_no_such_section() -> None:
    frame = rows()[["left", "right"]]
    assert "logic" not in evaluate(frame, frame, attacks=False)


def test_a_rule_on_an_unknown_column_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"got \['lefd'\]. Did you mean 'left'"):
        measured(rows(), schema=Schema(constraints=[Inequality(columns=["lefd", "right"])]))


def test_files_have_the_rules(tmp_path: Path) -> None:
    found = measured(rows(seed=1, broken=0.1))
    found.to_json(tmp_path / "found.json")
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["sections"]["logic"]["details"]["rules"][0]["rule"] == str(SUM)
    assert SavedEvaluation.from_dict(document).figures["worst_rule"].value == 0.9
    found.to_html(tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text()
    assert "Logic: do the synthetic rows keep the rules" in page
    assert str(SUM) in page
