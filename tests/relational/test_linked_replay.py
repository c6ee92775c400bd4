"""Private fits of linked tables are recorded in a journal: what is interrupted goes on, and what is replayed is equal.

A journal keeps every release of a fit. The database with one more subject, with all its rows in all tables, is fitted
with that journal: any difference, of a single byte, was revealed past the ledger.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_private_database import CAPS, SCHEMAS, Frames, budget, database, tables

from synthvae.errors import ConfigurationError, PrivacyError
from synthvae.privacy import Journal, fit
from synthvae.relational import DatabaseSynthesizer, private_learning, saving
from synthvae.relational.fitted_database import FittedRoot
from synthvae.relational.private_descent import PrivateSequenceDescent
from synthvae.relational.private_planning import with_counts

STEPS = 3


@pytest.fixture(autouse=True)
def few_drawn_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that take a second or two."""
    monkeypatch.setattr(fit, "DRAWN_ROWS", (300, 400))


def quick(frames: Frames, journal: Path | None, changes: Any = None, **options: Any) -> DatabaseSynthesizer:
    given: dict[str, Any] = {"max_steps": STEPS, "random_state": 0, "privacy": budget(), "journal": journal}
    return DatabaseSynthesizer(database(frames, **(changes or {})), **{**given, **options})


def seen(frames: Frames, folder: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, str]:
    """All that a fit shows: files, what it prints, rows it draws."""
    synthesizer = quick(frames, **options, verbose=True).fit()
    synthesizer.save(folder)
    printed = capsys.readouterr()
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    rows = {f"rows of {name}": table.to_csv() for name, table in synthesizer.sample(subjects=30).items()}
    return {**files, **rows, "out": printed.out, "err": printed.err}


def subject(visits: int, labs: int, **values: Any) -> Frames:
    """One more patient, with so many visits and measurements of the first one."""
    key = values.pop("key", "P-9999")
    patient = pd.DataFrame({"id": [key], "born": [values.get("born", pd.Timestamp("1955-05-05"))], "sex": "f"})
    rows = pd.DataFrame({"visit": np.arange(visits) + 5000, "patient": key, "day": np.arange(visits)[::-1] * 9})
    rows["ward"], rows["weight"] = values.get("ward", "a"), values.get("weight", 61.5)
    taken = pd.DataFrame({"visit": np.full(labs, 5000), "patient": key, "code": values.get("code", "k")})
    taken["value"], taken["number"] = values.get("value", 0.25), np.arange(labs) + 1
    return {"patients": patient.astype({"sex": str}), "visits": rows, "labs": taken}


SUBJECTS: dict[str, Frames] = {
    "like the others": subject(3, 2),
    "without rows": subject(0, 0),
    "of more rows than the caps": subject(50, 40),
    "out of bounds": subject(2, 3, born=pd.Timestamp("1880-01-01"), weight=9e9, value=-70.0),
    "unknown": subject(4, 1, ward=None, weight=np.nan, code="other"),
    "first of all keys": subject(1, 1, key="A"),
}


def joined(frames: Frames, more: Frames, place: str) -> Frames:
    """Tables with the rows of one more subject at a place."""

    def at(frame: pd.DataFrame) -> int:
        return {"first": 0, "middle": len(frame) // 2, "last": len(frame)}[place]

    return {
        name: pd.concat([frame[: at(frame)], more[name].astype(frame.dtypes.to_dict()), frame[at(frame) :]])
        for name, frame in frames.items()
    }


@pytest.mark.slow
def test_one_subject_more_changes_nothing_but_noisy_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever its rows are, and wherever they stand; the number of subjects is a noisy output as well."""
    frames, journal = tables(), tmp_path / "journal"
    how: dict[str, Any] = {"journal": journal, "privacy": budget(rows=None, delta=1e-5)}
    first = seen(frames, tmp_path / "one", capsys, **how)
    for number, (name, more) in enumerate(SUBJECTS.items()):
        place = ("first", "middle", "last")[number % 3]
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        assert seen(joined(frames, more, place), tmp_path / "two", capsys, **how) == first, (name, place)


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [0, 1, 2])
def test_few_subjects_are_no_error(subjects: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A database of one subject less is a neighbour like any other."""
    frames = tables(3)
    kept = frames["patients"]["id"][:subjects]
    keys = {"patients": "id", "visits": "patient", "labs": "patient"}
    fewer = {name: frames[name][frames[name][key].isin(kept)] for name, key in keys.items()}
    how: dict[str, Any] = {"journal": tmp_path / "journal"}
    assert seen(fewer, tmp_path / "two", capsys, **how) == seen(frames, tmp_path / "one", capsys, **how)


@pytest.mark.slow
def test_what_is_read_of_the_rows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guard can fail: without the journal models differ, and so they do if the number of subjects is kept."""
    frames, more = tables(), joined(tables(), SUBJECTS["like the others"], "last")
    one = seen(frames, tmp_path / "one", capsys, journal=None)
    assert one["model.safetensors"] != seen(frames, tmp_path / "two", capsys, journal=None)["model.safetensors"]
    counted: list[int] = []

    def counting(plan: Any, name: str, found: Any) -> Any:
        counted.append(found["patients"].rows.num_rows)
        return with_counts(plan, name, found)

    monkeypatch.setattr(private_learning, "with_counts", counting)
    monkeypatch.setattr(private_learning, "FittedRoot", lambda model, _: FittedRoot(model, counted[-1]))
    how: dict[str, Any] = {"journal": tmp_path / "journal"}
    assert seen(frames, tmp_path / "three", capsys, **how) != seen(more, tmp_path / "four", capsys, **how)


class CrashError(Exception):
    """The machine is switched off."""


def crashing(monkeypatch: pytest.MonkeyPatch, after: int, *, descent: bool) -> None:
    """Have a fit end once it has kept so many releases, or taken so many steps with child tables."""
    done: list[int] = []
    keep, backward = Journal.keep, PrivateSequenceDescent.backward

    def count() -> None:
        if len(done) == after:
            raise CrashError
        done.append(1)

    def kept(self: Journal, draw: Any) -> Any:
        def draw_once() -> Any:
            count()
            return draw()

        return keep(self, draw_once)

    def stepped(self: PrivateSequenceDescent, step: int) -> None:
        count()
        backward(self, step)

    if descent:
        monkeypatch.setattr(PrivateSequenceDescent, "backward", stepped)
    else:
        monkeypatch.setattr(Journal, "keep", kept)


def releases(journal: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in journal.glob("*.safetensors")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "descent"), [(0, False), (1, False), (9, False), (STEPS, True), (2 * STEPS - 1, True)]
)
def test_a_repeated_fit_reuses_the_releases_of_an_interrupted_one(
    after: int,
    descent: bool,  # noqa: FBT001 (a parameter of the test)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it ended: before the first release, in the root table, between tables, or in the last descent."""
    frames, journal = tables(), tmp_path / "journal"
    with monkeypatch.context() as patch:
        crashing(patch, after, descent=descent)
        with pytest.raises(CrashError) as caught:
            quick(frames, journal, random_state=None).fit()
    kept = releases(journal)
    assert descent or len(kept) == after
    assert ["was spent" in note for note in caught.value.__notes__] == [True]
    noted = json.loads((journal / "ledger.json").read_text("utf-8"))
    assert noted["epsilon"] <= noted["budget"] == 3.0
    assert noted["unit"].startswith("one row of a root table")
    resumed = quick(frames, journal, random_state=None).fit()
    assert kept.items() < releases(journal).items()
    again = quick(frames, journal, random_state=None).fit()
    assert saving.fingerprint(resumed.learned_) == saving.fingerprint(again.learned_)
    assert json.loads((journal / "ledger.json").read_text("utf-8")) == again.learned_.ledger.statement()  # type: ignore[union-attr]


@pytest.mark.slow
def test_an_interrupt_ends_the_fit_with_what_was_spent_and_the_same_fit_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, journal, steps = tables(), tmp_path / "journal", itertools.count(1)
    backward = PrivateSequenceDescent.backward

    def interrupted(self: PrivateSequenceDescent, step: int) -> None:
        if next(steps) == STEPS:  # the last step of the first child table
            raise KeyboardInterrupt
        backward(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(PrivateSequenceDescent, "backward", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            quick(frames, journal).fit()
    assert any("was spent" in note for note in caught.value.__notes__)
    noted = json.loads((journal / "ledger.json").read_text("utf-8"))
    named = [event.split(":")[0].split(" x ")[0] for event in noted["events"]]
    assert "rows of each class of patients" in named
    assert named[-1] == "gradients of visits"
    kept = releases(journal)
    fitted = quick(frames, journal).fit()
    assert kept.items() < releases(journal).items()
    assert fitted.ledger_ is not None
    assert fitted.ledger_.events[-1].name == "gradients of labs"


@pytest.mark.slow
def test_a_journal_of_another_fit_is_refused(tmp_path: Path) -> None:
    frames, journal = tables(10), tmp_path / "journal"
    quick(frames, journal, privacy=budget(rows=10)).fit()
    stored = releases(journal)
    code, value = SCHEMAS["labs"]["columns"]
    wider = {**SCHEMAS, "labs": {"columns": [code, {**value, "bounds": (-6, 5)}]}}
    others: list[dict[str, Any]] = [
        {"privacy": budget(rows=10, epsilon=4.0)},
        {"privacy": budget(rows=10, rows_of_tables={**CAPS, "labs": 5})},
        {"random_state": 1},
        {"max_steps": STEPS - 1},
        {"changes": {"schemas": wider}},
        {"changes": {"order": {}}},
    ]
    for other in others:
        with pytest.raises(PrivacyError, match="is of a fit with another budget, schema, target, seed or plan"):
            quick(frames, journal, **{"privacy": budget(rows=10), **other}).fit()
    assert releases(journal) == stored


def test_what_a_journal_cannot_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`journal` must be None without `privacy`"):
        DatabaseSynthesizer(database(tables(5)), journal=tmp_path / "journal")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(PrivacyError, match=r"holds 'notes.txt', which is of no fit"):
        quick(tables(5), tmp_path / "mine", privacy=budget(rows=5)).fit()
