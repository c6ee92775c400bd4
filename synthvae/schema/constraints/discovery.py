"""Rules that hold in a table: candidates from a random sample of its rows, verified in all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae.schema.column import Column
from synthvae.schema.constraints import (
    Constraint,
    FixedCombinations,
    categorical_search,
    conditional_search,
    numeric_search,
    time_search,
)
from synthvae.schema.constraints.comparable import codes, frame_of
from synthvae.schema.constraints.consistency import contradictions
from synthvae.schema.constraints.implications import ImpliesMissing, RequiredIf
from synthvae.schema.constraints.sample import SAMPLE_ROWS, Sample
from synthvae.schema.schema import Schema
from synthvae.tables import convert

SUPPORT = 0.999  # share of the rows in which a proposed rule holds, of those in which it can be judged
MIN_ROWS = 50  # in which it can be judged
MOST = 300  # proposals

SEARCHES: tuple[Callable[[Sample], Iterator[Constraint]], ...] = (
    time_search.differences,
    numeric_search.multiples,
    numeric_search.sums,
    numeric_search.inequalities,
    categorical_search.combinations,
    categorical_search.flags,
    categorical_search.implications,
    conditional_search.missing_together,
    conditional_search.implied_values,
    categorical_search.keys,
    numeric_search.increments,
)


@dataclass(frozen=True)
class Proposal:
    """A rule that holds in a table.

    Args:
        constraint: The rule.
        support: Share of the rows in which it holds, of those in which it can be judged.
        rows: Number of rows in which it can be judged.

    Example:
        >>> from synthvae.schema import Inequality
        >>> str(Proposal(Inequality(columns=["low", "high"]), 0.9995, 2000))
        'low <= high (in 99.95% of 2,000 rows)'
    """

    constraint: Any
    support: float
    rows: int

    def __str__(self) -> str:
        return f"{self.constraint} ({self.evidence})"

    @property
    def evidence(self) -> str:
        """The support in words; all rows are 100% only if no row breaks the rule."""
        share = "all" if self.support == 1 else f"{np.floor(self.support * 1e4) / 1e2:.2f}% of"
        return f"in {share} {self.rows:,} rows"


def propose(table: Any, schema: Schema, *, seed: int = 0) -> list[Proposal]:
    """Return rules that hold in at least 99.9 % of the rows of a table, and that would break if columns were shuffled.

    The search is bounded: candidates come from a sample of at most 20,000 rows. It finds inequalities of columns with
    one unit, sums, differences of dates, multiples and steps of numbers, hierarchies of categories, groups of flags,
    values that follow from another one or are missing under a condition, and keys of several columns. No rule of two
    columns is found that only repeats what each column alone shows, such as an order of columns whose ranges do not
    overlap.

    The result describes rows of the table: it must not be shown of a private one.

    Args:
        table: What `synthvae.tables.convert.read` takes.
        schema: The schema of its columns; other columns are not searched, nor are fake ones.
        seed: Seed of the sample.

    Example:
        >>> low = np.random.default_rng(0).integers(0, 50, 500)
        >>> rows = pd.DataFrame({"dose_min": low, "dose_max": low + np.arange(500) % 40})
        >>> print(*propose(rows, Schema.infer(rows)))
        dose_min <= dose_max (in all 500 rows)
    """
    read = convert.read(table)
    names = [c.name for c in schema.columns if c.kind != "fake" and c.name in read.column_names]
    names = [name for name in names if _is_searched(read.schema.field(name).type)]
    if read.num_rows < MIN_ROWS or not names:
        return []
    chosen = np.sort(np.random.default_rng(seed).permutation(read.num_rows)[:SAMPLE_ROWS])
    sample = Sample.of(frame_of(read.take(chosen), schema, names), schema, seed)
    cache: dict[str, pd.Series[Any]] = {}

    def rows(rule: Constraint) -> pd.DataFrame:
        for name in rule.touches:
            if name not in cache:
                cache[name] = frame_of(read, schema, [name])[name]
        return pd.DataFrame({name: cache[name] for name in rule.touches})

    with np.errstate(all="ignore"):  # sums of numbers near the largest one
        return list(_verified(sample, schema, rows))


def _is_searched(kind: pa.DataType) -> bool:
    """Whether values of a type can be compared; durations and times of day would be counted in their smallest unit."""
    return not (pa.types.is_nested(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind))


class _NoColumns:
    """A schema without columns, for rules that were checked against the columns before."""

    @property
    def names(self) -> list[str]:
        return []

    def __getitem__(self, name: str) -> Column:
        raise KeyError(name)


def _verified(sample: Sample, schema: Schema, rows: Callable[[Constraint], pd.DataFrame]) -> Iterator[Proposal]:
    """The candidates that hold in all rows, and do not contradict those before them."""
    accepted: list[Constraint] = []
    for search in SEARCHES:
        for rule in search(sample):
            if len(accepted) == MOST or rule in accepted or _is_implied(rule, accepted):
                continue
            found = _proposal(rule, rows(rule), schema)
            if found is not None and not rule.check(schema) and not contradictions([*accepted, rule], _NoColumns()):
                accepted.append(rule)
                yield found


def _proposal(rule: Constraint, frame: pd.DataFrame, schema: Schema) -> Proposal | None:
    applies = rule.applies(frame)
    count = int(applies.sum())
    if count < MIN_ROWS:
        return None
    held = _share_of_majority(rule, frame) if isinstance(rule, FixedCombinations) else None
    support = float(rule.holds(frame, schema)[applies].mean()) if held is None else held
    return Proposal(rule, support, count) if support >= SUPPORT else None


def _share_of_majority(rule: FixedCombinations, frame: pd.DataFrame) -> float:
    """The share of rows whose values are the most frequent ones of their value in the finest column."""
    keys = [codes(frame, [name]) for name in rule.columns]
    finest = max(keys, key=lambda key: len(np.unique(key)))
    joined = pd.DataFrame({"key": finest, "all": codes(frame, rule.columns)})
    joined = joined[joined["all"] >= 0]
    counts = joined.value_counts(sort=False)
    return float(counts.groupby("key").max().sum() / len(joined))


def _is_implied(rule: Constraint, accepted: list[Constraint]) -> bool:
    """Whether a rule follows from found ones: on a multiple of another column, on an equation, on fixed values."""
    touched = set(rule.touches)
    if isinstance(rule, (ImpliesMissing, RequiredIf)) and rule.condition.is_missing is not None:
        return any(touched <= set(other.columns) for other in accepted if isinstance(other, ImpliesMissing))
    if rule.kind == "if":
        groups = (set(other.touches) for other in accepted if other.kind in {"fixed_combinations", "one_hot"})
        return any(touched <= group for group in groups)
    if rule.kind == "increments":
        fixed = (other.touches if other.kind == "fixed_combinations" else other.computed for other in accepted)
        return any(touched <= set(names) for names in fixed)
    if any(touched & set(other.computed) for other in accepted if other.kind == "formula"):
        return rule.kind in {"inequality", "fixed_combinations", "sum", "difference"}
    equations = [set(other.touches) for other in accepted if other.kind == "sum"]
    return rule.kind in {"inequality", "fixed_combinations"} and any(touched <= equation for equation in equations)
