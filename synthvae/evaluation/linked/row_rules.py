"""Section "logic" of linked tables: rules between the columns of a row, and dates of its ancestors."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from synthvae.evaluation.linked.linked_rows import LinkedComparison
from synthvae.evaluation.logic import logic
from synthvae.evaluation.results import Section
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.schema import Schema


def row_rules(comparison: LinkedComparison, name: str, seed: int) -> Section | None:
    """Measure how many rows keep the rules that their schema declares, and those found in the training rows.

    Dates of the ancestors are columns of the row, too, so that "a visit is after the birth" is such a rule.

    Args:
        comparison: The tables.
        name: The table.
        seed: Random seed.
    """
    known = comparison.tables[name].schema
    assert known is not None
    dates = [
        (ancestor, column)
        for ancestor in comparison.database.ancestors(name)
        for column in comparison.kinds(ancestor).values()
        if column.kind in TEMPORAL
    ]
    columns = [column for column in known.columns if column.name in comparison.kinds(name)]
    columns += [column.model_copy(update={"name": f"{ancestor}.{column.name}"}) for ancestor, column in dates]
    rules = [rule for rule in known.constraints if set(rule.touches) <= {column.name for column in columns}]
    schema = Schema(columns=[c.model_dump(exclude_unset=True) for c in columns], inferred=True, constraints=rules)
    tables = {role: _joined(comparison, name, role, dates) for role in comparison.sides}
    found = logic(tables["real"], tables["synthetic"], tables.get("holdout"), schema, seed)
    return None if found is None else replace(found, table=name)


def _joined(comparison: LinkedComparison, name: str, role: str, dates: list[tuple[str, Column]]) -> pa.Table:
    """The compared columns of a table, and dates of the row's ancestors."""
    side, read = comparison.sides[role], comparison.read[role]
    own = read[name].select(list(comparison.kinds(name))).take(side[name].source)
    lines = comparison.lines(name, side)
    for ancestor, column in dates:
        values = read[ancestor].column(column.name).take(side[ancestor].source[lines[ancestor]])
        own = own.append_column(f"{ancestor}.{column.name}", values)
    return own
