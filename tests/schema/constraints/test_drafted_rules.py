"""`synthvae schema` proposes rules as comments, declares them when asked, and shows none for a private fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hospital import RULES, stays
from typer.testing import CliRunner

from synthvae import Schema
from synthvae.cli.main import app
from synthvae.errors import TableError
from synthvae.tables import convert


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hospital") / "stays.csv"
    stays().to_csv(path, index=False)
    return path


def drafted(*words: object) -> str:
    done = CliRunner().invoke(app, ["schema", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_rules_are_proposed_as_comments(table: Path) -> None:
    text = drafted(table)
    assert Schema.from_yaml(text).constraints == ()
    assert "## length_of_stay = discharge - admission in days: in all 2,000 rows.\n# - kind: difference\n" in text
    first = text.index("# constraints:")
    live = text[:first] + re.sub("^# ?", "", text[first:], flags=re.MULTILINE)
    assert set(Schema.from_yaml(live).constraints) == RULES


def test_rules_are_declared_when_asked(table: Path) -> None:
    text = drafted(table, "--constraints")
    schema = Schema.from_yaml(text)
    assert set(schema.constraints) == RULES
    assert "# birth <= admission <= discharge: in all 2,000 rows.\n- kind: inequality\n" in text
    schema.check(convert.read(table))
    broken = stays().assign(bill=lambda frame: frame["bill"].sample(frac=1, random_state=0).to_numpy())
    with pytest.raises(TableError, match="break `bill = drugs"):
        schema.check(convert.read(broken))


def test_rules_that_some_rows_break_stay_comments(tmp_path: Path) -> None:
    frame = stays(5_000)
    frame["bill"] += frame.index == 0
    frame.to_csv(tmp_path / "stays.csv", index=False)
    text = drafted(tmp_path / "stays.csv", "--constraints")
    assert not any(rule.kind == "sum" for rule in Schema.from_yaml(text).constraints)
    assert "## bill = drugs + nursing + imaging + meals: in 99.97% of" in text


def test_no_rule_of_a_private_table_is_shown(table: Path) -> None:
    assert "constraints" not in drafted(table, "--declare")
    done = CliRunner().invoke(app, ["schema", str(table), "--declare", "--constraints"])
    assert done.exit_code == 1
    assert "reveal something about the rows" in done.stderr
