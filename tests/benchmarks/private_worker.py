"""One private generator, one table, one epsilon, one seed, one process: the half of `private.py` that does the work.

    python private_worker.py GENERATOR FOLDER STEM --epsilon 1 [--delta 1e-5] [--seed 0] [--budget 3600]

FOLDER holds what `private.py` prepared. What is drawn goes to STEM.codes.parquet, or to STEM.parquet where a generator
draws rows itself; the figures go to STEM.json, written last.
"""

from __future__ import annotations

import argparse
import json
import traceback
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
from worker import OutOfBudgetError, budgeted, clocked, failure, one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = "own"  # the rows as synthvae gets them, with whose they are


@dataclass(frozen=True)
class Job:
    """What a generator is told beside the rows."""

    folder: Path
    epsilon: float
    delta: float
    seed: int
    budget: float
    rows_per_unit: int = 1

    @property
    def facts(self) -> dict[str, Any]:
        """What is public of the table."""
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return facts


class Private(Protocol):
    """What is asked of a private generator."""

    versions: dict[str, str]
    notes: list[str]

    def fit(self, codes: pd.DataFrame) -> None:
        """Learn codes."""

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw as many codes."""


class Synthvae:
    """`synthvae.Synthesizer` with a budget, otherwise with its defaults; codes and draws rows itself."""

    def __init__(self, job: Job) -> None:
        package, torch = import_module("synthvae"), import_module("torch")
        self.versions = {"synthvae": str(package.__version__), "torch": str(torch.__version__)}
        self.notes: list[str] = []
        self.seed, facts = job.seed, job.facts
        budget = import_module("synthvae.privacy").PrivacyBudget(
            epsilon=job.epsilon, delta=job.delta, unit=facts["unit"], rows_per_unit=job.rows_per_unit
        )
        schema = package.Schema.from_yaml(job.folder / "schema.yaml")
        options = {"target": facts["target"], "schema": schema, "privacy": budget}
        self.model: Any = package.Synthesizer(**options, device="cpu", random_state=job.seed)

    def fit(self, rows: pd.DataFrame) -> None:
        """Learn the rows as they are."""
        self.model.fit(rows)
        self.notes.append(f"epsilon spent: {self.model.ledger_.epsilon:.3f}")

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows."""
        drawn: pd.DataFrame = self.model.sample(rows)
        return drawn


class MostlyaiPrivate:
    """mostlyai's TabularARGN; of epsilon, 1, or half of less than 2, is for ranges of values. It draws rows itself."""

    def __init__(self, job: Job) -> None:
        ranges = min(1.0, job.epsilon / 2)
        privacy = {"max_epsilon": job.epsilon - ranges, "delta": job.delta, "value_protection_epsilon": ranges}
        self.model = import_module("peers").Mostlyai(job.seed, job.budget, privacy)
        self.versions, self.notes = self.model.versions, [*self.model.notes, f"epsilon {ranges:g} for ranges of values"]

    def fit(self, rows: pd.DataFrame) -> None:
        """Learn the rows as they are."""
        self.model.fit(rows)

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows."""
        drawn: pd.DataFrame = self.model.sample(rows)
        return drawn


def _control(name: str, room: str = "private_peers") -> Callable[[Job], Private]:
    def made(job: Job) -> Private:
        budget = import_module("synthvae.privacy").PrivacyBudget(epsilon=job.epsilon, delta=job.delta)
        kind = getattr(import_module(room), name)
        generator: Private = kind(job.facts["levels"], job.facts["target"], budget, job.seed)
        return generator

    return made


def _dpmm(name: str) -> Callable[[Job], Private]:
    def made(job: Job) -> Private:
        kind = import_module("private_dpmm").Dpmm
        generator: Private = kind(name, job.facts["levels"], job.epsilon, job.delta, job.seed)
        return generator

    return made


OURS = "synthvae"
GENERATORS: dict[str, Callable[[Job], Private]] = {
    OURS: Synthvae,
    "independent": _control("Independent"),
    "naive_bayes": _control("NaiveBayes"),
    "tan": _control("Tan"),
    "dp_cvae": _control("PlainCvae", "private_cvae"),
    "mst": _dpmm("MST"),
    "aim": _dpmm("AIM"),
    "mostlyai": MostlyaiPrivate,
}
PEERS = frozenset({"mst", "aim"})  # these run in an environment of their own
DEEP = frozenset({"mostlyai"})  # and these in that of the peers without privacy
ROWS = {OURS: OWN, "mostlyai": "train"}  # who is given rows, and which; the others are given codes


def measure(name: str, job: Job, stem: Path, budget: float) -> dict[str, Any]:
    """Fit and draw; whatever happens, return a status and the figures up to there."""
    figures: dict[str, Any] = {"generator": name, "epsilon": job.epsilon, "seed": job.seed, "budget": budget}
    generator: Private | None = None
    try:
        rows = pd.read_parquet(job.folder / f"{ROWS.get(name, 'codes')}.parquet")
        generator = GENERATORS[name](job)
        fit, sample = generator.fit, generator.sample
        with budgeted(budget):
            figures["fit_cpu_s"], _ = clocked(lambda: fit(rows))
        figures["sample_cpu_s"], drawn = clocked(lambda: sample(job.facts["rows"]))
        drawn.to_parquet(stem.with_suffix(".parquet" if name in ROWS else ".codes.parquet"), index=False)
        figures["status"] = "ok"
    except OutOfBudgetError:
        figures["status"] = f"timed out after {budget:.0f} CPU-s"
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way, and the report shall say so
        traceback.print_exc()
        figures["status"] = failure(error)
    known = {"versions": generator.versions, "notes": generator.notes} if generator else {"versions": {}, "notes": []}
    return figures | known


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description="One private generator, one table, one epsilon, one seed.")
    parser.add_argument("generator", choices=list(GENERATORS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("stem", type=Path)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=3600.0, help="CPU-seconds of a fit")
    parser.add_argument("--rows-per-unit", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    one_thread()
    job = Job(options.folder, options.epsilon, options.delta, options.seed, options.budget, options.rows_per_unit)
    figures = measure(options.generator, job, options.stem, options.budget)
    options.stem.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
