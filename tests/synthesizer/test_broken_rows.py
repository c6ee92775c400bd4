"""A fit that repairs rows which break rules: in memory, on disk, under a budget, in the shell and in a recipe."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError, PrivacyError, TableError
from synthvae.schema import Difference, Inequality, Sum, Unique
from synthvae.tables import sampling, streaming

QUICK: dict[str, Any] = {"max_steps": 5, "width": 16, "latent_dim": 2, "random_state": 0, "device": "cpu"}
RULES = (
    Inequality(columns=["admitted", "discharged"]),
    Difference(result="nights", high="discharged", low="admitted", unit="days"),
    Sum(total="bill", parts=["care", "drugs"]),
)
BOUNDED = (Column(name="age", kind="integer", bounds=(0, 110)),)
DONE = (
    r"10 of 600 rows broke rules of the schema and were repaired, of which 4 were left out: `0 <= age <= 110` in 1 "
    r"\(1 emptied\); `admitted <= discharged` in 4 \(4 left out\); .*`bill = care \+ drugs` in 5 \(5 computed anew\)"
)


def stays(rows: int = 600) -> pd.DataFrame:
    """Stays that keep all rules."""
    rng = np.random.default_rng(0)
    admitted = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D")
    nights = rng.geometric(0.2, rows)
    care, drugs = rng.gamma(2, 90, (2, rows)).round(2)
    frame = {"ward": rng.choice(["a", "b"], rows), "age": rng.integers(20, 99, rows), "admitted": admitted}
    frame |= {"discharged": admitted + pd.to_timedelta(nights, "D"), "nights": nights, "care": care, "drugs": drugs}
    return pd.DataFrame(frame).assign(bill=lambda f: (f["care"] + f["drugs"]).round(2))


def damaged(frame: pd.DataFrame) -> pd.DataFrame:
    found = frame.copy()
    found.loc[[3, 77, 210, 599], "discharged"] = pd.Timestamp("2019-01-01")
    found.loc[[5, 78, 211, 311, 598], "bill"] += 9.5
    found.loc[100, "age"] = 999
    return found


def mended(frame: pd.DataFrame) -> pd.DataFrame:
    """What a repair makes of the damaged stays: the columns of dates are complete, and stay so."""
    found = frame.astype({"age": float})
    found.loc[100, "age"] = None
    return found.drop([3, 77, 210, 599])


def schema() -> Schema:
    return Schema(columns=BOUNDED, constraints=RULES)


@pytest.mark.filterwarnings("ignore:training reached")
def test_a_fit_learns_from_the_repaired_rows() -> None:
    table = damaged(stays())
    given = table.copy()
    with pytest.warns(UserWarning, match=DONE) as caught:
        repaired = Synthesizer(schema=schema(), broken_rows="repair", **QUICK).fit(table)
    assert sum("were repaired" in str(one.message) for one in caught) == 1
    pd.testing.assert_frame_equal(table, given)
    other = Synthesizer(schema=schema(), **QUICK).fit(mended(stays()))
    assert repaired.learned_.provenance.rows == 596
    assert repaired.schema_.model_dump(exclude={"columns"}) == other.schema_.model_dump(exclude={"columns"})
    pd.testing.assert_frame_equal(
        repaired.sample(200), other.sample(200), check_dtype=False
    )  # the ages of `table` are whole numbers, which are Int64 beside missing ones


def test_a_table_without_broken_rows_needs_no_repair() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        repaired = Synthesizer(schema=schema(), broken_rows="repair", **QUICK).fit(stays())
    assert not [one for one in caught if "were repaired" in str(one.message)]
    pd.testing.assert_frame_equal(repaired.sample(99), Synthesizer(schema=schema(), **QUICK).fit(stays()).sample(99))


def test_the_refusal_names_the_repair() -> None:
    table = damaged(stays()).drop(index=100)
    with pytest.raises(TableError, match=r'Pass broken_rows="repair" to repair such rows'):
        Synthesizer(schema=Schema(constraints=RULES), **QUICK).fit(table)
    with pytest.raises(ConfigurationError, match=r'`broken_rows` must be "refuse" or "repair", got True'):
        Synthesizer(broken_rows=True, **QUICK).fit(table)  # type: ignore[arg-type]
    none_left = Inequality(columns=["discharged", "admitted"])
    with pytest.raises(TableError, match=r"2 rows after their repair, got 0: 600 of 600 rows broke"):
        Synthesizer(schema=Schema(constraints=[none_left]), broken_rows="repair", **QUICK).fit(stays())


def test_weights_go_with_their_rows() -> None:
    table = damaged(stays()).assign(weight=np.where(np.arange(600) % 3, 1.0, 5.0))
    options = {"schema": schema(), "weights": "weight", **QUICK}
    with pytest.warns(UserWarning, match=DONE):
        repaired = Synthesizer(broken_rows="repair", **options).fit(table)
    other = Synthesizer(**options).fit(mended(stays().assign(weight=table["weight"])))
    pd.testing.assert_frame_equal(repaired.sample(99), other.sample(99), check_dtype=False)


@pytest.mark.parametrize("weights", [None, "weight"])
def test_a_table_on_disk_is_repaired_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str | None
) -> None:
    monkeypatch.setattr(streaming, "LARGE", 1)
    monkeypatch.setattr(streaming, "BATCH_ROWS", 64)
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 100)
    table = damaged(stays()).assign(key=range(600))
    table.loc[[40, 598], "key"] = 1
    if weights is not None:
        table = table.assign(**{weights: 1.0 + np.arange(600) % 3})
    table.to_parquet(tmp_path / "stays.parquet", row_group_size=64)
    given = Schema(columns=BOUNDED, constraints=[*RULES, Unique(columns=["key"])])
    journal = tmp_path / "journal"
    options = {"schema": given, "broken_rows": "repair", "journal": journal, "weights": weights, **QUICK}
    with pytest.warns(
        UserWarning, match=r"11 of 600 rows .* 6 were left out.*`distinct rows of key` in 2 \(2 left out\)"
    ):
        first = Synthesizer(**options).fit(tmp_path / "stays.parquet")
    assert first.learned_.provenance.rows == 594
    with pytest.warns(UserWarning, match="11 of 600 rows"):  # also if the journal has the codes
        second = Synthesizer(**options).fit(tmp_path / "stays.parquet")
    pd.testing.assert_frame_equal(first.sample(99), second.sample(99))


def private_schema(*rules: Any) -> Schema:
    columns = [Column(name=name, kind="integer", bounds=(0, 9), nullable=False) for name in ("low", "high")]
    columns += [Column(name="total", kind="integer", bounds=(0, 12), nullable=False)]
    return Schema(columns=columns, constraints=[Sum(total="total", parts=["low", "high"]), *rules])


def private_rows(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(0, 9, (rows, 3)), columns=["low", "high", "total"])


def test_a_private_fit_repairs_rows_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure of the rows is told: not how many there are, and not how many are left."""
    from synthvae.privacy import fit as private_fit

    learned: list[Any] = []
    with_bins = private_fit._with_bins

    def remembering(prepared: Any, *rest: Any, **options: Any) -> Schema:
        learned.append(prepared)
        return with_bins(prepared, *rest, **options)

    monkeypatch.setattr(private_fit, "_with_bins", remembering)
    table = private_rows(500, 0).assign(person=np.repeat(np.arange(250), 2))
    budget = PrivacyBudget(epsilon=3.0, delta=1e-4, unit="person", rows_per_unit=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = {**QUICK, "max_steps": 2}
        rule = Inequality(columns=["low", "high"])
        private = Synthesizer(schema=private_schema(rule), privacy=budget, broken_rows="repair", **options).fit(table)
    assert not [one for one in caught if "broke" in str(one.message) or "rows" in str(one.message)]
    rows = learned[0].table.to_pandas()
    expected = table[(table["low"] <= table["high"]) & (table["low"] + table["high"] <= 12)]
    assert rows["total"].tolist() == (expected["low"] + expected["high"]).tolist()
    assert len(learned[0].units) == len(rows)
    drawn = private.sample(200)
    assert (drawn["low"] + drawn["high"] == drawn["total"]).all()
    assert private.ledger_ is not None


def test_a_private_fit_repairs_no_rules_that_compare_rows() -> None:
    given = private_schema(Unique(columns=["low"]))
    budget = PrivacyBudget(epsilon=1.0, delta=1e-4)
    with pytest.raises(PrivacyError, match=r'must be "refuse" for a private fit.*`distinct rows of low`'):
        Synthesizer(schema=given, privacy=budget, broken_rows="repair", **QUICK).fit(private_rows(99, 0))


def test_the_shell_repairs_rows(tmp_path: Path) -> None:
    damaged(stays()).to_csv(tmp_path / "stays.csv", index=False)
    schema().to_yaml(tmp_path / "schema.yaml")
    (tmp_path / "config.yaml").write_text("max_steps: 3\nwidth: 16\n")
    base = ["fit", str(tmp_path / "stays.csv"), "--schema", str(tmp_path / "schema.yaml")]
    base += ["--config", str(tmp_path / "config.yaml"), "-o", str(tmp_path / "model")]
    shell = CliRunner()
    (tmp_path / "rules.yaml").write_text(Schema(constraints=RULES).to_yaml())
    refused = shell.invoke(app, [*base, "--schema", str(tmp_path / "rules.yaml")])
    assert refused.exit_code == 1
    assert "Pass `--broken-rows repair` to repair such rows" in refused.stderr
    done = shell.invoke(app, [*base, "--broken-rows", "repair"])
    assert done.exit_code == 0, done.stderr
    assert "10 of 600 rows broke rules of the schema and were repaired" in done.stderr
    wrong = shell.invoke(app, [*base, "--broken-rows", "drop", "--overwrite"])
    assert wrong.exit_code == 1
    assert '`--broken-rows` must be "refuse" or "repair", got' in wrong.stderr
    database = tmp_path / "database.yaml"
    database.write_text("tables: {stays: stays.csv}\n")
    linked = shell.invoke(app, ["fit", str(database), "--broken-rows", "repair", "-o", str(tmp_path / "other")])
    assert linked.exit_code == 1
    assert "must not be given: --broken-rows" in linked.stderr


def test_a_recipe_repairs_rows(tmp_path: Path) -> None:
    damaged(stays()).to_csv(tmp_path / "stays.csv", index=False)
    schema().to_yaml(tmp_path / "schema.yaml")
    recipe: dict[str, Any] = {"input": "stays.csv", "schema": "schema.yaml"}
    recipe |= {"model": {"max_steps": 3, "width": 16, "broken_rows": "repair"}, "generation": {"rows": 50}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(recipe))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "study.yaml"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert "10 of 600 rows broke rules" in done.stderr
    saved = tmp_path / "out" / "model" / "synthvae.json"
    model = json.loads(saved.read_text(encoding="utf-8"))
    assert model["parameters"]["broken_rows"] == "repair"
    assert Synthesizer.load(saved.parent).learned_.provenance.rows == 596
