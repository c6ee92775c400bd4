"""Judge rows: evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae.cli.options import Debug, Encoding, Quiet, SchemaFile, Seed, Table, reporting
from synthvae.errors import RequestError

Gate = Annotated[
    list[str] | None, typer.Option(metavar="METRIC=X", help="Exit 1 unless a figure is so good; repeatable.")
]


@reporting
def evaluate(
    real: Table,
    synthetic: Annotated[Path, typer.Argument(help="Synthetic rows: CSV, Parquet or a folder.", show_default=False)],
    holdout: Annotated[Path | None, typer.Option(help="Real rows that the generator has not seen.")] = None,
    target: Annotated[str | None, typer.Option(help="Column that users want to predict.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report (HTML, one file).")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures (JSON).")] = None,
    fail_under: Gate = None,
    fail_over: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=X", help="The same, of metrics that are better lower.")
    ] = None,
    schema_file: SchemaFile = None,
    group: Annotated[str | None, typer.Option(help="Column of groups of people, told apart.")] = None,
    duration: Annotated[str | None, typer.Option(help="Survival: column of the time.")] = None,
    event: Annotated[str | None, typer.Option(help="Survival: column that says whether the event was seen.")] = None,
    model: Annotated[Path | None, typer.Option(help="The model, for its privacy ledger.")] = None,
    attacks: Annotated[bool, typer.Option("--attacks/--no-attacks", help="Attack the rows, too.")] = True,
    seed: Seed = 0,
    encoding: Encoding = "utf-8",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what synthetic rows are worth beside the real ones: can they be used, can they be shared."""
    del debug
    from synthvae import filesystem
    from synthvae.evaluation import evaluate as measured
    from synthvae.evaluation.thresholds import failures
    from synthvae.progress import measuring
    from synthvae.tables import convert

    for place in (json_file, out):
        if place is not None:
            filesystem.check_writable(place)
    gates = _gates(fail_under, "--fail-under"), _gates(fail_over, "--fail-over")
    paths = {"real": real, "synthetic": synthetic, "holdout": holdout}
    read = {role: convert.read(path, encoding=encoding) for role, path in paths.items() if path is not None}
    ledger = _ledger(model, synthetic)
    with measuring(show=not quiet) as watch:
        found = measured(
            **read, target=target, schema=schema_file, group=group, duration=duration, event=event, attacks=attacks,
            ledger=ledger, names={role: str(paths[role]) for role in read}, random_state=seed,
            watch=watch,
        )  # fmt: skip
    typer.echo(str(found))
    if json_file is not None:
        found.to_json(json_file)
    if out is not None:
        found.to_html(out)
    missed = failures(found.figures, *gates)
    for line in missed:
        typer.echo(f"error: {line}", err=True)
    if missed:
        raise typer.Exit(1)


def _gates(texts: list[str] | None, option: str) -> dict[str, float]:
    found = {}
    for text in texts or []:
        name, mark, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            mark = ""
        if not mark:
            raise typer.BadParameter(f"{option} must be METRIC=X, however, it is {text!r}")
    return found


def _ledger(model: Path | None, synthetic: Path) -> dict[str, Any] | None:
    """What privacy the model says was promised, or the manifest of the rows."""
    place = synthetic / "_manifest.json"
    manifest = _manifest(place) if place.is_file() else {}
    if model is None:
        return _statement(manifest.get("ledger"), place)
    from synthvae import Synthesizer

    learned = Synthesizer.load(model).learned_
    if manifest.get("model_sha256") not in {None, learned.fingerprint}:
        raise RequestError(
            f"the model must be the one that made the rows, however, {place} names another than {model}: pass that one"
        )
    return None if learned.ledger is None else learned.ledger.statement()


def _manifest(place: Path) -> dict[str, Any]:
    try:
        page = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{place} must be a manifest, however, {error}: remove it") from error
    if not isinstance(page, dict):
        raise RequestError(f"{place} must be a manifest, however, it is a {type(page).__name__}: remove it")
    return page


def _statement(ledger: Any, place: Path) -> dict[str, Any] | None:
    """A ledger as a manifest holds it, once it is one."""
    if ledger is None:
        return None
    numbers = [ledger.get(name) for name in ("epsilon", "delta")] if isinstance(ledger, dict) else []
    if not numbers or not all(isinstance(n, (int, float)) for n in numbers) or not isinstance(ledger.get("unit"), str):
        raise RequestError(
            f"{place} must hold a ledger with epsilon, delta and unit, however, it is {ledger!r}: mend it"
        )
    return dict(ledger)
