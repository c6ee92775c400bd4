"""Read tables that do not fit into memory in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds

from synthvae import filesystem
from synthvae.errors import brief
from synthvae.tables import convert as tables
from synthvae.tables import databases, folders, snapshots, text_codes, written_forms
from synthvae.tables import files as readers
from synthvae.tables.arrow import LARGEST_EXACT
from synthvae.tables.read_options import ReadOptions

LARGE = 256 << 20  # approximate bytes from which on a table is read in batches; a fit takes a multiple of them
VALUE_BYTES = 8
BATCH_ROWS = 1 << 16
COMPRESSION = 6  # typical ratio of a compressed CSV file
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
    def from_source(
        cls, source: str | Path | ds.Dataset, encoding: str = "utf-8", options: ReadOptions | None = None
    ) -> Stream:
        """Return the stream of a CSV or Parquet file, a folder of either, or a dataset of Parquet files.

        Raises:
            TableError: It is damaged, or not a table.
            FileNotFoundError: There is no such path.
        """
        if isinstance(source, ds.Dataset):
            return _parquet(source)
        path, options = filesystem.local_path(source, "A table"), options or ReadOptions(encoding=encoding)
        options.check_taken(readers.format_of(path))
        files = readers.csv_files(path)
        with readers.reading(path):
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
        with readers.reading(self.files[0].parent if len(self.files) > 1 else self.files[0]):
            for batch in self.open():
                if batch.num_rows:
                    yield tables.as_read(readers.whole(pa.Table.from_batches([batch])))

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


def large(source: Any, encoding: str = "utf-8", options: ReadOptions | None = None) -> Stream | None:
    """Return the stream of a table on disk that is too large to be read at once; None for any other source.

    Only CSV and Parquet are read in batches.
    """
    if isinstance(source, Stream):
        return source
    options = options or ReadOptions(encoding=encoding)
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
    def batches() -> Iterator[pa.RecordBatch]:
        for file in files:
            for batch in _opened(file, options, types()):
                yield batch.replace_schema_metadata(forms())

    def forms() -> dict[bytes, bytes] | None:
        if not written:
            schema = pa.schema(list(types().items()))
            given, convert = readers.csv_options(files[0], options)
            known = written_forms.learn(schema, files[0], given, convert.null_values)
            written.append({written_forms.KEY: json.dumps(known).encode()} if known else None)
        return written[0]

    written: list[dict[bytes, bytes] | None] = []
    found: dict[str, pa.DataType] = {}

    def types() -> dict[str, pa.DataType]:
        if not found:
            found.update(_csv_types(files, options))
        return found

    size = sum(f.stat().st_size * (1 if f.suffix in (".csv", ".tsv", ".tab", ".txt") else COMPRESSION) for f in files)
    return Stream(tuple(files), size, batches)


def _opened(file: Path, given: ReadOptions, types: dict[str, pa.DataType] | None) -> Iterator[pa.RecordBatch]:
    """The batches of a CSV file; all fields are text, and quotes are checked, if there are no types yet."""
    options, convert = readers.csv_options(file, given)
    with readers.reading(file), readers.locating(file, options):
        if types is None:
            with pa.csv.open_csv(file, **options) as head:
                convert.column_types = dict.fromkeys(head.schema.names, pa.string())
        else:
            convert.column_types = types
        for batch in pa.csv.open_csv(file, **options, convert_options=convert):
            if types is None:
                readers.check_lines(file, options, batch.schema.names, batch.columns)
            yield batch


def _csv_types(files: Sequence[Path], options: ReadOptions) -> dict[str, pa.DataType]:
    """The types that `convert.read` gives the columns: the narrowest to which all their fields can be converted."""
    columns: dict[str, _Fields] = {}
    names: dict[Path, list[str]] = {}
    for file in files:
        for batch in _opened(file, options, None):
            names[file] = batch.schema.names
            for name, texts in zip(batch.schema.names, batch.columns, strict=True):
                columns.setdefault(name, _Fields(options.decimal)).add(texts)
    folders.refuse_other_columns(names)
    return {name: fields.type for name, fields in columns.items()}


NULL, INT64, UINT64, WHOLE, FLOAT64, BOOL, TEXT = range(7)
_TYPES = (pa.null(), pa.int64(), pa.uint64(), pa.string(), pa.float64(), pa.bool_(), pa.string())


@dataclass
class _Fields:
    """The narrowest type of the fields of a column so far, as a place in `_TYPES`; `WHOLE` are large whole numbers.

    Args:
        decimal: The decimal separator: where it is no point, 1.500 may be 1500, so that fractions are text.
    """

    decimal: str

    place: int = NULL
    missing: bool = False
    negative: bool = False
    large: bool = False  # beyond the whole numbers that doubles distinguish
    words: set[str] = field(default_factory=set)  # of booleans

    def add(self, texts: pa.Array) -> None:
        """Take account of more fields."""
        trimmed, before = pc.utf8_trim_whitespace(texts), self.place
        self.missing |= bool(texts.null_count)
        while not self._holds(trimmed):
            self.place += 1
        coded = INT64 <= self.place <= FLOAT64 and text_codes.hold_codes(trimmed)
        if self.place == BOOL:
            self.words |= set(pc.unique(trimmed.drop_null()).to_pylist())
        mixed = INT64 <= before <= FLOAT64 or not text_codes.are_booleans(pa.array(sorted(self.words), pa.string()))
        if coded or (self.place == BOOL and mixed) or (self.place == FLOAT64 and self.decimal != "."):
            self.place = TEXT

    def _holds(self, texts: pa.Array) -> bool:
        if self.place == NULL:
            return bool(texts.null_count == len(texts))
        if self.place == WHOLE:
            return bool(pc.all(pc.match_substring_regex(texts, text_codes.WHOLE)).as_py() is not False)
        try:
            values = pc.cast(texts, _TYPES[self.place])
        except pa.ArrowInvalid:
            return False
        if self.place == INT64 and (low := pc.min(values).as_py()) is not None:
            self.negative |= low < 0
            self.large |= max(abs(low), abs(pc.max(values).as_py())) > LARGEST_EXACT
        return not (self.place == UINT64 and self.negative)

    @property
    def type(self) -> pa.DataType:
        """The type; small whole numbers with missing values are floats, as in pandas, and so is a column of none."""
        small = self.place == INT64 and self.missing and not self.large
        return pa.float64() if self.place == NULL or small else _TYPES[self.place]
