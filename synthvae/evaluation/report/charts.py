"""Charts of every section."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthvae.evaluation.metrics import METRICS
from synthvae.evaluation.report.column_charts import every_column, every_link
from synthvae.evaluation.report.fidelity_charts import PLANE, associations, joint, plane
from synthvae.evaluation.report.traces import (
    HOVER,
    OTHER,
    PERCENT,
    Chart,
    Trace,
    axis,
    bar_layout,
    bars,
    diagonal,
    dots,
    formatted,
    in_sentence,
    label,
    line,
    numbers,
    parts_of,
    records,
    shown,
    style,
    thinned,
)
from synthvae.evaluation.results import Section

BINS = 40  # of distances
MOST_BARS = 15
MOST_CURVES = 12
MOST_GUESSES = 30
ATTACK = 34  # characters of the label of an attack
CURVE_POINTS = 200


@dataclass(frozen=True)
class Gallery:
    """Charts under one heading."""

    title: str
    lead: str
    charts: tuple[Chart, ...]

    @property
    def is_narrow(self) -> bool:
        """Whether another gallery fits beside this one."""
        return len(self.charts) == 1 and self.charts[0].form == "square"

    @property
    def has_key(self) -> bool:
        """Whether the charts share a legend."""
        return all(chart.layout.get("showlegend") is False for chart in self.charts)


def galleries(section: Section) -> list[Gallery]:
    """Return the charts of a section, for those of its details that have rows."""
    found = (
        Gallery(title, lead, tuple(draw(section.details[name])))
        for name, (title, lead, draw) in CHARTS.items()
        if name in section.details and len(section.details[name])
    )
    return [gallery for gallery in found if gallery.charts]


def _importances(frame: pd.DataFrame) -> Iterator[Chart]:
    best = frame.assign(most=frame[["real", "synthetic"]].max(axis=1)).nlargest(MOST_BARS, "most")
    labels = best["column"].astype(str).tolist()
    data = [bars(who, labels, best[who]) for who in ("real", "synthetic")]
    firsts = [best.iloc[int(best[who].fillna(0.0).to_numpy().argmax())] for who in ("real", "synthetic")]
    real, synthetic = (
        f"{in_sentence(first['column'])} ({formatted(first[who])})"
        for first, who in zip(firsts, ("real", "synthetic"), strict=True)
    )
    sentence = f"Most important column: {real} when trained on real rows, {synthetic} when trained on synthetic rows."
    layout = bar_layout(labels, "permutation importance")
    rows = records(best[["column", "real", "synthetic"]])
    head = ("column", "trained on real rows", "trained on synthetic rows")
    yield Chart("Feature importance", sentence, data, layout, head, rows, "wide")


def _roc(frame: pd.DataFrame) -> Iterator[Chart]:
    for name, rows in list(frame.groupby("label", sort=False, observed=True))[:MOST_CURVES]:
        title = f"{str(name)[:1].upper()}{str(name)[1:]}"
        x, y = "false_positive_rate", "true_positive_rate"
        chart = _curves(title, rows, "trained_on", x, y)
        areas = ", ".join(
            f"{_area(part[x], part[y])} when trained on {_training_rows(who)}"
            for who, part in parts_of(rows, "trained_on")
        )
        sentence = f"ROC curves of {in_sentence(name)}; areas under the curves: {areas}."
        yield Chart(title, sentence, [*chart.data, diagonal()], chart.layout, chart.head, chart.rows, "square")


def _area(x: pd.Series[float], y: pd.Series[float]) -> str:
    return formatted(float(np.trapezoid(y, x)))


def _calibration(frame: pd.DataFrame) -> Iterator[Chart]:
    chart = _curves("Calibration", frame, "trained_on", "predicted", "observed")
    differences = (
        (frame["predicted"] - frame["observed"]).abs().groupby(frame["trained_on"].astype(str), sort=False).max()
    )
    texts = [f"{formatted(most)} when trained on {_training_rows(who)}" for who, most in differences.items()]
    sentence = f"Largest difference between predicted probabilities and observed frequencies: {', '.join(texts)}."
    for trace in chart.data:
        trace["mode"] = "lines+markers"
    yield Chart(chart.title, sentence, [*chart.data, diagonal()], chart.layout, chart.head, chart.rows, "square")


def _training_rows(kind: object) -> str:
    """Return what a model was trained on: "real", "synthetic" or "independent" rows."""
    return "shuffled columns" if kind == "independent" else f"{kind} rows"


def _curves(title: str, frame: pd.DataFrame, by: str, x: str, y: str, *, shape: str = "linear") -> Chart:
    parts = [(name, thinned(rows, CURVE_POINTS)) for name, rows in parts_of(frame, by)]
    data = [line(name, numbers(rows[x]), rows[y], shape) for name, rows in parts]
    table = pd.concat([thinned(rows, MOST_GUESSES) for _, rows in parts])[[by, x, y]]
    head = tuple(str(name).replace("_", " ") for name in table)
    return Chart(title, "", data, {"xaxis": axis(head[1]), "yaxis": axis(head[2])}, head, records(table))


def _predictions(frame: pd.DataFrame) -> Iterator[Chart]:
    ends = frame["actual"].min(), frame["actual"].max()
    for who, rows in parts_of(frame, "trained_on"):
        few = thinned(rows)
        error = float((rows["predicted"] - rows["actual"]).abs().mean())
        sentence = f"Mean absolute error when trained on {_training_rows(who)}: {formatted(error)}."
        layout = {"xaxis": axis("actual value"), "yaxis": axis("predicted value")}
        table = records(thinned(rows, MOST_GUESSES)[["actual", "predicted"]])
        data = [dots(who, few["actual"], few["predicted"]), diagonal(*ends)]
        yield Chart(
            f"Trained on {_training_rows(who)}", sentence, data, layout, ("actual", "predicted"), table, "square"
        )


def _survival(frame: pd.DataFrame) -> Iterator[Chart]:
    chart = _curves("Survival", frame, "rows", "time", "survival", shape="hv")
    last = "; ".join(
        f"{label(name)} rows {formatted(rows['survival'].iloc[-1])} at time {formatted(rows['time'].iloc[-1])}"
        for name, rows in parts_of(frame, "rows")
    )
    sentence = f"Kaplan-Meier curves; share without the event at the end of the observation: {last}."
    layout = {**chart.layout, "yaxis": axis("share without event", range=[0, 1.02])}
    yield Chart("Survival", sentence, chart.data, layout, chart.head, chart.rows, "wide")


def _incidence(frame: pd.DataFrame) -> Iterator[Chart]:
    for cause, rows in frame.groupby("cause", sort=False, observed=True):
        title = f"Cause: {in_sentence(cause)}"
        chart = _curves(title, rows, "rows", "time", "incidence", shape="hv")
        last = "; ".join(
            f"{label(name)} rows {formatted(part['incidence'].iloc[-1])}" for name, part in parts_of(rows, "rows")
        )
        sentence = f"Cumulative incidence of {in_sentence(cause)}; share at the end of the observation: {last}."
        share = axis("share with the event", rangemode="tozero")
        yield Chart(title, sentence, chart.data, {**chart.layout, "yaxis": share}, chart.head, chart.rows, "square")


def _distances(frame: pd.DataFrame) -> Iterator[Chart]:
    known = frame[np.isfinite(frame["distance"])]
    if known.empty:
        return
    edges = np.histogram_bin_edges(known["distance"], BINS)
    parts = [(name, rows["distance"]) for name, rows in parts_of(known, "rows")]
    shares = [np.histogram(values, edges)[0] / len(values) for _, values in parts]
    data = [line(name, numbers(edges), [*s, s[-1]], "hv") for (name, _), s in zip(parts, shares, strict=True)]
    medians = ", ".join(f"{label(name)} rows {formatted(values.median())}" for name, values in parts)
    sentence = f"Distance to the closest training row; medians: {medians}."
    share = axis("share of rows", rangemode="tozero", tickformat=PERCENT)
    layout = {"xaxis": axis("distance to the closest training row"), "yaxis": share}
    rows = [[*numbers(edges[k : k + 2]), *numbers([s[k] for s in shares])] for k in range(BINS)]
    head = ("from", "to", *(f"{label(name)} rows" for name, _ in parts))
    yield Chart("Distance to the closest training row", sentence, data, layout, head, rows, "wide")


def _attacks(frame: pd.DataFrame) -> Iterator[Chart]:
    most = frame.nlargest(MOST_GUESSES, "risk")
    labels = [
        _attack_label(name, column) for name, column in most[["attack", "column"]].itertuples(index=False, name=None)
    ]
    risk, low, high = (most[name].to_numpy(np.float64) for name in ("risk", "low", "high"))
    marker = {"color": style("synthetic")["color"], "size": 9, "symbol": "diamond"}
    away = {"type": "data", "symmetric": False, "array": numbers(high - risk), "arrayminus": numbers(risk - low)}
    trace: Trace = {"type": "scatter", "mode": "markers", "marker": marker, "x": numbers(risk), "showlegend": False}
    trace |= {"y": list(range(len(labels))), "error_x": {**away, "color": marker["color"]}}
    trace |= {"hovertext": [shown(k, HOVER) for k in labels], "hovertemplate": "%{hovertext}: %{x}<extra></extra>"}
    no_risk = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": OTHER, "dash": "dot"},
    }
    down = axis("", labels, ATTACK, autorange="reversed", range=[len(labels) - 0.5, -0.5])
    layout = {"xaxis": axis("risk"), "yaxis": down, "shapes": [no_risk], "height": 110 + 30 * len(labels)}
    sentence = (
        f"Largest risk: {in_sentence(labels[0])}, {formatted(risk[0])} (95% interval {formatted(low[0])} to "
        f"{formatted(high[0])}). A risk of 0 means that training rows are attacked no better than holdout rows."
    )
    rows = [[label, *numbers(row)] for label, row in zip(labels, np.column_stack([risk, low, high]), strict=True)]
    yield Chart("Risk of each attack", sentence, [trace], layout, ("attack", "risk", "low", "high"), rows, "wide")


def attack_title(name: object) -> str:
    """Return the title of an attack."""
    return METRICS[str(name)].title if str(name) in METRICS else str(name)


def _attack_label(name: object, column: Any) -> str:
    if pd.isna(column) or column == "":
        return attack_title(name)
    return f"{str(name).capitalize()}: {column}"


def _groups(frame: pd.DataFrame) -> Iterator[Chart]:
    largest = frame.nlargest(MOST_BARS, "rows_real")
    labels = largest["group"].astype(str).tolist()
    shape = bars("synthetic", labels, largest["shape"])
    yield _grouped("Fidelity by group", "column shapes", [shape], labels)
    models = [bars("real", labels, largest["trtr"]), bars("synthetic", labels, largest["tstr"])]
    if largest[["trtr", "tstr"]].notna().any(axis=None):
        yield _grouped("Utility by group", "score", models, labels)


def _grouped(title: str, what: str, data: list[Trace], labels: list[str]) -> Chart:
    heights = pd.Series(data[-1]["x"], labels, dtype=np.float64)
    sentence = f"{title}: with synthetic rows"
    if heights.notna().any():
        least, most = float(heights.min()), float(heights.max())
        sentence += f" lowest for {in_sentence(heights.idxmin())} ({formatted(least)}), highest for "
        sentence += f"{in_sentence(heights.idxmax())} ({formatted(most)})"
    rows = [list(row) for row in zip(labels, *(trace["x"] for trace in data), strict=True)]
    head = ("group", *(str(trace["name"]) for trace in data))
    return Chart(title, sentence + ".", data, bar_layout(labels, what), head, rows, "square")


CHARTS: dict[str, tuple[str, str, Callable[[pd.DataFrame], Iterator[Chart]]]] = {
    "drawn_columns": (
        "Distribution of every column",
        "Least similar first. Similarity: 1 - Kolmogorov-Smirnov statistic; categories: 1 - total variation distance.",
        every_column,
    ),
    "drawn_links": (
        "Links and times",
        "How many rows a parent has; the time between its rows, since its first row, and since dates of its ancestors.",
        every_link,
    ),
    "drawn_associations": (
        "Associations between columns",
        "Pearson correlation, Cramér's V of categories, or correlation ratio. Point at a cell to see its columns.",
        associations,
    ),
    "drawn_joint": (
        "Pairs of columns that are least similar",
        "Share of synthetic rows minus share of training rows with both values.",
        joint,
    ),
    "drawn_plane": (
        PLANE,
        "Each dot is a row, on the two directions in which the training rows vary most. The clouds should overlap.",
        plane,
    ),
    "importances": (
        "Feature importance",
        "How much the score drops when the values of a column are shuffled.",
        _importances,
    ),
    "drawn_roc": (
        "ROC curves",
        "Predictions for real test rows, by the rows that gradient boosting was trained on.",
        _roc,
    ),
    "drawn_calibration": (
        "Calibration",
        "On the dotted diagonal, predicted probabilities equal observed frequencies.",
        _calibration,
    ),
    "drawn_predictions": ("Predictions", "On the dotted diagonal, predictions are exact.", _predictions),
    "drawn_survival": ("Survival curves", "Share of people without the event, by time.", _survival),
    "drawn_incidence": (
        "Cumulative incidence",
        "Share of people whom each of the competing events has struck, by time.",
        _incidence,
    ),
    "drawn_distances": (
        "Distance to the closest training row",
        "Synthetic rows that are closer to a training row than most other real rows may be memorised.",
        _distances,
    ),
    "attacks": ("Risk of each attack", "The diamond is the risk, the line its 95% confidence interval.", _attacks),
    "groups": ("Groups of people", "Fidelity and utility of the synthetic rows for each group.", _groups),
}
