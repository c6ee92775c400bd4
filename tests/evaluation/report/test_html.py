"""The report: one complete file, in which table contents never become code."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reported import HOSTILE, LEDGER, evaluated, fidelity, html_of
from sklearn.datasets import load_wine

import synthvae.evaluation.report
from synthvae.errors import ConfigurationError
from synthvae.evaluation import Comparison, Section
from synthvae.evaluation.report.charts import CHARTS, galleries
from synthvae.evaluation.report.formats import cell, number
from synthvae.evaluation.report.metadata import described

pytest.importorskip("jinja2")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def html() -> str:
    return html_of(evaluated(names={"real": HOSTILE[0]}))


class Tree(HTMLParser):
    """What stands where: tags with attributes, and the text outside of scripts."""

    VOID = frozenset({"meta", "link", "img", "br", "line", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def tree(html: str) -> Tree:
    return Tree(html)


def charts_of(html: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    charts: list[dict[str, Any]] = json.loads(found[1])
    return charts


def test_the_first_screen_answers_and_says_what_is_not_covered(tree: Tree) -> None:
    start = tree.text[: tree.text.index("Fidelity: are the synthetic")]
    spoken = ("With caution.", "12 rows are exact copies.", "epsilon 0.9871 at delta 1e-05")
    for said in (*spoken, "No privacy guarantee covers the report", "569", "target", HOSTILE[0]):
        assert said in start
    assert "There is no privacy ledger" in html_of(evaluated((), ledger=None))


def test_every_figure_and_note_is_in_the_report(tree: Tree) -> None:
    for section in evaluated().sections:
        assert ("section", section.name) in [(tag, attributes.get("id")) for tag, attributes in tree.tags]
        for found in section.figures:
            metric = found.metric
            assert tree.text.count(metric.meaning) == 1
            assert metric.title in tree.text
            assert f"Source: {metric.source}" in tree.text
        assert all(note in tree.text for note in section.notes)
    assert tree.text.count("flagged") == 2 + 1  # c2st and exact copies, and the sentence that says what it means
    assert all(str(value) in tree.text for name, value in LEDGER.items() if name != "events")


def test_table_contents_are_never_code(html: str, tree: Tree) -> None:
    assert not [tag for tag, _ in tree.tags if tag in {"img", "b"}]
    assert not [name for _, attributes in tree.tags for name in attributes if name.startswith("on")]
    assert len(tree.scripts) == 3 == sum(tag == "script" for tag, _ in tree.tags)
    assert tree.open == []
    assert all(name in tree.text for name in HOSTILE[:1])
    assert set(HOSTILE) <= {row[0] for chart in charts_of(html) for row in chart["rows"]}
    # plotly reads tags in its texts: what it is handed must hold none.
    texts = [str(text) for chart in charts_of(html) for text in marks(chart)]
    assert any("&lt;script" in text for text in texts)
    assert not [text for text in texts if "<" in text.replace("<br>", "")]  # lines of a label


def marks(chart: dict[str, Any]) -> list[Any]:
    """The texts of a chart that plotly shows: but for its own templates."""
    ticks = [text for axis in ("xaxis", "yaxis") for text in chart["layout"].get(axis, {}).get("ticktext", [])]
    return ticks + [text for trace in chart["data"] for text in (trace.get("name", ""), *trace.get("hovertext", []))]


def test_the_font_is_in_the_file_and_its_licence_in_the_package(html: str) -> None:
    assert re.findall(r"font-weight: (\d+); src: url\(data:font/woff2;base64,", html) == ["400", "600"]
    folder = Path(synthvae.evaluation.report.__file__).parent / "fonts"
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text(encoding="utf-8")
    assert sum(file.stat().st_size for file in folder.glob("*.woff2")) < 100_000


def test_date_model_and_example_rows_are_stated(tree: Tree) -> None:
    assert all(said in tree.text for said in ("2026-11-30", "latent", HOSTILE[1], "row 1", HOSTILE[3]))


def test_only_the_first_of_many_columns_are_described() -> None:
    wide = pd.DataFrame(np.arange(200.0).reshape(2, 100)).rename(columns=str)
    comparison = Comparison.from_tables(wide, wide)
    found = described(comparison, wide.assign(**{"0": pd.Series([None, "x" * 100])}))
    assert len(found) == 60
    assert found.iloc[0].tolist() == ["0", "integer", "0.0%", "missing", "x" * 40 + "…"]
    assert "The first 60 columns." in html_of(evaluated((), comparison=comparison, description=found))


def test_columns_without_a_value_are_left_out_of_tables() -> None:
    table = pd.DataFrame({"site": ["a", "b"], "nothing": [np.nan, np.nan], "share": [0.5, np.nan]})
    text = Tree(html_of(evaluated((Section("new", details={"by_site": table}),)))).text
    assert "nothing" not in text
    assert "share" in text


def test_no_network_requests(tree: Tree) -> None:
    policy = next(a["content"] for tag, a in tree.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    linked = [value for _, attributes in tree.tags for name, value in attributes.items() if name in {"href", "src"}]
    assert all(value is not None and value.startswith(("#", "data:")) for value in linked)


def test_headings_tables_and_charts_are_accessible(tree: Tree) -> None:
    levels = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for tag, attributes in tree.tags if tag == "th")
    tags = [tag for tag, _ in tree.tags]
    assert tags.count("caption") == tags.count("table")
    plots = [attributes for _, attributes in tree.tags if "data-chart" in attributes]
    assert all(a["role"] == "img" and re.search(r"\d", a["aria-label"] or "") for a in plots)
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(a.get("href") or "#")[1:] for tag, a in tree.tags if tag == "a"}
    assert targets <= set(ids)


def test_plotly_accepts_every_chart(html: str, tree: Tree) -> None:
    graphs = pytest.importorskip("plotly.graph_objects")
    charts = charts_of(html)
    assert len(charts) == sum("data-chart" in attributes for _, attributes in tree.tags)
    for chart in charts:
        graphs.Figure({"data": chart["data"], "layout": chart["layout"]})  # raises where it knows no such attribute
        assert all(len(row) == len(chart["head"]) for row in chart["rows"])


def test_charts_contain_the_given_shares() -> None:
    section = evaluated().sections[0]
    table = section.details["drawn_columns"]
    charts = {chart.title.rpartition(" · ")[0]: chart for chart in galleries(section)[0].charts}
    assert set(charts) == set(table["column"])
    scores = [float(chart.title.rpartition(" ")[2].removesuffix("%")) for chart in charts.values()]
    assert scores == sorted(scores)  # least similar first
    one = table[table["column"] == "mean radius"]
    drawn = charts["mean radius"].data[1]
    np.testing.assert_allclose(drawn["y"][:-1], one["synthetic"], rtol=1e-4)
    np.testing.assert_allclose(drawn["x"], [*one["low"], one["high"].iloc[-1]], rtol=1e-4)
    assert charts["admitted"].data[0]["x"] == ["2022-01-08", "2022-04-18", "2022-07-27", "2022-11-04"]
    total = (one["real"] - one["synthetic"]).abs().sum() / 2
    assert f"total variation distance {total:.3g}" in charts["mean radius"].sentence


def test_the_difference_of_associations_is_centred() -> None:
    found = galleries(evaluated().sections[0])[1].charts
    real, made, less = (np.array(chart.data[0]["z"], float) for chart in found)
    np.testing.assert_allclose(less, made - real, atol=2e-3)
    np.testing.assert_allclose(real, real.T)
    assert found[2].layout["coloraxis"]["cmin"] == -found[2].layout["coloraxis"]["cmax"] < 0


@pytest.mark.parametrize("name", ["fidelity", "utility", "disclosure", "attacks", "fairness", "survival", "another"])
def test_sections_without_rows_or_figures_draw_nothing(name: str) -> None:
    full = {detail: table for section in evaluated().sections for detail, table in section.details.items()}
    empty = {detail: table.iloc[:0] for detail, table in full.items()}
    written = html_of(evaluated((Section(name), replace(Section(name, details=empty), name="empty")), ledger=None))
    assert "data-chart" not in written.split("<script>", maxsplit=1)[0]
    assert f'<section id="{name}"' in written


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_missing_numbers_are_drawn_as_gaps(name: str) -> None:
    sections = evaluated().sections
    table = next(section.details[name] for section in sections if name in section.details)
    bare = table.copy()
    for column in bare.select_dtypes("number"):
        bare[column] = np.nan
    for frame in (bare, table.iloc[:1], pd.concat([table, bare])):
        written = html_of(evaluated((Section("fidelity", details={name: frame}),)))
        assert "data-chart" not in written.split("<script>")[0] or "NaN" not in json.dumps(charts_of(written))


def test_unknown_tables_are_listed() -> None:
    table = pd.DataFrame(
        {"site": [HOSTILE[2], "b"], "some_count": [12345, 1], "known": [True, False], "share": [np.nan, 0.5]}
    )
    text = Tree(html_of(evaluated((Section("new_things", details={"by_site": table}),)))).text
    assert all(said in text for said in ("New things", "By site.", HOSTILE[2], "some count", "12,345", "yes", "—"))


@pytest.mark.slow
def test_five_hundred_columns_stay_small() -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(200, 500)), columns=[f"column {k}" for k in range(500)])
    written = html_of(evaluated((fidelity(wide),)))
    assert len(written.encode()) < 15e6
    assert len(charts_of(written)) == 500 + 3 + 3 + 1 + 1


@pytest.mark.parametrize(("value", "text"), [
    (0.5, "0.500"), (0.00042, "0.00042"), (0.0, "0.000"), (-0.25, "-0.250"), (None, "—"), (float("inf"), "—"),
    (1234567.0, "1.23457e+06"), (2.5, "2.500"),
])  # fmt: skip
def test_numbers_are_formatted(value: float | None, text: str) -> None:
    assert number(value) == text
    assert cell(value) == text


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_missing_extra_names_the_package_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf'needs {package}.*pip install "synthvae\[report\]"'):
        html_of(evaluated())


def test_the_same_evaluation_writes_the_same_bytes(html: str) -> None:
    assert html_of(evaluated(names={"real": HOSTILE[0]})) == html


def test_a_table_without_target_holdout_or_notes() -> None:
    wine = load_wine(as_frame=True).frame
    plain = replace(evaluated(()), comparison=Comparison.from_tables(wine, wine.iloc[::2]))
    text = Tree(html_of(plain)).text
    assert "holdout" not in text.split("Methods")[0].split("seed")[0]
    assert "none" in text
