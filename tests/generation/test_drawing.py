"""Laws of requests and parts, and of what a synthesizer may be asked for."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import ConfigurationError, DatasetError, RequestError, TableError
from synthvae.generation import drawing
from synthvae.generation import request as generation
from synthvae.generation.drawing import draw_part
from synthvae.generation.request import Request
from synthvae.generation.workers import LOCAL

PART = 50

some_counts = st.lists(st.integers(0, 400), min_size=1, max_size=6).map(tuple)
some_shares = st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda shares: sum(shares) > 0)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "PART_ROWS", PART)
    monkeypatch.setattr(drawing, "CHUNK_ROWS", 16)


@settings(max_examples=100, deadline=None)
@given(some_counts, st.integers(5, 300))
def test_parts_sum_to_exactly_what_was_asked_for(counts: tuple[int, ...], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "PART_ROWS", size)
        request = Request(counts, 0)
        parts = [request.counts_of(part) for part in range(request.parts)]
        assert tuple(map(sum, zip(*parts, strict=True))) == counts
        assert all(count >= 0 for part in parts for count in part)
        assert all(sum(part) < size + len(counts) for part in parts)
        befores = [sum(sum(part) for part in parts[:number]) for number in range(request.parts)]
        assert [sum(request.counts_before(number)) for number in range(request.parts)] == befores


@settings(max_examples=100, deadline=None)
@given(some_counts, st.integers(5, 300))
def test_every_part_has_the_mix_of_the_whole(counts: tuple[int, ...], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "PART_ROWS", size)
        request = Request(counts, 0)
        for part in range(request.parts):
            for count, whole in zip(request.counts_of(part), counts, strict=True):
                assert abs(count - whole / request.parts) < 1


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9), some_shares, st.integers(0, 2**63 - 1))
def test_a_total_is_exact_and_within_one_of_each_share(rows: int, shares: list[float], seed: int) -> None:
    frequencies = np.array(shares) / sum(shares)
    request = Request.from_total(rows, frequencies, seed)
    assert request.rows == rows
    assert all(abs(count - rows * share) < 1 + 1e-6 for count, share in zip(request.counts, frequencies, strict=True))
    assert all(count >= 0 for count in request.counts)
    assert request == Request.from_total(rows, frequencies, seed)


@pytest.mark.parametrize("offset", [0.0, 1 - 2**-53])
def test_a_total_is_exact_where_the_shares_do_not_quite_sum_to_one(
    offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np.random, "default_rng", lambda _: SimpleNamespace(random=lambda: offset))
    assert Request.from_total(10, np.full(10, 0.1), 0).rows == 10


def test_a_total_is_right_on_average() -> None:
    frequencies = np.array([0.62, 0.08, 0.3])
    counts = np.array([Request.from_total(1, frequencies, seed).counts for seed in range(4000)])
    np.testing.assert_allclose(counts.mean(0), frequencies, atol=4.5 * 0.5 / 4000**0.5)


@pytest.mark.usefixtures("small_parts")
def test_a_part_is_a_pure_function(fitted: Synthesizer) -> None:
    request = Request((40, 60, 20), 7)
    drawn = [draw_part(fitted.model_, fitted.encoding_, request, part) for part in range(request.parts)]
    torch.manual_seed(99)
    again = [draw_part(fitted.model_, fitted.encoding_, request, part) for part in reversed(range(request.parts))]
    assert drawn == again[::-1]
    assert len({part.to_pandas().to_csv() for part in drawn}) == request.parts
    assert drawn[0] != draw_part(fitted.model_, fitted.encoding_, Request((40, 60, 20), 8), 0)
    assert {part.schema for part in drawn} == {drawn[0].schema}


@pytest.mark.usefixtures("small_parts")
def test_rows_are_shuffled_within_a_part(fitted: Synthesizer) -> None:
    labels = draw_part(fitted.model_, fitted.encoding_, Request((25, 25, 0), 0), 0).column("target").to_pylist()
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


@pytest.mark.usefixtures("small_parts")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=3, max_size=3), st.integers(0, 2**31))
def test_a_sample_has_exactly_the_classes_asked_for(fitted: Synthesizer, counts: list[int], seed: int) -> None:
    asked = dict(enumerate(counts))
    found = fitted.sample(asked, random_state=seed)["target"].value_counts()
    assert {label: int(found.get(label, 0)) for label in asked} == asked


@pytest.mark.slow
def test_the_bytes_do_not_hang_on_the_workers_or_the_run(
    fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "PART_ROWS", PART)
    folders = []
    for run, workers in enumerate((1, 2, 1)):
        folders.append(tmp_path / str(run))
        fitted.generate(folders[-1], rows=430, workers=workers, random_state=3)
    trees = [tree(folder) for folder in folders]
    assert len(trees[0]) == 9 + 1
    assert trees[0] == trees[1] == trees[2]


@pytest.mark.usefixtures("small_parts")
def test_another_seed_gives_other_rows(fitted: Synthesizer, tmp_path: Path) -> None:
    hashes = [fitted.generate(tmp_path / str(seed), rows=60, random_state=seed)["parts"] for seed in (1, 2)]
    assert not {part["sha256"] for part in hashes[0]} & {part["sha256"] for part in hashes[1]}


@pytest.mark.usefixtures("small_parts")
def test_a_dataset_holds_the_rows_that_sample_gives(fitted: Synthesizer, tmp_path: Path, wine: pd.DataFrame) -> None:
    fitted.generate(tmp_path / "out", rows=130, random_state=4)
    read = pd.read_parquet(tmp_path / "out")
    pd.testing.assert_frame_equal(read, fitted.sample(130, random_state=4))
    pd.testing.assert_series_equal(read.dtypes, wine.dtypes)


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_ids_are_unique_over_all_parts_and_new(registry: Synthesizer, visits: pd.DataFrame, tmp_path: Path) -> None:
    manifest = registry.generate(tmp_path / "out", rows=333, workers=2)
    read = pd.read_parquet(tmp_path / "out")
    assert len(manifest["parts"]) == 7
    assert len(read) == 333
    for name in ("number", "patient", "key"):
        assert read[name].is_unique
        assert not set(read[name]) & set(visits[name])


@pytest.mark.usefixtures("small_parts")
def test_odd_labels_become_folders_and_come_back(registry: Synthesizer, tmp_path: Path) -> None:
    asked = {"a/b": 40, "..": 50, "ü ß": 60, "100%": 7}
    manifest = registry.generate(tmp_path / "deep" / "out", classes=asked, partition=True)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert len([path for path in (tmp_path / "deep" / "out").iterdir() if path.is_dir()]) == len(asked)
    read = pd.read_parquet(tmp_path / "deep" / "out")
    assert read["site"].astype(str).value_counts().to_dict() == asked == manifest["classes"]
    assert read["patient"].is_unique


@pytest.mark.usefixtures("small_parts")
def test_a_partitioned_dataset_holds_the_same_rows(fitted: Synthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "whole", rows=120)
    fitted.generate(tmp_path / "split", rows=120, partition=True)
    whole, split = (pd.read_parquet(tmp_path / name) for name in ("whole", "split"))
    names = list(whole.columns)
    split["target"] = split["target"].astype(int)
    whole, split = (frame[names].sort_values(names, ignore_index=True) for frame in (whole, split))
    pd.testing.assert_frame_equal(whole, split)


def test_the_manifest_says_what_was_asked_for(fitted: Synthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", rows_per_class=5, random_state=9)
    assert manifest["classes"] == {"0": 5, "1": 5, "2": 5}
    assert (manifest["rows"], manifest["seed"], manifest["target"]) == (15, 9, "target")
    assert sum(part["rows"] for part in manifest["parts"]) == 15
    assert set(manifest["columns"]) == set(fitted.feature_names_in_)


@pytest.mark.parametrize("partition", [False, True])
def test_no_rows_are_a_dataset_too(fitted: Synthesizer, tmp_path: Path, *, partition: bool, wine: pd.DataFrame) -> None:
    fitted.generate(tmp_path / "out", rows=0, partition=partition)
    assert fitted.sample(0).shape == (0, wine.shape[1])
    read = pd.read_parquet(tmp_path / "out")
    assert (len(read), set(read.columns)) == (0, set(wine.columns))


def test_generating_restores_the_number_of_threads(fitted: Synthesizer, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fitted.sample(3)
        fitted.generate(tmp_path / "out", rows=3)
        assert torch.get_num_threads() == 2
        with pytest.raises(DatasetError):
            fitted.generate(tmp_path / "out", rows=3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_an_unknown_class_lists_the_known_ones(registry: Synthesizer) -> None:
    with pytest.raises(RequestError) as caught:
        registry.sample({"Mars": 3})
    assert "'Mars'" in str(caught.value)
    assert all(repr(site) in str(caught.value) for site in ("a/b", "..", "ü ß", "100%"))


def test_classes_may_be_named_as_a_shell_names_them(fitted: Synthesizer) -> None:
    assert fitted.sample({"1": 3, np.int64(2): 1})["target"].value_counts().to_dict() == {1: 3, 2: 1}


@pytest.mark.parametrize("rows", [-1, 2.5, "3", None, True, {0: -1}, {0: 1.5}, {0: "1"}])
def test_a_number_of_rows_is_a_whole_number_from_zero(fitted: Synthesizer, rows: Any) -> None:
    with pytest.raises(RequestError, match="must be an integer"):
        fitted.sample(rows)


@pytest.mark.parametrize("asked", [{"rows": -1}, {"rows_per_class": -1}, {"classes": {0: -1}}, {"classes": {9: 1}}])
def test_a_refused_request_leaves_no_folder(fitted: Synthesizer, tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        fitted.generate(tmp_path / "out", **asked)
    assert not os.listdir(tmp_path)  # noqa: PTH208


@pytest.mark.parametrize(
    "asked", [{}, {"rows": 1, "rows_per_class": 1}, {"rows": 1, "classes": {0: 1}}, {"rows": 0, "rows_per_class": 0}]
)
def test_exactly_one_of_three_must_be_asked_for(fitted: Synthesizer, tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="Exactly one") as caught:
        fitted.generate(tmp_path / "out", **asked)
    assert (", ".join(sorted(asked)) or "none") in str(caught.value)


def test_workers_are_at_least_one(fitted: Synthesizer, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="workers"):
        fitted.generate(tmp_path / "out", rows=1, workers=0)


def test_the_former_name_of_the_backend_is_deprecated(fitted: Synthesizer, tmp_path: Path) -> None:
    written = fitted.generate(tmp_path / "backend", rows=9, random_state=1, backend=LOCAL)
    with pytest.warns(DeprecationWarning, match="Pass `backend`") as warned:
        again = fitted.generate(tmp_path / "each", rows=9, random_state=1, each=LOCAL.map_parts)
    assert again == written
    assert [warning.filename for warning in warned] == [__file__]


@pytest.fixture(scope="module")
def without_classes(wine: pd.DataFrame) -> dict[str, Synthesizer]:
    parameters: dict[str, Any] = {"max_steps": 2, "width": 8, "device": "cpu", "random_state": 0}
    table = wine[["alcohol", "hue"]]
    return {target: Synthesizer(target=target or None, **parameters).fit(table) for target in ("", "alcohol")}


@pytest.mark.parametrize(("target", "why"), [("", "no target"), ("alcohol", "'alcohol' is continuous")])
@pytest.mark.parametrize("asked", [{"rows_per_class": 3}, {"classes": {0: 3}}, {"rows": 3, "partition": True}])
def test_classes_need_a_target_of_classes(
    without_classes: dict[str, Synthesizer], target: str, why: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        without_classes[target].generate(tmp_path / "out", **asked)
    assert why in str(caught.value) or "the model has none" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["", "alcohol"])
def test_a_total_needs_no_classes(without_classes: dict[str, Synthesizer], target: str, tmp_path: Path) -> None:
    assert len(without_classes[target].sample(17)) == 17
    assert without_classes[target].generate(tmp_path / "out", rows=17)["classes"] is None


@pytest.mark.parametrize(
    "use",
    [
        lambda s, *_: s.sample(1),
        lambda s, _, path: s.generate(path / "out", rows=1),
        lambda s, _, path: s.save(path / "model"),
        lambda s, table, _: s.transform(table),
        lambda s, table, _: s.log_likelihood(table),
        lambda s, table, _: s.score(table),
    ],
)
def test_nothing_works_before_fit(use: Any, wine: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        use(Synthesizer(target="target"), wine, tmp_path)
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_a_target_that_readers_would_hide_is_read(tmp_path: Path) -> None:
    """A target whose name begins with an underscore: readers skip folders that do."""
    frame = pd.DataFrame({"_label": ["a", "b"] * 20, "x": np.arange(40.0)})
    synthesizer = Synthesizer(target="_label", max_steps=2, width=8, device="cpu", random_state=0).fit(frame)
    synthesizer.generate(tmp_path / "out", rows=10, partition=True)
    assert len(pd.read_parquet(tmp_path / "out")) == 10


def test_tables_of_other_columns_are_refused(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    with pytest.raises(TableError, match="hue"):
        fitted.log_likelihood(wine.drop(columns="hue"))


def test_a_part_is_an_arrow_table_of_the_schema_learned(fitted: Synthesizer) -> None:
    drawn = draw_part(fitted.model_, fitted.encoding_, Request((1, 2, 3), 0), 0)
    assert isinstance(drawn, pa.Table)
    assert drawn.schema == fitted.encoding_.arrow_schema


def test_loading_on_an_unknown_device_is_refused(saved: Path) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        Synthesizer.load(saved, device="nope")


def test_resuming_needs_no_seed(fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a seed draws a fresh one, which the plan keeps."""
    unseeded = Synthesizer(target="target").set_params(random_state=None)
    unseeded.learned_ = fitted.learned_
    monkeypatch.setattr(generation, "PART_ROWS", 10)
    draws, draw = [], drawing.draw_part

    def interrupted(*args: Any) -> Any:
        draws.append(args)
        if len(draws) == 3:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(drawing, "draw_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unseeded.generate(tmp_path / "out", rows=50)
    manifest = unseeded.generate(tmp_path / "out", rows=50, resume=True)
    assert manifest["rows"] == 50
    assert len(draws) == 6  # two of the five parts were kept


def test_columns_keep_the_order_of_the_table() -> None:
    frame = pd.DataFrame({"b": [1.5, 2.5] * 10, "a": ["x", "y"] * 10})
    schema = Schema(columns=[Column(name="a", kind="categorical"), Column(name="b", kind="continuous")])
    assert list(Synthesizer(schema=schema, max_steps=2, random_state=0).fit(frame).sample(3)) == ["b", "a"]


def test_a_loaded_model_is_the_one_saved(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(40) % 7, "y": ["u", "v"] * 20})
    parameters: dict[str, Any] = {"max_steps": 2, "latent_dim": np.int64(3), "random_state": np.int64(5)}
    Synthesizer(**parameters).fit(frame).save(tmp_path / "named")
    again = Synthesizer.load(tmp_path / "named")
    assert (again.random_state, again.latent_dim, again.schema) == (5, 3, None)
    clone(again).fit(frame.assign(x=99))
    Synthesizer(**parameters).fit(frame[["x"]].to_numpy()).save(tmp_path / "array")
    assert not hasattr(Synthesizer.load(tmp_path / "array"), "feature_names_in_")


def test_text_that_nobody_declared_is_refused_and_the_ids_of_a_draft_are_ids() -> None:
    frame = pd.DataFrame({"name": [f"patient {i} of many" for i in range(30)], "x": range(0, 60, 2)})
    inferred = Schema.infer(frame)
    with pytest.raises(TableError, match="'name'"):
        Synthesizer(max_steps=2).fit(frame)
    with pytest.raises(TableError, match="must have all columns"):
        Synthesizer(schema=inferred, max_steps=2).fit(frame[["x"]])
    for schema in (inferred, inferred.declare("name", kind="id")):
        made = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(frame).sample(5)
        assert not set(made["name"]) & set(frame["name"])
