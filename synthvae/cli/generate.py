"""Make rows: demo, generate, augment."""

from __future__ import annotations

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
    SchemaFile,
    Seed,
    Table,
    configured,
    reporting,
    show,
)


@reporting
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where model and dataset go.")] = Path("synthvae-demo"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit and generate on bundled real data (breast cancer, 569 rows), offline."""
    del debug
    from synthvae.cli import demo as demonstration

    typer.echo(demonstration.run(out, verbose=not quiet))


@reporting
def generate(
    model: Model,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder of the Parquet dataset, or s3://, gs://.", show_default=False)
    ],
    rows: Annotated[int | None, typer.Option(min=0, help="Rows, classes in the shares of training.")] = None,
    rows_per_class: Annotated[int | None, typer.Option(min=0, help="Rows of each class.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="LABEL=N", help="Rows of one class; repeatable.")
    ] = None,
    seed: Seed = None,
    partition: Annotated[bool, typer.Option("--partition", help="A folder TARGET=LABEL/ for each class.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Complete an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in the folder.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    ray: Ray = None,
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
        **_where(ray),
        partition=partition,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        random_state=seed,
    )
    names = ("rows", "classes", "seed")
    summary = {"dataset": out, **{name: manifest[name] for name in names}, "files": len(manifest["parts"])}
    show(manifest if as_json else summary, as_json=as_json)


def _where(ray: str | None) -> dict[str, Any]:
    """Where parts are drawn, unless it is here."""
    if ray is None:
        return {}
    from synthvae import cluster

    return {"backend": cluster.RayBackend(address=ray)}


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
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="In a .csv file: a ' before text that spreadsheets would reckon.")
    ] = False,
    schema_file: SchemaFile = None,
    config: Config = None,
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
    from synthvae.estimators import augment as augmentation
    from synthvae.tables import convert, export

    export.check_place(out, overwrite=overwrite, escape_formulas=escape_formulas)
    given = {"target": target, "schema": schema_file, "random_state": seed}
    synthesizer = configured(config, given, verbose=not quiet)
    read = convert.read(table, encoding=encoding)
    made = augmentation.augment(read, synthesizer, asked, mark=mark, synthetic_only=synthetic_only)
    export.write(made, out, escape_formulas=escape_formulas)
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
