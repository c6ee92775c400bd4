"""The coded rows of a child table by subject, and the batches that are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from synthvae.codes import Codes
from synthvae.errors import brief
from synthvae.model import Rows
from synthvae.relational.network import SequenceBatch

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """To which parent row and which subject each child row (N,) belongs; rows of a parent and a subject are together.

    Args:
        parents: The place of the parent's row.
        subjects: The place of the subject among the rows of the root table; ascending.
    """

    __repr__ = brief

    parents: Places
    subjects: Places

    def __len__(self) -> int:
        return len(self.parents)

    def take(self, rows: Places) -> Family:
        """Return some rows, in ascending order."""
        return Family(self.parents[rows], self.subjects[rows])

    @cached_property
    def starts(self) -> Places:
        """The first row of each subject that has rows, and the number of all rows."""
        return np.append(np.flatnonzero(np.diff(self.subjects, prepend=-1)), len(self))

    @cached_property
    def lengths(self) -> Places:
        """The number of rows of each subject that has rows."""
        return np.diff(self.starts)

    @cached_property
    def places(self) -> Places:
        """The numbers of rows (N, 2) before and after each row that have the same parent."""
        first = np.flatnonzero(np.diff(self.parents, prepend=-1))
        counts = np.diff(np.append(first, len(self)))
        before = np.arange(len(self)) - np.repeat(first, counts)
        return np.stack([before, np.repeat(counts, counts) - 1 - before], 1)

    def packed(self, chosen: Places) -> tuple[Places, Places, Places]:
        """Return the rows of chosen subjects in packed order, the place of the row before each, and sizes.

        See `SequenceBatch`.
        """
        chosen = chosen[np.argsort(-self.lengths[chosen], kind="stable")]
        lengths, starts = self.lengths[chosen], self.starts[:-1][chosen]
        sizes = (lengths[None, :] > np.arange(lengths.max(initial=0))[:, None]).sum(1)
        steps = np.repeat(np.arange(len(sizes)), sizes)
        firsts = np.cumsum(sizes) - sizes
        within = np.arange(sizes.sum()) - firsts[steps]
        before = np.where(steps > 0, firsts[np.maximum(steps - 1, 0)] + within, -1)
        return starts[within] + steps, before, sizes


@dataclass(frozen=True)
class Sequences:
    """The coded rows of a child table.

    Args:
        family: To which parents and subjects they belong.
        rows: The columns of the rows.
        clock: The order column as it is.
        timings: The order column as it is drawn.
        ancestors: The coded rows of each ancestor table, the parent first.
        lines: For each ancestor table the place (N,) of each child row's ancestor.
    """

    __repr__ = brief

    family: Family
    rows: Codes
    clock: Codes
    timings: tuple[Codes, ...]
    ancestors: tuple[Codes, ...]
    lines: tuple[Places, ...]

    @cached_property
    def last(self) -> npt.NDArray[np.float32]:
        """The last value (N, V) of each continuous column before a row of the same subject; NaN without one."""
        values, rows = self.rows.values, np.arange(len(self.family))
        starts = np.repeat(self.family.starts[:-1], self.family.lengths)[:, None]
        places = np.maximum.accumulate(np.where(np.isfinite(values), rows[:, None], -1), 0)
        before = np.concatenate([np.full_like(places[:1], -1), places[:-1]])
        found = np.take_along_axis(values, np.maximum(before, 0), 0)
        return np.where(before >= starts, found, np.float32(np.nan))

    def batch(self, chosen: Places, device: torch.device) -> SequenceBatch:
        """Return the rows of chosen subjects, by number among those that have rows."""
        rows, before, sizes = self.family.packed(chosen)
        return SequenceBatch(
            as_rows(self.rows, rows, device),
            as_rows(self.clock, rows, device),
            tuple(as_rows(one, rows, device) for one in self.timings),
            tuple(as_rows(one, line[rows], device) for one, line in zip(self.ancestors, self.lines, strict=True)),
            torch.from_numpy(self.family.places[rows]).to(device),
            torch.from_numpy(self.last[rows]).to(device),
            torch.from_numpy(before).to(device),
            torch.from_numpy(sizes),
        )


def as_rows(codes: Codes, places: Places, device: torch.device) -> Rows:
    """Return some coded rows as tensors."""
    digits, values = torch.from_numpy(codes.digits[places]), torch.from_numpy(codes.values[places])
    return Rows(digits.to(device), values.to(device))


def split_by_rows(lengths: Places, order: Places, rows: int) -> list[Places]:
    """Return subjects, in `order`, in batches of about so many rows; a batch has at least one subject.

    Example:
        >>> [batch.tolist() for batch in split_by_rows(np.array([2, 3, 1, 9]), np.array([0, 1, 2, 3]), 5)]
        [[0, 1], [2, 3]]
    """
    before = np.cumsum(lengths[order]) - lengths[order]
    numbers = before // max(rows, 1)
    return np.split(order, np.flatnonzero(np.diff(numbers)) + 1) if len(order) else []
