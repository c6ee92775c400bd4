"""Of neighbouring tables, a fit tells apart no more than its noisy outputs: with those replayed, all else is the same.

Every release and every noisy gradient of a fit to one table is recorded. Then the table with one row more is fitted,
the records being played back in place of what that row would have changed. Whatever differs now, by a single byte, was
told past the ledger.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_private_fit import SCHEMA, few_drawn_rows, quick, table

from synthvae.privacy.dpsgd import NoisyOptimizer
from synthvae.privacy.partition import Ruler
from synthvae.privacy.releases import Curator

__all__ = ["few_drawn_rows"]  # a fixture

ODD_ROWS: dict[str, dict[str, Any]] = {
    "like the others": {"sex": "F", "age": 40, "weight": 60.0, "smoker": False, "seen": "2024-03-01", "ill": "yes"},
    "out of bounds": {"sex": "F", "age": 4000, "weight": -7.0, "smoker": True, "seen": "1920-03-01", "ill": "no"},
    "unknown": {"sex": "X", "age": np.nan, "weight": np.inf, "smoker": None, "seen": None, "ill": "no"},
    "of no class": {"sex": "M", "age": 40, "weight": 60.0, "smoker": False, "seen": "2024-03-01", "ill": "perhaps"},
    "finer": {"sex": "M", "age": 40.5, "weight": 60.12345, "smoker": False, "seen": "2024-03-01", "ill": "yes"},
}


class Tape:
    """Records what noise made of the rows, then plays it back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: list[Any] = []
        self.playing = False
        monkeypatch.setattr(Curator, "counts", self._tapped(Curator.counts))
        monkeypatch.setattr(Ruler, "grow", self._grown(Ruler.grow))
        monkeypatch.setattr(NoisyOptimizer, "add_noise", self._noise(NoisyOptimizer.add_noise))

    def play(self) -> None:
        """From here on, play back from the start."""
        self.playing, self.left = True, iter(list(self.records))

    def _tapped(self, original: Any) -> Any:
        def counts(curator: Curator, *given: Any) -> Any:
            drawn = original(curator, *given)
            if self.playing:
                return next(self.left)
            self.records.append(drawn)
            return drawn

        return counts

    def _grown(self, original: Any) -> Any:
        def grow(ruler: Ruler, level: int, counts: Any) -> None:
            if not self.playing:
                self.records.append(counts)
            original(ruler, level, next(self.left) if self.playing else counts)

        return grow

    def _noise(self, original: Any) -> Any:
        def add_noise(optimizer: NoisyOptimizer) -> None:
            original(optimizer)
            gradients = [parameter.grad for parameter in optimizer.params]
            if self.playing:
                for parameter, gradient in zip(optimizer.params, next(self.left), strict=True):
                    parameter.grad = gradient.clone()
            else:
                self.records.append([gradient.clone() for gradient in gradients])

        return add_noise


def seen(frame: pd.DataFrame, folder: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> dict[str, str]:
    """All that a fit shows: files, what it prints, rows it draws."""
    synthesizer = quick(verbose=True, **changes).fit(frame)
    synthesizer.save(folder)
    printed = capsys.readouterr()
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    return {**files, "out": printed.out, "err": printed.err, "rows": synthesizer.sample(50).to_csv()}


def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).astype({"seen": str})


@pytest.mark.parametrize("odd", list(ODD_ROWS))
def test_one_row_more_changes_nothing_but_noisy_outputs(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tape, frame = Tape(monkeypatch), as_objects(table())
    more = pd.concat([frame, pd.DataFrame([ODD_ROWS[odd]])[SCHEMA.names].astype(object)], ignore_index=True)
    first = seen(frame, tmp_path / "one", capsys)
    tape.play()
    assert seen(more, tmp_path / "two", capsys) == first


def test_one_patient_more_changes_nothing_but_noisy_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tape, frame = Tape(monkeypatch), table().assign(patient=np.arange(400) // 4)
    budget = {"epsilon": 5.0, "delta": 1e-5, "unit": "patient", "rows_per_unit": 2}
    more = pd.concat([frame, frame.tail(7).assign(patient=1000)], ignore_index=True)
    first = seen(frame, tmp_path / "one", capsys, privacy=budget)
    tape.play()
    assert seen(more, tmp_path / "two", capsys, privacy=budget) == first


def test_without_the_tape_the_models_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guard can fail: what is compared does depend on the noise."""
    del monkeypatch
    first = seen(table(), tmp_path / "one", capsys)
    second = seen(table(), tmp_path / "two", capsys)
    assert first["model.safetensors"] != second["model.safetensors"]
