"""What is measured: something that is fitted to a table and draws rows of it.

A generator is made by name and imports its package only then, so that each runs in the environment that has it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable


class Generator(Protocol):
    """What a benchmark asks of a generator: `fit` once, then `sample` as often as wanted."""

    versions: dict[str, str]
    notes: list[str]

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table."""

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw `rows` new rows with the columns of the table."""


@dataclass(frozen=True)
class Setting:
    """What a generator is told beside the table: the target's name, a seed, the seconds that a fit may take."""

    target: str
    seed: int
    budget: float


def commit_of(folder: Path) -> str:
    """Return the commit that a folder is checked out from, and whether its files differ from it."""
    command = ["git", "-C", str(folder), "describe", "--always", "--exclude=*", "--dirty=, changed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "no commit"


class Synthvae:
    """`synthvae.Synthesizer` with its defaults, or with parameters that are stated."""

    def __init__(self, setting: Setting, **stated: Any) -> None:
        package = import_module("synthvae")
        torch = import_module("torch")
        version = f"{package.__version__} ({commit_of(Path(str(package.__file__)).parent)})"
        self.versions = {"synthvae": version, "torch": str(torch.__version__)}
        self.notes: list[str] = []
        self.seed, self.draws = setting.seed, 0
        self.model: Any = package.Synthesizer(target=setting.target, device="cpu", random_state=setting.seed, **stated)

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table as it is."""
        self.model.fit(train)
        stopped, steps = self.model.history_.stopped, self.model.history_.best_step
        self.notes.append(f"stopped: {stopped}, weights of step {steps}")

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows, other ones at each call."""
        self.draws += 1
        table: pd.DataFrame = self.model.sample(rows, random_state=1000 * self.seed + self.draws)
        return table


class Independent:
    """Each column resampled on its own: perfect marginals, no dependence. What only `shape` cannot tell apart."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.versions: dict[str, str] = {}
        self.notes: list[str] = []

    def fit(self, train: pd.DataFrame) -> None:
        """Keep the table."""
        self.train = train

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw every column with replacement."""
        size = len(self.train)
        drawn = {name: self.train[name].array.take(self.rng.integers(size, size=rows)) for name in self.train}
        return pd.DataFrame(drawn)


def _cart(setting: Setting) -> Generator:
    generator: Generator = import_module("cart").CartChain(setting.seed)
    return generator


def _smote(setting: Setting) -> Generator:
    generator: Generator = import_module("peers").Smote(setting.target, setting.seed)
    return generator


def _tvae(setting: Setting) -> Generator:
    generator: Generator = import_module("peers").Ctgan("TVAE", setting.target, setting.seed)
    return generator


def _ctgan(setting: Setting) -> Generator:
    generator: Generator = import_module("peers").Ctgan("CTGAN", setting.target, setting.seed)
    return generator


def _mostlyai(setting: Setting) -> Generator:
    generator: Generator = import_module("peers").Mostlyai(setting.seed, setting.budget)
    return generator


GENERATORS: dict[str, Callable[[Setting], Generator]] = {
    "synthvae": Synthvae,
    "before": Synthvae,
    "fast": lambda setting: Synthvae(setting, effort="fast"),
    "thorough": lambda setting: Synthvae(setting, effort="thorough"),
    "independent": lambda setting: Independent(setting.seed),
    "cart": _cart,
    "smote": _smote,
    "tvae": _tvae,
    "ctgan": _ctgan,
    "mostlyai": _mostlyai,
}

# The package of another checkout, `bench.py --before`.
BEFORE = "before"

# Other efforts than the default, which run only where they are named.
EFFORTS = ("fast", "thorough")

# These run in the peers' environment, whose pins the package need not share.
PEERS = frozenset({"smote", "tvae", "ctgan", "mostlyai"})
