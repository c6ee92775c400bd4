"""The shell as a user meets it: exit codes, one-line errors, stdout for results and stderr for the rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine
from typer.testing import CliRunner, Result

from synthvae import __version__
from synthvae.cli.main import app

CONFIG = "max_steps: 20\nwidth: 8\nlatent_dim: 2\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a quick configuration and a fitted model."""
    folder = tmp_path_factory.mktemp("shell")
    wine = load_wine(as_frame=True).frame.assign(kind=lambda f: f["target"].map({0: "a=b", 1: "c/d", 2: ".."}))
    wine.drop(columns="target").to_csv(folder / "wine.csv", index=False)
    (folder / "quick.yaml").write_text(CONFIG)
    done = synthvae("fit", folder / "wine.csv", "--target", "kind", "--config", folder / "quick.yaml", "--seed", 0,
                    "-o", folder / "model", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["classes"] == {"..": 48, "a=b": 59, "c/d": 71}
    return folder


def synthvae(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """The one line of a refusal."""
    done = synthvae(*words)
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("warning:")]
    assert line.startswith("error: ")
    return line


SIGNALLED = """
import os
import signal

from synthvae.training import checkpoint
from synthvae.cli.main import app
from synthvae.{module} import {owner}

calls, plain = 0, {owner}.{method}

def counted(*given):
    global calls
    calls += 1
    returned = plain(*given)
    if calls == {last}:
        os.kill(os.getpid(), signal.{name})
    return returned

checkpoint.EVERY = 0.0
{owner}.{method} = counted
app()
"""


def signalled(number: signal.Signals, after: tuple[str, str, str], last: int, *words: object) -> tuple[int, str]:
    """The exit code and stderr of a process that sends itself a signal once a method (module, class, name) returned."""
    module, owner, method = after
    code = SIGNALLED.format(module=module, owner=owner, method=method, last=last, name=number.name)
    run = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_version() -> None:
    assert synthvae("--version").stdout.strip() == f"synthvae {__version__}"


def test_completion_is_offered() -> None:
    assert "--show-completion" in synthvae("--help").stdout


@pytest.mark.parametrize(
    ("request_", "classes"),
    [
        (["--rows-per-class", 7], {"..": 7, "a=b": 7, "c/d": 7}),
        (["--class", "a=b=5", "--class", "..=2"], {"..": 2, "a=b": 5}),
        (["--rows", 0], {}),
    ],
)
@pytest.mark.parametrize("partition", [False, True])
def test_generate_writes_what_was_asked_for(
    home: Path, tmp_path: Path, request_: list[object], classes: dict[str, int], *, partition: bool
) -> None:
    done = synthvae("generate", home / "model", "-o", tmp_path / "out", *request_, *["--partition"] * partition)
    assert done.exit_code == 0, done.stderr
    assert sum(1 for _ in tmp_path.iterdir()) == 1
    if classes:
        made = pd.read_parquet(tmp_path / "out")
        assert made["kind"].astype(str).value_counts().to_dict() == classes
        assert set(made) == set(pd.read_csv(home / "wine.csv"))


def test_a_total_has_the_mix_of_training(home: Path, tmp_path: Path) -> None:
    done = synthvae("generate", home / "model", "-o", tmp_path / "out", "--rows", 1780, "--json")
    counts = json.loads(done.stdout)["classes"]
    assert sum(counts.values()) == 1780
    assert all(abs(counts[label] - 10 * count) <= 1 for label, count in {"..": 48, "a=b": 59, "c/d": 71}.items())


def test_info_and_quiet(home: Path, tmp_path: Path) -> None:
    facts = json.loads(synthvae("info", home / "model", "--json").stdout)
    assert facts["target"] == "kind"
    assert facts["columns"]["alcohol"] == "continuous"
    assert "none" in facts["privacy"]
    assert synthvae("generate", home / "model", "-o", tmp_path / "o", "--rows", 5, "--quiet").stderr == ""


def test_schema_is_drafted_reviewed_and_used(home: Path, tmp_path: Path) -> None:
    names = [f"patient {i} of many" for i in range(178)]
    table, draft = tmp_path / "named.csv", tmp_path / "schema.yaml"
    pd.read_csv(home / "wine.csv").assign(name=names).to_csv(table, index=False)
    fit = ["fit", table, "--config", home / "quick.yaml", "-o", tmp_path / "model"]
    line = refused(*fit)
    assert "'name'" in line
    assert "kind: id" in line
    assert not (tmp_path / "model").exists()
    assert synthvae("schema", table, "-o", draft).exit_code == 0
    assert "reviewed" in refused("schema", table, "-o", draft)
    assert "# id: 178 distinct texts in 178 values" in draft.read_text()
    assert synthvae(*fit, "--schema", draft).exit_code == 0
    made = tmp_path / "made"
    assert synthvae("generate", tmp_path / "model", "-o", made, "--rows", 30).exit_code == 0
    assert not set(pd.read_parquet(made)["name"]) & set(names)


def test_usage_errors_exit_2(home: Path, tmp_path: Path) -> None:
    generate = ["generate", home / "model", "-o", tmp_path / "out"]
    assert synthvae(*generate).exit_code == 2
    assert synthvae(*generate, "--rows", 1, "--rows-per-class", 1).exit_code == 2
    assert synthvae(*generate, "--class", "nonsense").exit_code == 2
    assert synthvae(*generate, "--rows", -1).exit_code == 2
    assert synthvae("nonsense").exit_code == 2
    assert not (tmp_path / "out").exists()


def test_refusals_say_rule_fact_and_way_out(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "'..', 'a=b', 'c/d'" in refused("generate", home / "model", "-o", out, "--class", "other=3")
    assert "cannot be read" in refused("generate", tmp_path / "absent", "-o", out, "--rows", 1)
    assert "no such table" in refused("fit", tmp_path / "absent.csv", "-o", out).lower()
    assert "'colour' is not a column of the table" in refused("fit", home / "wine.csv", "--target", "colour", "-o", out)
    (tmp_path / "wrong.yaml").write_text("latentdim: 3\n")
    assert "'latent_dim'" in refused("fit", home / "wine.csv", "--config", tmp_path / "wrong.yaml", "-o", out)
    (tmp_path / "wrong.yaml").write_text("latent_dim: 0\n")
    assert "latent_dim" in refused("fit", home / "wine.csv", "--config", tmp_path / "wrong.yaml", "-o", out)
    assert not out.exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = synthvae("info", tmp_path, "--debug")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_a_dataset_is_not_lost_by_mistake(home: Path, tmp_path: Path) -> None:
    generate = ["generate", home / "model", "-o", tmp_path / "out", "--seed", 1, "--rows"]
    assert synthvae(*generate, 10).exit_code == 0
    assert "--overwrite" in refused(*generate, 20)
    assert len(pd.read_parquet(tmp_path / "out")) == 10
    assert synthvae(*generate, 20, "--overwrite").exit_code == 0
    assert len(pd.read_parquet(tmp_path / "out")) == 20


@pytest.mark.slow
def test_interrupted_fit_keeps_the_best_weights(home: Path, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("max_steps: 1000\nwidth: 8\nvalidation_fraction: 0\n")
    words = ["fit", home / "wine.csv", "--config", tmp_path / "long.yaml", "-o", tmp_path / "model", "--seed", 0]
    code, stderr = signalled(signal.SIGINT, ("training.trainer", "ElboDescent", "backward"), 100, *words)
    assert code == 130, stderr
    assert "warning: training interrupted" in stderr
    assert json.loads(synthvae("info", tmp_path / "model", "--json").stdout)["training"] == "interrupted"


@pytest.fixture(scope="module")
def private(home: Path) -> Path:
    """A private model of the same table."""
    draft = home / "declared.yaml"
    assert synthvae("schema", home / "wine.csv", "--declare", "-o", draft).exit_code == 0
    assert "Draft one with `synthvae schema" in refused(
        "fit", home / "wine.csv", "--schema", draft, "--epsilon", 20, "--delta", 1e-5, "-o", home / "not"
    )
    draft.write_text(draft.read_text().replace("inferred: true\n", ""))
    done = synthvae("fit", home / "wine.csv", "--target", "kind", "--schema", draft, "--epsilon", 20, "--delta", 1e-5,
                    "--config", home / "quick.yaml", "-o", home / "private", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "rows" not in json.loads(done.stdout)
    return home / "private"


def test_a_private_model_says_what_it_cost(private: Path) -> None:
    told = json.loads(synthvae("info", private, "--json").stdout)["privacy"]
    assert told["epsilon"] <= told["budget"] == 20
    assert told["delta"] == 1e-5
    text = synthvae("info", private).stdout
    assert "  - rows of each class: discrete Gaussian" in text
    assert "differentially private; unit: one row" in (private / "README.md").read_text()


def test_a_plan_reads_no_row(home: Path, private: Path) -> None:
    del private
    done = synthvae("fit", home / "wine.csv", "--target", "kind", "--schema", home / "declared.yaml", "--epsilon", 1,
                    "--delta", 1e-5, "--plan", 5000, "-o", home / "planned", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["epsilon"] <= 1
    assert not (home / "planned").exists()


@pytest.mark.slow
def test_a_schema_is_bought_where_none_is_declared(home: Path) -> None:
    words = ["fit", home / "wine.csv", "--target", "kind", "--schema", "private", "--delta", 1e-5,
             "--config", home / "quick.yaml"]  # fmt: skip
    plan = synthvae(*words, "--epsilon", 2, "--plan", 50_000, "-o", home / "planned")
    assert plan.exit_code == 0, plan.stderr
    assert "value types of columns x 14" in plan.stdout
    done = synthvae(*words, "--epsilon", 40, "-o", home / "bought", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["privacy"]["epsilon"] <= 40
    assert synthvae("generate", home / "bought", "--rows-per-class", 3, "-o", home / "bought-rows").exit_code == 0
    assert len(pd.read_parquet(home / "bought-rows")) == 9


@pytest.mark.slow
def test_an_audit_of_a_private_model_refutes_nothing(home: Path, private: Path) -> None:
    # A bound of confidence .95 is too high by chance in up to one audit of 20, in four one after the other in 160,000.
    audits = (synthvae("audit", private, "--canaries", 200) for _ in range(4))
    done = next((done for done in audits if done.exit_code == 0), None)
    assert done is not None
    assert "epsilon between" in done.stdout
    assert "fitted without a privacy budget" in refused("audit", home / "model")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--epsilon", 0, "--delta", 1e-5], "`--epsilon` must be a finite number above 0"),
        (["--epsilon", 1], "delta"),
        (["--epsilon", 9, "--delta", 0.1], "delta must be less than one over the number of rows"),
        (["--epsilon", 1, "--delta", 1e-5, "--unit", "patient"], "The unit must be a column of the table"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(
    home: Path, private: Path, tmp_path: Path, words: list[object], reason: str
) -> None:
    del private
    line = refused("fit", home / "wine.csv", "--schema", home / "declared.yaml", *words, "-o", tmp_path / "never")
    assert reason in line
    assert not (tmp_path / "never").exists()
    bought = "about" in line  # the number of rows, which is what the refusal rests on
    assert (tmp_path / ".never.releases").exists() == bought


@pytest.mark.slow
def test_a_fit_that_is_killed_and_resumed_ends_with_the_same_weights(home: Path) -> None:
    long = home / "long.yaml"
    long.write_text(CONFIG.replace("max_steps: 20", "max_steps: 120"))

    def words(out: str) -> list[str]:
        return ["fit", str(home / "wine.csv"), "--config", str(long), "--seed", "4", "-q", "-o", str(home / out)]

    assert synthvae(*words("undisturbed")).exit_code == 0
    kept = home / ".torn.fit"
    code, stderr = signalled(signal.SIGKILL, ("training.checkpoint", "Checkpoint", "save"), 50, *words("torn"))
    assert code == -signal.SIGKILL, stderr
    assert kept.exists()
    assert not (home / "torn").exists()
    long.write_text(long.read_text().replace("latent_dim: 2", "latent_dim: 3"))
    assert "which belongs to another fit" in refused(*words("torn"), "--resume")
    long.write_text(long.read_text().replace("latent_dim: 3", "latent_dim: 2"))
    assert synthvae(*words("torn"), "--resume").exit_code == 0
    assert not kept.exists()
    whole, resumed = ((home / name / "model.safetensors").read_bytes() for name in ("undisturbed", "torn"))
    assert whole == resumed


@pytest.mark.slow
def test_a_private_fit_that_is_killed_and_repeated_buys_nothing_twice(home: Path, private: Path) -> None:
    del private
    slow = home / "slow.yaml"
    slow.write_text(CONFIG.replace("max_steps: 20", "max_steps: 400"))
    words = ["fit", home / "wine.csv", "--schema", home / "declared.yaml", "--epsilon", 20, "--delta", 1e-5,
             "--config", slow, "-o", home / "killed"]  # fmt: skip
    releases = home / ".killed.releases"
    code, stderr = signalled(signal.SIGKILL, ("privacy.journal", "Journal", "_write"), 50, *words)
    assert code == -signal.SIGKILL, stderr
    bought = {path: path.stat().st_mtime_ns for path in releases.glob("*.safetensors")}
    assert len(bought) == 50
    assert "is of a fit with another budget" in refused(*words, "--seed", 1)
    slow.write_text(CONFIG)
    assert "is of a fit with another budget" in refused(*words)
    assert {path: path.stat().st_mtime_ns for path in releases.glob("*.safetensors")} == bought
    slow.write_text(CONFIG.replace("max_steps: 20", "max_steps: 400"))
    done = synthvae(*words)
    assert done.exit_code == 0, done.stderr
    assert "resuming an interrupted fit" in done.stderr
    assert not releases.exists()
