"""Read tables that do not fit into memory in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from synthvae import filesystem
from synthvae.errors import brief
from synthvae.tables import convert as tables
from synthvae.tables import csv_folders, databases, folders, snapshots
from synthvae.tables import files as readers
from synthvae.tables.read_errors import reading
from synthvae.tables.read_options import ReadOptions

LARGE = 256 << 20  # approximate bytes from which on a table is read in batches; a fit takes a multiple of them
VALUE_BYTES = 8
BATCH_ROWS = 1 << 16
START_BYTES = 16 << 20  # of the text of a compressed file, by which its ratio is estimated
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
TAIL_BYTES = 1 << 16  # of each file, to identify it; a Parquet file has its statistics there


@dataclass(frozen=True)
class Stream:
    """A table on disk that can be read repeatedly in batches.

    Args:
        files: Its files.
        size: Approximate bytes that it takes in memory.
        open: Returns its batches from the start.
    """

    __repr__ = brief

    files: tuple[Path, ...]
    size: int
    open: Callable[[], Iterator[pa.RecordBatch]]

    @classmethod
    def from_source(cls, source: str | Path | ds.Dataset, options: ReadOptions | None = None) -> Stream:
        """Return the stream of a CSV or Parquet file, a folder of either, or a dataset of Parquet files.

        Raises:
            TableError: It is damaged, or not a table.
            FileNotFoundError: There is no such path.
        """
        if isinstance(source, ds.Dataset):
            return _parquet(source)
        path, options = filesystem.local_path(source, "A table"), options or ReadOptions()
        options.check_taken(readers.format_of(path))
        files = readers.csv_files(path)
        with reading(path):
            if files is not None:
                return _csv(files, options)
            stream = snapshots.read(path, lambda: _parquet(_dataset(path)))
            return replace(stream, open=snapshots.unchanged(path, stream.open))

    @property
    def is_large(self) -> bool:
        """Whether the table should be read in batches."""
        return self.size >= LARGE

    def batches(self) -> Iterator[pa.Table]:
        """Return the rows in batches, as `convert.read` returns tables, each column in one chunk.

        Raises:
            TableError: A file is damaged, or a column name is empty or a duplicate.
        """
        with reading(self.files[0].parent if len(self.files) > 1 else self.files[0]):
            for batch in self.open():
                if batch.num_rows:
                    yield tables.as_read(readers.validated(pa.Table.from_batches([batch])))

    @cached_property
    def identity(self) -> str:
        """A hash of the names, sizes and ends of the files, which identifies the table."""
        digest = hashlib.sha256()
        for file in self.files:
            size = file.stat().st_size
            with file.open("rb") as stream:
                stream.seek(max(size - TAIL_BYTES, 0))
                digest.update(f"{file.name} {size} ".encode() + stream.read())
        return digest.hexdigest()


def large(source: Any, options: ReadOptions | None = None) -> Stream | None:
    """Return the stream of a table on disk that is too large to be read at once; None for any other source.

    Only CSV and Parquet are read in batches.
    """
    if isinstance(source, Stream):
        return source
    options = options or ReadOptions()
    if not isinstance(source, ds.FileSystemDataset) and not _is_streamed(source):
        return None
    stream = Stream.from_source(source, options=options)
    return stream if stream.is_large else None


def _is_streamed(source: Any) -> bool:
    if not isinstance(source, (str, Path)) or databases.is_url(source):
        return False
    return readers.format_of(Path(source)) in {"csv", "parquet"}


def _dataset(path: Path) -> ds.Dataset:
    return folders.parquet(path) if path.is_dir() else ds.dataset(path, format="parquet")


def _parquet(dataset: ds.Dataset) -> Stream:
    def batches() -> Iterator[pa.RecordBatch]:
        # At most one fragment and one batch ahead, since what is read ahead is in memory, too.
        how = ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
        options = {"batch_size": BATCH_ROWS, "batch_readahead": 1, "fragment_readahead": 1}
        return iter(dataset.scanner(fragment_scan_options=how, use_threads=False, **options).to_batches())

    files = tuple(Path(file) for file in sorted(dataset.files))
    # Dictionary-encoded values take much less space in the file.
    return Stream(files, dataset.count_rows() * len(dataset.schema) * VALUE_BYTES, batches)


def _csv(files: Sequence[Path], options: ReadOptions) -> Stream:
    types: dict[str, pa.DataType] = {}
    forms: dict[bytes, bytes] = {}

    def batches() -> Iterator[pa.RecordBatch]:
        if not types:
            types.update(csv_folders.types_of(files, options))
            forms.update(csv_folders.forms_of(files[0], options, types))
        for file in files:
            for batch in csv_folders.batches(file, options, types):
                yield batch.replace_schema_metadata(forms or None)

    return Stream(tuple(files), sum(map(_text_bytes, files)), batches)


def _text_bytes(file: Path) -> int:
    """The bytes of a file of text; of a compressed one, which may be 1,000 times its size, estimated by its start."""
    size, codec = file.stat().st_size, CODECS.get(file.suffix.lower())
    if codec is None:
        return size
    read = 0
    with pa.OSFile(str(file)) as raw, pa.CompressedInputStream(raw, codec) as text:
        while read < (LARGE if raw.tell() == size else START_BYTES):  # the whole of a small file is in a buffer
            if not (block := text.read(START_BYTES)):
                return read
            read += len(block)
        return int(size * read // raw.tell())
