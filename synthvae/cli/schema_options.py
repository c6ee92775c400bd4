"""Options that declare single columns, so that a schema need not be written for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthvae.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

    from synthvae.schema import Schema
    from synthvae.schema.decisions import Decisions

Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="NAME", help="Column of ids, for which new ones are generated; repeatable."),
]
Categorical = Annotated[
    list[str] | None,
    typer.Option("--categorical", metavar="NAME", help="Column of categories, such as codes; repeatable."),
]
Drop = Annotated[
    list[str] | None, typer.Option("--drop", metavar="NAME", help="Column to leave out of the table; repeatable.")
]
Dates = Annotated[
    list[str] | None,
    typer.Option(
        "--date",
        metavar="NAME[=FORMAT]",
        help="Column of dates or datetimes, with their format if it is not ISO (%d/%m/%Y); repeatable.",
    ),
]
Fakes = Annotated[
    list[str] | None,
    typer.Option(
        "--fake",
        metavar="NAME[=PROVIDER]",
        help="Column of fake values, with their provider in Faker (name, email, address, ...); repeatable.",
    ),
]


def decisions(
    ids: list[str] | None,
    categorical: list[str] | None,
    drop: list[str] | None,
    dates: list[str] | None,
    fakes: list[str] | None,
) -> Decisions:
    """Return what the options declare."""
    from synthvae.schema.decisions import Decisions

    return Decisions(ids or (), categorical or (), drop or (), dates or (), fakes or ())


def declare(synthesizer: Any, made: Decisions, source: Any) -> Any:
    """Set the schema of a synthesizer to what the options declare, and return the table to fit.

    Args:
        synthesizer: The synthesizer, with the schema of `--schema`.
        made: What the options declare.
        source: The table or stream; the names of its columns suffice for a plan.
    """
    from synthvae.synthesizer.configuration import given_schema
    from synthvae.synthesizer.parameters import MEASURED

    if not made:
        return source
    if synthesizer.schema == MEASURED:
        return _dropped(made, source)
    table, names = _first_rows(source)
    private = synthesizer.privacy is not None
    synthesizer.set_params(schema=made.apply(given_schema(synthesizer), names, None if private else table))
    return source


def declared(schema_file: Path | None, made: Decisions, table: pa.Table) -> Schema | Path | None:
    """Return the schema of a file with what the options declare."""
    from synthvae.schema import Schema

    if not made:
        return schema_file
    given = None if schema_file is None else Schema.from_yaml(schema_file)
    return made.apply(given, table.column_names, table)


def _first_rows(source: Any) -> tuple[pa.Table | None, list[str]]:
    """Return a table, or the first rows of a stream, and the names of its columns."""
    if isinstance(source, list):
        return None, source
    table = source if hasattr(source, "column_names") else next(source.batches())
    return table, list(table.column_names)


def _dropped(made: Decisions, source: Any) -> Any:
    """Return a table whose schema is measured, or the names of its columns, without the dropped columns."""
    from synthvae.schema import problems
    from synthvae.tables.selection import without_privately

    if made.ids or made.categorical or made.dates or made.fakes:
        raise ConfigurationError(
            "`--id`, `--categorical`, `--date` and `--fake` must not be given with `--schema private`, which measures "
            "kinds. Declare a schema, or drop the columns."
        )
    names = source if isinstance(source, list) else source.column_names
    problems.refuse_unknown(made.drop, names)
    if isinstance(source, list):
        return [name for name in source if name not in made.drop]
    return without_privately(source, made.drop)
