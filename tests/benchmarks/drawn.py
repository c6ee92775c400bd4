"""The pictures of docs/tutorials/cluster.md, drawn from what the other benchmarks kept as JSON.

    python drawn.py --pictures DIR [--fits out_of_core.json] [--rates generation.json] [--run workers.json]

Learning: the peak of memory, and CPU-seconds of each stage, against rows. Writing: rows a CPU-second, and the memory of
each process over a long run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 90
SIZE = (9, 3.4)
BLUE, RED, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"  # of Okabe and Ito
STAGES = {"survey": (BLUE, "s"), "encode": (RED, "o"), "train": (GREEN, "^")}
LEARNING_GIB, WRITING_GIB = 1.5, 1.0  # bars: of a fit of 50 million rows, and of a worker

Page = dict[str, Any]


def learning(fits: list[Page]) -> Figure:
    """Draw memory and CPU-seconds of fits against their rows."""
    figure = Figure(figsize=SIZE, layout="constrained")
    memory, cost = figure.subplots(1, 2)
    rows = [fit["rows"] for fit in fits]
    memory.plot(rows, [fit["GiB"] for fit in fits], "o-", color=BLUE)
    bar(memory, LEARNING_GIB)
    memory.set(title="peak of memory, GiB", ylim=(0, 1.15 * LEARNING_GIB))
    for stage, (colour, mark) in STAGES.items():
        seconds = [fit[stage] for fit in fits]
        cost.plot(rows, seconds, f"{mark}-", color=colour, label=stage)
        if stage != "train":  # of which the number of steps is fixed
            cost.plot(rows, [seconds[-1] * size / rows[-1] for size in rows], ":", color=GREY)
    cost.plot([], [], ":", color=GREY, label="in proportion to rows")
    cost.set(title="CPU-seconds of each stage", yscale="log")
    cost.yaxis.set_major_formatter("{x:g}")
    cost.legend(frameon=False, fontsize=8)
    for axes in (memory, cost):
        axes.set(xscale="log", xlabel="rows of 20 columns")
        axes.set_xticks(rows, [f"{size / 1e6:g} M" for size in rows])
        axes.minorticks_off()
        axes.grid(linewidth=0.4, alpha=0.6)
    return figure


def writing(rates: Page | None, run: Page | None) -> Figure:
    """Draw rates of generating, and memory over a long run, as far as they were measured."""
    figure = Figure(figsize=SIZE, layout="constrained")
    panels = list(figure.subplots(1, (rates is not None) + (run is not None), squeeze=False).flat)
    if run is not None:
        draw_run(panels.pop(), run)
    if rates is not None:
        draw_rates(panels.pop(), rates)
    return figure


def draw_rates(axes: Axes, rates: Page) -> None:
    """Rows a CPU-second, of sampling, of whole runs, and of pyarrow."""
    names = [name for name in rates if name != "rows"][::-1]
    values = [rates["rows"] / rates[name]["cpu"] for name in names]
    axes.barh(names, values, color=[GREY if name == "pyarrow alone" else BLUE for name in names])
    for place, value in enumerate(values):
        axes.annotate(f" {value:,.0f}", (value, place), va="center", fontsize=9)
    axes.set(title="rows per CPU-second", xlim=(0, 1.35 * max(values)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M")


def draw_run(axes: Axes, run: Page) -> None:
    """Memory of each process over the parts that were finished."""
    looks = run["series"]
    share = run["rows"] / max(*(look["parts"] for look in looks), 1)
    rows = [look["parts"] * share for look in looks]
    for place, pid in enumerate(workers(run)):
        label = f"worker {place}" if place else "the run itself"  # which begins first
        axes.plot(rows, [look["GiB"].get(pid) for look in looks], linewidth=1.2, label=label)
    bar(axes, WRITING_GIB)
    axes.legend(frameon=False, fontsize=8, loc="lower center")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M")
    axes.set(title="memory of each process, GiB", xlabel="rows written", ylim=(0, 1.15 * WRITING_GIB))
    axes.grid(linewidth=0.4, alpha=0.6)


def workers(run: Page) -> list[str]:
    """The processes that hold a model."""
    seen = {pid for look in run["series"] for pid in look["GiB"]}
    return sorted(pid for pid in seen if max(look["GiB"].get(pid, 0) for look in run["series"]) > WRITING_GIB / 4)


def bar(axes: Axes, height: float) -> None:
    """Draw what must not be exceeded."""
    axes.axhline(height, color=GREY, linestyle="--", linewidth=1)
    across = axes.get_yaxis_transform()
    axes.text(0.02, height, f"bar: {height:g} GiB", transform=across, color=GREY, va="bottom", fontsize=8)


def main() -> None:
    """Draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    for name in ("fits", "rates", "run"):
        parser.add_argument(f"--{name}", type=lambda file: json.loads(Path(file).read_text(encoding="utf-8")))
    asked = parser.parse_args()
    if asked.fits:
        learning(asked.fits).savefig(asked.pictures / "learning_out_of_core.png", dpi=DPI)
    if asked.rates or asked.run:
        writing(asked.rates, asked.run).savefig(asked.pictures / "writing_at_any_size.png", dpi=DPI)


if __name__ == "__main__":
    main()
