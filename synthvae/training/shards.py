"""Coded rows on disk, in shards, each of which is a random sample of all rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from synthvae.codes import Codes
from synthvae.errors import brief
from synthvae.filesystem import Folder

INDEX = "shards.json"
SHARD_ROWS = 1 << 20
MAX_SHARDS = 256  # files that are open at once; with more rows, shards are larger

Records = npt.NDArray[np.void]


@dataclass(frozen=True)
class Shards:
    """Coded rows in files, which are read one at a time.

    Rows are assigned to random shards, and each shard is shuffled when it is read, so that all rows are shuffled. A
    digit takes one byte, a value, a label or a weight four.

    Args:
        folder: The folder of the files.
        sizes: The number of rows of each shard.
        width: The number of digits of a row.
        values: The number of values of a row.
        weighted: Whether rows have weights.
    """

    __repr__ = brief

    folder: Path
    sizes: tuple[int, ...]
    width: int
    values: int
    weighted: bool = False

    @classmethod
    def write(cls, folder: Path, batches: Iterable[Codes], rows: int, rng: np.random.Generator, least: int = 1) -> Self:
        """Write batches of `rows` coded rows in all to at least `least` shards, which replace those in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        place = Folder(folder, private=True)
        place.remove(INDEX)
        count = min(max(-(-rows // SHARD_ROWS), least), MAX_SHARDS)
        sizes, shape, weighted = np.zeros(count, np.int64), (0, 0), False
        with ExitStack() as stack:
            files = [stack.enter_context(place.create(_name(shard))) for shard in range(count)]
            for codes in batches:
                shape, weighted = (codes.digits.shape[1], codes.values.shape[1]), codes.weights is not None
                shard_of = rng.permutation(len(codes)) % count  # so that none stays empty
                records = _records(codes)[np.argsort(shard_of, kind="stable")]
                here = np.bincount(shard_of, minlength=count)
                for file, part in zip(files, np.split(records, np.cumsum(here)[:-1]), strict=True):
                    file.write(part.tobytes())
                sizes += here
        shards = cls(folder, tuple(sizes.tolist()), *shape, weighted)
        index = {"sizes": shards.sizes, "width": shards.width, "values": shards.values, "weighted": weighted}
        place.write(INDEX, json.dumps(index).encode())
        return shards

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Return the shards in a folder; None if they are incomplete."""
        try:
            index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            shards = cls(folder, tuple(index["sizes"]), index["width"], index["values"], bool(index.get("weighted")))
            lengths = [(folder / _name(shard)).stat().st_size for shard in range(len(shards.sizes))]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        row = shards._dtype.itemsize
        return shards if lengths == [size * row for size in shards.sizes] else None

    @property
    def _dtype(self) -> np.dtype[np.void]:
        return _dtype(self.width, self.values, weighted=self.weighted)

    def __getitem__(self, part: int, /) -> Codes:
        """Return the codes of a shard."""
        records = np.fromfile(self.folder / _name(part), self._dtype)
        digits, values = (
            records[field].copy() for field in ("digits", "values")
        )  # a copy of an empty field has the strides of the record
        weights = records["weight"].copy() if self.weighted else None
        return Codes(digits, values, records["label"].astype(np.int64), weights)


def _name(shard: int) -> str:
    return f"shard-{shard:03d}.bin"


def _dtype(width: int, values: int, *, weighted: bool) -> np.dtype[np.void]:
    weight = [("weight", "<f4")] if weighted else []
    return np.dtype([("digits", "i1", (width,)), ("values", "<f4", (values,)), ("label", "<i4"), *weight])


def _records(codes: Codes) -> Records:
    dtype = _dtype(codes.digits.shape[1], codes.values.shape[1], weighted=codes.weights is not None)
    records = np.empty(len(codes), dtype)
    records["digits"], records["values"], records["label"] = codes.digits, codes.values, codes.labels
    if codes.weights is not None:
        records["weight"] = codes.weights
    return records
