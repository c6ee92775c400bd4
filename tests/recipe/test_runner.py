"""Stages are done once: again only when what they read has changed or what they made is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import ALL, QUICK, Page, command, contents, edited, ran, run, study_of_wine, without_measuring, write
from typer.testing import CliRunner

from synthvae import recipe
from synthvae.cli.main import app
from synthvae.errors import DatasetError, SynthvaeError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    return without_measuring(monkeypatch)


@pytest.fixture
def page(tmp_path: Path, calls: list[Page]) -> Page:
    del calls
    return study_of_wine(tmp_path)


def test_what_is_done_is_kept_and_its_bytes_are_the_same(tmp_path: Path, page: Page) -> None:
    assert ran(tmp_path, page) == ALL
    before = contents(tmp_path / "out")
    assert set(run(tmp_path, page).values()) == {"kept"}
    assert contents(tmp_path / "out") == before
    recipe.run(tmp_path / "study.yaml", tmp_path / "again")
    assert contents(tmp_path / "again") == before


@pytest.mark.slow
def test_only_what_reads_a_change_is_run_again(tmp_path: Path, page: Page) -> None:
    run(tmp_path, page)
    changes: list[tuple[Page, list[str]]] = [
        ({"generation": {"rows": 40}}, ["generate", "evaluate", "report"]),
        ({"generation": {"rows": 40, "workers": 2}}, []),
        ({"evaluation": {"attacks": True}}, ["evaluate", "report"]),
        ({"report": {"html": "other.html"}}, ["report"]),
        ({"report": {"fail_under": {"trend": 0.5}}}, []),
        ({"model": {**QUICK, "random_state": 1}}, ["fit", "generate", "evaluate", "report"]),
        ({"model": {**QUICK, "random_state": 1, "log_dir": "log"}}, []),
        ({"split": {"holdout": 0.4}}, ALL),
    ]
    for change, again in changes:
        page = edited(page, **change)
        if change.get("report", {}).get("fail_under"):
            assert ran(tmp_path, edited(page, report={**page["report"], **change["report"]})) == again
            page = edited(page, report={"html": "other.html"})
        else:
            assert ran(tmp_path, page) == again, change
    assert (tmp_path / "out" / "log" / "history.csv").exists()


def test_a_table_that_changed_is_split_again(tmp_path: Path, page: Page) -> None:
    run(tmp_path, page)
    frame = pd.read_csv(tmp_path / "wine.csv")
    frame.iloc[:, [2, 1, 0, 3]].to_csv(tmp_path / "wine.csv", index=False)
    assert ran(tmp_path, page) == ALL


def test_a_stage_that_makes_the_same_bytes_again_changes_nothing_after_it(tmp_path: Path, page: Page) -> None:
    run(tmp_path, page)
    assert ran(tmp_path, page, force=["split"]) == ["split"]
    assert ran(tmp_path, page, force=["fit"]) == ["fit"]
    before = contents(tmp_path / "out")
    planned = run(tmp_path, page, force=["fit"], dry_run=True)
    assert planned == {"split": "would be kept", **dict.fromkeys(ALL[1:], "would run")}
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(("makes", "name"), [
    ("split", "split/train.parquet"), ("fit", "model/model.safetensors"), ("generate", "synthetic/part-00000.parquet"),
    ("generate", "synthetic/_manifest.json"), ("evaluate", "evaluation.json"), ("report", "report.html"),
])  # fmt: skip
@pytest.mark.parametrize("lost", [False, True])
def test_what_is_damaged_is_made_again(tmp_path: Path, page: Page, makes: str, name: str, *, lost: bool) -> None:
    run(tmp_path, page)
    out = tmp_path / "out"
    before = contents(out)
    damaged = out / name
    damaged.unlink() if lost else damaged.write_bytes(damaged.read_bytes() + b"x")
    assert ran(tmp_path, page) == [makes]
    assert contents(out) == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 1}', '{"inputs": 1, "outputs": 2, "facts": 3}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, page: Page, content: str) -> None:
    run(tmp_path, page)
    (tmp_path / "out" / "_stages" / "generate.json").write_text(content)
    assert ran(tmp_path, page) == ["generate"]


def test_rows_made_of_a_class_are_compared_with_real_rows_of_it(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    study = edited(page, generation=None, augment={"strategy": "minority", "mark": "made"})
    assert ran(tmp_path, study) == ["split", "augment", "evaluate", "report"]
    table = pd.read_parquet(tmp_path / "out" / "augmented.parquet")
    real = pd.read_parquet(tmp_path / "out" / "split" / "train.parquet")
    assert (~table["made"]).sum() == len(real)
    for name, rows in (("real", (real["target"] == "c").sum()), ("synthetic", table["made"].sum())):
        assert calls[0][name].num_rows == rows
        assert set(calls[0][name]["target"].to_pylist()) == {"c"}
    assert "made" not in calls[0]["synthetic"].column_names
    assert set(run(tmp_path, study).values()) == {"kept"}


def test_rows_that_are_there_are_only_evaluated(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    pd.read_csv(tmp_path / "wine.csv").iloc[::2].to_csv(tmp_path / "made.csv", index=False)
    parts = {"split": None, "model": None, "generation": None}
    study = edited(page, **parts, evaluation={"synthetic": "made.csv", "holdout": "wine.csv", "random_state": 5})
    assert ran(tmp_path, study) == ["evaluate", "report"]
    assert calls[0]["names"] == {"real": "wine.csv", "synthetic": "made.csv", "holdout": "wine.csv"}
    assert [calls[0][name].num_rows for name in ("real", "synthetic", "holdout")] == [178, 89, 178]
    assert calls[0]["random_state"] == 5
    (tmp_path / "made.csv").write_bytes((tmp_path / "wine.csv").read_bytes())
    assert ran(tmp_path, study) == ["evaluate", "report"]


def test_without_a_split_all_rows_are_learned(tmp_path: Path, page: Page, calls: list[Page]) -> None:
    assert ran(tmp_path, edited(page, split=None)) == ALL[1:]
    assert calls[0]["real"].num_rows == 178
    assert calls[0]["holdout"] is None


def test_the_shell_says_one_line_a_stage_and_figures_that_are_not_reached(tmp_path: Path, page: Page) -> None:
    page["report"]["fail_under"] = {"trend": 0.9}
    first = command(tmp_path, page)
    assert first.exit_code == 1
    assert [line.split()[:2] for line in first.stdout.splitlines()] == [[name, "ran"] for name in ALL]
    assert first.stderr.splitlines()[-1] == "error: `trend` must be at least 0.9, got 0.812346."
    again = command(tmp_path, page, "--json", "--quiet")
    assert again.exit_code == 1  # what was kept is held to the page, too
    found = json.loads(again.stdout)
    assert [step["done"] for step in found["steps"]] == ["kept"] * 5
    assert len(found["failures"]) == 1
    page["report"]["fail_under"] = {"trend": 0.8}
    assert command(tmp_path, page).exit_code == 0
    page["report"]["fail_under"] = {"trends": 0.8}
    assert "Did you mean 'trend'?" in command(tmp_path, page, "--quiet").stderr


def test_a_run_ends_where_it_is_told(tmp_path: Path, page: Page) -> None:
    assert command(tmp_path, page, "--until", "fit").exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"_stages", "split", "model"}
    planned = command(tmp_path, page, "--dry-run").stdout.splitlines()
    assert ["would be kept" in line for line in planned] == [True, True, False, False, False]
    for option in ("--until", "--force"):
        refused = command(tmp_path, page, option, "audit")
        assert refused.exit_code == 1
        assert "unknown stage 'audit'" in refused.stderr


def test_a_folder_of_anybody_elses_is_left_alone(tmp_path: Path, page: Page) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    refused = command(tmp_path, page)
    assert refused.exit_code == 1
    assert "'thesis.txt'" in refused.stderr
    for place in (tmp_path / "wine.csv", tmp_path / "wine.csv" / "out"):
        with pytest.raises(DatasetError, match="output"):
            recipe.run(write(tmp_path, page), place)


def test_a_full_disk_is_one_line(tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("synthvae.filesystem.files.write", full)
    refused = command(tmp_path, page, "--quiet")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [refused.stderr.strip()]
    assert "No space left on device" in refused.stderr


def test_a_mistake_in_the_page_costs_nothing_that_is_done(tmp_path: Path, page: Page) -> None:
    run(tmp_path, page)
    with pytest.raises(SynthvaeError):
        run(tmp_path, edited(page, model={**QUICK, "width": -1}))
    assert set(run(tmp_path, page).values()) == {"kept"}


def test_the_shell_wants_a_recipe_or_its_schema() -> None:
    shell = CliRunner()
    assert shell.invoke(app, ["run"]).exit_code == 2
    shown = shell.invoke(app, ["run", "--json-schema"])
    assert json.loads(shown.stdout) == recipe.json_schema()


def test_nothing_of_a_private_run_can_be_found_by_trial(
    tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hashes are of no use to those who know all rows but one: other users have others."""
    monkeypatch.setattr("synthvae.recipe.study.Study.fit", lambda self, _: (self.out / "model").mkdir() or {"what": ""})
    private = edited(page, split=None, schema="private")
    private["privacy"] = {"epsilon": 5.0, "delta": 1e-6}
    found: list[str] = []
    for user in ("one", "other", "one"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / user))
        write(tmp_path, private)
        recipe.run(tmp_path / "study.yaml", tmp_path / f"out {len(found)}", until="fit")
        found.append(json.loads((tmp_path / f"out {len(found)}" / "_stages" / "fit.json").read_text())["inputs"])
    assert found[0] == found[2] != found[1]
    assert (tmp_path / "one" / "synthvae" / "key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("length", [0, 31])
def test_a_key_that_is_none_is_refused(
    tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Without one, hashes would be such as anybody can find."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "synthvae").mkdir()
    (tmp_path / "synthvae" / "key").write_bytes(bytes(length))
    write(tmp_path, edited(page, split=None, schema="private", privacy={"epsilon": 5.0, "delta": 1e-6}))
    with pytest.raises(SynthvaeError, match=f"must have 32 bytes, got {length}"):
        recipe.run(tmp_path / "study.yaml", tmp_path / "out")


def test_a_key_that_cannot_be_kept_is_one_error(tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    private = edited(page, split=None, schema="private", privacy={"epsilon": 5.0, "delta": 1e-6})
    write(tmp_path, private)
    with pytest.raises(SynthvaeError, match=r"needs a key of this user.*XDG_STATE_HOME"):
        recipe.run(tmp_path / "study.yaml", tmp_path / "out")


def test_read_says_how_columns_are_written_and_changes_no_value(tmp_path: Path, calls: list[Page]) -> None:
    rows = "".join(
        f"1.{i % 97 + 100},{i % 90 + 10};{i % 12 + 1:02d}/{i // 12 + 1:02d}/2020;{'ab'[i % 2]}\n" for i in range(144)
    )
    (tmp_path / "g.csv").write_text("betrag;tag;y\n" + rows)
    page: Page = {
        "input": "g.csv",
        "read": {"sep": ";", "decimal": ",", "thousands": ".", "date_format": "%d/%m/%Y"},
        "target": "y",
        "schema": {"columns": [{"name": "betrag", "kind": "continuous", "format": "1.234,5", "decimals": 2}]},
        "split": {"holdout": 0.25},
        "model": QUICK,
        "generation": {"rows": 50},
        "evaluation": {"attacks": False},
    }
    assert ran(tmp_path, page) == ["split", "fit", "generate", "evaluate"]
    out = tmp_path / "out"
    for place in ("split/train.parquet", "split/holdout.parquet", "synthetic"):
        made = pd.read_parquet(out / place)
        assert made["betrag"].str.fullmatch(r"1\.1[0-9]{2},[0-9]{2}").all()
        assert made["tag"].str.fullmatch(r"[0-3][0-9]/[01][0-9]/2020").all()
    (asked,) = calls
    assert [(c.name, c.format) for c in asked["schema"].columns] == [("betrag", "1.234,5"), ("tag", "%d/%m/%Y")]
    augmenting = edited(page, generation=None, augment={"strategy": {"a": 60}})
    assert ran(tmp_path, augmenting) == ["augment", "evaluate"]
    assert pd.read_parquet(out / "augmented.parquet")["tag"].str.fullmatch(r"[0-3][0-9]/[01][0-9]/2020").all()
    synthetic = pd.read_parquet(out / "synthetic")
    synthetic.to_csv(tmp_path / "s.csv", index=False)
    existing = edited(page, model=None, generation=None, split=None, evaluation={"synthetic": "s.csv"})
    assert recipe.run(write(tmp_path, existing), tmp_path / "other").failures == ()
    assert calls[-1]["synthetic"].column("betrag").to_pylist() == synthetic["betrag"].tolist()


def test_read_under_a_budget_states_no_forms(tmp_path: Path, page: Page) -> None:
    private = edited(page, read={"date_format": "%Y"}, privacy={"epsilon": 1.0, "delta": 1e-5}, schema="s.yaml")
    done = command(tmp_path, private)
    assert done.exit_code == 1
    assert "one by one under a privacy budget" in done.stderr
