"""Packed orders of rows, and the network's likelihood of them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.codes import Codes, Slots
from synthvae.relational.network import Innovations, SequenceConfig, SequenceSlots, build_sequences
from synthvae.relational.sequences import Family, Sequences, split_by_rows

SLOTS = SequenceSlots(Slots((3, 2)), Slots((4,)), (Slots((2, 2)),), (Slots((2,)),))


def codes(rng: np.random.Generator, slots: Slots, rows: int) -> Codes:
    digits = np.stack([rng.integers(0, size, rows) for size in slots.sizes], 1).astype(np.int8)
    return Codes(digits, np.empty((rows, 0), np.float32), np.zeros(rows, np.int64))


def sequences(lengths: list[int], seed: int = 0) -> Sequences:
    rng, rows = np.random.default_rng(seed), sum(lengths)
    subjects = np.repeat(np.arange(len(lengths)), lengths)
    family = Family(subjects, subjects)
    ancestors = (codes(rng, SLOTS.ancestors[0], len(lengths)),)
    timings = (codes(rng, SLOTS.timings[0], rows),)
    return Sequences(
        family, codes(rng, SLOTS.rows, rows), codes(rng, SLOTS.clock, rows), timings, ancestors, (subjects,)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_packed_rows_are_all_rows_once_each_after_the_one_before(lengths: list[int]) -> None:
    family = sequences(lengths).family
    rows, before, sizes = family.packed(np.arange(len(lengths)))
    assert sorted(rows.tolist()) == list(range(sum(lengths)))
    assert sizes.tolist() == [sum(length > step for length in lengths) for step in range(max(lengths))]
    for place, row in zip(before.tolist(), rows.tolist(), strict=True):
        assert (place == -1) == (family.places[row, 0] == 0)
        assert place == -1 or rows[place] == row - 1
    assert (family.places.sum(1) + 1).tolist() == np.repeat(lengths, lengths).tolist()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5))
def test_the_likelihood_of_a_subject_does_not_depend_on_the_others(lengths: list[int]) -> None:
    given_rows, network = sequences(lengths), build_sequences(SLOTS, SequenceConfig(8, (4, 4), 8), 0).eval()
    with torch.no_grad():
        everyone = np.arange(len(lengths))
        whole = float(network.log_prob(given_rows.batch(everyone, torch.device("cpu"))).sum())
        alone = [
            float(network.log_prob(given_rows.batch(everyone[i : i + 1], torch.device("cpu"))).sum()) for i in everyone
        ]
    np.testing.assert_allclose(whole, sum(alone), rtol=1e-4)


def test_the_likelihood_of_a_row_does_not_depend_on_later_ones() -> None:
    first, network = sequences([3, 3]), build_sequences(SLOTS, SequenceConfig(8, (4, 4), 8), 0).eval()
    changed = sequences([3, 3])
    changed.rows.digits[[2, 5]] = (changed.rows.digits[[2, 5]] + 1) % 2
    with torch.no_grad():
        found = [network.log_prob(s.batch(np.arange(2), torch.device("cpu"))) for s in (first, changed)]
    torch.testing.assert_close(found[0][:4], found[1][:4])
    assert not torch.allclose(found[0][4:], found[1][4:])


def test_every_parameter_gets_a_gradient() -> None:
    network = build_sequences(SLOTS, SequenceConfig(8, (4, 4), 8), 0)
    for parameter in network.parameters():
        parameter.data += 0.1  # gates and tables start at values without gradients of others
    loss = network.log_prob(sequences([4, 3, 2]).batch(np.arange(3), torch.device("cpu"))).sum()
    torch.autograd.backward(loss)
    assert not [n for n, p in network.named_parameters() if p.numel() and (p.grad is None or not p.grad.any())]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 12))
def test_batches_hold_each_subject_once(lengths: list[int], rows: int) -> None:
    batches = split_by_rows(np.array(lengths), np.arange(len(lengths)), rows)
    assert np.concatenate(batches).tolist() == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in batch) < rows + max(lengths) for batch in batches)


def test_innovations_come_back_and_the_change_of_density_is_theirs() -> None:
    rng = torch.Generator().manual_seed(0)
    last = torch.randn(400, 3, generator=rng)
    values = 0.9 * last + 0.4 * torch.randn(400, 3, generator=rng)
    last[::7], values[::5] = torch.nan, torch.nan
    values[:, 2] = torch.randn(400, generator=rng)  # of low correlation
    innovations = Innovations(3)
    innovations.start_from(values, last)
    assert innovations.correlations[:2].min() > 0.8
    assert innovations.correlations[2] == 0
    found, change = innovations(values, last)
    torch.testing.assert_close(innovations.inverse(found, last), values, equal_nan=True)
    assert found[:, 0].nanmean().abs() < 0.2
    scale = (1 - innovations.correlations.square()).sqrt()
    whole = values.isfinite().all(1) & last.isfinite().all(1)
    torch.testing.assert_close(change[whole], (-scale.log().sum()).expand(int(whole.sum())))
    torch.testing.assert_close(found[last.isnan()], values[last.isnan()], equal_nan=True)


def test_last_values_are_known_ones_of_the_same_subject() -> None:
    family = Family(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1]))
    values = np.array([[1.0], [np.nan], [3.0], [4.0], [5.0]], np.float32)
    rows = Codes(np.empty((5, 0), np.int8), values, np.zeros(5, np.int64))
    found = Sequences(family, rows, rows, (), (), ()).last[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 1.0, 1.0, np.nan, 4.0])
