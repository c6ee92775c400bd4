"""Options that declare single columns, so that a schema need not be written for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthvae.cli.option_groups import in_place_of
from synthvae.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

    from synthvae.schema import Schema
    from synthvae.schema.decisions import Decisions
    from synthvae.tables import ReadOptions


def _columns(option: str, help_: str, metavar: str = "NAME") -> Any:
    """Return an option that takes columns and may be repeated."""
    return Annotated[list[str] | None, typer.Option(option, metavar=metavar, help=f"{help_}; repeatable.")]


FLAGS = {
    "ids": _columns("--id", "Column of ids, for which new ones are generated"),
    "categorical": _columns("--categorical", "Column of categories, such as codes"),
    "drop": _columns("--drop", "Column to leave out of the table"),
    "dates": _columns(
        "--date", "Column of dates or datetimes, with their format if it is not ISO (%d/%m/%Y)", "NAME[=FORMAT]"
    ),
    "fakes": _columns(
        "--fake",
        "Column of fake values, with their provider in Faker (name, email, address, ...)",
        "NAME[=PROVIDER]",
    ),
}
COMPARED = FLAGS | {
    "ids": _columns("--id", "Column of ids, whose values are not compared"),
    "drop": _columns("--drop", "Column to leave out of the comparison"),
    "fakes": _columns("--fake", "Column of names or other data of people, which are not compared", "NAME[=PROVIDER]"),
}


def _decisions(**given: list[str]) -> Decisions:
    from synthvae.schema.decisions import Decisions

    return Decisions(**given)


declares_columns = in_place_of("decisions", FLAGS, _decisions)
"""Give a command the options of this file in place of its parameter `decisions`, which gets a `Decisions`."""

declares_compared = in_place_of("decisions", COMPARED, _decisions)
"""The same, in the words of a comparison of tables."""


def declare(synthesizer: Any, made: Decisions, source: Any, reading: ReadOptions) -> Any:
    """Set the schema of a synthesizer to what the options declare, and return the table to fit.

    Args:
        synthesizer: The synthesizer, with the schema of `--schema`.
        made: What the options declare.
        source: The table or stream; the names of its columns suffice for a plan.
        reading: How the table is written; a private one with forms of numbers or dates was refused.
    """
    from synthvae.synthesizer.configuration import given_schema
    from synthvae.synthesizer.parameters import MEASURED

    if not (made or reading.forms):
        return source
    if synthesizer.schema == MEASURED:
        return _dropped(made, source)
    table, names = _some_rows(source, reading)
    given = given_schema(synthesizer)
    private = synthesizer.privacy is not None or table is None
    synthesizer.set_params(schema=made.apply(given, names) if private else stated(given, made, table, reading))
    return source


def declared(schema_file: Path | None, made: Decisions, table: pa.Table, reading: ReadOptions) -> Schema | Path | None:
    """Return the schema of a file with what the options declare."""
    from synthvae.schema import Schema

    if not (made or reading.forms):
        return schema_file
    return stated(None if schema_file is None else Schema.from_yaml(schema_file), made, table, reading)


def stated(given: Schema | None, made: Decisions, table: pa.Table, reading: ReadOptions) -> Schema | None:
    """Return a schema with what the options declare, and with the columns of the written forms that they state."""
    from synthvae.schema.forms import resolved

    return resolved(made.apply(given, table.column_names, table), table, reading)


def _some_rows(source: Any, reading: ReadOptions) -> tuple[pa.Table | None, list[str]]:
    """Return a table, or rows of a stream, and the names of its columns.

    They are the first rows of a stream, or a sample of all if forms are stated, as the first show too few values.
    """
    from synthvae.tables.sampling import Survey

    if isinstance(source, list):
        return None, source
    if hasattr(source, "column_names"):
        table = source
    else:
        table = Survey.from_batches(source.batches(), 0).sample if reading.forms else next(source.batches())
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
