"""Per-sample gradients of synthvae's layers for opacus: the oracle to which ghost clipping is compared.

Private training does without them (`synthvae.privacy.dpsgd.ghost_clipping`), since they take as much memory as the
model for each row.

Shapes: B rows, J slots, W width, N inputs, K outputs of a layer, C conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from opacus.grad_sample import register_grad_sampler
from torch import Tensor, nn

from synthvae.model.embeddings import DigitEmbedding, FineTables, ValueEmbedding
from synthvae.model.layers import SlotGate, SlotLinear, SlotSum

# From a layer, its inputs and the gradient of its output: the per-sample gradients (B, ...) of its parameters (...).
Samples = dict[nn.Parameter, Tensor]
Sampler = Callable[[Any, list[Tensor], Tensor], Samples]


def register() -> None:
    """Register the layers with opacus, globally, so that `GradSampleModule(model.decoder, strict=False)` works.

    `strict=False` is needed: some layers hold constant buffers, which opacus takes for batch statistics.
    """
    for layer, sampler in SAMPLERS.items():
        register_grad_sampler(layer)(sampler)


def _gate(layer: SlotGate, inputs: list[Tensor], gradient: Tensor) -> Samples:
    sums, labels = inputs
    gates = layer.gate + layer.condition_gate
    passed = (gradient * (gates[:, labels] * sums + layer.shift > 0)).transpose(0, 1)  # (B, J, W)
    gated = passed * sums.transpose(0, 1)
    by_condition = torch.einsum("bc,bjw->bjcw", _member(labels, gates.shape[1], gated), gated)
    return {layer.gate: gated[:, :, None], layer.condition_gate: by_condition, layer.shift: passed[:, :, None]}


def _slot_linear(layer: SlotLinear, inputs: list[Tensor], gradient: Tensor) -> Samples:
    values, labels = inputs
    conditions = layer.bias.shape[1]
    member = _member(labels if conditions > 1 else torch.zeros_like(labels), conditions, gradient)
    weight = torch.einsum("jbn,jbk->bjnk", values, gradient)
    return {layer.weight: weight, layer.bias: torch.einsum("bc,jbk->bjck", member, gradient)}


def _slot_sum(layer: SlotSum, inputs: list[Tensor], gradient: Tensor) -> Samples:
    return {layer.weight: torch.einsum("jbn,jbk->bjnk", inputs[1], gradient)}


def _digits(layer: DigitEmbedding, inputs: list[Tensor], gradient: Tensor) -> Samples:
    member = _member(layer.places(inputs[0]), len(layer.weight), gradient)  # an unknown digit is none of them
    return {layer.weight: torch.einsum("jbt,jbw->btw", member, gradient)}


def _values(layer: ValueEmbedding, inputs: list[Tensor], gradient: Tensor) -> Samples:
    return {layer.weight: torch.einsum("jbn,jbw->bjnw", layer.features(inputs[0].T), gradient)}


def _tables(layer: FineTables, inputs: list[Tensor], gradient: Tensor) -> Samples:
    known, places = layer.places(inputs[1])  # (F, B)
    shape = layer.weight.shape[:2]
    member = _member(places, shape.numel(), gradient) * known[..., None]
    summed = torch.einsum("fbt,fbk->btk", member, gradient.index_select(0, layer.fine))
    return {layer.weight: summed.reshape(len(summed), *shape, summed.shape[-1])}


def _member(places: Tensor, size: int, like: Tensor) -> Tensor:
    """One-hot vectors (..., size) of the indices `places` (...)."""
    return (places[..., None] == torch.arange(size, device=places.device)).to(like.dtype)


SAMPLERS: dict[type[nn.Module], Sampler] = {
    SlotGate: _gate,
    SlotLinear: _slot_linear,
    SlotSum: _slot_sum,
    DigitEmbedding: _digits,
    ValueEmbedding: _values,
    FineTables: _tables,
}
