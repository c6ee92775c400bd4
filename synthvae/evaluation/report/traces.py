"""Building blocks of charts in plotly's JSON: lines, dots, bars, axes, and the chart that contains them.

They are plain dictionaries, since plotly's classes validate every attribute of every trace, which takes minutes for
hundreds of columns. Colours are those of the light theme; the script of the report replaces them in the dark theme.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

REAL = "#0072b2"
SYNTHETIC = "#d55e00"
OTHER = "#767676"
SHADE = "rgba(0,114,178,0.22)"  # area under the line of real rows
DIGITS = 5  # significant digits of plotted numbers
MOST_POINTS = 1500  # per colour in a scatter plot
NAME = 28  # characters of a name at an axis
IN_SENTENCE = 60  # characters of a name in a sentence
HOVER = 160  # characters of a name in a hover label
NEAR = 40  # days; timestamps within so many days are shown with their time of day
LINE, MOST_LINES = 22, 2  # characters of a line of a label at a bar, and its lines
ROW, TALL = 19, 26  # pixels of a bar with its label of one line, and of two
LEAST_BARS = 4  # for which a chart of bars has place
PERCENT = ".2~p"
HATCHED = {"shape": "/", "size": 4, "solidity": 0.25, "fillmode": "overlay"}
ROWS = {"fresh real": "real (reference)", "independent": "shuffled columns"}  # labels of kinds of rows

Form = Literal["small", "wide", "square", "map"]
Trace = dict[str, Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chart:
    """A chart, with a sentence and a table that give the same information as text.

    Args:
        title: Heading above the chart.
        sentence: Main content of the chart in one sentence, with numbers.
        data: Traces in plotly's JSON.
        layout: Layout in plotly's JSON.
        head: Column names of the table.
        rows: Rows of the table.
        form: Size in the report.
        remark: What the chart leaves out, as text above it.
        ranked: Number of rows of the table that are shown beside the chart.
    """

    title: str
    sentence: str
    data: list[Trace]
    layout: dict[str, Any]
    head: tuple[str, ...]
    rows: list[list[Any]]
    form: Form = "small"
    remark: str = ""
    ranked: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the data for the script of the report."""
        return {"data": self.data, "layout": self.layout, "head": self.head, "rows": self.rows}


def shortened(text: object, most: int) -> str:
    """Return a text of at most `most` characters."""
    whole = str(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def shown(text: object, most: int = NAME) -> str:
    """Escape a text for plotly, which interprets tags and entities."""
    return escape(shortened(text, most), quote=False)


def formatted(value: float) -> str:
    """Format a number for a sentence."""
    return f"{value:.3g}" if np.isfinite(value) else "unknown"


def numbers(values: Any) -> list[float | None]:
    """Return rounded numbers for JSON, None where one is not finite."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, np.float64)]


def records(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the rows of a table for JSON."""
    return [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]


def _plain(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return numbers([value])[0]
    if isinstance(value, (int, np.integer)):
        return int(value)
    return None if pd.isna(value) else str(value)


def dates(days: Any) -> list[str | None]:
    """Format days since 1970 as dates, with the time of day where all are close together."""
    values = np.asarray(days, np.float64)
    known = np.isfinite(values)
    unit: Literal["D", "m"] = "D" if known.any() and np.ptp(values[known]) > NEAR else "m"
    seconds = np.round(np.where(known, values, 0) * 86_400).astype(np.int64).astype("datetime64[s]")
    texts = np.datetime_as_string(seconds, unit=unit)
    return [str(text) if ok else None for text, ok in zip(texts, known, strict=True)]


def thinned(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """Return at most `most` rows, evenly spaced, including the first and the last."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, most).round().astype(int)]


def style(rows: object) -> dict[str, str]:
    """Return the line style of a kind of rows, distinguishable in black and white."""
    kinds = {"real": (REAL, "solid"), "fresh": (REAL, "solid"), "synthetic": (SYNTHETIC, "dash")}
    colour, dash = kinds.get(str(rows).split(" ", 1)[0].lower(), (OTHER, "dot"))
    return {"color": colour, "dash": dash}


def label(rows: object) -> str:
    """Return the label of a kind of rows, for legends and tables."""
    return ROWS.get(str(rows), str(rows))


def line(rows: object, x: Any, y: Any, shape: str = "linear") -> Trace:
    """Return a line through points, or steps for shape "hv"."""
    drawn = {**style(rows), "width": 2, "shape": shape}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": shown(label(rows)),
        "x": list(x),
        "y": numbers(y),
        "line": drawn,
    }


def dots(rows: object, x: Any, y: Any) -> Trace:
    """Return a dot at each point."""
    symbol = "diamond" if rows == "synthetic" else "circle"
    marker = {"color": style(rows)["color"], "size": 5, "opacity": 0.5, "symbol": symbol}
    trace = {"type": "scatter", "mode": "markers", "name": shown(label(rows)), "marker": marker}
    return {**trace, "x": numbers(x), "y": numbers(y)}


def bars(rows: object, labels: Sequence[object], shares: Any) -> Trace:
    """Return horizontal bars at 0, 1, ..., since labels that are shortened to the same text must not share a bar."""
    pattern = HATCHED if rows == "synthetic" else {"shape": ""}
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": shown(label(rows)),
        "y": list(range(len(labels))),
        "x": numbers(shares),
        "marker": {"color": style(rows)["color"], "pattern": pattern},
    }
    hover = [shown(name, HOVER) for name in labels]
    return {**trace, "hovertext": hover, "hovertemplate": "%{hovertext}: %{x}"}


def bar_layout(labels: Sequence[object], title: str, **more: Any) -> dict[str, Any]:
    """Return the layout of horizontal bars, the first at the top, with whole labels in lines."""
    count = max(len(labels), LEAST_BARS)
    texts = [wrapped(name) for name in labels]
    ticks = {"tickvals": list(range(len(labels))), "ticktext": texts}
    down = {**axis(), **ticks, "range": [count - 0.5, -0.5], "showgrid": False, "zeroline": False}
    row = TALL if any("<br>" in text for text in texts) else ROW
    across = axis(title, rangemode="tozero", tickangle=0, nticks=6, **more)
    return {"xaxis": across, "yaxis": down, "height": 60 + row * count}


def wrapped(text: object) -> str:
    """Escape a label for plotly, in lines."""
    few = textwrap.wrap(shortened(text, LINE * MOST_LINES), LINE, max_lines=MOST_LINES, placeholder="…")
    return "<br>".join(escape(part, quote=False) for part in few)


def diagonal(low: float = 0.0, high: float = 1.0) -> Trace:
    """Return the diagonal, on which both axes are equal."""
    ends = numbers([low, high])
    drawn = {"color": OTHER, "width": 1, "dash": "dot"}
    hidden = {"hoverinfo": "skip", "showlegend": False}
    return {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": drawn, **hidden}


def axis(title: str = "", labels: Sequence[object] | None = None, most: int = NAME, **more: Any) -> dict[str, Any]:
    """Return an axis, with labels at 0, 1, ... if there are any."""
    ticks: dict[str, Any] = {}
    if labels is not None:
        ticks = {"tickvals": list(range(len(labels))), "ticktext": [shown(name, most) for name in labels]}
    return {"title": {"text": title}, **ticks, **more}


def in_sentence(name: object) -> str:
    """Shorten a name for a sentence."""
    return shortened(name, IN_SENTENCE)


def parts_of(frame: pd.DataFrame, by: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each kind, synthetic rows last, so that they are drawn on top."""
    found = [(str(name), rows) for name, rows in frame.groupby(by, sort=False, observed=True)]
    return sorted(found, key=lambda part: part[0].startswith("synthetic"))
