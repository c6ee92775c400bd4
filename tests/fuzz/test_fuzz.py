"""A short run of what `tests/benchmarks/fuzz.py` does for long: hostile inputs, and only our own errors come out."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutation import MAKERS
from targets import TARGETS, model, place, refused, room, signed

from synthvae import Synthesizer
from synthvae.errors import SchemaError
from synthvae.synthesizer import artifact

DOORS = sorted(TARGETS)
HARMED = sorted(TARGETS.keys() - {"spss"})  # pyreadstat ends its process at one harmed file in 3,000


@pytest.mark.parametrize("name", HARMED)
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_of_harmed_inputs_only_our_own_errors_come(name: str, seed: int) -> None:
    TARGETS[name](MAKERS[name](Random(seed)))


@pytest.mark.parametrize("name", DOORS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=200))
def test_of_any_bytes_only_our_own_errors_come(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_the_same_seed_makes_the_same_input() -> None:
    for make in MAKERS.values():
        assert [make(Random(seed)) for seed in range(20)] == [make(Random(seed)) for seed in range(20)]


def test_a_good_model_is_taken() -> None:
    """Else nothing behind the first check would ever be reached."""
    weights = model()[artifact.WEIGHTS]
    with room() as folder:
        place(folder, {artifact.WEIGHTS: weights, artifact.DOCUMENT: signed(model()[artifact.DOCUMENT], weights)})
        assert len(Synthesizer.load(folder, device="cpu").sample(5)) == 5


def test_an_error_of_more_than_one_line_or_for_want_of_memory_is_a_find() -> None:
    for text in ("two\nlines", "cannot allocate", "x" * 20_000):
        with pytest.raises(AssertionError), refused():
            raise SchemaError(text)
