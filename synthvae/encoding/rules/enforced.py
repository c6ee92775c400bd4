"""What each kind of rule leaves of a column, given the columns of a row that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.rules.allowed import Allowed, Part
from synthvae.encoding.rules.arithmetic import Added, Solved, differing
from synthvae.encoding.rules.known import Enforced, Known
from synthvae.encoding.rules.predicate import Predicate
from synthvae.encoding.rules.view import View
from synthvae.schema.constraints.combinations import FixedCombinations, OneHot
from synthvae.schema.constraints.comparable import Columns, label, truths
from synthvae.schema.constraints.computed import Difference, Formula, Sum
from synthvae.schema.constraints.implications import If, ImpliesMissing, RequiredIf
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint


@dataclass(frozen=True)
class Ascending:
    """The chain of an `Inequality`."""

    rule: Inequality
    views: Mapping[str, View]

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the numbers between those of the columns before and after in the chain."""
        place = self.rule.columns.index(name)
        low = self._ends(self.rule.columns[:place], known, first=False)
        high = self._ends(self.rule.columns[place + 1 :], known, first=True)
        view = self.views[name]
        if self.rule.strict:
            low = view.compared(view.grid.above(view.own(low), strict=True))
            high = view.compared(view.grid.below(view.own(high), strict=True))
        allowed.limit(low, high)

    def _ends(self, names: tuple[str, ...], known: Mapping[str, Known], *, first: bool) -> Floats:
        """The smallest (`first`) or the largest of the known numbers, (rows,) or one for all; NaN: there is none.

        Of a column that is not known and never missing, the smallest or largest number that it can have counts.
        """
        found: Floats = np.array(np.nan)
        nearest = np.fmin if first else np.fmax
        for name in names:
            if name in known:
                found = nearest(found, known[name].numbers)
            view = self.views.get(name)
            if view is not None and view.missing is None and not view.marks:
                found = nearest(found, view.limits[first])
        return found


@dataclass(frozen=True)
class Combined:
    """The combinations of a `FixedCombinations`.

    Args:
        rule: The rule.
        views: The columns that are modelled.
        sorted: The combinations of some columns, and the value of another in each, by their places.
    """

    rule: FixedCombinations
    views: Mapping[str, View]
    sorted: dict[tuple[int, tuple[int, ...]], tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = field(
        default_factory=dict
    )

    @cached_property
    def _codes(self) -> list[dict[str, int]]:
        """A number for each label of each column in the combinations."""
        columns = zip(*(self.rule.combinations or ()), strict=True)
        return [{text: i for i, text in enumerate(dict.fromkeys(map(label, column)))} for column in columns]

    @cached_property
    def _coded(self) -> npt.NDArray[np.int64]:
        """The numbers (combinations, columns) of the combinations."""
        columns = zip(self._codes, zip(*(self.rule.combinations or ()), strict=True), strict=True)
        return np.array([[codes[label(value)] for value in column] for codes, column in columns]).T

    @cached_property
    def _of_states(self) -> list[npt.NDArray[np.int64]]:
        """The number (states,) of the label of each state of each column; -1: no combination has it."""
        labels = [self.views[name].labels for name in self.rule.columns]
        pairs = zip(self._codes, labels, strict=True)
        return [np.array([-1 if text is None else codes.get(text, -1) for text in own]) for codes, own in pairs]

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the values that some combination has with the known ones, and missing ones."""
        place = self.rule.columns.index(name)
        others = [i for i, other in enumerate(self.rule.columns) if other in known and i != place]
        if not others:
            if all(self.views[other].missing is None for other in self.rule.columns):
                allowed.keep((self._of_states[place] >= 0)[None])  # beside a missing value, any other is allowed
            return
        there = np.stack([known[self.rule.columns[i]].there for i in others])
        patterns = [np.ones(len(others), bool)] if there.all() else np.unique(there, axis=1).T
        for pattern in patterns:
            rows = (there == pattern[:, None]).all(0)
            given = tuple(i for i, is_known in zip(others, pattern, strict=True) if is_known)
            if given:
                self._limit(place, given, known, allowed, rows)

    def _limit(
        self, place: int, given: tuple[int, ...], known: Mapping[str, Known], allowed: Allowed, rows: Mask
    ) -> None:
        """The same in some rows, in which the same columns are known."""
        values = [known[self.rule.columns[i]] for i in given]
        own = [self._of_states[i][value.states[rows]] for i, value in zip(given, values, strict=True)]
        missing = np.any([~value.present[rows] for value in values], axis=0)
        keys, of_keys = self._sorted(place, given)
        needed, inverse = np.unique(self._joined(own, given), return_inverse=True)
        first, last = (np.searchsorted(keys, needed, side) for side in ("left", "right"))
        table = np.zeros((len(needed), len(self._codes[place]) + 1), bool)
        for row, (start, stop) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            table[row, of_keys[start:stop]] = True
        view = self.views[self.rule.columns[place]]
        kept = table[:, self._of_states[place]][inverse] | np.asarray(missing)[:, None] | ~view.present
        whole = np.ones((allowed.rows, view.encoding.levels), bool)
        whole[rows] = kept
        allowed.keep(whole)

    def _sorted(self, place: int, given: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The combinations (combinations,) of some columns, ascending, and the value of a column in each."""
        if (place, given) not in self.sorted:
            joined = self._joined([self._coded[:, i] for i in given], given)
            order = np.argsort(joined, kind="stable")
            self.sorted[place, given] = joined[order], self._coded[order, place]
        return self.sorted[place, given]

    def _joined(self, parts: list[npt.NDArray[np.int64]], given: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """One number (rows,) for the labels of several columns, -1 among which is one that no combination has."""
        found = np.zeros(len(parts[0]), np.int64)
        for part, i in zip(parts, given, strict=True):
            found = found * (len(self._codes[i]) + 1) + part + 1
        return found


@dataclass(frozen=True)
class OneTrue:
    """The flags of a `OneHot`."""

    rule: OneHot
    views: Mapping[str, View]

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave false where another flag is true, and true where all others are known and false."""
        others = [other for other in self.rule.columns if other != name and other in known]
        if not others:
            return
        count, false = np.zeros(allowed.rows, int), np.zeros(allowed.rows, int)
        for other in others:
            value = known[other]
            truth = np.where(value.states < 0, -1, self._truths[other][np.maximum(value.states, 0)])
            count += value.there & (truth == 1)
            false += value.there & (truth == 0)
        own, present = self._truths[name], self.views[name].present
        last = false == len(self.rule.columns) - 1
        wanted = np.where((count > 0)[:, None], own == 0, np.where(last[:, None], own == 1, own >= 0))
        allowed.keep(wanted | ~present)

    @cached_property
    def _truths(self) -> dict[str, Floats]:
        """1, 0 or -1 (states,) of each flag."""
        return {name: truths(pd.Series(self.views[name].labels, dtype=object)) for name in self.rule.columns}


@dataclass(frozen=True)
class Implied:
    """An `If`, `ImpliesMissing` or `RequiredIf`."""

    rule: If | ImpliesMissing | RequiredIf
    views: Mapping[str, View]
    condition: Predicate
    then: Predicate | None

    @classmethod
    def of(cls, rule: If | ImpliesMissing | RequiredIf, views: Mapping[str, View]) -> Implied:
        """Return the implication of a rule."""
        condition = Predicate(views[rule.condition.column], rule.condition)
        then = Predicate(views[rule.then.column], rule.then) if isinstance(rule, If) else None
        return cls(rule, views, condition, then)

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave what follows from a condition that is met, and what does not meet it where that does not follow."""
        given = known.get(self.rule.condition.column)
        if name in self._targets and given is not None:
            met = given.there & self.condition.meets(given.states, given.numbers)
            if isinstance(self.rule, ImpliesMissing):
                allowed.forbid_present(met)
            elif self.then is None:
                allowed.forbid_missing(met)
            else:
                part = self.then.met
                allowed.keep_part(part._replace(states=part.states | ~self.views[name].present), met)
        if name == self.rule.condition.column:
            refuted = np.zeros(allowed.rows, bool)
            for target in self._targets:
                if target in known and target != name:
                    refuted |= self._refutes(known[target])
            if refuted.any():
                allowed.keep_part(self.condition.failed, refuted)

    @property
    def _targets(self) -> tuple[str, ...]:
        return (self.rule.then.column,) if isinstance(self.rule, If) else self.rule.columns

    def _refutes(self, value: Known) -> Mask:
        """In which rows (rows,) a known value does not follow from the condition."""
        if isinstance(self.rule, ImpliesMissing):
            return value.there & value.present
        if self.then is None:
            return value.there & ~value.present
        return value.there & value.present & ~self.then.meets(value.states, value.numbers)


def following(rule: If | ImpliesMissing | RequiredIf, view: View) -> Part:
    """Return the values of a column that a rule allows where its condition is met."""
    if isinstance(rule, ImpliesMissing):
        return Part(~view.present, ())
    if isinstance(rule, RequiredIf):
        return Part(view.present, Predicate.EVERY)
    part = Predicate(view, rule.then).met
    return part._replace(states=part.states | ~view.present)


def enforced(
    rule: Constraint, views: Mapping[str, View], columns: Columns, errors: Mapping[str, float] | None = None
) -> Enforced | None:
    """Return what a rule leaves of its columns; None: it is kept in another way.

    Args:
        rule: The rule.
        views: The columns that are modelled.
        columns: The declared columns.
        errors: The relative errors of numbers of less than double precision, by column.
    """
    slack = max((errors or {}).get(name, 0.0) for name in rule.touches)
    needed = rule.given if isinstance(rule, (Difference, Sum, Formula)) else rule.touches
    if not all(name in views for name in needed):
        return None
    match rule:
        case Difference():
            found: Enforced | None = differing(rule, views, columns[rule.result], slack)
        case Sum():
            found = Added(rule, views, slack)
        case Formula():
            found = Solved(rule, views, columns[rule.column], rule.parsed.evaluate, slack)
        case Inequality():
            found = Ascending(rule, views)
        case FixedCombinations(combinations=(_, *_)):
            found = Combined(rule, views)
        case OneHot():
            found = OneTrue(rule, views)
        case If() | ImpliesMissing() | RequiredIf():
            found = Implied.of(rule, views)
        case _:
            found = None
    return found
