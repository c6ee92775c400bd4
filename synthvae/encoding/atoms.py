"""Which numbers of a column are atoms: kept exactly, each learned for itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FEW_ATOMS = 24  # a number with so few values is coded exactly
MAX_ATOMS = 1000  # so is one with so few, if each has rows enough to be learned alone:
ROWS_PER_ATOM = 300  # on average; with fewer, neighbours say more
ROWS_PER_ROUGH_ATOM = 50  # as a row sees it, where neighbours say little
ROUGH = 0.5  # they do where counts differ so much from those around, in shares of the rows
PILE = 4  # a value so many times as frequent as its neighbours is an atom
LARGE_PILE = 0.05  # so is one with this share of the rows
PILE_ROWS = 10  # but not one with fewer rows
NEIGHBOURS = 5  # on either side
ATOM_SHARE = 0.005  # of the rows: what piles up less is none

Floats = npt.NDArray[np.float64]


class Counted(NamedTuple):
    """Distinct values, ascending, and how often each occurs."""

    values: Floats
    counts: npt.NDArray[np.int64]


def find_atoms(numbers: Floats) -> tuple[tuple[float, ...], Counted]:
    """Find the values that are learned each for itself, and the others, which are points of a density."""
    values, counts = np.unique(numbers, return_counts=True)
    atom = _piles(counts)
    if len(values) <= FEW_ATOMS or (len(values) <= MAX_ATOMS and _are_exact(counts[~atom])):
        atom[:] = True
    return tuple(values[atom].tolist()), Counted(values[~atom], counts[~atom])


def _piles(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which values are much more frequent than the values beside them, so that no smooth density shows them."""
    if not len(counts):
        return np.zeros(0, bool)
    share = counts / counts.sum()
    piled = (counts >= PILE * _beside(counts)) & (share >= ATOM_SHARE)
    return np.asarray((piled | (share >= LARGE_PILE)) & (counts >= PILE_ROWS))


def _are_exact(counts: npt.NDArray[np.int64]) -> bool:
    """Whether values that occur so often are to be learned each for itself, not as points of a density."""
    if not len(counts) or counts.mean() >= ROWS_PER_ATOM:
        return True
    rough = np.abs(counts - _beside(counts)).sum() >= ROUGH * counts.sum()
    return bool(rough and np.square(counts).sum() >= ROWS_PER_ROUGH_ATOM * counts.sum())


def _beside(counts: npt.NDArray[np.int64]) -> Floats:
    """The mean count of the values beside each value."""
    window, here = np.ones(2 * NEIGHBOURS + 1), slice(NEIGHBOURS, NEIGHBOURS + len(counts))
    around = np.convolve(counts, window)[here] - counts
    return np.asarray(around / np.maximum(np.convolve(np.ones(len(counts)), window)[here] - 1, 1))
