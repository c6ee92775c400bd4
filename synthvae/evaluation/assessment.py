"""The whole evaluation in one call: every section that the given tables allow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.errors import brief
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.copies import disclosure
from synthvae.evaluation.disclosure.identifying import Identifying, identifying
from synthvae.evaluation.disclosure.simulated_attacks import attacks as run_attacks
from synthvae.evaluation.fidelity.section import fidelity
from synthvae.evaluation.logic import logic
from synthvae.evaluation.report.html import render
from synthvae.evaluation.report.metadata import EXAMPLES, ReportMetadata, described
from synthvae.evaluation.report.text import notebook_table, render_text
from synthvae.evaluation.results import Figure, Section, warn_deprecated
from synthvae.evaluation.saved import checked_statement
from synthvae.evaluation.utility.fairness import fairness
from synthvae.evaluation.utility.prediction import utility
from synthvae.evaluation.utility.survival import Survival, survival
from synthvae.evaluation.verdict import Verdict, verdict
from synthvae.random_state import Seed, as_seed
from synthvae.schema.problems import refuse_unknown
from synthvae.schema.protection import sentences
from synthvae.schema.schema import Schema
from synthvae.tables import convert

Watch = Callable[[str], None]
"""Callback that receives the name of each section before it is measured."""


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`. `str()` gives the verdict and all figures as text.

    Args:
        comparison: The compared tables.
        sections: The measured sections, in the order of the report.
        seed: The random seed.
        ledger: `Ledger.statement()` of the model; None: no differential privacy guarantee.
        names: Names of the tables in the report, by role ("real", "synthetic", "holdout").
        identifying: Columns whose synthetic values are real values that identify people.
        date: The day of the evaluation, as ISO 8601; None: unknown.
        model: Parameters of the model and results of its training, by name, which the report states.
        description: The columns, with values of some synthetic rows.

    Example:
        >>> import pandas as pd
        >>> from synthvae.evaluation import METRICS
        >>> rows = pd.DataFrame({"age": [30, 41, 58]})
        >>> section = Section("fidelity", (Figure(METRICS["shape"], 0.97),))
        >>> Evaluation(Comparison.from_tables(rows, rows), (section,), seed=0).figures["shape"].value
        0.97
    """

    __repr__ = brief

    comparison: Comparison
    sections: tuple[Section, ...]
    seed: int
    ledger: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    identifying: tuple[Identifying, ...] = ()
    date: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    description: pd.DataFrame | None = None

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures by the name of their metric."""
        return {figure.metric.name: figure for section in self.sections for figure in section.figures}

    def __getitem__(self, name: str) -> Section:
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(section.name == name for section in self.sections)

    def __str__(self) -> str:
        return render_text(self.sections, self.verdict, self.comparison.notes)

    def _repr_html_(self) -> str:
        return notebook_table(self.verdict, self.sections)

    @property
    def verdict(self) -> Verdict:
        """Whether the rows can be used, and shared, in plain words."""
        return verdict(self.figures, self.ledger, self.identifying)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON data; `synthvae.evaluation.saved.SavedEvaluation` reads it."""
        return {
            "synthvae": __version__,
            "date": self.date,
            "rows": {role: len(frame) for role, frame in self.tables()},
            "columns": len(self.comparison.kinds),
            "target": self.comparison.target,
            "seed": self.seed,
            "verdict": self.verdict.to_dict(),
            "notes": list(self.comparison.notes),
            "identifying": [column.to_dict() for column in self.identifying],
            "sections": {section.name: section.to_dict() for section in self.sections},
            "ledger": None if self.ledger is None else dict(self.ledger),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return `to_dict()`. Deprecated: to be removed in the next release."""
        warn_deprecated("as_dict", "to_dict")
        return self.to_dict()

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the compared tables by role: "real", "synthetic" and, if there is one, "holdout"."""
        yield "real", self.comparison.real
        yield "synthetic", self.comparison.synthetic
        if self.comparison.holdout is not None:
            yield "holdout", self.comparison.holdout

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
        filesystem.export(Path(path), self._html().encode())

    def _html(self) -> str:
        metadata = ReportMetadata(
            rows={role: len(frame) for role, frame in self.tables()},
            columns=len(self.comparison.kinds),
            target=self.comparison.target,
            seed=self.seed,
            notes=self.comparison.notes,
            ledger=self.ledger,
            names=self.names,
            date=self.date,
            model=self.model,
            description=self.description,
        )
        return render(self.sections, self.verdict, metadata)


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    target: str | None = None,
    schema: Schema | str | os.PathLike[str] | None = None,
    group: str | None = None,
    unit: str | None = None,
    duration: str | None = None,
    event: str | None = None,
    attacks: bool = True,
    ledger: Mapping[str, Any] | None = None,
    protection: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    random_state: Seed = 0,
    watch: Watch | None = None,
) -> Evaluation:
    """Compare synthetic rows with the real rows that the generator was trained on.

    Args:
        real: The training rows: a pandas, polars or Arrow table, or the path of a CSV or Parquet file or folder.
        synthetic: The synthetic rows.
        holdout: Real rows that were not used for training. Without them, memorised rows cannot be detected.
        target: The column that users want to predict; None: utility is not measured.
        schema: The schema of the real rows, or its path; None: it is inferred. Its rules are judged beside those that
            are found in the real rows.
        group: A column of groups of people, for which fidelity and utility are compared.
        unit: The column that identifies units with several rows, such as patients: those of one are on one side of
            every split. None: each row is a unit.
        duration: For survival: the column of the time to the event, or to the end of the observation. None: the column
            of kind "duration" of the schema, if there is one.
        event: For survival: the column that tells whether the event was observed (1, true) or not (0, false, censored),
            or which one of several competing events was. None: that of the duration of the schema.
        attacks: Whether to simulate attacks, which takes longest.
        ledger: The privacy guarantee, as `Ledger.statement()` returns it.
        protection: What was protected before training, as the manifest of a dataset states it; the notes repeat it.
        model: Parameters of the model and results of its training, by name, which the report states, for example
            `Synthesizer.get_params()`.
        names: Names of the tables in the report, by role ("real", "synthetic", "holdout").
        random_state: Random seed.
        watch: Callback that receives the name of each section before it is measured.

    Returns:
        The figures, the verdict, and methods that write them as JSON and HTML.

    Raises:
        TableError: A table cannot be read or has less than two rows, the synthetic rows have less than half of the
            columns of the real ones, a named column does not exist, the target cannot be compared, or a unit has rows
            among the real rows and in the holdout.
        SchemaError: A rule of the schema is on a column that does not exist.
        ConfigurationError: Only one of `duration` and `event` is given, or `ledger` is none.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> rows = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
        >>> found = evaluate(rows[:90], rows[90:], attacks=False)  # real rows in place of synthetic rows
        >>> found.verdict.use.grade, found.figures["copies"].value
        ('good', 0.0)
    """
    schema = (
        schema
        if isinstance(schema, Schema) or schema is None
        else Schema.from_yaml(filesystem.local_path(schema, "A schema"))
    )
    guarantee = None if ledger is None else checked_statement(ledger)
    real, synthetic = convert.read(real), convert.read(synthetic)
    holdout = None if holdout is None else convert.read(holdout)
    refuse_unknown([name for name in (target, group, duration, event) if name is not None], real.column_names)
    comparison = Comparison.from_tables(real, synthetic, holdout=holdout, target=target, schema=schema, unit=unit)
    if protection is not None:
        comparison = replace(comparison, notes=(*comparison.notes, *sentences(protection)))
    seed = as_seed(random_state)
    times = Survival.from_columns(duration, event, schema)
    measurements: dict[str, Callable[[], Section | None]] = {
        "fidelity": lambda: fidelity(comparison, seed),
        "logic": lambda: logic(real, synthetic, holdout, comparison.schema, seed),
        "utility": lambda: utility(comparison, seed),
        "survival": lambda: survival(comparison, times, seed) if times else None,
        "disclosure": lambda: disclosure(comparison, seed),
        "attacks": lambda: run_attacks(comparison, seed) if attacks else None,
        "fairness": lambda: fairness(comparison, group, seed) if group else None,
    }
    sections = tuple(_sections(measurements, watch))
    found = identifying(real, synthetic)
    examples = synthetic.slice(0, EXAMPLES).drop_columns([column.name for column in found])
    return Evaluation(
        comparison,
        sections,
        seed,
        guarantee,
        names or {},
        found,
        date=datetime.now(UTC).date().isoformat(),
        model=model or {},
        description=described(comparison, convert.to_pandas(examples)),
    )


def _sections(measurements: Mapping[str, Callable[[], Section | None]], watch: Watch | None) -> Iterator[Section]:
    for name, measure in measurements.items():
        if watch is not None:
            watch(name)
        # Threads of OpenMP wait for each other busily: beside other processes, two are many times slower than one.
        with threadpool_limits(limits=1, user_api="openmp"):
            section = measure()
        if section is not None:
            yield section
