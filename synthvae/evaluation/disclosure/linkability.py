"""Linkability attack: link two halves of a row, known to two parties, through the synthetic rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, subsample
from synthvae.evaluation.disclosure.points import Places, as_points, nearest
from synthvae.evaluation.disclosure.risk import AttackResult, Guesses

TARGETS = 2_000  # attacked rows of each kind
ROWS = 20_000  # synthetic rows
SPLITS = 3  # random divisions of the columns
NEIGHBOURS = 10


def linkability(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> AttackResult | None:
    """Guess which halves of rows belong together from the synthetic rows nearest to each half.

    The columns are divided at random into two halves; a guess is right if the same synthetic row is among the k nearest
    of both. Each row is attacked with three divisions and every k from 1 to 10, and all of these are guesses: a single
    k is not informative, since in small tables of related columns ten rows link all rows, and among equal rows the
    first one links none. The random guess draws k rows for each half. Source: Giomi et al. 2023 (arXiv 2211.10459),
    "linkability", with the Euclidean distance between the points of `as_points`, which are scaled by the synthetic rows
    as an attacker can do, in place of Gower's distance.

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the attacked rows and the divisions.

    Returns:
        The result; None if there is only one column.
    """
    names = list(comparison.real)
    if len(names) < 2:
        return None
    size = min(TARGETS, len(comparison.real), len(holdout))
    frames = [
        subsample(comparison.synthetic, ROWS, rng),
        subsample(comparison.real, size, rng),
        subsample(holdout, size, rng),
    ]
    found: list[npt.NDArray[np.bool_]] = []
    for _ in range(SPLITS):
        mixed = [names[place] for place in rng.permutation(len(names))]
        halves = mixed[: len(names) // 2], mixed[len(names) // 2 :]
        first, second = (_neighbours([frame[half] for frame in frames]) for half in halves)
        found.append(_linked(first, second))
    hits = np.hstack(found)
    naive = np.hstack([_at_random(len(frames[0]), size, rng) for _ in range(SPLITS)])
    return AttackResult(
        "linkability", Guesses.from_success(hits[:size]), Guesses.from_success(hits[size:]), Guesses.from_success(naive)
    )


def _neighbours(frames: list[pd.DataFrame]) -> Places:
    """Return the nearest rows of the first frame for each row of the others (N, k)."""
    synthetic, *targets = as_points(frames)
    return nearest(synthetic, np.vstack(targets), NEIGHBOURS).rows


def _linked(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether both share a row among their first 1, 2, ... k (N, k)."""
    same = first[:, :, None] == second[:, None, :]
    return np.stack([same[:, :k, :k].any(axis=(1, 2)) for k in range(1, first.shape[1] + 1)], axis=1)


def _at_random(rows: int, guesses: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    first, second = (rng.integers(rows, size=(guesses, min(NEIGHBOURS, rows))) for _ in range(2))
    return _linked(first, second)
