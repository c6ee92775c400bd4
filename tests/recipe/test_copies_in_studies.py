"""Studies with independent copies, and with times to an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import QUICK, Page, contents, edited, ran, run, study_of_wine, without_measuring, write

from synthvae import recipe


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    return without_measuring(monkeypatch)


@pytest.fixture
def page(tmp_path: Path, calls: list[Page]) -> Page:
    del calls
    return edited(study_of_wine(tmp_path), split=None, report=None)


def folders(out: Path) -> list[str]:
    return sorted({path.relative_to(out / "synthetic").parts[0] for path in (out / "synthetic").rglob("*.parquet")})


def test_the_first_copy_is_evaluated(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    page = edited(page, generation={"rows": 30, "copies": 2})
    assert ran(tmp_path, page) == ["fit", "generate", "evaluate"]
    assert folders(tmp_path / "out") == ["copy_1", "copy_2"]
    assert calls[-1]["synthetic"].num_rows == 30
    assert calls[-1]["names"]["synthetic"] == "synthetic/copy_1"
    before = contents(tmp_path / "out")
    assert set(run(tmp_path, page).values()) == {"kept"}
    assert contents(tmp_path / "out") == before


def test_a_described_dataset_is_evaluated(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    page = edited(page, generation={"rows": 30, "describe": True})
    assert ran(tmp_path, page) == ["fit", "generate", "evaluate"]
    assert sorted(path.name for path in (tmp_path / "out" / "synthetic").iterdir()) == [
        "README.md",
        "croissant.json",
        "data",
    ]
    assert calls[-1]["synthetic"].num_rows == 30
    assert set(run(tmp_path, page).values()) == {"kept"}


def test_described_copies_replace_a_described_dataset(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    described: list[Page] = [{"rows": 9, "describe": True}, {"rows": 9, "describe": True, "copies": 2}]
    for generation in (*described, described[0], {"rows": 9, "copies": 2}):
        assert "generate" in ran(tmp_path, edited(page, generation=generation))
        copies = generation.get("copies")
        data = tmp_path / "out" / "synthetic" / ("data" if "describe" in generation else "")
        names = {path.parent.name for path in data.rglob("*.parquet")}
        assert names == ({"copy_1", "copy_2"} if copies else {"data"})
        assert (tmp_path / "out" / "synthetic" / "README.md").exists() == ("describe" in generation)
        assert calls[-1]["synthetic"].num_rows == 9
        assert set(run(tmp_path, edited(page, generation=generation)).values()) == {"kept"}


def test_another_form_of_dataset_replaces_the_one_before(tmp_path: Path, page: Page) -> None:
    plain: list[Page] = [{"rows": 9}, {"rows": 9, "describe": True}]
    generations = [{"rows": 9, "copies": 3}, {"rows": 9, "copies": 1}, *plain, plain[0], {"rows": 8, "copies": 2}]
    files = [["part-00000.parquet"], ["data"], ["part-00000.parquet"]]
    found = [["copy_1", "copy_2", "copy_3"], ["copy_1"], *files, ["copy_1", "copy_2"]]
    for generation, there in zip(generations, found, strict=True):
        assert "generate" in ran(tmp_path, edited(page, generation=generation))
        assert folders(tmp_path / "out") == there
    (tmp_path / "out" / "synthetic" / "copy_2" / "_manifest.json").unlink()
    assert "generate" in ran(tmp_path, edited(page, generation=generations[-1]))
    assert (tmp_path / "out" / "synthetic" / "copy_2" / "_manifest.json").exists()


def test_the_evaluation_has_the_times_of_the_model(tmp_path: Path, calls: list[Page]) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(40, 90, 80), "months": rng.integers(1, 60, 80), "died": [0, 1] * 40})
    frame.to_csv(tmp_path / "patients.csv", index=False)
    model = {**QUICK, "duration": "months", "event": "died"}
    page: Page = {"input": "patients.csv", "model": model, "generation": {"rows": 20}, "evaluation": {}}
    assert ran(tmp_path, page) == ["fit", "generate", "evaluate"]
    assert (calls[-1]["duration"], calls[-1]["event"]) == ("months", "died")
    assert recipe.Recipe.read(write(tmp_path, page)).columns == ["months", "died"]
    other = edited(page, evaluation={"duration": "age", "event": "died"})
    assert ran(tmp_path, other) == ["evaluate"]
    assert (calls[-1]["duration"], calls[-1]["event"]) == ("age", "died")
