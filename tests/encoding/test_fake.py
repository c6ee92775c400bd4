"""Fake values are independent of the table, unique where asked, and the same for a seed however they are drawn."""

from __future__ import annotations

import builtins
import importlib.util
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding import fake
from synthvae.encoding.fake import FakeEncoding
from synthvae.encoding.fake_pools import draw_pools
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import ConfigurationError, RequestError, SchemaError, SynthvaeError

PARTS = (("Ann", "Bob", "Cyd"), ("", " Ann", " Bob", " Cyd"), (" ",), ("Stone", "Rivers", "Woods", "Marsh"))
NAMES = FakeEncoding(name="x", parts=PARTS, overflow=1, unique=True, missing=False)
needs_faker = pytest.mark.skipif(importlib.util.find_spec("faker") is None, reason="needs Faker")


def drawn(encoding: FakeEncoding, rows: int, seed: int = 0, first_row: int = 0, **fields: Any) -> list[Any]:
    numbers = range(first_row, first_row + rows)
    column = CodedColumn(np.zeros(rows, np.int64), np.random.default_rng(0), seed=seed, rows=numbers, **fields)
    return list(encoding.decode(column, pa.string()).to_pylist())


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_the_permutation_is_one(size: int, key: int) -> None:
    permuted = fake._permuted(np.arange(size, dtype=np.uint64), size, np.uint64(key))
    assert sorted(permuted.tolist()) == list(range(size))


def test_values_do_not_repeat_as_long_as_there_are_enough() -> None:
    made = drawn(NAMES, 48)
    assert len(set(made)) == 48
    assert all(len(name.split()) == 2 for name in made[:12])  # second given names come last
    assert all(len(name.split()) == 3 for name in made[12:])
    assert set(drawn(NAMES, 60)) == set(made)


def test_more_unique_values_than_there_are_are_refused() -> None:
    strict = NAMES.model_copy(update={"strict": True})
    assert len(set(drawn(strict, 48))) == 48
    with pytest.raises(RequestError, match="'x' must be unique, and its provider has 48, got a request for 49 rows"):
        drawn(strict, 9, first_row=40)


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(1, 47), max_size=4, unique=True).map(sorted), unique=st.booleans())
def test_parts_of_a_request_are_the_whole(cuts: list[int], *, unique: bool) -> None:
    encoding = NAMES.model_copy(update={"unique": unique})
    edges = itertools.pairwise([0, *cuts, 48])
    parts = [drawn(encoding, end - start, seed=3, first_row=start) for start, end in edges]
    assert list(itertools.chain.from_iterable(parts)) == drawn(encoding, 48, seed=3)


def test_seeds_and_columns_have_their_own_values() -> None:
    free = NAMES.model_copy(update={"unique": False})
    assert drawn(free, 40, seed=1) != drawn(free, 40, seed=2)
    assert drawn(free, 40) != drawn(free.model_copy(update={"name": "y"}), 40)
    assert len(set(drawn(free, 400))) == 12  # each about as often


@pytest.mark.parametrize("subjects", [[7, 9, 7, None, None], ["a", "b", "a", None, None]])
def test_a_subject_has_one_value_in_all_parts(subjects: list[Any]) -> None:
    encoding = NAMES.model_copy(update={"subject": "who", "unique": False})
    made = drawn(encoding, 5, subjects=pa.array(subjects))
    again = drawn(encoding, 5, first_row=500, subjects=pa.array(subjects))
    assert made[0] == made[2] == again[0]
    assert made[1] == again[1]
    many = drawn(encoding, 300, subjects=pa.array(range(300)))
    assert len(set(many)) == 12


def test_missing_values_stay_missing() -> None:
    encoding = NAMES.model_copy(update={"missing": True})
    states = encoding.encode("x", pa.chunked_array([["a", None, "b"]]))
    assert states.tolist() == [0, 1, 0]
    made = encoding.decode(CodedColumn(states, np.random.default_rng(0)), pa.large_string())
    assert made.type == pa.large_string()
    assert made.is_null().to_pylist() == [False, True, False]


def test_a_dictionary_holds_what_was_drawn() -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    many = NAMES.model_copy(update={"parts": (tuple(map(str, range(500))),), "overflow": None})
    made = many.decode(CodedColumn(np.zeros(400, np.int64), np.random.default_rng(0), seed=1), kind)
    assert len(set(made.to_pylist())) == 400


@pytest.mark.parametrize("fields", [{"overflow": 9}, {"parts": ()}, {"parts": ((),)}, {"parts": (("a", "b"),) * 70}])
def test_impossible_pools_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"overflow|parts|combinations"):
        FakeEncoding.model_validate({**NAMES.model_dump(), "overflow": None, **fields})


BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "fake"}, "`provider` must name a provider of Faker"),
    ({"kind": "fake", "provider": "_x"}, "`provider` must name a provider of Faker"),
    ({"kind": "fake", "provider": "name", "locale": "../x"}, "`locale` must be a language"),
    ({"kind": "fake", "provider": "name", "subject": "x"}, "`subject` must be another column"),
    ({"kind": "fake", "provider": "name", "subject": "y", "unique": True}, "`unique` must not be true"),
    ({"kind": "id", "provider": "name"}, "`provider` requires the kind fake"),
    ({"kind": "fake", "provider": "name", "bounds": (0, 1)}, "`bounds` require"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_contradictions_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Column(name="x", **fields)


def test_a_subject_must_be_in_the_schema() -> None:
    with pytest.raises(SchemaError, match="`subject` must be a column of the schema, got 'y'"):
        Schema(columns=[Column(name="x", kind="fake", provider="name", subject="y")])


def test_without_faker_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "faker":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    draw_pools.cache_clear()
    frame = pd.DataFrame({"x": ["a b", "c d"] * 20, "y": range(40)})
    schema = Schema.infer(frame).declare("x", kind="fake", provider="name")
    with pytest.raises(ConfigurationError, match=r"Run `pip install 'synthvae\[faker\]'`"):
        Synthesizer(schema=schema, max_steps=2).fit(frame)


def test_faker_is_imported_only_where_it_is_needed() -> None:
    if "faker" not in sys.modules:
        drawn(NAMES, 3)
        assert "faker" not in sys.modules


@needs_faker
@pytest.mark.parametrize(("provider", "hint"), [("nmae", "Did you mean"), ("seed_instance", "must be a provider")])
def test_unknown_providers_are_refused(provider: str, hint: str) -> None:
    with pytest.raises(SchemaError, match=hint):
        FakeEncoding.declare(Column(name="x", kind="fake", provider=provider))


@needs_faker
def test_unknown_locales_and_values_that_are_no_text_are_refused() -> None:
    with pytest.raises(SchemaError, match="`locale` must be one of Faker's, got 'xx_YY'"):
        FakeEncoding.declare(Column(name="x", kind="fake", provider="name", locale="xx_YY"))
    with pytest.raises(SchemaError, match="`provider` must give text, got 'simple_profile'"):
        FakeEncoding.declare(Column(name="x", kind="fake", provider="simple_profile"))


@needs_faker
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "ja_JP", "zh_CN", "pl_PL"])
@pytest.mark.parametrize("provider", ["name", "email", "phone_number", "address"])
def test_unique_values_of_a_provider_are_different(provider: str, locale: str) -> None:
    column = Column(name="x", kind="fake", provider=provider, locale=locale, unique=True)
    encoding = FakeEncoding.declare(column)
    made = drawn(encoding, 3000)
    assert len(set(made)) == 3000
    assert provider != "email" or all(mail.rpartition("@")[2].startswith("example.") for mail in made)


def people(rows: int = 90) -> pd.DataFrame:
    names = [f"Zzyx{i} Qqver{i}" if i % 3 else None for i in range(rows)]
    mails = [f"zzyx{i}@hospital.example" for i in range(rows)]
    return pd.DataFrame({"who": names, "mail": mails, "patient": np.arange(rows) + 5, "x": np.arange(rows) % 7})


SCHEMA = Schema(
    columns=[
        Column(name="who", kind="fake", provider="name", locale="de_DE", subject="patient"),
        Column(name="mail", kind="fake", provider="email"),
        Column(name="patient", kind="id"),
        Column(name="x", kind="integer", bounds=(0, 6), nullable=False),
    ]
)


@needs_faker
def test_no_real_value_is_in_the_model_and_a_loaded_one_needs_no_faker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people()
    fitted = Synthesizer(schema=SCHEMA, max_steps=60, random_state=0).fit(frame)
    made = fitted.sample(600, random_state=1)
    fitted.save(tmp_path / "m")
    text = "".join(path.read_bytes().decode(errors="replace").lower() for path in (tmp_path / "m").iterdir())
    assert "zzyx" not in text
    assert "qqver" not in text
    assert 0.2 < made.who.isna().mean() < 0.5
    assert made.mail.is_unique
    assert not set(made.patient) & set(frame.patient)
    monkeypatch.setattr("synthvae.encoding.fake.draw_pools", None)
    loaded = Synthesizer.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.sample(600, random_state=1), made)
    assert not loaded.sample(600, random_state=2).equals(made)


@needs_faker
def test_a_private_fit_needs_nothing_of_a_fake_column(tmp_path: Path) -> None:
    budget = {"epsilon": 3.0, "delta": 1e-4}
    fitted = Synthesizer(schema=SCHEMA, privacy=budget, strategy="tables", max_steps=2, width=8).fit(people())
    made = fitted.sample(50)
    assert made.who.notna().all()
    assert made.mail.is_unique
    fitted.save(tmp_path / "m")
    assert "zzyx" not in (tmp_path / "m" / "synthvae.json").read_text().lower()


@needs_faker
def test_numbers_cannot_be_fake() -> None:
    schema = Schema.infer(people()[["patient", "x"]]).declare("patient", kind="fake", provider="name")
    with pytest.raises(SynthvaeError, match="'patient': fake values are text, got int64"):
        Synthesizer(schema=schema, max_steps=2).fit(people()[["patient", "x"]])
