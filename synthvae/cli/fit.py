"""`synthvae schema`, `fit`, `info` and `audit`."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthvae.cli import journals, linked
from synthvae.cli.options import (
    Config,
    Debug,
    Effort,
    Json,
    Model,
    Models,
    Protect,
    Quiet,
    Ray,
    Seed,
    Table,
    Unit,
    configured,
    reporting,
    say,
    seeded,
    show,
)
from synthvae.cli.reading_flags import reads_tables
from synthvae.cli.schema_options import declare, declares_columns, stated
from synthvae.errors import ConfigurationError, SchemaError

if TYPE_CHECKING:
    from synthvae.schema.decisions import Decisions


@reporting
@reads_tables
@declares_columns
def schema(
    table: Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of stdout.")] = None,
    private: Annotated[
        bool, typer.Option("--declare", help="List the categories that ten rows or more have, for a private fit.")
    ] = False,
    constraints: Annotated[
        bool, typer.Option("--constraints", help="Declare the rules between columns that all rows keep.")
    ] = False,
    decisions: Any = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    reading: Any = None,
    debug: Debug = False,
) -> None:
    """Draft the schema of a table for review. Rules that hold in the table are comments at the end."""
    del debug
    from synthvae import filesystem
    from synthvae.schema import decisions as decided
    from synthvae.schema import drafts
    from synthvae.synthesizer import sources
    from synthvae.tables.selection import without

    if private and constraints:
        raise ConfigurationError(
            "`--constraints` must not be given with `--declare`, since rules that are found reveal something about the "
            "rows. Declare known rules under `constraints` by hand."
        )
    if out is not None and out.exists() and not overwrite:
        raise SchemaError(f"{out} exists and may be a reviewed schema. Pass --overwrite to replace it.")
    if out is not None:
        filesystem.check_writable(out)
    found = sources.surveyed(table, reading)
    rows = without(found.sample, decisions.drop)
    given = stated(None, decisions, found.sample, reading)
    draft = found.drafted(decided.draft(given, rows))
    if private:
        text = drafts.drafted(draft, rows).to_yaml()
    else:
        explained = drafts.explained(draft, rows, found.rows)
        text = drafts.with_proposals(explained, rows, declare=constraints).to_yaml()
    if out is None:
        typer.echo(text, nl=False)
    else:
        filesystem.export(out, text.encode())


Target = Annotated[str | None, typer.Option(help="Column to condition on: rows are generated for each of its classes.")]
Duration = Annotated[str | None, typer.Option(help="Column of the time to an event, or to censoring. Needs --event.")]
Event = Annotated[
    str | None, typer.Option(help="Column of whether the event of --duration was observed, or which one of several.")
]
Conditions = Annotated[
    bool,
    typer.Option("--conditions", help="Learn any columns given any others, too, for `generate --given` and `impute`."),
]
BrokenRows = Annotated[
    str | None,
    typer.Option(
        metavar="refuse|repair",
        help="What to do with rows that break a rule or declared bounds of the schema; default: refuse. repair "
        "computes columns anew, empties cells, or leaves out rows, and counts them.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(help="Column of survey weights: rows are generated as from the weighted table, without it."),
]
SchemaOrPrivate = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="PATH",
        help='A reviewed schema (YAML), or "private" to measure one with a part of the budget.',
    ),
]
Epsilon = Annotated[
    float | None, typer.Option(help="Differential privacy: upper limit of epsilon. Needs --delta and --schema.")
]
Delta = Annotated[float | None, typer.Option(help="Upper limit of delta, less than 1 / rows.")]
RowsPerUnit = Annotated[int | None, typer.Option(help="Largest number of rows of a unit that are used; default: 1.")]
PlannedRows = Annotated[
    int | None,
    typer.Option(metavar="ROWS", help="Print how the budget would be spent on so many rows, and exit."),
]
ESTIMATE = "Print an estimate of the time and memory of the fit, and exit; early stopping may end the fit sooner."
LogDir = Annotated[
    Path | None, typer.Option(help="Folder for history.csv and TensorBoard events, written during training.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Resume an interrupted fit of the same table, options and seed.")
]


@reporting
@reads_tables
@declares_columns
def fit(
    table: Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to save the model to.", show_default=False)],
    target: Target = None,
    duration: Duration = None,
    event: Event = None,
    conditions: Conditions = False,
    weights: Weights = None,
    schema_file: SchemaOrPrivate = None,
    decisions: Any = None,
    broken_rows: BrokenRows = None,
    config: Config = None,
    epsilon: Epsilon = None,
    delta: Delta = None,
    unit: Unit = None,
    rows_per_unit: RowsPerUnit = None,
    protect: Protect = None,
    effort: Effort = None,
    plan: PlannedRows = None,
    estimate: Annotated[bool, typer.Option("--estimate", help=ESTIMATE)] = False,
    log_dir: LogDir = None,
    resume: Resume = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in the directory.")] = False,
    ray: Ray = None,
    num_workers: Annotated[int, typer.Option("--num-workers", min=1, help="Ray workers that train together.")] = 2,
    seed: Seed = None,
    reading: Any = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit a synthesizer to a table and save it. Tables above 256 MiB are read in batches, unless the fit is private.

    A YAML file with `tables`, their keys and links is a database, to which a model of linked tables is fitted.
    """
    options = dict(locals())
    if linked.is_file(table):
        linked.fit(options)
        return
    _check_places(out, log_dir)
    synthesizer = configured(config, _given(options), verbose=not quiet)
    if plan is not None:
        _show_plan(synthesizer, options)
        return
    if not (overwrite or estimate):
        journals.refuse_overwriting(out, synthesizer, resume=resume)
    source = declare(synthesizer, decisions, _source(table, reading, synthesizer), reading)
    if estimate:
        show(dataclasses.asdict(synthesizer.estimate(source)), as_json=as_json)
        return
    drawn, begun = None if resume else seeded(synthesizer), time.monotonic()
    with journals.until_saved(synthesizer, out, resume=resume):
        if not quiet and ray is None:
            _show_estimate(synthesizer, source)
        _fit(synthesizer, source, ray, num_workers)
        if drawn is not None:  # a model that was fitted without a seed generates other rows each time
            synthesizer.set_params(random_state=None)
        synthesizer.save(out)
        if as_json or not quiet:
            _say_fitted(synthesizer, out, time.monotonic() - begun, drawn, as_json=as_json)
        if synthesizer.history_.stopped == "interrupted":
            raise typer.Exit(130)


def _show_plan(synthesizer: Any, given: dict[str, Any]) -> None:
    """Print how the budget would be spent on a number of rows."""
    decisions, reading = given["decisions"], given["reading"]
    names = declare(synthesizer, decisions, _names(given["table"], reading, synthesizer, decisions), reading)
    show(synthesizer.plan(given["plan"], names).statement(), as_json=given["as_json"])


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a synthesizer that options state."""
    names = ("target", "duration", "event", "weights", "broken_rows", "protect", "effort", "log_dir")
    given = {name: options[name] for name in names} | {
        "schema": options["schema_file"],
        "conditions": options["conditions"] or None,
    }
    budget = {name: options[name] for name in ("epsilon", "delta", "rows_per_unit")}
    return given | {"random_state": options["seed"]} | _units(options["unit"], budget)


def _say_fitted(synthesizer: Any, out: Path, seconds: float, seed: int | None, *, as_json: bool) -> None:
    """Print what was fitted: as JSON, or as a short table with a warning if training was too short."""
    if as_json:
        show({"model": str(out), **_describe(synthesizer)}, as_json=True)
        return
    from synthvae.cli import summary

    for line in summary.aligned(summary.of_fit(synthesizer, out, seconds, seed)):
        say(line)
    warning = summary.too_short(synthesizer)
    if warning:
        say(f"warning: {warning}", err=True)


def _units(unit: str | None, budget: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that the unit and the fields of a budget set: without a budget, units are the table's."""
    stated = {name: value for name, value in budget.items() if value is not None}
    if not stated:
        return {"unit": unit}
    return {"privacy": stated if unit is None else {**stated, "unit": unit}}


def _names(table: Any, reading: Any, synthesizer: Any, made: Decisions) -> list[str] | None:
    """Return the column names of a table whose schema is to be measured or changed: all that a plan uses of it."""
    from synthvae.synthesizer.parameters import MEASURED
    from synthvae.tables import rowwise

    needed = synthesizer.schema == MEASURED or made
    return list(rowwise.read(table, options=reading).column_names) if needed else None


def _source(table: Any, reading: Any, synthesizer: Any) -> Any:
    """Return a table, read row by row if it is private, or a stream if it is large."""
    from synthvae.tables import convert, rowwise, streaming

    if synthesizer.privacy is not None:
        return rowwise.read(table, options=reading)
    return streaming.large(table, options=reading) or convert.read(table, options=reading)


def _show_estimate(synthesizer: Any, source: Any) -> None:
    """Print what a long fit will take. A private fit prints nothing that depends on the table."""
    from synthvae.synthesizer.estimate import LONG_CELLS, LONG_COLUMNS
    from synthvae.tables.streaming import Stream

    if synthesizer.privacy is not None:
        return
    if (
        isinstance(source, Stream)
        or source.num_columns > LONG_COLUMNS
        or source.num_rows * source.num_columns > LONG_CELLS
    ):
        say(f"estimate: {synthesizer.estimate(source)}", err=True)


def _fit(synthesizer: Any, source: Any, ray: str | None, workers: int) -> None:
    if ray is None:
        synthesizer.fit(source)
        return
    from synthvae import cluster

    cluster.fit(synthesizer, source, address=ray, workers=workers)


def _check_places(out: Path, log_dir: Path | None) -> None:
    """Refuse a place for the model, and a log inside its directory, before training: saving would refuse them later."""
    from synthvae.synthesizer import artifact

    artifact.check_place(out)
    if log_dir is not None and log_dir.resolve().is_relative_to(out.resolve()):
        raise ConfigurationError(
            f"`--log-dir` must be outside the model's directory, got {log_dir} in {out}. Choose another folder."
        )


@reporting
def info(
    models: Models,
    card: Annotated[bool, typer.Option("--card", help="Print the model card (Markdown).")] = False,
    evaluation: Annotated[
        Path | None, typer.Option(help="Figures written by `evaluate --json-file`, for the card.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Describe a model: what it was fitted to, and its privacy ledger. Several models are compared."""
    del debug
    if evaluation is not None and not card:
        raise typer.BadParameter("--evaluation needs --card")
    if as_json and card:
        raise typer.BadParameter("give only one of --card and --json: a card is Markdown")
    if card and len(models) > 1:
        raise typer.BadParameter("--card takes one model")
    if any(map(linked.is_model, models)):
        if len(models) > 1 or card or evaluation is not None:
            raise typer.BadParameter("a model of linked tables is described alone, without --card and --evaluation")
        linked.info(models[0], as_json=as_json)
        return
    from synthvae import Synthesizer

    loaded = {model: Synthesizer.load(model) for model in models}
    if card:
        _print_card(loaded[models[0]], evaluation)
    elif as_json:
        found = [{"model": str(model), **_describe(one)} for model, one in loaded.items()]
        show(found[0] if len(models) == 1 else {"models": found}, as_json=True)
    else:
        _say_described(loaded)


def _print_card(synthesizer: Any, evaluation: Path | None) -> None:
    from synthvae.evaluation import saved

    typer.echo(synthesizer.card(None if evaluation is None else saved.load(evaluation)), nl=False)


def _say_described(models: dict[Path, Any]) -> None:
    """Print a description of one model, or those of several beside each other."""
    from synthvae.cli import summary

    tables = [summary.of_model(one, model) for model, one in models.items()]
    if len(tables) > 1:
        lines = [*summary.compared(tables), *summary.differences(list(models.values()))]
    else:
        lines = [*summary.aligned(tables[0]), "", *summary.details(*models.values())]
    for line in lines:
        say(line)


@reporting
def audit(
    model: Model,
    canaries: Annotated[
        int, typer.Option(min=100, help="Number of canaries: more give a tighter bound and take longer.")
    ] = 10_000,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Audit a private model: an empirical lower bound of epsilon beside the ledger's upper bound."""
    del debug
    from synthvae import Synthesizer
    from synthvae.errors import PrivacyError
    from synthvae.privacy.audit.audit import audit as attack

    if linked.is_model(model):
        found = linked.audit(model, canaries)
    else:
        ledger = Synthesizer.load(model).ledger_
        if ledger is None:
            raise PrivacyError(f"{model} was fitted without a privacy budget, so there is no ledger to audit.")
        found = attack(ledger, canaries=canaries)
    typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
    if found.refuted:
        raise typer.Exit(1)


def _describe(synthesizer: Any) -> dict[str, Any]:
    from synthvae.schema.protection import sentences
    from synthvae.synthesizer.card import NOT_PRIVATE

    history, ledger = synthesizer.history_, synthesizer.ledger_
    described = synthesizer.learned_.describe()
    if "protection" in described:
        described["protection"] = sentences(described["protection"])
    return {
        **described,
        "effort": synthesizer.effort,
        "steps": history.best_step,
        "training": history.stopped,
        "held_out_elbo_nats": None if history.held_out_elbo is None else round(history.held_out_elbo, 3),
        "privacy": NOT_PRIVATE if ledger is None else ledger.statement(),
    }
