"""Charts of single columns, and of links and times: histograms of numbers and dates, and bars of categories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd

from synthvae.evaluation.report.traces import (
    PERCENT,
    SHADE,
    Chart,
    Trace,
    axis,
    bar_layout,
    bars,
    dates,
    formatted,
    in_sentence,
    line,
    numbers,
    records,
)

WHO = ("real", "synthetic")
MOST_BARS = 8  # categories with a bar of their own
MISSING, OTHER = "missing", "other"  # labels of missing values, and of the less frequent categories


def every_column(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield a chart of each column, least similar first: shares of training and of synthetic rows."""
    parts = [(str(name), rows) for name, rows in frame.groupby("column", sort=False, observed=True)]
    for name, rows in sorted(parts, key=lambda part: -1.0 if pd.isna(_score(part[1])) else _score(part[1])):
        yield _column(name, rows)


def every_link(frame: pd.DataFrame) -> Iterator[Chart]:
    """Yield the charts of `drawn_links`, in their order."""
    for name, rows in frame.groupby("column", sort=False, observed=True):
        yield _column(str(name), rows)


def _column(name: str, lines: pd.DataFrame) -> Chart:
    return _histogram(name, lines) if lines["low"].notna().any() else _categories(name, lines)


def _score(bins: pd.DataFrame) -> float:
    return float(bins["score"].iloc[0])


def _whole(bins: pd.DataFrame) -> str:
    """What the shares are of: rows, or the rows of a parent table."""
    return str(bins["of"].iloc[0]) if "of" in bins else "rows"


def _histogram(name: str, lines: pd.DataFrame) -> Chart:
    """Draw steps over the bins; missing values and a frequent number, which would hide the bins, are stated as text."""
    lines = lines.assign(label=lines["label"].fillna(MISSING).astype(str))
    known = lines["low"].notna()
    bins, apart = lines[known], lines[~known]
    dated = bins["kind"].iloc[0] == "date"
    edges = [*bins["low"], bins["high"].iloc[-1]]
    ticks: list[Any] = dates(edges) if dated else numbers(edges)
    data = [line(who, ticks, [*bins[who], bins[who].iloc[-1]], "hv") for who in WHO]
    data[0] |= {"fill": "tozeroy", "fillcolor": SHADE}
    labels = [f"{a} to {b}" for a, b in pairwise(ticks)] + apart["label"].tolist()
    logarithmic = bool(bins["logarithmic"].iloc[0])
    across = axis(type="date" if dated else "linear")
    if logarithmic:
        across = axis("logarithmic scale", type="log", dtick=1)
    layout = {"xaxis": across, "yaxis": axis(f"share of {_whole(lines)}", rangemode="tozero", tickformat=PERCENT)}
    chart = _comparison_chart(name, labels, pd.concat([bins, apart]), data, layout)
    return replace(chart, remark=_remark(apart))


def _remark(apart: pd.DataFrame) -> str:
    """State the shares of values that a histogram leaves out."""
    parts = [
        f"{label}: {real:.1%} of real, {synthetic:.1%} of synthetic {_whole(apart)}"
        for label, real, synthetic in apart[["label", *WHO]].itertuples(index=False, name=None)
    ]
    return f"Not drawn: {'; '.join(parts)}." if parts else ""


def _categories(name: str, lines: pd.DataFrame) -> Chart:
    """Draw a bar of each of the most frequent categories, and one of all others."""
    lines = lines.assign(label=lines["label"].fillna(MISSING).astype(str))
    named = lines[~lines["label"].isin([MISSING, OTHER])]
    rest = lines[lines["label"].isin([OTHER])]
    few = named if len(named) + len(rest) <= MOST_BARS + 1 else named.head(MOST_BARS)
    others = pd.concat([named.iloc[len(few) :], rest])
    drawn = [few]
    if len(others):
        drawn.append(pd.DataFrame({"label": [OTHER], **{who: [others[who].sum()] for who in WHO}}))
    drawn.append(lines[lines["label"] == MISSING])
    shown = pd.concat(drawn, ignore_index=True)
    labels = shown["label"].tolist()
    data = [bars(who, labels, shown[who]) for who in WHO]
    layout = bar_layout(labels, f"share of {_whole(lines)}", tickformat=PERCENT)
    return _comparison_chart(name, lines["label"].tolist(), lines, data, layout)


def _comparison_chart(
    name: str, labels: list[str], bins: pd.DataFrame, data: list[Trace], layout: dict[str, Any]
) -> Chart:
    differences = (bins["real"] - bins["synthetic"]).abs().fillna(0.0)
    most, score = int(differences.to_numpy().argmax()), _score(bins)
    similar, whole = "unknown" if pd.isna(score) else f"{score:.1%}", _whole(bins)
    sentence = (
        f"{in_sentence(name)}: similarity {similar}, total variation distance {formatted(differences.sum() / 2)} "
        f"between training and synthetic {whole}; the largest difference is at {in_sentence(labels[most])}, with a "
        f"share of {formatted(bins['real'].iloc[most])} of the training {whole} and "
        f"{formatted(bins['synthetic'].iloc[most])} of the synthetic {whole}."
    )
    rows = [[label, *pair] for label, pair in zip(labels, records(bins[["real", "synthetic"]]), strict=True)]
    head = ("value", f"training {whole}", f"synthetic {whole}")
    layout = {**layout, "showlegend": False}
    return Chart(f"{name} · {similar}", sentence, data, layout, head, rows)
