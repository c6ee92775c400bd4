"""What was interrupted is taken up where that can be, and a budget is not spent twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import ALL, QUICK, Page, command, edited, ran, run, study_of_wine, without_measuring, write

from synthvae import Column, Schema, Synthesizer, recipe
from synthvae.generation.drawing import Drawing
from synthvae.privacy import Journal


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    return without_measuring(monkeypatch)


@pytest.fixture
def page(tmp_path: Path, calls: list[Page]) -> Page:
    del calls
    return study_of_wine(tmp_path)


@pytest.mark.parametrize(("first", "second"), list(itertools.pairwise(ALL)))
def test_a_run_that_was_killed_between_stages_goes_on(
    tmp_path: Path, page: Page, first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"synthvae.recipe.study.Study.{second}", interrupt)
        assert command(tmp_path, page).exit_code == 130
    done = [name for name in ALL if (tmp_path / "out" / "_stages" / f"{name}.json").exists()]
    assert done == ALL[: ALL.index(second)]
    assert done[-1] == first
    assert ran(tmp_path, page) == ALL[ALL.index(second) :]


def test_an_interrupted_fit_is_no_fit(tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        fit = Synthesizer.fit

        def broken_off(self: Synthesizer, table: Any) -> Synthesizer:
            fitted = fit(self, table)
            fitted.history_.stopped = "interrupted"
            return fitted

        patched.setattr(Synthesizer, "fit", broken_off)
        assert command(tmp_path, page).exit_code == 130
    assert not (tmp_path / "out" / "model").exists()
    assert ran(tmp_path, page) == ALL[1:]


def many_parts(page: Page, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A request of several parts, though it is small."""
    monkeypatch.setattr("synthvae.generation.request.PART_ROWS", 10)
    return edited(page, evaluation=None, report=None)


def test_generation_goes_on_where_it_was_interrupted(
    tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = many_parts(page, monkeypatch)
    draw, drawn = Drawing.__call__, list[int]()

    def draw_until(last: int) -> Callable[..., Any]:
        def broken_off(self: Drawing, part: int) -> Any:
            if part == last:
                raise KeyboardInterrupt
            drawn.append(part)
            return draw(self, part)

        return broken_off

    monkeypatch.setattr(Drawing, "__call__", draw_until(3))
    assert command(tmp_path, page).exit_code == 130
    monkeypatch.setattr(Drawing, "__call__", draw_until(-1))
    drawn.clear()
    assert ran(tmp_path, page) == ["generate"]
    assert 3 in drawn
    assert not {0, 1, 2} & set(drawn)
    assert len(pd.read_parquet(tmp_path / "out" / "synthetic")) == 50

    monkeypatch.setattr(Drawing, "__call__", draw_until(2))  # another request is not taken for the old one
    assert command(tmp_path, edited(page, generation={"rows": 48})).exit_code == 130
    monkeypatch.setattr(Drawing, "__call__", draw_until(-1))
    drawn.clear()
    assert ran(tmp_path, edited(page, generation={"rows": 47})) == ["generate"]
    assert drawn == [0, 1, 2, 3, 4]
    assert len(pd.read_parquet(tmp_path / "out" / "synthetic")) == 47


@pytest.fixture
def private(tmp_path: Path, page: Page) -> Page:
    """The study under a budget, from a schema that was declared."""
    names = pd.read_csv(tmp_path / "wine.csv").columns
    numbers = [Column(name=name, kind="continuous", bounds=(0.0, 2000.0), decimals=2) for name in names[:3]]
    schema = Schema(columns=[*numbers, Column(name="target", kind="categorical", categories=["a", "b", "c"])])
    schema.to_yaml(tmp_path / "schema.yaml")
    return edited(page, schema="schema.yaml", privacy={"epsilon": 2.0, "delta": 0.001}, model=QUICK)


@pytest.mark.slow
def test_a_budget_goes_from_the_page_to_the_report(tmp_path: Path, private: Page, calls: list[Page]) -> None:
    outcome = recipe.run(write(tmp_path, private), tmp_path / "out")
    ledger = calls[0]["ledger"]
    assert ledger["budget"] == 2.0
    assert 0 < ledger["epsilon"] <= 2.0
    assert calls[0]["schema"] == tmp_path / "schema.yaml"
    said = " ".join(step.what for step in outcome.steps)
    assert str(calls[0]["real"].num_rows) not in said  # how many rows there are is private
    assert set(run(tmp_path, private).values()) == {"kept"}
    with pytest.warns(UserWarning, match="spends its budget anew"):
        assert "fit" in ran(tmp_path, edited(private, privacy={"epsilon": 1.0, "delta": 0.001}), until="fit")


@pytest.mark.slow
def test_a_private_fit_that_was_broken_off_buys_nothing_twice(
    tmp_path: Path, private: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(self: Journal, draw: Callable[[], Any]) -> Any:
        bought = kept(self, draw)
        if self.kept == 2:
            raise KeyboardInterrupt
        return bought

    kept = Journal.keep
    private = edited(private, evaluation=None, report=None)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", keep)
        assert command(tmp_path, private).exit_code == 130
    (folder,) = (tmp_path / "out").glob(".model.*.releases")
    bought = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert len(bought) == 2
    seen: dict[str, bytes] = {}

    def remove(self: Journal) -> None:
        seen.update({path.name: path.read_bytes() for path in folder.glob("*.safetensors")})
        removed(self)

    removed = Journal.remove
    monkeypatch.setattr(Journal, "remove", remove)
    assert ran(tmp_path, private) == ["fit", "generate"]
    assert bought.items() <= seen.items()
    assert not folder.exists()
