"""Reconstruction of rows: the distribution of every cell under the posterior of its row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.encoding import Codes
from synthvae.errors import RequestError
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.tables import convert

DRAWN_AT_ONCE = 1 << 16  # rows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reconstruction:
    """The distribution of every cell under the posterior of its row.

    Args:
        mean: Rows (rows, columns): the means of numbers and timestamps, and the most probable value of other columns.
        std: Standard deviations (rows, numbers and timestamps), in the units of the columns.
        probabilities: For each other column, the probabilities (rows, values) of its values.
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    probabilities: dict[str, pd.DataFrame]


def reconstruct(fitted: FittedModel, codes: Codes, draws: int, seed: int) -> Reconstruction:
    """Estimate the distribution of every cell of rows x* from draws of x ~ p(x | z, y), z ~ q(z | x*, y).

    Args:
        fitted: The model.
        codes: The rows.
        draws: The number of draws per row.
        seed: Seed of the draws.

    Raises:
        RequestError: There are fewer than 2 draws.
    """
    if draws < 2:
        raise RequestError(f"`draws` must be at least 2, got {draws}.")
    parts = [_reconstructed(fitted, part, draws, seed) for part in _parts(codes, max(DRAWN_AT_ONCE // draws, 1))]
    mean, std = (pd.concat(frames, ignore_index=True) for frames in zip(*((p.mean, p.std) for p in parts), strict=True))
    shares = {
        name: pd.concat([part.probabilities[name] for part in parts], ignore_index=True).fillna(0.0)
        for name in parts[0].probabilities
    }
    return Reconstruction(mean, std, shares)


def _parts(codes: Codes, rows: int) -> Iterator[Codes]:
    for start in range(0, max(len(codes), 1), rows):
        part = slice(start, start + rows)
        yield Codes(codes.digits[part], codes.values[part], codes.labels[part])


def _reconstructed(fitted: FittedModel, codes: Codes, draws: int, seed: int) -> Reconstruction:
    drawn = fitted.sample_like(codes, draws, 1.0, seed)
    frame = convert.to_pandas(drawn)
    means: dict[Any, Any] = {}
    stds: dict[Any, Any] = {}
    probabilities: dict[str, pd.DataFrame] = {}
    for name, label in zip(drawn.column_names, frame, strict=True):
        values = drawn.column(name)
        if _has_mean(values.type):
            means[label], stds[label] = _moments(values, draws)
        else:
            probabilities[name] = shares = _shares(frame[label], draws)
            means[label] = shares.columns.to_numpy()[shares.to_numpy().argmax(1)] if len(shares) else frame[label]
    rows = pd.RangeIndex(len(codes))
    return Reconstruction(pd.DataFrame(means, index=rows), pd.DataFrame(stds, index=rows), probabilities)


def _has_mean(kind: pa.DataType) -> bool:
    """Whether values of a type have a mean."""
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(number or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _moments(values: pa.ChunkedArray, draws: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Means and standard deviations (rows,) of drawn values (rows * draws,)."""
    is_timestamp = pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)
    numbers = values.cast(pa.timestamp("us")).cast(pa.int64()) if is_timestamp else values
    drawn = numbers.cast(pa.float64(), safe=False).to_numpy().reshape(-1, draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell that is missing in all draws has no mean
        mean, std = np.nanmean(drawn, 1), np.nanstd(drawn, 1)
    if not is_timestamp:
        return mean, std
    known = np.isfinite(mean)
    ticks = np.where(known, mean, 0).astype("datetime64[us]"), np.where(known, std, 0).astype("timedelta64[us]")
    return np.where(known, ticks[0], np.datetime64("NaT")), np.where(known, ticks[1], np.timedelta64("NaT"))


def _shares(values: pd.Series, draws: int) -> pd.DataFrame:
    """The shares (rows, values) of the drawn values (rows * draws,); a missing value counts as a value."""
    places, known = pd.factorize(values, use_na_sentinel=False)
    rows = len(values) // draws
    cells = np.repeat(np.arange(rows), draws) * len(known) + places
    counts = np.bincount(cells, minlength=rows * len(known)).reshape(rows, len(known))
    return pd.DataFrame(counts / draws, columns=pd.Index(known, dtype=object))
