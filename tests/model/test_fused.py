"""The pass over the slots with a backward pass of its own: the outputs and gradients of the layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.dropout import seed_dropout

SIZES, ROWS = (3, 1, 5, 2), 40
MIXED = Slots(SIZES, (Value(after=1, switch=0, level=2), Value(after=4)), (None, None, 0, None))
DIGITS, VALUES = Slots(SIZES, (), (None, None, 0, None)), Slots((), (Value(after=0), Value(after=0)))


def _decoder(slots: Slots, conditions: int, hidden: int, dropout: float, products: int = 0) -> AutoregressiveDecoder:
    torch.manual_seed(0)
    config = ModelConfig(latent_dim=2, width=12, hidden=hidden, value_hidden=hidden, dropout=dropout, products=products)
    decoder = CVAE(slots, conditions, config).double().decoder
    assert isinstance(decoder, AutoregressiveDecoder)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return decoder


def _given(slots: Slots, conditions: int) -> tuple[Rows, Tensor, Tensor]:
    """Rows with unknown digits and missing values, latents and labels."""
    torch.manual_seed(1)
    digits = torch.stack([torch.randint(-1, size, (ROWS,)) for size in slots.sizes], 1) if slots.sizes else None
    values = torch.randn(ROWS, len(slots.values)).double()
    values[torch.rand(values.shape) < 0.2] = torch.nan
    rows = Rows(torch.empty(ROWS, 0, dtype=torch.int8) if digits is None else digits.to(torch.int8), values)
    return rows, torch.randn(ROWS, 2).double().requires_grad_(), torch.randint(0, conditions, (ROWS,))


def _found(decoder: AutoregressiveDecoder, rows: Rows, z: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    seed_dropout(decoder, torch.Generator().manual_seed(2))
    terms = decoder.log_prob(rows, z, labels)
    weights = torch.linspace(1, 2, terms.numel()).double().view_as(terms)
    parameters = [parameter for parameter in decoder.parameters() if parameter.numel()]
    gradients = torch.autograd.grad((terms * weights).sum(), [z, *parameters], allow_unused=True)
    return terms.detach(), [torch.zeros(()) if gradient is None else gradient for gradient in gradients]


@pytest.mark.parametrize("slots", [MIXED, DIGITS, VALUES], ids=["mixed", "digits", "values"])
@pytest.mark.parametrize("products", [0, 4])
@pytest.mark.parametrize(("conditions", "hidden", "dropout"), [(1, 4, 0.0), (3, 4, 0.0), (3, 0, 0.0), (2, 4, 0.5)])
def test_outputs_and_gradients_are_those_of_the_layers(
    slots: Slots, conditions: int, hidden: int, dropout: float, products: int
) -> None:
    decoder, given = _decoder(slots, conditions, hidden, dropout, products), _given(slots, conditions)
    terms, gradients = _found(decoder, *given)
    calls: list[nn.Module] = []
    hook = decoder.digits.linear.register_forward_hook(lambda layer, *_: calls.append(layer))
    by_layer, expected = _found(decoder, *given)
    hook.remove()
    assert len(calls) == 1  # what observes a layer sees it called
    torch.testing.assert_close(terms, by_layer)
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("products", [0, 4])
def test_gradients_are_those_of_differences(products: int) -> None:
    decoder, (rows, z, labels) = _decoder(MIXED, 2, 4, 0.0, products), _given(MIXED, 2)
    rows, labels = rows.take(slice(0, 3)), labels[:3]
    assert torch.autograd.gradcheck(lambda some: decoder.log_prob(rows, some, labels), z[:3])
