"""What the report draws of each section: plots, and for each a sentence and a table that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthvae.evaluation.report.fidelity_charts import associations, every_column, plane
from synthvae.evaluation.report.traces import (
    HOVER,
    OTHER,
    Chart,
    Form,
    Trace,
    axis,
    bars,
    diagonal,
    dots,
    line,
    numbers,
    parts_of,
    records,
    said,
    shown,
    spoken,
    style,
    thinned,
)
from synthvae.evaluation.results import Section

BINS = 40  # of the distances
MOST_BARS = 15
FEW = 4  # bars that stand in a narrow plot
MOST_CURVES = 12
MOST_GUESSES = 30
CURVE = 200  # points of a curve


@dataclass(frozen=True)
class Gallery:
    """Plots under one heading."""

    title: str
    lead: str
    charts: tuple[Chart, ...]


def galleries(section: Section) -> list[Gallery]:
    """Return the plots of a section, for those of its details that are there and hold rows."""
    found = (
        Gallery(title, lead, tuple(draw(section.details[name])))
        for name, (title, lead, draw) in DRAWN.items()
        if name in section.details and len(section.details[name])
    )
    return [gallery for gallery in found if gallery.charts]


def _importances(frame: pd.DataFrame) -> Iterator[Chart]:
    best = frame.assign(most=frame[["real", "synthetic"]].max(axis=1)).nlargest(MOST_BARS, "most")
    labels = best["column"].astype(str).tolist()
    data = [bars(who, labels, best[who]) for who in ("real", "synthetic")]
    firsts = [best.iloc[int(best[who].fillna(0.0).to_numpy().argmax())] for who in ("real", "synthetic")]
    real, made = (
        f"{spoken(first['column'])} ({said(first[who])})"
        for first, who in zip(firsts, ("real", "synthetic"), strict=True)
    )
    sentence = f"A model leans most on {real} when it learned real rows, and on {made} when it learned synthetic ones."
    layout = {"xaxis": axis("", labels), "yaxis": axis("importance")}
    rows = records(best[["column", "real", "synthetic"]])
    yield Chart("What a model leans on", sentence, data, layout, ("column", "real", "synthetic"), rows, _form(labels))


def _roc(frame: pd.DataFrame) -> Iterator[Chart]:
    for label, rows in list(frame.groupby("label", sort=False, observed=True))[:MOST_CURVES]:
        title = f"Class {label}"
        x, y = "false_positive_rate", "true_positive_rate"
        chart = _curves(title, rows, "trained_on", x, y)
        areas = ", ".join(
            f"{_area(part[x], part[y])} when trained on {who} rows" for who, part in parts_of(rows, "trained_on")
        )
        sentence = f"Receiver operating characteristic of class {spoken(label)}: the area under it is {areas}."
        yield Chart(title, sentence, [*chart.data, diagonal()], chart.layout, chart.head, chart.rows, "square")


def _area(x: pd.Series[float], y: pd.Series[float]) -> str:
    return said(float(np.trapezoid(y, x)))


def _calibration(frame: pd.DataFrame) -> Iterator[Chart]:
    chart = _curves("Calibration", frame, "trained_on", "predicted", "observed")
    gaps = (frame["predicted"] - frame["observed"]).abs().groupby(frame["trained_on"].astype(str), sort=False).max()
    said_gaps = " and ".join(f"{said(gap)} when trained on {who} rows" for who, gap in gaps.items())
    sentence = f"Predicted chances beside observed shares: they differ by at most {said_gaps}."
    for trace in chart.data:
        trace["mode"] = "lines+markers"
    yield Chart(chart.title, sentence, [*chart.data, diagonal()], chart.layout, chart.head, chart.rows, "square")


def _curves(title: str, frame: pd.DataFrame, by: str, x: str, y: str, *, shape: str = "linear") -> Chart:
    parts = [(name, thinned(rows, CURVE)) for name, rows in parts_of(frame, by)]
    data = [line(name, numbers(rows[x]), rows[y], shape) for name, rows in parts]
    table = pd.concat([thinned(rows, MOST_GUESSES) for _, rows in parts])[[by, x, y]]
    head = tuple(str(name).replace("_", " ") for name in table)
    return Chart(title, "", data, {"xaxis": axis(head[1]), "yaxis": axis(head[2])}, head, records(table))


def _predictions(frame: pd.DataFrame) -> Iterator[Chart]:
    ends = frame["actual"].min(), frame["actual"].max()
    for who, rows in parts_of(frame, "trained_on"):
        few = thinned(rows)
        error = float((rows["predicted"] - rows["actual"]).abs().mean())
        sentence = f"Predictions of a model that learned {who} rows: {said(error)} from the actual value on average."
        layout = {"xaxis": axis("actual"), "yaxis": axis("predicted")}
        table = records(thinned(rows, MOST_GUESSES)[["actual", "predicted"]])
        data = [dots(who, few["actual"], few["predicted"]), diagonal(*ends)]
        yield Chart(f"Trained on {who} rows", sentence, data, layout, ("actual", "predicted"), table, "square")


def _survival(frame: pd.DataFrame) -> Iterator[Chart]:
    chart = _curves("Survival", frame, "rows", "time", "survival", shape="hv")
    last = "; ".join(
        f"{name} {said(rows['survival'].iloc[-1])} at {said(rows['time'].iloc[-1])}"
        for name, rows in parts_of(frame, "rows")
    )
    sentence = f"Kaplan-Meier curves: the share that is still without the event at the end is {last}."
    layout = {**chart.layout, "yaxis": axis("share without the event", range=[0, 1.02])}
    yield Chart("Survival", sentence, chart.data, layout, chart.head, chart.rows, "wide")


def _distances(frame: pd.DataFrame) -> Iterator[Chart]:
    known = frame[np.isfinite(frame["distance"])]
    if known.empty:
        return
    edges = np.histogram_bin_edges(known["distance"], BINS)
    parts = [(name, rows["distance"]) for name, rows in parts_of(known, "rows")]
    shares = [np.histogram(values, edges)[0] / len(values) for _, values in parts]
    data = [line(name, numbers(edges), [*s, s[-1]], "hv") for (name, _), s in zip(parts, shares, strict=True)]
    medians = ", ".join(f"{name} {said(values.median())}" for name, values in parts)
    sentence = f"Distances to the nearest row that the generator learned; their medians are: {medians}."
    layout = {"xaxis": axis("distance"), "yaxis": axis("share of rows", rangemode="tozero")}
    rows = [[*numbers(edges[k : k + 2]), *numbers([s[k] for s in shares])] for k in range(BINS)]
    head = ("from", "to", *(name for name, _ in parts))
    yield Chart("Distances to the nearest real row", sentence, data, layout, head, rows, "wide")


def _attacks(frame: pd.DataFrame) -> Iterator[Chart]:
    most = frame.nlargest(MOST_GUESSES, "risk")
    labels = [_attack(name, column) for name, column in most[["attack", "column"]].itertuples(index=False, name=None)]
    risk, low, high = (most[name].to_numpy(np.float64) for name in ("risk", "low", "high"))
    marker = {"color": style("synthetic")["color"], "size": 9, "symbol": "diamond"}
    away = {"type": "data", "symmetric": False, "array": numbers(high - risk), "arrayminus": numbers(risk - low)}
    trace: Trace = {"type": "scatter", "mode": "markers", "marker": marker, "x": numbers(risk), "showlegend": False}
    trace |= {"y": list(range(len(labels))), "error_x": {**away, "color": marker["color"]}}
    trace |= {"hovertext": [shown(k, HOVER) for k in labels], "hovertemplate": "%{hovertext}: %{x}<extra></extra>"}
    nothing = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": OTHER, "dash": "dot"},
    }
    down = axis("", labels, autorange="reversed", range=[len(labels) - 0.5, -0.5])
    layout = {"xaxis": axis("risk"), "yaxis": down, "shapes": [nothing], "height": 110 + 30 * len(labels)}
    sentence = (
        f"The attack that gains most is {spoken(labels[0])}: its risk is {said(risk[0])}, 95 % interval "
        f"{said(low[0])} to {said(high[0])}, where 0 is what guesses on unknown people gain."
    )
    rows = [[label, *numbers(row)] for label, row in zip(labels, np.column_stack([risk, low, high]), strict=True)]
    yield Chart("Risk of each attack", sentence, [trace], layout, ("attack", "risk", "low", "high"), rows, "wide")


def _attack(name: object, column: Any) -> str:
    return str(name) if pd.isna(column) or column == "" else f"{name}: {column}"


def _groups(frame: pd.DataFrame) -> Iterator[Chart]:
    largest = frame.nlargest(MOST_BARS, "rows_real")
    labels = largest["group"].astype(str).tolist()
    shape = bars("synthetic", labels, largest["shape"])
    yield _grouped("Fidelity of each group", "shape of the columns", [shape], labels)
    models = [bars("real", labels, largest["trtr"]), bars("synthetic", labels, largest["tstr"])]
    if largest[["trtr", "tstr"]].notna().any(axis=None):
        yield _grouped("Utility for each group, trained on real and on synthetic rows", "score", models, labels)


def _grouped(title: str, what: str, data: list[Trace], labels: list[str]) -> Chart:
    heights = pd.Series(data[-1]["y"], labels, dtype=np.float64)
    sentence = f"{title}: of synthetic rows"
    if heights.notna().any():
        least, most = float(heights.min()), float(heights.max())
        sentence += f" least for {spoken(heights.idxmin())} ({said(least)}), most for {spoken(heights.idxmax())}"
        sentence += f" ({said(most)})"
    layout = {"xaxis": axis("", labels), "yaxis": axis(what)}
    rows = [list(row) for row in zip(labels, *(trace["y"] for trace in data), strict=True)]
    head = ("group", *(str(trace["name"]) for trace in data))
    return Chart(title, sentence + ".", data, layout, head, rows, _form(labels))


def _form(labels: list[str]) -> Form:
    """Few bars need no wide plot."""
    return "wide" if len(labels) > FEW else "square"


DRAWN: dict[str, tuple[str, str, Callable[[pd.DataFrame], Iterator[Chart]]]] = {
    "drawn_columns": (
        "Every column, real beside synthetic",
        "The share of rows at each value. Where the two lie on each other, the column alone is like the real one.",
        every_column,
    ),
    "drawn_associations": (
        "How columns go together",
        "The association of each pair of columns; of many columns, those where it differs most.",
        associations,
    ),
    "drawn_plane": (
        "Rows on a plane",
        "Each dot is a row, seen from where the real rows vary most. Clouds that lie on each other are a good sign.",
        plane,
    ),
    "importances": ("What a model leans on", "The columns whose values matter most to a model.", _importances),
    "drawn_roc": (
        "Receiver operating characteristic",
        "Predictions for real rows that no model learned, by models that learned real or synthetic ones.",
        _roc,
    ),
    "drawn_calibration": ("Calibration", "On the dotted line, predicted chances come true.", _calibration),
    "drawn_predictions": ("Predictions", "On the dotted line, predictions are exact.", _predictions),
    "drawn_survival": ("Survival", "The share of people without the event, by time.", _survival),
    "drawn_distances": (
        "Distances to the nearest real row",
        "Synthetic rows that lie closer to the rows learned than fresh real rows do were learned by heart.",
        _distances,
    ),
    "attacks": ("Risk of each attack", "The diamond is the risk, the line its 95 % interval.", _attacks),
    "groups": ("Groups of people", "Whether the synthetic rows serve each group as well.", _groups),
}
