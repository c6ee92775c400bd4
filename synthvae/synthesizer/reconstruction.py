"""What a model makes of rows that it sees: a distribution for every cell."""

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
    """Cells as the model has them, given what it sees of their rows.

    Args:
        mean: Rows (rows, columns): the means of numbers and moments, where there are any, and the likeliest of other
            values.
        std: Standard deviations (rows, numbers and moments), in the units of the columns.
        probabilities: For each other column, the probabilities (rows, values) of its values.
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    probabilities: dict[str, pd.DataFrame]


def reconstruct(learned: FittedModel, codes: Codes, draws: int, seed: int) -> Reconstruction:
    """Estimate every cell of some rows by as many `draws` of x from p(x | z, y), z from q(z | x*, y).

    Raises:
        RequestError: There are fewer than 2 draws.
    """
    if draws < 2:
        raise RequestError(f"a distribution needs at least 2 draws of each row, however, {draws=}: ask for more")
    parts = [_reconstructed(learned, part, draws, seed) for part in _parts(codes, max(DRAWN_AT_ONCE // draws, 1))]
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


def _reconstructed(learned: FittedModel, codes: Codes, draws: int, seed: int) -> Reconstruction:
    drawn = learned.like(codes, draws, 1.0, seed)
    frame = convert.to_pandas(drawn)
    means: dict[Any, Any] = {}
    stds: dict[Any, Any] = {}
    probabilities: dict[str, pd.DataFrame] = {}
    for name, label in zip(drawn.column_names, frame, strict=True):
        values = drawn.column(name)
        if _is_smooth(values.type):
            means[label], stds[label] = _moments(values, draws)
        else:
            probabilities[name] = shares = _shares(frame[label], draws)
            means[label] = shares.columns.to_numpy()[shares.to_numpy().argmax(1)] if len(shares) else frame[label]
    rows = pd.RangeIndex(len(codes))
    return Reconstruction(pd.DataFrame(means, index=rows), pd.DataFrame(stds, index=rows), probabilities)


def _is_smooth(kind: pa.DataType) -> bool:
    """Whether values of a type have a mean."""
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(number or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _moments(values: pa.ChunkedArray, draws: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Means and standard deviations (rows,) of drawn values (rows * draws,)."""
    moment = pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)
    numbers = values.cast(pa.timestamp("us")).cast(pa.int64()) if moment else values
    drawn = numbers.cast(pa.float64(), safe=False).to_numpy().reshape(-1, draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell that is missing in all draws has no mean
        mean, std = np.nanmean(drawn, 1), np.nanstd(drawn, 1)
    if not moment:
        return mean, std
    known = np.isfinite(mean)
    ticks = np.where(known, mean, 0).astype("datetime64[us]"), np.where(known, std, 0).astype("timedelta64[us]")
    return np.where(known, ticks[0], np.datetime64("NaT")), np.where(known, ticks[1], np.timedelta64("NaT"))


def _shares(values: pd.Series, draws: int) -> pd.DataFrame:
    """How often (rows, values) each of the drawn values (rows * draws,) occurs; a gap is a value, too."""
    places, known = pd.factorize(values, use_na_sentinel=False)
    rows = len(values) // draws
    cells = np.repeat(np.arange(rows), draws) * len(known) + places
    counts = np.bincount(cells, minlength=rows * len(known)).reshape(rows, len(known))
    return pd.DataFrame(counts / draws, columns=pd.Index(known, dtype=object))
