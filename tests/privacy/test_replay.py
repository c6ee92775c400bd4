"""Of neighbouring tables, a fit tells apart no more than its noisy outputs: with those replayed, all else is the same.

A journal keeps every release and every noisy gradient of a fit to one table. Then the table with one row more is fitted
with that journal, so that its noisy outputs are the same. Any difference, of a single byte, was revealed past the
ledger.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_fit import SCHEMA, few_drawn_rows, quick, table

from synthvae.errors import PrivacyError
from synthvae.privacy import Journal, fit
from synthvae.schema.coercion import conform

__all__ = ["few_drawn_rows"]  # a fixture

ODD_ROWS: dict[str, dict[str, Any]] = {
    "like the others": {"sex": "F", "age": 40, "weight": 60.0, "smoker": False, "seen": "2024-03-01", "ill": "yes"},
    "out of bounds": {"sex": "F", "age": 4000, "weight": -7.0, "smoker": True, "seen": "1920-03-01", "ill": "no"},
    "unknown": {"sex": "X", "age": np.nan, "weight": np.inf, "smoker": None, "seen": None, "ill": "no"},
    "of no class": {"sex": "M", "age": 40, "weight": 60.0, "smoker": False, "seen": "2024-03-01", "ill": "perhaps"},
    "finer": {"sex": "M", "age": 40.5, "weight": 60.12345, "smoker": False, "seen": "2024-03-01", "ill": "yes"},
}


def seen(
    frame: pd.DataFrame | Path, folder: Path, capsys: pytest.CaptureFixture[str], **changes: Any
) -> dict[str, str]:
    """All that a fit shows: files, what it prints, rows it draws."""
    synthesizer = quick(verbose=True, **changes).fit(frame)
    synthesizer.save(folder)
    printed = capsys.readouterr()
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    return {**files, "out": printed.out, "err": printed.err, "rows": synthesizer.sample(50).to_csv()}


def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).astype({"seen": str})


PLACES = {"first": 0, "middle": 200, "last": 400}


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [{"strategy": "gradients"}, {"strategy": "tables"}, {"schema": "private"}],
    ids=lambda way: str(*way.values()),
)
def test_one_row_more_changes_nothing_but_noisy_outputs(
    way: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it holds, and wherever it stands."""
    frame, journal = as_objects(table()), tmp_path / "journal"
    first = seen(frame, tmp_path / "one", capsys, journal=journal, **way)
    for (name, odd), (where, place) in itertools.product(ODD_ROWS.items(), PLACES.items()):
        row = pd.DataFrame([odd])[SCHEMA.names].astype(object)
        more = pd.concat([frame[:place], row, frame[place:]], ignore_index=True)
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        assert seen(more, tmp_path / "two", capsys, journal=journal, **way) == first, (name, where)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["X,007x,2020-01-01,perhaps,12:30,no", '"F,40,60,open quote', "torn,\xff"])
def test_one_odd_line_of_a_file_changes_nothing_but_noisy_outputs(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, journal = tmp_path / "t.csv", tmp_path / "journal"
    table().to_csv(path, index=False)
    first = seen(path, tmp_path / "one", capsys, journal=journal)
    lines = path.read_text().splitlines(keepends=True)
    for place in PLACES.values():
        path.write_bytes("".join([*lines[: place + 1], f"{line}\n", *lines[place + 1 :]]).encode("latin-1"))
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        assert seen(path, tmp_path / "two", capsys, journal=journal) == first


@pytest.mark.slow
def test_one_patient_more_changes_nothing_but_noisy_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, journal = table().assign(patient=np.arange(400) // 2), tmp_path / "journal"
    budget = {"epsilon": 5.0, "delta": 1e-5, "unit": "patient", "rows_per_unit": 2}
    first = seen(frame, tmp_path / "one", capsys, privacy=budget, journal=journal)
    for place in PLACES.values():
        more = pd.concat([frame[:place], frame.tail(7).assign(patient=1000), frame[place:]], ignore_index=True)
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        assert seen(more, tmp_path / "two", capsys, privacy=budget, journal=journal) == first


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_are_no_error(rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of one row less is a neighbour like any other."""
    journal = tmp_path / "journal"
    first = seen(as_objects(table())[:2], tmp_path / "one", capsys, journal=journal)
    assert seen(as_objects(table())[:rows], tmp_path / "two", capsys, journal=journal) == first


@pytest.mark.slow
def test_without_the_journal_the_models_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The guard can fail: what is compared does depend on the noise."""
    first = seen(table(), tmp_path / "one", capsys)
    second = seen(table(), tmp_path / "two", capsys)
    assert first["model.safetensors"] != second["model.safetensors"]


@pytest.mark.slow
def test_what_looks_at_the_rows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guard can fail: a fit that draws as many rows as there are is found out."""

    def drawn(model: Any, encoding: Any, rows: int, seed: int) -> Any:
        del rows
        return original(model, encoding, 5 * counted[-1], seed)

    def counting(given: Any, schema: Any) -> Any:
        counted.append(given.num_rows)
        return conform(given, schema)

    counted: list[int] = []
    original = fit._synthetic
    monkeypatch.setattr(fit, "_synthetic", drawn)
    monkeypatch.setattr(fit, "conform", counting)
    first = seen(table(), tmp_path / "one", capsys, journal=tmp_path / "journal")
    second = seen(table(401), tmp_path / "two", capsys, journal=tmp_path / "journal")
    assert first["model.safetensors"] != second["model.safetensors"]


class CrashError(Exception):
    """The machine is switched off."""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 9, 25])
def test_a_repeated_fit_reuses_the_releases_of_an_interrupted_one(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    drawn_before: list[int] = []
    keep = Journal.keep

    def broken(self: Journal, draw: Any) -> Any:
        def draw_once() -> Any:
            if len(drawn_before) == after:
                raise CrashError
            drawn_before.append(1)
            return draw()

        return keep(self, draw_once)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "keep", broken)
        with pytest.raises(CrashError):
            quick(journal=journal, random_state=None).fit(table())
    kept = {path.name: path.read_bytes() for path in journal.glob("*.safetensors")}
    assert len(kept) == after
    fitted = quick(journal=journal, random_state=None).fit(table())
    assert {name: (journal / name).read_bytes() for name in kept} == kept
    again = quick(journal=journal, random_state=None).fit(table())
    assert again.learned_.fingerprint == fitted.learned_.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"privacy": {"epsilon": 21.0, "delta": 1e-5}}, {"target": None}, {"random_state": 1}, {"max_steps": 21}]
)
def test_a_journal_of_another_fit_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    quick(journal=tmp_path / "journal").fit(table())
    with pytest.raises(PrivacyError, match="is of a fit with another budget, schema, target, seed or plan"):
        quick(journal=tmp_path / "journal", **changes).fit(table())


def _keep(folder: Path, releases: int) -> list[float]:
    """Buy releases, or take up those that there are."""
    journal, drawn = Journal.open(folder, {}, seed=0, new=0), itertools.count(100.0 * releases)
    return [float(journal.keep(lambda: [torch.tensor(next(drawn))])[0]) for _ in range(releases)]


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-1])])
def test_a_release_that_was_lost_or_damaged_is_not_drawn_again(tmp_path: Path, harm: Callable[[Path], Any]) -> None:
    first = _keep(tmp_path / "journal", 3)
    assert _keep(tmp_path / "journal", 4)[:3] == first
    harm(tmp_path / "journal" / "000001.safetensors")
    with pytest.raises(PrivacyError, match="A release is not drawn twice"):
        _keep(tmp_path / "journal", 4)
