"""Laws of the likelihoods, against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    CONDITIONS,
    DIGITS,
    MIXED,
    ORACLES,
    Decoder,
    build,
    combinations,
    latents,
    log_softmax,
    nade,
    on_grid,
    only_digits,
    some_rows,
)
from torch import Tensor

from synthvae.codes import Slots, Value
from synthvae.model import Frequencies, Rows
from synthvae.model.draws import draw, log_prob, padding
from synthvae.model.embeddings import DigitEmbedding
from synthvae.model.layers import GatedRead

SIZES = DIGITS.sizes
DRAWS = 200_000
STEP = 0.005  # the narrowest normal is wider, so that sums over a grid are integrals
GRID = torch.arange(-60, 60, STEP, dtype=torch.float64)
BETWEEN = Slots((2, 3), (Value(1, 0, 1),))  # a value that hangs on a digit, and on which a digit hangs
both = pytest.mark.parametrize("name", sorted(ORACLES))
with_or_without_values = pytest.mark.parametrize("slots", [DIGITS, MIXED], ids=["digits", "values too"])


def bias(decoder: Decoder) -> Tensor:
    """The biases (J, C, K) of digits."""
    return decoder.digits.bias


@both
@pytest.mark.parametrize("label", range(CONDITIONS))
def test_the_probabilities_of_all_rows_sum_to_one(name: str, label: int) -> None:
    decoder, rows = build(name).double(), only_digits(combinations(SIZES))
    for z in latents(3):
        labels = torch.full((len(rows.digits),), label)
        total = decoder.log_prob(rows, z.expand(len(labels), -1), labels).detach().sum(0).exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-12)


@torch.no_grad()
def joint(decoder: Decoder, rows: Rows, z: Tensor, label: int) -> Tensor:
    """p(x | z, y) (B,) of all rows, for one z (1, L)."""
    labels = torch.full((len(rows.digits),), label)
    return decoder.log_prob(rows, z.expand(len(labels), -1), labels).sum(0).exp()


def cell_widths(rows: Rows) -> Tensor:
    """What a row of a grid counts for: an absent value is one cell."""
    return torch.ones(len(rows.values), dtype=torch.float64).masked_fill(~rows.values[:, 0].isnan(), STEP)


@both
@pytest.mark.parametrize("value", [Value(0), Value(1, 0, 1), Value(2)])
def test_the_density_of_all_rows_integrates_to_one(name: str, value: Value) -> None:
    slots = Slots((2, 2), (value,))
    rows = on_grid(slots, GRID)
    weight = cell_widths(rows)
    total = (joint(build(name, slots, spread=0.3).double(), rows, latents(1), 2) * weight).sum()
    assert float(total) == pytest.approx(1.0, abs=1e-8)


@both
@with_or_without_values
def test_log_prob_is_what_a_plain_loop_finds(name: str, slots: Slots) -> None:
    decoder, rows = build(name, slots).double(), some_rows(slots, 40, seed=1, unknown=0.2)
    labels, z = np.random.default_rng(1).integers(0, CONDITIONS, 40), latents(40, seed=1)
    found = decoder.log_prob(rows, z, torch.from_numpy(labels)).detach()
    each = zip(rows.digits.tolist(), rows.values.tolist(), z.numpy(), labels.tolist(), strict=True)
    np.testing.assert_allclose(found.numpy().T, [ORACLES[name](decoder, *row) for row in each], rtol=0, atol=1e-9)
    unknown = torch.cat([rows.digits < 0, rows.values.isnan()], 1).T
    assert not found[unknown].any()
    assert unknown.any(1).all()


def test_without_a_hidden_layer_a_head_is_linear() -> None:
    decoder, rows = build("autoregressive", MIXED, hidden=0).double(), some_rows(MIXED, 20)
    z, labels = latents(1).expand(20, -1), torch.ones(20, dtype=torch.long)
    found = decoder.log_prob(rows, z, labels).detach().numpy().T
    pairs = zip(rows.digits.tolist(), rows.values.tolist(), strict=True)
    expected = [nade(decoder, digits, values, z[0].numpy(), 1) for digits, values in pairs]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def assert_chi_square(counts: Tensor, expected: Tensor) -> None:
    """Counts are what chance makes of the expected ones, rare ones taken together."""
    often = expected >= 5
    rest = [counts[~often].sum()[None], expected[~often].sum()[None].clamp_min(1e-9)]
    observed, expected = torch.cat([counts[often], rest[0]]), torch.cat([expected[often], rest[1]])
    statistic = float(((observed - expected).square() / expected)[expected >= 5].sum())
    freedom = int((expected >= 5).sum()) - 1
    assert statistic < freedom + 4.5 * (2 * freedom) ** 0.5
    assert 0.5 * float((observed - expected).abs().sum()) / DRAWS < 0.01


def drawn_counts(decoder: Decoder, z: Tensor, label: int) -> Tensor:
    drawn = decoder.sample(z.expand(DRAWS, -1), label, torch.Generator().manual_seed(2)).digits
    sizes = decoder.slots.sizes
    place = np.ravel_multi_index(tuple(drawn.numpy().T), sizes)  # refuses a digit beyond its size
    return torch.from_numpy(np.bincount(place, minlength=int(np.prod(sizes))))


@both
@pytest.mark.parametrize(("sizes", "hidden"), [(SIZES, 5), ((3, 17), 5), ((2, 3), 0)])
def test_draws_follow_the_stated_distribution(name: str, sizes: tuple[int, ...], hidden: int) -> None:
    decoder, z = build(name, Slots(sizes), hidden), latents(1, seed=3).float()
    expected = DRAWS * joint(decoder, only_digits(combinations(sizes)), z, 1)
    assert_chi_square(drawn_counts(decoder, z, 1), expected)


@both
@pytest.mark.parametrize("hidden", [0, 5])
def test_drawn_values_and_the_digits_around_them_follow_the_density(name: str, hidden: int) -> None:
    """Counts of digits and value by bin, NaN a bin of its own, against the density summed over a grid."""
    z, edges = latents(1, seed=3), torch.linspace(-4, 4, 17, dtype=torch.float64)
    rows = on_grid(BETWEEN, GRID)
    density = joint(build(name, BETWEEN, hidden, spread=0.4).double(), rows, z, 1)
    density *= cell_widths(rows)
    drawn = build(name, BETWEEN, hidden, spread=0.4).sample(
        z.float().expand(DRAWS, -1), 1, torch.Generator().manual_seed(4)
    )
    counts, expected = torch.zeros(2, 3, 18), torch.zeros(2, 3, 18, dtype=torch.float64)
    for table, seen, weight in ((counts, drawn, torch.ones(DRAWS)), (expected, rows, DRAWS * density)):
        a, b = seen.digits.long().T
        table.index_put_(
            (a, b, torch.bucketize(seen.values[:, 0].double(), edges)), weight.to(table.dtype), accumulate=True
        )
    assert_chi_square(counts.double().flatten(), expected.flatten())


@both
def test_a_value_is_absent_exactly_where_its_switch_says_so(name: str) -> None:
    drawn = build(name, MIXED).sample(latents(3000).float(), 0, torch.Generator().manual_seed(0))
    assert drawn.values.shape == (3000, len(MIXED.values))
    for v, value in enumerate(MIXED.values):
        present = torch.ones(3000, dtype=torch.bool)
        if value.switch is not None:
            present = drawn.digits[:, value.switch] == value.level
            assert 0 < int(present.sum()) < 3000
        assert torch.equal(drawn.values[:, v].isfinite(), present)


@both
@with_or_without_values
def test_what_is_unknown_says_nothing(name: str, slots: Slots) -> None:
    decoder, z = build(name, slots).double(), latents(1)
    nothing = Rows(
        torch.full((1, len(slots.sizes)), -1, dtype=torch.int8),
        torch.full((1, len(slots.values)), torch.nan, dtype=torch.float64),
    )
    found = decoder.log_prob(nothing, z, torch.tensor([2])).detach()
    assert found.shape == (len(slots.sizes) + len(slots.values), 1)
    assert not found.any()


@both
def test_values_alone_are_a_table_too(name: str) -> None:
    slots = Slots((), (Value(0), Value(0)))
    decoder, z = build(name, slots), latents(5).float()
    drawn = decoder.sample(z, 0, torch.Generator().manual_seed(0))
    assert (drawn.digits.shape, drawn.values.shape) == ((5, 0), (5, 2))
    assert decoder.log_prob(drawn, z, torch.zeros(5, dtype=torch.long)).isfinite().all()


def test_an_unknown_digit_has_the_zero_vector() -> None:
    embedding = DigitEmbedding(SIZES, 4)
    vectors = embedding(torch.tensor([[1, -1, 0, -1]], dtype=torch.int8))
    assert not vectors[[1, 3]].any()
    assert torch.equal(vectors[0, 0], embedding.weight[1])
    assert torch.equal(vectors[2, 0], embedding.weight[6])
    assert torch.equal(embedding.rows_of(1, 4), embedding.weight[2:6])


@both
@pytest.mark.parametrize("extreme", [0.0, 1.0 - 2.0**-24])
def test_padding_is_never_drawn(name: str, extreme: float, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = build(name, Slots((1, 2, 19)))
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, extreme))
    drawn = decoder.sample(5 * latents(500).float(), 0, torch.Generator()).digits
    assert (drawn < torch.tensor(decoder.slots.sizes)).all()
    assert (drawn >= 0).all()


@both
def test_a_level_without_probability_is_never_drawn(name: str) -> None:
    decoder = build(name, Slots((3, 3)))
    with torch.no_grad():
        bias(decoder)[:, :, 1] = -1e4
    drawn = decoder.sample(latents(20_000).float(), 0, torch.Generator().manual_seed(0))
    assert set(drawn.digits.flatten().tolist()) == {0, 2}


@both
def test_the_start_is_the_frequencies_given(name: str) -> None:
    decoder = build(name, MIXED)
    given_ = Frequencies(
        torch.randn(len(SIZES), CONDITIONS, max(SIZES)).log_softmax(2),
        torch.randn(len(MIXED.pairs), max(SIZES), max(SIZES)),
    )
    decoder.start_from(given_)
    assert torch.equal(bias(decoder).detach(), given_.logs)
    assert torch.equal(decoder.tables.weight.detach(), given_.ratios)


def test_padding_leaves_real_levels_alone() -> None:
    added = padding((1, 3, 2))
    probabilities = (added + torch.randn(3, 3)).softmax(1)
    for j, size in enumerate((1, 3, 2)):
        assert not added[j, :size].any()
        assert not probabilities[j, size:].any()


levels = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=9)


@settings(max_examples=200, deadline=None)
@given(levels, st.floats(0, 1, exclude_max=True, width=32))
def test_drawing_inverts_the_distribution_function(logits: list[float], uniform: float) -> None:
    level = int(draw(torch.tensor([logits]).T, torch.tensor([[uniform]])))
    ends = np.concatenate([[0.0], np.cumsum(np.exp(log_softmax(np.array(logits, float))))])
    assert ends[level] - 1e-5 <= uniform <= ends[level + 1] + 1e-5


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0 - 2.0**-24])
def test_drawing_never_gives_what_has_no_probability(uniform: float) -> None:
    logits = torch.tensor([[-1e4, 0.3, -1e4, -0.4, -1e4]])
    assert int(draw(logits.T, torch.tensor([[uniform]]))) in (1, 3)


def test_log_prob_of_digits_is_a_log_softmax() -> None:
    logits, digits = torch.randn(2, 3, 4), torch.tensor([[0, 3], [1, -1], [2, 2]], dtype=torch.int8)
    found = log_prob(logits, digits)
    for row, j in itertools.product(range(3), range(2)):
        digit = int(digits[row, j])
        expected = float(logits[j, row].log_softmax(0)[digit]) if digit >= 0 else 0.0
        assert float(found[j, row]) == pytest.approx(expected, abs=1e-6)


def test_a_gated_read_has_the_gradient_of_the_plain_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 5, 4), (3, 1, 4), (3, 2, 4), (3, 1, 4)
    inputs = [torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    labels = torch.tensor([0, 1, 1, 0, 1])

    def plain(sums: Tensor, gate: Tensor, condition_gate: Tensor, shift: Tensor) -> Tensor:
        return torch.relu((gate + condition_gate[:, labels]) * sums + shift)

    def ours(*tensors: Tensor) -> Tensor:
        return torch.as_tensor(GatedRead.apply(*tensors, labels))  # type: ignore[no-untyped-call]

    torch.testing.assert_close(ours(*inputs), plain(*inputs))
    assert torch.autograd.gradcheck(ours, inputs)
