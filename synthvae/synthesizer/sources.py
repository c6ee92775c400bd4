"""The training table of a fit: in memory, or on disk and read in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from synthvae import filesystem
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import ConfigurationError
from synthvae.schema.schema import Schema
from synthvae.synthesizer import weighting
from synthvae.synthesizer.weighting import Weights
from synthvae.tables import convert, streaming
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
    """A table in memory.

    Args:
        sample: Its rows.
        weights: Their weights (rows,); None: all weigh the same.
    """

    sample: pa.Table
    weights: Weights | None = None

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
        if self.weights is not None:
            digest.update(self.weights.tobytes())
        return digest.hexdigest()

    def drafted(self, schema: Schema) -> Schema:
        """Return the schema."""
        return schema

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Codes:
        """Return the codes of all rows, which were checked against the schema before."""
        del schema
        codes = encoding.encode(self.sample, np.random.default_rng(seed), partial=True)
        return replace(codes, weights=self.weights)


@dataclass(frozen=True)
class OnDisk:
    """A table that is read twice: once to sample it, once to write its codes, which are much smaller, to a folder.

    Args:
        stream: The table.
        survey: The sample and the counts of the first pass.
        folder: Where the codes are stored for the fit. Complete codes that it already holds are used.
        weighted_by: The column of weights, which is not modelled.
    """

    stream: Stream
    survey: Survey
    folder: Path
    weighted_by: str | None = None

    @classmethod
    def open(cls, stream: Stream, folder: Path, seed: int, weighted_by: str | None = None) -> OnDisk:
        """Survey a table, unless the folder has the survey of an earlier pass."""
        stream = weighting.weighted_stream(stream, weighted_by)
        survey = _load_survey(folder / SAMPLE)
        if survey is None:
            survey = Survey.from_batches(stream.batches(), seed)
            with _storing(folder):
                _save_survey(folder / SAMPLE, survey)
        return cls(stream, survey, folder, weighted_by)

    @property
    def sample(self) -> pa.Table:
        """Sampled rows, among them one with each category that occurs."""
        return weighting.split(self.survey.sample, self.weighted_by)[0]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.survey.rows

    @property
    def missing(self) -> Mapping[str, int]:
        """The number of missing values of each column."""
        return {name: count for name, count in self.survey.missing.items() if name != self.weighted_by}

    @property
    def identity(self) -> str:
        """A hash of its files."""
        return self.stream.identity

    def drafted(self, schema: Schema) -> Schema:
        """Return the schema with columns that count the rows as ids, which a sample does not show."""
        for name in self.survey.sequences:
            if name == self.weighted_by:
                continue
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
            for batch in self.stream.batches():
                table, weights = weighting.split(batch, self.weighted_by)
                checked = schema.check(table).select(table.column_names)
                yield replace(encoding.encode(checked, rng, partial=True), weights=weights)

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


def surveyed(path: Path, encoding: str) -> InMemory | OnDisk:
    """Return the table in a file, of which a large one is surveyed but not loaded.

    Raises:
        TableError: The file is damaged, or not a table.
    """
    stream = streaming.large(path, encoding)
    if stream is None:
        return InMemory(convert.read(path, encoding=encoding))
    return OnDisk(stream, Survey.from_batches(stream.batches(), 0), path.parent)


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
