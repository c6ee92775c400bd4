"""Whether intervals pooled over synthetic copies cover as often as they state. Prints Markdown.

    python tests/benchmarks/pooling.py --out FILE [--replications 500] [--rows 500] [--fits 1] [--copies 10]
                                  [--workers 2]

In each replication a table of so many rows is drawn: x1 is normal, x2 = .5 x1 + .9 e, the group g is 1 with the
probability expit(x2), and y = 1 + x1 + x2 + .5 g + e. A small model is fitted (width 32, protect=0), and copies of as
many rows are generated from it, or from each of several fits. In each, the means of x1, x2, y and g are estimated,
and y is regressed on x1, x2 and g. For each quantity the share of the replications is counted in which the .95
interval covers the true value: of the real rows; of the copies of all fits, pooled by `synthvae.evaluation.pool`; of
those of the first fit; of the first copy alone, pooled; and of the first copy as if it were real. "length" is the
mean length of intervals over that of real rows, "bias" the mean of the pooled estimate less the true one, and "sd"
the standard deviation of the pooled estimate over replications, both in units of the standard deviation of the
estimates from real rows; a compatible, efficient generator has 0 and sqrt(1 + 1 / copies).

FILE has a line for each finished replication; a run that is repeated goes on there. The binomial error of a coverage
of .95 over 500 replications is .0097.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from synthvae import Synthesizer
from synthvae.evaluation import pool

Floats = npt.NDArray[np.float64]
SPREAD = np.sqrt(0.5**2 + 0.9**2)  # of x2
SHARE = quad(lambda x: expit(x) * norm.pdf(x, scale=SPREAD), -12, 12)[0]  # of g
NAMES = ("mean x1", "mean x2", "mean y", "mean g", "intercept", "x1", "x2", "g")
TRUTH = np.array([0.0, 0.0, 1 + 0.5 * SHARE, SHARE, 1.0, 1.0, 1.0, 0.5])
METHODS = ("real rows", "all fits, pooled", "one fit, pooled", "one copy, pooled", "one copy, as if real")


def simulated(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    x1 = rng.normal(size=rows)
    x2 = 0.5 * x1 + 0.9 * rng.normal(size=rows)
    g = rng.random(rows) < expit(x2)
    y = 1 + x1 + x2 + 0.5 * g + rng.normal(size=rows)
    return pd.DataFrame({"x1": x1, "x2": x2, "g": np.where(g, "b", "a"), "y": y})


def analysed(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """The estimates (8,) of an analyst, and their variances."""
    numbers = table[["x1", "x2", "y"]].assign(g=table["g"] == "b").to_numpy(float)
    means, variances = numbers.mean(0), numbers.var(0, ddof=1) / len(table)
    x = np.column_stack([np.ones(len(table)), numbers[:, [0, 1, 3]]])
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ x.T @ numbers[:, 2]
    residual = ((numbers[:, 2] - x @ coefficients) ** 2).sum() / (len(x) - x.shape[1])
    return np.r_[means, coefficients], np.r_[variances, np.diag(inverse) * residual]


def replicate(number: int, options: argparse.Namespace) -> dict[str, Any]:
    """The estimates, and whether the intervals of each method cover, in one replication."""
    warnings.filterwarnings("ignore", category=UserWarning)
    real = simulated(options.rows, np.random.default_rng([0, number]))
    estimate, variance = analysed(real)
    manifests, found = [], []
    for fit in range(options.fits):
        model = Synthesizer(random_state=10_000 * fit + number, protect=0, **options.parameters).fit(real)
        with tempfile.TemporaryDirectory() as folder:
            manifests.append(model.generate(folder, rows=options.rows, copies=options.copies))
            found += [analysed(pd.read_parquet(Path(folder, copy["folder"]))) for copy in manifests[-1]["copies"]]
    estimates, variances = zip(*found, strict=True)
    first, one = manifests[0], options.copies
    pooled = pool(estimates, variances, manifest=manifests if options.fits > 1 else first)
    of_one_fit = pool(estimates[:one], variances[:one], manifest=first)
    single = pool(estimates[:1], variances[:1], manifest={**first, "copies": first["copies"][:1]})
    intervals = [
        _around(estimate, variance),
        (pooled.low, pooled.high),
        (of_one_fit.low, of_one_fit.high),
        (single.low, single.high),
        _around(*found[0]),
    ]
    covers = {m: ((i[0] <= TRUTH) & (i[1] >= TRUTH)).tolist() for m, i in zip(METHODS, intervals, strict=True)}
    lengths = {m: (i[1] - i[0]).tolist() for m, i in zip(METHODS, intervals, strict=True)}
    line = {"number": number, "real": estimate.tolist(), "pooled": pooled.estimate.tolist()}
    return line | {"covers": covers, "lengths": lengths}


def _around(estimate: Floats, variance: Floats) -> tuple[Floats, Floats]:
    half = norm.ppf(0.975) * np.sqrt(variance)
    return estimate - half, estimate + half


def report(lines: list[dict[str, Any]], options: argparse.Namespace) -> None:
    real, pooled = (np.array([line[key] for line in lines]) for key in ("real", "pooled"))
    error = np.sqrt(0.95 * 0.05 / len(lines))
    size = f"{options.rows} rows, {options.fits} fits, {options.copies} copies of each"
    print(f"\n{len(lines)} replications, {size}; binomial error {error:.4f}\n")
    print(f"| | {' | '.join(NAMES)} |\n| --- |{' --- |' * len(NAMES)}")
    for method in METHODS:
        shares = np.mean([line["covers"][method] for line in lines], 0)
        print(f"| {method} | {' | '.join(f'{share:.3f}' for share in shares)} |")
    mean = {method: np.mean([line["lengths"][method] for line in lines], 0) for method in METHODS}
    for method in METHODS[1:]:
        ratios = mean[method] / mean["real rows"]
        print(f"| length, {method} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    scale = real.std(0, ddof=1)
    for name, values in (("bias", (pooled.mean(0) - TRUTH) / scale), ("sd", pooled.std(0, ddof=1) / scale)):
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of finished replications")
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--fits", type=int, default=1)
    parser.add_argument("--copies", type=int, default=10, help="of each fit")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no replication after so many")
    parser.add_argument("--parameters", type=json.loads, default={"width": 32}, help="of Synthesizer, as JSON")
    options = parser.parse_args()
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    left = sorted(set(range(options.replications)) - {line["number"] for line in done})
    end, context = time.monotonic() + 60 * options.minutes, multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as executor, options.out.open("a") as stream:
        while left and time.monotonic() < end:
            now, left = left[: 4 * options.workers], left[4 * options.workers :]
            tasks = [executor.submit(replicate, n, options) for n in now]
            for task in as_completed(tasks):
                done.append(task.result())
                stream.write(json.dumps(done[-1]) + "\n")
                stream.flush()
    report(done, options)


if __name__ == "__main__":
    main()
