"""Rules and totals of private linked tables, by what is declared alone.

Rules are public. Rows keep them as they are drawn; whether training rows do is private, and not checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from synthvae.errors import PrivacyError, listing
from synthvae.relational.across_tables import implied
from synthvae.relational.linked_rules import inside, plan_rules, without_computed_bounds
from synthvae.relational.private_planning import PrivatePlan
from synthvae.schema.ancestor_columns import AncestorColumn, ancestor_columns
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.database import Database
from synthvae.schema.domain import limits, refuse_undeclared, timestamp_limits
from synthvae.schema.protection_rules import Subjects
from synthvae.schema.schema import Schema

DAY = 86_400  # seconds


def with_rules(
    database: Database, plans: Mapping[str, PrivatePlan], columns: Mapping[str, Collection[str]]
) -> dict[str, PrivatePlan]:
    """Return the plans of all tables with the rules that their rows keep.

    Args:
        database: The keys and the schemas.
        plans: What else is public of each table, each after its parent.
        columns: The columns of each table as it was read.

    Raises:
        PrivacyError: A rule is on a column without learned values, lacks its combinations, or the bounds of its columns
            leave no value for some row.
        SchemaError: A rule cannot be kept.
    """
    planner, found = _Planner(database, plans, columns), dict(plans)
    for name in reversed(list(plans)):  # rules of descendants imply some of their ancestors
        found[name] = planner.plan(name)
    return found


class _Planner:
    """The rules of tables, each before its ancestors; see `with_rules`."""

    def __init__(
        self, database: Database, plans: Mapping[str, PrivatePlan], columns: Mapping[str, Collection[str]]
    ) -> None:
        self.database, self.plans, self.columns = database, plans, columns
        self.implied: dict[str, list[Inequality]] = {}  # by the rules of descendants

    def plan(self, name: str) -> PrivatePlan:
        """Return the plan of a table with its rules."""
        own, given, order = self.plans[name], self.database.schemas.get(name), self.database.order.get(name)
        declared = [rule for rule in (() if given is None else given.constraints) if not isinstance(rule, Unique)]
        others = [rule for rule in dict.fromkeys(self.implied.get(name, ())) if rule not in declared]
        if not declared and not others:
            return own
        ancestors = ancestor_columns(self.database, name, (*declared, *others), self.columns)
        usable = self._usable(name, ancestors)
        for rule in declared:
            _refuse_unusable(name, rule, usable)
        drawn = [column for column in usable if column not in {*ancestors, order}]
        others = [rule for rule in others if set(rule.touches) <= usable.keys() and set(rule.touches) & set(drawn)]
        constraints = [*declared, *others]
        for pair in implied(constraints, ancestors):
            self._imply(pair, ancestors)
        schema = Schema(columns=[column.model_dump(exclude_unset=True) for column in usable.values()])
        rules = plan_rules(name, constraints, schema, None, drawn, Subjects(0, None), order)
        if rules is None:
            return own
        refuse_undeclared(schema.model_copy(update={"constraints": rules.constraints}))
        stage = {column: 0 if column in ancestors else 1 if column == order else 2 for column in usable}
        for rule in (rule for rule in constraints if isinstance(rule, Inequality)):
            _refuse_strict(name, rule, stage)
            _refuse_narrow(name, rule, stage, usable)
        kept = inside(rules, drawn)
        own_schema = own.schema.model_copy(update={"constraints": () if kept is None else kept.constraints})
        rules = without_computed_bounds(rules, drawn, ())
        return replace(own, schema=own_schema, rules=rules, ancestors=ancestors)

    def _usable(self, name: str, ancestors: Mapping[str, AncestorColumn]) -> dict[str, Column]:
        """The columns with learned values: those of the table, and of its ancestors by the names that rules give."""
        found = {column.name: column for column in self._learned(name)}
        for other, (table, column) in ancestors.items():
            known = {one.name: one for one in self._learned(table)}
            if column in known:
                found[other] = known[column].model_copy(update={"name": other})
        return found

    def _learned(self, name: str) -> list[Column]:
        """The columns of a table that are drawn, without the numbers of rows in child tables."""
        plan = self.plans[name]
        return [column for column in plan.schema.columns if column.name in plan.names]

    def _imply(self, pair: Sequence[str], ancestors: Mapping[str, AncestorColumn]) -> None:
        """Take note of the order of two columns of ancestors, without which a row could leave none for its rows."""
        places = [ancestors[column] for column in pair]
        nearest = max((place.table for place in places), key=lambda table: len(self.database.ancestors(table)))
        names = [place.column if place.table == nearest else f"{place.table}.{place.column}" for place in places]
        self.implied.setdefault(nearest, []).append(Inequality(columns=names))


def _refuse_unusable(name: str, rule: Constraint, usable: Collection[str]) -> None:
    """Refuse a rule on keys, dropped columns, totals or unknown columns."""
    if other := [column for column in rule.touches if column not in usable]:
        raise PrivacyError(
            f"Table {name!r}: the rule `{rule}` of a private fit must be on columns with learned values of the table "
            f"and of its ancestors, which are neither keys nor totals, got {listing(other)}. Remove the rule."
        )


def _refuse_narrow(name: str, rule: Inequality, stage: Mapping[str, int], columns: Mapping[str, Column]) -> None:
    """Refuse an order of columns in which one that is drawn first can leave none of the bounds of a later one.

    Args:
        name: The table.
        rule: The order.
        stage: When each column is drawn.
        columns: The columns.
    """
    for low, high in itertools.combinations(rule.columns, 2):
        end = 1 if stage[low] < stage[high] else 0  # that of the column that is drawn first
        first, second = _ends(columns[low])[end], _ends(columns[high])[end]
        if stage[low] != stage[high] and (first > second or (first == second and rule.strict)):
            raise PrivacyError(
                f"Table {name!r}: the {('lower', 'upper')[end]} bound of {low!r} must be "
                f"{'less than' if rule.strict else 'at most'} that of {high!r} under the rule `{rule}`, so that every "
                "row has a value that keeps it. Change the `bounds`, or remove the rule."
            )


def _refuse_strict(name: str, rule: Inequality, stage: Mapping[str, int]) -> None:
    """Refuse a column strictly between two that are drawn first: neighbouring values leave none between them."""
    own = [stage[column] for column in rule.columns]
    if rule.strict and any(min(own[:i]) < own[i] > min(own[i + 1 :]) for i in range(1, len(own) - 1)):
        raise PrivacyError(
            f"Table {name!r}: the rule `{rule}` of a private fit must not be strict, since two neighbouring values "
            "that are drawn first leave none between them. Declare `strict: false`."
        )


def _ends(column: Column) -> tuple[float, float]:
    """The declared ends of a column, those of dates and times in seconds since 1970."""
    if column.kind not in TEMPORAL:
        return limits(column)
    unit = DAY if column.kind == "date" else 1
    low, high = timestamp_limits(column)
    return float(low * unit), float(high * unit)
