"""Columns that need a decision before a model can be fitted: all are named in one message, each with its way out."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, listing
from synthvae.schema import inference
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.identifiers import find_identifier
from synthvae.tables.arrow import is_text, plain_type
from synthvae.tables.time_format import OR, digits_of, offsets_without_zone, readings

MAX_STATED = 20  # problems that a message states in full; the columns of all others are listed
DECLARE = (
    "In a schema, declare `kind: id` or `kind: categorical`, or list the column under `drop`; columns that a schema "
    "does not name are inferred."
)


def flag(option: str, name: str) -> str:
    """Return an option of the command line for a column, quoted for a shell.

    >>> flag("drop", "patient name")
    "`--drop 'patient name'`"
    """
    return f"`--{option} {shlex.quote(name)}`"


def infer_supported(table: pa.Table) -> tuple[tuple[Column, ...], dict[str, str]]:
    """Infer the columns of a table; those that have no kind are returned with the reason, by name."""
    try:
        return inference.infer_columns(table), {}
    except TableError:
        if not table.num_columns:
            raise
    columns: list[Column] = []
    problems = {}
    for name in table.column_names:
        try:
            columns += inference.infer_columns(table.select([name]))
        except TableError as error:
            problems[name] = f"{error} {flag('drop', name)} leaves it out."
    return tuple(columns), problems


def identifying(columns: Iterable[Column], table: pa.Table, target: str | None) -> dict[str, str]:
    """Return a problem for each column that was inferred to identify people, or whose text does not repeat, by name.

    Numbers that are keys need no decision: new ones are generated.
    """
    found = {}
    for column in columns:
        values = table.column(column.name)
        if column.name == target or column.kind not in {"id", "fake"}:
            continue
        if column.kind == "fake" or is_text(plain_type(values.type)):
            found[column.name] = _identifying(column, values)
    return found


def _identifying(column: Column, values: pa.ChunkedArray) -> str:
    name, finding = column.name, find_identifier(column.name, values)
    rule = "text that repeats" if finding is None else "values that identify no person"
    what = "" if finding is None else f"{finding}: "
    distinct = pc.count_distinct(values.cast(plain_type(values.type)), mode="all").as_py()
    fake = f"{flag('fake', name)} draws fake {column.provider} values, " if column.kind == "fake" else ""
    unit = f"{flag('unit', name)} keeps the rows of a subject together, " if finding and finding.repeats else ""
    time = "" if finding else f", {flag('date', f'{name}=FORMAT')} reads dates or times"
    if not finding and (offsets := offsets_without_zone(values)):
        time = f". Its times have UTC offsets of no one time zone, {listing(offsets)}: convert them to UTC to read them"
    return (
        f"Column {name!r} must have {rule}, got {what}{distinct:,} distinct values in {len(values):,} rows: "
        f"{unit}{fake}{flag('id', name)} generates new ids, {flag('drop', name)} leaves it out, "
        f"{flag('categorical', name)} repeats real values{time}."
    )


def open_formats(columns: Iterable[Column]) -> dict[str, str]:
    """Return a problem for each column whose dates or numbers can be read in several ways, by name."""
    found = {}
    for column in columns:
        if column.format is not None and OR in column.format:
            ways = readings(column.format)
            found[column.name] = (
                f"Column {column.name!r} must have one reading, got {' or '.join(map(repr, ways))}: "
                f"{_choices(column, ways)}."
            )
    return found


def _choices(column: Column, ways: Sequence[str]) -> str:
    if column.kind in TEMPORAL:
        dates = " or ".join(flag("date", f"{column.name}={way}") for way in ways)
        if digits_of(ways[0]):
            return f"{dates}, or {flag('categorical', column.name)} if they are codes, or `kind: integer` in a schema"
        return dates
    return f"declare {' or '.join(f'`format: {way}`' for way in ways)} in a schema"


def refuse(problems: Mapping[str, str], advice: str = "") -> None:
    """Raise one error for all problems, if there are any.

    Args:
        problems: Sentences by column.
        advice: A last sentence.

    Raises:
        TableError: There is a problem.
    """
    if not problems:
        return
    count = [f"{len(problems)} columns need a decision."] if len(problems) > 1 else []
    rest = [f"The same holds for the columns {', '.join(map(repr, list(problems)[MAX_STATED:]))}."]
    sentences = [*count, *list(problems.values())[:MAX_STATED], *(rest if len(problems) > MAX_STATED else []), advice]
    raise TableError(" ".join(sentence for sentence in sentences if sentence))


def refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    """Raise one error for all names that are not columns of a table.

    Raises:
        TableError: There is one.
    """
    absent = [name for name in names if name not in known]
    if absent:
        raise TableError(
            f"The table must have the named columns, got none named {listing(absent)}.{suggestion(absent, known)} "
            f"Choose among {listing(known)}."
        )


def suggestion(absent: Sequence[str], known: Sequence[str]) -> str:
    """Return a question that names the most similar known columns; empty if there are none.

    >>> suggestion(["Zip", "q"], ["zip", "age"])
    " Did you mean 'zip'?"
    """
    by_lower = {name.lower(): name for name in known}
    near = [
        by_lower[match]
        for name in absent[:MAX_STATED]
        for match in difflib.get_close_matches(name[:100].lower(), list(by_lower)[:1000], 1)
    ]
    return f" Did you mean {', '.join(map(repr, near))}?" if near else ""
