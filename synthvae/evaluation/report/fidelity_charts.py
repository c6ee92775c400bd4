"""Charts of fidelity: distributions of columns, associations between columns, principal components."""

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
    formatted,
    in_sentence,
    label,
    line,
    numbers,
    parts_of,
    records,
    thinned,
)

WHO = ("real", "synthetic")
MISSING = {"text": "missing", "y": 1, "yref": "paper", "xanchor": "right", "showarrow": False}
MOST_PAIRS = 15
LABEL = 12  # characters of a category in a small chart
MOST_COLUMNS = 60  # of a heat map
FAR = 0.5  # difference of associations at which the colours of a heat map end
MOST_LABELLED = 20  # columns of a heat map with legible names


def every_column(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield a histogram or bar chart of each column, least similar first: shares of training and of synthetic rows."""
    parts = [(name, rows) for name, rows in frame.groupby("column", sort=False, observed=True)]
    for name, rows in sorted(parts, key=lambda part: -_distance(part[1])):
        kind = rows["kind"].iloc[0]
        dated = kind == "date"
        yield _histogram(str(name), rows, dated=dated) if rows["low"].notna().any() else _shares(str(name), rows)


def _distance(bins: pd.DataFrame) -> float:
    """Total variation distance of the shares of training and of synthetic rows."""
    return float((bins["real"] - bins["synthetic"]).abs().fillna(0.0).sum() / 2)


def _histogram(name: str, lines: pd.DataFrame, *, dated: bool) -> Chart:
    """Draw steps over the bins and, separate from them on the right, a step for missing values."""
    known = lines["low"].notna()
    bins, missing = lines[known], lines[~known]
    last, width = bins["high"].iloc[-1], (bins["high"] - bins["low"]).median()
    beyond = [last + 2 * width, last + 4 * width] if len(missing) else []
    along = [*bins["low"], last, *beyond]
    ticks: list[Any] = dates(along) if dated else numbers(along)
    data = [line(who, ticks, _steps(bins[who], missing[who].sum() if len(missing) else None), "hv") for who in WHO]
    data[0] |= {"fill": "tozeroy", "fillcolor": SHADE}
    labels = [f"{a} to {b}" for a, b in pairwise(ticks[: len(bins) + 1])] + ["missing"] * len(missing)
    layout: dict[str, Any] = {"xaxis": axis(type="date" if dated else "linear")}
    if len(missing):
        layout["annotations"] = [{**MISSING, "x": ticks[-2]}]
    layout["yaxis"] = axis("share of rows", rangemode="tozero")
    return _comparison_chart(name, labels, pd.concat([bins, missing]), data, layout)


def _steps(shares: pd.Series[float], missing: float | None) -> list[float]:
    """Return heights at the edges; the last step needs its height twice."""
    return [*shares, shares.iloc[-1]] if missing is None else [*shares, 0.0, missing, missing]


def _shares(name: str, bins: pd.DataFrame) -> Chart:
    labels = ["missing" if pd.isna(label) else str(label) for label in bins["label"]]
    data = [bars(who, labels, bins[who]) for who in WHO]
    return _comparison_chart(
        name, labels, bins, data, {"xaxis": axis("", labels, LABEL), "yaxis": axis("share of rows")}
    )


def _comparison_chart(
    name: str, labels: list[str], bins: pd.DataFrame, data: list[Trace], layout: dict[str, Any]
) -> Chart:
    differences = (bins["real"] - bins["synthetic"]).abs().fillna(0.0)
    most = int(differences.to_numpy().argmax())
    sentence = (
        f"{in_sentence(name)}: total variation distance {formatted(_distance(bins))} between training and "
        f"synthetic rows; the largest difference is at {in_sentence(labels[most])}, with a share of "
        f"{formatted(bins['real'].iloc[most])} of the training rows and {formatted(bins['synthetic'].iloc[most])} of "
        "the synthetic rows."
    )
    rows = [[label, *pair] for label, pair in zip(labels, records(bins[["real", "synthetic"]]), strict=True)]
    title = f"{name} · overlap {1 - _distance(bins):.1%}"
    return Chart(title, sentence, data, layout, ("value", "training rows", "synthetic rows"), rows)


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
    yield _heat("Difference: synthetic minus training rows", names, synthetic - real, -FAR, FAR)


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
    size = {"size": 10 if len(names) <= MOST_PAIRS else 7}
    legible = len(names) <= MOST_LABELLED
    ticks: dict[str, Any] = {"showticklabels": legible, "ticks": "outside" if legible else "", "tickfont": size}
    trace: Trace = {"type": "heatmap", "z": [numbers(row) for row in np.round(matrix, 3)], "coloraxis": "coloraxis"}
    trace["hovertemplate"] = "%{y}, %{x}: %{z}<extra></extra>"
    across, down = axis("", names, **ticks), axis("", names, **ticks, autorange="reversed")
    layout = {"xaxis": across, "yaxis": down, "coloraxis": {"cmin": low, "cmax": high}}
    return Chart(
        title, sentence + ".", [trace], layout, ("first column", "second column", "association"), rows, "square"
    )


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
    yield Chart("Principal components", sentence, data, layout, head, rows, "wide")
