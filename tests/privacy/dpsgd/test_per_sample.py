"""opacus computes the per-sample gradients of a plain loop, and ghost clipping sums them without materialising them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import opacus_samplers
import pytest
import torch
from opacus import GradSampleModule
from test_ghost_clipping import CLIP, CONDITIONS, ROWS, build, close, data, decoders, hidden
from torch import Tensor, nn

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.config import DecoderName
from synthvae.privacy.dpsgd.ghost_clipping import RULES, GhostClipping

opacus_samplers.register()

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
reductions = pytest.mark.parametrize("reduction", ["sum", "mean"])
MIXED = Slots((3, 2), (Value(2, switch=1, level=1), Value(1)))


def losses(decoder: nn.Module, rows: Rows, labels: Tensor) -> Tensor:
    z = torch.linspace(-1, 1, 4).double().expand(len(labels), -1)
    return torch.as_tensor(-decoder.log_prob(rows, z, labels).sum(0))  # type: ignore[operator]


def by_opacus(decoder: nn.Module, rows: Rows, labels: Tensor, reduction: str) -> list[Tensor]:
    """The gradients (B, ...) of each parameter that it has."""
    wrapped = GradSampleModule(decoder.train(), strict=False, loss_reduction=reduction)
    found = losses(decoder, rows, labels)
    torch.autograd.backward(found.sum() if reduction == "sum" else found.mean())
    wrapped.remove_hooks()
    return samples_of(decoder.parameters())


def samples_of(parameters: Iterable[Any]) -> list[Tensor]:
    return [parameter.grad_sample for parameter in parameters]


def by_loop(decoder: nn.Module, rows: Rows, labels: Tensor) -> list[Tensor]:
    parameters = list(decoder.parameters())
    one_by_one = []
    for i in range(len(labels)):
        loss = losses(decoder, rows.take(slice(i, i + 1)), labels[i : i + 1]).sum()
        one_by_one.append(torch.autograd.grad(loss, parameters, materialize_grads=True))
    return [torch.stack(rows_of_one) for rows_of_one in zip(*one_by_one, strict=True)]


@decoders
@hidden
@reductions
def test_opacus_finds_the_gradients_of_a_loop(decoder: DecoderName, hidden: int, reduction: str) -> None:
    model, (rows, labels) = build(decoder, hidden), data()
    close(by_opacus(model.decoder, rows, labels, reduction), by_loop(model.decoder, rows, labels))


@decoders
@reductions
def test_values_have_gradients_too(decoder: DecoderName, reduction: str) -> None:
    torch.manual_seed(0)
    model = CVAE(MIXED, CONDITIONS, ModelConfig(decoder=decoder, latent_dim=4, width=16)).double()
    digits = torch.stack([torch.randint(0, size, (ROWS,)) for size in MIXED.sizes], 1)
    values = torch.randn(ROWS, 2).double()
    values[digits[:, 1] == 0, 0] = torch.nan  # what is switched off
    rows, labels = Rows(digits.to(torch.int8), values), torch.randint(0, CONDITIONS, (ROWS,))
    close(by_opacus(model.decoder, rows, labels, reduction), by_loop(model.decoder, rows, labels))


@decoders
def test_clipped_sums_are_those_of_the_gradients_that_opacus_finds(decoder: DecoderName) -> None:
    model, (rows, labels) = build(decoder), data()
    ghost = GhostClipping(model.decoder)
    sums, lengths = ghost.clipped_sums(lambda *some: losses(model.decoder, *some), rows, labels, CLIP)
    by_opacus(model.decoder, rows, labels, "sum")
    gradients = samples_of(ghost.parameters)
    expected = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    torch.testing.assert_close(lengths, expected, rtol=1e-9, atol=1e-12)
    factors = (CLIP / expected).clamp_max(1.0)
    close(sums, [torch.einsum("b...,b->...", gradient, factors) for gradient in gradients])


def test_every_layer_with_a_rule_is_compared() -> None:
    assert set(RULES) <= set(GradSampleModule.GRAD_SAMPLERS)


@pytest.mark.slow
def test_an_import_registers_nothing_with_opacus() -> None:
    """Its registry is global; training needs no entry in it."""
    code = (
        "from opacus import GradSampleModule; before = dict(GradSampleModule.GRAD_SAMPLERS); "
        "import synthvae.privacy.dpsgd.trainer; assert GradSampleModule.GRAD_SAMPLERS == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
