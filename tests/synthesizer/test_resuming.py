"""A fit that was broken off is taken up: the same model in the end, whatever became of clocks and checkpoints."""

from __future__ import annotations

import itertools
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors.torch
import torch
from sklearn.datasets import load_wine
from test_sources import large, mixed, written

from synthvae import Synthesizer
from synthvae.errors import ConfigurationError
from synthvae.generation import request as generation
from synthvae.generation import workers
from synthvae.training import checkpoint
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.distributed import ProcessGroup
from synthvae.training.history import Record

__all__ = ["large", "mixed"]  # fixtures


class Killed(BaseException):
    """What nobody catches."""


def killed_at(step: int) -> Any:
    def watch(record: Record) -> None:
        if record.step >= step:
            raise Killed

    return watch


@pytest.fixture(params=["in memory", "on disk", "without labels"])
def interrupted(request: pytest.FixtureRequest, tmp_path: Path, mixed: pd.DataFrame, large: None) -> Iterator[Any]:
    """A table, and how it is passed."""
    del large
    if request.param == "without labels":
        mixed.loc[::3, "ill"] = None
    path = written(mixed, tmp_path, "parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield mixed if request.param == "in memory" else path


@pytest.mark.slow
@pytest.mark.parametrize("validation_fraction", [None, 0.0])
def test_a_fit_that_was_killed_ends_with_the_same_model(
    interrupted: Any, validation_fraction: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    few: dict[str, Any] = {
        "target": "ill",
        "max_steps": 60,
        "dropout": 0.2,
        "corruption": 0.1,
        "batch_size": 32,
        "validation_fraction": validation_fraction,
    }
    whole = Synthesizer(**few, random_state=3).fit(interrupted)
    folder = tmp_path / "kept"
    for step in (3, 21):
        with pytest.raises(Killed):
            Synthesizer(**few, random_state=3, journal=folder, callbacks=killed_at(step)).fit(interrupted)
        assert list(folder.glob("*.safetensors")) != [] or step == 3
    seen: list[int] = []
    resumed = Synthesizer(**few, random_state=3, journal=folder, callbacks=lambda r: seen.append(r.step))
    resumed.fit(interrupted)
    assert resumed.learned_.fingerprint == whole.learned_.fingerprint
    assert resumed.history_ == whole.history_
    assert seen == [record.step for record in whole.history_.records]


@pytest.mark.slow
def test_without_a_seed_the_one_that_was_drawn_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    wine, folder = load_wine(as_frame=True).frame, tmp_path / "kept"
    with pytest.raises(Killed):
        Synthesizer(max_steps=30, journal=folder, callbacks=killed_at(5)).fit(wine)
    models = [Synthesizer(max_steps=30, journal=folder).fit(wine).learned_.fingerprint for _ in range(2)]
    assert models[0] == models[1]


@pytest.mark.parametrize("other", [{"latent_dim": 3}, {"random_state": 1}, {"target": "target"}])
def test_what_another_fit_left_is_not_taken_up(tmp_path: Path, other: dict[str, Any]) -> None:
    wine, folder = load_wine(as_frame=True).frame, tmp_path / "kept"
    Synthesizer(max_steps=2, journal=folder, random_state=0).fit(wine)
    with pytest.raises(ConfigurationError, match="same table, parameters and seed"):
        Synthesizer(**{"max_steps": 2, "journal": folder, "random_state": 0, **other}).fit(wine)
    with pytest.raises(ConfigurationError, match="same table, parameters and seed"):
        Synthesizer(max_steps=2, journal=folder, random_state=0).fit(wine.head(100))


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="`journal` must be a folder"):
        Synthesizer(max_steps=2, journal=tmp_path / "file").fit(load_wine(as_frame=True).frame)


FEW: dict[str, Any] = {"target": "target", "max_steps": 40, "width": 16, "latent_dim": 2, "random_state": 0}


@pytest.fixture(scope="module")
def undisturbed(wine: pd.DataFrame) -> str:
    """What a fit ends with that nothing disturbs."""
    return Synthesizer(**FEW).fit(wine).learned_.fingerprint


@pytest.fixture(scope="module")
def killed(wine: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fit left that was killed after two states were kept."""
    place = tmp_path_factory.mktemp("killed") / "kept"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        with pytest.raises(Killed):
            Synthesizer(**FEW, journal=place, callbacks=killed_at(21)).fit(wine)
    assert len(states(place)) == checkpoint.RETAINED
    return place


@pytest.fixture
def left(killed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(killed, tmp_path / "kept")


def states(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*.safetensors"))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1  # of a tensor
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def replace_by_other_tensors(file: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(3)}, file, {"page": "{}"})


def rename(file: Path) -> None:
    """It says that it is of a later step."""
    file.rename(file.with_name(file.name.replace("0000", "0009")))


@pytest.mark.parametrize("lost", [1, checkpoint.RETAINED], ids=["the last", "all"])
@pytest.mark.parametrize("harm", [truncate, flip, empty, replace_by_other_tensors, rename, Path.unlink])
def test_a_state_that_was_lost_or_harmed_is_not_taken_up(
    left: Path, wine: pd.DataFrame, undisturbed: str, harm: Callable[[Path], None], lost: int
) -> None:
    for file in states(left)[-lost:]:
        harm(file)
    assert (Checkpoint(left, 0).latest > 0) == (lost < checkpoint.RETAINED)
    again = Synthesizer(**FEW, journal=left).fit(wine)
    assert again.learned_.fingerprint == undisturbed


@pytest.mark.parametrize("harm", [truncate, empty, lambda page: page.write_bytes(b"{}")])
def test_a_page_of_a_fit_that_is_harmed_is_refused(
    left: Path, wine: pd.DataFrame, harm: Callable[[Path], None]
) -> None:
    harm(left / checkpoint.OWNER)
    with pytest.raises(ConfigurationError, match="`journal` must be a folder that can be used"):
        Synthesizer(**FEW, journal=left).fit(wine)


def test_a_fit_whose_page_is_lost_begins_anew(left: Path, wine: pd.DataFrame, undisturbed: str) -> None:
    (left / checkpoint.OWNER).unlink()
    assert Synthesizer(**FEW, journal=left).fit(wine).learned_.fingerprint == undisturbed


def test_a_state_of_other_processes_or_another_device_is_refused(
    left: Path, wine: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has places among its own share of the rows, and generators of its own device."""
    monkeypatch.setattr(ProcessGroup, "size", 2)
    with pytest.raises(ConfigurationError, match=r"by 1 process\(es\) on cpu, got 2 process\(es\)"):
        Synthesizer(**FEW, journal=left).fit(wine)


@pytest.fixture(params=[1, -1], ids=["forward", "back"])
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock on the wall is set by an hour whenever somebody looks at it."""
    hours = itertools.count(int(time.time()), 3600 * request.param)
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    monkeypatch.setattr(time, "time_ns", lambda: 10**9 * next(hours))


def date_anew(folder: Path) -> None:
    """Give files the dates that the clock shows, the first the last one."""
    for file in sorted(folder.rglob("*"), reverse=True):
        os.utime(file, (time.time(), time.time()))


@pytest.mark.usefixtures("clock")
def test_a_clock_that_is_set_changes_no_fit(left: Path, wine: pd.DataFrame, undisturbed: str) -> None:
    date_anew(left)
    assert Synthesizer(**FEW, journal=left).fit(wine).learned_.fingerprint == undisturbed


def breaking_off(work: Any, *how: Any) -> Any:
    """Have parts drawn until the second."""

    def draws(part: int) -> Any:
        if part == 2:
            raise KeyboardInterrupt
        return work(part)

    return workers.LOCAL.map_parts(draws, *how)


@pytest.mark.usefixtures("clock")
def test_a_clock_that_is_set_changes_no_dataset(
    fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "PART_ROWS", 50)
    fitted.generate(tmp_path / "undisturbed", rows=200, random_state=3)
    with pytest.raises(KeyboardInterrupt):
        fitted.generate(tmp_path / "out", rows=200, random_state=3, backend=workers.FunctionBackend(breaking_off))
    date_anew(tmp_path / "out")
    fitted.generate(tmp_path / "out", rows=200, random_state=3, resume=True)
    found, undisturbed = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in ("out", "undisturbed"))
    assert found == undisturbed
