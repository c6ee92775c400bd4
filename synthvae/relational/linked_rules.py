"""Rules between columns in linked tables: which can be kept, and rows that keep them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.encoding.arrays import Mask, Scores, States
from synthvae.encoding.rules import Rules
from synthvae.encoding.rules.session import RowsUnderRules
from synthvae.errors import RequestError, SchemaError, listing
from synthvae.generation.ruled import MAX_ROUNDS
from synthvae.model.restrictions import Restriction
from synthvae.relational.sequences import Places
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.comparable import frame_of
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.database import Database
from synthvae.schema.protection_rules import Subjects
from synthvae.schema.schema import Schema


def with_unique_rules(database: Database) -> Database:
    """Return a database whose rules of distinct rows are in `unique`, since its rows are drawn so that they differ.

    A rule of a child table must have the columns of its parent, since rows of other parents are drawn apart. One on the
    primary key holds in any case.

    Raises:
        SchemaError: A rule cannot be kept.
    """
    unique = dict(database.unique)
    for name, schema in database.schemas.items():
        for rule in schema.constraints:
            if isinstance(rule, Unique) and set(rule.columns) != set(database.primary_keys.get(name, ())):
                unique[name] = _unique_columns(database, name, rule, unique.get(name))
    return database.model_copy(update={"unique": unique})


def _unique_columns(database: Database, name: str, rule: Unique, declared: tuple[str, ...] | None) -> tuple[str, ...]:
    link = database.parents.get(name)
    if link is None or not set(link.columns) < set(rule.columns):
        needs = "declare them as its primary key" if link is None else f"add the columns {listing(link.columns)}"
        raise SchemaError(
            f"Table {name!r}: the rule `{rule}` must be within the rows of one parent, or its primary key. Remove it, "
            f"or {needs}."
        )
    columns = tuple(column for column in rule.columns if column not in link.columns)
    if declared is not None and set(declared) != set(columns):
        raise SchemaError(
            f"Table {name!r}: only one set of columns can be unique within a parent, got {listing(declared)} and "
            f"{listing(columns)}. Remove one of them."
        )
    return columns


def plan_rules(  # noqa: PLR0917 (what rules depend on)
    name: str,
    constraints: Collection[Constraint],
    schema: Schema,
    rows: pa.Table | None,
    drawn: Collection[str],
    subjects: Subjects,
    order: str | None = None,
) -> Rules | None:
    """Return the rules of a table that its synthetic rows are to keep; None without any.

    Args:
        name: The table.
        constraints: The rules of its schema.
        schema: A schema of all columns that they may be on, which are neither keys nor dropped.
        rows: The training rows, with the columns of ancestors, from which combinations of values are learned; None
            for a table without ancestors, whose synthesizer learns them.
        drawn: The columns that are drawn with the row, so that a row that breaks a rule can be drawn again.
        subjects: The subjects of the rows, and how many of them a combination of values must have.
        order: The order column, which is kept within the limits of columns that are known before it.

    Raises:
        SchemaError: A rule cannot be kept.
        TableError: No combination of a rule has so many subjects.
    """
    kept = [rule for rule in constraints if not isinstance(rule, Unique)]
    for rule in kept:
        if other := [column for column in rule.touches if column not in schema.names]:
            raise SchemaError(
                f"Table {name!r}: the rule `{rule}` must be on columns with learned values, got the key or dropped "
                f"columns {listing(other)}. Remove the rule."
            )
        limits_order = isinstance(rule, Inequality) and order in rule.columns
        if not set(rule.touches) & set(drawn) and not limits_order:
            raise SchemaError(
                f"Table {name!r}: the rule `{rule}` must be on a column beside the order column and those that all "
                "rows of a parent share, since these are drawn before. Remove the rule."
            )
    if not kept:
        return None
    touched = dict.fromkeys(column for rule in kept for column in rule.touches)
    columns = [schema[column].model_dump(exclude_unset=True) for column in touched]
    ruled = Schema(columns=columns, constraints=kept)
    rules = Rules.of(ruled, rows)
    if rules is None or rows is None or not subjects.least:
        return rules
    return rules.protected(ruled, (rows, rows), subjects.least, subjects.units)


def without_computed_bounds(rules: Rules, drawn: Collection[str], but: Collection[str]) -> Rules:
    """Return rules without the bounds of columns that are computed from values drawn before the row.

    A row beyond such bounds could not be drawn again.

    Args:
        rules: The rules.
        drawn: The columns that are drawn with the row.
        but: Columns whose bounds are kept.
    """
    free = {name for name, rule in rules.computing.items() if set(rule.touches) - set(drawn)} - set(but)
    columns = [c.model_copy(update={"bounds": None}) if c.name in free else c for c in rules.columns]
    return rules.model_copy(update={"columns": tuple(columns)})


def inside(rules: Rules | None, names: Collection[str]) -> Rules | None:
    """Return the rules on some columns alone, which are kept as these are drawn; None without any."""
    if rules is None:
        return None
    kept = [rule for rule in rules.constraints if set(rule.touches) <= set(names)]
    touched = {column for rule in kept for column in rule.touches}
    columns = tuple(column for column in rules.columns if column.name in touched)
    return Rules(constraints=tuple(kept), columns=columns) if kept else None


def decode_kept(
    rules: Rules, decode: Callable[[], pa.Table], redraw: Callable[[Places], None], given: Mask
) -> pa.Table:
    """Decode rows of a child table, and draw those again that break a rule, until none does.

    Args:
        rules: All rules of the table.
        decode: Decodes all rows.
        redraw: Draws the rows at some places again.
        given: Which rows (rows,) are given: these stay as they are.

    Raises:
        RequestError: Some rows break a rule in each of `MAX_ROUNDS` rounds.
    """
    for _ in range(MAX_ROUNDS):
        rows = decode()
        broken = np.flatnonzero(rules.broken(rows) & ~given)
        if not len(broken):
            return rows
        redraw(broken)
    worst = max(
        rules.constraints, key=lambda rule: int((~rule.holds(frame_of(rows, rules, rule.touches), rules)).sum())
    )
    raise RequestError(
        f"Rows that keep the rule `{worst}` must be likely enough to be drawn, got {len(broken)} of {rows.num_rows} "
        f"rows that break a rule after {MAX_ROUNDS} rounds. Train longer, or remove the rule."
    )


class InnovationRules:
    """Rules of rows whose values are drawn as innovations; see `RowRules`.

    Args:
        rows: The rows under the rules, whose values are scores.
        values: The number of the value of each cell that has one.
        predicted: The predicted scores (rows, V).
        scale: The scales (rows, V) of the innovations.
    """

    weighed: frozenset[int] = frozenset()

    def __init__(
        self,
        rows: RowsUnderRules,
        values: Mapping[int, int],
        predicted: npt.NDArray[np.float64],
        scale: npt.NDArray[np.float64],
    ) -> None:
        self.rows, self.values, self.predicted, self.scale = rows, values, predicted, scale
        self.cells = rows.cells

    def restrict(self, cell: int) -> Restriction | None:
        """Return what the cells so far leave of a cell, its values as innovations; None: everything."""
        found = self.rows.restrict(cell)
        if found is None or found.low is None or found.high is None or cell not in self.values:
            return found
        value = self.values[cell]
        low, high = ((ends - self.predicted[:, value]) / self.scale[:, value] for ends in (found.low, found.high))
        return found._replace(low=low, high=high)

    def record(self, cell: int, digits: States, values: Scores | None, rows: slice | States) -> None:
        """Take note of a cell of some rows, whose values are innovations."""
        if values is not None and cell in self.values:
            value = self.values[cell]
            scores = self.predicted[rows, value] + self.scale[rows, value] * values
            values = scores.astype(np.float32)
        self.rows.record(cell, digits, values, rows)
