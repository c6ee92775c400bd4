"""Help of commands: `-h`, groups, examples that parse, one type for one option, and messages without Python."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from synthvae.cli import help as helping
from synthvae.cli.main import app
from synthvae.cli.wording import in_shell

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_has_examples(name: str | None) -> None:
    words = [] if name is None else [name]
    short, long = (CliRunner().invoke(app, [*words, flag]) for flag in ("-h", "--help"))
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Example" in short.stdout


@pytest.mark.parametrize("line", [line for lines in helping.EXAMPLES.values() for line in lines])
def test_examples_parse(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = COMMANDS[name]
    context = command.make_context(name, words)
    assert not context.args


def test_an_option_is_the_same_in_every_command() -> None:
    taken: dict[str, set[tuple[Any, ...]]] = {}
    for command in COMMANDS.values():
        for option in command.params:
            if option.param_type_name == "option":
                long = max(option.opts, key=len)
                taken.setdefault(long, set()).add((option.metavar, option.is_flag, option.multiple))
    assert not {name: kinds for name, kinds in taken.items() if len(kinds) > 1}


def test_groups_name_options_that_exist() -> None:
    known = {option.name for command in COMMANDS.values() for option in command.params}
    assert helping.GROUP.keys() - known <= {"decisions"}


@pytest.mark.parametrize("former", [["--json", "figures.json"], ["--json=figures.json"]])
def test_the_former_spelling_of_json_file_is_an_alias(
    former: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20}).to_csv("t.csv", index=False)
    done = CliRunner().invoke(app, ["evaluate", "t.csv", *former, "t.csv", "--no-attacks"])
    assert done.exit_code == 0, done.stderr
    assert done.stderr.startswith("warning: `--json FILE` is deprecated. Use `--json-file FILE` instead.")
    done = CliRunner().invoke(app, ["evaluate", "t.csv", "--json", "t.csv", "--no-attacks"])
    assert done.stderr == ""
    assert json.loads(done.stdout)["sections"] == json.loads(Path("figures.json").read_text("utf-8"))["sections"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Pass partition=False.", "Pass no `--partition`."), ("Set `overwrite=True`.", "Set `--overwrite`."),
        ("Needs `random_state`.", "Needs `--seed`."), ("`delta` is not here", "`delta` is not here"),
        ("one of ['a', \"b'c\", ... (12 in all)], got 3", "one of 'a', \"b'c\", ... (12 in all), got 3"),
        ("keep [1, 2] and ['a'", "keep [1, 2] and ['a'"),
    ],
)  # fmt: skip
def test_messages_are_in_the_words_of_the_shell(message: str, expected: str) -> None:
    assert in_shell(message, {"partition", "overwrite", "seed"}) == expected
