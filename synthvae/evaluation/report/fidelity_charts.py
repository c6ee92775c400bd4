"""What the report draws of fidelity: every column real beside synthetic, how columns go together, rows on a plane."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from synthvae.evaluation.report.traces import (
    SHADE,
    Chart,
    Floats,
    Trace,
    axis,
    bars,
    dates,
    dots,
    line,
    numbers,
    parts_of,
    records,
    said,
    spoken,
    thinned,
)

WHO = ("real", "synthetic")
MISSING = {"text": "missing", "y": 1, "yref": "paper", "xanchor": "right", "showarrow": False}
MOST_PAIRS = 15
LABEL = 12  # characters of a category under a small plot
MOST_NAMED = 60  # columns along a heat map
MOST_READ = 40  # columns of a heat map whose names can be read


def every_column(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield a histogram or bars of each column: real and synthetic shares of rows."""
    for name, rows in frame.groupby("column", sort=False, observed=True):
        kind = rows["kind"].iloc[0]
        dated = kind == "date"
        yield _histogram(str(name), rows, dated=dated) if rows["low"].notna().any() else _shares(str(name), rows)


def _histogram(name: str, lines: pd.DataFrame, *, dated: bool) -> Chart:
    """Steps along the bins, and apart from them, to the right, one for missing values."""
    known = lines["low"].notna()
    bins, gaps = lines[known], lines[~known]
    last, width = bins["high"].iloc[-1], (bins["high"] - bins["low"]).median()
    beyond = [last + 2 * width, last + 4 * width] if len(gaps) else []
    along = [*bins["low"], last, *beyond]
    ticks: list[Any] = dates(along) if dated else numbers(along)
    data = [line(who, ticks, _steps(bins[who], gaps[who].sum() if len(gaps) else None), "hv") for who in WHO]
    data[0] |= {"fill": "tozeroy", "fillcolor": SHADE}
    labels = [f"{a} to {b}" for a, b in pairwise(ticks[: len(bins) + 1])] + ["missing"] * len(gaps)
    layout: dict[str, Any] = {"xaxis": axis(type="date" if dated else "linear")}
    if len(gaps):
        layout["annotations"] = [{**MISSING, "x": ticks[-2]}]
    layout["yaxis"] = axis(rangemode="tozero")
    return _beside(name, labels, pd.concat([bins, gaps]), data, layout)


def _steps(shares: pd.Series[float], missing: float | None) -> list[float]:
    """Heights at the edges; the last step needs its height twice."""
    return [*shares, shares.iloc[-1]] if missing is None else [*shares, 0.0, missing, missing]


def _shares(name: str, bins: pd.DataFrame) -> Chart:
    labels = ["missing" if pd.isna(label) else str(label) for label in bins["label"]]
    data = [bars(who, labels, bins[who]) for who in WHO]
    return _beside(name, labels, bins, data, {"xaxis": axis("", labels, LABEL), "yaxis": axis()})


def _beside(name: str, labels: list[str], bins: pd.DataFrame, data: list[Trace], layout: dict[str, Any]) -> Chart:
    gaps = (bins["real"] - bins["synthetic"]).abs().fillna(0.0)
    most = int(gaps.to_numpy().argmax())
    sentence = (
        f"{spoken(name)}: the shares of real and synthetic rows differ by {said(gaps.sum() / 2)} in all (half the sum "
        f"of the differences), most at {spoken(labels[most])}: real {said(bins['real'].iloc[most])}, synthetic "
        f"{said(bins['synthetic'].iloc[most])}."
    )
    rows = [[label, *pair] for label, pair in zip(labels, records(bins[["real", "synthetic"]]), strict=True)]
    return Chart(name, sentence, data, layout, ("value", "real", "synthetic"), rows)


def associations(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield heat maps of real and synthetic associations and of their difference, for the columns where it is most."""
    gaps = frame.assign(gap=(frame["synthetic"] - frame["real"]).abs().fillna(0.0)).melt(["gap"], ["first", "second"])
    worst = gaps.groupby("value", sort=False)["gap"].max()
    names = [str(name) for name in worst.index[worst.rank(method="first", ascending=False) <= MOST_NAMED]]
    real, made = (_square(frame, names, who) for who in WHO)
    low = -1.0 if min(np.nanmin(real), np.nanmin(made)) < 0 else 0.0
    yield _heat("Real", names, real, low, 1.0)
    yield _heat("Synthetic", names, made, low, 1.0)
    far = float(np.nanmax(np.abs(made - real))) or 1.0
    yield _heat("Synthetic less real", names, made - real, -far, far)


def _square(frame: pd.DataFrame, names: list[str], who: str) -> Floats:
    """Pairs as a symmetric matrix, with ones on its diagonal."""
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
    sentence = f"{title}: how {len(names)} columns go together"
    if furthest:
        mean, (a, b) = np.mean([abs(matrix[pair]) for pair in upper]), furthest[0]
        sentence += f"; {said(float(mean))} from 0 on average, furthest for {spoken(names[a])} and {spoken(names[b])}"
        sentence += f": {said(float(matrix[a, b]))}"
    rows = [[names[a], names[b], *numbers([matrix[a, b]])] for a, b in furthest]
    size = {"size": 10 if len(names) <= MOST_PAIRS else 7}
    ticks: dict[str, Any] = {"showticklabels": len(names) <= MOST_READ, "tickfont": size}
    trace: Trace = {"type": "heatmap", "z": [numbers(row) for row in np.round(matrix, 3)], "coloraxis": "coloraxis"}
    trace["hovertemplate"] = "%{y}, %{x}: %{z}<extra></extra>"
    across, down = axis("", names, **ticks), axis("", names, **ticks, autorange="reversed")
    layout = {"xaxis": across, "yaxis": down, "coloraxis": {"cmin": low, "cmax": high}}
    return Chart(title, sentence + ".", [trace], layout, ("first", "second", "strongest pairs"), rows, "square")


def plane(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield a scatter plot of rows."""
    parts = parts_of(frame, "rows")
    data = [dots(name, *thinned(rows)[["x", "y"]].to_numpy(np.float64).T) for name, rows in parts]
    means = [part[["x", "y"]].mean() for _, part in parts]
    middles = "; ".join(f"{name} at {said(m['x'])}, {said(m['y'])}" for (name, _), m in zip(parts, means, strict=True))
    spreads = [part[["x", "y"]].std() for _, part in parts]
    rows = [
        [name, len(part), *numbers(mean), *numbers(spread)]
        for (name, part), mean, spread in zip(parts, means, spreads, strict=True)
    ]
    sentence = f"Rows on the plane of most variance of the real ones; their middles lie: {middles}."
    layout = {"xaxis": axis("first direction"), "yaxis": axis("second direction")}
    head = ("rows", "how many", "mean of the first", "mean of the second", "spread of the first", "of the second")
    yield Chart("Rows on a plane", sentence, data, layout, head, rows, "wide")
