"""Fake numbers of unique columns: as many as rows, each with its check digits."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding import fake_numbers
from synthvae.encoding.fake import FakeEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.schema.identifier_forms import FORMS

needs_faker = pytest.mark.skipif(importlib.util.find_spec("faker") is None, reason="needs Faker")
ROWS = 20_000
FITS = {form.provider: form.fits for form in FORMS if form.provider is not None}
PROVIDERS = ["ssn", "iban", "ipv4", "ipv6", "mac_address", "credit_card_number"]


def drawn(encoding: FakeEncoding, rows: int = ROWS) -> list[str]:
    codes = CodedColumn(np.zeros(rows, np.int64), np.random.default_rng(0), seed=1)
    return list(encoding.decode(codes, pa.string()).to_pylist())


def luhn(text: str) -> bool:
    """Whether the check digit of a number is right, digit by digit."""
    total = 0
    for place, letter in enumerate(reversed(text)):
        digit = int(letter) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


@needs_faker
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "es_ES"])
@pytest.mark.parametrize("provider", [*PROVIDERS, "uuid4"])
def test_many_unique_numbers_are_different_and_right(provider: str, locale: str) -> None:
    if provider == "ssn" and locale in {"fr_FR", "es_ES"}:
        pytest.skip("whole numbers, with check digits")
    column = Column(name="x", kind="fake", provider=provider, locale=locale, unique=True)
    made = drawn(FakeEncoding.declare(column))
    assert len(set(made)) == ROWS
    if provider == "credit_card_number":  # some have 12 or 14 digits
        assert all(luhn(text) for text in made)
    elif provider != "uuid4":
        assert all(FITS[provider](text) for text in made)


@needs_faker
def test_a_unique_column_of_many_rows_stays_one() -> None:
    rng = np.random.default_rng(0)
    keys = rng.choice(10**8, 6_000, replace=False)
    table = pd.DataFrame({"code": [f"{100 + k // 10**6:03d}-{k // 10**4 % 100:02d}-{k % 10**4:04d}" for k in keys]})
    table["x"] = rng.normal(size=len(table))
    schema = Schema(columns=[Column(name="code", kind="fake", provider="ssn"), Column(name="x", kind="continuous")])
    made = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(table).sample(7_000)
    assert made["code"].is_unique


@needs_faker
def test_values_that_will_repeat_are_warned_of() -> None:
    column = Column(name="work", kind="fake", provider="job")
    values = pa.chunked_array([[f"job {i}" for i in range(1_000)]])
    with pytest.warns(UserWarning, match=r"'work': its 1,000 values are different, .* job has [0-9]+, .*`kind: id`"):
        FakeEncoding.learn(column, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FakeEncoding.learn(column, values.slice(0, 50))
        FakeEncoding.learn(column, pa.chunked_array([["a", "b"] * 500]))


def test_numbers_without_a_pattern_are_kept_whole() -> None:
    assert fake_numbers.NUMBERS["ssn"](["123-45-6789", "2970706088266"]) is None
    assert fake_numbers.NUMBERS["iban"](["MT84MALT011000012345MTLCAST001S"]) is None
    assert fake_numbers.NUMBERS["credit_card_number"](["4242 4242 4242 4242"]) is None
    assert fake_numbers.NUMBERS["ipv4"]([]) is None
