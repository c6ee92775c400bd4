"""The target: sentinel values among its numbers, and kinds that it cannot have."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding.target import TargetEncoding
from synthvae.errors import TableError

ROWS = 300
NUMBERS = np.random.default_rng(0).normal(50, 9, ROWS).round(2)
GAP = np.arange(ROWS) % 6 == 0


def learn(values: list[Any], **fields: Any) -> TargetEncoding:
    return TargetEncoding.learn(Column(name="y", **fields), pa.chunked_array([values]), 1)


TEXTS = ["N" if gap else f"{number:.2f}" for gap, number in zip(GAP, NUMBERS, strict=True)]
FORMS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "text": (TEXTS, {"kind": "continuous", "sentinels": ["N"]}),
    "comma": (
        [text.replace(".", ",") for text in TEXTS],
        {"kind": "continuous", "sentinels": ["N"], "format": "1234,5"},
    ),
    "number": (np.where(GAP, -9, NUMBERS).tolist(), {"kind": "continuous", "sentinels": [-9]}),
    "whole": (np.where(GAP, -9, NUMBERS.round()).astype(int).tolist(), {"kind": "integer", "sentinels": [-9]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_sentinel_values_of_a_number_have_a_condition_of_their_own(form: str) -> None:
    values, fields = FORMS[form]
    target = learn(values, **fields)
    conditions = target.encode(pa.chunked_array([values]))
    assert (conditions[GAP] == target.levels - 1).all()
    assert (conditions[~GAP] < target.levels - 1).all()
    assert target.counts[-1] == GAP.sum()
    assert target.labels == list(range(target.levels))
    plain = learn([value for value, gap in zip(values, GAP, strict=True) if not gap], **fields)
    assert plain.edges == target.edges
    assert plain.levels == target.levels - 1
    assert TargetEncoding.model_validate_json(target.model_dump_json()) == target
    assert "sentinels" not in plain.model_dump()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_target_with_sentinel_values_comes_back(form: str) -> None:
    values, fields = FORMS[form]
    noise = np.random.default_rng(1).normal(0, 0.1, ROWS)
    table = pd.DataFrame({"y": values, "x": np.where(GAP, 5, 0) + noise})
    schema = Schema(columns=[Column(name="y", **fields), Column(name="x", kind="continuous")])
    made = Synthesizer(target="y", schema=schema, max_steps=120, random_state=0).fit(table).sample(300)
    found = made["y"].isin(["N", -9])
    assert 0.05 < found.mean() < 0.35
    assert made["x"][found].mean() > made["x"][~found].mean() + 2
    assert made["y"].dtype == table["y"].dtype


def test_an_inferred_target_may_have_sentinel_values() -> None:
    table = pd.DataFrame({"y": TEXTS, "x": NUMBERS})
    made = Synthesizer(target="y", max_steps=2, random_state=0).fit(table).sample(200)
    assert "N" in set(made["y"])


@pytest.mark.parametrize(("values", "sentinel"), [(["0", "1", "N"] * 20, "N"), ([0, 1, -9] * 20, -9)])
def test_sentinel_values_of_classes_are_classes(values: list[Any], sentinel: Any) -> None:
    target = learn(values, kind="integer", sentinels=[sentinel])
    assert sentinel in target.labels
    assert target.counts == (20, 20, 20)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TableError, match="Target 'y' must have numbers, got sentinel values alone"):
        learn(["N"] * 30, kind="continuous", sentinels=["N"])
    for fields, allowed in (({}, "numbers"), ({"sentinels": ["N"]}, r"numbers or the sentinel values \['N'\]")):
        texts = [text for text in TEXTS if text != "N" or fields]
        with pytest.raises(TableError, match=f"Target 'y' must hold {allowed}, got 'oops'"):
            learn(texts, kind="continuous", **fields).encode(pa.chunked_array([["oops", "1.5"]]))
        with pytest.raises(TableError, match=f"Target 'y' must hold {allowed}, got 'oops'"):
            learn([*texts, "oops"], kind="continuous", **fields)


@pytest.mark.parametrize(
    ("fields", "way_out"),
    [
        ({"kind": "fake", "provider": "name"}, "Declare `kind: categorical` (`--categorical y`)"),
        ({"kind": "id"}, "Declare `kind: categorical` (`--categorical y`)"),
        ({"kind": "date"}, "Condition on a column of a part of it, such as its year"),
        ({"kind": "datetime"}, "Condition on a column of a part of it, such as its year"),
    ],
)
def test_the_way_out_of_a_kind_that_no_target_has_is_named(fields: dict[str, Any], way_out: str) -> None:
    column, texts = Column(name="y", **fields), pa.chunked_array([["a", "b"]])
    with pytest.raises(TableError, match=re.escape(way_out)):
        TargetEncoding.learn(column, texts, 1)
    with pytest.raises(TableError, match=re.escape(way_out)):
        TargetEncoding.declare(column)


def test_the_way_out_of_a_target_of_names_works() -> None:
    names = [f"{first} {last}" for first in ("Ann", "Mary", "John") for last in ("Smith", "Jones", "Brown", "Davis")]
    table = pd.DataFrame({"name": names * 10, "x": np.arange(120.0)})
    with pytest.raises(TableError, match="--categorical name"):
        Synthesizer(target="name", max_steps=2).fit(table)
    schema = Schema(columns=[Column(name="name", kind="categorical")])
    with_classes = Synthesizer(target="name", schema=schema, max_steps=2, random_state=0).fit(table)
    assert set(with_classes.sample(30)["name"]) <= set(names)
