"""The marks that plots are made of, in plotly's JSON: lines, dots, bars and axes, and what belongs to each plot.

They are plain dictionaries, since plotly's classes check every attribute of every trace, which takes minutes for
hundreds of columns. Colours are those of paper; the page's script replaces them in the dark.
"""

from __future__ import annotations

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
SHADE = "rgba(0,114,178,0.22)"  # of the real rows, under their line
DIGITS = 5  # significant ones of what is drawn
MOST_POINTS = 1500  # of one colour in a scatter plot
NAME = 28  # characters of a name along an axis
SPOKEN = 60  # characters of a name in a sentence
HOVER = 160  # characters of a name in the box beside the pointer
NEAR = 40  # days, within which dates are told with their time of day

Form = Literal["small", "wide", "square"]
Trace = dict[str, Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chart:
    """A plot.

    Args:
        title: What stands above it.
        sentence: What is to be seen in it, with numbers.
        data: Its traces, as plotly takes them.
        layout: Its layout, as plotly takes it.
        head: The names of the columns of the table that says the same.
        rows: The rows of that table.
        form: How large it stands on the page.
    """

    title: str
    sentence: str
    data: list[Trace]
    layout: dict[str, Any]
    head: tuple[str, ...]
    rows: list[list[Any]]
    form: Form = "small"

    def as_dict(self) -> dict[str, Any]:
        """Return what the script of the page draws."""
        return {"data": self.data, "layout": self.layout, "head": self.head, "rows": self.rows}


def shortened(text: object, most: int) -> str:
    """Return a text of at most so many characters."""
    whole = str(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def shown(text: object, most: int = NAME) -> str:
    """Return a text so that plotly, which reads tags and entities, shows it as it is."""
    return escape(shortened(text, most), quote=False)


def said(value: float) -> str:
    """Return a number as sentences have it."""
    return f"{value:.3g}" if np.isfinite(value) else "unknown"


def numbers(values: Any) -> list[float | None]:
    """Return numbers of few digits as JSON has them: None where one is not finite."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, np.float64)]


def records(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the rows of a table as JSON has them."""
    return [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]


def _plain(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return numbers([value])[0]
    if isinstance(value, (int, np.integer)):
        return int(value)
    return None if pd.isna(value) else str(value)


def dates(days: Any) -> list[str | None]:
    """Return days since 1970 as dates, with the time of day where all lie close together."""
    values = np.asarray(days, np.float64)
    known = np.isfinite(values)
    unit: Literal["D", "m"] = "D" if known.any() and np.ptp(values[known]) > NEAR else "m"
    seconds = np.round(np.where(known, values, 0) * 86_400).astype(np.int64).astype("datetime64[s]")
    texts = np.datetime_as_string(seconds, unit=unit)
    return [str(text) if ok else None for text, ok in zip(texts, known, strict=True)]


def thinned(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """Return at most so many rows, evenly spread, with the first and the last."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, most).round().astype(int)]


def style(rows: object) -> dict[str, str]:
    """Return the line of some rows: solid or dashed, so that they can be told apart in black and white."""
    kinds = {"real": (REAL, "solid"), "fresh": (REAL, "solid"), "synthetic": (SYNTHETIC, "dash")}
    colour, dash = kinds.get(str(rows).split(" ", 1)[0].lower(), (OTHER, "dot"))
    return {"color": colour, "dash": dash}


def line(rows: object, x: Any, y: Any, shape: str = "linear") -> Trace:
    """Return a line through points; shape "hv" is a step at each."""
    drawn = {**style(rows), "width": 2, "shape": shape}
    return {"type": "scatter", "mode": "lines", "name": shown(rows), "x": list(x), "y": numbers(y), "line": drawn}


def dots(rows: object, x: Any, y: Any) -> Trace:
    """Return a dot at each point."""
    symbol = "diamond" if rows == "synthetic" else "circle"
    marker = {"color": style(rows)["color"], "size": 5, "opacity": 0.5, "symbol": symbol}
    trace = {"type": "scatter", "mode": "markers", "name": shown(rows), "marker": marker}
    return {**trace, "x": numbers(x), "y": numbers(y)}


def bars(rows: object, labels: Sequence[object], y: Any) -> Trace:
    """Return bars at 0, 1, ..., so that labels which begin alike stay apart."""
    marker = {"color": style(rows)["color"], "pattern": {"shape": "/" if rows == "synthetic" else ""}}
    hover = [shown(label, HOVER) for label in labels]
    trace = {"type": "bar", "name": shown(rows), "x": list(range(len(labels))), "y": numbers(y), "marker": marker}
    return {**trace, "hovertext": hover, "hovertemplate": "%{hovertext}: %{y}"}


def diagonal(low: float = 0.0, high: float = 1.0) -> Trace:
    """Return the line on which both axes agree."""
    ends = numbers([low, high])
    drawn = {"color": OTHER, "width": 1, "dash": "dot"}
    hidden = {"hoverinfo": "skip", "showlegend": False}
    return {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": drawn, **hidden}


def axis(title: str = "", labels: Sequence[object] | None = None, most: int = NAME, **more: Any) -> dict[str, Any]:
    """Return an axis; `labels` stand at 0, 1, ..."""
    ticks: dict[str, Any] = {}
    if labels is not None:
        ticks = {"tickvals": list(range(len(labels))), "ticktext": [shown(label, most) for label in labels]}
    return {"title": {"text": title}, **ticks, **more}


def spoken(name: object) -> str:
    """Return a name as sentences have it."""
    return shortened(name, SPOKEN)


def parts_of(frame: pd.DataFrame, by: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each kind: synthetic ones last, since they are seen upon the others."""
    found = [(str(name), rows) for name, rows in frame.groupby(by, sort=False, observed=True)]
    return sorted(found, key=lambda part: part[0].startswith("synthetic"))
