"""Section "fairness": differences of fidelity and utility between groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from synthvae.errors import listing
from synthvae.evaluation.comparison import Comparison, real_reference, shuffle_columns, split_rows
from synthvae.evaluation.fidelity.column_shapes import column_scores
from synthvae.evaluation.metrics import GROUP_FIDELITY, GROUP_SHARE, GROUP_UTILITY
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.utility.learners import Score, TrainTestData, boosting, interval

MOST_GROUPS = 12
LEAST_ROWS = 30  # of a group, in each table
MOST_ROWS = 10_000  # to train a model


Groups = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Grouping:
    """Assignment of rows to groups.

    Args:
        column: The column of the groups.
        labels: The groups: categories by frequency in the training rows, intervals of numbers in their order.
        edges: Edges of the intervals of a numeric column; empty for a categorical column.
    """

    column: str
    labels: tuple[str, ...]
    edges: tuple[float, ...] = ()

    @classmethod
    def from_values(cls, values: pd.Series[Any]) -> Grouping:
        """Return the groups of training values (N,): categories, or the quartiles of numbers."""
        name = str(values.name)
        if isinstance(values.dtype, pd.CategoricalDtype):
            counts = values.value_counts()
            return cls(name, tuple(map(str, counts.index[counts > 0])))
        edges = tuple(map(float, np.unique(values.dropna().quantile([0.25, 0.5, 0.75]))))
        ends = [f"{edge:.10g}" for edge in edges]
        middle = [f"{low} to {high}" for low, high in pairwise(ends)]
        labels = (f"up to {ends[0]}", *middle, f"above {ends[-1]}") if ends else ()
        return cls(name, labels, edges)

    def split(self, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the rows of each group; rows with a missing value are in no group."""
        values = rows[self.column]
        if self.edges:
            places = np.where(values.isna(), -1, np.searchsorted(self.edges, values))
            return {label: rows[places == place] for place, label in enumerate(self.labels)}
        return {label: rows[values == label] for label in self.labels}

    def among(self, labels: list[str], rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the rows of the given groups."""
        return {label: part for label, part in self.split(rows).items() if label in labels}


def fairness(comparison: Comparison, group: str, seed: int) -> Section:
    """Compare fidelity and utility between groups.

    Args:
        comparison: The tables.
        group: The column of the groups; a numeric one is divided at the quartiles of the training rows.
        seed: Random seed.

    Returns:
        Figures "group_share", "group_fidelity" and, if there is a target, "group_utility", see
        `synthvae.evaluation.METRICS`; detail "groups".
    """
    if group not in comparison.kinds:
        return Section(
            "fairness", notes=(f"Fairness was not measured: {group!r} is not a column that can be compared.",)
        )
    grouping = Grouping.from_values(comparison.real[group])
    notes: list[str] = []
    named = _large(grouping, comparison, notes)
    if len(named) < 2:
        notes.append(
            f"Fairness was not measured: {group!r} has less than two groups with {LEAST_ROWS} rows in each table."
        )
        return Section("fairness", notes=tuple(notes))
    rng = np.random.default_rng([seed, 51])
    shuffled = shuffle_columns(comparison.real, len(comparison.synthetic), rng)
    tables = {"real": comparison.real, "synthetic": comparison.synthetic, "independent": shuffled}
    tables["half"], tables["other half"] = real_reference(comparison, rng)
    rows = {name: grouping.among(named, table) for name, table in tables.items()}
    pairs = {"synthetic": ("real", "synthetic"), "real": ("half", "other half"), "independent": ("real", "independent")}
    shapes = {name: _shapes(rows[one], rows[other], group) for name, (one, other) in pairs.items()}
    scores = _scores(comparison, grouping, named, seed, notes)
    figures = [_share(tables, grouping), *_fidelity(shapes), *_utility(scores, notes)]
    return Section("fairness", tuple(figures), {"groups": _table(rows, shapes, scores)}, tuple(notes))


def _large(grouping: Grouping, comparison: Comparison, notes: list[str]) -> list[str]:
    """Return the first groups that have enough rows in both tables."""
    real, synthetic = grouping.split(comparison.real), grouping.split(comparison.synthetic)
    small = [label for label in grouping.labels if min(len(real[label]), len(synthetic[label])) < LEAST_ROWS]
    if small:
        notes.append(f"Groups with less than {LEAST_ROWS} training or synthetic rows were left out: {listing(small)}.")
    large = [label for label in grouping.labels if label not in small]
    if len(large) > MOST_GROUPS:
        notes.append(f"Only the {MOST_GROUPS} largest of {len(large)} groups were compared.")
    missing = int(comparison.real[grouping.column].isna().sum())
    if missing:
        notes.append(f"{missing} training rows have no value in {grouping.column!r} and are in no group.")
    return large[:MOST_GROUPS]


def _share(tables: Groups, grouping: Grouping) -> Figure:
    value, deviation = _largest_change(tables["real"], tables["synthetic"], grouping)
    real, _ = _largest_change(tables["half"], tables["other half"], grouping)
    floor, _ = _largest_change(tables["real"], tables["independent"], grouping)
    return Figure(GROUP_SHARE, value, interval(value, deviation), real, floor)


def _largest_change(one: pd.DataFrame, other: pd.DataFrame, grouping: Grouping) -> tuple[float, float]:
    """Return the largest difference of a group's share, and its standard error."""
    shares = [
        np.array([len(part) for part in grouping.split(rows).values()]) / max(len(rows), 1) for rows in (one, other)
    ]
    variances = sum(share * (1 - share) / max(len(rows), 1) for share, rows in zip(shares, (one, other), strict=True))
    differences = np.abs(shares[0] - shares[1])
    return float(differences.max()), float(np.sqrt(np.asarray(variances)[differences.argmax()]))


def _shapes(one: Groups, other: Groups, group: str) -> dict[str, float]:
    """Return the mean column score of each group that has enough rows in both tables."""
    large = [label for label in one if min(len(one[label]), len(other[label])) >= LEAST_ROWS]
    return {
        label: float(column_scores(*(rows[label].drop(columns=group) for rows in (one, other))).mean())
        for label in large
    }


def _fidelity(shapes: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    gaps = {name: _gap(list(found.values())) for name, found in shapes.items()}
    value = gaps["synthetic"]
    return [] if value is None else [Figure(GROUP_FIDELITY, value, None, gaps["real"], gaps["independent"])]


def _gap(values: list[float]) -> float | None:
    """Return the difference between the largest and the smallest of two or more values."""
    known = [value for value in values if np.isfinite(value)]
    return max(known) - min(known) if len(known) > 1 else None


def _scores(
    comparison: Comparison, grouping: Grouping, named: list[str], seed: int, notes: list[str]
) -> dict[str, dict[str, Score]]:
    """Return the score of gradient boosting on each group's test rows, by the rows that it was trained on."""
    if comparison.target is None or comparison.target == grouping.column:
        notes.append("There is no target besides the group: utility was not compared between groups.")
        return {}
    trial = TrainTestData.from_comparison(comparison, seed, MOST_ROWS)
    notes.extend(trial.notes)
    if trial.obstacle is not None:
        notes.append(trial.obstacle)
        return {}
    task, tests = trial.task, grouping.among(named, trial.test)
    scored = {label: rows for label, rows in tests.items() if len(rows) >= LEAST_ROWS and task.can_score(rows)}
    unscored = [label for label in named if label not in scored]
    if unscored:
        notes.append(f"Groups without utility, with too few test rows or one class only: {listing(unscored)}.")
    halves = split_rows(trial.training["real"], 1 / 2, np.random.default_rng([seed, 52]))
    training = {**trial.training, "half": halves[0], "other half": halves[1]}
    models = {name: task.fit(boosting(task, seed), rows) for name, rows in training.items()}
    return {
        label: {
            name: task.score(task.answers(rows), task.predict(model, task.features(rows)))
            for name, model in models.items()
        }
        for label, rows in scored.items()
    }


def _utility(scores: Mapping[str, Mapping[str, Score]], notes: list[str]) -> list[Figure]:
    if len(scores) < 2:
        if scores:
            notes.append("The gap in utility was not measured: it needs two groups with a score.")
        return []
    losses = {
        kind: [group[before].minus(group[after]) for group in scores.values()]
        for kind, before, after in (
            ("synthetic", "real", "synthetic"),
            ("real", "half", "other half"),
            ("independent", "real", "independent"),
        )
    }
    gaps = {kind: _gap([loss.value for loss in found]) for kind, found in losses.items()}
    by_size = sorted(losses["synthetic"], key=lambda loss: loss.value)
    value = by_size[-1].value - by_size[0].value
    deviation = float(np.hypot(by_size[-1].deviation, by_size[0].deviation))
    ends = interval(value, deviation, high=np.inf)
    return [Figure(GROUP_UTILITY, value, ends, gaps["real"], gaps["independent"])]


def _table(
    rows: Mapping[str, Groups],
    shapes: Mapping[str, Mapping[str, float]],
    scores: Mapping[str, Mapping[str, Score]],
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "group": label,
                "rows_real": len(real),
                "rows_synthetic": len(rows["synthetic"][label]),
                "shape": shapes["synthetic"].get(label, np.nan),
                "tstr": scores[label]["synthetic"].value if label in scores else np.nan,
                "trtr": scores[label]["real"].value if label in scores else np.nan,
            }
            for label, real in rows["real"].items()
        ]
    )
