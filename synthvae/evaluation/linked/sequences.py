"""Section "sequences": the rows of a child table given their parent, the row before and the rest of the subject."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from synthvae.errors import listing
from synthvae.evaluation.fidelity import detection, pairs
from synthvae.evaluation.linked.drawn_links import drawn_links
from synthvae.evaluation.linked.joint_distances import (
    Binning,
    counts_distance,
    joint,
    total_variation,
    transition_distance,
    variance_share,
)
from synthvae.evaluation.linked.link_metrics import (
    CHILDREN,
    CROSS,
    LAG,
    LINK_SECTIONS,
    ROW_C2ST,
    SUBJECT_SHARE,
    TIME_STEPS,
    TRANSITIONS,
)
from synthvae.evaluation.linked.linked_rows import LinkedComparison, LinkedRows, Places, Side
from synthvae.evaluation.results import Figure, Section

CLASSIFIED = 4_000  # rows of each kind in the classifier test
CRITICAL = 1.358  # 95% quantile of Kolmogorov's distribution
HALVINGS = 4  # of the subjects
LEAST_PAIRS = 2  # of consecutive rows
ROLES = ("real", "synthetic")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class References:
    """What stands in place of the synthetic rows: other real rows, and rows that are dealt to parents at random.

    Args:
        real: Real rows.
        other: Other real rows: the holdout, or the other half of the real subjects.
        shuffled: These other rows, dealt to parents at random.
        halves: Random halves of the real subjects, by which the error of a figure is estimated.
    """

    real: Side
    other: Side
    shuffled: Side
    halves: tuple[tuple[Side, Side], ...]

    @classmethod
    def from_comparison(cls, comparison: LinkedComparison, root: str, seed: int) -> References:
        """Return the references of the tables below a root table."""
        rng = np.random.default_rng([seed, 60])
        whole = comparison.sides["real"]
        halves = tuple(_halves(comparison, whole, root, rng) for _ in range(HALVINGS))
        held = comparison.sides.get("holdout")
        real, other = halves[0] if held is None else (whole, held)
        return cls(real, other, comparison.shuffled(other, root, rng), halves)


def _halves(comparison: LinkedComparison, whole: Side, root: str, rng: np.random.Generator) -> tuple[Side, Side]:
    half = np.zeros(len(whole[root]), bool)
    half[rng.permutation(len(half))[: len(half) // 2]] = True
    return comparison.of_subjects(whole, root, half), comparison.of_subjects(whole, root, ~half)


def sequences(comparison: LinkedComparison, name: str, references: References, seed: int) -> Section:
    """Measure how the rows of a child table depend on their parent and on each other.

    The references of each figure are other real rows, and real rows that are dealt to parents at random.

    Args:
        comparison: The tables.
        name: The child table.
        references: The rows in place of the synthetic ones.
        seed: Random seed.

    Returns:
        The figures of `LINK_SECTIONS["sequences"]` that the table allows; details "drawn_links", "children",
        "consecutive" (one row for each column), "times" and "crossed".
    """
    link = _Link(comparison, name, seed)
    real, synthetic = (comparison.sides[role] for role in ROLES)
    held = comparison.sides.get("holdout", real)
    found, floor = link.measure(real, synthetic), link.measure(references.real, references.other)
    apart = link.measure(references.real, references.shuffled)
    values = [one.values for one in (found, floor, apart)]
    values[0][ROW_C2ST.name], rows = link.detected(held, synthetic)
    values[1][ROW_C2ST.name], _ = link.detected(references.real, references.other)
    values[2][ROW_C2ST.name], _ = link.detected(references.real, references.shuffled)
    del values[2][CHILDREN.name]  # dealing rows to parents keeps their numbers
    figures = [*figures_of("sequences", *values)]
    parent = comparison.database.parents[name].parent
    counted = {
        CHILDREN: (len(real[parent]), len(synthetic[parent])),
        TIME_STEPS: tuple(len(np.unique(side[name].subjects)) for side in (real, synthetic)),
    }
    errors = _errors([link.measure(*pair).values for pair in references.halves])
    figures = [_with_interval(figure, rows, counted.get(figure.metric), errors) for figure in figures]
    details = {
        "drawn_links": drawn_links(comparison, name),
        "children": _children(real, synthetic, name, comparison),
        "consecutive": _consecutive(found, floor),
        "times": _times(real[name], synthetic[name]),
        "crossed": found.crossed.assign(real=floor.crossed["distance"]).sort_values("distance", ascending=False),
    }
    details = {title: table for title, table in details.items() if len(table)}
    return Section("sequences", tuple(figures), details, tuple(_notes(figures, comparison, name)), name)


def figures_of(
    section: str, found: Mapping[str, float], floor: Mapping[str, float], apart: Mapping[str, float]
) -> Iterator[Figure]:
    """Yield the figures of a section that are finite, with their references."""
    for metric in LINK_SECTIONS[section]:
        value = found.get(metric.name, math.nan)
        if math.isfinite(value):
            known = (values.get(metric.name, math.nan) for values in (floor, apart))
            best, worst = (value if math.isfinite(value) else None for value in known)
            yield Figure(metric, value, real=best, independent=worst)


def _errors(halves: list[dict[str, float]]) -> dict[str, float]:
    """Half the width of the 95% interval of each figure, by its standard deviation among halves of the subjects.

    Halves have half as many subjects, so that the variance is twice that of the figure: as large as that of its
    difference from the figure of other real rows, with which it is compared.
    """
    deviations = pd.DataFrame(halves).std(ddof=1)
    return {str(name): detection.Z * float(value) for name, value in deviations.items() if math.isfinite(value)}


def _with_interval(figure: Figure, rows: int, counted: tuple[int, ...] | None, errors: Mapping[str, float]) -> Figure:
    """A figure with the interval of the classifier test, of a distance of two distributions, or by halves of subjects.

    That of a distance is as wide as the distance from which on a Kolmogorov-Smirnov test of so many independent numbers
    rejects that they have one distribution, at the level of 5% (Massey 1951).
    """
    if figure.metric is ROW_C2ST:
        return replace(figure, interval=detection.auc_interval(figure.value, rows)) if rows else figure
    if counted is None:
        half = errors.get(figure.metric.name)
    else:
        half = CRITICAL * math.sqrt(sum(1 / count for count in counted)) if all(counted) else None
    if half is None:
        return figure
    return replace(figure, interval=(max(figure.value - half, 0.0), min(figure.value + half, 1.0)))


@dataclass(frozen=True)
class _Measured:
    """Figures of one kind of rows, and what they follow from.

    Args:
        values: The figures by the name of their metric.
        columns: One row for each column of the child table.
        crossed: One row for each pair of a column of an ancestor and one of the child table.
    """

    values: dict[str, float]
    columns: pd.DataFrame
    crossed: pd.DataFrame


@dataclass(frozen=True)
class _Link:
    """A child table and its ancestors."""

    comparison: LinkedComparison
    name: str
    seed: int

    def measure(self, real: Side, other: Side) -> _Measured:
        """Compare other rows with real ones."""
        columns, crossed = self._columns(real, other), self._crossed(real, other)
        parent = self.comparison.database.parents[self.name].parent
        counts = [np.bincount(side[self.name].parents, minlength=len(side[parent])) for side in (real, other)]
        shares = columns["between_real"] - columns["between_synthetic"].fillna(0.0)
        values = {
            CHILDREN.name: counts_distance(*counts),
            LAG.name: columns["lag"].mean(),
            CROSS.name: crossed["distance"].mean(),
            SUBJECT_SHARE.name: shares.abs().mean(),
            TIME_STEPS.name: _steps_distance(_steps(real[self.name]), _steps(other[self.name])),
            TRANSITIONS.name: columns["transitions"].mean(),
        }
        return _Measured({name: float(value) for name, value in values.items()}, columns, crossed)

    def _columns(self, real: Side, other: Side) -> pd.DataFrame:
        binning = self._binning(self.name)
        names = self.comparison.kinds(self.name)
        rows = [self._column(name, real[self.name], other[self.name], binning) for name in names]
        titles = [
            "column", "lag", "transitions", "lag_real", "lag_synthetic", "same_real", "same_synthetic",
            "between_real", "between_synthetic",
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=titles)

    def _column(self, name: str, real: LinkedRows, other: LinkedRows, binning: Binning) -> tuple[Any, ...]:
        sides, is_category = (real, other), name not in self.comparison.tables[self.name].numeric
        codes = [binning.codes(side.frame[name]) for side in sides]
        consecutive = [(own[side.later - 1], own[side.later]) for own, side in zip(codes, sides, strict=True)]
        there = all(len(before) >= LEAST_PAIRS for before, _ in consecutive)
        distance = total_variation(*(joint(*pair) for pair in consecutive)) if there else math.nan
        moved = transition_distance(*consecutive) if there and is_category else math.nan
        lags = [_association(side.frame[name], side.later) for side in sides]
        same = [_same(side.frame[name], side.later) for side in sides]
        between = [variance_share(side.frame[name], side.subjects) for side in sides]
        return name, distance, moved, *lags, *same, *between

    def _crossed(self, real: Side, other: Side) -> pd.DataFrame:
        own, rows = self._binning(self.name), []
        codes = [{n: own.codes(side[self.name].frame[n]) for n in side[self.name].frame} for side in (real, other)]
        for ancestor in self.comparison.database.ancestors(self.name):
            binning = self._binning(ancestor)
            places = [self.comparison.lines(self.name, side)[ancestor] for side in (real, other)]
            for name in real[ancestor].frame:
                above = [
                    binning.codes(side[ancestor].frame[name])[line]
                    for side, line in zip((real, other), places, strict=True)
                ]
                for mine in codes[0]:
                    both = [joint(up, here[mine]) for up, here in zip(above, codes, strict=True)]
                    rows.append((ancestor, name, mine, total_variation(*both)))
        return pd.DataFrame(rows, columns=["table", "first", "second", "distance"])

    def _binning(self, name: str) -> Binning:
        least = min(len(side[self.name]) for side in self.comparison.sides.values())
        return Binning.from_rows(self.comparison.sides["real"][name].frame, least)

    def detected(self, real: Side, other: Side) -> tuple[float, int]:
        """Return the AUC of a classifier of rows in their context, and the number of independent rows of each kind.

        Rows of a subject are alike, so that there are as many independent ones as subjects at most.
        """
        first, second = self._context(real), self._context(other)
        units = [side[self.name].subjects for side in (real, other)]
        rows = min(detection.compared_rows(first, second, CLASSIFIED), *(len(np.unique(own)) for own in units))
        return detection.detection_auc(first, second, self.seed, CLASSIFIED, units), rows

    def _context(self, side: Side) -> pd.DataFrame:
        """The rows with the row before, the position, and the columns of all ancestors."""
        rows = side[self.name]
        parts = [rows.frame, _shifted(rows).add_prefix("before: "), pd.DataFrame({"position": rows.position})]
        for ancestor, places in self.comparison.lines(self.name, side).items():
            parts.append(side[ancestor].frame.iloc[places].reset_index(drop=True).add_prefix(f"{ancestor}: "))
        return pd.concat(parts, axis=1)


def _shifted(rows: LinkedRows) -> pd.DataFrame:
    """The row before each row, missing for the first row of a parent."""
    places = np.full(len(rows), -1)
    places[rows.later] = rows.later - 1
    return rows.frame.reindex(pd.Index(places)).reset_index(drop=True)


def _association(values: pd.Series[Any], later: Places) -> float:
    """The association of a column with itself in the row before: Pearson's correlation, or Cramér's V."""
    before, after = values.iloc[later - 1].reset_index(drop=True), values.iloc[later].reset_index(drop=True)
    both = (before.notna() & after.notna()).to_numpy()
    if both.sum() < LEAST_PAIRS:
        return math.nan
    if isinstance(values.dtype, pd.CategoricalDtype):
        return pairs.cramers_v(before.cat.codes.to_numpy()[both], after.cat.codes.to_numpy()[both])
    return float(pairs.correlations(pd.DataFrame({"before": before, "after": after}))[0, 1])


def _same(values: pd.Series[Any], later: Places) -> float:
    """The share of rows with the value of the row before, of those in which both are present."""
    before, after = values.iloc[later - 1].to_numpy(), values.iloc[later].to_numpy()
    both = ~(pd.isna(before) | pd.isna(after))
    return float((before[both] == after[both]).mean()) if both.any() else math.nan


def _steps(rows: LinkedRows) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The differences of the order column from the row before, without missing ones."""
    found = rows.numbers[rows.later] - rows.numbers[rows.later - 1]
    return np.asarray(found[~np.isnan(found)], np.float64)


def _steps_distance(first: Any, second: Any) -> float:
    if not len(first) or not len(second):
        return math.nan
    return float(ks_2samp(first, second, method="asymp").statistic)


def _children(real: Side, synthetic: Side, name: str, comparison: LinkedComparison) -> pd.DataFrame:
    parent, rows = comparison.database.parents[name].parent, {}
    for role, side in zip(ROLES, (real, synthetic), strict=True):
        counts = np.bincount(side[name].parents, minlength=len(side[parent]))
        rows[role] = {"mean": counts.mean(), "without rows": (counts == 0).mean(), "most": counts.max(initial=0)}
    return pd.DataFrame(rows, dtype=np.float64).rename_axis("rows of a parent").reset_index()


def _consecutive(found: _Measured, floor: _Measured) -> pd.DataFrame:
    return found.columns.assign(lag_floor=floor.columns["lag"]).sort_values("lag", ascending=False)


def _times(real: LinkedRows, synthetic: LinkedRows) -> pd.DataFrame:
    steps = [_steps(rows) for rows in (real, synthetic)]
    if not all(map(len, steps)):
        return pd.DataFrame()
    values = {role: np.quantile(own, QUANTILES) for role, own in zip(ROLES, steps, strict=True)}
    return pd.DataFrame({"quantile": QUANTILES, **values})


def _notes(figures: list[Figure], comparison: LinkedComparison, name: str) -> Iterator[str]:
    there = {figure.metric.name for figure in figures}
    if LAG.name not in there:
        yield "Consecutive rows were not compared: no parent has two rows, or there is no column."
    if TIME_STEPS.name not in there and name in comparison.database.order:
        yield "Times between rows were not compared: the order column has no numbers or dates, or parents have one row."
    lost = {role: len(comparison.read[role][name]) - len(side[name]) for role, side in comparison.sides.items()}
    if lost["synthetic"]:
        yield f"{lost['synthetic']:,} synthetic rows without a parent were left out of all figures but those of keys."
    constant = [c for c in comparison.kinds(name) if comparison.sides["real"][name].frame[c].nunique() < 2]
    if constant:
        yield f"Columns that are constant in the real table do not vary between subjects: {listing(constant)}."
