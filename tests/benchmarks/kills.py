"""SIGKILL at random moments of `synthvae generate`, with one worker and two; what was found after each.

    python kills.py [--kills 200] [--seed 0]

A run, or a worker of it, is killed; afterwards the folder must hold nothing, the old dataset, the new one, or what a
plain call refuses with `--resume`; now and then it is resumed, and must have the bytes of an undisturbed run and no
other file. Half of the runs replace an older dataset. Printed: how often each was found. Anything else ends it with a
traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_wine

sys.path.insert(0, str(Path(__file__).parents[1] / "generation"))

from killing import Killer

from synthvae import Synthesizer

AT_ONCE = 10  # kills between two lines


def main() -> None:
    """Kill, half of the runs with each number of workers."""
    parser = argparse.ArgumentParser(description="Kills of `synthvae generate`.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        table = load_wine(as_frame=True).frame
        Synthesizer(target="target", max_steps=20, width=16, random_state=0).fit(table).save(model)
        for workers in options.workers:
            killer = Killer(model, Path(scratch) / str(workers), workers, options.seed)
            for _ in range(max(options.kills // len(options.workers) // AT_ONCE, 1)):
                killer.chain(AT_ONCE)
                print(f"workers {workers}: {dict(sorted(killer.found.items()))}", flush=True)


if __name__ == "__main__":
    main()
