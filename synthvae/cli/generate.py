"""`synthvae demo`, `generate` and `augment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae.cli import linked
from synthvae.cli.options import (
    Config,
    Debug,
    Json,
    Model,
    Protect,
    Quiet,
    Ray,
    SchemaFile,
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
from synthvae.cli.schema_options import declare, declares_columns

EscapeFormulas = Annotated[
    bool,
    typer.Option("--escape-formulas", help="In CSV: put ' before text that spreadsheets would evaluate as a formula."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=CONDITION",
        help="Condition on any column of a model with --conditions; repeatable: sex=f, ward=A|B, age=60.. (an "
        "interval), died= (missing).",
    ),
]
ConditionsFile = Annotated[
    Path | None,
    typer.Option(
        help="Table of conditions: a row is drawn for each of its rows, whose present values it has. Linked tables: "
        "rows of the root table, whose children are drawn."
    ),
]

# Options that are parameters of `Synthesizer.generate`, too.
SAME = ("copies", "describe", "partition", "resume", "overwrite", "escape_formulas", "workers")


@reporting
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model, the dataset and the report.")] = Path(
        "synthvae-demo"
    ),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit, generate and evaluate on bundled real data (breast cancer, 569 rows), offline."""
    del debug
    from synthvae.cli.demo import run

    for line in run(out, verbose=not quiet):
        say(line)


Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        help="Folder of the Parquet dataset, a URL (s3://, gs://), or one file: .csv, .parquet or .xlsx.",
        show_default=False,
    ),
]
Rows = Annotated[int | None, typer.Option(min=0, help="Number of rows, with classes in their training shares.")]
RowsPerClass = Annotated[int | None, typer.Option(min=0, help="Number of rows of each class.")]
Classes = Annotated[
    list[str] | None, typer.Option("--class", metavar="LABEL=N", help="Number of rows of one class; repeatable.")
]
Subjects = Annotated[int | None, typer.Option(min=0, help="Linked tables: number of subjects, with all their rows.")]
Scale = Annotated[
    float | None, typer.Option(min=0, help="Linked tables: number of subjects relative to the training tables.")
]
Copies = Annotated[
    int | None,
    typer.Option(min=1, help="Number of independent datasets, copy_1/, copy_2/, ..., each analysed by itself."),
]
Describe = Annotated[
    bool, typer.Option("--describe", help="Write the rows to data/, beside README.md (a card) and croissant.json.")
]


@reporting
def generate(
    model: Model,
    out: Out,
    rows: Rows = None,
    rows_per_class: RowsPerClass = None,
    classes: Classes = None,
    given: Conditions = None,
    given_file: ConditionsFile = None,
    subjects: Subjects = None,
    scale: Scale = None,
    copies: Copies = None,
    describe: Describe = False,
    seed: Seed = None,
    partition: Annotated[
        bool, typer.Option("--partition", help="Write a folder TARGET=LABEL/ for each class.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Complete an interrupted dataset.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset or file.")] = False,
    escape_formulas: EscapeFormulas = False,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    ray: Ray = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write synthetic rows as a Parquet dataset, or as one file; linked tables as a folder of datasets."""
    options = dict(locals())
    del debug
    from synthvae import Synthesizer

    if linked.is_model(model):
        linked.generate(options)
        return
    asked = _asked(options)
    synthesizer = Synthesizer.load(model).set_params(verbose=not quiet)
    same = {name: options[name] for name in SAME}
    conditions = _conditions(given, given_file)
    manifest = synthesizer.generate(out, **asked, **linked.backend(ray), given=conditions, **same, random_state=seed)
    if copies is None:
        summary = {name: manifest[name] for name in ("rows", "classes", "seed")} | {"files": len(manifest["parts"])}
    else:
        summary = {"copies": copies, "rows of each": manifest["rows"], "seed": manifest["seed"]}
    show(manifest if as_json else {"dataset": out, **summary}, as_json=as_json, quiet=quiet)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """How many rows are asked for, of a model of one table."""
    if options["subjects"] is not None or options["scale"] is not None:
        from synthvae import Synthesizer

        Synthesizer.load(options["model"])  # that there is none is said first
        raise typer.BadParameter("--subjects and --scale need a model of linked tables; give --rows")
    asked = {name: options[name] for name in ("rows", "rows_per_class")}
    asked["classes"] = _parse_classes(options["classes"])
    if sum(value is not None for value in (*asked.values(), options["given_file"])) != 1:
        raise typer.BadParameter("give exactly one of --rows, --rows-per-class, --class, --given-file")
    if options["given"] and options["given_file"]:
        raise typer.BadParameter("give only one of --given and --given-file")
    return asked


def _conditions(given: list[str] | None, given_file: Path | None) -> Any:
    """Return the conditions that the options state; None if there are none."""
    from synthvae.generation.given import parse_text
    from synthvae.tables import convert

    if given_file is not None:
        return convert.read(given_file)
    if not given:
        return None
    parsed = [parse_text(text) for text in given]
    if len(dict(parsed)) < len(parsed):
        raise typer.BadParameter("--given may name each column once; write its values as A|B")
    return dict(parsed)


def _parse_classes(texts: list[str] | None, option: str = "--class") -> dict[str, int] | None:
    if not texts:
        return None
    counts: dict[str, int] = {}
    for text in texts:
        label, sign, count = text.rpartition("=")
        if not sign or not count.isdecimal():
            raise typer.BadParameter(f"{option} must be LABEL=N, got {text!r}")
        counts[label] = counts.get(label, 0) + int(count)
    return counts


@reporting
@reads_tables
@declares_columns
def augment(
    table: Table,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write: .parquet, .csv or .xlsx.", show_default=False)
    ],
    target: Annotated[str, typer.Option(help="Column of the classes.", show_default=False)],
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="Classes to augment: auto (all but the largest, up to its size), minority, not-majority, "
            "not-minority, all, a share of the larger of two classes (0.5), or LABEL=N, the size of a class; "
            "repeatable."
        ),
    ] = None,
    mark: Annotated[
        str, typer.Option("--column", help="Boolean column added to tell synthetic rows from real ones.")
    ] = "synthetic",
    synthetic_only: Annotated[bool, typer.Option("--synthetic-only", help="Write synthetic rows only.")] = False,
    escape_formulas: EscapeFormulas = False,
    schema_file: SchemaFile = None,
    decisions: Any = None,
    config: Config = None,
    unit: Unit = None,
    protect: Protect = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    seed: Seed = None,
    reading: Any = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Append synthetic rows of scarce classes to a table, and a column that tells them from real rows."""
    del debug
    asked = _parse_strategy(strategy or ["auto"])
    from synthvae.estimators import augment as augmentation
    from synthvae.tables import convert, export, files

    export.check_place(out, overwrite=overwrite, escape_formulas=escape_formulas)
    given = {"target": target, "schema": schema_file, "random_state": seed, "unit": unit, "protect": protect}
    synthesizer = configured(config, given, verbose=not quiet)
    read = convert.read(table, options=reading)
    declare(synthesizer, decisions, read, reading)
    written = out.suffix == ".csv" and not synthetic_only
    fields = files.read_fields(table, reading) if written else None  # real cells stay as they are written
    drawn = seeded(synthesizer)
    augmented = augmentation.augment(read, synthesizer, asked, mark=mark, synthetic_only=synthetic_only)
    export.write(augmented, out, escape_formulas=escape_formulas, fields=fields)
    new = augmented.num_rows - (0 if synthetic_only else read.num_rows)
    counts = {"table": str(out), "real": augmented.num_rows - new, "synthetic": new, "column": mark}
    show(counts if drawn is None else {**counts, "seed": drawn}, as_json=as_json, quiet=quiet)


def _parse_strategy(texts: list[str]) -> str | float | dict[str, int]:
    if any("=" in text for text in texts):
        return _parse_classes(texts, "--strategy") or {}
    if len(texts) > 1:
        raise typer.BadParameter("--strategy may be repeated only as LABEL=N")
    try:
        return float(texts[0])
    except ValueError:
        return texts[0].replace("-", " ")
