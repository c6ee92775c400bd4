"""Protection of subjects without a privacy budget: what few subjects have does not reach the model.

A category of fewer than `least` subjects is replaced by the declared `other_category`, by the nearest category if they
are ordered, or by a category that is drawn from those of the other rows. Numbers and dates end where `least` subjects
lie at or beyond. A subject is a row, or all rows of a unit such as a patient. Nothing is promised: see
`synthvae.privacy`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import brief, listing, warn_user
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.protection_rules import Ends, Frequent, Subjects, rules_of, sort_keys, timestamps
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import are_classes, are_sentinels, in_one_chunk, plain_type
from synthvae.tables.subjects import count_subjects, subjects_by_value

LEAST = 5  # subjects; the smallest count that many statistical offices publish
MUCH = 0.05  # share of the rows whose categories are replaced, from which a warning names the column


@dataclass
class Protection:
    """What is protected in a table, and how many cells that changed.

    Args:
        schema: The schema of the protected table.
        least: The smallest number of subjects of a value.
        unit: The column of the subjects; None: each row is one.
        rules: The rules of each column that has any.
        columns: These columns, as the schema of the table before described them.
        changed: The number of cells that `apply` has changed, by column and rule.
    """

    __repr__ = brief

    schema: Schema
    least: int = 0
    unit: str | None = None
    rules: dict[str, list[Ends | Frequent]] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    changed: dict[str, dict[str, int]] = field(default_factory=dict)

    def apply(self, table: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Return a table of the columns of the schema, protected; `changed` counts its cells, too."""
        columns = dict(zip(table.column_names, table.columns, strict=True))
        for name, rules in self.rules.items():
            old, column = table.column(name), self.columns[name]
            values = in_one_chunk(old)
            total = np.zeros(len(values), bool)
            for rule in rules:
                values, changed = rule.apply(column, values, rng)
                self._count(name, rule, int(changed.sum()))
                total |= changed
            if total.any():
                columns[name] = _as(values, old.type)
        return pa.table(list(columns.values()), schema=table.schema)

    def _count(self, name: str, rule: Ends | Frequent, cells: int) -> None:
        if cells:
            counts = self.changed.setdefault(name, {})
            key = "cells_at_ends" if isinstance(rule, Ends) else "cells_of_rare_categories"
            counts[key] = counts.get(key, 0) + cells
            if isinstance(rule, Frequent):
                counts["rare_categories"] = len(rule.rare)

    @property
    def summary(self) -> dict[str, Any] | None:
        """What was protected, without a value: counts of cells by column. None: nothing can be protected."""
        if not self.least:
            return None
        columns = {name: dict(self.changed[name]) for name in self.schema.names if name in self.changed}
        return {"least": self.least, "unit": self.unit, "columns": columns}


def protect(table: pa.Table, schema: Schema, target: str | None, subjects: Subjects, unit: str | None) -> Protection:
    """Find what is to be protected in a table that obeys its schema.

    Ids and fake values are generated anew, so they are left as they are. The classes of the target are exempt, since
    they are asked for by name; a warning names those of few subjects.

    Args:
        table: The rows, or some of a table on disk: then the ends are those of the sample, which are inside those of
            the table.
        schema: Its schema.
        target: The column to condition on; None: there is none.
        subjects: The subjects, and the smallest number of them.
        unit: The column of the subjects, which the schema names an id.
    """
    found = Protection(schema, subjects.least, unit)
    many = count_subjects(subjects.units, table.num_rows)
    if not subjects.least:
        return found
    if many < 2 * subjects.least - 1:
        warn_user(
            f"the table has {many} subjects, and at least {2 * subjects.least - 1} are needed to protect those with "
            f"rare values (protect={subjects.least}): treat its synthetic rows like the real ones."
        )
        return Protection(schema)
    for column in schema.columns:
        values = in_one_chunk(table.column(column.name))
        if column.kind in {"id", "fake"} or pa.types.is_null(values.type) or not len(values) - values.null_count:
            continue
        if column.name == target and _is_classes(column, values):
            _warn_of_rare_classes(column, values, subjects)
            continue
        rules = rules_of(column, values, subjects)
        if rules:
            found.rules[column.name], found.columns[column.name] = rules, column
    found.schema = _described(schema, found.rules, table)
    _warn_of_losses(found, table, subjects)
    return found


def _is_classes(column: Column, values: pa.Array) -> bool:
    numeric = column.kind in NUMERIC
    return not numeric or (column.kind == "integer" and are_classes(pa.chunked_array([values])))


def _warn_of_rare_classes(column: Column, values: pa.Array, subjects: Subjects) -> None:
    known, counts = subjects_by_value(pa.chunked_array([values]), subjects.units)
    few = [value for value, count in zip(known.to_pylist(), counts.tolist(), strict=True) if count < subjects.least]
    if column.name in subjects.rare:
        few = subjects.rare[column.name].to_pylist()
    if few:
        warn_user(
            f"target {column.name!r}: its classes are not protected, and {listing(few)} have fewer than "
            f"{subjects.least} subjects, whose rows synthetic rows of these classes may resemble. Merge or drop such "
            "classes if that is not intended."
        )


def _warn_of_losses(found: Protection, table: pa.Table, subjects: Subjects) -> None:
    """Warn once of the columns that lose all values, and once of those that lose many categories."""
    lost, much = [], []
    for name, rules in found.rules.items():
        for rule in rules:
            if isinstance(rule, Ends):
                lost += [name] * (rule.low is None)
            elif rule.frequent is None and found.schema[name].kind not in NUMERIC:
                lost.append(name)
            elif rule.instead is None:
                values = in_one_chunk(table.column(name))
                hits = pc.is_in(values, value_set=rule.rare.cast(values.type))
                much += [name] * (pc.sum(hits).as_py() > MUCH * table.num_rows)
    way_out = "Declare them as `kind: id`, group their values, drop them, or pass a smaller `protect` (0: none)."
    if lost:
        warn_user(
            f"columns {listing(lost)}: no value has {subjects.least} subjects, so every synthetic value will be "
            f"missing. {way_out}"
        )
    if much:
        warn_user(
            f"columns {listing(much)}: more than {MUCH:.0%} of the rows have categories of fewer than "
            f"{subjects.least} subjects, which are drawn anew from the other rows. Declare `other_category`, group "
            "them, or pass a smaller `protect` (0: none)."
        )


def _described(schema: Schema, rules: Mapping[str, list[Ends | Frequent]], table: pa.Table) -> Schema:
    """The schema of the protected table: what was inferred from single subjects is left out of it."""
    columns = []
    for column in schema.columns:
        changes: dict[str, Any] = {}
        for rule in rules.get(column.name, []):
            describe: Callable[..., dict[str, Any]] = _bounds if isinstance(rule, Ends) else _without
            if schema.inferred and column.name not in schema.declared:
                changes |= describe(column, rule, table)
            if (rule.low if isinstance(rule, Ends) else rule.frequent) is None:
                changes["nullable"] = True
        columns.append(column.model_copy(update=changes) if changes else column)
    return schema.model_copy(update={"columns": tuple(columns)})


def _bounds(column: Column, rule: Ends, table: pa.Table) -> dict[str, Any]:
    if rule.low is None or rule.high is None or column.bounds is None:
        return {"bounds": None}
    kind = plain_type(table.column(column.name).type)
    pair = [pa.array([end], kind) for end in (rule.low, rule.high)]
    if column.kind in TEMPORAL:
        stamps = [timestamps(column, end)[0].as_py() for end in pair]
        whole_days = column.kind == "date"
        return {"bounds": tuple(s.date() if whole_days and isinstance(s, dt.datetime) else s for s in stamps)}
    numbers = [sort_keys(column, end)[0][0].item() for end in pair]
    return {"bounds": tuple(int(n) if column.kind == "integer" else float(n) for n in numbers)}


def _without(column: Column, rule: Frequent, table: pa.Table) -> dict[str, Any]:
    del table
    rare = set(rule.rare.to_pylist())
    if column.kind in (*NUMERIC, *TEMPORAL):
        values = pa.chunked_array([rule.rare])
        return {"sentinels": tuple(s for s in column.sentinels if not pc.any(are_sentinels(values, [s])).as_py())}
    if column.categories is None:
        return {}
    return {"categories": tuple(value for value in column.categories if value not in rare)}


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The cells as `kind`, which may be a dictionary."""
    return values.cast(kind) if not pa.types.is_dictionary(kind) else _dictionary(values, kind)


def _dictionary(values: pa.Array, kind: pa.DataType) -> pa.Array:
    coded = values.cast(kind.value_type).dictionary_encode()
    indices = coded.indices.cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, coded.dictionary, ordered=kind.ordered)


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what was protected, as `Protection.summary` states it, in sentences.

    Example:
        >>> counts = {"town": {"rare_categories": 1, "cells_of_rare_categories": 2}, "age": {"cells_at_ends": 3}}
        >>> sentences({"least": 5, "unit": None, "columns": counts})[1:]
        ["Cells beyond the ends: 3 of 'age'.", "Cells of rare categories: 2 of 'town' (1 category)."]
    """
    subject = "rows" if summary["unit"] is None else f"values of {summary['unit']!r}"
    rule = f"Protected before training: categories of fewer than {summary['least']} {subject} were replaced, and"
    ends, rare = [], []
    for name, counts in summary["columns"].items():
        if counts.get("cells_at_ends"):
            ends.append(f"{counts['cells_at_ends']:,} of {name!r}")
        if counts.get("rare_categories"):
            number = counts["rare_categories"]
            categories = f"{number:,} categor{'y' if number == 1 else 'ies'}"
            rare.append(f"{counts.get('cells_of_rare_categories', 0):,} of {name!r} ({categories})")
    parts = {"Cells beyond the ends": ends, "Cells of rare categories": rare}
    return [
        f"{rule} numbers and dates end where {summary['least']} lie at or beyond.",
        *(f"{what}: {', '.join(found)}." for what, found in parts.items() if found),
    ]
