"""Attribute inference: a value that is not known of a person, guessed from all that is known and the synthetic rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, some
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.disclosure.risk import Guesses, Outcome
from synthvae.schema.column import TEMPORAL

TARGETS = 2_000
ROWS = 20_000
SECRETS = 20
TOLERANCE = 0.05
AT_ONCE = 250  # targets whose distances to all synthetic rows are in memory together

Places = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]


def inference(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> list[Outcome]:
    """Guess the value of each secret column, all others known, as that of the nearest synthetic row.

    After Giomi et al. 2023 (arXiv 2211.10459), "inference": a guess of a category is right if it is equal, one of a
    number if it is within 5 % of it (dates: within 5 % of the column's range), one of a missing value if it is missing.
    They use Gower's distance; here it is the Euclidean one of `as_points` points, scaled by the synthetic rows.
    The naive guess is the value of any synthetic row. Of more than 20 columns 20 are drawn.

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the targets and the secrets.

    Returns:
        What came of it in all secrets together, then in each; nothing where no column is a secret.
    """
    secrets = _secrets(comparison, rng)
    if not secrets:
        return []
    size = min(TARGETS, len(comparison.real), len(holdout))
    made, learned, control = (
        some(rows, most, rng) for rows, most in ((comparison.synthetic, ROWS), (comparison.real, size), (holdout, size))
    )
    guess = [_nearest(made, targets, secrets) for targets in (learned, control)]
    guess.append(rng.integers(len(made), size=(size, len(secrets))))
    hits = [
        _right(comparison, made, targets, secrets, places)
        for targets, places in zip((learned, control, learned), guess, strict=True)
    ]
    pooled = _outcome(hits, "")
    return [pooled, *(_outcome([found[:, [place]] for found in hits], name) for place, name in enumerate(secrets))]


def _outcome(hits: list[npt.NDArray[np.bool_]], column: str) -> Outcome:
    learned, control, naive = (Guesses.each(found) for found in hits)
    return Outcome("inference", learned, control, naive, column)


def _secrets(comparison: Comparison, rng: np.random.Generator) -> list[str]:
    """The columns that can be guessed: there is another to guess from, and they have more than one value."""
    if len(comparison.kinds) < 2:
        return []
    names = [name for name in comparison.real if comparison.real[name].nunique(dropna=False) > 1]
    drawn = sorted(rng.choice(len(names), min(SECRETS, len(names)), replace=False).tolist())
    return [str(names[place]) for place in drawn]


def _nearest(made: pd.DataFrame, targets: pd.DataFrame, secrets: list[str]) -> Places:
    """The place of the synthetic row that is nearest to each target in all columns but the secret (targets, secrets).

    Squared distances are sums over columns: all are added once, then each secret's is taken off again.
    """
    points = {name: _values(made[name], targets[name]) for name in made}
    places = np.empty((len(targets), len(secrets)), np.int64)
    for start in range(0, len(targets), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        whole = np.zeros((len(targets[part]), len(made)), np.float32)
        for ours, theirs in points.values():
            whole += _apart(ours, theirs[part])
        for place, name in enumerate(secrets):
            ours, theirs = points[name]
            places[part, place] = (whole - _apart(ours, theirs[part])).argmin(axis=1)
    return places


def _values(made: pd.Series[Any], targets: pd.Series[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A column as it is compared: codes of categories (rows,), points of numbers (rows, 1 or 2)."""
    if isinstance(made.dtype, pd.CategoricalDtype):
        return made.cat.codes.to_numpy(), targets.cat.codes.to_numpy()
    ours, theirs = as_points([made.to_frame(), targets.to_frame()])
    return ours, theirs


def _apart(made: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Distances:
    """Squared distances in one column, of `as_points` points: of two categories it is one (targets, rows)."""
    if made.ndim == 1:
        return np.asarray(targets[:, None] != made, np.float32)
    squares = [np.square(targets[:, d, None] - made[:, d]) for d in range(made.shape[1])]
    return np.asarray(sum(squares), np.float32)


def _right(
    comparison: Comparison, made: pd.DataFrame, targets: pd.DataFrame, secrets: list[str], places: Places
) -> npt.NDArray[np.bool_]:
    """Whether each guess is right (targets, secrets)."""
    found = []
    for place, name in enumerate(secrets):
        guess, truth = made[name].iloc[places[:, place]], targets[name]
        if name in comparison.numeric:
            spread = comparison.real[name].max() - comparison.real[name].min()
            dates = comparison.kinds[name].kind in TEMPORAL
            found.append(_close(guess.to_numpy(), truth.to_numpy(), spread if dates else None))
        else:
            found.append(guess.cat.codes.to_numpy() == truth.cat.codes.to_numpy())
    return np.stack(found, axis=1)


def _close(guess: npt.NDArray[Any], truth: npt.NDArray[Any], spread: float | None) -> npt.NDArray[np.bool_]:
    """Whether numbers are within the tolerance, of themselves or of a spread; or both are missing."""
    allowed = TOLERANCE * (np.abs(truth) if spread is None else spread)
    return np.asarray((np.abs(guess - truth) <= allowed) | (np.isnan(guess) & np.isnan(truth)))
