"""Charts of fidelity beyond single columns: associations between columns, and principal components."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from synthvae.evaluation.report.traces import (
    Chart,
    Floats,
    Trace,
    axis,
    dots,
    formatted,
    in_sentence,
    label,
    numbers,
    parts_of,
    records,
    shown,
    thinned,
)

PLANE = "PCA: principal component analysis"
WHO = ("real", "synthetic")
MOST_PAIRS = 15
MOST_RANKED = 10  # pairs beside the map of differences
MOST_COLUMNS = 60  # of a heat map
MOST_SHARE = 0.03  # difference of shares of rows at which the colours of a joint distribution end
SMALL = {"size": 9}  # pixels of the values at the axes of a joint distribution
LEVEL = 16  # characters of a value at an axis of a joint distribution
FAR = 0.5  # difference of associations at which the colours of a heat map end
MOST_LABELLED = 40  # columns of a heat map with legible names


def associations(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield heat maps of training and synthetic associations and of their difference, where it is largest.

    The colours of the difference have the same scale in every report, so that small differences are pale.
    """
    size = (frame["synthetic"] - frame["real"]).abs().fillna(0.0)
    worst = frame.assign(size=size).melt(["size"], ["first", "second"]).groupby("value", sort=False)["size"].max()
    names = [str(name) for name in worst.index[worst.rank(method="first", ascending=False) <= MOST_COLUMNS]]
    real, synthetic = (_square(frame, names, who) for who in WHO)
    low = -1.0 if min(np.nanmin(real), np.nanmin(synthetic)) < 0 else 0.0
    yield _heat("Training rows", names, real, low, 1.0)
    yield _heat("Synthetic rows", names, synthetic, low, 1.0)
    less = _heat("Difference: synthetic minus training rows", names, synthetic - real, -FAR, FAR)
    yield replace(less, head=(*less.head[:2], "difference"), ranked=min(MOST_RANKED, len(less.rows)))


def _square(frame: pd.DataFrame, names: list[str], who: str) -> Floats:
    """Return pairs as a symmetric matrix, with ones on its diagonal."""
    first, second = (pd.Index(names).get_indexer(pd.Index(frame[end].astype(str))) for end in ("first", "second"))
    known = (first >= 0) & (second >= 0)
    values = frame[who].to_numpy(np.float64)[known]
    found = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(found, 1.0)
    found[first[known], second[known]] = values
    found[second[known], first[known]] = values
    return found


def _heat(title: str, names: list[str], matrix: Floats, low: float, high: float) -> Chart:
    upper = [(int(a), int(b)) for a, b in np.argwhere(np.triu(np.isfinite(matrix), 1))]
    furthest = sorted(upper, key=lambda pair: -abs(matrix[pair]))[:MOST_PAIRS]
    sentence = f"{title}: associations between {len(names)} columns"
    if furthest:
        mean, (a, b) = np.mean([abs(matrix[pair]) for pair in upper]), furthest[0]
        sentence += f"; mean absolute value {formatted(float(mean))}, largest for {in_sentence(names[a])} and "
        sentence += f"{in_sentence(names[b])}: {formatted(float(matrix[a, b]))}"
    rows = [[names[a], names[b], *numbers([matrix[a, b]])] for a, b in furthest]
    size = {"size": 11 if len(names) <= MOST_PAIRS else 9 if len(names) <= 2 * MOST_PAIRS else 8}
    legible = len(names) <= MOST_LABELLED
    ticks: dict[str, Any] = {"showticklabels": legible, "ticks": "outside" if legible else "", "tickfont": size}
    trace: Trace = {"type": "heatmap", "z": [numbers(row) for row in np.round(matrix, 3)], "coloraxis": "coloraxis"}
    trace["hovertemplate"] = "%{y}, %{x}: %{z}<extra></extra>"
    across, down = axis("", names, **ticks), axis("", names, **ticks, autorange="reversed")
    layout = {"xaxis": across, "yaxis": down, "coloraxis": {"cmin": low, "cmax": high}}
    return Chart(title, sentence + ".", [trace], layout, ("first column", "second column", "association"), rows, "map")


def joint(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield the difference of the joint distributions of each pair of columns, on the same scale in every report."""
    for (first, second), cells in frame.groupby(["first", "second"], sort=False, observed=True):
        yield _joint(str(first), str(second), cells)


def _joint(first: str, second: str, cells: pd.DataFrame) -> Chart:
    shares = [cells.pivot_table(index="first_level", columns="second_level", values=who, dropna=False) for who in WHO]
    real, synthetic = (table.to_numpy(np.float64) for table in shares)
    down, across = (cells.groupby(f"{end}_level")[f"{end}_label"].first().tolist() for end in ("first", "second"))
    hover = "%{y}, %{x}: %{customdata[0]:.2%} of real, %{customdata[1]:.2%} of synthetic rows<extra></extra>"
    both = [[numbers(pair) for pair in zip(*rows, strict=True)] for rows in zip(real, synthetic, strict=True)]
    trace: Trace = {"type": "heatmap", "z": [numbers(row) for row in np.round(synthetic - real, 5)], "customdata": both}
    trace |= {"coloraxis": "coloraxis", "hovertemplate": hover}
    gap = float(np.nansum(np.abs(synthetic - real)) / 2)
    sentence = f"Joint distribution of {in_sentence(first)} and {in_sentence(second)}: total variation distance "
    layout = {
        "xaxis": axis(shown(second), across, LEVEL, tickfont=SMALL),
        "yaxis": axis(shown(first), down, LEVEL, tickfont=SMALL, autorange="reversed"),
        "coloraxis": {"cmin": -MOST_SHARE, "cmax": MOST_SHARE, "colorbar": {"tickformat": "+.0%"}},
    }
    largest = cells.assign(gap=(cells["synthetic"] - cells["real"]).abs()).nlargest(MOST_PAIRS, "gap")
    rows = records(largest[["first_label", "second_label", *WHO]])
    head = (first, second, "training rows", "synthetic rows")
    return Chart(f"{first} and {second}", f"{sentence}{formatted(gap)}.", [trace], layout, head, rows, "square")


def plane(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield a scatter plot of rows on two principal components."""
    parts = parts_of(frame, "rows")
    data = [dots(name, *thinned(rows)[["x", "y"]].to_numpy(np.float64).T) for name, rows in parts]
    means = [part[["x", "y"]].mean() for _, part in parts]
    middles = "; ".join(
        f"{label(name)} rows ({formatted(m['x'])}, {formatted(m['y'])})"
        for (name, _), m in zip(parts, means, strict=True)
    )
    spreads = [part[["x", "y"]].std() for _, part in parts]
    rows = [
        [label(name), len(part), *numbers(mean), *numbers(spread)]
        for (name, part), mean, spread in zip(parts, means, spreads, strict=True)
    ]
    sentence = f"Rows on the first two principal components of the training rows; means: {middles}."
    layout = {"xaxis": axis("first principal component"), "yaxis": axis("second principal component")}
    head = ("rows", "count", "mean 1", "mean 2", "standard deviation 1", "standard deviation 2")
    yield Chart(PLANE, sentence, data, layout, head, rows, "wide")
