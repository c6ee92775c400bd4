"""A draft for a private fit copies nobody: what few rows have is left out, extremes are rounded, and it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from synthvae import Column, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import PrivacyError
from synthvae.schema.drafts import MIN_ROWS, Draft, drafted
from synthvae.tables import convert

law = settings(deadline=None, max_examples=60)
BUDGET = {"epsilon": 3.0, "delta": 1e-6}


def draft(frame: pd.DataFrame) -> Draft:
    table = convert.read(frame)
    return drafted(Schema.infer(table), table)


def people(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "diagnosis": rng.choice(["flu", "cold"], rows),
            "code": rng.choice([f"{i}" for i in range(60)], rows),
            "age": rng.integers(20, 80, rows),
            "income": rng.normal(4000, 900, rows).round(2),
            "seen": pd.Timestamp("2021-03-04") + pd.to_timedelta(rng.integers(0, 300, rows), "D"),
            "ill": rng.choice([0, 1], rows),
        }
    )
    frame.loc[7, "diagnosis"] = "kuru"
    frame.loc[7, "age"] = 103
    frame.loc[7, "income"] = 98765.43
    frame.loc[:19, "code"] = "N"
    frame.loc[20:22, "code"] = "refused"
    return frame


def test_what_one_person_has_is_not_written_down() -> None:
    found = draft(people())
    text = found.to_yaml()
    assert all(said not in text for said in ("kuru", "103", "98765", "refused", "2021-03"))
    schema = found.schema
    assert (schema["diagnosis"].categories, schema["diagnosis"].other_category) == (
        ("cold", "flu", "(other)"),
        "(other)",
    )
    assert schema["code"].sentinels == ("N",)
    assert schema["code"].nullable
    assert schema["age"].bounds == (20, 110)
    assert schema["income"].bounds is not None
    assert schema["income"].bounds[1] == 99000.0
    assert [str(bound) for bound in schema["seen"].bounds or ()] == ["2021-01-01 00:00:00", "2021-12-31 23:59:59"]
    assert found.left_out == {"diagnosis": 1, "code": 1}


def test_what_was_taken_from_the_data_has_a_comment() -> None:
    lines = draft(people()).to_yaml().splitlines()
    assert lines[0].startswith("# Drafted from the data.")
    assert "# categories: values that at least 10 rows of the data have; 1 rarer ones are left out" in lines
    assert lines[lines.index("- name: age") - 1] == "# bounds: those of the data, rounded outwards"
    assert "origin: drafted from data" in lines
    assert "inferred: true" in lines


@law
@given(counts=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 2 * MIN_ROWS), min_size=1, max_size=6))
def test_categories_have_enough_rows_and_the_others_are_counted(counts: dict[str, int]) -> None:
    values = pd.Series([value for value, count in counts.items() for _ in range(count)], dtype="category")
    found = draft(pd.DataFrame({"x": values}))
    column = found.schema["x"]
    kept = [value for value in column.categories or () if value != column.other_category]
    assert set(kept) == {value for value, count in counts.items() if count >= MIN_ROWS}
    assert found.left_out.get("x", 0) == len(counts) - len(kept)
    assert bool(found.left_out) == (column.other_category is not None)


NUMBER = st.floats(-1e12, 1e12).map(lambda number: round(number, 3)) | st.integers(-(10**9), 10**9).map(float)


@law
@given(st.lists(NUMBER, min_size=1, max_size=9))
def test_bounds_hold_all_numbers_and_have_two_digits(numbers: list[float]) -> None:
    column = draft(pd.DataFrame({"x": np.repeat(numbers, 2)})).schema["x"]
    assert column.bounds is not None
    low, high = column.bounds
    assert low <= min(numbers) and max(numbers) <= high  # type: ignore[operator] # noqa: PT018
    for bound in (low, high):
        digits = f"{abs(float(bound)):.12e}".split("e")[0].replace(".", "").rstrip("0")  # type: ignore[arg-type]
        assert len(digits) <= 2


def test_a_reviewed_draft_is_one_for_ever_and_says_so_loudly(tmp_path: Path) -> None:
    frame = people().drop(columns=["seen", "code"])
    text = draft(frame).to_yaml()
    with pytest.raises(PrivacyError, match="got an inferred one"):
        Synthesizer(schema=Schema.from_yaml(text), privacy=BUDGET).fit(frame)
    path = tmp_path / "schema.yaml"
    path.write_text(text.replace("inferred: true\n", ""))
    reviewed = Schema.from_yaml(path)
    assert reviewed.origin == "reviewed draft"
    assert Schema.from_yaml(reviewed.to_yaml()).origin == "reviewed draft"
    with pytest.warns(UserWarning, match="DRAFTED FROM THE DATA"):
        fitted = Synthesizer(schema=path, privacy=BUDGET, strategy="tables", max_steps=2, width=8).fit(frame)
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    assert again.schema_.origin == "reviewed draft"
    assert "drafted from the data, then reviewed: its values are not covered" in again.card()


def test_a_declared_schema_is_none() -> None:
    declared = Schema(columns=[Column(name="x", kind="continuous", bounds=(0.0, 1.0))])
    assert declared.origin == "declared"
    assert "origin" not in declared.to_yaml()


@pytest.mark.parametrize(
    ("page", "origin", "inferred"),
    [
        ({"inferred": True}, "drafted from data", True),
        ({"origin": "drafted from data"}, "reviewed draft", False),
        ({"origin": "drafted from data", "inferred": True}, "drafted from data", True),
        ({"origin": "reviewed draft", "inferred": True}, "reviewed draft", False),
        ({"origin": "reviewed draft"}, "reviewed draft", False),
        ({}, "declared", False),
    ],
)
def test_either_mark_says_that_a_draft_was_reviewed(page: dict[str, Any], origin: str, *, inferred: bool) -> None:
    schema = Schema(columns=[Column(name="x", kind="boolean")], **page)
    assert (schema.origin, schema.inferred) == (origin, inferred)


def test_the_shell_writes_the_draft_and_warns_of_it(tmp_path: Path) -> None:
    frame = people().drop(columns=["seen", "code"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    schema, run = tmp_path / "schema.yaml", CliRunner().invoke
    assert run(app, ["schema", str(tmp_path / "t.csv"), "--declare", "-o", str(schema)]).exit_code == 0
    schema.write_text(schema.read_text().replace("inferred: true\n", ""))
    budget = ["--epsilon", "3", "--delta", "1e-6", "--schema", str(schema)]
    config = tmp_path / "c.yaml"
    config.write_text("max_steps: 2\nstrategy: tables\nwidth: 8\n")
    made = run(app, ["fit", str(tmp_path / "t.csv"), *budget, "--config", str(config), "-o", str(tmp_path / "m")])
    assert made.exit_code == 0, made.output
    assert made.stderr.count("THE SCHEMA WAS DRAFTED FROM THE DATA") == 1
    assert "reviewed draft" in made.stdout
