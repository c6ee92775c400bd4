"""`synthvae evaluate`: fidelity, utility and disclosure risk of synthetic rows."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae import safe_yaml
from synthvae.cli import evaluate_linked, linked
from synthvae.cli.options import (
    Debug,
    Json,
    Place,
    Quiet,
    SchemaFile,
    Seed,
    Table,
    Unit,
    place_of,
    reporting,
    say,
    show,
)
from synthvae.cli.reading_flags import reads_tables
from synthvae.cli.schema_options import declared, declares_columns
from synthvae.errors import ConfigurationError, RequestError

Threshold = Annotated[
    list[str] | None, typer.Option(metavar="METRIC=X", help="Exit with 1 if a metric is below X; repeatable.")
]
Holdout = Annotated[
    Place, typer.Option(parser=place_of, metavar="TABLE", help="Real rows that were not used for training.")
]
Group = Annotated[str | None, typer.Option(help="Column of groups of people, for figures of each group (fairness).")]
Duration = Annotated[str | None, typer.Option(help="Survival analysis: column of the time to the event.")]
Event = Annotated[str | None, typer.Option(help="Survival analysis: column of whether the event was observed.")]


@reporting
@reads_tables
@declares_columns
def evaluate(
    real: Table,
    synthetic: Annotated[
        Place, typer.Argument(parser=place_of, metavar="SYNTHETIC", help="Synthetic rows: a file or a folder.")
    ],
    holdout: Holdout = None,
    target: Annotated[str | None, typer.Option(help="Column that users of the rows want to predict.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report to this file (HTML).")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json-file", help="Write all figures to this file (JSON).")
    ] = None,
    fail_under: Threshold = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=X",
            help="Exit with 1 if a metric is above X, for metrics where lower is better; repeatable.",
        ),
    ] = None,
    schema_file: SchemaFile = None,
    decisions: Any = None,
    group: Group = None,
    unit: Unit = None,
    duration: Duration = None,
    event: Event = None,
    model: Annotated[Path | None, typer.Option(help="Directory of the model, for its privacy ledger.")] = None,
    attacks: Annotated[bool, typer.Option("--attacks/--no-attacks", help="Run privacy attacks on the rows.")] = True,
    seed: Seed = 0,
    reading: Any = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare synthetic rows with real ones: can they be used, and can they be shared?

    A YAML file of linked tables is compared with a folder of synthetic ones: each table, each link and whole subjects.
    """
    options = dict(locals())
    del debug
    from synthvae import filesystem
    from synthvae.evaluation import evaluate as measured
    from synthvae.progress import measuring

    for place in (json_file, out):
        if place is not None:
            filesystem.check_writable(place)
    report = functools.partial(_report, json_file=json_file, out=out, as_json=as_json)
    thresholds = _thresholds(fail_under, "--fail-under"), _thresholds(fail_over, "--fail-over")
    if linked.is_file(real):
        report(evaluate_linked.measure(options), thresholds)
        return
    paths = {"real": real, "synthetic": synthetic, "holdout": holdout}
    read, (ledger, protection) = _tables(paths, reading, model)
    schema = declared(schema_file, decisions, read["real"], reading)
    with measuring(show=not quiet) as watch:
        found = measured(
            **read, target=target, schema=schema, group=group, unit=unit, duration=duration, event=event,
            attacks=attacks, ledger=ledger, protection=protection, names={role: str(paths[role]) for role in read},
            random_state=seed, watch=watch,
        )  # fmt: skip
    report(found, thresholds)


def _report(
    found: Any,
    thresholds: tuple[dict[str, float], dict[str, float]],
    *,
    json_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print an evaluation, write its files, and exit with 1 if a figure misses its threshold."""
    from synthvae.evaluation.thresholds import failures

    _print(found, as_json=as_json)
    if json_file is not None:
        found.to_json(json_file)
    if out is not None:
        found.to_html(out)
    _exit_if_missed(failures(found.figures, *thresholds))


def _print(found: Any, *, as_json: bool) -> None:
    if as_json:
        show(found.to_dict(), as_json=True)
        return
    from synthvae.cli.summary import wrapped

    for line in str(found).split("\n"):
        indent = len(line) - len(line.lstrip(" -"))
        for part in wrapped(line[:indent], line[indent:]) if sys.stdout.isatty() else [line]:
            say(part)


def _tables(
    paths: dict[str, Any], reading: Any, model: Path | None
) -> tuple[dict[str, Any], tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Return the tables, and the statements of the model or of the same dataset as the synthetic rows."""
    from synthvae.tables import convert, snapshots

    def read(role: str) -> Any:
        return convert.read(paths[role], options=_options(role, paths[role], reading))

    synthetic = paths["synthetic"]
    rows, statements = snapshots.read(Path(str(synthetic)), lambda: (read("synthetic"), _statements(model, synthetic)))
    found = {role: rows if role == "synthetic" else read(role) for role, path in paths.items() if path is not None}
    return found, statements


def _options(role: str, place: Any, reading: Any) -> Any:
    """Return the options for one table: they describe the real ones; synthetic rows are as synthvae writes them."""
    from synthvae.tables import files

    kind = files.format_of(place) if isinstance(place, Path) else "database"
    if role == "synthetic":
        return reading.of_synthetic(kind)
    return reading if role == "real" else reading.taken_by(kind)


def _exit_if_missed(missed: list[str]) -> None:
    for line in missed:
        say(f"error: {line}", err=True)
    if missed:
        raise typer.Exit(1)


def _thresholds(texts: list[str] | None, option: str) -> dict[str, float]:
    found = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise typer.BadParameter(f"{option} must be METRIC=X, got {text!r}")
    return found


def _statements(model: Path | None, synthetic: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the privacy statement and the protection of the model, or else of the manifest of the rows."""
    place = Path(str(synthetic)) / "_manifest.json"
    manifest = _manifest(place) if place.is_file() else {}
    if model is None:
        return _statement(manifest.get("ledger"), place), _protection(manifest.get("protection"), place)
    from synthvae import Synthesizer

    learned = Synthesizer.load(model).learned_
    if manifest.get("model_sha256") not in {None, learned.fingerprint}:
        raise RequestError(
            f"The rows were not generated by the model {model}: {place} names another one. Pass that model."
        )
    return None if learned.ledger is None else learned.ledger.statement(), learned.provenance.protection


def _protection(given: Any, place: Path) -> dict[str, Any] | None:
    """Return the protection that a manifest states, after validation."""
    from synthvae.synthesizer.provenance import checked_summary

    try:
        return checked_summary(given)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"The protection of {place} must have `least` and `columns`, got {given!r:.60}. Correct the manifest."
        ) from error


def _manifest(place: Path) -> dict[str, Any]:
    try:
        manifest = safe_yaml.load_json(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{place} is not a manifest: {error}. Remove it.") from error
    if not isinstance(manifest, dict):
        raise RequestError(f"{place} is not a manifest: got a {type(manifest).__name__}. Remove it.")
    return manifest


def _statement(ledger: Any, place: Path) -> dict[str, Any] | None:
    """Return the ledger of a manifest after validation: of the right types, finite, and in range."""
    from synthvae.evaluation.saved import checked_statement

    try:
        return None if ledger is None else checked_statement(ledger)
    except ConfigurationError as error:
        raise RequestError(f"{place}: {error} Correct the manifest.") from error
