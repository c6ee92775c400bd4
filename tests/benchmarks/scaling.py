"""How the cost of synthvae grows: with the rows of a table, with its columns, and with the threads that draw.

    python scaling.py --data DIR [--rows 10000 30000 ...] [--columns 10 25 ...] [--budget 3600] [--threads]
                      [-o scaling.md]

Rows: subsets of kdd99 (42 columns). Columns: 10,000 made rows of mixed types that hang together. Each fit is a process
of its own with one thread (`worker.py`), measured in CPU-seconds. `--threads` adds the rows that `Synthesizer.generate`
writes per second of wall time with one and with two workers; it needs two idle cores. A size that fails keeps its line.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from bench import load, python, say
from report import grid
from tables import CLASS_ROWS, TABLES
from tables import load as load_table

ROWS = (10_000, 30_000, 100_000, 300_000, 494_021)
COLUMNS = (10, 25, 50, 100, 200)
MADE_ROWS = 10_000
DRAWN_ROWS = 1_000_000
WORKERS = (1, 2)
FACTORS = 6


@dataclass(frozen=True)
class Point:
    """A size and what it cost."""

    size: int
    figures: dict[str, Any]

    def __getitem__(self, key: str) -> float:
        return float(self.figures.get(key, float("nan")))


def real_rows(data: Path, rows: int) -> pd.DataFrame:
    """Return some rows of kdd99, without the classes that have a single one of them."""
    table = TABLES["kdd99"]
    whole = load_table(table, data)
    chosen = whole.iloc[np.random.default_rng(0).permutation(len(whole))[:rows]]
    counts = chosen[table.target].value_counts()
    return chosen[chosen[table.target].isin(counts.index[counts >= CLASS_ROWS])].reset_index(drop=True)


def made_columns(columns: int) -> pd.DataFrame:
    """Make a table whose columns hang together through a few hidden factors.

    By turns a decimal number, a whole number, a category of eight and a number with gaps; the target comes last.
    """
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(MADE_ROWS, FACTORS))
    table = {}
    for place in range(columns - 1):
        signal = factors @ rng.normal(size=FACTORS) + rng.normal(size=MADE_ROWS)
        table[f"c{place}"] = _made(place % 4, signal, rng)
    table["target"] = pd.Series(np.where(factors[:, 0] > 0, "yes", "no"))
    return pd.DataFrame(table)


def _made(kind: int, signal: Any, rng: np.random.Generator) -> pd.Series:
    if kind == 0:
        return pd.Series(signal.round(4))
    if kind == 1:
        return pd.Series(np.exp(signal).astype(int))
    if kind == 2:
        levels = np.digitize(signal, np.quantile(signal, np.linspace(0, 1, 9)[1:-1]))
        return pd.Series(levels).map("abcdefgh".__getitem__)
    return pd.Series(signal.round(2)).mask(rng.random(len(signal)) < 0.2)


def measured(table: pd.DataFrame, target: str, budget: float, folder: Path, size: int) -> Point:
    """Fit and draw in a process of its own."""
    train, stem = folder / "train.parquet", folder / f"synthvae-{size}"
    table.to_parquet(train, index=False)
    code = python("worker.py", "synthvae", str(train), str(stem), "--target", target, "--budget", str(budget))
    figures = stem.with_suffix(".json")
    point = Point(size, load(figures) if figures.exists() else {"status": f"failed: exit status {code}"})
    say(f"{len(table):,} rows, {table.shape[1]} columns: {point.figures['status']}, {point['fit_cpu_s']:.1f} CPU-s")
    return point


def threads(table: pd.DataFrame, target: str, folder: Path, rows: int) -> list[Point]:
    """Return the rows per second of wall time that `generate` writes with some numbers of workers."""
    import_module("torch").set_num_threads(1)
    model = import_module("synthvae").Synthesizer(target=target, device="cpu", random_state=0).fit(table)
    points = []
    for workers in WORKERS:
        start = time.perf_counter()
        model.generate(folder / f"drawn-{workers}", rows=rows, workers=workers)
        points.append(Point(workers, {"rows_per_s": rows / (time.perf_counter() - start)}))
        say(f"{workers} workers: {points[-1]['rows_per_s']:,.0f} rows/s")
    return points


def draw(series: dict[str, list[Point]], path: Path) -> None:
    """Draw fitting and sampling against rows and columns, on logarithmic axes; dotted: in proportion to the size."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    measures = {"fit_cpu_s": "CPU-seconds of fitting", "rows_per_cpu_s": "rows drawn per CPU-second"}
    figure, axes = plt.subplots(len(series), 2, figsize=(9, 3.4 * len(series)), squeeze=False, layout="constrained")
    for panels, (name, points) in zip(axes, series.items(), strict=True):
        for panel, (key, label), power in zip(panels, measures.items(), (1, -1), strict=True):
            done = [point for point in points if key in point.figures]
            if not done:
                panel.set_axis_off()
                continue
            sizes, costs = [point.size for point in done], [point[key] for point in done]
            panel.plot(sizes, costs, "o-", color="#d55e00")
            panel.plot(sizes, [costs[0] * (size / sizes[0]) ** power for size in sizes], ":", color="#888888")
            panel.set(xscale="log", yscale="log", xlabel=name, ylabel=label)
            panel.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8, rotation=30)
            panel.minorticks_off()
            panel.grid(linewidth=0.4, alpha=0.6)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def line(point: Point) -> list[str]:
    """Return the cells of one size."""
    costs = [f"{point['fit_cpu_s']:.1f}", f"{point['rows_per_cpu_s']:,.0f}", f"{point['peak_mib']:,.0f}"]
    return [f"{point.size:,}", *costs, str(point.figures["status"])]


def markdown(series: dict[str, list[Point]], workers: list[Point], picture: Path) -> str:
    """Return the report."""
    parts = ["# Scaling", f"![scaling]({picture.name})"]
    for name, points in series.items():
        heads = [name, "fit CPU-s", "rows/CPU-s", "peak MiB", "status"]
        lines = [line(point) for point in points]
        parts += [f"## {name}", grid(heads, lines).replace(" nan ", " - ")]
    if workers:
        lines = [[str(point.size), f"{point['rows_per_s']:,.0f}"] for point in workers]
        parts += ["## workers", grid(["workers", "rows written per second of wall time"], lines)]
    return "\n\n".join(parts) + "\n"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="How the cost of synthvae grows.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--columns", type=int, nargs="*", default=list(COLUMNS))
    parser.add_argument("--budget", type=float, default=3600.0, help="CPU-seconds of a fit")
    parser.add_argument("--threads", action="store_true", help="measure one and two workers too")
    parser.add_argument("--drawn", type=int, default=DRAWN_ROWS, help="rows that the workers draw")
    parser.add_argument("-o", "--out", type=Path, default=Path("scaling.md"))
    return parser.parse_args()


def main() -> None:
    """Measure, draw and write."""
    options = parse()
    target, budget = TABLES["kdd99"].target, options.budget
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = [measured(real_rows(options.data, size), target, budget, folder, size) for size in options.rows]
        columns = [measured(made_columns(size), "target", budget, folder, size) for size in options.columns]
        workers = threads(made_columns(25), "target", folder, options.drawn) if options.threads else []
    series = {name: points for name, points in {"rows": rows, "columns": columns}.items() if points}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture = options.out.with_suffix(".png")
    if series:
        draw(series, picture)
    options.out.write_text(markdown(series, workers, picture))
    say(f"wrote {options.out}")


if __name__ == "__main__":
    main()
