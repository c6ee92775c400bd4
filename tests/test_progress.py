"""Progress bars name their number, promise no steps that early stopping may not take, and need a terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from synthvae import progress


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook is asked to show."""
    texts: list[str] = []

    def display(data: dict[str, str], **_: Any) -> SimpleNamespace:
        texts.append(data["text/html"])
        return SimpleNamespace(update=lambda new, **_: texts.append(new["text/html"]))

    module = SimpleNamespace(display=display)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    return texts


def test_a_fit_names_its_loss_and_its_most_steps(notebook: list[str]) -> None:
    texts = notebook
    with progress.fitting(show=True) as step:
        assert step is not None
        step(5, 1000, 12.345)
        step(1, 1000, 12.0)
    assert "step 5 of at most 1,000, loss 12.35 nats per row" in texts[2]
    assert "fitting to all rows" in texts[3]
    assert texts[-1] == ""


def test_a_private_fit_has_a_fixed_number_of_steps_and_no_loss(notebook: list[str]) -> None:
    texts = notebook
    with progress.fitting(show=True) as step:
        assert step is not None
        step(5, 1000, float("nan"))
    assert "step 5 of 1,000<" in texts[2]
    assert "loss" not in texts[2]


def test_parts_and_sections_are_shown(notebook: list[str]) -> None:
    texts = notebook
    with progress.generating(100, show=True) as part:
        assert part is not None
        part(40)
    assert "40 of 100 rows" in texts[2]
    texts.clear()
    with pytest.raises(ValueError, match="stop"):
        stop_while_measuring()
    assert "measuring &lt;b&gt;" in texts[2]
    assert texts[-1] == ""


def stop_while_measuring() -> None:
    with progress.measuring(show=True) as section:
        assert section is not None
        section("<b>")
        raise ValueError("stop")


@pytest.mark.parametrize("show", [False, True])
def test_a_log_file_gets_no_bar(*, show: bool) -> None:
    with progress.fitting(show=show) as step, progress.generating(1, show=show) as part:
        assert step is None
        assert part is None


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.fitting(show=True) as step:
        assert step is not None
        step(3, 70, 1.5)
    said = capsys.readouterr().err
    assert "at most 70" in said.replace("\x1b[0m", "").replace("\x1b[1;36m", "")
