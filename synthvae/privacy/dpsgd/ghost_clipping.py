"""Clipped sums of per-sample gradients without per-sample gradients.

The squared norm of one sample's gradient of a layer follows from what went into the layer and the gradient of what came
out; so do sums of gradients that are scaled sample by sample. One pass forward and one backward are enough.

Source: Goodfellow 2015, Efficient per-example gradient computations, https://arxiv.org/abs/1510.01799; Bu et al. 2023,
Differentially private optimization on large model at small cost, https://arxiv.org/abs/2210.00038 ("book-keeping").

Shapes: B rows, J slots, W width, N inputs, K outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from synthvae.model.embeddings import DigitEmbedding, FineTables
from synthvae.model.layers import SlotGate, SlotLinear, SlotSum
from synthvae.model.rows import Rows

TINY = 1e-12  # a length that is not divided by

Gradients = list[tuple[Tensor, Tensor]]


class Call(NamedTuple):
    """One use of a layer.

    Args:
        inputs: What went in.
        output: What came out.
        gradient: The gradient of each row's loss with respect to its part of the output.
            It may be that of another layer, too.
    """

    inputs: tuple[Any, ...]
    output: Tensor
    gradient: Tensor


# Of a layer and its use: the squared lengths (B,) of the rows' gradients, all parameters of the layer together; and
# what returns, for factors (B,), the sums of the rows' gradients times these.
Sums = Callable[[Tensor], Gradients]
Rule = Callable[[Any, Call], tuple[Tensor, Sums]]


def _squares(values: Tensor) -> Tensor:
    """Squared lengths (..., B) of vectors (..., B, K)."""
    return torch.as_tensor(torch.linalg.vector_norm(values, dim=-1).square_())


def _linear(layer: nn.Linear, call: Call) -> tuple[Tensor, Sums]:
    (inputs,), gradient = call.inputs, call.gradient

    def sums(factors: Tensor) -> Gradients:
        scaled = gradient * factors[:, None]
        return [(layer.weight, scaled.T @ inputs), (layer.bias, scaled.sum(0))]

    return (_squares(inputs) + 1) * _squares(gradient), sums


def _embedding(layer: nn.Embedding, call: Call) -> tuple[Tensor, Sums]:
    (labels,), gradient = call.inputs, call.gradient

    def sums(factors: Tensor) -> Gradients:
        return [(layer.weight, _member(labels, len(layer.weight), factors) @ gradient)]

    return _squares(gradient), sums


def _digits(layer: DigitEmbedding, call: Call) -> tuple[Tensor, Sums]:
    (digits,), gradient = call.inputs, call.gradient
    places = layer.places(digits)  # (J, B); the one after the last stands for the unknown

    def sums(factors: Tensor) -> Gradients:
        table = layer.weight.new_zeros(len(layer.weight) + 1, layer.weight.shape[1])
        table.index_add_(0, places.flatten(), (gradient * factors[:, None]).flatten(0, 1))
        return [(layer.weight, table[:-1])]

    return (_squares(gradient) * (places < len(layer.weight))).sum(0), sums


def _tables(layer: FineTables, call: Call) -> tuple[Tensor, Sums]:
    known, places = layer.places(call.inputs[1])  # (F, B)
    gradient = call.gradient.index_select(0, layer.fine) * known[..., None]

    def sums(factors: Tensor) -> Gradients:
        table = torch.zeros_like(layer.weight).flatten(0, 1)
        table.index_add_(0, places.flatten(), gradient.mul_(factors[:, None]).flatten(0, 1))
        return [(layer.weight, table.view_as(layer.weight))]

    return _squares(gradient).sum(0), sums


def _gate(layer: SlotGate, call: Call) -> tuple[Tensor, Sums]:
    read, labels = call.inputs
    passed = call.gradient * (call.output > 0)
    gated = passed * read

    def sums(factors: Tensor) -> Gradients:
        by_condition = _member(labels, layer.condition_gate.shape[1], factors) @ gated
        shift = (factors @ passed)[:, None]
        return [
            (layer.gate, by_condition.sum(1, keepdim=True)),
            (layer.condition_gate, by_condition),
            (layer.shift, shift),
        ]

    return (2 * _squares(gated) + _squares(passed)).sum(0), sums  # both gates have the same gradient


def _slot_linear(layer: SlotLinear, call: Call) -> tuple[Tensor, Sums]:
    (inputs, labels), gradient = call.inputs, call.gradient

    def sums(factors: Tensor) -> Gradients:
        conditions = layer.bias.shape[1]
        member = factors[None] if conditions == 1 else _member(labels, conditions, factors)
        bias = member @ gradient
        return [(layer.weight, inputs.transpose(1, 2) @ (gradient * factors[:, None])), (layer.bias, bias)]

    return ((_squares(inputs) + 1) * _squares(gradient)).sum(0), sums


def _slot_sum(layer: SlotSum, call: Call) -> tuple[Tensor, Sums]:
    (_, inputs, _), gradient = call.inputs, call.gradient

    def sums(factors: Tensor) -> Gradients:
        return [(layer.weight, inputs.transpose(1, 2) @ (gradient * factors[:, None]))]

    return (_squares(inputs) * _squares(gradient)).sum(0), sums


def _member(labels: Tensor, conditions: int, factors: Tensor) -> Tensor:
    """Which rows belong to which condition (C, B), times `factors` (B,)."""
    return nn.functional.one_hot(labels, conditions).T * factors


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    DigitEmbedding: _digits,
    FineTables: _tables,
    SlotGate: _gate,
    SlotLinear: _slot_linear,
    SlotSum: _slot_sum,
}


class Ghost:
    """Clipped sums of per-sample gradients of a module.

    While it is entered, the module's parameters take no gradients of their own.

    Args:
        module: What is trained. Each of its layers with parameters has a rule and is used once a pass.
        frozen: Layers that are not.
    """

    def __init__(self, module: nn.Module, frozen: tuple[nn.Module, ...] = ()) -> None:
        self.layers = [
            layer
            for layer in module.modules()
            if layer not in frozen and any(p.numel() for p in layer.parameters(recurse=False))
        ]
        unknown = {type(layer).__name__ for layer in self.layers if type(layer) not in RULES}
        if unknown:
            raise TypeError(f"each layer must have a rule for norms, however, {sorted(unknown)} have none")
        self.parameters = [p for layer in self.layers for p in layer.parameters(recurse=False)]
        self._used: dict[nn.Module, tuple[tuple[Any, ...], Tensor]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what passes the layers."""
        hooks = [layer.register_forward_hook(self._record) for layer in self.layers]
        for parameter in self.parameters:
            parameter.requires_grad = False
        try:
            yield
        finally:
            self._used.clear()
            for hook in hooks:
                hook.remove()
            for parameter in self.parameters:
                parameter.requires_grad = True

    def _record(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        if layer in self._used:
            raise RuntimeError(f"a layer must be used once a pass, however, {type(layer).__name__} is used again")
        output = output if output.requires_grad else output.requires_grad_()
        self._used[layer] = (tuple(v.detach() if isinstance(v, Tensor) else v for v in inputs), output)
        return output

    def clipped_sums(
        self, losses: Callable[[Rows, Tensor], Tensor], rows: Rows, labels: Tensor, clip: float
    ) -> tuple[list[Tensor], Tensor]:
        """Return, for each parameter, the sum of the rows' gradients, each clipped to length `clip`.

        The second thing returned are the lengths (B,) before clipping. A row whose gradient is no number counts as zero
        and moves no other.

        Args:
            losses: Of rows (B) and labels (B,), their losses (B,).
            rows: The rows.
            labels: Their conditions (B,).
            clip: The largest length.
        """
        with self.recording():
            loss = losses(rows, labels)
            used = list(self._used.items())
            gradients = torch.autograd.grad(loss.sum(), [output for _, (_, output) in used])
        known = [
            RULES[type(layer)](layer, Call(inputs, output.detach(), gradient))
            for (layer, (inputs, output)), gradient in zip(used, gradients, strict=True)
        ]
        lengths = torch.stack([squares for squares, _ in known]).sum(0).sqrt()
        good = lengths.isfinite()
        if not good.all():
            return self.clipped_sums(losses, rows.take(good), labels[good], clip)[0], lengths
        factors = (clip / lengths.clamp_min(TINY)).clamp_max(1.0)
        found = {parameter: total for _, sums in known for parameter, total in sums(factors)}
        return [found[parameter] for parameter in self.parameters], lengths
