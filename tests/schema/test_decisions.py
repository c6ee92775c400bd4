"""A schema may name some columns only; all columns that need a decision are named in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from synthvae import Column, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError
from synthvae.schema.decisions import Decisions, complete, draft
from synthvae.schema.drafts import explained
from synthvae.tables import convert


def visits(rows: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case": [f"c-{i * 7919 % 99991}" for i in range(rows)],
            "free text": [f"text {i} {i * 31 % 977}" for i in range(rows)],
            "code": [[1, 2, 9][i % 3] for i in range(rows)],
            "day": pd.date_range("2020", periods=rows).strftime("%Y-%m-%d"),
            "ill": [["y", "n"][i % 2] for i in range(rows)],
        }
    )


PARTIAL = Schema(columns=[Column(name="case", kind="id")], drop=["free text"])


def test_columns_that_a_schema_does_not_name_are_inferred() -> None:
    table = convert.read(visits().drop(columns="free text"))
    full = complete(PARTIAL, table)
    assert [c.kind for c in full.columns] == ["id", "integer", "date", "categorical"]
    assert (full.inferred, full.declared, full.drop) == (True, ("case",), ("free text",))
    assert complete(full, table) is full


def test_a_partial_schema_is_fitted_and_keeps_its_drops() -> None:
    fitted = Synthesizer(schema=PARTIAL, max_steps=2, random_state=0).fit(visits())
    sample = fitted.sample(5)
    assert list(sample) == ["case", "code", "day", "ill"]
    assert not set(sample["case"]) & set(visits()["case"])
    assert fitted.log_likelihood(visits()).shape == (60,)


def test_a_partial_schema_is_refused_under_a_budget() -> None:
    budget = {"epsilon": 1.0, "delta": 1e-5}
    with pytest.raises(PrivacyError, match=r"\['code', 'day', 'ill'\] are undeclared"):
        Synthesizer(schema=PARTIAL, privacy=budget, max_steps=2).fit(visits())


def test_all_undecided_columns_are_named_at_once_with_flags() -> None:
    table = convert.read(visits()).append_column("nested", pa.array([[1]] * 60))
    with pytest.raises(TableError) as refused:
        Synthesizer(max_steps=2).fit(table)
    message = str(refused.value)
    assert message.startswith("3 columns need a decision.")
    flags = ["--id case", "--drop case", "--categorical case", "--id 'free text'", "--drop nested"]
    assert all(f"`{flag}`" in message for flag in flags)


def test_all_columns_that_violate_a_schema_are_named_at_once() -> None:
    schema = Schema(columns=[Column(name="a", kind="integer", bounds=(0, 1)), Column(name="b", kind="integer")])
    with pytest.raises(TableError, match=r"2 columns need a decision.*'a'.*bounds.*'b'.*whole"):
        schema.check(pa.table({"a": [5], "b": [0.5]}))
    with pytest.raises(
        TableError, match=r"got none named \['b'\].*got \['B'\]|got none named \['b'\]. Did you mean 'B'"
    ):
        schema.check(pa.table({"a": [5], "B": [0.5]}))


def test_an_id_of_a_draft_is_one_of_a_fit() -> None:
    frame = visits()
    drafted = draft(None, convert.read(frame))
    assert drafted["case"].kind == drafted["free text"].kind == "id"
    sample = Synthesizer(schema=Schema.from_yaml(drafted.to_yaml()), max_steps=2, random_state=0).fit(frame).sample(9)
    assert not sample["case"].isin(frame["case"]).any()
    assert not sample["free text"].isin(frame["free text"]).any()


def test_a_draft_says_why_and_from_how_many_values() -> None:
    frame = visits()
    frame.loc[3, "ill"] = None
    table = convert.read(frame)
    text = explained(draft(None, table), table, len(frame)).to_yaml()
    assert "# Inferred from 60 rows." in text
    assert "# categorical: 2 distinct texts in 59 values. 1 value is missing.\n- name: ill" in text
    assert "# integer: 60 whole numbers of type int64.\n- name: code" in text
    assert "# id: 60 distinct texts in 60 values: new ids are generated." in text
    assert Schema.from_yaml(text) == draft(None, table)


@pytest.mark.parametrize("name", ["a\nb", "#", "\x85", "\u2028", "\x1b", "\ufeffx"])
def test_comments_do_not_break_yaml(name: str) -> None:
    table = pa.table({name: ["x", "y"] * 9, "n": [f"{name}{i}" for i in range(18)]})
    assert Schema.from_yaml(explained(draft(None, table), table, 18).to_yaml()).names == [name, "n"]


def test_decisions_take_precedence_over_a_schema() -> None:
    names = visits().columns.tolist()
    given = Schema(columns=[Column(name="code", kind="integer"), Column(name="ill", kind="categorical")])
    made = Decisions(ids=["case"], categorical=["code"], drop=["free text", "ill"], dates=["day"])
    schema = made.apply(given, names, convert.read(visits()))
    assert schema is not None
    assert {c.name: c.kind for c in schema.columns} == {"case": "id", "code": "categorical", "day": "date"}
    assert schema.drop == ("free text", "ill")
    assert Decisions().apply(given, names) is given
    dropped = Decisions(drop=["ill"]).apply(None, names)
    assert dropped is not None
    assert Schema.from_yaml(dropped.to_yaml()) == dropped


def test_a_date_with_times_is_a_datetime() -> None:
    table = pa.table({"seen": ["2020-01-01 10:00:00", "2020-01-02 11:30:00"]})
    found = Decisions(dates=["seen"]).apply(None, ["seen"], table)
    assert found is not None
    assert found["seen"].kind == "datetime"


def test_wrong_decisions_are_refused() -> None:
    with pytest.raises(TableError, match=r"\['Case', 'x'\]. Did you mean 'case'"):
        Decisions(ids=["Case"], drop=["x"]).apply(None, ["case", "day"])
    with pytest.raises(ConfigurationError, match="'case' in '--id case' and '--drop case'"):
        Decisions(ids=["case"], drop=["case"]).apply(None, ["case", "day"])
    with pytest.raises(ConfigurationError, match="'day' in '--date day=%d%m%Y' and '--date day=%m%d%Y'"):
        Decisions(dates=["day=%d%m%Y", "day=%m%d%Y"]).apply(None, ["case", "day"])
    with pytest.raises(SchemaError, match="Columns in `drop` must not be in `columns`"):
        Schema(columns=[Column(name="a", kind="id")], drop=["a"])


@pytest.mark.parametrize("option", ["ids", "categorical", "drop", "dates"])
def test_a_decision_may_be_stated_twice(option: str) -> None:
    once, twice = (Decisions(**{option: names}).apply(None, ["case", "day"]) for names in (["day"], ["day", "day"]))
    assert once == twice


def test_columns_that_a_person_removed_from_a_draft_are_inferred_again() -> None:
    table = convert.read(visits()[["case", "code", "ill"]])
    first = draft(Decisions(ids=["case"], categorical=["code"]).apply(None, table.column_names, table), table)
    edited = first.to_dict() | {"drop": ["case"], "columns": first.to_dict()["columns"][2:]}
    again = draft(Schema.from_dict(edited), table.select(["code", "ill"]))
    assert again.declared == ()
    assert again["code"].kind == "integer"
    assert explained(again, table, 1).reasons["code"].startswith("integer: ")
    assert first.declare("case", nullable=True).declare("case", nullable=False).declared == ("case", "code")


def run(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_the_shell_takes_decisions(tmp_path: Path) -> None:
    table, config, model = tmp_path / "t.csv", tmp_path / "c.yaml", tmp_path / "m"
    visits().to_csv(table, index=False)
    config.write_text("max_steps: 2\n")
    refused = run("fit", table, "-o", model, "--config", config)
    assert refused.exit_code == 1
    assert "2 columns need a decision" in refused.stderr
    flags = ["--id", "case", "--drop", "free text", "--categorical", "code", "--date", "day"]
    done = run("fit", table, "-o", model, "--config", config, *flags, "--json", "-q")
    assert done.exit_code == 0, done.output
    assert '"code": "categorical", "day": "date"' in done.stdout
    out = tmp_path / "more.csv"
    done = run("augment", table, "-o", out, "--target", "ill", "--config", config, *flags, "-q", "--strategy", "y=40")
    assert done.exit_code == 0, done.output
    assert list(pd.read_csv(out)) == ["case", "code", "day", "ill", "synthetic"]
    assert run("schema", table, "-o", tmp_path / "s.yaml", *flags).exit_code == 0
    text = (tmp_path / "s.yaml").read_text()
    assert "# categorical: as declared.\n- name: code" in text
    assert Schema.from_yaml(text).drop == ("free text",)
    assert run("evaluate", table, table, "--no-attacks", *flags, "-q").exit_code == 0
    measured = ["--schema", "private", "--epsilon", 20, "--delta", 1e-5, "--plan", 5000, "-o", tmp_path / "n"]
    assert run("fit", table, *measured, "--drop", "free text").exit_code == 0
    assert "must not be given with `--schema private`" in run("fit", table, *measured, "--id", "case").stderr


def test_keys_of_repeated_subjects_are_offered_as_the_unit() -> None:
    table = convert.read(
        pd.DataFrame({"patient_id": [f"P{i // 2 * 7}" for i in range(120)], "x": [i % 7 for i in range(120)]})
    )
    with pytest.raises(TableError, match="`--unit patient_id` keeps the rows of a subject together, `--id patient_id`"):
        complete(None, table)
    assert complete(None, table, unit="patient_id")["patient_id"].kind == "id"
