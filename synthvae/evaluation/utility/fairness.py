"""Fairness: whether synthetic rows are as good for each group of people as for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from synthvae.errors import listing
from synthvae.evaluation.comparison import Comparison, fresh, independent, parts
from synthvae.evaluation.fidelity.marginals import column_scores
from synthvae.evaluation.results import Figure, Metric, Section
from synthvae.evaluation.utility.learners import Score, Trial, boosting, interval

MOST_GROUPS = 12
LEAST_ROWS = 30  # of a group, in each table
MOST_ROWS = 10_000  # that a model learns

SHARE = Metric(
    "group_share",
    "Change of a group's share",
    "lower",
    "The largest difference between a group's share of the synthetic rows and its share of the real ones, as a "
    "fraction of all rows.",
    "Interval: difference of two proportions, Newcombe 1998, method 1, "
    "https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;2-I",
    "A rare group may be lost and the difference small.",
)
FIDELITY = Metric(
    "group_fidelity",
    "Gap of fidelity between groups",
    "lower",
    "How much worse the columns of the worst group look than those of the best: the difference of their mean column "
    "scores (1: the same distribution as the real rows of the group).",
    "Largest gap between groups: Bhanot et al. 2021, https://doi.org/10.3390/e23091165; column scores: see `shape`",
    "Of a small group scores are lower though its rows are real: read it beside that of fresh real rows.",
)
UTILITY = Metric(
    "group_utility",
    "Gap of utility between groups",
    "lower",
    "How unequally groups lose by learning from synthetic rows: the largest loss of boosting's score on a group's real "
    "rows, less the smallest.",
    "Largest gap between groups: Bhanot et al. 2021, https://doi.org/10.3390/e23091165; loss: see `tstr`",
    "A model may be unfair to a group though it loses nothing.",
)

Groups = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Grouping:
    """How rows fall into groups.

    Args:
        column: The column.
        labels: The groups, those of most real rows first; of numbers in their order.
        edges: Where a column of numbers is cut; none: it is one of categories.
    """

    column: str
    labels: tuple[str, ...]
    edges: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Grouping:
        """Return the groups of real values (N,): categories, or the quarters of numbers."""
        name = str(values.name)
        if isinstance(values.dtype, pd.CategoricalDtype):
            counts = values.value_counts()
            return cls(name, tuple(map(str, counts.index[counts > 0])))
        edges = tuple(map(float, np.unique(values.dropna().quantile([0.25, 0.5, 0.75]))))
        ends = [f"{edge:.10g}" for edge in edges]
        middle = [f"{low} to {high}" for low, high in pairwise(ends)]
        labels = (f"up to {ends[0]}", *middle, f"above {ends[-1]}") if ends else ()
        return cls(name, labels, edges)

    def parts(self, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the rows of each group; those whose group is missing are in none."""
        values = rows[self.column]
        if self.edges:
            places = np.where(values.isna(), -1, np.searchsorted(self.edges, values))
            return {label: rows[places == place] for place, label in enumerate(self.labels)}
        return {label: rows[values == label] for label in self.labels}

    def among(self, labels: list[str], rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the rows of some groups."""
        return {label: part for label, part in self.parts(rows).items() if label in labels}


def fairness(comparison: Comparison, group: str, seed: int) -> Section:
    """Tell fidelity and utility apart by group.

    Args:
        comparison: The tables.
        group: The column of the groups; one of numbers is cut at the quartiles of the real rows.
        seed: Of everything that is drawn.

    Returns:
        Figures "group_share", "group_fidelity" and, if there is a target, "group_utility"; detail "groups".
    """
    if group not in comparison.kinds:
        return Section("fairness", notes=(f"The group {group!r} is no column that can be compared.",))
    grouping = Grouping.of(comparison.real[group])
    notes: list[str] = []
    named = _large(grouping, comparison, notes)
    if len(named) < 2:
        notes.append(
            f"Fairness was not measured: {group!r} has less than two groups of {LEAST_ROWS} rows in each table."
        )
        return Section("fairness", notes=tuple(notes))
    rng = np.random.default_rng([seed, 51])
    shuffled = independent(comparison.real, len(comparison.synthetic), rng)
    tables = {"real": comparison.real, "synthetic": comparison.synthetic, "independent": shuffled}
    tables["known"], tables["fresh"] = fresh(comparison, rng)
    rows = {name: grouping.among(named, table) for name, table in tables.items()}
    pairs = {"synthetic": ("real", "synthetic"), "real": ("known", "fresh"), "independent": ("real", "independent")}
    shapes = {name: _shapes(rows[one], rows[other], group) for name, (one, other) in pairs.items()}
    scores = _scores(comparison, grouping, named, seed, notes)
    figures = [_share(tables, grouping), *_fidelity(shapes), *_utility(scores, notes)]
    return Section("fairness", tuple(figures), {"groups": _table(rows, shapes, scores)}, tuple(notes))


def _large(grouping: Grouping, comparison: Comparison, notes: list[str]) -> list[str]:
    """The groups of enough rows in both tables, the first few of them."""
    real, made = grouping.parts(comparison.real), grouping.parts(comparison.synthetic)
    small = [label for label in grouping.labels if min(len(real[label]), len(made[label])) < LEAST_ROWS]
    if small:
        notes.append(f"Groups of less than {LEAST_ROWS} real or synthetic rows were left out: {listing(small)}.")
    large = [label for label in grouping.labels if label not in small]
    if len(large) > MOST_GROUPS:
        notes.append(f"Only the {MOST_GROUPS} largest groups were told apart, of {len(large)}.")
    missing = int(comparison.real[grouping.column].isna().sum())
    if missing:
        notes.append(f"{missing} real rows have no value of {grouping.column!r}: they are in no group.")
    return large[:MOST_GROUPS]


def _share(tables: Groups, grouping: Grouping) -> Figure:
    value, deviation = _moved(tables["real"], tables["synthetic"], grouping)
    real, _ = _moved(tables["known"], tables["fresh"], grouping)
    floor, _ = _moved(tables["real"], tables["independent"], grouping)
    return Figure(SHARE, value, interval(value, deviation), real, floor)


def _moved(one: pd.DataFrame, other: pd.DataFrame, grouping: Grouping) -> tuple[float, float]:
    """The largest difference of a group's share, and its standard error."""
    shares = [
        np.array([len(part) for part in grouping.parts(rows).values()]) / max(len(rows), 1) for rows in (one, other)
    ]
    variances = sum(share * (1 - share) / max(len(rows), 1) for share, rows in zip(shares, (one, other), strict=True))
    apart = np.abs(shares[0] - shares[1])
    return float(apart.max()), float(np.sqrt(np.asarray(variances)[apart.argmax()]))


def _shapes(one: Groups, other: Groups, group: str) -> dict[str, float]:
    """The mean column score of each group that has enough rows in both tables."""
    large = [label for label in one if min(len(one[label]), len(other[label])) >= LEAST_ROWS]
    return {
        label: float(column_scores(*(rows[label].drop(columns=group) for rows in (one, other))).mean())
        for label in large
    }


def _fidelity(shapes: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    gaps = {name: _gap(list(found.values())) for name, found in shapes.items()}
    value = gaps["synthetic"]
    return [] if value is None else [Figure(FIDELITY, value, None, gaps["real"], gaps["independent"])]


def _gap(values: list[float]) -> float | None:
    """How far the largest of two or more values is from the smallest."""
    known = [value for value in values if np.isfinite(value)]
    return max(known) - min(known) if len(known) > 1 else None


def _scores(
    comparison: Comparison, grouping: Grouping, named: list[str], seed: int, notes: list[str]
) -> dict[str, dict[str, Score]]:
    """The score on the test rows of each group, of boosting that learned each kind of rows and halves of the real."""
    if comparison.target is None or comparison.target == grouping.column:
        notes.append("There is no target beside the group: utility was not told apart.")
        return {}
    trial = Trial.of(comparison, seed, MOST_ROWS)
    notes.extend(trial.notes)
    if trial.obstacle is not None:
        notes.append(trial.obstacle)
        return {}
    task, tests = trial.task, grouping.among(named, trial.test)
    scored = {label: rows for label, rows in tests.items() if len(rows) >= LEAST_ROWS and task.can_score(rows)}
    unscored = [label for label in named if label not in scored]
    if unscored:
        notes.append(f"Groups of too few test rows, or of one class, have no utility: {listing(unscored)}.")
    halves = parts(trial.training["real"], 1 / 2, np.random.default_rng([seed, 52]))
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
            notes.append("The gap of utility was not measured: less than two groups could be scored.")
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
    return [Figure(UTILITY, value, ends, gaps["real"], gaps["independent"])]


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
