"""`synthvae evaluate`: fidelity, utility and disclosure risk of synthetic rows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from synthvae.cli.schema_options import declared, declares_compared
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
@declares_compared
def evaluate(
    real: Table,
    synthetic: Annotated[
        list[Place],
        typer.Argument(
            parser=place_of,
            metavar="SYNTHETIC",
            help="Synthetic rows: a file or a folder. Of several, each is evaluated, and one page compares them.",
            show_default=False,
        ),
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
    model: Annotated[
        Path | None, typer.Option(help="Directory of the model, for its privacy ledger and its parameters.")
    ] = None,
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

    for place in (json_file, out):
        if place is not None:
            filesystem.check_writable(place)
    thresholds = _thresholds(fail_under, "--fail-under"), _thresholds(fail_over, "--fail-over")
    result, evaluations = _of_linked(options) if linked.is_file(real) else _of_tables(options)
    _print(result, as_json=as_json, wraps=len(evaluations) == 1)
    if json_file is not None:
        result.to_json(json_file)
    if out is not None:
        result.to_html(out)
    _exit_if_missed(_missed(evaluations, thresholds))


def _of_linked(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the evaluation of linked tables, and the same by the name of their folder."""
    synthetic = given["synthetic"]
    if len(synthetic) > 1:
        raise typer.BadParameter("linked tables are compared with one folder of synthetic ones; leave the others out")
    found = evaluate_linked.measure({**given, "synthetic": synthetic[0]})
    return found, {str(synthetic[0]): found}


def _of_tables(given: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return what is printed of synthetic tables, one evaluation or all of them, and each evaluation by name."""
    from synthvae.evaluation import compare
    from synthvae.progress import measuring

    synthetic, model, reading = given["synthetic"], given["model"], given["reading"]
    if model is not None and len(synthetic) > 1:
        raise typer.BadParameter("--model takes one synthetic table; several have the ledgers of their datasets")
    paths = {role: given[role] for role in ("real", "holdout") if given[role] is not None}
    read = {role: _read(role, path, reading) for role, path in paths.items()}
    tables = {name: _synthetic(place, reading, model) for name, place in named(synthetic).items()}
    options = {name: given[name] for name in ("target", "group", "unit", "duration", "event", "attacks")}
    with measuring(show=not given["quiet"]) as watch:
        found = compare(
            read["real"],
            {name: table.rows for name, table in tables.items()},
            each={name: table.stated for name, table in tables.items()},
            schema=declared(given["schema_file"], given["decisions"], read["real"], reading),
            holdout=read.get("holdout"),
            names={role: str(path) for role, path in paths.items()},
            random_state=given["seed"],
            watch=watch,
            **options,
        )
    return found if len(found) > 1 else found[next(iter(tables))], found.evaluations


def _print(found: Any, *, as_json: bool, wraps: bool) -> None:
    """Print an evaluation; in a terminal, sentences are wrapped between words, and tables are not."""
    if as_json:
        show(found.to_dict(), as_json=True)
        return
    from synthvae.cli.summary import wrapped

    for line in str(found).split("\n"):
        indent = len(line) - len(line.lstrip(" -"))
        for part in wrapped(line[:indent], line[indent:]) if wraps and sys.stdout.isatty() else [line]:
            say(part)


@dataclass(frozen=True)
class _Synthetic:
    """Synthetic rows, and the options of their evaluation that their dataset or model states."""

    rows: Any
    stated: dict[str, Any]


def named(places: Sequence[Any]) -> dict[str, Any]:
    """Return places by the shortest of their names that differ.

    Raises:
        RequestError: A place is given twice.
    """
    short = [place.name if isinstance(place, Path) else str(place) for place in places]
    names = [str(place) for place in places] if len(places) == 1 or len(set(short)) < len(short) else short
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise RequestError(f"Each synthetic table must be given once, got {twice[0]} twice. Leave one out.")
    return dict(zip(names, places, strict=True))


def _synthetic(place: Any, reading: Any, model: Path | None) -> _Synthetic:
    """Return synthetic rows with the statements of the model or of the same dataset."""
    from synthvae.tables import snapshots

    def read() -> tuple[Any, dict[str, Any]]:
        return _read("synthetic", place, reading), _statements(model, place)

    return _Synthetic(*snapshots.read(Path(str(place)), read))


def _read(role: str, place: Any, reading: Any) -> Any:
    from synthvae.tables import convert

    return convert.read(place, options=_options(role, place, reading))


def _missed(evaluations: Mapping[str, Any], thresholds: tuple[dict[str, float], dict[str, float]]) -> list[str]:
    """Return a line for each missed threshold, with the table where there are several."""
    from synthvae.evaluation.thresholds import failures

    return [
        f"{name}: {line}" if len(evaluations) > 1 else line
        for name, found in evaluations.items()
        for line in failures(found.figures, *thresholds)
    ]


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


def _statements(model: Path | None, synthetic: Any) -> dict[str, Any]:
    """Return the privacy ledger and the protection of the model, or else of the manifest of the rows."""
    place = Path(str(synthetic)) / "_manifest.json"
    manifest = _manifest(place) if place.is_file() else {}
    if model is None:
        return {
            "ledger": _statement(manifest.get("ledger"), place),
            "protection": _protection(manifest.get("protection"), place),
        }
    from synthvae import Synthesizer
    from synthvae.synthesizer.description import parameters_of

    synthesizer = Synthesizer.load(model)
    learned = synthesizer.learned_
    if manifest.get("model_sha256") not in {None, learned.fingerprint}:
        raise RequestError(
            f"The rows were not generated by the model {model}: {place} names another one. Pass that model."
        )
    return {
        "ledger": None if learned.ledger is None else learned.ledger.statement(),
        "protection": learned.provenance.protection,
        "model": parameters_of(synthesizer.get_params(), Synthesizer().get_params(), learned),
    }


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
