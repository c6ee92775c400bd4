"""Linkability: two halves of a person's row, held by two parties, which synthetic rows help to bring together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, some
from synthvae.evaluation.disclosure.points import Places, as_points, nearest
from synthvae.evaluation.disclosure.risk import Guesses, Outcome

TARGETS = 2_000
ROWS = 20_000
SPLITS = 3
NEIGHBOURS = 10


def linkability(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> Outcome | None:
    """Guess which halves of rows belong together, by the synthetic rows that are nearest to each half.

    After Giomi et al. 2023 (arXiv 2211.10459), "linkability": the columns are cut at random into two halves; a guess is
    right if one synthetic row is among the k nearest of both. They use Gower's distance; here it is the Euclidean one
    of `as_points` points, which are scaled by the synthetic rows, as an attacker can. Each target is tried with
    three cuts and with every k from 1 to 10, and all of these are guesses: one k alone says little, as in small tables
    of related columns ten rows link everybody, and among equal rows the first one links nobody. The naive guess takes
    rows at random for each half.

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the targets and the cuts.

    Returns:
        What came of it; None if there are no two columns.
    """
    names = list(comparison.real)
    if len(names) < 2:
        return None
    size = min(TARGETS, len(comparison.real), len(holdout))
    frames = [some(comparison.synthetic, ROWS, rng), some(comparison.real, size, rng), some(holdout, size, rng)]
    found: list[npt.NDArray[np.bool_]] = []
    for _ in range(SPLITS):
        mixed = [names[place] for place in rng.permutation(len(names))]
        halves = mixed[: len(names) // 2], mixed[len(names) // 2 :]
        first, second = (_neighbours([frame[half] for frame in frames]) for half in halves)
        found.append(_linked(first, second))
    hits = np.hstack(found)
    naive = np.hstack([_at_random(len(frames[0]), size, rng) for _ in range(SPLITS)])
    return Outcome("linkability", Guesses.each(hits[:size]), Guesses.each(hits[size:]), Guesses.each(naive))


def _neighbours(frames: list[pd.DataFrame]) -> Places:
    """The nearest of the first frame's rows of each row of the others (rows, k)."""
    made, *targets = as_points(frames)
    return nearest(made, np.vstack(targets), NEIGHBOURS).rows


def _linked(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether both have a row in common among their first 1, 2, ... k (rows, k)."""
    same = first[:, :, None] == second[:, None, :]
    return np.stack([same[:, :k, :k].any(axis=(1, 2)) for k in range(1, first.shape[1] + 1)], axis=1)


def _at_random(rows: int, guesses: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    first, second = (rng.integers(rows, size=(guesses, min(NEIGHBOURS, rows))) for _ in range(2))
    return _linked(first, second)
