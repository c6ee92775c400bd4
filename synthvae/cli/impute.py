"""`synthvae impute`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from synthvae.cli.generate import EscapeFormulas
from synthvae.cli.options import Debug, Json, Model, Quiet, Seed, Table, reporting, show
from synthvae.cli.reading_flags import reads_tables


@reporting
@reads_tables
def impute(
    table: Table,
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .parquet, .csv or .xlsx; of several draws NAME-1, NAME-2, ...",
            show_default=False,
        ),
    ],
    draws: Annotated[int, typer.Option(min=1, help="Number of imputations, for multiple imputation.")] = 1,
    indicator: Annotated[
        bool,
        typer.Option("--indicator", help="Add a column missingindicator_NAME for each column with imputed values."),
    ] = False,
    escape_formulas: EscapeFormulas = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    proper: Annotated[
        bool,
        typer.Option("--proper", help="Refit the model to TABLE with random weights of its rows for each draw."),
    ] = False,
    seed: Seed = None,
    reading: Any = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fill the missing values of a table by a model that was fitted with --conditions. Present values stay."""
    del debug
    from synthvae import Synthesizer
    from synthvae.random_state import as_seed
    from synthvae.tables import convert, export

    places = [out] if draws == 1 else [out.with_stem(f"{out.stem}-{k}") for k in range(1, draws + 1)]
    for place in places:
        export.check_place(place, overwrite=overwrite, escape_formulas=escape_formulas)
    read, seed = convert.read(table, options=reading), as_seed(seed)
    found = Synthesizer.load(model).impute(read, draws=draws, indicator=indicator, proper=proper, random_state=seed)
    for place, frame in zip(places, found if isinstance(found, list) else [found], strict=True):
        export.write(convert.written_like(frame, read), place, escape_formulas=escape_formulas)
    gaps = {name: read.column(name).null_count for name in read.column_names if read.column(name).null_count}
    summary = {"tables": [str(place) for place in places], "rows": read.num_rows, "imputed": gaps, "seed": seed}
    show(summary, as_json=as_json, quiet=quiet)
