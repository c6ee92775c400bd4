"""The training table of a fit: in memory, or on disk and read in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.rules.repair import Repair
from synthvae.errors import ConfigurationError, TableError, brief
from synthvae.filesystem import Folder
from synthvae.schema.column import Values
from synthvae.schema.constraints.checking import Tally
from synthvae.schema.protection import Protection, protect
from synthvae.schema.protection_rules import Subjects
from synthvae.schema.schema import Schema
from synthvae.synthesizer import weighting
from synthvae.synthesizer.weighting import Weights
from synthvae.tables import convert, streaming
from synthvae.tables.ahead import map_ahead
from synthvae.tables.arrow import plain_type
from synthvae.tables.databases import DatabaseUrl
from synthvae.tables.read_options import ReadOptions
from synthvae.tables.sampling import Survey
from synthvae.tables.streaming import Stream
from synthvae.tables.subjects import units_of
from synthvae.training import Parts
from synthvae.training.shards import Shards

SAMPLE, PROTECTED = "survey.arrow", "protected.json"
REPAIRED_SAMPLE, REPAIRED = "repaired.arrow", "repaired.txt"
WAY_OUT = ' Pass broken_rows="repair" to repair such rows, and to leave out those that cannot be.'
REDRAWN = 71  # the stream of random numbers that replace rare categories
ENCODED = 72  # and those that draw continuous values from the intervals that round to a number


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
        """Return a schema that was inferred from the sample, corrected by the whole table; it may drop columns."""

    def repaired(self, schema: Schema, bounded: Sequence[str]) -> tuple[TableSource, str]:
        """Return the table with its rows repaired, see `synthvae.encoding.rules.repair`, and what was done to them.

        Args:
            schema: The schema of the table.
            bounded: The columns whose bounds are rules, too.

        Raises:
            TableError: A value violates the schema, or fewer than 2 rows are left.
        """

    def protection(self, schema: Schema, target: str | None, least: int, unit: str | None) -> Protection:
        """Find what is to be protected in the table."""

    def protected(self, protection: Protection, seed: int) -> TableSource:
        """Return the table with its sample, and later its codes, protected; it obeys its schema."""

    def with_sample(self, sample: pa.Table) -> TableSource:
        """Return the table with other values in the rows of its sample."""

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

    __repr__ = brief

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

    def repaired(self, schema: Schema, bounded: Sequence[str]) -> tuple[InMemory, str]:
        """Return the table with its rows repaired, and what was done to them."""
        repair = Repair.learn(schema, self.sample, bounded)
        repair.check_values(self.sample)
        rows, kept = repair.apply(self.sample)
        _refuse_few(rows.num_rows, repair)
        return InMemory(rows, None if self.weights is None else self.weights[kept]), str(repair.tally)

    def protection(self, schema: Schema, target: str | None, least: int, unit: str | None) -> Protection:
        """Find what is to be protected in the table."""
        units = units_of(self.sample.column(unit)) if least and unit is not None else None
        return protect(self.sample, schema, target, Subjects(least, units), unit)

    def protected(self, protection: Protection, seed: int) -> InMemory:
        """Return the table, protected."""
        return self.with_sample(protection.apply(self.sample, np.random.default_rng([seed, REDRAWN])))

    def with_sample(self, sample: pa.Table) -> InMemory:
        """Return the table with other values in its rows."""
        return replace(self, sample=sample)

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
        rules: What is protected when the rows are read.
        weighted_by: The column of weights, which is not modelled.
        checked: The rows of the sample, checked or protected; None: as they were read.
        take: Takes another survey, after a repair.
    """

    __repr__ = brief

    stream: Stream
    survey: Survey
    folder: Path
    rules: Protection | None = None
    weighted_by: str | None = None
    checked: pa.Table | None = None
    take: Callable[[Iterable[pa.Table]], Survey] = field(default_factory=lambda: partial(Survey.from_batches, seed=0))

    @classmethod
    def open(
        cls,
        stream: Stream,
        folder: Path,
        seed: int,
        *,
        least: int = 0,
        unit: str | None = None,
        weighted_by: str | None = None,
        sentinels: Mapping[str, Values] | None = None,
    ) -> OnDisk:
        """Survey a table, unless the folder has the survey of an earlier pass."""
        stream = weighting.weighted_stream(stream, weighted_by)
        survey = _load_survey(folder / SAMPLE)
        take = partial(Survey.from_batches, seed=seed, least=least, unit=unit, sentinels=sentinels)
        if survey is None:
            survey = take(stream.batches())
            with _storing(folder):
                _save_survey(folder / SAMPLE, survey)
        return cls(stream, survey, folder, weighted_by=weighted_by, take=take)

    @property
    def sample(self) -> pa.Table:
        """Sampled rows, among them one with each category that occurs."""
        return weighting.split(self.survey.sample, self.weighted_by)[0] if self.checked is None else self.checked

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
            if name == self.weighted_by or name not in schema.names:
                continue
            if schema.inferred and schema[name].kind == "integer" and name not in schema.declared:
                schema = schema.declare(name, kind="id")
        return schema

    def repaired(self, schema: Schema, bounded: Sequence[str]) -> tuple[OnDisk, str]:
        """Return the table with its rows repaired whenever they are read, and what is done to them; it is read now."""
        repairs: list[Repair] = []

        def batches() -> Iterator[pa.RecordBatch]:
            repairs.append(Repair.learn(schema, self.sample, bounded))  # which remembers the keys that occurred
            for table in self.stream.batches():
                repairs[-1].check_values(table)
                yield from repairs[-1].apply(table)[0].combine_chunks().to_batches()
            _refuse_few(repairs[-1].tally.rows - repairs[-1].tally.left_out, repairs[-1])

        stream = Stream(self.stream.files, self.stream.size, batches)
        survey = _load_survey(self.folder / REPAIRED_SAMPLE)
        if survey is None:
            survey = self.take(stream.batches())
            with _storing(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                Folder(self.folder, private=True).write(REPAIRED, str(repairs[-1].tally).encode())
                _save_survey(self.folder / REPAIRED_SAMPLE, survey)
        done = (self.folder / REPAIRED).read_text(encoding="utf-8")
        return replace(self, stream=stream, survey=survey), done

    def protection(self, schema: Schema, target: str | None, least: int, unit: str | None) -> Protection:
        """Find what is to be protected in the table: categories by their counts, ends by those of the sample.

        So many subjects of the sample at or beyond an end are at least as many of the table.
        """
        units = units_of(self.sample.column(unit)) if least and unit is not None else None
        return protect(
            self.sample, schema, target, Subjects(least, units, self.survey.rare, self.survey.frequent), unit
        )

    def protected(self, protection: Protection, seed: int) -> OnDisk:
        """Return the table with its sample protected; its rows will be when they are read."""
        sample = protection.apply(self.sample, np.random.default_rng([seed, REDRAWN]))
        protection.changed.clear()  # the rows are counted, not the sample
        return replace(self.with_sample(sample), rules=protection)

    def with_sample(self, sample: pa.Table) -> OnDisk:
        """Return the table with other values in the rows of its sample."""
        return replace(self, checked=sample)

    def coded(self, encoding: TableEncoding, schema: Schema, seed: int) -> Parts:
        """Return the codes of all rows, written to the folder unless it holds them."""
        protection = self.rules or Protection(schema)
        stored = Shards.open(self.folder)
        if stored is not None:
            protection.changed |= json.loads((self.folder / PROTECTED).read_text(encoding="utf-8"))
            return stored
        redrawn = np.random.default_rng([seed, REDRAWN])
        tally = Tally(schema.constraints, schema)

        def batches() -> Iterator[tuple[int, pa.Table, Weights | None]]:
            for place, batch in enumerate(self.stream.batches()):
                table, weights = weighting.split(batch, self.weighted_by)
                checked = schema.check_values(table).select(table.column_names)
                tally.add(checked)
                yield place, protection.apply(checked, redrawn), weights
            tally.refuse(WAY_OUT)
            Folder(self.folder, private=True).write(PROTECTED, json.dumps(protection.changed).encode())

        def encode(batch: tuple[int, pa.Table, Weights | None]) -> Codes:
            place, table, weights = batch
            rng = np.random.default_rng([seed, ENCODED, place])  # so that batches can be encoded in any order
            return replace(encoding.encode(table, rng, partial=True), weights=weights)

        with _storing(self.folder):
            coded = map_ahead(encode, batches())
            return Shards.write(self.folder, coded, self.rows, np.random.default_rng([seed, 61]))


def _refuse_few(rows: int, repair: Repair) -> None:
    """Refuse a table of which fewer than two rows are left."""
    if rows < 2:
        raise TableError(
            f"A table must have at least 2 rows after their repair, got {rows}: {repair.tally} Correct them, or remove "
            "rules from `constraints`."
        )


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
    rare, frequent = (
        {name: values.to_pylist() for name, values in counted.items()} for counted in (survey.rare, survey.frequent)
    )
    document = {"rows": survey.rows, "missing": survey.missing, "rare": rare, "frequent": frequent}
    counts = json.dumps(document).encode()
    metadata = {**(survey.sample.schema.metadata or {}), b"survey": counts}
    sink = pa.BufferOutputStream()
    table = survey.sample.replace_schema_metadata(metadata)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    Folder(path.parent, private=True).write(path.name, sink.getvalue())


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    return (
        pa.array(values, pa.float32()).cast(kind, safe=False) if pa.types.is_float16(kind) else pa.array(values, kind)
    )


def _load_survey(path: Path) -> Survey | None:
    try:
        table = pa.ipc.open_file(path).read_all()
        metadata = dict(table.schema.metadata)
        counts = json.loads(metadata.pop(b"survey"))
        rare, frequent = (
            {name: _array(values, plain_type(table.schema.field(name).type)) for name, values in counts[what].items()}
            for what in ("rare", "frequent")
        )
        return Survey(table.replace_schema_metadata(metadata), counts["rows"], counts["missing"], rare, frequent)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
