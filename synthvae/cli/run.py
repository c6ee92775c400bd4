"""Run a study from one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthvae.cli.options import Debug, Json, Quiet, reporting

if TYPE_CHECKING:
    from synthvae.recipe import Outcome


@reporting
def run(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe (YAML).", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output folder, in the place of the recipe's.")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Run a stage though nothing changed; repeatable.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="The last stage that runs.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which stages would run.")] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON schema of a recipe, for editors.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a whole study from one reviewed page: split, fit, generate, evaluate, report."""
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
        watch=None if quiet else _tell,
    )
    typer.echo(json.dumps(outcome.as_dict()) if as_json else "\n".join(_lines(outcome)))
    for failure in outcome.failures:
        typer.echo(f"error: {failure}", err=True)
    if outcome.failures:
        raise typer.Exit(1)


def _tell(name: str) -> None:
    typer.echo(f"{name} ...", err=True)


def _lines(outcome: Outcome) -> Iterator[str]:
    """One line a stage: whether it ran, what it made and where, and why it ran if it is only to be said."""
    for step in outcome.steps:
        where = ", ".join(str(outcome.out / name) for name in step.where)
        said = "  ".join(part for part in (step.what or step.why, where) if part)
        yield f"{step.stage:<9} {step.done:<{13 if step.done.startswith('would') else 5}} {said}"
