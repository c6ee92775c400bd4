"""A model card says what is so, to people and to Markdown, whatever columns are called."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.testing import CliRunner, Result

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.results import Figure, Section
from synthvae.synthesizer import card, persistence
from synthvae.training.history import History

HOSTILE = [
    "a|b",
    "`",
    "``x",
    "<script>alert(1)</script>",
    "# head",
    "a\\|b",
    "[x](y)",
    "line\nbreak",
    " ",
    "*b*",
    "\u202e",
]
QUICK: dict[str, Any] = {"max_steps": 10, "width": 8, "latent_dim": 2, "device": "cpu", "random_state": 0}


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def plain(inline: Token) -> str:
    """What a reader sees of a cell, tags being none of it."""
    return "".join(html.unescape(part.content) for part in inline.children or [] if part.type != "html_inline")


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table, head first."""
    found: list[list[list[str]]] = []
    inside = False
    for token in tokens(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type == "inline" and inside:
            found[-1][-1].append(plain(token))
            inside = False
    return found


def headings(text: str) -> list[str]:
    found = tokens(text)
    return [found[place + 1].content for place, token in enumerate(found) if token.type == "heading_open"]


def written(names: list[str], **facts: Any) -> str:
    columns = dict.fromkeys(names, "categorical")
    told = {"columns": columns, "target": names[0], "classes": dict.fromkeys(names, 3), "parameters": 12, **facts}
    return card.render(told, {"synthvae": "0"}, History(best_step=3), None)


@pytest.mark.slow
@given(st.lists(st.text(min_size=1) | st.sampled_from(HOSTILE), min_size=1, max_size=6, unique=True))
@settings(max_examples=100, deadline=None)
def test_any_name_is_read_back_and_none_breaks_the_page(names: list[str]) -> None:
    text = written(names, rows=9, missing={names[-1]: 0.25})
    (head, *rows) = tables(text)[0]
    assert head == ["column", "kind", "missing"]
    shown = ["".join(letter if letter.isprintable() else "\ufffd" for letter in name) for name in names]
    assert [row[0] for row in rows] == shown
    assert [row[2] for row in rows] == ["none"] * (len(names) - 1) + ["25.00%"]
    assert headings(text) == ["A synthvae model", "Data", "Training", "Use", "Limits", "Privacy"]
    raw = [part.content for token in tokens(text) for part in token.children or [] if part.type == "html_inline"]
    assert set(raw) <= {"<code>", "</code>"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a table with gaps and two classes."""
    folder = tmp_path_factory.mktemp("card")
    frame = pd.DataFrame({"x": [0.5 * i for i in range(60)], "kind": ["a", "b", "b"] * 20})
    frame.loc[::4, "x"] = None
    Synthesizer(target="kind", **QUICK).fit(frame).save(folder / "model")
    return folder / "model"


def info(*words: object) -> Result:
    return CliRunner().invoke(app, ["info", *map(str, words)])


def test_the_shell_prints_the_card_beside_the_model(model: Path) -> None:
    done = info(model, "--card")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == (model / "README.md").read_text("utf-8")
    assert tables(done.stdout)[0][1:] == [["x", "continuous", "25.00%"], ["kind", "categorical", "none"]]
    assert "60 rows, 2 columns: 1 continuous, 1 categorical." in done.stdout
    assert "`a` (20), `b` (40)" in done.stdout


def test_the_card_says_how_training_went(model: Path) -> None:
    synthesizer = Synthesizer.load(model)
    text, history = synthesizer.card(), synthesizer.history_
    assert f"The model has the weights of step {history.best_step}; " in text
    assert history.held_out_elbo is not None
    assert f"Held-out loss (negative ELBO; lower is better): {-history.held_out_elbo:.2f} nats per row." in text
    assert f"Active latent units: {history.active_units} of 2" in text


def test_a_model_of_an_early_release_has_a_card(model: Path, tmp_path: Path) -> None:
    """Its page says nothing of rows and gaps; nor does its card."""
    synthesizer = Synthesizer.load(model)
    page = persistence.to_dict(synthesizer.learned_)
    del page["table"]
    weights, device = synthesizer.model_.state_dict(), synthesizer.learned_.device
    synthesizer.learned_ = persistence.from_dict(page, weights, device, "x")
    assert tables(synthesizer.card())[0][0] == ["column", "kind"]
    synthesizer.save(tmp_path / "again")
    assert Synthesizer.load(tmp_path / "again").card() == synthesizer.card()


def test_a_private_card_tells_no_count_and_no_gap() -> None:
    frame = pd.DataFrame({"x": [1.0, None, 3.0, 4.0] * 30, "kind": ["a", "b"] * 60})
    schema = Schema(
        columns=[
            Column(name="x", kind="integer", bounds=(0, 9)),
            Column(name="kind", kind="categorical", categories=["a", "b"], nullable=False),
        ]
    )
    budget = PrivacyBudget(epsilon=5.0, delta=1e-4)
    private = Synthesizer(target="kind", schema=schema, privacy=budget, strategy="tables", **QUICK).fit(frame)
    text = private.card()
    assert tables(text)[0][0] == ["column", "kind"]
    assert "120" not in text
    assert "ELBO" not in text
    assert "Active" not in text
    assert private.learned_.provenance.rows is None
    assert private.ledger_ is not None
    assert all(event.name in text for event in private.ledger_.events)


ERROR = Metric("trend", "Trend", "lower", "How far pairs are from real ones.", "nowhere")
AUC = Metric("c2st", "C2ST", "half", "Whether rows can be told apart.", "nowhere", risk=True)
ANSWER = {"grade": "good", "reasons": ("trend | is 0.010",)}


def page(**changes: Any) -> dict[str, Any]:
    figures = (Figure(ERROR, 0.0123, (0.01, 0.02), 0.009, 0.3), Figure(AUC, 0.75, (0.7, 0.8), float("nan")))
    section = Section("fidelity", figures, notes=("Column `x` | fell away.",))
    told = {
        "rows": {"real": 60, "synthetic": 60},
        "target": "kind",
        "seed": 0,
        "verdict": {"use": {"question": "Can I use it?", "answer": "Yes, *mostly*.", **ANSWER}},
        "sections": {section.name: section.to_dict()},
        "ledger": None,
    }
    return json.loads(json.dumps({**told, **changes}))  # type: ignore[no-any-return]


def test_the_figures_of_an_evaluation_are_shown(model: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(page()))
    done = info(model, "--card", "--evaluation", tmp_path / "report.json")
    assert done.exit_code == 0, done.stderr
    assert tables(done.stdout)[1][1:] == [
        ["trend", "0.012", "0.010 to 0.020", "0.009", "0.300", "lower"],
        ["c2st (flagged)", "0.750", "0.700 to 0.800", "", "", "near 0.5"],
    ]
    seen = [plain(token) for token in tokens(done.stdout) if token.type == "inline"]
    assert "Can I use it? Yes, *mostly*." in seen
    assert "trend | is 0.010" in seen
    assert "Column `x` | fell away." in seen
    assert done.stdout == info(model, "--card", "--evaluation", tmp_path / "report.json").stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "valid dictionary"),
        ("{}", "`rows` is missing"),
        (json.dumps(page(target="income")), "the target 'income', which is not a column"),
        (json.dumps(page(ledger={"epsilon": 1.0, "delta": 1e-6, "unit": "row"})), "different privacy ledger"),
        (json.dumps(page(sections={"x": {"figures": {"a": 3}}})), "`sections.x.figures.a`: "),
    ],
)
def test_what_is_no_evaluation_of_this_model_is_refused_in_one_line(
    model: Path, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "report.json").write_text(content)
    done = info(model, "--card", "--evaluation", tmp_path / "report.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_absent_evaluation_is_refused(model: Path, tmp_path: Path) -> None:
    done = info(model, "--card", "--evaluation", tmp_path / "nothing.json")
    assert done.exit_code == 1
    assert "Write one with `synthvae evaluate --json-file`" in done.stderr


def test_wrong_usage_exits_2(model: Path, tmp_path: Path) -> None:
    assert info(model, "--evaluation", tmp_path / "report.json").exit_code == 2
    assert info(model, "--card", "--json").exit_code == 2


def test_a_card_is_refused_what_is_no_evaluation(model: Path) -> None:
    with pytest.raises(ConfigurationError, match="Evaluate the rows again"):
        Synthesizer.load(model).card({"rows": 3})
