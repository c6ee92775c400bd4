"""Coded rows on disk, in shards of which each is a random sample of them all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from synthvae import filesystem
from synthvae.codes import Codes

PAGE = "shards.json"
SHARD_ROWS = 1 << 20
MOST_SHARDS = 256  # files that are open at once; of more rows, shards are larger

Records = npt.NDArray[np.void]


@dataclass(frozen=True)
class Shards:
    """Coded rows in files, one of them read at a time.

    To draw a shard for each row, and to mix each shard when it is read, is to mix all rows: the order of the table is
    of no consequence. Digits take a byte each, values and the label four.

    Args:
        folder: Where the files are.
        sizes: How many rows each has.
        width: How many digits a row has.
        values: How many values a row has.
    """

    folder: Path
    sizes: tuple[int, ...]
    width: int
    values: int

    @classmethod
    def write(cls, folder: Path, batches: Iterable[Codes], rows: int, rng: np.random.Generator, least: int = 1) -> Self:
        """Write the codes of so many rows to `least` shards, or more; what was in the folder is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAGE).unlink(missing_ok=True)
        count = min(max(-(-rows // SHARD_ROWS), least), MOST_SHARDS)
        sizes, shape = np.zeros(count, np.int64), (0, 0)
        with ExitStack() as stack:
            files = [stack.enter_context((folder / _name(shard)).open("wb")) for shard in range(count)]
            for codes in batches:
                shape = codes.digits.shape[1], codes.values.shape[1]
                of = rng.permutation(len(codes)) % count  # so that none stays empty
                records = _records(codes)[np.argsort(of, kind="stable")]
                here = np.bincount(of, minlength=count)
                for file, part in zip(files, np.split(records, np.cumsum(here)[:-1]), strict=True):
                    file.write(part.tobytes())
                sizes += here
        shards = cls(folder, tuple(sizes.tolist()), *shape)
        page = {"sizes": shards.sizes, "width": shards.width, "values": shards.values}
        filesystem.write(folder / PAGE, json.dumps(page).encode())
        return shards

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Return what `write` wrote, if it came to an end and all of it is there."""
        try:
            page: dict[str, Any] = json.loads((folder / PAGE).read_text(encoding="utf-8"))
            shards = cls(folder, tuple(page["sizes"]), page["width"], page["values"])
            lengths = [(folder / _name(shard)).stat().st_size for shard in range(len(shards.sizes))]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        row = shards._dtype.itemsize
        return shards if lengths == [size * row for size in shards.sizes] else None

    @property
    def _dtype(self) -> np.dtype[np.void]:
        return _dtype(self.width, self.values)

    def __getitem__(self, part: int, /) -> Codes:
        """Read a shard."""
        records = np.fromfile(self.folder / _name(part), self._dtype)
        digits, values = (records[field].copy() for field in ("digits", "values"))  # nothing at all keeps odd strides
        return Codes(digits, values, records["label"].astype(np.int64))


def _name(shard: int) -> str:
    return f"shard-{shard:03d}.bin"


def _dtype(width: int, values: int) -> np.dtype[np.void]:
    return np.dtype([("digits", "i1", (width,)), ("values", "<f4", (values,)), ("label", "<i4")])


def _records(codes: Codes) -> Records:
    records = np.empty(len(codes), _dtype(codes.digits.shape[1], codes.values.shape[1]))
    records["digits"], records["values"], records["label"] = codes.digits, codes.values, codes.labels
    return records
