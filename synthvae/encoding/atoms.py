"""Which numbers of a column are atoms: encoded exactly, with a probability of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthvae.encoding.arrays import Counts, Floats, Mask

FEW_ATOMS = 24  # a column with at most so many distinct numbers has atoms alone, if they repeat
SINGLE_SHARE = 0.25  # numbers repeat if a smaller share of the rows than this has a number that occurs once
MAX_ATOMS = 1000  # so has one with at most so many, if each has enough rows to estimate its probability:
ROWS_PER_ATOM = 300  # the mean number of rows of a value from which that is so; with fewer, a density is more precise
ROWS_PER_ROUGH_ATOM = 50  # the same where counts are rough; the mean is over rows, not over values
ROUGH = 0.5  # counts are rough if they deviate from those of their neighbours by this share of the rows
PILE = 4  # a value that is so many times as frequent as its neighbours is an atom
LARGE_PILE = 0.05  # so is a value with this share of the rows
PILE_ROWS = 10  # but no value with fewer rows
NEIGHBOURS = 5  # values on either side to which a count is compared
ATOM_SHARE = 0.005  # the smallest share of the rows of a value that is an atom as it exceeds its neighbours


class Counted(NamedTuple):
    """Distinct values, ascending, and how often each occurs."""

    values: Floats
    counts: Counts


def find_atoms(numbers: Floats, decimals: int | None = None) -> tuple[tuple[float, ...], Counted]:
    """Divide the distinct values of `numbers` (rows,) into atoms and the others, which a density describes.

    A value that occurs once may identify a row, and a density does not return it. It is an atom only if nearly all
    others repeat, or if the column has few possible values, such as small counts.

    Args:
        numbers: The numbers of a column.
        decimals: Digits after the point of its numbers; None if they have no grid.
    """
    values, counts = np.unique(numbers, return_counts=True)
    atom = _piles(counts)
    rest = counts[~atom]
    if len(values) <= FEW_ATOMS:
        exact = _repeat(rest) or _places(values, decimals) <= FEW_ATOMS
    else:
        exact = len(values) <= MAX_ATOMS and _repeat(rest) and _are_exact(rest)
    if exact:
        atom[:] = True
    return tuple(values[atom].tolist()), Counted(values[~atom], counts[~atom])


def _repeat(counts: Counts) -> bool:
    """Whether values with these counts repeat; nothing can be interpolated between fewer than two."""
    return bool(len(counts) < 2 or (counts == 1).sum() < SINGLE_SHARE * counts.sum())


def _places(values: Floats, decimals: int | None) -> float:
    """The number of values with so many decimals from the smallest to the largest of `values`; infinite without."""
    if decimals is None or len(values) < 2:
        return np.inf
    with np.errstate(over="ignore"):
        return float(values[-1] * 10.0**decimals - values[0] * 10.0**decimals) + 1


def _piles(counts: Counts) -> Mask:
    """Return which values are much more frequent than the values beside them, so that no smooth density fits them."""
    if not len(counts):
        return np.zeros(0, bool)
    share = counts / counts.sum()
    piled = (counts >= PILE * _beside(counts)) & (share >= ATOM_SHARE)
    return np.asarray((piled | (share >= LARGE_PILE)) & (counts >= PILE_ROWS))


def _are_exact(counts: Counts) -> bool:
    """Whether values with these counts are better described by a probability each than by a density."""
    if not len(counts) or counts.mean() >= ROWS_PER_ATOM:
        return True
    rough = np.abs(counts - _beside(counts)).sum() >= ROUGH * counts.sum()
    return bool(rough and np.square(counts).sum() >= ROWS_PER_ROUGH_ATOM * counts.sum())


def _beside(counts: Counts) -> Floats:
    """The mean count of the neighbours of each value."""
    window, here = np.ones(2 * NEIGHBOURS + 1), slice(NEIGHBOURS, NEIGHBOURS + len(counts))
    around = np.convolve(counts, window)[here] - counts
    return np.asarray(around / np.maximum(np.convolve(np.ones(len(counts)), window)[here] - 1, 1))
