"""How many rows of each condition are drawn, in parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    pass


PART_ROWS = 1 << 18


@dataclass(frozen=True)
class Request:
    """How many rows of each condition, from which seed.

    Args:
        counts: Rows of each condition.
        seed: The seed of all draws.
        part_rows: Rows of a part at most, about.
    """

    counts: tuple[int, ...]
    seed: int
    part_rows: int = field(default_factory=lambda: PART_ROWS)

    @classmethod
    def total(cls, rows: int, frequencies: npt.NDArray[np.float64], seed: int) -> Request:
        """Ask for `rows` rows, the conditions in the shares of training.

        Systematic sampling: each count is within one of its share, and right on average, so that even one row asked
        for again and again (with other seeds) has every class in the end.
        """
        offset = np.random.default_rng([seed, rows]).random()
        inner = np.floor(np.cumsum(frequencies)[:-1] * rows + offset).astype(int)
        edges = np.concatenate([[0], np.minimum(inner, rows), [rows]])
        return cls(tuple(np.diff(edges).tolist()), seed)

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts)

    @property
    def parts(self) -> int:
        """The number of parts; one for no rows at all."""
        return max(-(-self.rows // self.part_rows), 1)

    def before(self, part: int) -> tuple[int, ...]:
        """Rows of each condition in the parts before `part`: every part has the mix of the whole."""
        return tuple(part * count // self.parts for count in self.counts)

    def of(self, part: int) -> tuple[int, ...]:
        """Rows of each condition in `part`."""
        return tuple(b - a for a, b in zip(self.before(part), self.before(part + 1), strict=True))
