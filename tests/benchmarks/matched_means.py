"""How far models shift the estimates of an analyst, with and without matched means. Prints JSON lines, then a summary.

    python tests/benchmarks/matched_means.py [--replications 40] [--rows 500]

The tables and the analysis are those of `pooling.py`. Each model is fitted once; its weights before and after means are
matched give 20,000 rows each. Figures are differences from the estimates of the training rows, in standard errors.
"""

from __future__ import annotations

import argparse
import json
import warnings
from typing import Any

import numpy as np
import pooling
import torch
from torch import Tensor

from synthvae import Synthesizer
from synthvae.model import CVAE

DRAWN = 20_000
Weights = dict[str, Tensor]


def fitted(table: Any, seed: int) -> tuple[Synthesizer, dict[str, Weights]]:
    """A model, and its weights without and with matched means."""
    found: dict[str, Weights] = {}
    match = CVAE.match_marginals

    def both(self: CVAE, frequencies: Tensor, labels: Tensor, generator: torch.Generator, *rest: Any) -> None:
        most, means = rest
        before, state = {name: value.clone() for name, value in self.state_dict().items()}, generator.get_state()
        for name, wanted in (("without", None), ("with", means)):
            self.load_state_dict(before)
            generator.set_state(state)
            match(self, frequencies, labels, generator, most, wanted)
            found[name] = {key: value.clone() for key, value in self.state_dict().items()}

    CVAE.match_marginals = both  # type: ignore[assignment, method-assign]
    try:
        return Synthesizer(random_state=seed, protect=0, width=32).fit(table), found
    finally:
        CVAE.match_marginals = match  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--rows", type=int, default=500)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    shifts: dict[str, list[Any]] = {"without": [], "with": []}
    for number in range(given.replications):
        table = pooling.simulated(given.rows, np.random.default_rng([0, number]))
        estimate, variance = pooling.analysed(table)
        model, weights = fitted(table, number)
        for name, state in weights.items():
            model.learned_.model.load_state_dict(state)
            drawn = pooling.analysed(model.sample(DRAWN, random_state=number))[0]
            shifts[name].append((drawn - estimate) / variance**0.5)
        print(json.dumps({name: found[-1].round(3).tolist() for name, found in shifts.items()}), flush=True)
    for name, found in shifts.items():
        for what, values in (("mean", np.mean(found, 0)), ("sd", np.std(found, 0))):
            print(f"{name} {what}: {dict(zip(pooling.NAMES, values.round(2).tolist(), strict=True))}")


if __name__ == "__main__":
    main()
