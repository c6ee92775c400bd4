"""`synthvae run`: a study from a recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthvae.cli.options import Debug, Json, Quiet, reporting, say

if TYPE_CHECKING:
    from synthvae.recipe import Outcome


@reporting
def run(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE", help="A recipe (YAML).", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output folder; default: the one of the recipe.")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Run a stage even if nothing has changed; repeatable.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print which stages would run, and exit.")] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON schema of recipes, for editors, and exit.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a study from a recipe: split, fit, generate, evaluate, report."""
    del debug
    if json_schema == (recipe is not None):
        raise typer.BadParameter("give a recipe, or --json-schema")
    from synthvae import recipe as recipes

    if recipe is None:
        typer.echo(json.dumps(recipes.json_schema(), indent=1))
        return
    outcome = recipes.run(
        recipe,
        out,
        force=force or (),
        until=until,
        dry_run=dry_run,
        verbose=not quiet,
        watch=None if quiet else _announce,
    )
    if as_json:
        typer.echo(json.dumps(outcome.as_dict()))
    else:
        for line in _lines(outcome):
            say(line)
    for failure in outcome.failures:
        say(f"error: {failure}", err=True)
    if outcome.failures:
        raise typer.Exit(1)


def _announce(name: str) -> None:
    say(f"{name} ...", err=True)


def _lines(outcome: Outcome) -> Iterator[str]:
    """Yield one line for each stage: whether it ran, what it wrote and where, and in a dry run why it would run."""
    for step in outcome.steps:
        where = ", ".join(str(outcome.out / name) for name in step.where)
        text = "  ".join(part for part in (step.what or step.why, where) if part)
        yield f"{step.stage:<9} {step.done:<{13 if step.done.startswith('would') else 5}} {text}"
