"""Whether synthetic rows repeat real ones, or lie nearer to them than fresh real rows do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, independent, some
from synthvae.evaluation.disclosure.points import Neighbours, Points, as_points, nearest
from synthvae.evaluation.disclosure.risk import (
    Guesses,
    Shares,
    control_rows,
    half_interval,
    keys,
    share_interval,
    small_holdout,
)
from synthvae.evaluation.results import Figure, Metric, Section

QUERIES = 8_000  # rows whose nearest real row is looked for
REFERENCE = 16_000  # rows of train, and as many of the holdout, among which it is looked for
NUMBERS = 4_000_000  # of a larger reference, which is used for the nearest row of all as far as it has no more
TAIL = 0.005
CLOSE = 0.5
DRAWN = 1_000
QUANTILES = (0.0, TAIL, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

Mask = npt.NDArray[np.bool_]

NO_PROOF = "Rows that repeat nobody can still tell something about somebody: this is no proof of privacy."
COPIES = Metric(
    "copies",
    "Exact copies",
    "lower",
    "The share of synthetic rows that equal a real row in every column that is compared.",
    "Counted over all rows; interval: Clopper and Pearson 1934, widened as `share_interval` says.",
    "A row that differs from a real one in a single digit is no exact copy. " + NO_PROOF,
    risk=True,
)
NEARNESS = Metric(
    "nearness",
    "Rows nearer than fresh ones",
    "lower",
    "The share of synthetic rows within half the distance to a real row that all but 0.5 % of fresh real rows keep, "
    "beyond the share that is as near to real rows which were not learned.",
    "The lower tail of the distance to the closest record (Platzer and Reutterer 2021, arXiv 2104.00635).",
    "A near copy is found as far as the distance sees it: one number that was changed much hides it. " + NO_PROOF,
    risk=True,
)
DCR = Metric(
    "dcr_share",
    "Nearer to the learned rows",
    "half",
    "The share of synthetic rows nearer to the real rows that were learned than to as many that were not; ties count "
    "one half.",
    "Distance to the closest record: Platzer and Reutterer 2021, arXiv 2104.00635.",
    "It is a mean over all rows, in which a few copies are lost. " + NO_PROOF,
    risk=True,
)
NNDR = Metric(
    "nndr_share",
    "More exactly like one learned row",
    "half",
    "The share of synthetic rows whose nearest-neighbour distance ratio (nearest over second nearest) is smaller among "
    "the rows that were learned than among as many that were not; ties count one half.",
    "Nearest-neighbour distance ratio: Zhao et al. 2021, CTAB-GAN (arXiv 2102.08369).",
    "It is a mean over all rows, in which a few copies are lost. " + NO_PROOF,
    risk=True,
)


def disclosure(comparison: Comparison, seed: int) -> Section:
    """Measure copies of real rows, and nearness to them.

    Without a holdout the real rows are held against each other, each against all but itself; the two shares that
    compare learned rows with others then fall away. Distances are Euclidean, of `as_points` points.

    Args:
        comparison: The tables.
        seed: Of the rows that are drawn, where there are too many to look at all, and of the independent columns.
    """
    holdout, lack = control_rows(comparison)
    shuffled = independent(comparison.real, min(len(comparison.synthetic), QUERIES), np.random.default_rng([seed, 40]))
    nearness, details = _nearness(comparison, holdout, shuffled, np.random.default_rng([seed, 41]))
    figures = [_copies(comparison, holdout, shuffled), nearness]
    if holdout is None:
        note = f"Whether rows are nearer to those that were learned than to others was not measured: {lack}."
        return Section("disclosure", tuple(figures), details, (note,))
    figures += _shares(comparison, holdout, shuffled, np.random.default_rng([seed, 42]))
    return Section("disclosure", tuple(figures), details, small_holdout(comparison))


def _copies(comparison: Comparison, holdout: pd.DataFrame | None, shuffled: pd.DataFrame) -> Figure:
    learned = keys(comparison.real)
    found, mixed = (keys(rows).isin(learned) for rows in (comparison.synthetic, shuffled))
    fresh = learned.duplicated(keep=False) if holdout is None else keys(holdout).isin(learned)
    return _share_figure(COPIES, found, fresh, mixed, in_pairs=holdout is None)


def _share_figure(
    metric: Metric, found: Mask, fresh: Mask, shuffled: Mask, *, in_pairs: bool, anyway: float = 0.0
) -> Figure:
    """The shares of three kinds of rows, that of synthetic ones beyond what it would be `anyway`.

    Two real rows that are near each other are one event, not two.
    """
    trials = len(fresh) / 2 if in_pairs else len(fresh)
    share = float(fresh.mean())
    hits = max(float(found.sum()) - anyway * len(found), 0.0)
    interval = share_interval(round(hits), len(found), min(share + anyway, 1.0), trials)
    return Figure(metric, hits / len(found), interval, share, float(shuffled.mean()))


def _nearness(
    comparison: Comparison, holdout: pd.DataFrame | None, shuffled: pd.DataFrame, rng: np.random.Generator
) -> tuple[Figure, dict[str, pd.DataFrame]]:
    """Rows below half of the low quantile of the fresh rows' distances, beyond those as near to fresh rows.

    Where rows spread over d dimensions, the share of fresh rows below a small distance r grows as r^d; half of the
    0.5 % quantile leaves 0.5 % / 2^d of them, so few that ten near copies among a thousand rows stand out. Rows of a
    generator that knows the middle of the table alone lie near to real rows everywhere: near to fresh ones, too.
    """
    most = max(REFERENCE, NUMBERS // _width(comparison.real))
    reference = some(comparison.real, most, rng)
    fresh = some(reference if holdout is None else holdout, QUERIES, rng)
    asked = [some(comparison.synthetic, QUERIES, rng), shuffled, fresh]
    others = asked[0].iloc[:0] if holdout is None else some(holdout, most, rng)
    points, *queries, control = as_points([reference, *asked, others])
    made, mixed = (nearest(points, rows, 1).distances[:, 0] for rows in queries[:2])
    # A real row is always nearest to itself.
    usual = nearest(points, queries[2], 2 if holdout is None else 1).distances[:, -1]
    close = CLOSE * np.quantile(usual, TAIL, method="lower")
    anyway = _share_near(control, queries[0], close, len(points))
    figure = _share_figure(
        NEARNESS, made <= close, usual <= close, mixed <= close, in_pairs=holdout is None, anyway=anyway
    )
    return figure, _distances({"synthetic": made, "fresh real": usual}, rng)


def _share_near(points: Points, queries: Points, close: float, rows: int) -> float:
    """The share of queries that are near to one of so many `rows`, of which there are these points, if any."""
    if not len(points):
        return 0.0
    near = nearest(points, queries, 1).distances[:, 0] <= close
    return min(1.0, float(near.mean()) * rows / len(points))


def _width(rows: pd.DataFrame) -> int:
    """How many numbers stand for a row as a point."""
    return int(as_points([rows.iloc[:1]])[0].shape[1])


def _distances(found: dict[str, Shares], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Quantiles of the distances, and some of them to be drawn."""
    quantiles = [
        pd.DataFrame({"rows": name, "quantile": QUANTILES, "distance": np.quantile(distances, QUANTILES)})
        for name, distances in found.items()
    ]
    drawn = [
        pd.DataFrame({"rows": name, "distance": rng.permutation(distances)[:DRAWN]})
        for name, distances in found.items()
    ]
    return {
        "nearest": pd.concat(quantiles, ignore_index=True),
        "drawn_distances": pd.concat(drawn, ignore_index=True),
    }


def _shares(
    comparison: Comparison, holdout: pd.DataFrame, shuffled: pd.DataFrame, rng: np.random.Generator
) -> list[Figure]:
    """Both shares: of the synthetic rows, and of the rows of independent columns."""
    n = min(REFERENCE, len(comparison.real), len(holdout))
    asked = [some(comparison.synthetic, QUERIES, rng), shuffled]
    learned, others, *queries = as_points([some(comparison.real, n, rng), some(holdout, n, rng), *asked])
    found, mixed = (list(_nearer(nearest(learned, rows, 2), nearest(others, rows, 2))) for rows in queries)
    return [
        # Learned rows and others change places without a trace where the rows are fresh: one half, exactly.
        Figure(metric, guesses.rate, half_interval(guesses), 0.5, baseline.rate)
        for metric, guesses, baseline in zip((DCR, NNDR), found, mixed, strict=True)
    ]


def _nearer(learned: Neighbours, others: Neighbours) -> Iterator[Guesses]:
    """Whether learned rows are nearer than others, by distance and by ratio.

    In many dimensions a few real rows are nearest to very many: all that share their nearest row stand together.
    """
    first, second = learned.distances[:, 0], others.distances[:, 0]
    hub = np.where(first <= second, 2 * learned.rows[:, 0], 2 * others.rows[:, 0] + 1)
    for mine, theirs in ((first, second), (learned.ratio, others.ratio)):
        yield Guesses((mine < theirs) + 0.5 * (mine == theirs), hub)
