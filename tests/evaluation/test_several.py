"""Several synthetic tables side by side: the best one is marked, and each has its report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from synthvae.errors import ConfigurationError, TableError
from synthvae.evaluation import METRICS, Evaluations, Figure, compare
from synthvae.evaluation.comparison import shuffle_columns
from synthvae.evaluation.report.side_by_side import REAL, SHUFFLED, best_of, ranking

HOSTILE = "</td><script>alert(1)</script>"


@pytest.fixture(scope="module")
def found() -> Evaluations:
    rows = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 3, 7, 30]].sample(frac=1, random_state=0)
    real, holdout, other = (part.reset_index(drop=True) for part in (rows[:200], rows[200:380], rows[380:]))
    tables = {HOSTILE: other, "shuffled": shuffle_columns(real, 200, np.random.default_rng(0)), "copy": real}
    ledger = {"epsilon": 1.0, "delta": 1e-5, "unit": "one row"}
    each = {"shuffled": {"ledger": ledger}}
    return compare(real, tables, each=each, holdout=holdout, target="target", attacks=False)


def test_one_row_per_table_and_one_column_per_figure(found: Evaluations) -> None:
    frame = found.frame
    assert frame.index.tolist() == [HOSTILE, "shuffled", "copy"]
    assert frame["use"].tolist() == ["good", "poor", "good"]
    assert frame["share"].tolist() == ["fair", "good", "poor"]  # only the shuffled columns have a ledger
    assert set(frame) - {"use", "share"} == {name for each in found.evaluations.values() for name in each.figures}
    assert frame.loc["copy", "copies"] == 1


def test_the_best_is_marked_but_no_table_that_is_flagged(found: Evaluations) -> None:
    rows = {row.name: row for row in ranking(found.evaluations)}
    assert list(rows) == [HOSTILE, "shuffled", "copy", REAL, SHUFFLED]
    assert not any(cell.is_best for cell in rows["copy"].cells)  # although every column is equal
    assert sum(cell.is_best for cell in rows[HOSTILE].cells) > sum(cell.is_best for cell in rows["shuffled"].cells)
    assert all(row.use is None for name, row in rows.items() if name in {REAL, SHUFFLED})


def test_a_table_without_a_column_is_noted_and_not_marked(tmp_path: Path) -> None:
    rows = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 3, 7]].sample(frac=1, random_state=0)
    real, other = rows[:200].reset_index(drop=True), rows[380:].reset_index(drop=True)
    tables = {"poor": shuffle_columns(real, 200, np.random.default_rng(0)), "few": other.iloc[:, :3], "all": other}
    found = compare(real, tables, attacks=False)
    marked = {row.name: sum(cell.is_best for cell in row.cells) for row in ranking(found.evaluations)}
    assert marked["few"] == 0
    assert marked["all"] > 0
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8").replace("&#39;", "'")
    for text in (str(found), page, found._repr_html_().replace("&#39;", "'").replace("&#x27;", "'")):
        assert "Table 'few' was compared without ['mean concave points']" in text
        assert "Table 'all'" not in text


def test_best_of_each_direction_and_of_equal_figures() -> None:
    def best(name: str, **values: float) -> set[str]:
        return set(best_of({table: Figure(METRICS[name], value) for table, value in values.items()}))

    assert best("shape", a=0.9, b=0.95) == {"b"}
    assert best("missing", a=0.02, b=0.3) == {"a"}
    assert best("c2st_real", a=0.62, b=0.45, c=0.48) == {"b", "c"}  # less than one half is chance
    assert best("shape", a=0.9, b=0.90001) == set()  # shown with the same digits: neither is better
    assert best("shape", a=0.9, b=float("nan")) == set()


def test_text_has_a_column_per_table_and_a_line_per_figure(found: Evaluations) -> None:
    lines = [re.split(r"\s{2,}", line) for line in str(found).splitlines()]
    assert lines[0] == ["", HOSTILE, "shuffled", "copy", "real rows", "shuffled"]
    assert lines[1] == ["use", "good", "poor", "good"]
    assert lines[2] == ["share", "fair", "good", "poor"]
    assert [line[0] for line in lines[3:7]] == ["columns", "pairs", "detectability", "utility"]
    assert all(len(line) == 6 for line in lines[3:7])
    assert lines[4][1].endswith("*")
    assert "<script" not in found._repr_html_()
    assert repr(found).startswith("Evaluations(")
    assert (len(found), found["copy"].names["synthetic"]) == (3, "copy")


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_the_page_links_to_the_report_of_each_table(found: Evaluations, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    found.to_html(tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    page = Links(text)
    links = [link for link in page.links if link.endswith(".html")]
    assert len(links) == len(set(links)) == 3
    for link in links:
        assert "Synthetic data report" in (tmp_path / "new" / link).read_text(encoding="utf-8")
    assert "script" not in page.tags  # names are text
    assert text.count("★") > 1


def test_json_has_every_evaluation(found: Evaluations, tmp_path: Path) -> None:
    found.to_json(tmp_path / "figures.json")
    document = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert list(document["evaluations"]) == [HOSTILE, "shuffled", "copy"]
    assert document["evaluations"]["copy"] == json.loads(json.dumps(found["copy"].to_dict()))


def test_no_table_and_unknown_names_are_refused() -> None:
    rows = pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20})
    with pytest.raises(ConfigurationError, match="At least one synthetic table"):
        compare(rows, {})
    with pytest.raises(ConfigurationError, match="`each` must name tables that are given, got 'c'"):
        compare(rows, {"a": rows}, each={"c": {}})


def test_the_callback_names_table_and_section() -> None:
    rows = pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20})
    seen: list[str] = []
    compare(rows, {"a": rows, "b": rows}, attacks=False, watch=seen.append)
    assert {"a: fidelity", "b: disclosure"} <= set(seen)


def test_wrong_tables_and_options_are_one_error() -> None:
    rows = pd.DataFrame({"a": range(20), "b": [0.5, 1.5] * 10})
    with pytest.raises(ConfigurationError, match="by name, got a list"):
        compare(rows, [rows, rows])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'nope' for table 'x'"):
        compare(rows, {"x": rows}, each={"x": {"nope": 1}})
    with pytest.raises(ConfigurationError, match="dictionary of options"):
        compare(rows, {"x": rows}, each={"x": 5})  # type: ignore[dict-item]
    with pytest.raises(TableError, match=r"^Table 'y': The synthetic table must have at least 2 rows"):
        compare(rows, {"x": rows, "y": rows[:0]}, attacks=False)
    with pytest.raises(TableError, match=r"^The real table"):
        compare(rows[:1], {"x": rows, "y": rows}, attacks=False)
