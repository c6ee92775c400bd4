"""Attribute inference attack: guess an unknown value of a row from its other values and the synthetic rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, subsample
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.disclosure.risk import AttackResult, Guesses
from synthvae.schema.column import TEMPORAL

TARGETS = 2_000  # attacked rows of each kind
ROWS = 20_000  # synthetic rows
SECRETS = 20  # columns that are guessed
TOLERANCE = 0.05  # relative error of a right guess
AT_ONCE = 250  # targets whose distances to all synthetic rows are in memory at once

Places = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]


def inference(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> list[AttackResult]:
    """Guess the value of each secret column as that of the synthetic row that is nearest in all other columns.

    A guess of a category is right if it is equal; of a number if it is within 5% of it (dates: within 5% of the
    column's range); of a missing value if it is missing. The random guess is the value of a random synthetic row. Of
    more than 20 columns, 20 are drawn. Source: Giomi et al. 2023 (arXiv 2211.10459), "inference", with the Euclidean
    distance between the points of `as_points`, scaled by the synthetic rows, in place of Gower's distance.

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the attacked rows and the secret columns.

    Returns:
        The result of all secret columns together, then of each; empty if no column can be guessed.
    """
    secrets = _secrets(comparison, rng)
    if not secrets:
        return []
    size = min(TARGETS, len(comparison.real), len(holdout))
    synthetic, training, control = (
        subsample(rows, most, rng)
        for rows, most in ((comparison.synthetic, ROWS), (comparison.real, size), (holdout, size))
    )
    guess = [_nearest(synthetic, targets, secrets) for targets in (training, control)]
    guess.append(rng.integers(len(synthetic), size=(size, len(secrets))))
    hits = [
        _right(comparison, synthetic, targets, secrets, places)
        for targets, places in zip((training, control, training), guess, strict=True)
    ]
    pooled = _result(hits, "")
    return [pooled, *(_result([found[:, [place]] for found in hits], name) for place, name in enumerate(secrets))]


def _result(hits: list[npt.NDArray[np.bool_]], column: str) -> AttackResult:
    training, control, naive = (Guesses.from_success(found) for found in hits)
    return AttackResult("inference", training, control, naive, column)


def _secrets(comparison: Comparison, rng: np.random.Generator) -> list[str]:
    """Draw the columns to be guessed: those with more than one value, if there is another column."""
    if len(comparison.kinds) < 2:
        return []
    names = [name for name in comparison.real if comparison.real[name].nunique(dropna=False) > 1]
    drawn = sorted(rng.choice(len(names), min(SECRETS, len(names)), replace=False).tolist())
    return [str(names[place]) for place in drawn]


def _nearest(synthetic: pd.DataFrame, targets: pd.DataFrame, secrets: list[str]) -> Places:
    """Return the index of the synthetic row nearest to each target in all columns but the secret (targets, secrets).

    Squared distances are sums over columns: all are added once, then that of each secret is subtracted.
    """
    points = {name: _values(synthetic[name], targets[name]) for name in synthetic}
    places = np.empty((len(targets), len(secrets)), np.int64)
    for start in range(0, len(targets), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        whole = np.zeros((len(targets[part]), len(synthetic)), np.float32)
        for ours, theirs in points.values():
            whole += _squared_distances(ours, theirs[part])
        for place, name in enumerate(secrets):
            ours, theirs = points[name]
            places[part, place] = (whole - _squared_distances(ours, theirs[part])).argmin(axis=1)
    return places


def _values(synthetic: pd.Series[Any], targets: pd.Series[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return a column as codes of categories (N,), or as points of numbers (N, 1 or 2)."""
    if isinstance(synthetic.dtype, pd.CategoricalDtype):
        return synthetic.cat.codes.to_numpy(), targets.cat.codes.to_numpy()
    ours, theirs = as_points([synthetic.to_frame(), targets.to_frame()])
    return ours, theirs


def _squared_distances(synthetic: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Distances:
    """Return squared distances in one column (targets, N): between two categories it is one, as in `as_points`."""
    if synthetic.ndim == 1:
        return np.asarray(targets[:, None] != synthetic, np.float32)
    squares = [np.square(targets[:, d, None] - synthetic[:, d]) for d in range(synthetic.shape[1])]
    return np.asarray(sum(squares), np.float32)


def _right(
    comparison: Comparison, synthetic: pd.DataFrame, targets: pd.DataFrame, secrets: list[str], places: Places
) -> npt.NDArray[np.bool_]:
    """Return whether each guess is right (targets, secrets)."""
    found = []
    for place, name in enumerate(secrets):
        guess, truth = synthetic[name].iloc[places[:, place]], targets[name]
        if name in comparison.numeric:
            spread = comparison.real[name].max() - comparison.real[name].min()
            dates = comparison.kinds[name].kind in TEMPORAL
            found.append(_close(guess.to_numpy(), truth.to_numpy(), spread if dates else None))
        else:
            found.append(guess.cat.codes.to_numpy() == truth.cat.codes.to_numpy())
    return np.stack(found, axis=1)


def _close(guess: npt.NDArray[Any], truth: npt.NDArray[Any], spread: float | None) -> npt.NDArray[np.bool_]:
    """Return whether numbers agree within the tolerance, relative to them or to a range, or both are missing."""
    allowed = TOLERANCE * (np.abs(truth) if spread is None else spread)
    return np.asarray((np.abs(guess - truth) <= allowed) | (np.isnan(guess) & np.isnan(truth)))
