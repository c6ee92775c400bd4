"""Clipped sums of the gradients of subjects with several rows, without materialising any gradient of a subject.

The gradient of a subject is the sum of those of its rows. For a layer whose gradient of row t is the outer product of
its input a_t and the gradient g_t of its output, the squared norm of the sum is the sum over pairs of rows of
(a_t . a_u) (g_t . g_u): one matrix product for all pairs of rows of a subject. A sum of rows' gradients, each times the
factor of its subject, is then what `ghost_clipping` computes for rows.

Source: Li et al. 2022, Large language models can be strong differentially private learners, section 4 ("ghost
clipping" of sequences), https://arxiv.org/abs/2110.05679.

Shapes: N rows, S subjects, T rows of the subject with most rows, J slots, K outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from synthvae.model.embeddings import DigitEmbedding
from synthvae.model.layers import SlotGate, SlotLinear, SlotSum
from synthvae.privacy.dpsgd.ghost_clipping import RULES, TINY, Call, GhostClipping, Rule


class Grid:
    """The rows of subjects, each subject a line of a matrix.

    Args:
        subjects: The subject (N,) of each row, numbered from 0 on, in any order.
        count: The number S of subjects.
    """

    def __init__(self, subjects: Tensor, count: int) -> None:
        order = torch.argsort(subjects, stable=True)
        sizes = torch.bincount(subjects, minlength=count)
        starts = sizes.cumsum(0) - sizes
        places = torch.arange(len(subjects)) - starts.repeat_interleave(sizes)
        self.subjects, self.rows = subjects, len(subjects)
        self.places = torch.full((count, max(int(sizes.max()), 1) if count else 1), self.rows)
        self.places[subjects[order], places] = order

    def padded(self, values: Tensor) -> Tensor:
        """Return values (..., N, K) as (..., S, T, K), zero where a subject has fewer rows."""
        zeros = values.new_zeros(*values.shape[:-2], 1, values.shape[-1])
        found = torch.cat([values, zeros], -2).index_select(-2, self.places.flatten())
        return torch.as_tensor(found.unflatten(-2, self.places.shape))

    def products(self, values: Tensor) -> Tensor:
        """Return the inner products (..., S, T, T) of each two rows of a subject of values (..., N, K).

        In double precision, since a sum of gradients that cancel each other is small, and its norm must not be
        underestimated.
        """
        padded = self.padded(values.double())
        return padded @ padded.mT

    def equal(self, codes: Tensor) -> Tensor:
        """Return whether codes (..., N) of each two rows of a subject are equal (..., S, T, T)."""
        fill = codes.new_full((*codes.shape[:-1], 1), -1)
        lines = torch.cat([codes, fill], -1).index_select(-1, self.places.flatten())
        lines = lines.unflatten(-1, self.places.shape)
        return torch.as_tensor(lines[..., :, None] == lines[..., None, :])


Norm = Callable[[Any, Call, Grid], Tensor]
"""From a layer and its call: the products (..., S, T, T) whose sum is the squared norm of each subject's gradient."""


def _linear(layer: nn.Linear, call: Call, grid: Grid) -> Tensor:
    del layer
    return (grid.products(call.inputs[0]) + 1) * grid.products(call.gradient)


def _embedding(layer: nn.Embedding, call: Call, grid: Grid) -> Tensor:
    del layer
    return grid.equal(call.inputs[0]) * grid.products(call.gradient)


def _digits(layer: DigitEmbedding, call: Call, grid: Grid) -> Tensor:
    places = layer.places(call.inputs[0])  # unknown digits have no gradient
    known = call.gradient * (places < len(layer.weight))[..., None]
    return grid.equal(places) * grid.products(known)


def _gate(layer: SlotGate, call: Call, grid: Grid) -> Tensor:
    del layer
    read, labels = call.inputs
    passed = call.gradient * (call.output > 0)
    return (1.0 + grid.equal(labels)) * grid.products(passed * read) + grid.products(passed)


def _slot_linear(layer: SlotLinear, call: Call, grid: Grid) -> Tensor:
    inputs, labels = call.inputs
    shared = 1.0 if layer.bias.shape[1] == 1 else 1.0 * grid.equal(labels)
    return (grid.products(inputs) + shared) * grid.products(call.gradient)


def _slot_sum(layer: SlotSum, call: Call, grid: Grid) -> Tensor:
    del layer
    return grid.products(call.inputs[1]) * grid.products(call.gradient)


NORMS: dict[type[nn.Module], Norm] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    DigitEmbedding: _digits,
    SlotGate: _gate,
    SlotLinear: _slot_linear,
    SlotSum: _slot_sum,
}


class SubjectClipping:
    """Clipped sums of the gradients of subjects of a module.

    Args:
        module: The module that is trained. Each of its layers with parameters is called at most once a pass, with all
            rows.
        frozen: Layers that are not trained.
        rules: The rules of further kinds of layers: that of `ghost_clipping`, and the one of this module.

    Raises:
        TypeError: A layer has no rule.
    """

    def __init__(
        self,
        module: nn.Module,
        frozen: tuple[nn.Module, ...] = (),
        rules: Mapping[type[nn.Module], tuple[Rule, Norm]] | None = None,
    ) -> None:
        further = rules or {}
        self.norms = {**NORMS, **{kind: norm for kind, (_, norm) in further.items()}}
        known = {kind: rule for kind, rule in RULES.items() if kind in self.norms}
        self.ghost = GhostClipping(module, frozen, {**known, **{kind: rule for kind, (rule, _) in further.items()}})

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        return self.ghost.parameters

    def clipped_sums(
        self, losses: Callable[[], Tensor], subjects: Tensor, count: int, clip: float
    ) -> tuple[list[Tensor], Tensor]:
        """Return, for each parameter, the sum of the subjects' gradients clipped to norm `clip`, and the norms (S,).

        Args:
            losses: Returns the losses (N,) of all rows; the loss of a row depends on rows of its subject alone.
            subjects: The subject (N,) of each row.
            count: The number S of subjects.
            clip: The largest norm.

        Raises:
            FloatingPointError: A norm is not finite.
        """
        calls = self.ghost.calls(losses)
        grid = Grid(subjects, count)
        squares = [self._squares(layer, call, grid) for layer, call in calls]
        norms = torch.stack(squares).sum(0).clamp_min(0.0).sqrt()
        if not norms.isfinite().all():
            raise FloatingPointError("a norm is not finite")
        factors = (clip / norms.clamp_min(TINY)).clamp_max(1.0).float()[subjects]
        found: dict[Tensor, Tensor] = {}
        for layer, call in calls:
            found |= dict(self.ghost.rules[type(layer)](layer, call)[1](factors))
        # A layer without a call, such as that of an order column that a table lacks, has no gradient.
        sums = [found.get(parameter, torch.zeros_like(parameter)) for parameter in self.parameters]
        return sums, norms

    def _squares(self, layer: nn.Module, call: Call, grid: Grid) -> Tensor:
        """The squared norms (S,) of the subjects' gradients over all parameters of a layer."""
        found = self.norms[type(layer)](layer, call, grid).sum((-1, -2))
        return found.flatten(0, -2).sum(0) if found.dim() > 1 else found
