"""Section "logic": whether synthetic rows keep the rules between columns, those declared and those that are found."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from synthvae.evaluation.metrics import RULES, WORST_RULE
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.thresholds import LEAST_KEPT, MOST_BROKEN
from synthvae.schema.constraints import Constraint, consistency
from synthvae.schema.constraints.comparable import BoolArray, frame_of
from synthvae.schema.constraints.discovery import propose
from synthvae.schema.schema import Schema

CONFIDENCE = 0.95  # of the interval of Clopper and Pearson
MOST_NOTED = 5  # rules that notes name


@dataclass(frozen=True)
class _Kept:
    """How often a rule is kept.

    Args:
        rule: The rule.
        declared: Whether the schema declares it.
        judged: Number of synthetic rows in which it can be judged.
        real: Share of real rows that keep it, of those in which it can be judged; NaN: in none.
        synthetic: The same share of synthetic rows.
        independent: The same share of rows whose columns are shuffled independently.
    """

    rule: Constraint
    declared: bool
    judged: int
    real: float
    synthetic: float
    independent: float


def logic(  # noqa: PLR0917 (the inputs of a section)
    real: pa.Table,
    synthetic: pa.Table,
    holdout: pa.Table | None,
    schema: Schema | None,
    seed: int,
    declared_alone: Collection[str] = (),
) -> Section | None:
    """Measure how many rows keep the rules that the schema declares, and those found in the training rows.

    Args:
        real: Training rows.
        synthetic: Synthetic rows.
        holdout: Real rows that were not used for training, which are the reference; None: the training rows are.
        schema: The schema of the training rows.
        seed: Random seed.
        declared_alone: Columns on which no rules are searched for.

    Returns:
        The figures of `synthvae.evaluation.metrics.SECTIONS["logic"]` and the detail "rules", worst first; None if no
        rule is known.

    Raises:
        SchemaError: A declared rule is on a column that the schema does not have.
    """
    if schema is None:
        return None
    consistency.refuse(consistency.unknown_columns(schema.constraints, schema))
    found = [proposal.constraint for proposal in propose(real, schema, seed=seed)]
    found = [rule for rule in found if not set(rule.touches) & set(declared_alone)]
    rules = list(dict.fromkeys([*schema.constraints, *found]))
    here = [rule for rule in rules if set(rule.touches) <= {*synthetic.column_names} & {*real.column_names}]
    if not here:
        return None
    tables = _Tables(real, synthetic, real if holdout is None else holdout, schema, seed)
    kept, every = tables.measure(here)
    binding = [one for one in kept if one.real >= LEAST_KEPT and one.judged]
    share, of_real, of_shuffled = (float(rows.mean()) for rows in every)
    figures = [Figure(RULES, share, real=of_real, independent=of_shuffled)]
    if binding:
        worst = min(binding, key=lambda one: one.synthetic)
        hits = stats.binomtest(round(worst.synthetic * worst.judged), worst.judged)
        low, high = hits.proportion_ci(CONFIDENCE, method="exact")
        figures.append(Figure(WORST_RULE, worst.synthetic, (float(low), float(high)), worst.real, worst.independent))
    notes = tuple(_notes(kept, [rule for rule in rules if rule not in here]))
    return Section("logic", tuple(figures), {"rules": _listed(kept)}, notes)


@dataclass(frozen=True)
class _Tables:
    """The tables whose rows are judged."""

    real: pa.Table
    synthetic: pa.Table
    reference: pa.Table
    schema: Schema
    seed: int

    def measure(self, rules: list[Constraint]) -> tuple[list[_Kept], list[BoolArray]]:
        """How often each rule is kept, and which synthetic, real and shuffled rows keep all that real rows keep."""
        rng = np.random.default_rng([self.seed, 0])
        rows = (self.synthetic.num_rows, self.reference.num_rows, self.real.num_rows)
        every = [np.ones(count, bool) for count in rows]
        declared = set(self.schema.constraints)
        kept = []
        for rule in rules:
            trained = frame_of(self.real, self.schema, rule.touches)
            learned = rule.learned(trained)
            frames = [
                frame_of(self.synthetic, self.schema, rule.touches),
                frame_of(self.reference, self.schema, rule.touches),
                pd.DataFrame({name: trained[name].to_numpy()[rng.permutation(len(trained))] for name in trained}),
            ]
            holds = [learned.holds(frame, self.schema) for frame in frames]
            applies = [learned.applies(frame) for frame in frames]
            shares = [float(h[a].mean()) if a.any() else math.nan for h, a in zip(holds, applies, strict=True)]
            kept.append(_Kept(rule, rule in declared, int(applies[0].sum()), shares[1], shares[0], shares[2]))
            if rule in declared or shares[1] >= LEAST_KEPT:
                every = [rows & kept_here for rows, kept_here in zip(every, holds, strict=True)]
        return kept, every


def _listed(kept: list[_Kept]) -> pd.DataFrame:
    ordered = sorted(kept, key=lambda one: one.synthetic - one.real if one.judged else 0.0)
    rows: list[dict[str, Any]] = [
        {
            "rule": str(one.rule),
            "origin": "declared" if one.declared else "found",
            "judged": one.judged,
            "real": one.real,
            "synthetic": one.synthetic,
            "independent": one.independent,
        }
        for one in ordered
    ]
    return pd.DataFrame(rows)


def _notes(kept: list[_Kept], absent: list[Constraint]) -> Iterator[str]:
    broken = sorted((one for one in kept if one.real - one.synthetic > MOST_BROKEN), key=lambda one: one.synthetic)
    for one in broken[:MOST_NOTED]:
        shares = f"{one.synthetic:.1%} of the synthetic rows, and in {one.real:.1%} of the real rows"
        yield f"The rule `{one.rule}` holds in {shares}."
    if len(broken) > MOST_NOTED:
        yield f"{len(broken) - MOST_NOTED} other rules are broken in more synthetic rows than real rows."
    for rule in absent:
        yield f"The rule `{rule}` was not judged, since a table lacks one of its columns."
