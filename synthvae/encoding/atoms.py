"""Which numbers of a column are atoms: encoded exactly, with a probability of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthvae.encoding.arrays import Counts, Floats, Mask

FEW_ATOMS = 24  # a column with at most so many distinct numbers has atoms alone
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


def find_atoms(numbers: Floats) -> tuple[tuple[float, ...], Counted]:
    """Divide the distinct values of `numbers` (rows,) into atoms and the others, which a density describes."""
    values, counts = np.unique(numbers, return_counts=True)
    atom = _piles(counts)
    if len(values) <= FEW_ATOMS or (len(values) <= MAX_ATOMS and _are_exact(counts[~atom])):
        atom[:] = True
    return tuple(values[atom].tolist()), Counted(values[~atom], counts[~atom])


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
