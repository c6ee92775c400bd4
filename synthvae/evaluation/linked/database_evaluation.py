"""The whole evaluation of linked tables in one call: each table, each link, and whole subjects."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.errors import brief
from synthvae.evaluation.disclosure.identifying import Identifying, identifying
from synthvae.evaluation.fidelity.section import fidelity
from synthvae.evaluation.linked.integrity import integrity
from synthvae.evaluation.linked.key_places import key_columns
from synthvae.evaluation.linked.link_limits import database_verdict
from synthvae.evaluation.linked.linked_rows import LinkedComparison
from synthvae.evaluation.linked.reading import as_database, read_synthetic
from synthvae.evaluation.linked.row_rules import row_rules
from synthvae.evaluation.linked.sequences import References, sequences
from synthvae.evaluation.linked.whole_subjects import subject_disclosure, subjects
from synthvae.evaluation.report.html import render
from synthvae.evaluation.report.metadata import ReportMetadata
from synthvae.evaluation.report.text import notebook_table, render_text
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.saved import checked_statement
from synthvae.evaluation.verdict import Verdict
from synthvae.random_state import Seed, as_seed
from synthvae.schema import linkage
from synthvae.schema.database import Database

Watch = Callable[[str], None]
"""Callback that receives the name of each section before it is measured."""


@dataclass(frozen=True)
class DatabaseEvaluation:
    """Result of `evaluate_database`. `str()` gives the verdict and all figures as text.

    Args:
        comparison: The compared tables.
        sections: The measured sections, each with the table that it is about.
        seed: The random seed.
        ledger: `Ledger.statement()` of the model; None: no differential privacy guarantee.
        identifying: Columns whose synthetic values are real values that identify people.
        names: What the tables are called in the report, by role ("real", "synthetic", "holdout").
        date: The day of the evaluation, as ISO 8601; None: unknown.

    Example:
        >>> import pandas as pd
        >>> frames = {"a": pd.DataFrame({"id": [1, 2], "x": [0.5, 0.7]}), "b": pd.DataFrame({"a": [1, 1], "y": [3, 4]})}
        >>> keys = Database(tables=frames, primary_keys={"a": "id"}, foreign_keys=[("b", "a", "a", "id")])
        >>> evaluate_database(keys, frames).rows["b"]
        {'real': 2, 'synthetic': 2}
    """

    __repr__ = brief

    comparison: LinkedComparison
    sections: tuple[Section, ...]
    seed: int
    ledger: Mapping[str, Any] | None = None
    identifying: tuple[Identifying, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    date: str | None = None

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures by their table and the name of their metric, such as "visits.lag"."""
        return {f"{s.table}.{figure.metric.name}": figure for s in self.sections for figure in s.figures}

    def __getitem__(self, key: tuple[str, str]) -> Section:
        """Return a section by its table and its name."""
        for section in self.sections:
            if (section.table, section.name) == key:
                return section
        raise KeyError(key)

    def __str__(self) -> str:
        return render_text(self.sections, self.verdict, self.notes)

    def _repr_html_(self) -> str:
        return notebook_table(self.verdict, self.sections)

    @property
    def verdict(self) -> Verdict:
        """Whether the tables can be used, and shared, in plain words."""
        return database_verdict(self.sections, self.ledger, self.identifying)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the tables could not be compared, and why."""
        found = [f"Table {name!r}: {note}" for name, c in self.comparison.tables.items() for note in c.notes]
        public = [f"Table {name!r} is public and was not compared." for name in self.comparison.database.public]
        return (*found, *public)

    @property
    def rows(self) -> dict[str, dict[str, int]]:
        """The numbers of rows of each modelled table, by role."""
        return {
            name: {role: tables[name].num_rows for role, tables in self.comparison.read.items()}
            for name in self.comparison.database.modelled
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON data."""
        tables: dict[str, dict[str, Any]] = {name: {"rows": rows, "sections": {}} for name, rows in self.rows.items()}
        for section in self.sections:
            tables[section.table]["sections"][section.name] = section.to_dict()
        return {
            "synthvae": __version__,
            "date": self.date,
            "links": [str(key) for key in self.comparison.database.foreign_keys],
            "seed": self.seed,
            "verdict": self.verdict.to_dict(),
            "notes": list(self.notes),
            "identifying": [column.to_dict() for column in self.identifying],
            "tables": tables,
            "ledger": None if self.ledger is None else dict(self.ledger),
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict()` to a file.

        Raises:
            DatasetError: The file cannot be written.
        """
        filesystem.export(Path(path), json.dumps(self.to_dict(), indent=1, allow_nan=False).encode())

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report: one HTML file without external resources.

        Raises:
            ConfigurationError: The extra `synthvae[report]` is not installed.
            DatasetError: The file cannot be written.
        """
        rows = {role: sum(counts[role] for counts in self.rows.values()) for role in self.comparison.read}
        columns = sum(len(one.kinds) for one in self.comparison.tables.values())
        metadata = ReportMetadata(
            rows=rows, columns=columns, target=None, seed=self.seed, notes=self.notes, ledger=self.ledger,
            names=self.names, date=self.date,
        )  # fmt: skip
        filesystem.export(Path(path), render(self.sections, self.verdict, metadata).encode())


def evaluate_database(
    real: Database | str | os.PathLike[str],
    synthetic: Any,
    *,
    holdout: Any = None,
    attacks: bool = True,
    ledger: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    random_state: Seed = 0,
    watch: Watch | None = None,
) -> DatabaseEvaluation:
    """Compare synthetic linked tables with the real ones that the generator was trained on.

    Each table is compared as a single one is; each link by the rows of a child table given their parent, the row before
    and the rest of the subject; and subjects, the rows of a root table, by what all of their rows add up to. Copies and
    attacks are about whole subjects.

    Args:
        real: The keys and the training tables, or the path of a YAML file that describes them.
        synthetic: The synthetic tables: a mapping of tables by name, a database, the path of its YAML file, or a folder
            that `DatabaseSynthesizer.generate` wrote or that has a file or folder for each table.
        holdout: Tables of real subjects that were not used for training, in the same forms. Without them, memorised
            subjects cannot be detected.
        attacks: Whether to simulate attacks.
        ledger: The privacy guarantee, as `Ledger.statement()` returns it.
        names: What the tables are called in the report, by role ("real", "synthetic", "holdout").
        random_state: Random seed.
        watch: Callback that receives the name of each section before it is measured.

    Returns:
        The figures, the verdict, and methods that write them as JSON and HTML.

    Raises:
        TableError: A table is absent or cannot be compared, or a real table breaks its keys.
        SchemaError: A YAML file does not describe a database.
        ConfigurationError: `ledger` is none.

    Example:
        >>> import numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> def tables(subjects):
        ...     size = rng.normal(100, 9, subjects).round(1)
        ...     visits = pd.DataFrame({"id": np.repeat(np.arange(subjects), 3), "day": np.tile([0, 7, 14], subjects)})
        ...     visits["weight"] = (size[visits["id"]] + rng.normal(0, 2, len(visits))).round(1)
        ...     return {"patients": pd.DataFrame({"id": np.arange(subjects), "size": size}), "visits": visits}
        ...
        >>> database = Database(
        ...     tables=tables(80), primary_keys={"patients": "id"}, order={"visits": "day"},
        ...     foreign_keys=[("visits", "id", "patients", "id")],
        ... )
        >>> found = evaluate_database(database, tables(80), attacks=False)
        >>> found.figures["visits.orphans"].value, found.figures["patients.subject_copies"].value
        (0.0, 0.0)
    """
    guarantee = None if ledger is None else checked_statement(ledger)
    database = as_database(real)
    read: dict[str, Mapping[str, pa.Table]] = {"real": linkage.read(database)}
    read["synthetic"] = read_synthetic(database, synthetic)
    if holdout is not None:
        read["holdout"] = read_synthetic(database, holdout)
        linkage.check(database, read["holdout"])
    comparison = LinkedComparison.from_tables(database, read)
    seed = as_seed(random_state)
    sections = tuple(_sections(comparison, seed, attacked=attacks, watch=watch))
    today = datetime.now(UTC).date().isoformat()
    found = tuple(_identifying(comparison))
    return DatabaseEvaluation(comparison, sections, seed, guarantee, found, names or {}, today)


def _sections(comparison: LinkedComparison, seed: int, *, attacked: bool, watch: Watch | None) -> Iterator[Section]:
    for root in comparison.roots:
        references = References.from_comparison(comparison, root, seed)
        for name in comparison.family(root):
            yield from _measured(_of_table(comparison, name, references, seed), name, watch)
        yield from _measured(_of_root(comparison, root, references, seed, attacked=attacked), root, watch)


Measurements = dict[str, Callable[[], list[Section | None]]]


def _of_table(comparison: LinkedComparison, name: str, references: References, seed: int) -> Measurements:
    found: Measurements = {"integrity": lambda: [integrity(comparison, name)]}
    if comparison.kinds(name):
        rows = comparison.tables[name]
        found["fidelity"] = lambda: [replace(fidelity(rows, seed), table=name)]
        found["logic"] = lambda: [row_rules(comparison, name, seed)]
    if name in comparison.database.parents:
        found["sequences"] = lambda: [sequences(comparison, name, references, seed)]
    return found


def _of_root(
    comparison: LinkedComparison, root: str, references: References, seed: int, *, attacked: bool
) -> Measurements:
    return {
        "subjects": lambda: [subjects(comparison, root, references, seed)],
        "disclosure": lambda: [*subject_disclosure(comparison, root, seed, attacked=attacked)],
    }


def _measured(measurements: Measurements, table: str, watch: Watch | None) -> Iterator[Section]:
    for name, measure in measurements.items():
        if watch is not None:
            watch(f"{name} of {table}")
        # Threads of OpenMP wait for each other busily: beside other processes, two are many times slower than one.
        with threadpool_limits(limits=1, user_api="openmp"):
            yield from (section for section in measure() if section is not None)


def _identifying(comparison: LinkedComparison) -> Iterator[Identifying]:
    """Columns that identify people, of all modelled tables; keys are new ones and are left out."""
    for name in comparison.database.modelled:
        keys = key_columns(comparison.database, name)
        real, synthetic = (comparison.read[role][name] for role in ("real", "synthetic"))
        found = identifying(*(t.select([c for c in t.column_names if c not in keys]) for t in (real, synthetic)))
        yield from (replace(column, name=f"{name}.{column.name}") for column in found)
