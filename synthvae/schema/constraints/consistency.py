"""Rules that contradict each other or the columns of a schema: every problem is one sentence, with its way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise

from synthvae.errors import SchemaError, listing
from synthvae.schema.constraints.comparable import Columns
from synthvae.schema.constraints.condition import Condition
from synthvae.schema.constraints.implications import ImpliesMissing, RequiredIf
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.problems import suggestion

MAX_STATED = 10  # problems that a message states
MAX_RULES = 10_000
Graph = Mapping[str, Iterable[str]]


def refuse(problems: Sequence[str]) -> None:
    """Raise one error for all problems of rules, if there are any.

    Raises:
        SchemaError: There is a problem.
    """
    if problems:
        raise SchemaError(joined(problems))


def joined(problems: Sequence[str]) -> str:
    """Return problems as one message.

    >>> joined(["One.", "Another."])
    '2 problems with rules. One. Another.'
    """
    count = [f"{len(problems)} problems with rules."] if len(problems) > 1 else []
    rest = ["Correct these, and read the schema again for the others."] if len(problems) > MAX_STATED else []
    return " ".join([*count, *problems[:MAX_STATED], *rest])


def unknown_columns(rules: Iterable[Constraint], columns: Columns) -> list[str]:
    """Return a problem for each rule on columns that a complete schema does not have.

    Args:
        rules: The rules.
        columns: The schema of all columns.
    """
    known = columns.names
    among = set(known)
    absent = {rule: [name for name in rule.touches if name not in among] for rule in rules}
    return [
        f"The rule `{rule}` must be on columns of the table, got {listing(names)}.{suggestion(names, known)} Correct "
        f"the names, or remove the rule."
        for rule, names in absent.items()
        if names
    ]


def contradictions(rules: Sequence[Constraint], columns: Columns, drop: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with rules, alone and together, as far as the columns are known.

    Args:
        rules: The rules.
        columns: The schema, which may be partial.
        drop: The columns that are left out of the table.
    """
    if len(rules) > MAX_RULES:
        return [f"A schema must have at most {MAX_RULES:,} rules, got {len(rules):,}. Remove some."]
    found = list(_dropped(rules, drop))
    found += [problem for rule in dict.fromkeys(rules) for problem in rule.check(columns)]
    found += _repeated(rules)
    found += _computed_twice(rules)
    found += _opposed(rules)
    found += _order_cycle(rules)
    found += _formula_cycle(rules)
    return found


def _dropped(rules: Sequence[Constraint], drop: Sequence[str]) -> Iterator[str]:
    for rule in rules:
        if gone := [name for name in rule.touches if name in drop]:
            yield f"The rule `{rule}` is on columns that are dropped, {listing(gone)}. Remove the rule, or keep them."


def _repeated(rules: Sequence[Constraint]) -> Iterator[str]:
    for rule, count in Counter(rules).items():
        if count > 1:
            yield f"The rule `{rule}` must be declared once, got it {count} times. Remove the others."


def _computed_twice(rules: Sequence[Constraint]) -> Iterator[str]:
    by_column: dict[str, list[str]] = {}
    for rule in dict.fromkeys(rules):
        for name in rule.computed:
            by_column.setdefault(name, []).append(f"`{rule}`")
    for name, several in by_column.items():
        if len(several) > 1:
            yield f"Column {name!r} must be computed by one rule, got {' and '.join(several)}. Remove all but one."


def _opposed(rules: Sequence[Constraint]) -> Iterator[str]:
    """Values that are missing and present under the same condition."""
    missing: dict[Condition, list[ImpliesMissing]] = {}
    for rule in rules:
        if isinstance(rule, ImpliesMissing):
            missing.setdefault(rule.condition, []).append(rule)
    for rule in (rule for rule in rules if isinstance(rule, RequiredIf)):
        for other in missing.get(rule.condition, ()):
            if both := [name for name in rule.columns if name in other.columns]:
                yield f"The rules `{rule}` and `{other}` contradict each other for {listing(both)}. Remove one."


def _order_cycle(rules: Sequence[Constraint]) -> Iterator[str]:
    graph: dict[str, list[str]] = {}
    strict = set()
    for rule in rules:
        for low, high in rule.pairs if isinstance(rule, Inequality) else ():
            graph.setdefault(low, []).append(high)
            if isinstance(rule, Inequality) and rule.strict:
                strict.add((low, high))
    if cycle := find_cycle(graph):
        edges = list(pairwise(cycle))
        shown = cycle[0] + "".join(f" {'<' if edge in strict else '<='} {edge[1]}" for edge in edges)
        why = "which no row keeps" if strict & set(edges) else "which only equal values keep"
        yield (
            f"Inequalities must not form a cycle, got `{shown}`, {why}. Remove one of them; equal columns are a rule "
            "of kind formula."
        )


def _formula_cycle(rules: Sequence[Constraint]) -> Iterator[str]:
    graph = {name: [t for t in rule.touches if t not in rule.computed] for rule in rules for name in rule.computed}
    if cycle := find_cycle(graph):
        yield (
            f"Computed columns must not depend on each other in a cycle, got {' from '.join(map(repr, cycle))}. Remove "
            "one of these rules."
        )


def find_cycle(graph: Graph) -> list[str]:
    """Return the nodes of a cycle, of which the first is repeated at the end; empty if there is none.

    >>> find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c', 'b']
    """
    done: set[str] = set()
    for start in graph:
        path: dict[str, Iterator[str]] = {}
        node: str | None = start
        while node is not None:
            if node not in path and node not in done:
                path[node] = iter(graph.get(node, ()))
            following = next((n for n in path[node] if n not in done), None) if node in path else None
            if following in path:
                nodes = list(path)
                return [*nodes[nodes.index(str(following)) :], str(following)]
            if following is None:
                done.add(node)
                path.pop(node, None)
                node = next(reversed(path), None)
            else:
                node = following
    return []


def in_order(rules: Sequence[Constraint]) -> list[Constraint]:
    """Return the rules that compute columns, each after those whose result it needs.

    Args:
        rules: Rules without a cycle.
    """
    by_column = {name: rule for rule in rules for name in rule.computed}
    needs = {
        rule: [by_column[name] for name in rule.touches if name in by_column and name not in rule.computed]
        for rule in by_column.values()
    }
    return list(TopologicalSorter(needs).static_order())
