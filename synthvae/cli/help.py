"""The help of commands: groups of options, words for what options take, and examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.models import OptionInfo

from synthvae.cli.json_option import JsonFileCommand
from synthvae.cli.plain_flags import PlainCommand
from synthvae.cli.reading_flags import FLAGS as READING
from synthvae.cli.schema_options import FLAGS as COLUMNS

HELP = {"help_option_names": ["-h", "--help"]}
USE, CHECK = "From a table to synthetic rows", "Checks and descriptions"
GROUPS = {
    "Columns": (
        *COLUMNS,
        "schema_file",
        "private",
        "constraints",
        "decisions",
        "broken_rows",
        "weights",
        "duration",
        "event",
    ),
    "Privacy": ("epsilon", "delta", "unit", "rows_per_unit", "protect", "plan"),
    "Files of the table": (*READING,),
    "Rows to generate": (
        "rows",
        "rows_per_class",
        "classes",
        "given",
        "given_file",
        "subjects",
        "scale",
        "copies",
        "strategy",
        "synthetic_only",
    ),
    "What is measured": ("group", "attacks"),
    "Limits": ("fail_under", "fail_over"),
    "How much it costs": ("effort", "estimate"),
    "Where it runs": ("ray", "num_workers", "workers", "resume", "log_dir"),
    "Output": ("describe", "as_json", "json_file", "quiet", "debug"),
}
GROUP = {name: group for group, names in GROUPS.items() for name in names}
NAMES = {"target", "unit", "weights", "group", "duration", "event", "mark"}  # options that take the name of a column
TAKES: Mapping[type, str] = {bool: "", int: "N", float: "X", str: "TEXT", Path: "PATH"}
SEEDED = "synthvae fit patients.csv --target diagnosis --seed 0 -o model"
EXAMPLES = {
    "demo": ["synthvae demo", "synthvae demo -o folder"],
    "schema": ["synthvae schema patients.csv -o schema.yaml", "synthvae schema patients.csv --declare -o schema.yaml"],
    "fit": [
        SEEDED,
        "synthvae fit patients.csv --duration days --event died -o model",
        "synthvae fit patients.csv --schema schema.yaml --id patient --drop note -o model",
        "synthvae fit patients.csv --schema schema.yaml --epsilon 1 --delta 1e-6 -o model",
        "synthvae fit database.yaml -o model",
    ],
    "generate": [
        "synthvae generate model --rows 1000 -o synthetic",
        "synthvae generate model --class ill=500 --class healthy=500 -o synthetic.csv",
        "synthvae generate model --rows 1000 --describe -o dataset",
        "synthvae generate model --rows 1000 --copies 10 -o synthetic",
        "synthvae generate model --rows 100 --given sex=f --given age=60.. -o synthetic",
        "synthvae generate model-of-a-database --subjects 1000 -o synthetic",
    ],
    "augment": ["synthvae augment patients.csv --target diagnosis -o augmented.csv"],
    "impute": ["synthvae impute patients.csv model -o complete.csv"],
    "evaluate": [
        "synthvae evaluate patients.csv synthetic --holdout holdout.csv --target diagnosis -o report.html",
        "synthvae evaluate patients.csv synthetic --fail-under trend=0.9 --json",
    ],
    "info": ["synthvae info model", "synthvae info model other-model", "synthvae info model --card"],
    "audit": ["synthvae audit model"],
    "run": ["synthvae run study.yaml", "synthvae run study.yaml --dry-run"],
}
KINDS = {"evaluate": JsonFileCommand}
FIRST_STEPS = ["synthvae demo", SEEDED, "synthvae generate model --rows 1000 -o synthetic"]


def described(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options of a command into groups, and name what they take; return the command."""
    signature = inspect.signature(command, eval_str=True)
    vars(command).update(__signature__=signature)  # else typer reads the annotations, which are strings, again
    command.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    for name, parameter in signature.parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(option, OptionInfo):
                option.rich_help_panel = GROUP.get(name)
                if option.metavar is None:
                    option.metavar = "NAME" if name in NAMES else takes(parameter.annotation.__origin__)
    return command


def takes(kind: Any) -> str:
    """Return the word for what an option takes: nothing for a flag.

    >>> takes(int), takes(Path | None)
    ('N', 'PATH')
    """
    kinds = [kind, *getattr(kind, "__args__", ())]
    return next((word for each in kinds for of, word in TAKES.items() if each is of), "TEXT")


def epilog(examples: list[str]) -> str:
    r"""Return examples as paragraphs, of which the help makes one line each.

    >>> epilog(["synthvae demo"])
    'Example:\n\n  synthvae demo'
    """
    return "\n\n".join(["Examples:" if len(examples) > 1 else "Example:", *(f"  {line}" for line in examples)])


def add(app: typer.Typer, commands: Mapping[str, tuple[Callable[..., None], ...]]) -> None:
    """Add commands in groups to an application."""
    for group, members in commands.items():
        for command in members:
            examples, kind = epilog(EXAMPLES[command.__name__]), KINDS.get(command.__name__, PlainCommand)
            app.command(rich_help_panel=group, epilog=examples, context_settings=HELP, cls=kind)(described(command))
