"""The whole evaluation: every section that the tables allow, in one call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.attacks import attacks as run_attacks
from synthvae.evaluation.disclosure.copies import disclosure
from synthvae.evaluation.fidelity.columns import fidelity
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.utility.fairness import fairness
from synthvae.evaluation.utility.prediction import utility
from synthvae.evaluation.utility.survival import Survival, survival
from synthvae.evaluation.verdict import Verdict, verdict
from synthvae.random_state import Seed, as_seed
from synthvae.schema.schema import Schema

Watch = Callable[[str], None]
"""What is called with the name of each section before it is measured."""


@dataclass(frozen=True)
class Evaluation:
    """What was found of a synthetic table.

    Args:
        comparison: The tables, side by side.
        sections: What was measured, in the order of the report.
        seed: Of everything that was drawn.
        ledger: What privacy was promised and spent, as `Ledger.statement` says it; None: nothing was.
        names: What the tables are called, by role.
    """

    comparison: Comparison
    sections: tuple[Section, ...]
    seed: int
    ledger: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def verdict(self) -> Verdict:
        """Whether the rows can be used, and shared, in plain words."""
        return verdict(self.figures, self.ledger)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        rows = {name: len(frame) for name, frame in self._tables()}
        return {
            "synthvae": __version__,
            "rows": rows,
            "columns": len(self.comparison.kinds),
            "target": self.comparison.target,
            "seed": self.seed,
            "verdict": self.verdict.as_dict(),
            "notes": list(self.comparison.notes),
            "sections": {section.name: section.as_dict() for section in self.sections},
            "ledger": None if self.ledger is None else dict(self.ledger),
        }

    def _tables(self) -> Iterator[tuple[str, Any]]:
        yield "real", self.comparison.real
        yield "synthetic", self.comparison.synthetic
        if self.comparison.holdout is not None:
            yield "holdout", self.comparison.holdout

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `as_dict` to a file; a `DatasetError` says that it cannot be written."""
        filesystem.export(Path(path), json.dumps(self.as_dict(), indent=1, allow_nan=False).encode())

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report: one file that needs nothing beside it. Needs the extra `synthvae[report]`."""
        from synthvae.evaluation.report.html import page

        filesystem.export(Path(path), page(self).encode())


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    target: str | None = None,
    schema: Schema | str | os.PathLike[str] | None = None,
    group: str | None = None,
    duration: str | None = None,
    event: str | None = None,
    attacks: bool = True,
    ledger: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    random_state: Seed = 0,
    watch: Watch | None = None,
) -> Evaluation:
    """Compare synthetic rows with the real ones they were made from.

    Args:
        real: The rows that the generator learned: a DataFrame, a `pyarrow.Table`, polars, or the path of a CSV or
            Parquet file or folder.
        synthetic: The rows that it made.
        holdout: Real rows that it did not learn. Without them it cannot be said what is learned by heart.
        target: The column that users want to predict; None: utility is not measured.
        schema: The schema of the real rows, or the path of one; None: it is inferred.
        group: A column of groups of people, for each of which fidelity and utility are told apart.
        duration: Column of the time to an event or to the end of the observation, for survival.
        event: Column that says whether the event was seen (1, true) or not.
        attacks: Whether rows are attacked as by an adversary, which takes longest.
        ledger: What privacy was promised and spent, see `Ledger.statement`, for the report.
        names: What the tables are called in the report, by role ("real", "synthetic", "holdout").
        random_state: Seed of everything that is drawn.
        watch: Called with the name of each section before it is measured.

    Raises:
        TableError: The tables cannot be read, have less than two rows, or no column in common.
    """
    read = schema if isinstance(schema, Schema) or schema is None else Schema.from_yaml(Path(schema))
    comparison = Comparison.of(real, synthetic, holdout=holdout, target=target, schema=read)
    seed = as_seed(random_state)
    times = Survival.of(duration, event)
    measures: dict[str, Callable[[], Section | None]] = {
        "fidelity": lambda: fidelity(comparison, seed),
        "utility": lambda: utility(comparison, seed),
        "survival": lambda: survival(comparison, times, seed) if times else None,
        "disclosure": lambda: disclosure(comparison, seed),
        "attacks": lambda: run_attacks(comparison, seed) if attacks else None,
        "fairness": lambda: fairness(comparison, group, seed) if group else None,
    }
    sections = []
    for name, measure in measures.items():
        if watch is not None:
            watch(name)
        sections.append(measure())
    found = tuple(section for section in sections if section is not None)
    return Evaluation(comparison, found, seed, ledger, names or {})
