"""How tight the audit is on code that is right, and how surely it finds bugs: python tests/benchmarks/audit_bench.py.

Prints, for each claim and number of canaries, the ledger's epsilon and the lower bounds of some audits; for each bug of
`tests/privacy/bugs.py`, how often of some audits it was found, and how far above the claim (as a ratio).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from synthvae.privacy import Ledger
from synthvae.privacy.audit.audit import audit

sys.path.append(str(Path(__file__).parents[1] / "privacy"))

from bugs import BUGS, COUNTS, DESCENT, EPOCHS, SURE, counted, descended, ledger

RIGHT: dict[str, tuple[Ledger, int]] = {
    "counts, noise 3.7": (ledger(counted(3.7)), 4000),
    "counts, noise 3.7, more canaries": (ledger(counted(3.7)), 20_000),
    "counts, noise 1": (ledger(counted(1.0)), 4000),
    "two counts, noise 2": (COUNTS, 2000),
    "descent, noise 2, rate .1, 40 steps": (DESCENT, 4000),
    "descent, more canaries": (DESCENT, 20_000),
    "descent, noise 1, rate .2, 40 steps": (ledger(descended(1.0, 0.2, 40)), 4000),
    "descent, noise 2.1, rate .1, 400 steps": (EPOCHS, 2000),
    "descent, no sampling, noise 4, 10 steps": (ledger(descended(4.0, 1.0, 10)), 4000),
    "counts and descent": (ledger(counted(3.0, 2), descended(2.0, 0.1, 40)), 4000),
}


def bounds(claimed: Ledger, canaries: int, runs: int, confidence: float) -> dict[str, list[float]]:
    """The lower bounds of some audits, by method, and the best."""
    found: dict[str, list[float]] = {"errors": [], "guesses": [], "best": []}
    for _ in range(runs):
        report = audit(claimed, canaries=canaries, confidence=confidence)
        found["best"].append(report.lower)
        for method in ("errors", "guesses"):
            found[method].append(max(f.lower for f in report.findings if f.method == method))
    return found


def right_code(runs: int) -> None:
    for confidence in (0.95, SURE):
        print(f"right code, confidence {confidence:g}: ledger, mean (least to most) by errors, by guesses; refuted")
        for name, (claimed, canaries) in RIGHT.items():
            began = time.perf_counter()
            found = bounds(claimed, canaries, runs, confidence)
            shown = "; ".join(f"{np.mean(found[m]):.2f} ({min(found[m]):.2f} to {max(found[m]):.2f})" for m in found)
            wrong = sum(lower > claimed.epsilon for lower in found["best"])
            seconds = (time.perf_counter() - began) / runs
            print(
                f"  {name:42} {canaries:6,} {claimed.epsilon:5.2f}  {shown}; {wrong} of {runs}; {seconds:.1f} s",
                flush=True,
            )


def bugs(runs: int) -> None:
    print("bugs, confidence 0.95: claimed, bound (mean and standard deviation), its distance from the claim; caught")
    for bug in BUGS:
        with pytest.MonkeyPatch.context() as patch:
            bug.put_in(patch)
            found = bounds(bug.ledger, bug.canaries, runs, 0.95)
        mean, spread, claim = float(np.mean(found["best"])), float(np.std(found["best"])), bug.ledger.epsilon
        caught = {m: sum(lower > claim for lower in found[m]) for m in ("errors", "guesses")}
        far = (mean - claim) / max(spread, 1e-9)
        print(f"  {bug.name:36} {claim:5.2f}  {mean:6.2f} +- {spread:.2f}  {far:8.1f}  {caught} of {runs}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    bugs(options.runs)
    right_code(options.runs)
