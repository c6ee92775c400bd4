"""The shell: parse, call, print. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help and completion answer at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae import __version__
from synthvae.errors import ConfigurationError, SchemaError, SynthvaeError
from synthvae.shell import Debug, Encoding, Json, Model, Quiet, Seed, Table, reporting, show

app = typer.Typer(
    help="Learn a table with a conditional VAE; write synthetic rows of each class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"synthvae {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
@reporting
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where model and dataset go.")] = Path("synthvae-demo"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit and generate on bundled real data (breast cancer, 569 rows), offline."""
    del debug
    from synthvae import demonstration

    typer.echo(demonstration.run(out, verbose=not quiet))


@app.command()
@reporting
def schema(
    table: Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here instead of to stdout.")] = None,
    declare: Annotated[
        bool, typer.Option("--declare", help="Write down the categories that occur, as a private fit needs them.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    encoding: Encoding = "utf-8",
    debug: Debug = False,
) -> None:
    """Draft the schema of a table, for a person to review."""
    del debug
    from synthvae import inference, tables
    from synthvae.schema import Schema

    if out is not None and out.exists() and not overwrite:
        raise SchemaError(f"a reviewed schema must not be lost, however, {out} is there: pass --overwrite")
    read = tables.read(table, encoding=encoding)
    draft = Schema.infer(read)
    text = (inference.declare_categories(draft, read) if declare else draft).to_yaml(out)
    if out is None:
        typer.echo(text, nl=False)


@app.command()
@reporting
def fit(
    table: Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory of the model.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Column whose classes rows are made for.")] = None,
    schema_file: Annotated[
        str | None, typer.Option("--schema", help='A reviewed schema (YAML); "private" buys one with the budget.')
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Parameters of `Synthesizer` (YAML).")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Differential privacy: the largest epsilon. Needs --delta and --schema.")
    ] = None,
    delta: Annotated[float | None, typer.Option(help="The largest delta, less than 1 / rows.")] = None,
    unit: Annotated[str | None, typer.Option(help="Column that says whose row it is; else each row is a unit.")] = None,
    plan: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Only say how the budget would be spent on about so many rows.")
    ] = None,
    seed: Seed = None,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Learn a table and save the model."""
    del debug
    from synthvae import artifact, tables
    from synthvae.synthesizer import BOUGHT

    artifact.check_place(out)
    budget = {"epsilon": epsilon, "delta": delta, "unit": unit}
    privacy = {name: value for name, value in budget.items() if value is not None} or None
    given = {"target": target, "schema": schema_file, "privacy": privacy, "random_state": seed}
    synthesizer = _configured(config, given, verbose=not quiet)
    if plan is not None:
        # Of the table nothing but the names of the columns, and those only where its schema is to be bought.
        names = tables.read(table, encoding=encoding).column_names if synthesizer.schema == BOUGHT else None
        show(synthesizer.plan(plan, names).statement(), as_json=as_json)
        return
    read = tables.read(table, encoding=encoding, as_text=synthesizer.privacy is not None)
    if synthesizer.privacy is None:
        synthesizer.fit(read).save(out)
    else:
        _fit_privately(synthesizer, read, out)
    rows = {} if synthesizer.ledger_ else {"rows": read.num_rows}  # of private ones the number is private, too
    show({"model": str(out), **rows, **_describe(synthesizer)}, as_json=as_json)
    if synthesizer.history_.stopped == "interrupted":
        raise typer.Exit(130)


def _fit_privately(synthesizer: Any, table: Any, out: Path) -> None:
    """Fit and save; what was bought is kept beside the model until it is there."""
    from synthvae.privacy import Journal

    folder = out.parent / f".{out.name}.releases"
    journal = Journal(folder, 0)
    if journal.kept:
        typer.echo(f"warning: {folder} is of a fit that was broken off: it is taken up", err=True)
    try:
        synthesizer.set_params(journal=folder).fit(table).save(out)
    except SynthvaeError:
        if not journal.kept:  # refused before anything was bought
            journal.remove()
        raise
    journal.remove()


def _configured(config: Path | None, given: dict[str, Any], *, verbose: bool) -> Any:
    """A synthesizer with the parameters of a page, those `given` in their place."""
    from synthvae import Synthesizer

    stated = {name: value for name, value in given.items() if value is not None}
    return Synthesizer(**{"verbose": verbose, **_read_config(config), **stated})


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import difflib

    import yaml

    from synthvae import Synthesizer

    try:
        page = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} must be YAML, however, {error}") from error
    if not isinstance(page, dict):
        raise ConfigurationError(f"{path} must hold parameters by name, however, it is a {type(page).__name__}")
    known = list(Synthesizer().get_params())
    for name in page:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 3) or known
            raise ConfigurationError(f"{path}: a parameter must be known, however, {name!r} is not: try {near}")
    return page


@app.command()
@reporting
def generate(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the Parquet dataset.", show_default=False)],
    rows: Annotated[int | None, typer.Option(min=0, help="Rows, classes in the shares of training.")] = None,
    rows_per_class: Annotated[int | None, typer.Option(min=0, help="Rows of each class.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="LABEL=N", help="Rows of one class; repeatable.")
    ] = None,
    seed: Seed = None,
    partition: Annotated[bool, typer.Option("--partition", help="A folder TARGET=LABEL/ for each class.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Complete an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in the folder.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write synthetic rows as a Parquet dataset."""
    del debug
    asked = {"rows": rows, "rows_per_class": rows_per_class, "classes": _parse_classes(classes)}
    if sum(value is not None for value in asked.values()) != 1:
        raise typer.BadParameter("give exactly one of --rows, --rows-per-class, --class")
    from synthvae import Synthesizer

    synthesizer = Synthesizer.load(model).set_params(verbose=not quiet)
    manifest = synthesizer.generate(
        out,
        **asked,
        partition=partition,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        random_state=seed,
    )
    names = ("rows", "classes", "seed")
    summary = {"dataset": str(out), **{name: manifest[name] for name in names}, "files": len(manifest["parts"])}
    show(manifest if as_json else summary, as_json=as_json)


def _parse_classes(texts: list[str] | None, option: str = "--class") -> dict[str, int] | None:
    if not texts:
        return None
    counts: dict[str, int] = {}
    for text in texts:
        label, mark, count = text.rpartition("=")
        if not mark or not count.isdecimal():
            raise typer.BadParameter(f"{option} must be LABEL=N, however, it is {text!r}")
        counts[label] = counts.get(label, 0) + int(count)
    return counts


@app.command()
@reporting
def augment(
    table: Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .parquet or .csv file.", show_default=False)],
    target: Annotated[str, typer.Option(help="Column of the classes.", show_default=False)],
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="Classes that get rows: auto (all but the largest, up to its number of rows), minority, not-majority, "
            "not-minority, all, a share of the larger of two (0.5), or LABEL=N: rows it is to have (repeatable)."
        ),
    ] = None,
    mark: Annotated[str, typer.Option("--column", help="Column that says whether a row is synthetic.")] = "synthetic",
    synthetic_only: Annotated[bool, typer.Option("--synthetic-only", help="Leave the real rows out.")] = False,
    schema_file: Annotated[str | None, typer.Option("--schema", help="A reviewed schema (YAML).")] = None,
    config: Annotated[Path | None, typer.Option(help="Parameters of `Synthesizer` (YAML).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    seed: Seed = None,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a table with synthetic rows of its scarce classes under it, marked by a column."""
    del debug
    asked = _parse_strategy(strategy or ["auto"])
    from synthvae import augmentation, tables

    augmentation.check_place(out, overwrite=overwrite)
    given = {"target": target, "schema": schema_file, "random_state": seed}
    synthesizer = _configured(config, given, verbose=not quiet)
    read = tables.read(table, encoding=encoding)
    made = augmentation.augment(read, synthesizer, asked, mark=mark, synthetic_only=synthetic_only)
    augmentation.write(made, out)
    new = made.num_rows - (0 if synthetic_only else read.num_rows)
    show({"table": str(out), "real": made.num_rows - new, "synthetic": new, "column": mark}, as_json=as_json)


def _parse_strategy(texts: list[str]) -> str | float | dict[str, int]:
    if any("=" in text for text in texts):
        return _parse_classes(texts, "--strategy") or {}
    if len(texts) > 1:
        raise typer.BadParameter("--strategy may be repeated as LABEL=N only")
    try:
        return float(texts[0])
    except ValueError:
        return texts[0].replace("-", " ")


@app.command()
@reporting
def info(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Say what a model is, what rows it makes, and what privacy it carries."""
    del debug
    from synthvae import Synthesizer

    show({"model": str(model), **_describe(Synthesizer.load(model))}, as_json=as_json)


@app.command()
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
    from synthvae.privacy import audit as audits

    ledger = Synthesizer.load(model).ledger_
    if ledger is None:
        raise PrivacyError(f"an audit needs a ledger, however, {model} was fitted without a privacy budget")
    found = audits.audit(ledger, canaries=canaries)
    typer.echo(json.dumps(found.as_dict()) if as_json else str(found))
    if found.refuted:
        raise typer.Exit(1)


def _describe(synthesizer: Any) -> dict[str, Any]:
    from synthvae.card import NOT_PRIVATE

    history, ledger = synthesizer.history_, synthesizer.ledger_
    return {
        **synthesizer.learned_.describe(),
        "steps": history.best_step,
        "training": history.stopped,
        "held_out_elbo_nats": None if history.held_out_elbo is None else round(history.held_out_elbo, 3),
        "privacy": NOT_PRIVATE if ledger is None else ledger.statement(),
    }


if __name__ == "__main__":
    sys.exit(app())
