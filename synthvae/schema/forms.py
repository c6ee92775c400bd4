"""Written forms that are stated for a whole table: which of its columns have them.

`--decimal`, `--thousands` and `--date-format`, or the same keys of a recipe, say how numbers and dates are written.
They are knowledge of the columns and change no value: text stays text, its columns are declared with a kind and a
format, and synthetic rows are written in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import ConfigurationError
from synthvae.schema import inference
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.decisions import with_columns
from synthvae.schema.identifiers import identified, is_named_as_code
from synthvae.schema.interchange import fields_of_datetime
from synthvae.schema.schema import Schema
from synthvae.tables import number_format
from synthvae.tables.arrow import is_text
from synthvae.tables.number_format import NumberForm
from synthvae.tables.read_options import SHELL, ReadOptions
from synthvae.tables.time_format import OR, SAMPLE, TimeForm, digits_of, parse_column, problem_of, readings

DAY = ("%d", "%m")  # directives without which digits are rather numbers or codes than dates


def resolved(schema: Schema | None, table: pa.Table, options: ReadOptions) -> Schema | None:
    """Return a schema with the columns of a table that are written in a stated form.

    A column that the schema names keeps what it declares; where it has several formats, a stated one is chosen. Of the
    others, those are declared of which all values have a stated format of dates, or all but a few, such as "n/a" and
    "<0,5", are numbers with the stated separators. A column without a stated form is left to inference.

    Args:
        schema: The schema, which may be partial; None: nothing is declared.
        table: The table, or a sample of it, as text.
        options: What is stated; without a form, the schema is returned as it is.

    Raises:
        ConfigurationError: A stated form is not supported.

    Example:
        >>> table = pa.table({"day": ["03.04.2020", "04.04.2020"], "cost": ["1.250,5", "12"]})
        >>> found = resolved(None, table, ReadOptions(decimal=",", thousands=".", date_format="%d.%m.%Y"))
        >>> [(column.kind, column.format) for column in found.columns]
        [('date', '%d.%m.%Y'), ('continuous', '1.234,5')]
    """
    if not options.forms:
        return schema
    _refuse_unsupported(options)
    known = {} if schema is None else {column.name: column for column in schema.columns}
    dropped = () if schema is None else schema.drop
    changes: dict[str, dict[str, Any]] = {}
    for name in table.column_names:
        if name in known:
            found = _chosen(known[name], options)
        else:
            found = None if name in dropped else _recognised(name, table.column(name), options)
        if found:
            changes[name] = found
    return with_columns(schema, changes, table.column_names)


def _refuse_unsupported(options: ReadOptions) -> None:
    try:
        NumberForm.of(NumberForm("", options.thousands or "", options.decimal, "").format)
    except ValueError:
        given = " and ".join(repr(mark) for mark in (options.decimal, options.thousands) if mark)
        raise ConfigurationError(
            f"`{SHELL['decimal']}` must be . or , and `{SHELL['thousands']}` one of . , ' _ and spaces, got {given}. "
            "Convert the numbers first (`synthvae.tables.read`)."
        ) from None
    for form in options.date_format:
        if problem := problem_of(form):
            raise ConfigurationError(
                f"`{SHELL['date_format']}` {problem}, got {form!r}. Convert the dates first (`synthvae.tables.read`)."
            )


def _chosen(column: Column, options: ReadOptions) -> dict[str, Any] | None:
    """The format of a column that may have several, if one is stated."""
    if column.format is None or OR not in column.format:
        return None
    ways = readings(column.format)
    stated = list(options.date_format)
    if column.kind not in TEMPORAL:
        stated = [way for way in ways if _is_stated(NumberForm.of(way), options)]
    return next(({"format": way} for way in stated if way in ways), None)


def _is_stated(form: NumberForm, options: ReadOptions) -> bool:
    return form.decimal == options.decimal and form.thousands in {"", options.thousands}


def _recognised(name: str, values: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any] | None:
    """The fields of a column with a stated form; None if it has none, or identifies people."""
    known = pc.unique(values.drop_null())
    if not len(known):
        return None
    column = _of_dates(name, known, options.date_format)
    if column is None and is_text(values.type):
        column = _of_numbers(name, known.to_pylist(), options)
    if column is None or identified(column, values).kind != column.kind:
        return None
    return column.model_dump(exclude_unset=True, exclude={"name", "bounds", "nullable"})


def _of_dates(name: str, known: pa.Array, formats: Iterable[str]) -> Column | None:
    """A column whose distinct values all have one of the formats; whole numbers must be many, as digits are codes."""
    numbers = pa.types.is_integer(known.type) or pa.types.is_floating(known.type)
    if not (is_text(known.type) or (numbers and len(known) >= inference.MIN_DATES)):
        return None
    for form in formats:
        if numbers and not all(part in form for part in DAY):
            continue
        if digits_of(form) and is_named_as_code(name):
            continue
        read = TimeForm(format=form)
        if all(_has(read, part) for part in (known.slice(0, SAMPLE), known)):
            return Column(name=name, **{**dict(fields_of_datetime(form)), "format": form})
    return None


def _has(form: TimeForm, values: pa.Array) -> bool:
    return bool(parse_column(pa.chunked_array([values]), form).null_count == 0)


def _of_numbers(name: str, texts: list[str], options: ReadOptions) -> Column | None:
    """A column whose distinct texts, but for a few, are numbers with the stated separators."""
    if options.decimal == "." and not options.thousands:
        return None
    ways = _ways(texts, options)
    if not ways:
        return None
    numbers, others = NumberForm.of(ways[0]).split(texts)
    return inference.number_column(name, OR.join(ways), numbers, others, nullable=True)


def _ways(texts: list[str], options: ReadOptions) -> list[str]:
    """The stated format of numbers; two formats where a point may separate groups, which are not stated."""
    form = number_format.stated(texts, options.decimal, options.thousands)
    if form is not None or options.decimal == "." or options.thousands:
        return [] if form is None else [form]
    ways = [number_format.stated(texts, options.decimal, "."), number_format.stated(texts, ".", None)]
    return [way for way in ways if way is not None] if None not in ways else []
