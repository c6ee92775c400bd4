"""Coded rows in parts, and the batches that a step learns, whether all rows fit into memory or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.model import Rows
from synthvae.training.distributed import World

MAX_REPEATS = 8.0


def class_weights(counts: Tensor) -> Tensor:
    """Return how often (C,) rows of each class are seen, relative to those of frequent classes, of rows (C,) of each.

    Of a class with less than half of an equal share, rows are seen more often, with the square root of what it lacks,
    up to `MAX_REPEATS` times: p(x | y) of a rare class is to be right, too, and is not if its rows hardly count.
    """
    return (0.5 * counts.sum() / (len(counts) * counts.clamp_min(1))).sqrt().clamp(1.0, MAX_REPEATS)


class Parts(Protocol):
    """Coded rows in parts, of which each is a random sample of them all, so that one after the other may be learned.

    Attributes:
        sizes: How many rows each has.
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rows each has."""

    def __getitem__(self, part: int, /) -> Codes:
        """Return one of them."""


@dataclass(frozen=True)
class Whole:
    """All rows as one part."""

    codes: Codes

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rows there are."""
        return (len(self.codes),)

    def __getitem__(self, part: int, /) -> Codes:
        """Return all of them."""
        del part
        return self.codes


@dataclass(frozen=True)
class Labelled:
    """Rows (B) on a device, and their conditions (B,)."""

    rows: Rows
    labels: Tensor

    @classmethod
    def of(cls, codes: Codes, device: torch.device) -> Labelled:
        """Return codes on a device."""
        rows = Rows(torch.from_numpy(codes.digits).to(device), torch.from_numpy(codes.values).to(device))
        return cls(rows, torch.from_numpy(codes.labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def joined(cls, *parts: Labelled) -> Labelled:
        """Return the rows of several, one under the other."""
        rows = Rows(*(torch.cat(fields) for fields in zip(*(part.rows for part in parts), strict=True)))
        return cls(rows, torch.cat([part.labels for part in parts]))

    def take(self, places: Tensor | slice) -> Labelled:
        """Return some of them, by place or mask."""
        return Labelled(self.rows.take(places), self.labels[places])


class Batches:
    """Batches without end: all rows once, or more often as their class weighs, in another order each time.

    Parts come one after the other, in another order each time, too; rows of one part are mixed. Since each part is a
    random sample, so is each batch, and no more than two parts are in memory.

    Args:
        first: The rows of the first part that are learned; they stay in memory.
        parts: All parts.
        rows: Of a batch.
        conditions: How many there are.
        generator: Of their order.
        world: Who learns other rows.

    Attributes:
        weights: How often (C + 1,) a row of each class is seen; the last one is that of rows without a label.
    """

    def __init__(  # noqa: PLR0917 (what a batch hangs on)
        self, first: Labelled, parts: Parts, rows: int, conditions: int, generator: torch.Generator, world: World
    ) -> None:
        self.first, self.parts, self.generator = first, parts, generator
        counts = torch.stack([_counts(part.labels, conditions) for part in self.each()])
        self.weights = torch.cat([class_weights(world.total(counts.sum(0))), torch.ones(1, device=first.labels.device)])
        self.rows = min(rows, len(first), *parts.sizes[1:])
        self.part, self.queue = 0, []  # type: tuple[int, list[int]]
        self.here = first
        self.places = torch.empty(0, dtype=torch.long, device=first.labels.device)

    def each(self) -> Iterator[Labelled]:
        """All rows that are learned, part by part."""
        yield self.first
        yield from self.others()

    def others(self) -> Iterator[Labelled]:
        """The parts after the first one."""
        yield from (self._part(part) for part in range(1, len(self.parts.sizes)))

    def next(self) -> Labelled:
        """The next batch."""
        if len(self.places) < self.rows:
            self._turn()
        pick, self.places = self.places[: self.rows], self.places[self.rows :]
        return self.here.take(pick)

    def _turn(self) -> None:
        """Open the next part, and put its rows in order."""
        if not self.queue:
            self.queue = self._mixed(len(self.parts.sizes)).tolist() if len(self.parts.sizes) > 1 else [0]
        self.part = self.queue.pop()
        self.here = self._part(self.part)
        # A row is seen as often as its class weighs: the fraction of a time by chance.
        labels = self.here.labels
        chance = torch.rand(len(labels), generator=self.generator, device=labels.device)
        seen = torch.repeat_interleave((self.weights[labels] + chance).long())
        self.places = seen[self._mixed(len(seen))]

    def _mixed(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self.generator, device=self.generator.device)

    def _part(self, part: int) -> Labelled:
        return self.first if part == 0 else Labelled.of(self.parts[part], self.first.labels.device)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where it stands: tensors, and what JSON can say."""
        return {"places": self.places}, {"part": self.part, "queue": self.queue}

    def resume(self, tensors: dict[str, Tensor], page: dict[str, Any]) -> None:
        """Stand where it stood."""
        self.part, self.queue = int(page["part"]), [int(part) for part in page["queue"]]
        self.here = self._part(self.part)
        self.places = tensors["places"].to(self.first.labels.device)


def _counts(labels: Tensor, conditions: int) -> Tensor:
    return torch.bincount(labels[labels >= 0], minlength=conditions)
