"""Metrics of single rows: are synthetic rows where real ones are, and are they real ones?

`alpha`, `beta`: alpha-precision and beta-recall (Alaa, van Breugel, Saveliev, van der Schaar, "How faithful is your
synthetic data?", ICML 2022, arXiv 2102.08921), integrated over thirty quantiles, in per cent, higher is better.
`dcr`: the share of synthetic rows that lie nearer to a training than to a test row, halves cut to equal size, .5 is
best. `copies`: the share of synthetic rows that repeat a training row exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import NearestNeighbors

ROWS = 8_000
ASKED = 3_000
QUANTILES = 30

Points = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def shuffler(seed: int) -> np.random.RandomState:
    """The generator of the subsamples: its stream is fixed for good, so that figures stay comparable."""
    return np.random.RandomState(seed)


def points(frames: list[pd.DataFrame], numeric: frozenset[str]) -> list[Points]:
    """Return tables as points (rows, dimensions): numbers scaled to the range of the first table, categories one-hot.

    A missing number lies at the first table's median; a missing category has no one.
    """
    blocks = [_block([frame[name] for frame in frames], is_number=name in numeric) for name in frames[0]]
    return [np.hstack(parts) for parts in zip(*blocks, strict=True)]


def _block(columns: list[pd.Series], *, is_number: bool) -> list[Points]:
    if is_number:
        first = columns[0]
        if first.isna().all():
            return [np.zeros((len(column), 1), np.float32) for column in columns]
        low, high = first.min(), first.max()
        scaled = [(column.fillna(first.median()) - low) / ((high - low) or 1.0) for column in columns]
        return [column.to_numpy(np.float32)[:, None] for column in scaled]
    levels = pd.concat(columns).dropna().unique()
    return [(column.to_numpy()[:, None] == np.asarray(levels)[None]).astype(np.float32) for column in columns]


def nearest(asked: Points, known: Points, which: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the distance to the `which`-th nearest known point, counted from zero, and its place."""
    search = NearestNeighbors(n_neighbors=which + 1, algorithm="brute").fit(known)
    distance, place = search.kneighbors(asked)
    return distance[:, which], place[:, which]


def precision_recall(real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str]) -> tuple[float, float]:
    """Return alpha-precision and beta-recall in per cent."""
    rng = shuffler(0)
    rows = min(ROWS, len(real), len(synthetic))
    x, s = points([frame.iloc[rng.permutation(len(frame))[:rows]] for frame in (real, synthetic)], numeric)
    level = np.linspace(0, 1, QUANTILES)
    radii = np.quantile(np.linalg.norm(x - x.mean(0), axis=1), level)
    centred = np.linalg.norm(s - x.mean(0), axis=1)
    own, _ = nearest(x, x, 1)  # the nearest one is the row itself
    distance, place = nearest(x, s)
    depth = np.linalg.norm(s[place] - s.mean(0), axis=1)
    reach = np.quantile(depth, level)
    precise = np.array([(centred <= radius).mean() for radius in radii])
    recalled = np.array([((distance <= own) & (depth <= radius)).mean() for radius in reach])
    alpha, beta = (100 * (1 - float(np.abs(level - share).sum() / level.sum())) for share in (precise, recalled))
    return alpha, beta


def nearer_to_train(train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str]) -> float:
    """Return the share of synthetic rows nearer to a training row than to a test row; ties count one half."""
    rng = shuffler(0)
    rows = min(ROWS, len(train), len(test))
    sizes = [(train, rows), (test, rows), (synthetic, ASKED)]
    t, h, s = points([frame.iloc[rng.permutation(len(frame))[:size]] for frame, size in sizes], numeric)
    seen, unseen = nearest(s, t)[0], nearest(s, h)[0]
    return float(((seen < unseen) + 0.5 * (seen == unseen)).mean())


def copied(train: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Return the share of synthetic rows that are training rows."""
    keys = [pd.util.hash_pandas_object(frame.astype(str), index=False) for frame in (train, synthetic)]
    return float(keys[1].isin(set(keys[0])).mean())


def measures(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str]
) -> dict[str, float]:
    """Return all four."""
    alpha, beta = precision_recall(train, synthetic, numeric)
    dcr = nearer_to_train(train, test, synthetic, numeric)
    return {"alpha": alpha, "beta": beta, "dcr": dcr, "copies": copied(train, synthetic)}
