"""Charts of single columns: which values they draw, and what they state as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae.evaluation.report.column_charts import every_column
from synthvae.evaluation.report.traces import wrapped


def bars_of(labels: list[str], *, missing: float = 0.0, name: str = "site") -> pd.DataFrame:
    """Categories by frequency, and missing values."""
    shares = np.arange(len(labels), 0, -1) / np.arange(len(labels), 0, -1).sum() * (1 - missing)
    frame = pd.DataFrame({"column": name, "kind": "category", "label": labels, "low": np.nan, "high": np.nan})
    frame = frame.assign(real=shares, synthetic=shares[::-1], score=0.5, logarithmic=False)
    last = {**frame.iloc[0].to_dict(), "label": "missing", "real": missing, "synthetic": missing}
    return pd.concat([frame, pd.DataFrame([last])], ignore_index=True) if missing else frame


def bins_of(name: str, score: float, **more: Any) -> pd.DataFrame:
    edges = np.geomspace(1, 1000, 11)
    shares = np.full(10, 0.05)
    frame = pd.DataFrame({"column": name, "kind": "number", "label": "", "low": edges[:-1], "high": edges[1:]})
    return frame.assign(real=shares, synthetic=shares, score=score, **{"logarithmic": False, **more})


def test_of_many_categories_eight_are_drawn_and_the_others_together() -> None:
    labels = [f"site {k}" for k in range(12)]
    frame = bars_of(labels, missing=0.1)
    (chart,) = every_column(frame)
    assert chart.layout["yaxis"]["ticktext"] == [*labels[:8], "other", "missing"]
    for who, trace in zip(("real", "synthetic"), chart.data, strict=True):
        assert trace["orientation"] == "h"
        assert sum(trace["x"]) == pytest.approx(1, abs=1e-3)
        assert trace["x"][8] == pytest.approx(frame[who].iloc[8:12].sum(), rel=1e-4)
    assert [row[0] for row in chart.rows] == [*labels, "missing"]  # the table has all


@pytest.mark.parametrize("count", [1, 2, 9])
def test_few_categories_are_all_drawn(count: int) -> None:
    labels = [f"site {k}" for k in range(count)]
    (chart,) = every_column(bars_of(labels))
    assert chart.layout["yaxis"]["ticktext"] == labels


def test_worst_columns_are_first_with_their_similarity_in_the_title() -> None:
    frame = pd.concat([bins_of("a", 0.9), bins_of("b", np.nan), bins_of("c", 0.71), bars_of(["x", "y"])])
    assert [chart.title for chart in every_column(frame)] == ["b · unknown", "site · 50.0%", "c · 71.0%", "a · 90.0%"]


def test_axes_have_titles_and_a_long_tail_a_logarithmic_scale() -> None:
    linear, logarithmic = every_column(pd.concat([bins_of("a", 0.1), bins_of("b", 0.2, logarithmic=True)]))
    assert linear.layout["xaxis"]["type"] == "linear"
    assert logarithmic.layout["xaxis"]["type"] == "log"
    assert logarithmic.layout["xaxis"]["title"]["text"] == "logarithmic scale"
    assert linear.layout["yaxis"]["title"]["text"] == logarithmic.layout["yaxis"]["title"]["text"] == "share of rows"


def test_a_frequent_number_and_missing_values_are_stated_and_not_drawn() -> None:
    bins = bins_of("gain", 0.8)
    apart = bins.head(2).assign(label=["0", "missing"], low=np.nan, high=np.nan, real=[0.4, 0.1], synthetic=[0.45, 0.2])
    (chart,) = every_column(pd.concat([bins, apart]))
    assert chart.remark == (
        "Not drawn: 0: 40.0% of real, 45.0% of synthetic rows; missing: 10.0% of real, 20.0% of synthetic rows."
    )
    assert max(chart.data[0]["y"]) == pytest.approx(0.05)
    assert chart.rows[-2:] == [["0", 0.4, 0.45], ["missing", 0.1, 0.2]]


def test_long_labels_are_in_two_lines_and_what_plotly_interprets_is_escaped() -> None:
    assert wrapped("Family and General Practice") == "Family and General<br>Practice"
    assert wrapped("<b>&") == "&lt;b&gt;&amp;"
    lines = wrapped("n" * 300).split("<br>")
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert wrapped("") == ""
