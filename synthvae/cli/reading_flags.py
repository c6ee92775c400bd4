"""The options of commands that read tables: how a table is written in its file."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthvae.cli.option_groups import Command, in_place_of

if TYPE_CHECKING:
    from synthvae.tables.read_options import ReadOptions

PLACES = ("table", "real", "synthetic", "holdout")  # the parameters of commands that may be URLs
FLAGS = {
    "encoding": Annotated[str, typer.Option(help="Character encoding of a text file.")],
    "sep": Annotated[
        str | None,
        typer.Option(
            help="Separator of the fields of a text file: one character, or tab; default: found in the header."
        ),
    ],
    "decimal": Annotated[str, typer.Option(help="Decimal separator of numbers in text.")],
    "thousands": Annotated[str | None, typer.Option(help="Separator of groups of three digits in text.")],
    "date_format": Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="Format of dates in text, such as %d.%m.%Y (strptime); repeatable."),
    ],
    "na_values": Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Text that means a missing value, besides an empty field; repeatable."),
    ],
    "sheet": Annotated[str | None, typer.Option(help="Name or number, from 1, of the sheet of an Excel file.")],
    "query": Annotated[str | None, typer.Option(help="SQL query whose rows are the table, if it is in a database.")],
}
DEFAULTS = {"encoding": "utf-8", "decimal": "."}


def reads_tables(command: Command) -> Command:
    """Give a command the options of this file in place of its parameter `reading`, which gets a `ReadOptions`.

    Arguments that are URLs of databases become a `DatabaseUrl`, which is shown without user and password.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from synthvae.tables.databases import DatabaseUrl

        for name in PLACES:
            given = kwargs.get(name)
            if isinstance(given, list):
                kwargs[name] = [DatabaseUrl.parse(place) if isinstance(place, str) else place for place in given]
            elif isinstance(given, str):
                kwargs[name] = DatabaseUrl.parse(given)
        command(*args, **kwargs)

    return in_place_of("reading", FLAGS, _options, DEFAULTS)(run)


def _options(**given: Any) -> ReadOptions:
    from synthvae.tables.read_options import ReadOptions

    return ReadOptions(**given)
