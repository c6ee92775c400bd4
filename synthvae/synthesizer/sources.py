"""Where the rows of a fit come from: a table in memory, or one on disk that is read in batches."""

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
from synthvae.tables.sampling import Survey
from synthvae.tables.streaming import Stream
from synthvae.training import Parts
from synthvae.training.shards import Shards

SAMPLE = "survey.arrow"


class Source(Protocol):
    """The rows of a fit."""

    @property
    def sample(self) -> pa.Table:
        """Rows from which it is learned how columns are coded: all, or some."""

    @property
    def rows(self) -> int:
        """How many rows there are."""

    @property
    def missing(self) -> Mapping[str, int]:
        """How many values of each column are missing."""

    @property
    def identity(self) -> str:
        """A hash by which the table is known again."""

    def drafted(self, schema: Schema) -> Schema:
        """Return a schema that was inferred from the sample, as the whole table has it."""

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Codes | Parts:
        """Return the codes of all rows; the condition of one without a label is -1.

        Raises:
            TableError: A row breaks the schema.
        """


@dataclass(frozen=True)
class InMemory:
    """A table that is there."""

    sample: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.sample.num_rows)

    @property
    def missing(self) -> Mapping[str, int]:
        """How many values of each column are missing."""
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
        """Return the codes of all rows, which obey the schema."""
        del schema
        return encoding.encode(self.sample, np.random.default_rng(seed), partial=True)


@dataclass(frozen=True)
class OnDisk:
    """A table that is read twice: to survey it, and to write its codes, which are much smaller, to a folder.

    Args:
        stream: The table.
        survey: What the first pass found.
        folder: Where the codes are kept, as long as the fit lasts; whole ones that are there already are used.
    """

    stream: Stream
    survey: Survey
    folder: Path

    @classmethod
    def open(cls, stream: Stream, folder: Path, seed: int) -> OnDisk:
        """Survey a table, unless the folder has what an earlier pass found."""
        survey = _kept_survey(folder / SAMPLE)
        if survey is None:
            survey = Survey.from_batches(stream.batches(), seed)
            with _keeping(folder):
                _keep_survey(folder / SAMPLE, survey)
        return cls(stream, survey, folder)

    @property
    def sample(self) -> pa.Table:
        """Some rows, and witnesses of all that occurs."""
        return self.survey.sample

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.survey.rows

    @property
    def missing(self) -> Mapping[str, int]:
        """How many values of each column are missing."""
        return self.survey.missing

    @property
    def identity(self) -> str:
        """A hash of its files."""
        return self.stream.identity

    def drafted(self, schema: Schema) -> Schema:
        """Return the schema with those columns as ids that count the rows, which a sample of them does not show."""
        for name in self.survey.sequences:
            if schema[name].kind == "integer" and name not in schema.declared:
                schema = schema.declare(name, kind="id")
        return schema

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Parts:
        """Write the codes of all rows, unless they are there."""
        kept = Shards.open(self.folder)
        if kept is not None:
            return kept
        rng = np.random.default_rng(seed)

        def batches() -> Iterator[Codes]:
            for table in self.stream.batches():
                checked = schema.check(table).select(table.column_names)
                yield encoding.encode(checked, rng, partial=True)

        with _keeping(self.folder):
            return Shards.write(self.folder, batches(), self.rows, np.random.default_rng([seed, 61]))


@contextmanager
def _keeping(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"the codes of a large table must be kept, however, {folder} cannot be written ({error.strerror}): make "
            "room, or name another folder (`journal`, or TMPDIR)"
        ) from error


def surveyed(path: Path, encoding: str) -> InMemory | OnDisk:
    """Return a table, of which a large one is looked at once and not coded.

    Raises:
        TableError: The file is damaged, or no table.
    """
    stream = streaming.large(path, encoding)
    if stream is None:
        return InMemory(convert.read(path, encoding=encoding))
    return OnDisk(stream, Survey.from_batches(stream.batches(), 0), path.parent)


def _keep_survey(path: Path, survey: Survey) -> None:
    facts = json.dumps({"rows": survey.rows, "missing": survey.missing}).encode()
    metadata = {**(survey.sample.schema.metadata or {}), b"survey": facts}
    sink = pa.BufferOutputStream()
    table = survey.sample.replace_schema_metadata(metadata)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    filesystem.write(path, sink.getvalue())


def _kept_survey(path: Path) -> Survey | None:
    try:
        table = pa.ipc.open_file(path).read_all()
        metadata = dict(table.schema.metadata)
        facts = json.loads(metadata.pop(b"survey"))
        return Survey(table.replace_schema_metadata(metadata), facts["rows"], facts["missing"])
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
