"""Clipped sums are those of plain loops over rows, for every layer of every decoder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.config import DecoderName
from synthvae.model.pixels import PixelDecoder
from synthvae.privacy.dpsgd.ghost_clipping import GhostClipping

SLOTS = Slots((3, 5, 2, 7, 6, 4), (), (None, 0, None, None, 3, None))
CONDITIONS, ROWS, CLIP = 3, 9, 0.7
Losses = Callable[[Rows, Tensor], Tensor]
decoders = pytest.mark.parametrize("decoder", ["autoregressive", "factorized"])
hidden = pytest.mark.parametrize("hidden", [0, 8])


def build(decoder: DecoderName, hidden: int = 8) -> CVAE:
    """A model in double precision, no weight of which is zero."""
    torch.manual_seed(0)
    model = CVAE(SLOTS, CONDITIONS, ModelConfig(decoder=decoder, latent_dim=4, width=16, hidden=hidden)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def data(rows: int = ROWS) -> tuple[Rows, Tensor]:
    """Rows with unknown digits among them."""
    torch.manual_seed(1)
    digits = torch.stack([torch.randint(-1, size, (rows,)) for size in SLOTS.sizes], 1)
    return Rows(digits.to(torch.int8), torch.empty(rows, 0, dtype=torch.float64)), torch.randint(0, CONDITIONS, (rows,))


def bound(model: CVAE) -> Losses:
    """The negative ELBO of each row, z drawn the same for all."""

    def losses(rows: Rows, labels: Tensor) -> Tensor:
        noise = torch.linspace(-1, 1, model.config.latent_dim).double().expand(len(labels), -1)
        terms = model.elbo(rows, labels, noise)
        return terms.kl.sum(1) - terms.reconstruction

    return losses


def by_loop(ghost: GhostClipping, losses: Losses, rows: Rows, labels: Tensor) -> tuple[list[Tensor], Tensor]:
    """The same, one row after the other."""
    totals, lengths = [torch.zeros_like(p) for p in ghost.parameters], []
    for i in range(len(labels)):
        loss = losses(rows.take(slice(i, i + 1)), labels[i : i + 1]).sum()
        found = torch.autograd.grad(loss, ghost.parameters, materialize_grads=True)
        length = torch.sqrt(sum((g.square().sum() for g in found), torch.zeros(()).double()))
        for total, gradient in zip(totals, found, strict=True):
            total.add_(gradient * min(1.0, CLIP / float(length)))
        lengths.append(length)
    return totals, torch.stack(lengths)


def close(first: list[Tensor], second: list[Tensor]) -> None:
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@decoders
@hidden
def test_sums_and_lengths_are_those_of_a_loop(decoder: DecoderName, hidden: int) -> None:
    model, (rows, labels) = build(decoder, hidden), data()
    ghost = GhostClipping(model)
    sums, lengths = ghost.clipped_sums(bound(model), rows, labels, CLIP)
    totals, expected = by_loop(ghost, bound(model), rows, labels)
    torch.testing.assert_close(lengths, expected, rtol=1e-9, atol=1e-12)
    assert float(lengths.max()) > CLIP
    close(sums, totals)


@decoders
def test_every_parameter_is_trained_but_the_frozen_ones(decoder: DecoderName) -> None:
    model = build(decoder)
    assert not isinstance(model.decoder, PixelDecoder)
    frozen = GhostClipping(model, (model.decoder.tables,))
    everything = {id(p) for p in model.parameters() if p.numel()}
    assert {id(p) for p in GhostClipping(model).parameters} == everything
    assert everything - {id(p) for p in frozen.parameters} == {id(model.decoder.tables.weight)}


@decoders
def test_an_empty_sample_has_sums_of_zero(decoder: DecoderName) -> None:
    model, (rows, labels) = build(decoder), data()
    sums, lengths = GhostClipping(model).clipped_sums(bound(model), rows.take(slice(0, 0)), labels[:0], CLIP)
    assert len(lengths) == 0
    assert all(float(total.abs().sum()) == 0 for total in sums)


@decoders
def test_parts_sum_to_the_whole(decoder: DecoderName) -> None:
    model, (rows, labels) = build(decoder), data(20)
    ghost = GhostClipping(model)
    whole, _ = ghost.clipped_sums(bound(model), rows, labels, CLIP)
    halves = [ghost.clipped_sums(bound(model), rows.take(s), labels[s], CLIP)[0] for s in (slice(7), slice(7, 20))]
    close(whole, [a + b for a, b in zip(*halves, strict=True)])


@decoders
def test_a_row_whose_gradient_is_no_number_moves_no_other(decoder: DecoderName) -> None:
    model, (rows, labels) = build(decoder), data()
    broken = torch.zeros(ROWS).double()
    broken[4] = float("nan")

    def poisoned(some: Rows, of: Tensor) -> Tensor:
        return bound(model)(some, of) * (1 + broken[: len(of)] if len(of) == ROWS else 1)

    others = torch.arange(ROWS) != 4
    sums, _ = GhostClipping(model).clipped_sums(poisoned, rows, labels, CLIP)
    expected, _ = GhostClipping(model).clipped_sums(bound(model), rows.take(others), labels[others], CLIP)
    close(sums, expected)


def test_no_row_moves_a_sum_by_more_than_the_clip() -> None:
    model, (rows, labels) = build("autoregressive"), data()
    ghost = GhostClipping(model)
    whole, _ = ghost.clipped_sums(bound(model), rows, labels, CLIP)
    for i in range(ROWS):
        others = torch.arange(ROWS) != i
        rest, _ = ghost.clipped_sums(bound(model), rows.take(others), labels[others], CLIP)
        moved = torch.sqrt(sum(((a - b).square().sum() for a, b in zip(whole, rest, strict=True)), torch.zeros(())))
        assert float(moved) <= CLIP * (1 + 1e-9)


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="GRUCell"):
        GhostClipping(nn.Sequential(nn.GRUCell(2, 2)))


def test_a_layer_that_is_used_twice_is_refused() -> None:
    layer = nn.Linear(6, 6)

    def losses(rows: Rows, labels: Tensor) -> Tensor:
        del labels
        return torch.as_tensor(layer(layer(rows.digits.float())).sum(1))

    rows, labels = data()
    with pytest.raises(RuntimeError, match="second call of Linear"):
        GhostClipping(layer).clipped_sums(losses, rows, labels, CLIP)


def test_parameters_take_gradients_again_afterwards() -> None:
    model, (rows, labels) = build("autoregressive"), data()
    GhostClipping(model).clipped_sums(bound(model), rows, labels, CLIP)
    assert all(parameter.requires_grad for parameter in model.parameters())
