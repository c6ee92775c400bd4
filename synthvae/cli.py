"""The shell: parse, call, print. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help and completion answer at once.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from synthvae import __version__
from synthvae.errors import ConfigurationError, SchemaError, SynthvaeError

P = ParamSpec("P")

app = typer.Typer(
    help="Learn a table with a conditional VAE; write synthetic rows of each class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Table = Annotated[Path, typer.Argument(help="CSV or Parquet file, or a folder of either.", show_default=False)]
Model = Annotated[Path, typer.Argument(help="Directory of a fitted model.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Seed: the same seed gives the same result.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Encoding = Annotated[str, typer.Option(help="Character encoding of a CSV file.")]


def _reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Refusals become one line `error: ...` and exit code 1; warnings one line each."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with warnings.catch_warnings():
            if not kwargs.get("debug"):
                warnings.showwarning = functools.partial(_show_warning, quiet=bool(kwargs.get("quiet")))
            try:
                command(*args, **kwargs)
            except KeyboardInterrupt as error:
                typer.echo("error: interrupted", err=True)
                raise typer.Exit(130) from error
            except (typer.Exit, typer.Abort, typer.BadParameter):
                raise
            except BrokenPipeError as error:  # the reader has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from error
            except Exception as error:
                if kwargs.get("debug"):
                    traceback.print_exc()
                typer.echo(f"error: {_one_line(error)}", err=True)
                raise typer.Exit(1) from error

    return run


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SynthvaeError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    if isinstance(error, OSError):
        return text
    return f"{type(error).__name__}: {text} (not foreseen: `--debug` shows where; please report it)"


def _show_warning(message: Warning | str, *_: Any, quiet: bool) -> None:
    if not quiet:
        typer.echo(f"warning: {' '.join(str(message).split())}", err=True)


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
@_reporting
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
@_reporting
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
@_reporting
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
    from synthvae import Synthesizer, artifact, tables
    from synthvae.synthesizer import BOUGHT

    artifact.check_place(out)
    budget = {"epsilon": epsilon, "delta": delta, "unit": unit}
    privacy = {name: value for name, value in budget.items() if value is not None} or None
    given = {"target": target, "schema": schema_file, "privacy": privacy, "random_state": seed}
    parameters = {**_read_config(config), **{name: value for name, value in given.items() if value is not None}}
    synthesizer = Synthesizer(**{"verbose": not quiet, **parameters})
    if plan is not None:
        # Of the table nothing but the names of the columns, and those only where its schema is to be bought.
        names = tables.read(table, encoding=encoding).column_names if synthesizer.schema == BOUGHT else None
        _print(synthesizer.plan(plan, names).statement(), as_json=as_json)
        return
    read = tables.read(table, encoding=encoding, as_text=synthesizer.privacy is not None)
    if synthesizer.privacy is None:
        synthesizer.fit(read).save(out)
    else:
        _fit_privately(synthesizer, read, out)
    rows = {} if synthesizer.ledger_ else {"rows": read.num_rows}  # of private ones the number is private, too
    _print({"model": str(out), **rows, **_describe(synthesizer)}, as_json=as_json)
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
@_reporting
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
    _print(manifest if as_json else summary, as_json=as_json)


def _parse_classes(texts: list[str] | None) -> dict[str, int] | None:
    if not texts:
        return None
    counts: dict[str, int] = {}
    for text in texts:
        label, mark, count = text.rpartition("=")
        if not mark or not count.isdecimal():
            raise typer.BadParameter(f"--class must be LABEL=N, however, it is {text!r}")
        counts[label] = counts.get(label, 0) + int(count)
    return counts


@app.command()
@_reporting
def info(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Say what a model is, what rows it makes, and what privacy it carries."""
    del debug
    from synthvae import Synthesizer

    _print({"model": str(model), **_describe(Synthesizer.load(model))}, as_json=as_json)


@app.command()
@_reporting
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


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, default=str))
        return
    for line in _lines(facts):
        typer.echo(line)


def _lines(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Facts, one a line; those of facts and lists of them below, further in."""
    for name, value in facts.items():
        title = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict) and any(isinstance(part, list) for part in value.values()):
            yield title
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield title
            yield from (f"{indent}  - {part}" for part in value)
        elif value is not None:
            yield f"{title} {', '.join(f'{k}: {v}' for k, v in value.items()) if isinstance(value, dict) else value}"


if __name__ == "__main__":
    sys.exit(app())
