"""Numbers without the extremes of few subjects."""

from __future__ import annotations

import numpy as np

from synthvae.encoding.arrays import Floats
from synthvae.relational.sequences import Places
from synthvae.tables.subjects import ends


def limited(numbers: Floats, units: Places | None, least: int) -> Floats:
    """Return numbers (rows,) limited to those at or beyond which at least so many subjects have one; NaN stays.

    Args:
        numbers: The numbers.
        units: The subject (rows,) of each; None: each row is one.
        least: The number of subjects; 0: any.

    Example:
        >>> limited(np.array([1.0, 2.0, 3.0, 9.0]), np.arange(4), 2).tolist()
        [2.0, 2.0, 3.0, 3.0]
    """
    known = ~np.isnan(numbers)
    if not least or not known.any():
        return numbers
    found = ends(numbers[known], None if units is None else units[known], least)
    return np.full_like(numbers, np.nan) if found is None else np.clip(numbers, *found)
