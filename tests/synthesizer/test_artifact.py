"""A model directory is whole or refused; loading runs no code; saving loses nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema, Synthesizer, filesystem
from synthvae.errors import ArtifactError
from synthvae.model import CVAE
from synthvae.synthesizer import artifact
from synthvae.training.checkpoint import content_hash

PAGE, WEIGHTS, CARD = "synthvae.json", "model.safetensors", "README.md"
SMALL_PAGE: dict[str, Any] = {"name": "ü \x1f", "rate": 1e-05, "third": 1 / 3, "none": None, "list": [0, -1e300]}


def small() -> dict[str, torch.Tensor]:
    return {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1], dtype=torch.int64)}


def other() -> dict[str, torch.Tensor]:
    return {name: tensor + 1 for name, tensor in small().items()}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_line(error: BaseException) -> None:
    assert "\n" not in str(error)


SAMPLES = """
import sys
import threading
from synthvae import Synthesizer
model = Synthesizer.load(sys.argv[1])
model.sample(200, random_state=5).to_pickle(sys.argv[2])
"""


@pytest.mark.slow
def test_a_fresh_process_samples_the_same_rows(fitted: Synthesizer, saved: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SAMPLES, str(saved), str(tmp_path / "rows")], check=True)
    pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "rows"), fitted.sample(200, random_state=5))


def test_what_is_loaded_is_what_was_saved(fitted: Synthesizer, saved: Path, wine: pd.DataFrame) -> None:
    loaded = Synthesizer.load(saved, device="cpu")
    assert loaded.encoding_ == fitted.encoding_
    assert loaded.schema_ == fitted.schema_
    assert loaded.history_ == fitted.history_
    assert {**loaded.get_params(), "schema": None} == fitted.get_params()
    assert loaded.feature_names_in_.tolist() == fitted.feature_names_in_.tolist()
    np.testing.assert_array_equal(loaded.log_likelihood(wine), fitted.log_likelihood(wine))
    np.testing.assert_array_equal(loaded.transform(wine), fitted.transform(wine))


def test_a_loaded_model_writes_the_same_bytes(fitted: Synthesizer, saved: Path, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "a", rows=50)
    Synthesizer.load(saved, device="cpu").generate(tmp_path / "b", rows=50)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_saving_again_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    Synthesizer.load(saved, device="cpu").save(tmp_path / "model")
    assert tree(tmp_path / "model") == tree(saved)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a pickle was opened")


def test_nothing_is_pickled(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(place, name, refuse)
    Synthesizer.load(saved, device="cpu")
    assert set(tree(saved)) == {PAGE, WEIGHTS, CARD}
    json.loads((saved / PAGE).read_bytes())
    header = int.from_bytes((saved / WEIGHTS).read_bytes()[:8], "little")
    assert json.loads((saved / WEIGHTS).read_bytes()[8 : 8 + header])


def test_the_checksum_of_the_weights_is_theirs(saved: Path) -> None:
    page = json.loads((saved / PAGE).read_bytes())
    assert page["weights_sha256"] == hashlib.sha256((saved / WEIGHTS).read_bytes()).hexdigest()


def test_no_training_row_is_saved(registry: Synthesizer, visits: pd.DataFrame, tmp_path: Path) -> None:
    registry.save(tmp_path / "model")
    content = b"".join(tree(tmp_path / "model").values()).decode("latin-1")
    assert not [key for name in ("patient", "key") for key in visits[name] if key in content]


def harmed(folder: Path, name: str, content: bytes) -> bool:
    """Whether harm to a file is seen; harm that leaves the page's meaning as it was (1e-05, 1E-05) is none."""
    before = (folder / name).read_bytes()
    meaning = json.dumps(json.loads(before)) if name == PAGE else None
    (folder / name).write_bytes(content)
    try:
        page, _ = artifact.load(folder)
    except ArtifactError as error:
        assert_one_line(error)
        return True
    else:
        return name == PAGE and json.dumps(page) == meaning
    finally:
        (folder / name).write_bytes(before)


def flipped(content: bytes, bit: int) -> bytes:
    harmed_content = bytearray(content)
    harmed_content[bit // 8] ^= 1 << bit % 8
    return bytes(harmed_content)


@pytest.mark.parametrize("name", [PAGE, WEIGHTS])
def test_a_flipped_bit_in_any_byte_and_every_truncation_of_a_small_model_is_seen(tmp_path: Path, name: str) -> None:
    artifact.save(tmp_path / "model", SMALL_PAGE, small())
    content = (tmp_path / "model" / name).read_bytes()
    unseen = [
        bit for bit in range(0, 8 * len(content), 3) if not harmed(tmp_path / "model", name, flipped(content, bit))
    ]
    cut = [size for size in range(len(content)) if not harmed(tmp_path / "model", name, content[:size])]
    assert (unseen, cut) == ([], [])


@pytest.mark.parametrize("name", [PAGE, WEIGHTS])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_flipped_bit_or_truncation_of_a_real_model_is_seen(saved: Path, name: str, data: st.DataObject) -> None:
    content = (saved / name).read_bytes()
    assert harmed(saved, name, flipped(content, data.draw(st.integers(0, 8 * len(content) - 1))))
    assert harmed(saved, name, content[: data.draw(st.integers(0, len(content) - 1))])
    assert harmed(saved, name, content + b"\0")


ODD_PAGES = [b"[]", b"3", b"null", b'"x"', b"", b"{}", b'{"format": "1"}', b'{"format": null}', b"\xff\xfe", b"{" * 9]
ODD_PAGES += [b'{"format": 1, "sha256": []}', b'{"format": 1, "x": "\\ud800"}', b"[" * 200_000, b'{"format": 0}']
ODD_PAGES += [
    b'{"format": true}',
    b'{"format": -1}',
    b'{"format": 1.0}',
    b'{"format": 2, "format": 1}',
    b'{"format": NaN}',
]


@pytest.mark.parametrize("page", ODD_PAGES, ids=lambda page: repr(page[:30]))
def test_what_is_no_page_is_refused(tmp_path: Path, page: bytes) -> None:
    artifact.save(tmp_path / "model", {}, small())
    (tmp_path / "model" / PAGE).write_bytes(page)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(tmp_path / "model")
    assert_one_line(caught.value)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a page and make its checksum right again, as only a person or another release would."""
    page = json.loads((folder / PAGE).read_bytes())
    change(page)
    page["sha256"] = artifact._checksum(page)
    (folder / PAGE).write_text(json.dumps(page), "utf-8")


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    for name, content in tree(saved).items():
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


def test_a_newer_format_is_refused_and_says_so(copy: Path) -> None:
    rewritten(copy, lambda page: page.update(format=artifact.FORMAT + 1))
    with pytest.raises(ArtifactError, match="newer synthvae"):
        Synthesizer.load(copy)


def test_a_doubled_key_is_refused(copy: Path) -> None:
    """Python would take the last of both, and another reader the first."""
    content = (copy / PAGE).read_text("utf-8")
    (copy / PAGE).write_text(content.replace("{", '{"ledger": {"budget": 1},', 1), "utf-8")
    with pytest.raises(ArtifactError, match="damaged"):
        Synthesizer.load(copy)


IMPOSSIBLE: list[tuple[str, str, Any]] = [
    ("history", "best_step", -1), ("history", "best_step", "\x1b[2J"), ("history", "active_units", -3),
    ("history", "held_out_elbo", "much"), ("table", "rows", -1), ("table", "rows", True), ("table", "rows", "7"),
    ("table", "missing", {"a": -0.5}), ("table", "missing", {"a": 2}), ("table", "missing", {"a": True}),
    ("table", "protection", {"least": -1, "columns": {}}),
    ("table", "protection", {"least": 5, "columns": {"a": {"rare_categories": -2}}}),
]  # fmt: skip


@pytest.mark.parametrize(("section", "key", "value"), IMPOSSIBLE, ids=str)
def test_an_impossible_number_is_refused(copy: Path, section: str, key: str, value: Any) -> None:
    rewritten(copy, lambda page: page[section].update({key: value}))
    with pytest.raises(ArtifactError, match="does not describe a model"):
        Synthesizer.load(copy)


@pytest.mark.parametrize("name", [PAGE, WEIGHTS])
def test_an_absent_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        Synthesizer.load(copy)


def test_an_absent_directory_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(ArtifactError, match=path.name):
            Synthesizer.load(path)


VALUES: list[Any] = [None, [], {}, 3, "x", [1], {"x": 1}]


@pytest.mark.parametrize("key", ["parameters", "schema", "encoding", "model", "history"])
def test_a_page_that_describes_no_model_is_refused(copy: Path, key: str) -> None:
    whole = (copy / PAGE).read_bytes()
    for value in VALUES:
        if (key, value) in (("parameters", {}), ("parameters", [])):
            continue  # parameters have defaults
        rewritten(copy, lambda page, value=value: page.update({key: value}))  # type: ignore[misc]
        with pytest.raises(ArtifactError) as caught:
            Synthesizer.load(copy)
        (copy / PAGE).write_bytes(whole)
        assert str(copy) in str(caught.value)
    rewritten(copy, lambda page: page.pop(key))
    with pytest.raises(ArtifactError):
        Synthesizer.load(copy)


def former_names(page: dict[str, Any]) -> None:
    """Give the fields of columns the names that they had in the first release."""
    former = {"sentinels": "marks", "other_category": "other"}
    columns = page["schema"]["columns"]
    page["schema"]["columns"] = [{former.get(name, name): value for name, value in c.items()} for c in columns]


def test_a_model_with_former_names_of_fields_is_loaded_without_a_warning(tmp_path: Path) -> None:
    schema = Schema(
        columns=[
            Column(name="dose", kind="integer", bounds=(0, 99), sentinels=["N"]),
            Column(name="site", kind="categorical", categories=["a", "b"], other_category="b"),
        ]
    )
    frame = pd.DataFrame({"dose": ["N", "1", "2", "99"] * 10, "site": ["a", "b", "c", "a"] * 10})
    Synthesizer(schema=schema, max_steps=1, random_state=0).fit(frame).save(tmp_path)
    before = json.loads((tmp_path / PAGE).read_bytes())["schema"]
    rewritten(tmp_path, former_names)
    assert json.loads((tmp_path / PAGE).read_bytes())["schema"] != before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = Synthesizer.load(tmp_path)
    assert loaded.schema_ == schema
    loaded.save(tmp_path)
    assert json.loads((tmp_path / PAGE).read_bytes())["schema"] == before


def test_weights_of_another_shape_are_refused_in_one_line(copy: Path) -> None:
    rewritten(copy, lambda page: page["model"].update(width=7))
    with pytest.raises(ArtifactError) as caught:
        Synthesizer.load(copy)
    assert_one_line(caught.value)


def test_saving_over_a_model_replaces_it(tmp_path: Path) -> None:
    artifact.save(tmp_path / "deep" / "model", {"name": "old"}, small())
    artifact.save(tmp_path / "deep" / "model", {"name": "new"}, other())
    page, weights = artifact.load(tmp_path / "deep" / "model")
    assert page["name"] == "new"
    assert all(torch.equal(weights[name], tensor) for name, tensor in other().items())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


def test_an_empty_folder_becomes_a_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    artifact.save(tmp_path / "model", {}, small())
    assert set(tree(tmp_path / "model")) == {PAGE, WEIGHTS, CARD}


@pytest.mark.parametrize("beside_a_model", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt"])
def test_other_files_are_never_lost(tmp_path: Path, name: str, *, beside_a_model: bool) -> None:
    folder = tmp_path / "model"
    if beside_a_model:
        artifact.save(folder, {}, small())
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    before = tree(folder)
    with pytest.raises(ArtifactError):
        artifact.save(folder, {}, other())
    assert tree(folder) == before


def test_a_file_is_not_replaced_by_a_model(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(ArtifactError):
        artifact.save(tmp_path / "model", {}, small())
    assert (tmp_path / "model").read_text() == "mine"


def failing(name: str, at: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the nth use of `os.fsync` or `Path.rename` fail."""
    place: Any = os if name == "fsync" else Path
    original, uses = getattr(place, name), []

    def fails(*args: Any) -> Any:
        uses.append(args)
        if len(uses) == at:
            raise error
        return original(*args)

    monkeypatch.setattr(place, name, fails)


@pytest.mark.parametrize(("name", "at"), [("fsync", 1), ("fsync", 2), ("rename", 1), ("rename", 2)])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_failing_save_leaves_the_old_model(
    tmp_path: Path, name: str, at: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.save(tmp_path / "model", {"name": "old"}, small())
    before = tree(tmp_path / "model")
    with monkeypatch.context() as patch:
        failing(name, at, error, patch)
        with pytest.raises((ArtifactError, KeyboardInterrupt)):
            artifact.save(tmp_path / "model", {"name": "new"}, other())
    assert (tmp_path / "model").exists()
    assert tree(tmp_path / "model") == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failing_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing("fsync", 2, OSError(28, "No space left on device"), patch)
        with pytest.raises(ArtifactError, match="No space left"):
            artifact.save(tmp_path / "model", {}, small())
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_knows_every_weight_and_the_encoding(fitted: Synthesizer) -> None:
    encoding = fitted.encoding_.model_dump(mode="json")
    weights = fitted.model_.state_dict()
    before = content_hash(encoding, weights)
    assert before == content_hash(dict(reversed(encoding.items())), dict(reversed(weights.items())))
    for name, tensor in weights.items():
        if tensor.numel():
            assert content_hash(encoding, {**weights, name: tensor + 1}) != before
    assert content_hash({**encoding, "names": []}, weights) != before


def test_every_parameter_is_saved(fitted: Synthesizer, saved: Path) -> None:
    _, weights = artifact.load(saved)
    model: CVAE = fitted.model_
    assert set(weights) >= {name for name, _ in model.named_parameters()}


def aside(folder: Path) -> Path:
    """What a save leaves that was killed after it had put the old model aside, before the new one was there."""
    beside = folder.with_name(f".{folder.name}.saving-killed")
    (beside / "new").mkdir(parents=True)
    folder.rename(beside / "old")
    return beside


@pytest.mark.parametrize("use", ["load", "save"])
def test_a_model_that_a_killed_save_put_aside_is_put_back(tmp_path: Path, use: str) -> None:
    folder = tmp_path / "m[1]"
    artifact.save(folder, SMALL_PAGE, small())
    before, beside = tree(folder), aside(folder)
    if use == "load":
        artifact.load(folder)
        assert tree(folder) == before
    else:
        artifact.save(folder, SMALL_PAGE, other())
        assert torch.equal(artifact.load(folder)[1]["a"], other()["a"])
    assert not beside.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m[1]"]


def test_what_another_process_saves_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    artifact.save(folder, SMALL_PAGE, small())
    beside = aside(folder)
    handle = filesystem.lock(beside)
    with pytest.raises(ArtifactError):
        artifact.load(folder)
    assert (beside / "old").exists()
    filesystem.unlock(handle)
    artifact.load(folder)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A model of somebody else; after each test it is as it was."""
    folder = tmp_path / "elsewhere" / "model"
    artifact.save(folder, {"name": "theirs"}, small())
    before = tree(folder)
    yield folder
    assert tree(folder) == before


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_no_place_for_a_model(tmp_path: Path, victim: Path, *, dangling: bool, check: bool) -> None:
    """Also before training."""
    place = tmp_path / "model"
    place.symlink_to(tmp_path / "nothing" if dangling else victim)
    with pytest.raises(ArtifactError, match="it is a link"):
        artifact.check_place(place) if check else artifact.save(place, {}, other())
    assert place.is_symlink()
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", [PAGE, WEIGHTS, CARD])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_model_of_links_is_neither_replaced_nor_read(
    tmp_path: Path, victim: Path, name: str, *, dangling: bool
) -> None:
    artifact.save(tmp_path / "model", {}, small())
    (tmp_path / "model" / name).unlink()
    (tmp_path / "model" / name).symlink_to(tmp_path / "nothing" if dangling else victim / name)
    with pytest.raises(ArtifactError, match=name):
        artifact.save(tmp_path / "model", {}, other())
    assert (tmp_path / "model" / name).is_symlink()
    if name != CARD:
        with pytest.raises(ArtifactError, match=r"cannot be read \(it is a link"):
            artifact.load(tmp_path / "model")


def test_a_model_may_be_read_through_a_link_to_its_directory(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "latest").symlink_to(victim)
    assert artifact.load(tmp_path / "latest")[0]["name"] == "theirs"


@pytest.mark.parametrize("use", ["load", "save"])
@pytest.mark.parametrize("names", [["notes.txt"], ["old/notes.txt"], ["new/synthvae.json", "notes.txt"], []], ids=str)
def test_what_others_have_beside_a_model_under_the_name_of_a_save_is_left_alone(
    tmp_path: Path, use: str, names: list[str]
) -> None:
    beside = tmp_path / ".model.saving-notes"
    beside.mkdir()
    for name in names:
        (beside / name).parent.mkdir(exist_ok=True)
        (beside / name).write_text("mine")
    if use == "save":
        artifact.save(tmp_path / "model", {}, small())
    else:
        with pytest.raises(ArtifactError):
            artifact.load(tmp_path / "model")
    assert tree(beside) == dict.fromkeys(names, b"mine")
    assert beside.is_dir()


def test_a_link_under_the_name_of_a_save_is_left_alone(tmp_path: Path, victim: Path) -> None:
    (tmp_path / ".model.saving-x").symlink_to(victim.parent)
    (victim.parent / "old").mkdir()
    artifact.save(tmp_path / "model", {}, small())
    assert (victim.parent / "old").exists()


def test_a_file_that_appears_during_a_save_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact.save(tmp_path / "model", {}, small())
    plain = Path.rename

    def renamed(self: Path, target: Path) -> Path:
        if target.name == "old":
            (self / "notes.txt").write_text("mine")
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    artifact.save(tmp_path / "model", {}, other())
    assert [path.read_text() for path in tmp_path.glob(".model.saving-*/old/*")] == ["mine"]


def test_a_reader_between_two_saves_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, away = tmp_path / "model", tmp_path / "away"
    artifact.save(folder, {"name": 1}, {"a": torch.zeros(1)})
    folder.rename(away)

    def saves(folder: Path) -> list[Path]:
        away.rename(folder)  # one save ends while it is listed
        monkeypatch.undo()
        raise FileNotFoundError

    monkeypatch.setattr(artifact, "_saves", saves)
    assert artifact.load(folder)[0]["name"] == 1


def test_a_reader_during_saves_sees_the_old_or_the_new_model(tmp_path: Path) -> None:
    folder, ended, saves, seen = tmp_path / "model", threading.Event(), [0], set[int]()
    artifact.save(folder, {"name": 0}, {"a": torch.full((1000,), 0.0)})

    def save() -> None:
        while not ended.is_set():
            saves.append(saves[-1] + 1)
            artifact.save(folder, {"name": saves[-1]}, {"a": torch.full((1000,), float(saves[-1]))})

    saver = threading.Thread(target=save)
    saver.start()
    try:
        while (saves[-1] < 30 or len(seen) < 2) and saver.is_alive():
            document, weights = artifact.load(folder)
            assert (weights["a"] == document["name"]).all()
            seen.add(document["name"])
    finally:
        ended.set()
        saver.join()
    assert len(seen) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
