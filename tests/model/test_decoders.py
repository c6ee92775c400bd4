"""Laws of the likelihoods, against plain loops kept here."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder
from synthvae.model.digits import DigitEmbedding, RunningSum, draw, log_prob, padding

Decoder = AutoregressiveDecoder | FactorizedDecoder
Array = npt.NDArray[np.float64]
LATENT, CONDITIONS = 2, 3
SIZES = (2, 4, 1, 3)
DRAWS = 200_000


def build(name: str, sizes: tuple[int, ...] = SIZES, hidden: int = 5) -> Decoder:
    """A decoder with every parameter away from where it starts."""
    with torch.random.fork_rng():
        torch.manual_seed(len(sizes) + hidden)
        decoder: Decoder
        if name == "autoregressive":
            decoder = AutoregressiveDecoder(sizes, CONDITIONS, LATENT, 7, hidden, 0.0)
        else:
            decoder = FactorizedDecoder(sizes, CONDITIONS, LATENT, 7, 0.0)
        with torch.no_grad():
            for parameter in decoder.parameters():
                parameter.add_(0.7 * torch.randn_like(parameter))
    return decoder.eval()


def combinations(sizes: tuple[int, ...]) -> Tensor:
    return torch.tensor(list(itertools.product(*map(range, sizes))), dtype=torch.int8)


def latents(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, LATENT, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(decoder: Decoder) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in decoder.state_dict().items()}


def relu(values: Array) -> Array:
    return np.maximum(values, 0.0)


def log_softmax(logits: Array) -> Array:
    return np.asarray(logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()))


def nade(decoder: Decoder, digits: list[int], z: Array, label: int) -> list[float]:
    """The recursion by hand: log p of each digit of one row."""
    w, first, out = weights(decoder), 0, []
    known = w["start.weight"] @ z + w["start.bias"] + w["condition"][label]
    for j, size in enumerate(decoder.sizes):
        gate = w["gate"][j, 0] + w["condition_gate"][j, label]
        hidden = relu(gate * known + w["shift"][j, 0])
        inner = relu(hidden @ w["inner"][j] + w["inner_bias"][j, 0])
        logits = w["bias"][j, label] + hidden @ w["linear"][j] + inner @ w["outer"][j]
        out.append(log_softmax(logits[:size])[digits[j]] if digits[j] >= 0 else 0.0)
        known = known + (w["embedding.weight"][first + digits[j]] if digits[j] >= 0 else 0.0)
        first += size
    return out


def independent(decoder: Decoder, digits: list[int], z: Array, label: int) -> list[float]:
    """The textbook decoder by hand: log p of each digit of one row."""
    w, out = weights(decoder), []
    hidden = w["start.weight"] @ z + w["start.bias"] + w["condition"][label]
    block = relu(w["block.1.weight"] @ relu(hidden) + w["block.1.bias"])
    hidden = relu(hidden + block)
    for j, size in enumerate(decoder.sizes):
        logits = w["bias"][j, label] + hidden @ w["linear"][j]
        out.append(log_softmax(logits[:size])[digits[j]] if digits[j] >= 0 else 0.0)
    return out


ORACLES = {"autoregressive": nade, "factorized": independent}
both = pytest.mark.parametrize("name", sorted(ORACLES))


@both
@pytest.mark.parametrize("label", range(CONDITIONS))
def test_the_probabilities_of_all_rows_sum_to_one(name: str, label: int) -> None:
    decoder, rows = build(name).double(), combinations(SIZES)
    for z in latents(3):
        labels = torch.full((len(rows),), label)
        total = decoder.log_prob(rows, z.expand(len(rows), -1), labels).detach().sum(0).exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-12)


@both
def test_log_prob_is_what_a_plain_loop_finds(name: str) -> None:
    decoder = build(name).double()
    rng = np.random.default_rng(1)
    digits = np.stack([rng.integers(-1, size, 40) for size in SIZES], 1)
    labels, z = rng.integers(0, CONDITIONS, 40), latents(40, seed=1)
    found = decoder.log_prob(torch.from_numpy(digits.astype(np.int8)), z, torch.from_numpy(labels))
    expected = [ORACLES[name](decoder, *row) for row in zip(digits.tolist(), z.numpy(), labels.tolist(), strict=True)]
    np.testing.assert_allclose(found.detach().numpy().T, expected, rtol=0, atol=1e-10)


def test_without_a_hidden_layer_a_head_is_linear() -> None:
    decoder, rows = build("autoregressive", hidden=0).double(), combinations(SIZES)
    z, labels = latents(1).expand(len(rows), -1), torch.ones(len(rows), dtype=torch.long)
    found = decoder.log_prob(rows, z, labels).detach().numpy().T
    expected = [nade(decoder, row, z[0].numpy(), 1) for row in rows.tolist()]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def expected_counts(decoder: Decoder, z: Tensor, label: int) -> Tensor:
    rows = combinations(decoder.sizes)
    labels = torch.full((len(rows),), label)
    return DRAWS * decoder.log_prob(rows, z.expand(len(rows), -1), labels).sum(0).exp().detach()


def drawn_counts(decoder: Decoder, z: Tensor, label: int) -> Tensor:
    drawn = decoder.sample(z.expand(DRAWS, -1), label, torch.Generator().manual_seed(2))
    place = np.ravel_multi_index(tuple(drawn.numpy().T), decoder.sizes)  # refuses a digit beyond its size
    return torch.from_numpy(np.bincount(place, minlength=int(np.prod(decoder.sizes))))


@both
@pytest.mark.parametrize(("sizes", "hidden"), [(SIZES, 5), ((3, 17), 5), ((2, 3), 0)])
def test_draws_follow_the_stated_distribution(name: str, sizes: tuple[int, ...], hidden: int) -> None:
    decoder, z = build(name, sizes, hidden), latents(1, seed=3).float()
    expected, counts = expected_counts(decoder, z, 1), drawn_counts(decoder, z, 1)
    often = expected >= 5
    observed = torch.cat([counts[often], counts[~often].sum()[None]])
    expected = torch.cat([expected[often], expected[~often].sum()[None].clamp_min(1e-9)])
    statistic = float(((observed - expected).square() / expected)[expected >= 5].sum())
    freedom = int((expected >= 5).sum()) - 1
    assert statistic < freedom + 4.5 * (2 * freedom) ** 0.5
    assert 0.5 * float((observed - expected).abs().sum()) / DRAWS < 0.01


@both
def test_an_unknown_digit_says_nothing(name: str) -> None:
    decoder, z = build(name).double(), latents(1)
    nothing = torch.full((1, len(SIZES)), -1, dtype=torch.int8)
    assert not decoder.log_prob(nothing, z, torch.tensor([2])).any()


def test_an_unknown_digit_adds_nothing_to_the_running_sum() -> None:
    embedding = DigitEmbedding(SIZES, 4)
    vectors = embedding(torch.tensor([[1, -1, 0, -1]], dtype=torch.int8))
    assert not vectors[[1, 3]].any()
    assert torch.equal(vectors[0, 0], embedding.weight[1])
    assert torch.equal(vectors[2, 0], embedding.weight[6])
    assert torch.equal(embedding.rows_of(1, 4), embedding.weight[2:6])


@both
@pytest.mark.parametrize("extreme", [0.0, 1.0 - 2.0**-24])
def test_padding_is_never_drawn(name: str, extreme: float, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = build(name, (1, 2, 19))
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, extreme))
    drawn = decoder.sample(5 * latents(500).float(), 0, torch.Generator())
    assert (drawn < torch.tensor(decoder.sizes)).all()
    assert (drawn >= 0).all()


@both
def test_a_level_without_probability_is_never_drawn(name: str) -> None:
    decoder = build(name, (3, 3))
    with torch.no_grad():
        decoder.bias[:, :, 1] = -1e4
    drawn = decoder.sample(latents(20_000).float(), 0, torch.Generator().manual_seed(0))
    assert set(drawn.flatten().tolist()) == {0, 2}


@both
def test_the_start_is_the_frequencies_given(name: str) -> None:
    decoder = build(name)
    given_ = torch.randn(len(SIZES), CONDITIONS, max(SIZES)).log_softmax(2)
    decoder.set_bias(given_)
    assert torch.equal(decoder.bias.detach(), given_)


def test_padding_leaves_real_levels_alone() -> None:
    added = padding((1, 3, 2))
    probabilities = (added + torch.randn(3, 3)).softmax(1)
    for j, size in enumerate((1, 3, 2)):
        assert not added[j, :size].any()
        assert not probabilities[j, size:].any()


@pytest.mark.parametrize("digits", [1, 2, 6])
def test_the_running_sum_is_an_exclusive_cumulative_sum(digits: int) -> None:
    start, vectors = torch.randn(3, 4).double(), torch.randn(digits, 3, 4).double()
    sums: Tensor = apply(start, vectors)
    torch.testing.assert_close(sums, start + vectors.cumsum(0) - vectors)


@pytest.mark.parametrize("digits", [1, 2, 5])
def test_the_running_sum_has_the_right_gradient(digits: int) -> None:
    start = torch.randn(2, 3).double().requires_grad_()
    vectors = torch.randn(digits, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(apply, (start, vectors))


def apply(*tensors: Tensor) -> Any:
    return RunningSum.apply(*tensors)  # type: ignore[no-untyped-call]


levels = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=9)


@settings(max_examples=200, deadline=None)
@given(levels, st.floats(0, 1, exclude_max=True, width=32))
def test_drawing_inverts_the_distribution_function(logits: list[float], uniform: float) -> None:
    level = int(draw(torch.tensor([logits]), torch.tensor([[uniform]])))
    ends = np.concatenate([[0.0], np.cumsum(np.exp(log_softmax(np.array(logits, float))))])
    assert ends[level] - 1e-5 <= uniform <= ends[level + 1] + 1e-5


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0 - 2.0**-24])
def test_drawing_never_gives_what_has_no_probability(uniform: float) -> None:
    logits = torch.tensor([[-1e4, 0.3, -1e4, -0.4, -1e4]])
    assert int(draw(logits, torch.tensor([[uniform]]))) in (1, 3)


def test_log_prob_of_digits_is_a_log_softmax() -> None:
    logits, digits = torch.randn(2, 3, 4), torch.tensor([[0, 3], [1, -1], [2, 2]], dtype=torch.int8)
    found = log_prob(logits, digits)
    for row, j in itertools.product(range(3), range(2)):
        digit = int(digits[row, j])
        expected = float(logits[j, row].log_softmax(0)[digit]) if digit >= 0 else 0.0
        assert float(found[j, row]) == pytest.approx(expected, abs=1e-6)
