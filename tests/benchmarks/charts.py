"""Charts of the benchmarks: fidelity against cost, one panel a table, one mark a generator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from generators import BEFORE
from report import OURS, Result

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4
PANEL = (3.4, 2.9)  # inches
PICTURES = "pictures"
LEAST = 0.01  # CPU-seconds; a logarithmic axis has no zero
Y_LABELS = {"trend": "trend, % (lower is better)", "c2st_test": "c2st_test, AUC (.5 is best)"}
# Names beside points would overlap, so marks and a legend tell the generators apart (colours of Okabe and Ito).
MARKS = {
    "synthvae": ("*", "#d55e00"),
    "fast": ("P", "#d55e00"),
    "thorough": ("h", "#d55e00"),
    BEFORE: ("*", "#777777"),
    "cart": ("s", "#0072b2"),
    "independent": ("X", "#777777"),
    "smote": ("^", "#009e73"),
    "tvae": ("o", "#cc79a7"),
    "ctgan": ("D", "#e69f00"),
    "mostlyai": ("v", "#56b4e9"),
}


def draw(results: list[Result], report: Path) -> list[Path]:
    """Draw a chart for each measure into the folder `pictures` beside the report; return their paths from there."""
    mpl.use("Agg")
    report.with_name(PICTURES).mkdir(exist_ok=True)
    paths = [Path(PICTURES, f"{report.stem}_{measure}.png") for measure in Y_LABELS]
    for path, measure in zip(paths, Y_LABELS, strict=True):
        chart(results, measure, report.parent / path)
    return paths


def chart(results: list[Result], measure: str, path: Path) -> Path:
    """Draw one measure of all tables."""
    from matplotlib import pyplot as plt

    across = min(ACROSS, len(results))
    down = math.ceil(len(results) / across)
    size = (max(PANEL[0] * across, 6.0), PANEL[1] * down + 0.7)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    for panel, result in zip(axes.flat, results, strict=False):
        fill(panel, result, measure)
    for panel in list(axes.flat)[len(results) :]:
        panel.set_visible(False)
    label(figure, list(axes.flat)[: len(results)], measure)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def fill(panel: Axes, result: Result, measure: str) -> None:
    """Draw the generators of one table and the line of the real test rows."""
    from matplotlib.ticker import NullFormatter

    for name in result.generators:
        row = result.medians(name)
        if measure in row and "fit_cpu_s" in row:
            mark, colour = MARKS[name]
            area = 150 if name == OURS else 50
            cost = max(row["fit_cpu_s"], LEAST)
            panel.scatter(cost, row[measure], marker=mark, c=colour, s=area, label=name, alpha=0.9, zorder=3)
    best = result.real["trend"] if measure == "trend" else 0.5
    panel.axhline(best, color="black", linestyle="--", linewidth=1, label="real test rows")
    panel.set_title(result.name, fontsize=10)
    panel.set_xscale("log")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(visible=True, which="major", linewidth=0.4, alpha=0.6)
    if measure == "trend":
        logarithmic(panel)


def logarithmic(panel: Axes) -> None:
    """Make the y axis logarithmic, with ticks that read as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def label(figure: Figure, panels: list[Axes], measure: str) -> None:
    """Name the axes once and put one legend above all panels."""
    figure.supxlabel(f"CPU-seconds of fitting (at least {LEAST:g}; logarithmic)", fontsize=10)
    figure.supylabel(Y_LABELS[measure], fontsize=10)
    handles: dict[str, Artist] = {}
    for panel in panels:
        artists, names = panel.get_legend_handles_labels()
        handles |= {str(name): artist for name, artist in zip(names, artists, strict=True)}
    order = [name for name in [*MARKS, "real test rows"] if name in handles]
    columns = min(len(order), 4 if len(panels) < 3 else 8)
    figure.legend([handles[name] for name in order], order, loc="outside upper center", ncols=columns, fontsize=9)
