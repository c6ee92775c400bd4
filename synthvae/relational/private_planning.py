"""What is known of private linked tables before any row counts: their keys, schemas and caps, all of them declared.

Keys are whole and unique by declaration: a private fit takes databases alone for which this holds, and two of them are
neighbours if one has a row of a root table more than the other, with all its rows in all other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.rules import Rules
from synthvae.errors import PrivacyError, TableError, brief, listing, warn_user
from synthvae.privacy import PrivacyBudget
from synthvae.relational.keys import KeyColumn, Keys
from synthvae.relational.lineage import LinkedTable, children_counts, link
from synthvae.relational.private_timeline import declared_timeline
from synthvae.relational.sequences import Places
from synthvae.relational.totals import FittedTotal
from synthvae.schema import linkage
from synthvae.schema.ancestor_columns import AncestorColumn
from synthvae.schema.coercion import conform
from synthvae.schema.column import DRAFTS
from synthvae.schema.database import Database
from synthvae.schema.domain import refuse_undeclared
from synthvae.schema.foreign_keys import ForeignKey
from synthvae.schema.schema import Schema
from synthvae.synthesizer.private_fitting import DRAFTED
from synthvae.tables import rowwise
from synthvae.tables.arrow import is_text, plain_type

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class PrivatePlan:
    """What is public of a table.

    Args:
        keys: How its key columns are filled.
        schema: The declared schema of the other columns, and of the numbers of rows in each child table.
        counts: The columns with these numbers, by child.
        names: The columns that synthetic rows have.
        totals: The columns that are computed from child tables.
        rules: The rules that synthetic rows keep; None without any. Those on drawn columns of the table alone are in
            `schema`, too.
        ancestors: The columns of ancestors that they are on, by the names that they give them.
    """

    __repr__ = brief

    keys: Keys
    schema: Schema
    counts: Mapping[str, str]
    names: tuple[str, ...]
    totals: tuple[FittedTotal, ...] = ()
    rules: Rules | None = None
    ancestors: Mapping[str, AncestorColumn] = field(default_factory=dict)


def read_privately(database: Database, tables: Mapping[str, Any] | None) -> dict[str, pa.Table]:
    """Return the tables, read row by row.

    Raises:
        PrivacyError: They break the keys of the database; which rows do so is private.
        TableError: A table is not given, or lacks a column, or of the two columns of a link one is text.
    """
    given = {**database.tables, **dict(tables or {})}
    if absent := [name for name, source in given.items() if source is None or name not in database.tables]:
        raise TableError(f"`tables` must be those of the database, got other ones or none for {listing(absent)}.")
    found = {name: rowwise.read(source) for name, source in given.items()}
    _refuse_mixed_keys(database, found)
    try:
        linkage.check(database, found)
    except TableError as error:
        raise PrivacyError(
            "The tables of a private fit must have the columns of their keys, and keys that are whole and unique, got "
            "others. What breaks them is private: `synthvae.schema.linkage.read(database, tables)` says it to those "
            "who may know the rows."
        ) from error
    return found


def _refuse_mixed_keys(database: Database, tables: Mapping[str, pa.Table]) -> None:
    """Refuse links of text and other types, which are public: CSV files are read as text, row by row."""
    for key in database.foreign_keys:
        for own, other in zip(key.columns, key.parent_columns, strict=True):
            sides = ((key.child, own), (key.parent, other))
            if any(column not in tables[name].column_names for name, column in sides):
                continue  # the check of keys says so
            kinds = [plain_type(tables[name].schema.field(column).type) for name, column in sides]
            if not any(map(pa.types.is_null, kinds)) and is_text(kinds[0]) != is_text(kinds[1]):
                raise TableError(
                    f"The two columns of a link must be of one type, got {kinds[0]} for {key.child}.{own} and "
                    f"{kinds[1]} for {key.parent}.{other}; a private fit reads the keys of CSV files as text. Store "
                    "both tables in the same format."
                )


def plan_privately(database: Database, read: Tables, budget: PrivacyBudget) -> dict[str, PrivatePlan]:
    """Return what is public of each table.

    Args:
        database: The keys and the schemas.
        read: The tables, of which only the columns count.
        budget: The budget with the caps.

    Raises:
        PrivacyError: Something that a fit needs is not declared; the message names all of it. Or a column cannot have
            the totals of all rows.
        SchemaError: A total is not one of numbers.
    """
    problems = list(_problems(database, budget))
    plans: dict[str, PrivatePlan] = {}
    for name in database.modelled:
        try:
            plans[name] = _plan(database, name, read[name].column_names, budget.rows_of_tables or {})
        except PrivacyError as error:
            problems.append(f"Table {name!r}: {error}")
    if problems:
        raise PrivacyError(" ".join(problems))
    for name, plan in plans.items():
        totals = tuple(FittedTotal.declare(total, database) for total in database.totals if total.table == name)
        plans[name] = replace(plan, totals=totals)
    return plans


def _problems(database: Database, budget: PrivacyBudget) -> Iterator[str]:
    children = list(database.parents)
    caps = budget.rows_of_tables or {}
    if set(caps) != set(children):
        yield (
            f"`rows_of_tables` of the budget must have the number of rows of a subject for each child table, "
            f"{listing(children)}, got {listing(caps)}. Declare the most rows that are used."
        )
    roots = [name for name in database.modelled if name not in children]
    if len(roots) != 1:
        yield (
            f"A private fit must have one root table, whose rows are the subjects, got {listing(roots)}. Fit the "
            "tables of one kind of subjects."
        )
    for key in database.foreign_keys:
        if key.child in children and key.parent not in {*database.ancestors(key.child), *database.public}:
            yield (
                f"Links of a private fit must lead to an ancestor or to a public table, got {key}, whose choice among "
                "the rows of other subjects would reveal these. Leave this link out."
            )


def _plan(database: Database, name: str, names: list[str], caps: Mapping[str, int]) -> PrivatePlan:
    given = database.schemas.get(name)
    keys = _keys(database, name, () if given is None else tuple(given.names))
    left_out = {*keys.names, *(() if given is None else given.drop)}
    declared = {} if given is None else {column.name: column for column in given.columns}
    columns = [column for column in names if column not in left_out]
    if lacking := [column for column in columns if column not in declared]:
        raise PrivacyError(f"columns must be declared in `schemas` for a private fit, got none for {listing(lacking)}.")
    if kinds := [c for c in columns if declared[c].kind in {"id", "fake"}]:
        raise PrivacyError(
            f"columns of a private fit must have categories or numbers, got ids: {listing(kinds)}. Drop them."
        )
    computed = {total.column for total in database.totals if total.table == name}
    counts = {child: f"rows of {child}" for child, key in database.parents.items() if key.parent == name}
    fields = [declared[column].model_dump(exclude_unset=True) for column in columns if column not in computed]
    fields += [
        {"name": column, "kind": "integer", "bounds": (0, caps[child]), "nullable": False}
        for child, column in counts.items()
        if child in caps
    ]
    if not fields:
        raise PrivacyError("a table of a private fit must have a column that is not a key.")
    origin = "declared" if given is None else given.origin
    if given is not None and given.columns:
        refuse_undeclared(given.model_copy(update={"constraints": ()}))
    if origin in DRAFTS:
        warn_user(f"table {name!r}: {DRAFTED}")
    schema = refuse_undeclared(Schema(columns=fields, origin=origin))
    if (order := database.order.get(name)) is not None:
        if order not in schema.names:
            raise PrivacyError(f"the order column {order!r} must be declared in `schemas`, like other columns.")
        declared_timeline(schema[order])
    return PrivatePlan(
        keys, schema, counts, tuple(c for c in names if c not in set(() if given is None else given.drop))
    )


def _keys(database: Database, name: str, declared: tuple[str, ...]) -> Keys:
    """How the keys of a table are filled, by what is declared alone."""
    columns: dict[str, KeyColumn] = {}
    parent = database.parents.get(name)
    links: list[tuple[int, ForeignKey]] = [
        (number, key)
        for number, key in enumerate(database.foreign_keys)
        if key.child == name and key.parent in database.ancestors(name)
    ]
    for number, key in sorted(links, key=lambda one: one[1] != parent):
        for mine, theirs in zip(key.columns, key.parent_columns, strict=True):
            columns.setdefault(
                mine, KeyColumn(name=mine, how="inherited", table=key.parent, column=theirs, link=number)
            )
    primary = database.primary_keys.get(name, ())
    referred = [c for key in database.foreign_keys if key.parent == name for c in key.parent_columns]
    for column in dict.fromkeys((*primary, *referred)):
        if column in columns or column in declared:
            continue
        if len(primary) > 1 and parent is not None:
            columns[column] = KeyColumn(name=column, how="position")
        else:
            ids = IdEncoding(name=column, pattern="sequence", missing=False)
            columns[column] = KeyColumn(name=column, how="fresh", ids=ids)
    return Keys(columns=tuple(columns.values()), links=())


def link_privately(
    database: Database, read: Tables, plans: Mapping[str, PrivatePlan], caps: Mapping[str, int]
) -> dict[str, LinkedTable]:
    """Return the rows of all tables, which obey their schemas, with no more of one subject than its caps allow.

    Of a subject with more rows of a table, the first ones by parent and order are used, and of those the ones whose
    parent is used. A subject's rows depend on its own rows alone.
    """
    tables = {name: read[name] for name in database.public}
    for name, plan in plans.items():
        own = [column.name for column in plan.schema.columns if column.name not in plan.counts.values()]
        whole = read[name].select([c for c in read[name].column_names if c in plan.keys.names])
        given = plan.schema.model_copy(update={"columns": tuple(plan.schema[column] for column in own)})
        obeying = conform(read[name], given) if own else whole.select([])
        for column in own:
            whole = whole.append_column(column, obeying.column(column))
        tables[name] = whole
    ranks = {name: _ranks(tables[name].column(column)) for name, column in database.order.items() if name in plans}
    linked = link(database, tables, ranks)
    kept = _kept(linked, caps)
    used = {**tables, **{name: table.rows.filter(pa.array(kept[name])) for name, table in linked.items()}}
    ranks = {name: np.arange(table.num_rows) for name, table in used.items()}  # they are sorted already
    return link(database, used, ranks)


def _ranks(values: pa.ChunkedArray) -> Places:
    """The rank (rows,) of each number or date; missing ones come last."""
    plain = (
        values.cast(pa.float64())
        if pa.types.is_floating(values.type)
        else values.cast(_whole(values.type)).cast(pa.int64())
    )
    numbers = plain.cast(pa.float64(), safe=False).to_numpy()
    return np.argsort(np.argsort(np.where(np.isnan(numbers), np.inf, numbers), kind="stable"))


def _whole(kind: pa.DataType) -> pa.DataType:
    plain = plain_type(kind)
    return pa.int32() if pa.types.is_date32(plain) else pa.int64()


def _kept(linked: Mapping[str, LinkedTable], caps: Mapping[str, int]) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    kept: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
    for name, table in linked.items():
        kept[name] = np.ones(table.rows.num_rows, bool)
        if table.family is not None:
            there = kept[table.ancestors[0]][table.family.parents]
            before: Places = np.cumsum(there) - there  # rows of a subject are together
            first = np.searchsorted(table.family.subjects, table.family.subjects)
            kept[name] = there & (before - before[first] < caps[name]) if len(there) else there
    return kept


def with_counts(plan: PrivatePlan, name: str, linked: Mapping[str, LinkedTable]) -> pa.Table:
    """Return the rows of a table without keys, with the number of rows in each child table."""
    rows = linked[name].rows
    rows = rows.select([c for c in rows.column_names if c not in plan.keys.names])
    numbers = children_counts(name, linked)
    for child, column in plan.counts.items():
        rows = rows.append_column(column, pa.array(numbers[child], pa.int64()))
    return rows
