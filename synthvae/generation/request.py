"""Requests: how many rows of each condition to draw, and which dataset to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.errors import brief

PART_ROWS = 1 << 18

LinkedPart = Mapping[str, pa.Table | bytes]
"""A part of several tables: each table by its folder, and the contents of files by their names."""

Draw = Callable[[int], pa.Table | LinkedPart]
"""A function that returns a part of a dataset, by number."""


@dataclass(frozen=True)
class Request:
    """The number of rows of each condition, and the seed.

    Args:
        counts: The number of rows of each condition.
        seed: The seed of all draws.
        part_rows: The approximate number of rows of a part.
        stratified: Whether draws of few rows are stratified, so that shares vary less than those of independent rows.
        least_parts: The smallest number of parts.

    Example:
        >>> request = Request(counts=(3, 5), seed=0, part_rows=4)
        >>> request.rows, request.parts, [request.counts_of(part) for part in range(request.parts)]
        (8, 2, [(1, 2), (2, 3)])
    """

    counts: tuple[int, ...]
    seed: int
    part_rows: int = field(default_factory=lambda: PART_ROWS)
    stratified: bool = True
    least_parts: int = 1

    @classmethod
    def from_total(cls, rows: int, frequencies: npt.NDArray[np.float64], seed: int) -> Self:
        """Return a request for `rows` rows, with conditions in their shares of the training rows.

        Counts are those of systematic sampling: each differs from its share by less than one row, and has it as its
        mean over seeds, so that repeated requests of a single row include every class in the long run.

        Args:
            rows: The number of rows.
            frequencies: The share (conditions,) of each condition.
            seed: The seed of all draws.
        """
        offset = np.random.default_rng([seed, rows]).random()
        inner = np.floor(np.cumsum(frequencies)[:-1] * rows + offset).astype(int)
        edges = np.concatenate([[0], np.minimum(inner, rows), [rows]])
        return cls(tuple(np.diff(edges).tolist()), seed)

    def independently(self, seed: int, frequencies: npt.NDArray[np.float64] | None) -> Self:
        """Return the same request for rows that are drawn independently of one another, with another seed.

        Args:
            seed: The seed of all draws.
            frequencies: The share (conditions,) of each condition, by which their counts are drawn (multinomial);
                None: they stay as they are.
        """
        counts = self.counts
        if frequencies is not None and len(counts) == len(frequencies):
            counts = tuple(np.random.default_rng([seed, self.rows]).multinomial(self.rows, frequencies).tolist())
        return replace(self, counts=counts, seed=seed, stratified=False)

    @property
    def rows(self) -> int:
        """The total number of rows."""
        return sum(self.counts)

    @property
    def parts(self) -> int:
        """The number of parts, at least 1."""
        return max(-(-self.rows // self.part_rows), self.least_parts)

    def counts_before(self, part: int) -> tuple[int, ...]:
        """Return the number of rows of each condition in all parts before `part`, which have equal shares of each."""
        return tuple(part * count // self.parts for count in self.counts)

    def counts_of(self, part: int) -> tuple[int, ...]:
        """Return the number of rows of each condition in `part`."""
        return tuple(b - a for a, b in zip(self.counts_before(part), self.counts_before(part + 1), strict=True))


@dataclass(frozen=True)
class DatasetRequest:
    """The content of a dataset.

    Args:
        draw: Returns the table or tables of a part, by number; sent to each worker as pickled bytes.
        parts: The number of parts.
        metadata: What determines the content (model, request, seed); saved in the manifest.
        partition_by: The column whose values become folders `COLUMN=VALUE/` instead of a column of the files.
        escape_formulas: Whether text that a spreadsheet would evaluate is escaped in a CSV file, see `tables.export`.
    """

    __repr__ = brief

    draw: Draw
    parts: int
    metadata: Mapping[str, Any]
    partition_by: str | None = None
    escape_formulas: bool = False

    @property
    def plan(self) -> str:
        """The content but for the rows, as JSON: a run can be resumed by a request with the same plan."""
        return json.dumps(
            {**self.metadata, "partition_by": self.partition_by, "parts": self.parts}, sort_keys=True, default=str
        )
