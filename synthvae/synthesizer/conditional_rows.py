"""Rows of which some columns are known and others are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.encoding.arrays import Floats
from synthvae.model import Rows
from synthvae.model.conditional import Limit


class Facts(NamedTuple):
    """What is known of rows beside their codes.

    Args:
        numbers: Numbers (rows,) of columns, or (1,) of all rows, in the unit of the column; NaN: those of the codes.
        conditions: The smallest and the largest compared number of columns that are distances from others.
    """

    numbers: Mapping[str, Floats]
    conditions: Mapping[str, tuple[float, float]] = {}

    def take(self, some: slice | npt.NDArray[np.int64]) -> Facts:
        """Return what is known of some rows."""
        return self._replace(numbers={n: own if len(own) == 1 else own[some] for n, own in self.numbers.items()})


class Drawn(NamedTuple):
    """Rows (B) with their wanted cells drawn.

    Args:
        rows: The rows.
        log_weights: The log probability (B,) of the limits; see `draw_rows`.
        numbers: Numbers (B,) of the columns of rules, in the unit of the column.
    """

    rows: Rows
    log_weights: Tensor
    numbers: dict[str, Floats]

    def take(self, picked: Tensor) -> Drawn:
        """Return some of the rows."""
        places = picked.cpu().numpy()
        numbers = {name: own[places] for name, own in self.numbers.items()}
        return Drawn(self.rows.take(picked), self.log_weights[picked], numbers)

    def put(self, places: npt.NDArray[np.int64], other: Drawn) -> None:
        """Replace some of the rows, in place."""
        some = torch.from_numpy(places).to(self.rows.digits.device)
        self.rows.digits[some], self.rows.values[some] = other.rows.digits, other.rows.values
        for name, own in other.numbers.items():
            self.numbers[name][places] = own


class Start(NamedTuple):
    """What is known of rows, and which of their cells are wanted.

    Args:
        rows: Rows (B, or one that all have in common).
        wanted: Which cells (B, cells) to draw.
        facts: What else is known of them.
        within: Limits of columns.
    """

    rows: Rows
    wanted: Tensor
    facts: Facts
    within: Mapping[str, Limit]

    def take(self, places: npt.NDArray[np.int64]) -> Start:
        """Return some of the rows."""
        some = torch.from_numpy(places).to(self.wanted.device)
        rows = self.rows if len(self.rows.digits) == 1 else self.rows.take(some)
        return Start(rows, self.wanted[some], self.facts.take(places), self.within)


NO_FACTS = Facts({})
