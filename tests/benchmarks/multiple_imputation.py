"""Whether intervals pooled over multiple imputations cover as often as they state. Prints Markdown.

    python tests/benchmarks/multiple_imputation.py [--replications 500] [--rows 300] [--imputations 10] [--seed 0]

In each replication a table of so many rows is drawn: x1 is normal, x2 = .5 x1 + .9 e, the group g is 1 with the
probability expit(x2), and y = 1 + x1 + x2 + .5 g + e. x2 and g are missing at random, each in 30 % of the rows, with
a probability that rises with y. y is regressed on x1, x2 and g, and for each coefficient the share of the
replications is counted in which the .95 interval covers the true one: of the table without missing values, of its
complete rows, of one fit (`sample_posterior`), and of a fit for each imputation (`proper`), pooled by Rubin's rules
with the degrees of freedom of Barnard and Rubin (1999). Models are small (width 32).

The binomial error of a coverage of .95 over 500 replications is .0097.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import t

from synthvae.estimators import VAEImputer

Floats = npt.NDArray[np.float64]
TRUTH = np.array([1.0, 1.0, 1.0, 0.5])
NAMES = ("intercept", "x1", "x2", "g")
MISSING = 0.3
LEVEL = 0.95


class Regression(NamedTuple):
    """Coefficients, their variances, and the degrees of freedom of the residuals."""

    coefficients: Floats
    variances: Floats
    freedom: int

    @classmethod
    def of(cls, table: pd.DataFrame) -> Regression:
        x = np.column_stack([np.ones(len(table)), table[["x1", "x2"]], table["g"] == "b"]).astype(float)
        y, freedom = table["y"].to_numpy(float), len(table) - x.shape[1]
        inverse = np.linalg.inv(x.T @ x)
        coefficients = inverse @ x.T @ y
        return cls(coefficients, np.diag(inverse) * ((y - x @ coefficients) ** 2).sum() / freedom, freedom)

    def covers(self) -> npt.NDArray[np.bool_]:
        return np.asarray(np.abs(self.coefficients - TRUTH) <= np.sqrt(self.variances) * t.ppf(0.975, self.freedom))


def pooled(found: Sequence[Regression]) -> npt.NDArray[np.bool_]:
    """Whether intervals pooled by Rubin's rules cover the true coefficients."""
    m = len(found)
    coefficients = np.mean([one.coefficients for one in found], 0)
    within = np.mean([one.variances for one in found], 0)
    between = np.var([one.coefficients for one in found], axis=0, ddof=1) * (1 + 1 / m)
    total, complete = within + between, found[0].freedom
    share = between / total
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    freedom = 1 / (share**2 / (m - 1) + 1 / observed)
    return np.asarray(np.abs(coefficients - TRUTH) <= np.sqrt(total) * t.ppf(0.975, freedom))


def simulated(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table, and the same with missing values."""
    x1 = rng.normal(size=rows)
    x2 = 0.5 * x1 + 0.9 * rng.normal(size=rows)
    g = rng.random(rows) < expit(x2)
    y = np.column_stack([np.ones(rows), x1, x2, g]) @ TRUTH + rng.normal(size=rows)
    whole = pd.DataFrame({"x1": x1, "x2": x2, "g": np.where(g, "b", "a"), "y": y})
    odds = (y - y.mean()) / y.std() + np.log(MISSING / (1 - MISSING))
    return whole, whole.assign(**{name: whole[name].mask(rng.random(rows) < expit(odds)) for name in ("x2", "g")})


def replicate(options: argparse.Namespace, number: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Whether the intervals of each method cover the coefficients, in one replication."""
    whole, holed = simulated(options.rows, np.random.default_rng([options.seed, number]))
    parameters: dict[str, Any] = {"width": 32, "max_steps": options.steps, "sample_posterior": True}
    found = {"no missing value": Regression.of(whole).covers(), "complete rows": Regression.of(holed.dropna()).covers()}
    seeds = np.random.SeedSequence([options.seed, number]).generate_state(options.imputations).tolist()
    single, one_fit = VAEImputer(random_state=number, **parameters).fit(holed), []
    for seed in seeds:
        single._seed = seed  # of its draws
        one_fit.append(Regression.of(single.transform(holed)))
    imputers = [VAEImputer(proper=True, random_state=seed, **parameters) for seed in seeds]
    each = [Regression.of(imputer.fit_transform(holed)) for imputer in imputers]
    return {**found, "one fit": pooled(one_fit), "a fit for each (proper)": pooled(each)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--imputations", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200, help="largest number of steps of a fit")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no replication after so many")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    began, found = time.monotonic(), []
    for number in range(options.replications):
        if time.monotonic() - began > 60 * options.minutes:
            break
        found.append(replicate(options, number))
    print(f"{len(found)} replications, {time.monotonic() - began:.0f} s\n")
    print(f"| {options.rows} rows | {' | '.join(NAMES)} |\n| --- |{' --- |' * len(NAMES)}")
    for method in found[0]:
        shares = np.mean([one[method] for one in found], 0)
        print(f"| {method} | {' | '.join(f'{share:.3f}' for share in shares)} |")


if __name__ == "__main__":
    main()
