"""Section "logic" of linked tables: rules between the columns of a row, those of its ancestors, and its totals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from synthvae.evaluation.linked.key_places import places_of
from synthvae.evaluation.linked.linked_rows import LinkedComparison
from synthvae.evaluation.logic import logic
from synthvae.evaluation.results import Section
from synthvae.schema.ancestor_columns import AncestorColumn, ancestor_columns
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.constraints.computed import Formula
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.schema import Schema
from synthvae.schema.totals import Total, numbers_of, values_of


def row_rules(comparison: LinkedComparison, name: str, seed: int) -> Section | None:
    """Measure how many rows keep the rules that their schema declares, and those found in the training rows.

    Dates of the ancestors are columns of the row, too, so that "a visit is after the birth" is such a rule; so are the
    columns of ancestors that declared rules name, and the sums, counts and ends of child rows that are declared totals.

    Args:
        comparison: The tables.
        name: The table.
        seed: Random seed.
    """
    database, kinds = comparison.database, comparison.kinds(name)
    given = database.schemas.get(name)
    declared = () if given is None else given.constraints
    tables = (name, *database.ancestors(name))
    known = ancestor_columns(database, name, declared, {table: comparison.kinds(table) for table in tables})
    known |= {
        f"{ancestor}.{column.name}": AncestorColumn(ancestor, column.name)
        for ancestor in tables[1:]
        for column in comparison.kinds(ancestor).values()
        if column.kind in TEMPORAL
    }
    columns = list(kinds.values())
    columns += [comparison.kinds(t)[c].model_copy(update={"name": shown}) for shown, (t, c) in known.items()]
    names = {column.name for column in columns}
    rules: list[Constraint] = [rule for rule in declared if set(rule.touches) <= names]
    totals = list(_totals(comparison, name))
    added: list[str] = []
    for total in totals:
        columns += (more := _columns_of(total, kinds[total.column]))
        added += [column.name for column in more]
        rules.append(_rule_of(total, kinds[total.column]))
    schema = Schema(columns=[c.model_dump(exclude_unset=True) for c in columns], inferred=True, constraints=rules)
    joined = {role: _joined(comparison, name, role, known, totals) for role in comparison.sides}
    found = logic(joined["real"], joined["synthetic"], joined.get("holdout"), schema, seed, added)
    return None if found is None else replace(found, table=name)


def _totals(comparison: LinkedComparison, name: str) -> Iterator[Total]:
    """The totals of a table whose columns are compared."""
    for total in comparison.database.totals:
        compared = total.of is None or total.of in comparison.kinds(total.child)
        if compared and total.table == name and total.column in comparison.kinds(name) and "`" not in total.what:
            yield total


def _columns_of(total: Total, column: Column) -> list[Column]:
    """The column of what is added up, and for dates that of the total as a number."""
    if column.kind in TEMPORAL:
        return [Column(name=shown, kind="integer") for shown in (_shown(total, column), total.what)]
    return [Column(name=total.what, kind="continuous")]


def _rule_of(total: Total, column: Column) -> Constraint:
    return Formula(column=_shown(total, column), expression=f"`{total.what}`")


def _shown(total: Total, column: Column) -> str:
    """The name of the total among the columns; that of a date is compared in microseconds."""
    return f"{total.column} in microseconds" if column.kind in TEMPORAL else total.column


def _joined(
    comparison: LinkedComparison, name: str, role: str, known: Mapping[str, AncestorColumn], totals: list[Total]
) -> pa.Table:
    """The compared columns of a table, columns of the rows' ancestors, and what totals add up."""
    side, read, kinds = comparison.sides[role], comparison.read[role], comparison.kinds(name)
    source = side[name].source
    own = read[name].select(list(kinds)).take(source)
    lines = comparison.lines(name, side)
    for shown, (ancestor, column) in known.items():
        values = read[ancestor].column(column).take(side[ancestor].source[lines[ancestor]])
        own = own.append_column(shown, values)
    for total in totals:
        of = None if total.of is None else comparison.kinds(total.child)[total.of]
        parents = places_of(comparison.database.parents[total.child], read)
        mine = kinds[total.column]
        if mine.kind in TEMPORAL:
            stated = numbers_of(mine, read[name])[source]
            own = own.append_column(_shown(total, mine), pa.array(stated, from_pandas=True))
        found = values_of(total, parents, read, of)[source]
        own = own.append_column(total.what, pa.array(found, from_pandas=True))
    return own
