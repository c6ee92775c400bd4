"""Continuous values: what the model sees of them, and mixtures of normals that they are drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from synthvae.model.digits import draw, tempered

KNOTS = 9
COMPONENTS = 10  # of a mixture
PARAMETERS = 3 * COMPONENTS  # a head's outputs: logits, means and log standard deviations of the components
LOG_SCALES = (-5.0, 2.0)
LIMIT = 5.2  # no value lies further out: one row in ten million does under a standard normal


class ValueEmbedding(nn.Module):
    """One vector for each value, piecewise linear in it; an absent value (NaN) has the zero vector.

    Args:
        count: The number V of values.
        width: Length of the vectors.
    """

    knots: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("knots", deviates(KNOTS), persistent=False)
        self.weight = nn.Parameter(torch.randn(count, KNOTS + 1, width) / math.sqrt(2 * max(count, 1)))

    def forward(self, values: Tensor) -> Tensor:
        """Return the vectors (V, B, width) of `values` (B, V)."""
        return torch.bmm(self.features(values.T), self.weight).to(self.weight)  # to be summed: not with few digits

    def one(self, value: int, numbers: Tensor) -> Tensor:
        """Return the vectors (B, width) of one value's `numbers` (B,)."""
        return self.features(numbers) @ self.weight[value]

    def features(self, values: Tensor) -> Tensor:
        """Return the numbers (..., KNOTS + 1) by which the vectors of `values` (...) are weighted; 0 if absent."""
        known = values.nan_to_num(nan=0.0)[..., None]
        hinges = torch.cat([known, torch.relu(known - self.knots)], -1)
        return torch.as_tensor(hinges * values.isfinite()[..., None])


def deviates(count: int) -> Tensor:
    """Return `count` standard normal quantiles, evenly spaced in probability."""
    shares = torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
    return torch.as_tensor(torch.special.ndtri(shares)).float()


def initial_bias(mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """Return the outputs (..., 3 M) of a head at first: a broad mixture that covers a normal of `mean` and `std` (...).

    Without them it is the standard one.
    """
    center, scale = torch.zeros(()) if mean is None else mean, torch.ones(()) if std is None else std
    means = center[..., None] + scale[..., None] * deviates(COMPONENTS).to(center.device)
    spreads = (scale[..., None].log() - 1.0).expand_as(means)
    return torch.cat([torch.zeros_like(means), means, spreads], -1)


def log_density(outputs: Tensor, values: Tensor) -> Tensor:
    """Return log p (V, B) of `values` (B, V) under mixtures with `outputs` (V, B, 3 M), in nats; 0 where absent.

    Source: Bishop 1994, Mixture density networks, https://publications.aston.ac.uk/id/eprint/373/.
    """
    logits, means, log_scales = _parts(outputs.to(values))
    known = values.T.nan_to_num(nan=0.0)[..., None]
    deviation = (known - means) * (-log_scales).exp()
    terms = logits.log_softmax(-1) - log_scales - 0.5 * (deviation.square() + math.log(2 * math.pi))
    return terms.logsumexp(-1) * values.T.isfinite()


def draw_value(outputs: Tensor, uniform: Tensor, normal: Tensor, temperature: float = 1.0) -> Tensor:
    """Draw a number (B,) from mixtures with `outputs` (B, 3 M), by `uniform` (B, 1) and standard `normal` (B,)."""
    logits, means, log_scales = _parts(outputs)
    component = draw(tempered(logits, temperature), uniform)[:, None]
    mean, log_scale = means.gather(1, component)[:, 0], log_scales.gather(1, component)[:, 0]
    spread = log_scale.exp() * normal * temperature
    return torch.as_tensor((mean + spread).clamp_(-LIMIT, LIMIT))


def _parts(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    logits, means, log_scales = outputs[..., :PARAMETERS].split(COMPONENTS, -1)
    return logits, means, log_scales.clamp(*LOG_SCALES)
