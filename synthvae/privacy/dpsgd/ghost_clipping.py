"""Ghost clipping: clipped sums of per-sample gradients, without materialising per-sample gradients.

The squared norm of one sample's gradient of a layer follows from the layer's inputs and the gradient of its outputs; so
do sums of gradients that are scaled sample by sample. One forward and one backward pass are enough.

Source: Goodfellow 2015, Efficient per-example gradient computations, https://arxiv.org/abs/1510.01799; Bu et al. 2023,
Differentially private optimization on large model at small cost, https://arxiv.org/abs/2210.00038 ("book-keeping").

Shapes: B rows, J slots, W width, N inputs, K outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from synthvae.model.embeddings import DigitEmbedding, FineTables
from synthvae.model.layers import SlotGate, SlotLinear, SlotSum
from synthvae.model.rows import Rows

TINY = 1e-12  # smallest norm that is divided by

Gradients = list[tuple[Tensor, Tensor]]


class Call(NamedTuple):
    """One call of a layer.

    Args:
        inputs: The inputs.
        output: The output.
        gradient: The gradient of each row's loss with respect to its part of the output; another layer's call may share
            the tensor.
    """

    inputs: tuple[Any, ...]
    output: Tensor
    gradient: Tensor


# From a layer and its call: the squared norms (B,) of the rows' gradients over all parameters of the layer, and a
# function from factors (B,) to the sums of the rows' gradients times these factors.
Sums = Callable[[Tensor], Gradients]
Rule = Callable[[Any, Call], tuple[Tensor, Sums]]


def _squares(values: Tensor) -> Tensor:
    """Squared norms (..., B) of vectors (..., B, K)."""
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
    places = layer.places(digits)  # (J, B); the index after the last one stands for unknown digits

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
    """One-hot conditions (C, B) of the rows, times `factors` (B,)."""
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


class GhostClipping:
    """Clipped sums of per-sample gradients of a module.

    Args:
        module: The module that is trained. Each of its layers with parameters has a rule and is called once a pass.
        frozen: Layers that are not trained.
        rules: The rule of each kind of layer.

    Raises:
        TypeError: A layer has no rule.
    """

    def __init__(
        self, module: nn.Module, frozen: tuple[nn.Module, ...] = (), rules: Mapping[type[nn.Module], Rule] = RULES
    ) -> None:
        self.rules = rules
        self.layers = [
            layer
            for layer in module.modules()
            if layer not in frozen and any(p.numel() for p in layer.parameters(recurse=False))
        ]
        unknown = {type(layer).__name__ for layer in self.layers if type(layer) not in rules}
        if unknown:
            raise TypeError(f"Each layer must have a rule for ghost clipping, got {sorted(unknown)} without one.")
        self.parameters = [p for layer in self.layers for p in layer.parameters(recurse=False)]
        self._calls: dict[nn.Module, tuple[tuple[Any, ...], Tensor]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the inputs and outputs of the layers; meanwhile their parameters take no gradients."""
        hooks = [layer.register_forward_hook(self._record) for layer in self.layers]
        for parameter in self.parameters:
            parameter.requires_grad = False
        try:
            yield
        finally:
            self._calls.clear()
            for hook in hooks:
                hook.remove()
            for parameter in self.parameters:
                parameter.requires_grad = True

    def _record(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        if layer in self._calls:
            raise RuntimeError(f"A layer must be called once a pass, got a second call of {type(layer).__name__}.")
        output = output if output.requires_grad else output.requires_grad_()
        self._calls[layer] = (tuple(v.detach() if isinstance(v, Tensor) else v for v in inputs), output)
        return output

    def calls(self, losses: Callable[[], Tensor]) -> list[tuple[nn.Module, Call]]:
        """Return the calls of the layers in one pass, with the gradients of the sum of some losses (B,)."""
        with self.recording():
            loss = losses()
            calls = list(self._calls.items())
            outputs = [output for _, (_, output) in calls]
            gradients = torch.autograd.grad(loss.sum(), outputs, materialize_grads=True)
        return [
            (layer, Call(inputs, output.detach(), gradient))
            for (layer, (inputs, output)), gradient in zip(calls, gradients, strict=True)
        ]

    def clipped_sums(
        self, losses: Callable[[Rows, Tensor], Tensor], rows: Rows, labels: Tensor, clip: float
    ) -> tuple[list[Tensor], Tensor]:
        """Return, for each parameter, the sum of the rows' gradients clipped to norm `clip`, and the norms (B,) before.

        A row whose gradient is not finite counts as zero and changes no other row.

        Args:
            losses: A function from rows (B) and labels (B,) to their losses (B,).
            rows: The rows.
            labels: The conditions (B,).
            clip: The largest norm.
        """
        calls = self.calls(lambda: losses(rows, labels))
        known = [self.rules[type(layer)](layer, call) for layer, call in calls]
        norms = torch.stack([squares for squares, _ in known]).sum(0).sqrt()
        good = norms.isfinite()
        if not good.all():
            return self.clipped_sums(losses, rows.take(good), labels[good], clip)[0], norms
        factors = (clip / norms.clamp_min(TINY)).clamp_max(1.0)
        found = {parameter: total for _, sums in known for parameter, total in sums(factors)}
        return [found[parameter] for parameter in self.parameters], norms
