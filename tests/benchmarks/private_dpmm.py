"""MST and AIM as the package dpmm gives them: the strongest private generators from noisy tables of counts.

McKenna et al. 2021, Winning the NIST contest, https://arxiv.org/abs/2108.04978, and 2022, AIM,
https://arxiv.org/abs/2201.12677. They get codes of a public domain, so that no budget goes to bins. The package turns
epsilon and delta into rho of concentrated privacy, at which a single Gaussian gets about a tenth more noise than by
privacy loss distributions. Its settings are its defaults.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

import pandas as pd


class Dpmm:
    """A pipeline of dpmm, by name.

    Args:
        name: "MST" or "AIM".
        levels: How many codes each column has.
        epsilon: What may be spent.
        delta: Of the promise.
        seed: Of what is drawn; the noise comes from the operating system's entropy.
    """

    def __init__(self, name: str, levels: dict[str, int], epsilon: float, delta: float, seed: int) -> None:
        pipeline = getattr(import_module("dpmm.pipelines"), f"{name}Pipeline")
        self.levels, self.seed = levels, seed
        self.model: Any = pipeline(epsilon=epsilon, delta=delta, n_jobs=1, disable_processing=True)
        self.versions = {package: metadata.version(package) for package in ("dpmm", "opendp")}
        self.notes: list[str] = []

    def fit(self, codes: pd.DataFrame) -> None:
        """Learn the codes."""
        self.model.fit(codes, domain=self.levels, random_state=self.seed)
        tables = sum(len(clique) > 1 for clique in self.model.gen.generator.cliques)
        self.notes.append(f"{tables} tables of more than one column")

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw codes."""
        drawn: pd.DataFrame = self.model.generate(n_records=rows, random_state=self.seed)
        return drawn
