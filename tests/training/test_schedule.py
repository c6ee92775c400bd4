"""How long a model is trained, by the number of rows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.model.config import DecoderName
from synthvae.training import SMALL, TrainingConfig
from synthvae.training.conditional import (
    FEWEST_STEPS,
    MAX_DECAY,
    MAX_EPOCHS,
    STRETCH,
    conditional_decay,
    conditional_schedule,
)

DECODERS: tuple[DecoderName, ...] = ("autoregressive", "factorized", "linear")
ROWS = [1, 60, 500, SMALL - 1, SMALL, 5_688, 5_689, 30_000, 400_000, 50_000_000]


@pytest.mark.parametrize("decoder", DECODERS)
def test_learning_rates_have_no_jump_and_do_not_fall_with_the_rows(decoder: DecoderName) -> None:
    rates = [TrainingConfig().schedule(rows, decoder).learning_rate for rows in range(1, 40_000, 7)]
    assert all(low <= high <= low * 1.01 for low, high in itertools.pairwise(rates))
    assert (rates[0], rates[-1]) == ((6e-3, 1e-2) if decoder == "autoregressive" else (3e-3, 3e-3))


@pytest.mark.parametrize("decoder", DECODERS)
def test_large_tables_have_more_steps_and_fewer_epochs(decoder: DecoderName) -> None:
    found = [TrainingConfig().schedule(rows, decoder) for rows in ROWS if rows >= 30_000]
    epochs = [s.steps * s.batch / rows for s, rows in zip(found, ROWS[-len(found) :], strict=True)]
    assert all(few.steps < many.steps for few, many in itertools.pairwise(found))
    assert epochs == sorted(epochs, reverse=True)


@given(
    rows=st.integers(1, 10**8),
    decoder=st.sampled_from(DECODERS),
    steps=st.integers(1, 10**6),
    batch=st.integers(1, 10**5),
    rate=st.floats(1e-6, 1.0),
    patience=st.integers(1, 10**4),
)
def test_what_is_stated_holds_whatever_the_table(
    *,
    rows: int,
    decoder: DecoderName,
    steps: int,
    batch: int,
    rate: float,
    patience: int,
) -> None:
    config = TrainingConfig(max_steps=steps, batch_size=batch, learning_rate=rate, patience=patience)
    found = config.schedule(rows, decoder)
    assert found[:4] == (steps, min(rows, batch), rate, patience)
    assert 1 <= found.rise <= max(steps / 10, 1)
    assert 1 <= found.validate_every <= max(steps / 20, 1)


@pytest.mark.parametrize("rows", ROWS)
def test_networks_of_conditions_have_limited_epochs_and_a_decay_that_falls_with_the_rows(rows: int) -> None:
    config = TrainingConfig()
    found, usual = conditional_schedule(config, rows), config.schedule(rows, "autoregressive")
    assert found.steps <= STRETCH * usual.steps
    assert found.steps <= FEWEST_STEPS or found.steps * found.batch <= MAX_EPOCHS * rows
    assert found.steps == STRETCH * usual.steps or (found.steps + 1) * found.batch > MAX_EPOCHS * rows
    assert conditional_decay(config, rows) >= conditional_decay(config, 2 * rows) >= config.decay(rows)
    assert 0 < conditional_decay(config, rows) <= MAX_DECAY
    assert 1 <= found.validate_every <= max(found.steps / 20, 1)


def test_stated_steps_and_decays_of_networks_of_conditions_hold() -> None:
    stated = TrainingConfig(max_steps=7, weight_decay=0.5)
    assert conditional_schedule(stated, 5000).steps == 7
    assert conditional_decay(stated, 5000) == 0.5
    few = TrainingConfig(max_steps=7)
    assert conditional_decay(few, 5000) == few.decay(5000)
