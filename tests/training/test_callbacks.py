"""Whoever looks while it trains sees what the history holds, changes nothing, and learns nothing of private rows."""

from __future__ import annotations

import errno
import itertools
import math
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_wine
from typer.testing import CliRunner

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError
from synthvae.filesystem import Folder
from synthvae.training import callbacks
from synthvae.training.history import COLUMNS, History, Record

QUICK: dict[str, Any] = {"max_steps": 40, "width": 8, "latent_dim": 2, "device": "cpu", "random_state": 0}
TRACKED = [*COLUMNS[1:]]


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    frame: pd.DataFrame = load_wine(as_frame=True).frame
    return frame[["alcohol", "hue", "target"]]


def fit(table: Any, **parameters: Any) -> Synthesizer:
    return Synthesizer(target="target", **{**QUICK, **parameters}).fit(table)


@pytest.fixture(scope="module")
def watched(small: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesizer, list[Record], Path]:
    seen: list[Record] = []
    folder = tmp_path_factory.mktemp("runs") / "deep" / "run"
    return fit(small, callbacks=seen.append, log_dir=folder), seen, folder


def test_a_callback_sees_what_the_history_holds(watched: tuple[Synthesizer, list[Record], Path]) -> None:
    synthesizer, seen, _ = watched
    assert synthesizer.history_.refitted  # all rows are learned again, of which nobody is told
    assert seen == synthesizer.history_.records
    assert len(seen) == 20


def test_history_csv_is_the_history(watched: tuple[Synthesizer, list[Record], Path]) -> None:
    synthesizer, _, folder = watched
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), synthesizer.history_.table())


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reading.EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_has_the_same_numbers(watched: tuple[Synthesizer, list[Record], Path]) -> None:
    synthesizer, _, folder = watched
    table, found = synthesizer.history_.table(), events(folder)
    assert sorted(found) == sorted(callbacks.TAG + name for name in TRACKED)
    for name in TRACKED:
        steps, values = zip(*found[callbacks.TAG + name], strict=True)
        assert list(steps) == table["step"].tolist()
        np.testing.assert_allclose(values, table[name], rtol=1e-6)


def test_a_later_fit_hides_the_curves_of_an_earlier_one(
    small: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: float(next(seconds)))  # by which TensorBoard tells which is later
    fit(small, log_dir=tmp_path)
    again = fit(small, log_dir=tmp_path, max_steps=20)
    assert len(pd.read_csv(tmp_path / "history.csv")) == len(again.history_.records)
    assert {step for step, _ in events(tmp_path)[callbacks.TAG + "loss"]} == set(again.history_.table()["step"])
    assert len(list(tmp_path.glob("events.*"))) == 2


def test_looking_changes_nothing(small: pd.DataFrame, watched: tuple[Synthesizer, list[Record], Path]) -> None:
    """Not even a callback that draws from torch's own generator, as dropout does."""
    alone = fit(small)
    drawing = fit(small, callbacks=lambda _: torch.rand(7))
    assert alone.learned_.fingerprint == watched[0].learned_.fingerprint == drawing.learned_.fingerprint


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_stops_early_and_the_best_weights_are_kept(small: pd.DataFrame, answer: Any) -> None:
    told: list[int] = []
    stopped = fit(
        small, callbacks=[lambda record: answer if record.step >= 10 else None, lambda r: told.append(r.step)]
    )
    assert stopped.history_.stopped == "early"
    assert told == [2, 4, 6, 8, 10]  # who is called second sees the last look, too
    assert stopped.history_.best_step <= 10


@pytest.mark.parametrize("answer", [1, "yes", [True], False, np.array([True])])
def test_other_answers_do_not_stop(small: pd.DataFrame, answer: Any) -> None:
    assert fit(small, callbacks=lambda _: answer, max_steps=4).history_.records[-1].step == 4


def test_what_a_callback_raises_ends_the_fit(small: pd.DataFrame) -> None:
    def fail(_: Record) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fit(small, callbacks=fail)


def interrupt_at(step: int) -> Callable[[Record], None]:
    def interrupt(record: Record) -> None:
        if record.step == step:
            raise KeyboardInterrupt

    return interrupt


def test_an_interrupted_run_keeps_its_lines(small: pd.DataFrame, tmp_path: Path) -> None:
    """Each line is on the disk before training goes on."""
    lines: list[int] = []

    def read(_: Record) -> None:
        lines.append(len((tmp_path / "history.csv").read_text().splitlines()))

    with pytest.warns(UserWarning, match="interrupted"):
        fit(small, callbacks=[read, interrupt_at(10)], log_dir=tmp_path)
    assert lines == [1, 2, 3, 4, 5]  # the header, and a line for each look before


def test_parameters_are_got_cloned_and_not_saved(small: pd.DataFrame, tmp_path: Path) -> None:
    def locked(_: Record) -> None:
        pass

    locked.handle = sys.stderr  # type: ignore[attr-defined]
    calls = [locked, open(tmp_path / "x", "w").write]  # noqa: SIM115, PTH123 (what holds a file cannot be copied)
    synthesizer = Synthesizer(callbacks=calls, log_dir=tmp_path / "runs", max_steps=7)  # type: ignore[arg-type]
    copied = clone(synthesizer)
    assert copied.get_params()["callbacks"] is calls
    assert copied.get_params() == synthesizer.get_params()
    synthesizer.set_params(callbacks=None, log_dir=None, **QUICK).fit(small)
    synthesizer.set_params(callbacks=calls, log_dir=str(tmp_path / "runs")).save(tmp_path / "model")
    assert str(tmp_path) not in (tmp_path / "model" / "synthvae.json").read_text()
    loaded = Synthesizer.load(tmp_path / "model")
    assert (loaded.callbacks, loaded.log_dir) == (None, None)
    assert pickle.loads(pickle.dumps(loaded.set_params(log_dir="runs"))).log_dir == "runs"


@pytest.mark.parametrize("given", ["show", 3, [print, None], {"a": print}])
def test_what_cannot_be_called_is_refused(small: pd.DataFrame, given: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be a function of a record"):
        fit(small, callbacks=given)


def test_a_folder_that_cannot_be_written_is_refused(small: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="Choose another folder"):
        fit(small, log_dir=tmp_path / "file")


def test_a_full_disk_ends_the_log_and_not_the_fit(
    small: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Folder, "append", full)
    with pytest.warns(UserWarning, match=r"history.csv cannot be written \(No space") as told:
        synthesizer = fit(small, log_dir=tmp_path)
    assert len([warning for warning in told if "No space" in str(warning.message)]) == 1
    assert synthesizer.history_.stopped == "finished"


def test_without_tensorboard_one_line_says_so(
    small: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.warns(UserWarning, match=r"synthvae\[tensorboard\]") as told:
        fit(small, log_dir=tmp_path)
    assert len([w for w in told if "\n" not in str(w.message) and "tensorboard" in str(w.message)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


SCHEMA = Schema(
    columns=[
        Column(name="alcohol", kind="continuous", bounds=(10, 16), decimals=2, nullable=False),
        Column(name="target", kind="categorical", categories=[0, 1, 2], nullable=False),
    ]
)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradients", "tables"])
def test_a_private_fit_tells_steps_alone(small: pd.DataFrame, tmp_path: Path, strategy: str) -> None:
    seen: list[Record] = []

    def watch(record: Record) -> bool:
        seen.append(record)
        return True  # is not heard: the number of steps is public

    budget = PrivacyBudget(epsilon=20.0, delta=1e-3)
    table = small.drop(columns="hue")
    fit(table, schema=SCHEMA, privacy=budget, strategy=strategy, callbacks=watch, log_dir=tmp_path, max_steps=60)
    assert seen[0].step == callbacks.PRIVATE_EVERY
    assert len(seen) > 1
    for record in seen:
        assert math.isnan(record.loss)
        assert record.metrics == {}
    logged = pd.read_csv(tmp_path / "history.csv")
    assert logged["step"].tolist() == [record.step for record in seen]
    assert logged.drop(columns="step").isna().all(axis=None)
    assert events(tmp_path) == {}


numbers = st.floats(-1e6, 1e6)
records = st.builds(Record, st.integers(1, 10**6), numbers, numbers, numbers, st.none() | numbers)


@given(st.lists(records, min_size=1))
@settings(max_examples=25, deadline=None)
def test_lines_are_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, looks: list[Record]) -> None:
    folder = tmp_path_factory.mktemp("log")
    with callbacks._history(folder) as add:
        for look in looks:
            add(look)
    read = pd.read_csv(folder / "history.csv").astype({"held_out": float})
    pd.testing.assert_frame_equal(read, History(looks).table(), rtol=1e-12, check_dtype=False)
    assert looks[0].metrics.keys() == set(TRACKED) - ({"held_out"} if looks[0].validation is None else set())


def test_the_shell_writes_a_log(small: pd.DataFrame, tmp_path: Path) -> None:
    small.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "quick.yaml").write_text("max_steps: 20\nwidth: 8\nlatent_dim: 2\n")
    words = ["fit", tmp_path / "table.csv", "--config", tmp_path / "quick.yaml", "-o", tmp_path / "model", "--log-dir"]
    refused = CliRunner().invoke(app, [*map(str, words), str(tmp_path / "model" / "log")])
    assert refused.exit_code == 1
    assert "`--log-dir` must be outside" in refused.stderr
    done = CliRunner().invoke(app, [*map(str, words), str(tmp_path / "log")])
    assert done.exit_code == 0, done.stderr
    assert pd.read_csv(tmp_path / "log" / "history.csv")["step"].iloc[-1] == 20
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "README.md", "model.safetensors", "synthvae.json"
    ]  # fmt: skip
