"""How synthetic rows keep times to an event, on real tables; lifelines judges. Prints Markdown.

    python tests/benchmarks/time_to_event.py draw --data DIR --out FOLDER [--tables gbsg colon support2] [--seeds 0 1 2]
    .venv-oracle/bin/python tests/benchmarks/time_to_event.py judge FOLDER

For each seed the real rows (or patients) are split at random into halves A and B. Models are fitted to A, and as many
synthetic rows S as A has are drawn by each way of fitting:

- "no target": a model without a target;
- "event": the event is the target;
- "option": `Synthesizer(duration=, event=)`;
- "option, target": the same with another column as the target.

Measured are the area between the Kaplan-Meier curves of S and A, and of S and B, as a share of the longest follow-up of
A, beside that of A and B; Harrell's concordance on B of a Cox model (ridge .01) fitted to S, beside that of one fitted
to A; and the share of the coefficients of S that lie within one standard error of those of A, beside that of B.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

DRAW, JUDGE = "draw", "judge"


class Times(NamedTuple):
    """A table, its columns of the time and the event, of another target, and of patients; what is not modelled."""

    file: str
    duration: str
    event: str
    target: str
    unit: str | None = None
    columns: tuple[str, ...] = ()  # besides the time and the event; (): all but `drop`
    drop: tuple[str, ...] = ()


TABLES = {
    "gbsg": Times("gbsg.csv", "rfstime", "status", "hormon", drop=("pid",)),
    "colon": Times("colon.csv", "time", "status", "rx", unit="id", drop=("id", "study")),
    "support2": Times(
        "support2.csv.gz",
        "d.time",
        "death",
        "dzclass",
        columns=(
            *("age", "sex", "dzclass", "num.co", "scoma", "race", "diabetes", "dementia", "ca", "meanbp"),
            *("wblc", "hrt", "resp", "temp", "crea", "sod"),
        ),
    ),
}


def read(times: Times, data: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two random halves of the rows; the rows of a patient are in one of them."""
    table = pd.read_csv(data / times.file)
    units = table[times.unit] if times.unit else pd.Series(np.arange(len(table)))
    known = units.drop_duplicates().to_numpy()
    first = units.isin(np.random.default_rng(seed).permutation(known)[: len(known) // 2])
    kept = [*times.columns, times.duration, times.event] if times.columns else list(table.columns.drop([*times.drop]))
    return table.loc[first, kept].reset_index(drop=True), table.loc[~first, kept].reset_index(drop=True)


def ways(times: Times) -> dict[str, dict[str, Any]]:
    """The parameters of each way of fitting."""
    both = {"duration": times.duration, "event": times.event}
    return {
        "no target": {},
        "event": {"target": times.event},
        "option": both,
        "option, target": {**both, "target": times.target},
    }


def draw(options: argparse.Namespace) -> None:
    """Write the halves and the synthetic rows of each way."""
    from synthvae import Synthesizer

    warnings.filterwarnings("ignore", category=UserWarning)
    for seed in options.seeds:
        for name in options.tables:
            times = TABLES[name]
            train, test = read(times, options.data, seed)
            folder = options.out / f"{name}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            train.to_csv(folder / "A.csv", index=False)
            test.to_csv(folder / "B.csv", index=False)
            for way, parameters in ways(times).items():
                place = folder / f"{way}.csv"
                if place.exists() or (options.ways and way not in options.ways):
                    continue
                fitted = Synthesizer(**parameters, random_state=seed).fit(train)
                fitted.sample(len(train), random_state=seed).to_csv(place, index=False)
                print(place, flush=True)


def judge(options: argparse.Namespace) -> None:
    """Print the figures of each table and way, averaged over seeds."""
    warnings.filterwarnings("ignore")
    found = [
        {"table": folder.name.rpartition("-")[0], "way": way, **figures}
        for folder in sorted(options.folder.iterdir())
        for way, figures in judged(folder).items()
    ]
    frame = pd.DataFrame(found).groupby(["table", "way"], sort=False)
    print(f"| {' | '.join(['table', 'way', 'seeds', *FIGURES])} |\n|{' --- |' * (len(FIGURES) + 3)}")
    for (table, way), rows in frame:
        print(f"| {table} | {way} | {len(rows)} | {' | '.join(f'{rows[name].mean():.4f}' for name in FIGURES)} |")


FIGURES = ("area S-A", "area S-B", "area A-B", "concordance", "TRTR", "within S-A", "within B-A")


def judged(folder: Path) -> dict[str, dict[str, float]]:
    """The figures of each way in a folder of one table and seed."""
    times = TABLES[folder.name.rpartition("-")[0]]
    tables = {place.stem: pd.read_csv(place) for place in folder.glob("*.csv")}
    train, test = tables.pop("A"), tables.pop("B")
    end = float(train[times.duration].max())
    encoded = Encoder(times, train)
    reference, other = (cox(encoded(rows), times) for rows in (train, test))
    found: dict[str, dict[str, float]] = {}
    for way in sorted(tables, key=list(ways(times)).index):
        own = cox(encoded(tables[way]), times)
        curves = [curve(rows, times) for rows in (tables[way], train, test)]
        areas = [area(curves[i], curves[j], end) for i, j in ((0, 1), (0, 2), (1, 2))]
        scores = [model.score(encoded(test), scoring_method="concordance_index") for model in (own, reference)]
        shares = [within(model, reference) for model in (own, other)]
        found[way] = dict(zip(FIGURES, [*areas, *scores, *shares], strict=True))
    return found


class Encoder:
    """Covariates as numbers: standardised with the means of the training rows, which missing ones become."""

    def __init__(self, times: Times, train: pd.DataFrame) -> None:
        self.times = times
        self.covariates = train.columns.drop([times.duration, times.event])
        self.levels = {c: sorted(train[c].dropna().unique()) for c in self.covariates if train[c].dtype == object}
        self.means = self._dummies(train).mean()
        self.scales = self._dummies(train).std()

    def _dummies(self, rows: pd.DataFrame) -> pd.DataFrame:
        found: dict[str, pd.Series] = {}
        for name in self.covariates:
            levels = self.levels.get(name)
            columns = {name: rows[name]} if levels is None else {f"{name}={v}": rows[name] == v for v in levels[1:]}
            found |= {key: column.astype(float) for key, column in columns.items()}
        return pd.DataFrame(found)

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        numbers = (self._dummies(rows) - self.means) / self.scales
        return numbers.fillna(0.0).assign(**{name: rows[name] for name in (self.times.duration, self.times.event)})


def cox(rows: pd.DataFrame, times: Times) -> Any:
    from lifelines import CoxPHFitter

    return CoxPHFitter(penalizer=0.01).fit(rows, times.duration, times.event)


def within(model: Any, reference: Any) -> float:
    """The share of the coefficients within one standard error of those of the reference."""
    return float(((model.params_ - reference.params_).abs() <= reference.standard_errors_).mean())


def curve(rows: pd.DataFrame, times: Times) -> pd.Series:
    from lifelines import KaplanMeierFitter

    fitted = KaplanMeierFitter().fit(rows[times.duration], rows[times.event]).survival_function_
    return pd.Series(fitted.iloc[:, 0])


def area(one: pd.Series, other: pd.Series, end: float) -> float:
    """The area between two step functions from 0 to `end`, as a share of `end`."""
    edges = np.unique(np.concatenate([[0.0, end], one.index, other.index]))
    edges = edges[edges <= end]
    both = [steps.reindex(edges, method="ffill").to_numpy()[:-1] for steps in (one, other)]
    return float(np.sum(np.abs(both[0] - both[1]) * np.diff(edges)) / end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser(DRAW)
    drawing.add_argument("--data", type=Path, required=True, help="folder of the tables")
    drawing.add_argument("--out", type=Path, required=True, help="folder of the halves and the synthetic rows")
    drawing.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    drawing.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    drawing.add_argument("--ways", nargs="+", default=[])
    judging = commands.add_parser(JUDGE)
    judging.add_argument("folder", type=Path)
    options = parser.parse_args()
    (draw if options.command == DRAW else judge)(options)


if __name__ == "__main__":
    main()
