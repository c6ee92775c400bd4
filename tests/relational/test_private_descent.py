"""Clipped gradients of subjects: those of a plain loop, and one subject more moves their sum by the clip at most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from synthvae.codes import Codes, Slots
from synthvae.privacy import PrivacyBudget
from synthvae.privacy.dpsgd.trainer import Spending
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.privacy.plan import Descending
from synthvae.relational.network import SequenceConfig, SequenceNetwork, SequenceSlots, build_sequences
from synthvae.relational.private_descent import PrivateSequenceDescent, clipping, log_prob
from synthvae.relational.sequences import Family, Sequences

CLIP = 0.7
CONFIG = SequenceConfig(width=12, hidden=(5, 0), memory=7)


def coded(rng: np.random.Generator, rows: int, sizes: tuple[int, ...]) -> Codes:
    digits = np.stack([rng.integers(-1, size, rows) for size in sizes], 1) if sizes else np.empty((rows, 0))
    return Codes(digits.astype(np.int8), np.empty((rows, 0), np.float32), np.zeros(rows, np.int64))


def family(lengths: list[int]) -> tuple[Family, np.ndarray]:
    """Subjects of one or two parents each."""
    subjects = np.repeat(np.arange(len(lengths)), lengths)
    place = np.concatenate([np.arange(n) for n in lengths])
    parents = 2 * subjects + (place > 3)
    return Family(np.unique(parents, return_inverse=True)[1], subjects), subjects


def problem(lengths: list[int]) -> tuple[SequenceNetwork, Sequences]:
    rng = np.random.default_rng(0)
    owner, subjects = family(lengths)
    rows = len(subjects)
    digits, clock, way, above = (3, 5, 4), (6,), ((6,), (4,)), (4, 2)
    pairs = Slots(digits, coarser=(None, 0, None))
    slots = SequenceSlots(pairs, Slots(clock), tuple(map(Slots, way)), (Slots(above), Slots(above)))
    network = build_sequences(slots, CONFIG, 1)
    timings = tuple(coded(rng, rows, one) for one in way)
    first = owner.places[:, 0] == 0
    timings[0].digits[~first], timings[1].digits[first] = -1, -1
    parents = coded(rng, int(owner.parents.max()) + 1, above)
    roots = coded(rng, len(lengths), above)
    return network, Sequences(
        owner, coded(rng, rows, digits), coded(rng, rows, clock), timings, (parents, roots), (owner.parents, subjects)
    )


def alone(network: SequenceNetwork, sequences: Sequences, subject: int, parameters: list[torch.nn.Parameter]) -> Tensor:
    """The gradient of one subject by automatic differentiation of the network's own likelihood."""
    batch = sequences.batch(np.array([subject]), torch.device("cpu"))
    loss = -network.log_prob(batch).sum()
    found = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return torch.cat([part.flatten() for part in found])


def test_each_layer_is_called_once_for_the_same_likelihood() -> None:
    network, sequences = problem([3, 1, 8, 2])
    batch = sequences.batch(np.arange(4), torch.device("cpu"))
    torch.testing.assert_close(log_prob(network, batch), network.log_prob(batch))


@pytest.mark.parametrize("clip", [CLIP, 1e6])
def test_clipped_sums_are_those_of_a_loop_over_subjects(clip: float) -> None:
    network, sequences = problem([3, 1, 8, 2, 5])
    own = clipping(network)
    run = descent(network, sequences, clip)
    sums = torch.cat([part.flatten() for part in run.clipped_sum(np.arange(5))])
    for parameter in own.parameters:
        parameter.requires_grad = True
    gradients = [alone(network, sequences, subject, own.parameters) for subject in range(5)]
    assert all(float(one.norm()) > CLIP for one in gradients)
    expected = sum(one * min(1.0, clip / float(one.norm())) for one in gradients)
    torch.testing.assert_close(sums, expected, rtol=1e-4, atol=1e-6)


def descent(network: SequenceNetwork, sequences: Sequences, clip: float, rate: float = 1.0) -> PrivateSequenceDescent:
    event = Event(
        name="gradients", mechanism="Poisson-sampled Gaussian", noise_multiplier=30.0, sensitivity=clip,
        sampling_rate=rate, times=2,
    )  # fmt: skip
    ledger = Ledger(budget=PrivacyBudget(epsilon=9.0, delta=1e-3)).record(event)
    spending = Spending(RecordedEvent(event, ledger), Descending(batch=4, steps=2, clip=clip), 5, 1)
    return PrivateSequenceDescent(network, sequences, spending, Journal(None, 0))


def test_one_subject_more_moves_the_sum_by_the_clip_at_most() -> None:
    network, sequences = problem([3, 1, 40, 2, 5])
    run = descent(network, sequences, CLIP)
    whole, without = (
        torch.cat([part.flatten() for part in run.clipped_sum(chosen)])
        for chosen in (np.arange(5), np.array([0, 1, 3, 4]))
    )
    assert float((whole - without).norm()) == pytest.approx(CLIP, rel=1e-4)


def test_a_subject_whose_gradient_is_not_finite_counts_as_zero() -> None:
    network, sequences = problem([3, 1, 4])
    roots = sequences.ancestors[1].digits
    roots[:, 0] = [0, 3, 1]  # a level that the others do not have
    run = descent(network, sequences, CLIP)
    expected = run.clipped_sum(np.array([0, 2]))
    with torch.no_grad():
        dict(network.named_parameters())["ancestors.1.digits.weight"][3] = float("nan")
    for one, other in zip(run.clipped_sum(np.arange(3)), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_an_empty_sample_and_a_step_have_noise() -> None:
    network, sequences = problem([3, 1, 4])
    run = descent(network, sequences, CLIP, rate=1e-9)
    before = [parameter.detach().clone() for parameter in run.parameters]
    run.run(None)
    assert all(not torch.equal(old, new) for old, new in zip(before, run.parameters, strict=True))
