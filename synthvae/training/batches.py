"""Coded rows in parts, and the batches that are drawn from them, whether all rows fit into memory or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.errors import brief
from synthvae.model import Rows
from synthvae.training.checkpoint import Snapshot
from synthvae.training.distributed import ProcessGroup

MAX_REPEATS = 8.0


def class_weights(counts: Tensor) -> Tensor:
    """Return how often (C,) rows of each class are drawn in an epoch, given the number of rows (C,) of each.

    Rows of a class with less than half of an equal share are drawn more often than once, by the square root of what it
    lacks, up to `MAX_REPEATS` times: p(x | y) of a rare class is not learned if its rows hardly contribute to the loss.
    """
    return (0.5 * counts.sum() / (len(counts) * counts.clamp_min(1))).sqrt().clamp(1.0, MAX_REPEATS)


def repeats(times: Tensor, generator: torch.Generator) -> Tensor:
    """Return the indices of rows, in order, each `times` (B,) times on average.

    The draw is systematic: every run of rows occurs as often as the sum of its times, up to less than one row. So an
    epoch represents a weighted table better than independent draws do.

    Source: Sarndal, Swensson, Wretman 1992, Model assisted survey sampling, section 3.4.
    """
    ends = times.double().cumsum(0) + torch.rand((), generator=generator, device=times.device, dtype=torch.double)
    floors = ends.floor().long()
    return torch.repeat_interleave(torch.diff(floors, prepend=floors.new_zeros(1)))


class Parts(Protocol):
    """Coded rows in parts, each of which is a random sample of all rows, so that training may take them in turn.

    Attributes:
        sizes: The number of rows of each part.
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each part."""

    def __getitem__(self, part: int, /) -> Codes:
        """Return one part."""


@dataclass(frozen=True)
class SinglePart:
    """All rows as one part."""

    __repr__ = brief

    codes: Codes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows."""
        return (len(self.codes),)

    def __getitem__(self, part: int, /) -> Codes:
        """Return all rows."""
        del part
        return self.codes


@dataclass(frozen=True)
class LabelledRows:
    """Rows (B) on a device, their conditions (B,), and their weights (B,); None: all rows weigh the same."""

    __repr__ = brief

    rows: Rows
    labels: Tensor
    weights: Tensor | None = None

    @classmethod
    def from_codes(cls, codes: Codes, device: torch.device) -> LabelledRows:
        """Return coded rows on a device."""
        rows = Rows(torch.from_numpy(codes.digits).to(device), torch.from_numpy(codes.values).to(device))
        weights = None if codes.weights is None else torch.from_numpy(codes.weights).to(device)
        return cls(rows, torch.from_numpy(codes.labels).to(device), weights)

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: LabelledRows) -> LabelledRows:
        rows = Rows(*(torch.cat(fields) for fields in zip(self.rows, other.rows, strict=True)))
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = torch.cat([self.weights, other.weights])
        return LabelledRows(rows, torch.cat([self.labels, other.labels]), weights)

    def take(self, places: Tensor | slice) -> LabelledRows:
        """Return the rows at some places, or of a mask."""
        weights = None if self.weights is None else self.weights[places]
        return LabelledRows(self.rows.take(places), self.labels[places], weights)

    def label_counts(self, conditions: int) -> Tensor:
        """Return the number of rows (C,) of each condition, or the sum of their weights."""
        known = self.labels >= 0
        weights = None if self.weights is None else self.weights[known].double()
        return torch.bincount(self.labels[known], weights, minlength=conditions)

    def repeated(self, generator: torch.Generator) -> LabelledRows:
        """Return as many rows, each repeated in proportion to its weight; the rows themselves without weights."""
        if self.weights is None or not len(self):
            return self
        return self.take(repeats(self.weights * (len(self) / self.weights.sum()), generator))


class Batches:
    """An endless sequence of batches: in each epoch all rows in random order, once or as often as their class weighs.

    Rows that have weights of their own occur in proportion to them, so that the mean loss of the batches is the
    weighted mean of the rows' losses.

    The parts are taken in random order, and the rows of one part are shuffled. Since each part is a random sample, so
    is each batch, and no more than two parts are in memory.

    Args:
        first: The training rows of the first part; they stay in memory.
        parts: All parts.
        batch_size: Rows of a batch.
        conditions: The number C of conditions.
        generator: The generator of the order.
        group: The processes that train on other rows.

    Attributes:
        weights: How often (C + 1,) a row of each class is drawn in an epoch; the last one is that of unlabelled rows.
        scale: The number of rows per unit of the rows' own weights.
    """

    def __init__(  # noqa: PLR0917 (all that a batch depends on)
        self,
        first: LabelledRows,
        parts: Parts,
        batch_size: int,
        conditions: int,
        generator: torch.Generator,
        group: ProcessGroup,
    ) -> None:
        self.first, self.parts, self.generator = first, parts, generator
        self.scale = self._rows_per_weight(group)
        counts = group.sum(torch.stack([part.label_counts(conditions) for part in self.all_parts()]).sum(0))
        classes = class_weights(counts if first.weights is None else (counts * self.scale).float())
        self.weights = torch.cat([classes, torch.ones(1, device=first.labels.device, dtype=classes.dtype)])
        self.batch_size = min(batch_size, len(first), *parts.sizes[1:])
        self.part, self.queue = 0, []  # type: tuple[int, list[int]]
        self.current = first
        self.places = torch.empty(0, dtype=torch.long, device=first.labels.device)

    def _rows_per_weight(self, group: ProcessGroup) -> float:
        """The number of training rows per unit of weight, of all parts and processes; 1 without weights."""
        if self.first.weights is None:
            return 1.0
        parts = [(len(part), float(_weights(part).sum())) for part in self.all_parts()]
        rows, weight = group.sum(torch.tensor(parts, dtype=torch.double).sum(0)).tolist()
        return float(rows / weight)

    def times(self, rows: LabelledRows) -> Tensor:
        """Return how often (B,) each of some rows is drawn in an epoch."""
        times = self.weights[rows.labels]
        return times if rows.weights is None else times * rows.weights * self.scale

    def all_parts(self) -> Iterator[LabelledRows]:
        """Yield all training rows, part by part."""
        yield self.first
        yield from self.later_parts()

    def later_parts(self) -> Iterator[LabelledRows]:
        """Yield the parts after the first one."""
        yield from (self._part(part) for part in range(1, len(self.parts.sizes)))

    def next(self) -> LabelledRows:
        """Return the next batch."""
        if len(self.places) < self.batch_size:
            self._open_next_part()
        while not len(self.places):  # the weights of a small part may leave none of its rows in an epoch
            self._open_next_part()
        pick, self.places = self.places[: self.batch_size], self.places[self.batch_size :]
        return self.current.take(pick)

    def _open_next_part(self) -> None:
        """Open the next part of the queue, and shuffle its rows."""
        if not self.queue:
            self.queue = self._permutation(len(self.parts.sizes)).tolist() if len(self.parts.sizes) > 1 else [0]
        self.part = self.queue.pop()
        self.current = self._part(self.part)
        times = self.times(self.current)
        if self.current.weights is not None:
            places = repeats(times, self.generator)
        else:  # the fraction of a class's weight is the probability that a row is drawn once more
            uniform = torch.rand(len(times), generator=self.generator, device=times.device, dtype=torch.float32)
            places = torch.repeat_interleave((times + uniform).long())
        self.places = places[self._permutation(len(places))]

    def _permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self.generator, device=self.generator.device)

    def _part(self, part: int) -> LabelledRows:
        return self.first if part == 0 else LabelledRows.from_codes(self.parts[part], self.first.labels.device)

    def snapshot(self) -> Snapshot:
        """Return the position in the sequence."""
        return Snapshot({"places": self.places}, {"part": self.part, "queue": self.queue})

    def restore(self, snapshot: Snapshot) -> None:
        """Set the position in the sequence."""
        self.part, self.queue = int(snapshot.values["part"]), [int(part) for part in snapshot.values["queue"]]
        self.current = self._part(self.part)
        self.places = snapshot.tensors["places"].to(self.first.labels.device)


def _weights(rows: LabelledRows) -> Tensor:
    assert rows.weights is not None
    return rows.weights.double()
