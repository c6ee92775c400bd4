"""The split of the rows into training rows and rows held out for validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.errors import brief
from synthvae.training.batches import LabelledRows, Parts
from synthvae.training.config import TrainingConfig
from synthvae.training.distributed import ProcessGroup

MAX_HELD_OUT = 10_000


@dataclass(frozen=True)
class TrainingSplit:
    """The rows of the first part, of which some are held out; those of the other parts are all trained on.

    Args:
        training: The training rows of the first part.
        held_out: The held-out rows of the first part.
        rows: The number of rows, of all parts and processes.
        training_rows: How many of them are trained on.
        is_grey: Whether some values lie strictly between 0 and 1.
    """

    __repr__ = brief

    training: LabelledRows
    held_out: LabelledRows
    rows: int
    training_rows: int
    is_grey: bool

    @classmethod
    def from_parts(
        cls, parts: Parts, config: TrainingConfig, seed: int, group: ProcessGroup, device: torch.device
    ) -> Self:
        """Hold rows of the first part out as the configuration says."""
        count = int(group.sum(torch.tensor(sum(parts.sizes))))
        first = parts[0]
        mask = held_out(first.labels, config.held_share(count), np.random.default_rng(seed)).to(device)
        rows = LabelledRows.from_codes(first, device)
        training, held = rows.take(~mask), rows.take(mask)
        return cls(training, held, count, count - int(group.sum(torch.tensor(len(held)))), _is_grey(first))

    @property
    def has_held_out(self) -> bool:
        """Whether rows are held out, in this process or in another one."""
        return self.training_rows < self.rows


def held_out(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> Tensor:
    """Return a mask of rows to hold out: `fraction` of each class, rounded down, so that no class is left without rows.

    At most `MAX_HELD_OUT` in all: more rows would hardly make the validation bound more precise, but cost time.
    """
    fraction = min(fraction, MAX_HELD_OUT / max(len(labels), 1))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        held[rng.permutation(rows)[: int(fraction * len(rows))]] = True
    return torch.from_numpy(held)


def _is_grey(codes: Codes) -> bool:
    return bool(((codes.values > 0) & (codes.values < 1)).any())
