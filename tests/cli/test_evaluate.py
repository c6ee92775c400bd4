"""`synthvae evaluate` as a user meets it, and the whole evaluation of awkward tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info
from typer.testing import CliRunner, Result

from synthvae.cli.main import app
from synthvae.errors import TableError
from synthvae.evaluation import Evaluation, evaluate
from synthvae.evaluation.comparison import shuffle_columns

NAMES = ["mean radius", "mean texture", "mean area", "worst concavity"]


def cancer() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = data.frame[NAMES]
    return frame.assign(kind=data.target.map({0: "malignant", 1: "benign"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real rows, fresh ones in the place of synthetic ones, others held out, shuffled columns, and a copy."""
    place = tmp_path_factory.mktemp("evaluate")
    rows = cancer().sample(frac=1, random_state=0).reset_index(drop=True)
    parts = {"real": rows[:200], "made": rows[200:380], "holdout": rows[380:], "copy": rows[:200]}
    parts["shuffled"] = shuffle_columns(rows[:200], 200, np.random.default_rng(0))
    for name, part in parts.items():
        part.to_csv(place / f"{name}.csv", index=False)
    return place


def run(folder: Path, made: str, *more: str) -> Result:
    arguments = ["evaluate", str(folder / "real.csv"), str(folder / f"{made}.csv"), "--no-attacks", *more]
    return CliRunner().invoke(app, arguments)


def test_first_lines_answer_and_figures_follow(folder: Path) -> None:
    out = folder / "figures.json"
    done = run(folder, "made", "--holdout", str(folder / "holdout.csv"), "--target", "kind", "--json-file", str(out))
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Can these synthetic rows be used? [good]")
    assert any(line.startswith("Can these synthetic rows be shared? [fair]") for line in lines)
    page = json.loads(out.read_text(encoding="utf-8"))
    assert page["rows"] == {"real": 200, "synthetic": 180, "holdout": 189}
    assert page["verdict"]["use"]["grade"] == "good"
    for name, figure in page["sections"]["fidelity"]["figures"].items():
        assert f"fidelity {name}: {figure['value']:.4f}" in done.stdout or figure["value"] is None
    assert "FLAGGED" not in done.stdout


def test_a_poor_generator_is_called_poor_on_the_first_line(folder: Path) -> None:
    done = run(folder, "shuffled", "--target", "kind")
    assert done.stdout.startswith("Can these synthetic rows be used? [poor]")


def test_a_copy_is_flagged(folder: Path) -> None:
    done = run(folder, "copy", "--holdout", str(folder / "holdout.csv"))
    assert "Can these synthetic rows be shared? [poor]" in done.stdout
    assert "disclosure copies: 1.0000" in done.stdout


@pytest.mark.parametrize(
    ("gate", "code", "message"),
    [
        (("--fail-under", "trend=0.5"), 0, ""), (("--fail-under", "shape=0.999"), 1, "shape"),
        (("--fail-over", "c2st_real=0.9"), 0, ""), (("--fail-over", "copies=-1"), 1, "copies"),
        (("--fail-under", "trent=0.5"), 1, "trend"), (("--fail-under", "trend"), 2, "METRIC=X"),
        (("--fail-under", "c2st_real=0.9"), 1, "c2st_real"),
    ],
)  # fmt: skip
def test_gates(folder: Path, gate: tuple[str, ...], code: int, message: str) -> None:
    done = run(folder, "made", *gate)
    assert done.exit_code == code, done.output
    assert message in " ".join(done.stderr.split())
    if code == 1:
        assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["real.csv", "nowhere.csv"], "nowhere.csv"), (["real.csv", "made.csv", "--schema", "no.yaml"], "no.yaml"),
        (["real.csv", "made.csv", "--duration", "mean area"], "event"), (["real.csv", "tiny.csv"], "at least 2 rows"),
        (["real.csv", "made.csv", "--model", "real.csv"], "model"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_in_one_line(
    folder: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    cancer().head(1).to_csv("tiny.csv", index=False)
    done = CliRunner().invoke(app, ["evaluate", *arguments])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_several_tables_are_compared_on_one_page(folder: Path, tmp_path: Path) -> None:
    outs = ("--out", str(tmp_path / "page.html"), "--json-file", str(tmp_path / "figures.json"))
    done = run(folder, "made", str(folder / "shuffled.csv"), *outs, "--fail-under", "trend=0.85")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: shuffled.csv: `trend` must be at least 0.85")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:2] == [["made.csv", "shuffled.csv", "real", "rows", "shuffled"], ["use", "good", "poor"]]
    document = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert list(document["evaluations"]) == ["made.csv", "shuffled.csv"]
    reports = sorted(path.name for path in (tmp_path / "page_reports").iterdir())
    assert reports == ["1-made-csv.html", "2-shuffled-csv.html"]
    assert all(name in (tmp_path / "page.html").read_text(encoding="utf-8") for name in reports)


def test_tables_of_one_name_are_told_apart_by_their_folders(folder: Path, tmp_path: Path) -> None:
    places = [tmp_path / name / "rows.csv" for name in ("a", "b")]
    for place, made in zip(places, ("made", "shuffled"), strict=True):
        place.parent.mkdir()
        place.write_bytes((folder / f"{made}.csv").read_bytes())
    done = CliRunner().invoke(app, ["evaluate", str(folder / "real.csv"), *map(str, places), "--no-attacks", "--json"])
    assert list(json.loads(done.stdout)["evaluations"]) == list(map(str, places))


def test_a_table_that_is_given_twice_and_a_model_of_several_are_refused(folder: Path) -> None:
    made = str(folder / "made.csv")
    done = run(folder, "made", made)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "must be given once" in done.stderr
    done = run(folder, "made", str(folder / "copy.csv"), "--model", str(folder))
    assert done.exit_code == 2
    assert "--model takes one synthetic table" in " ".join(done.stderr.split())


def test_a_holdout_that_was_learned_is_none(folder: Path) -> None:
    done = run(folder, "copy", "--holdout", str(folder / "real.csv"))
    assert "Can these synthetic rows be shared? [poor]" in done.stdout
    assert "the holdout was not withheld" in done.stdout
    assert "dcr_share" not in done.stdout


def test_a_holdout_needs_all_columns(folder: Path) -> None:
    cancer().drop(columns="kind").to_csv(folder / "narrow.csv", index=False)
    done = run(folder, "made", "--holdout", str(folder / "narrow.csv"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "lacks 'kind'" in done.stderr


@pytest.mark.parametrize(
    "ledger", ['{"epsilon": "x"}', "[1]", '{"epsilon": 1.0}', '{"epsilon": 1, "delta": 0, "unit": 3}']
)
def test_a_ledger_that_is_none_is_refused(folder: Path, ledger: str) -> None:
    place = folder / "rows"
    place.mkdir(exist_ok=True)
    pd.read_csv(folder / "made.csv").to_parquet(place / "part-0.parquet")
    (place / "_manifest.json").write_text('{"ledger": ' + ledger + "}", encoding="utf-8")
    done = CliRunner().invoke(app, ["evaluate", str(folder / "real.csv"), str(place), "--no-attacks"])
    assert done.exit_code == 1
    assert "must have epsilon, delta and unit" in done.stderr


def everything(real: Any, synthetic: Any, **more: Any) -> Evaluation:
    found = evaluate(real, synthetic, **more)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.verdict.use.answer
    assert "<html" in found._html()
    return found


AWKWARD = {
    "constant": lambda rows: rows.assign(**{"mean area": 1.0}),
    "all missing": lambda rows: rows.assign(**{"mean area": np.nan}),
    "one class": lambda rows: rows.assign(kind="benign"),
    "two rows": lambda rows: rows.head(2),
    "retyped": lambda rows: rows.assign(**{"mean area": "large"}),
    "infinite": lambda rows: rows.assign(**{"mean area": np.inf}),
    "other categories": lambda rows: rows.assign(kind="unknown"),
    "missing column": lambda rows: rows.drop(columns=["mean radius", "kind"]),
    "one column": lambda rows: rows[["mean area"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("how", [how for how in AWKWARD if how != "one column"])
def test_awkward_synthetic_rows_degrade_to_sentences(how: str) -> None:
    rows = cancer().sample(frac=1, random_state=0).reset_index(drop=True)
    real, made, holdout = rows[:150], AWKWARD[how](rows[150:300].reset_index(drop=True)), rows[300:450]
    target = "kind" if "kind" in made else None
    found = everything(real, made, holdout=holdout, target=target, group="kind")
    assert {"fidelity", "disclosure", "attacks"} <= {section.name for section in found.sections}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["constant", "all missing", "one class", "two rows"])
def test_awkward_real_rows_degrade_to_sentences(how: str) -> None:
    rows = cancer().sample(frac=1, random_state=0).reset_index(drop=True)
    everything(AWKWARD[how](rows[:150]), rows[150:300], target="kind")


def test_tables_with_one_column_in_common_do_not_belong_together() -> None:
    rows = cancer()
    with pytest.raises(TableError, match="at least half of the 5 columns"):
        everything(rows[:150], AWKWARD["one column"](rows[150:300]), target="kind")
    with pytest.raises(TableError, match=r"none named \['kind'\]"):
        everything(AWKWARD["one column"](rows[:150]), rows[150:300], target="kind")


def test_a_target_that_cannot_be_compared_is_refused() -> None:
    rows = cancer().assign(case=[f"case {k:04}" for k in range(569)])
    with pytest.raises(TableError, match=r"compared, got 'kind'. Column 'kind' is not in the synthetic table"):
        everything(rows[:150], rows[150:300].drop(columns="kind"), target="kind")
    with pytest.raises(TableError, match=r"compared, got 'case'. Column 'case' holds identifiers"):
        everything(rows[:150], rows[150:300], target="case")


def test_real_identifiers_in_synthetic_rows_stand_on_the_first_screen(tmp_path: Path) -> None:
    rows = cancer().assign(mail=[f"ann.{k}@clinic.example" for k in range(569)])[:80]
    rows.to_csv(tmp_path / "real.csv", index=False)
    rows.sample(frac=1, random_state=0).to_csv(tmp_path / "made.csv", index=False)
    done = run(tmp_path, "made")
    assert done.exit_code == 0, done.stderr
    shared = done.stdout[done.stdout.index("Can these synthetic rows be shared?") :].splitlines()
    assert shared[0].startswith("Can these synthetic rows be shared? [poor]")
    assert shared[1].startswith("  - Column 'mail' has e-mail addresses: 100.0% of its synthetic values are values")
    fresh = everything(rows[:40], rows[40:], attacks=False)
    assert fresh.identifying == ()


@pytest.mark.slow
def test_the_same_seed_finds_the_same() -> None:
    rows = cancer().sample(frac=1, random_state=0).reset_index(drop=True)
    first, second = (evaluate(rows[:100], rows[100:200], holdout=rows[200:300], target="kind") for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_learners_use_one_thread_whatever_the_caller_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of OpenMP that wait for each other took up to twenty times as long on a busy machine."""
    used: set[int] = set()
    fit = HistGradientBoostingClassifier.fit

    def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        used.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", recorded)
    rows, before = cancer(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        evaluate(rows[:280], rows[280:], target="kind", attacks=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == {1}
