"""Section "disclosure": copies of training rows, and synthetic rows that are too close to training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, shuffle_columns, subsample
from synthvae.evaluation.disclosure.points import Neighbours, Points, as_points, nearest
from synthvae.evaluation.disclosure.risk import (
    Guesses,
    Shares,
    control_rows,
    half_interval,
    row_hashes,
    share_interval,
    small_holdout_notes,
)
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.risk_metrics import COPIES, DCR, NEARNESS, NNDR

QUERIES = 8_000  # synthetic rows whose nearest real rows are searched
REFERENCE = 16_000  # training rows, and as many holdout rows, among which they are searched
MOST_NUMBERS = 4_000_000  # in a larger reference, used for the single nearest row
TAIL = 0.005  # level of the lower quantile of distances between real rows
CLOSE = 0.5  # share of that quantile below which a distance is a near copy
DRAWN = 1_000  # distances in a chart
QUANTILES = (0.0, TAIL, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

Mask = npt.NDArray[np.bool_]


def disclosure(comparison: Comparison, seed: int) -> Section:
    """Measure copies of training rows, and distances to them.

    Distances are Euclidean between the points of `as_points`. Without a holdout, the reference is each training row
    against all others, and the two shares that need holdout rows are left out.

    Args:
        comparison: The tables.
        seed: Random seed.

    Returns:
        Figures "copies" and "nearness" and, with a holdout, "dcr_share" and "nndr_share", see
        `synthvae.evaluation.METRICS`; details "nearest" and "drawn_distances".
    """
    holdout, lack = control_rows(comparison)
    shuffled = shuffle_columns(
        comparison.real, min(len(comparison.synthetic), QUERIES), np.random.default_rng([seed, 40])
    )
    nearness, details = _nearness(comparison, holdout, shuffled, np.random.default_rng([seed, 41]))
    figures = [_copies(comparison, holdout, shuffled), nearness]
    if holdout is None:
        note = f"Whether synthetic rows are closer to training than to holdout rows was not measured: {lack}."
        return Section("disclosure", tuple(figures), details, (note,))
    figures += _shares(comparison, holdout, shuffled, np.random.default_rng([seed, 42]))
    return Section("disclosure", tuple(figures), details, small_holdout_notes(comparison))


@dataclass(frozen=True)
class _Hits:
    """Which rows are copies, or near copies, of training rows.

    Args:
        synthetic: Whether each synthetic row is.
        real: Whether each real row in their place is.
        shuffled: Whether each row of shuffled columns is.
        trials: Number of independent real rows: half of them where they are compared with each other, since two rows
            that are close to each other are one event.
    """

    synthetic: Mask
    real: Mask
    shuffled: Mask
    trials: float


def _copies(comparison: Comparison, holdout: pd.DataFrame | None, shuffled: pd.DataFrame) -> Figure:
    training = row_hashes(comparison.real)
    copied, mixed = (row_hashes(rows).isin(training) for rows in (comparison.synthetic, shuffled))
    if holdout is None:
        return _share_figure(COPIES, _Hits(copied, training.duplicated(keep=False), mixed, len(training) / 2))
    return _share_figure(COPIES, _Hits(copied, row_hashes(holdout).isin(training), mixed, len(holdout)))


def _share_figure(metric: Metric, hits: _Hits, baseline: float = 0.0) -> Figure:
    """Return the share of hits among synthetic rows, minus a baseline that is no disclosure."""
    share, rows = float(hits.real.mean()), len(hits.synthetic)
    count = max(float(hits.synthetic.sum()) - baseline * rows, 0.0)
    interval = share_interval(round(count), rows, min(share + baseline, 1.0), hits.trials)
    return Figure(metric, count / rows, interval, share, float(hits.shuffled.mean()))


def _nearness(
    comparison: Comparison, holdout: pd.DataFrame | None, shuffled: pd.DataFrame, rng: np.random.Generator
) -> tuple[Figure, dict[str, pd.DataFrame]]:
    """Measure synthetic rows within half the lower quantile of the distances of unseen real rows.

    In d dimensions, the share of unseen rows within a small distance r grows as r^d. Half of the 0.5% quantile leaves
    0.5% / 2^d of them, so that ten near copies among a thousand rows are detectable. A generator that always returns
    the centre of the table is close to training rows and holdout rows alike, so the share that is as close to holdout
    rows is subtracted.
    """
    most = max(REFERENCE, MOST_NUMBERS // _width(comparison.real))
    reference = subsample(comparison.real, most, rng)
    unseen = subsample(reference if holdout is None else holdout, QUERIES, rng)
    asked = [subsample(comparison.synthetic, QUERIES, rng), shuffled, unseen]
    others = asked[0].iloc[:0] if holdout is None else subsample(holdout, most, rng)
    points, *queries, control = as_points([reference, *asked, others])
    synthetic, mixed = (nearest(points, rows, 1).distances[:, 0] for rows in queries[:2])
    # The nearest training row of a training row is itself.
    usual = nearest(points, queries[2], 2 if holdout is None else 1).distances[:, -1]
    close = CLOSE * np.quantile(usual, TAIL, method="lower")
    baseline = _share_near(control, queries[0], close, len(points))
    trials = len(usual) / 2 if holdout is None else len(usual)
    hits = _Hits(synthetic <= close, usual <= close, mixed <= close, trials)
    return _share_figure(NEARNESS, hits, baseline), _distances({"synthetic": synthetic, "fresh real": usual}, rng)


def _share_near(points: Points, queries: Points, close: float, rows: int) -> float:
    """Estimate the share of queries close to one of `rows` rows, of which `points` are a sample."""
    if not len(points):
        return 0.0
    near = nearest(points, queries, 1).distances[:, 0] <= close
    return min(1.0, float(near.mean()) * rows / len(points))


def _width(rows: pd.DataFrame) -> int:
    """Return the number of dimensions of `as_points`."""
    return int(as_points([rows.iloc[:1]])[0].shape[1])


def _distances(found: dict[str, Shares], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return the quantiles of distances, and a sample for the chart."""
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
    """Measure both shares for synthetic rows and for shuffled columns."""
    n = min(REFERENCE, len(comparison.real), len(holdout))
    asked = [subsample(comparison.synthetic, QUERIES, rng), shuffled]
    training, others, *queries = as_points([subsample(comparison.real, n, rng), subsample(holdout, n, rng), *asked])
    found, mixed = (list(_nearer(nearest(training, rows, 2), nearest(others, rows, 2))) for rows in queries)
    return [
        # For unseen real rows, training and holdout rows are exchangeable: exactly one half.
        Figure(metric, guesses.rate, half_interval(guesses), 0.5, baseline.rate)
        for metric, guesses, baseline in zip((DCR, NNDR), found, mixed, strict=True)
    ]


def _nearer(training: Neighbours, others: Neighbours) -> Iterator[Guesses]:
    """Yield whether training rows are nearer than holdout rows, by distance and by ratio.

    In many dimensions a few real rows are the nearest of very many: queries with the same nearest row are a cluster.
    """
    first, second = training.distances[:, 0], others.distances[:, 0]
    hub = np.where(first <= second, 2 * training.rows[:, 0], 2 * others.rows[:, 0] + 1)
    for mine, theirs in ((first, second), (training.ratio, others.ratio)):
        yield Guesses((mine < theirs) + 0.5 * (mine == theirs), hub)
