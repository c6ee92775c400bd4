"""Laws of a device that is not the host; run by `test_device`, in a process of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pretended import NAME, device

from synthvae import Synthesizer
from synthvae.generation import drawing
from synthvae.generation.drawing import draw_codes
from synthvae.training import checkpoint
from synthvae.training.history import Record

SMALL: dict[str, Any] = {"max_steps": 4, "width": 8, "latent_dim": 2, "random_state": 0}
ROUNDING: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-5}
APPROXIMATELY: dict[str, Any] = {"rel": 1e-3, "abs": 1e-5}
KINDS: dict[str, dict[str, Any]] = {
    "autoregressive": {"prior": "vamp", "components": 3},
    "factorized": {"decoder": "factorized", "prior": "class_normal"},
    "pixels": {"likelihood": "gaussian", "posterior": "point", "components": 3},
}


@pytest.fixture
def table(wine: pd.DataFrame) -> pd.DataFrame:
    """Rows of wine: numbers of many values and of few, and categories."""
    few = wine[["alcohol", "magnesium", "target"]].astype({"magnesium": int})
    return few.assign(strong=np.where(few["alcohol"] > 13, "yes", "no"))


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="strong")


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_learns_and_draws_what_the_host_does(kind: str, table: pd.DataFrame, tmp_path: Path) -> None:
    rows, parameters = numbers(table) if kind == "pixels" else table, {**SMALL, **KINDS[kind]}
    here = Synthesizer(target="target", device="cpu", **parameters).fit(rows)
    here.save(tmp_path / "here")
    with device():
        there = Synthesizer(target="target", device=NAME, **parameters).fit(rows)
        assert {parameter.device.type for parameter in there.model_.parameters()} == {NAME}
        assert_same_history(there, here)
        there.save(tmp_path / "there")
        fingerprint = there.learned_.fingerprint
        assert Synthesizer.load(tmp_path / "there", device=NAME).learned_.fingerprint == fingerprint
        moved = Synthesizer.load(tmp_path / "here", device=NAME)
        pd.testing.assert_frame_equal(moved.sample(30), here.sample(30))
        np.testing.assert_allclose(moved.transform(rows), here.transform(rows), **ROUNDING)
        np.testing.assert_allclose(_scores(moved, rows), _scores(here, rows), **ROUNDING)
        pd.testing.assert_frame_equal(moved.sample_like(rows.head(3)), here.sample_like(rows.head(3)))
    assert Synthesizer.load(tmp_path / "there", device="cpu").learned_.fingerprint == fingerprint


def assert_same_history(there: Synthesizer, here: Synthesizer) -> None:
    """Both learned the same, but for the last bits: kernels of two devices may add in another order."""
    for one, other in zip(there.history_.records, here.history_.records, strict=True):
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(other), **APPROXIMATELY)
    assert there.history_.kl_per_dimension == pytest.approx(here.history_.kl_per_dimension, **APPROXIMATELY)
    assert there.history_.stopped == here.history_.stopped


def _scores(synthesizer: Synthesizer, rows: pd.DataFrame) -> Any:
    proposal = "prior" if synthesizer.posterior == "point" else "posterior"
    return synthesizer.log_likelihood(rows, k=2, proposal=proposal)


def test_rows_without_a_label_are_learned_there(table: pd.DataFrame) -> None:
    half = table.assign(target=table["target"].where(table.index % 2 == 0))
    with device(), pytest.warns(UserWarning, match="no label"):
        there = Synthesizer(target="target", device=NAME, **SMALL).fit(half)
    with pytest.warns(UserWarning, match="no label"):
        here = Synthesizer(target="target", device="cpu", **SMALL).fit(half)
    assert_same_history(there, here)


class Killed(BaseException):
    """What nobody catches."""


def _killed(record: Record) -> None:
    if record.step >= 3:
        raise Killed


def test_a_fit_that_was_killed_is_taken_up(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    parameters: dict[str, Any] = {**SMALL, "device": NAME, "dropout": 0.2}
    with device():
        with pytest.raises(Killed):
            Synthesizer(**parameters, journal=tmp_path, callbacks=_killed).fit(table)
        assert list(tmp_path.glob("*.safetensors"))
        resumed = Synthesizer(**parameters, journal=tmp_path).fit(table)
        assert resumed.learned_.fingerprint == Synthesizer(**parameters).fit(table).learned_.fingerprint


@pytest.mark.parametrize("decoder", ["autoregressive", "factorized"])
def test_a_chunk_is_launched_before_the_one_before_it_is_waited_for(
    decoder: str, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "CHUNK_ROWS_OF_GPU", 16)
    monkeypatch.setattr(drawing, "CHUNK_ROWS", 16)
    here = Synthesizer(target="target", device="cpu", decoder=decoder, **SMALL).fit(table)
    slots, counts = here.encoding_.layout.slots, (40, 0, 20)
    whole = draw_codes(here.model_, counts, slots, torch.Generator().manual_seed(1))
    with device() as gpu:
        model = here.model_.to(NAME)
        gpu.launched.clear()
        there = drawing.draw_codes(model, counts, slots, torch.Generator(NAME).manual_seed(1))
        told = [what for what in gpu.launched if what in {"event", "wait"}]
        assert gpu.waits == set()
    np.testing.assert_array_equal(there.digits, whole.digits)
    np.testing.assert_array_equal(there.values, whole.values)
    assert told == ["event", *["event", "wait"] * (told.count("event") - 1), "wait"]
    assert told.count("event") == 6  # chunks of 16, 16, 8; 0; 16, 4


def test_the_pretended_device_refuses_what_cuda_does() -> None:
    with device():
        there, here = torch.ones(3, device=NAME), torch.ones(3)
        with pytest.raises(RuntimeError, match="two devices"):
            there + here
        with pytest.raises(RuntimeError, match="two devices"):
            torch.cat([there, here])
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=torch.Generator(), device=NAME)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert (there + torch.ones(())).tolist() == [2, 2, 2]
