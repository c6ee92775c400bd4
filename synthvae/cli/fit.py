"""Learn a table: schema, fit, info, audit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae.cli.options import (
    Config,
    Debug,
    Encoding,
    Json,
    Model,
    Quiet,
    Ray,
    Seed,
    Table,
    configured,
    reporting,
    show,
)
from synthvae.errors import ConfigurationError, SchemaError


@reporting
def schema(
    table: Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here instead of to stdout.")] = None,
    declare: Annotated[
        bool, typer.Option("--declare", help="Write down categories that ten rows or more have, for a private fit.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    encoding: Encoding = "utf-8",
    debug: Debug = False,
) -> None:
    """Draft the schema of a table, for a person to review."""
    del debug
    from synthvae import filesystem
    from synthvae.schema import drafts
    from synthvae.schema.schema import Schema
    from synthvae.synthesizer import sources

    if out is not None and out.exists() and not overwrite:
        raise SchemaError(f"a reviewed schema must not be lost, however, {out} is there: pass --overwrite")
    found = sources.surveyed(table, encoding)
    draft = found.drafted(Schema.infer(found.sample))
    text = drafts.drafted(draft, found.sample).to_yaml() if declare else draft.to_yaml()
    if out is None:
        typer.echo(text, nl=False)
    else:
        filesystem.export(out, text.encode())


@reporting
def fit(
    table: Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory of the model.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Column whose classes rows are made for.")] = None,
    schema_file: Annotated[
        str | None, typer.Option("--schema", help='A reviewed schema (YAML); "private" buys one with the budget.')
    ] = None,
    config: Config = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Differential privacy: the largest epsilon. Needs --delta and --schema.")
    ] = None,
    delta: Annotated[float | None, typer.Option(help="The largest delta, less than 1 / rows.")] = None,
    unit: Annotated[str | None, typer.Option(help="Column that says whose row it is; else each row is a unit.")] = None,
    rows_per_unit: Annotated[int | None, typer.Option(help="The most rows of a unit that are used; else one.")] = None,
    plan: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Only say how the budget would be spent on about so many rows.")
    ] = None,
    log_dir: Annotated[
        Path | None, typer.Option(help="Folder of history.csv, and of events for TensorBoard, while it trains.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a fit of the same table, options and seed was broken off.")
    ] = False,
    ray: Ray = None,
    num_workers: Annotated[int, typer.Option("--num-workers", min=1, help="How many train together on it.")] = 2,
    seed: Seed = None,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Learn a table and save the model. One of more than 256 MiB is read in batches, unless it is private."""
    del debug
    from synthvae.synthesizer import artifact
    from synthvae.synthesizer.parameters import MEASURED
    from synthvae.tables import convert, rowwise, streaming

    artifact.check_place(out)
    _check_log(log_dir, out)
    budget = {"epsilon": epsilon, "delta": delta, "unit": unit, "rows_per_unit": rows_per_unit}
    privacy = {name: value for name, value in budget.items() if value is not None} or None
    given = {"target": target, "schema": schema_file, "privacy": privacy, "log_dir": log_dir, "random_state": seed}
    synthesizer = configured(config, given, verbose=not quiet)
    if plan is not None:
        # Of the table nothing but the names of the columns, and those only where its schema is to be bought.
        names = rowwise.read(table, encoding=encoding).column_names if synthesizer.schema == MEASURED else None
        show(synthesizer.plan(plan, names).statement(), as_json=as_json)
        return
    stream = streaming.large(table, encoding) if synthesizer.privacy is None else None
    read = convert.read if synthesizer.privacy is None else rowwise.read
    source = stream or read(table, encoding=encoding)
    with _kept_until_saved(synthesizer, out, resume=resume):
        if ray is None:
            synthesizer.fit(source)
        else:
            from synthvae import cluster

            cluster.fit(synthesizer, source, address=ray, workers=num_workers)
        synthesizer.save(out)
        show({"model": str(out), **_describe(synthesizer)}, as_json=as_json)
        if synthesizer.history_.stopped == "interrupted":
            raise typer.Exit(130)


def _check_log(log_dir: Path | None, out: Path) -> None:
    """Refuse a log inside the model's directory: better before training than after."""
    if log_dir is not None and log_dir.resolve().is_relative_to(out.resolve()):
        raise ConfigurationError(
            f"a model needs a directory of its own, however, {log_dir} is in {out}: choose another `--log-dir`"
        )


@contextmanager
def _kept_until_saved(synthesizer: Any, out: Path, *, resume: bool) -> Iterator[None]:
    """What a fit needs to go on lies beside the model until that is there; what was bought is always taken up."""
    from synthvae.privacy import Journal

    bought = synthesizer.privacy is not None
    folder = out.parent / f".{out.name}.{'releases' if bought else 'fit'}"
    if not (resume or bought):
        shutil.rmtree(folder, ignore_errors=True)
    synthesizer.set_params(journal=folder)
    with Journal.until_saved(folder) as journal:
        if bought and journal.kept:
            typer.echo(f"warning: {folder} is of a fit that was broken off: it is taken up", err=True)
        yield


@reporting
def info(
    model: Model,
    card: Annotated[bool, typer.Option("--card", help="Print the model card, in Markdown.")] = False,
    evaluation: Annotated[
        Path | None, typer.Option(help="What `evaluate --json` said of rows that it made, for the card.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model is, what rows it makes, and what privacy it carries."""
    del debug
    if evaluation is not None and not card:
        raise typer.BadParameter("--evaluation belongs to --card")
    if as_json and card:
        raise typer.BadParameter("a card is Markdown: give one of --card, --json")
    from synthvae import Synthesizer
    from synthvae.evaluation import saved

    synthesizer = Synthesizer.load(model)
    if card:
        page = None if evaluation is None else saved.load(evaluation)
        typer.echo(synthesizer.card(page), nl=False)
        return
    show({"model": str(model), **_describe(synthesizer)}, as_json=as_json)


@reporting
def audit(
    model: Model,
    canaries: Annotated[int, typer.Option(min=100, help="The more, the nearer to the truth, and the slower.")] = 10_000,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Attack what made a private model: a lower bound of epsilon beside the upper one of its ledger."""
    del debug
    from synthvae import Synthesizer
    from synthvae.errors import PrivacyError
    from synthvae.privacy.audit.audit import audit as attack

    ledger = Synthesizer.load(model).ledger_
    if ledger is None:
        raise PrivacyError(f"an audit needs a ledger, however, {model} was fitted without a privacy budget")
    found = attack(ledger, canaries=canaries)
    typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
    if found.refuted:
        raise typer.Exit(1)


def _describe(synthesizer: Any) -> dict[str, Any]:
    from synthvae.synthesizer.card import NOT_PRIVATE

    history, ledger = synthesizer.history_, synthesizer.ledger_
    return {
        **synthesizer.learned_.describe(),
        "steps": history.best_step,
        "training": history.stopped,
        "held_out_elbo_nats": None if history.held_out_elbo is None else round(history.held_out_elbo, 3),
        "privacy": NOT_PRIVATE if ledger is None else ledger.statement(),
    }
