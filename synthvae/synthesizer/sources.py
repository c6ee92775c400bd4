"""The training table of a fit: in memory, or on disk and read in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from synthvae import filesystem
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import ConfigurationError
from synthvae.schema.schema import Schema
from synthvae.tables import convert, streaming
from synthvae.tables.databases import DatabaseUrl
from synthvae.tables.read_options import ReadOptions
from synthvae.tables.sampling import Survey
from synthvae.tables.streaming import Stream
from synthvae.training import Parts
from synthvae.training.shards import Shards

SAMPLE = "survey.arrow"


class TableSource(Protocol):
    """The training table of a fit."""

    @property
    def sample(self) -> pa.Table:
        """The rows, or some of them, to which the encoding of the columns is fitted."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    @property
    def missing(self) -> Mapping[str, int]:
        """The number of missing values of each column."""

    @property
    def identity(self) -> str:
        """A hash that identifies the table."""

    def drafted(self, schema: Schema) -> Schema:
        """Return a schema that was inferred from the sample, corrected by the whole table."""

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Codes | Parts:
        """Return the codes of all rows; the condition of a row without a label is -1.

        Raises:
            TableError: A row violates the schema.
        """


@dataclass(frozen=True)
class InMemory:
    """A table in memory."""

    sample: pa.Table

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.sample.num_rows)

    @property
    def missing(self) -> Mapping[str, int]:
        """The number of missing values of each column."""
        return {name: self.sample.column(name).null_count for name in self.sample.column_names}

    @property
    def identity(self) -> str:
        """A hash of all values."""
        digest = hashlib.sha256(self.sample.schema.serialize())
        for batch in self.sample.to_batches():
            digest.update(batch.serialize())
        return digest.hexdigest()

    def drafted(self, schema: Schema) -> Schema:
        """Return the schema."""
        return schema

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Codes:
        """Return the codes of all rows, which were checked against the schema before."""
        del schema
        return encoding.encode(self.sample, np.random.default_rng(seed), partial=True)


@dataclass(frozen=True)
class OnDisk:
    """A table that is read twice: once to sample it, once to write its codes, which are much smaller, to a folder.

    Args:
        stream: The table.
        survey: The sample and the counts of the first pass.
        folder: Where the codes are stored for the fit. Complete codes that it already holds are used.
    """

    stream: Stream
    survey: Survey
    folder: Path

    @classmethod
    def open(cls, stream: Stream, folder: Path, seed: int) -> OnDisk:
        """Survey a table, unless the folder has the survey of an earlier pass."""
        survey = _load_survey(folder / SAMPLE)
        if survey is None:
            survey = Survey.from_batches(stream.batches(), seed)
            with _storing(folder):
                _save_survey(folder / SAMPLE, survey)
        return cls(stream, survey, folder)

    @property
    def sample(self) -> pa.Table:
        """Sampled rows, among them one with each category that occurs."""
        return self.survey.sample

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.survey.rows

    @property
    def missing(self) -> Mapping[str, int]:
        """The number of missing values of each column."""
        return self.survey.missing

    @property
    def identity(self) -> str:
        """A hash of its files."""
        return self.stream.identity

    def drafted(self, schema: Schema) -> Schema:
        """Return the schema with columns that count the rows as ids, which a sample does not show."""
        for name in self.survey.sequences:
            if schema[name].kind == "integer" and name not in schema.declared:
                schema = schema.declare(name, kind="id")
        return schema

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Parts:
        """Return the codes of all rows, written to the folder unless it holds them."""
        stored = Shards.open(self.folder)
        if stored is not None:
            return stored
        rng = np.random.default_rng(seed)

        def batches() -> Iterator[Codes]:
            for table in self.stream.batches():
                checked = schema.check(table).select(table.column_names)
                yield encoding.encode(checked, rng, partial=True)

        with _storing(self.folder):
            return Shards.write(self.folder, batches(), self.rows, np.random.default_rng([seed, 61]))


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"The codes of a large table are stored on disk, and {folder} cannot be written ({error.strerror}). Make "
            "room, or name another folder (`journal`, or TMPDIR)."
        ) from error


def surveyed(place: Path | DatabaseUrl, options: ReadOptions) -> InMemory | OnDisk:
    """Return the table in a file or a database, of which a large file is surveyed but not loaded.

    Raises:
        TableError: The file is damaged, or not a table.
    """
    stream = streaming.large(place, options=options)
    if stream is None or isinstance(place, DatabaseUrl):
        return InMemory(convert.read(place, options=options))
    return OnDisk(stream, Survey.from_batches(stream.batches(), 0), place.parent)


def _save_survey(path: Path, survey: Survey) -> None:
    counts = json.dumps({"rows": survey.rows, "missing": survey.missing}).encode()
    metadata = {**(survey.sample.schema.metadata or {}), b"survey": counts}
    sink = pa.BufferOutputStream()
    table = survey.sample.replace_schema_metadata(metadata)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    filesystem.write(path, sink.getvalue())


def _load_survey(path: Path) -> Survey | None:
    try:
        table = pa.ipc.open_file(path).read_all()
        metadata = dict(table.schema.metadata)
        counts = json.loads(metadata.pop(b"survey"))
        return Survey(table.replace_schema_metadata(metadata), counts["rows"], counts["missing"])
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
