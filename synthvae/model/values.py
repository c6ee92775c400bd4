"""The density of continuous values: mixtures of normals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from synthvae.model.draws import draw, tempered
from synthvae.model.embeddings import deviates

COMPONENTS = 10  # of a mixture
PARAMETERS = 3 * COMPONENTS  # a head's outputs: logits, means and log standard deviations of the components
LOG_SCALES = (-5.0, 2.0)
MIN_MASS = 1e-30  # of a component within limits
LIMIT = 5.2  # of drawn values: one in ten million exceeds it under a standard normal


def initial_bias(mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """Return the initial outputs (..., 3 M) of a head: a broad mixture that covers a normal of `mean` and `std` (...).

    By default it covers the standard normal.
    """
    center, scale = (
        torch.zeros((), dtype=torch.float32) if mean is None else mean,
        (torch.ones((), dtype=torch.float32) if std is None else std),
    )
    means = center[..., None] + scale[..., None] * deviates(COMPONENTS).to(center.device)
    spreads = (scale[..., None].log() - 1.0).expand_as(means)
    return torch.cat([torch.zeros_like(means), means, spreads], -1)


def mean_shift(outputs: Tensor, mean: Tensor, reach: float) -> Tensor:
    """Return what to add (3 M,) to the `outputs` (3 M, B) of rows, so that the mean of draws is nearer to `mean`.

    The means of all components move alike. If other slots determine a value, its density is narrow, and a shift spoils
    it, though their own draws may be what is off. So the shift is limited: one of a tenth of a density's standard
    deviation costs 0.005 nats. The spreads of components stay: scaling them so that the variance of draws agrees, too,
    adds noise, and weakened the relation of a column with those before it.

    Args:
        outputs: The parameters of the mixtures of rows that are drawn from the model.
        mean: The mean of the values in the data.
        reach: The largest shift, in typical (geometric mean) standard deviations of a row's density.
    """
    logits, means, log_scales = outputs.double().split(COMPONENTS)
    shares = logits.softmax(0)
    expected = (shares * means).sum(0)
    variances = (shares * ((means - expected).square() + (2 * log_scales.clamp(*LOG_SCALES)).exp())).sum(0)
    most = reach * (0.5 * variances.log().mean()).exp()
    off = (mean - expected.mean()).clamp(-most, most)
    return torch.cat([torch.zeros_like(logits[:, 0]), off.expand(COMPONENTS), torch.zeros_like(log_scales[:, 0])])


def log_density(outputs: Tensor, values: Tensor) -> Tensor:
    """Return log p (V, B) of `values` (B, V) under mixtures with `outputs` (V, B, 3 M), in nats; 0 where missing.

    Source: Bishop 1994, Mixture density networks, https://publications.aston.ac.uk/id/eprint/373/.
    """
    logits, means, log_scales = outputs.to(values).split(COMPONENTS, -1)
    log_scales = log_scales.clamp(*LOG_SCALES)
    known = values.T.nan_to_num(nan=0.0)[..., None]
    deviation = (known - means) * (-log_scales).exp()
    terms = logits.log_softmax(-1) - log_scales - 0.5 * (deviation.square() + math.log(2 * math.pi))
    return torch.as_tensor(terms.logsumexp(-1) * values.T.isfinite())


def draw_value(outputs: Tensor, uniform: Tensor, normal: Tensor, temperature: float = 1.0) -> Tensor:
    """Draw values (B,) from mixtures with `outputs` (3 M, B), by `uniform` (B, 1) and standard `normal` (B,) draws."""
    logits, means, log_scales = outputs.split(COMPONENTS)
    component = draw(tempered(logits, temperature), uniform)[None]
    mean, log_scale = means.gather(0, component)[0], log_scales.gather(0, component)[0].clamp_(*LOG_SCALES)
    spread = log_scale.exp() * normal * temperature
    return torch.as_tensor((mean + spread).clamp_(-LIMIT, LIMIT))


def draw_value_between(
    outputs: Tensor, uniform: Tensor, share: Tensor, limits: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Draw values (B,) from mixtures with `outputs` (3 M, B) within intervals; also return the log mass (B,) there.

    Args:
        outputs: The outputs of a head.
        uniform: Uniform draws (B, 1) of the component.
        share: Uniform draws (B,) of the place within its truncated normal.
        limits: The smallest and the largest values (intervals, B), or (intervals, 1), of disjoint intervals, of which
            those whose smallest value exceeds the largest one are empty.
    """
    first, last = (ends.double().clamp(-LIMIT, LIMIT).expand(-1, outputs.shape[1]) for ends in limits)
    repeats = len(first)
    logits, means, log_scales = outputs.double().split(COMPONENTS)
    logits = logits.log_softmax(0).repeat(repeats, 1)  # each component in each interval
    means, scales = means.repeat(repeats, 1), log_scales.clamp(*LOG_SCALES).exp().repeat(repeats, 1)
    first, last = (ends.repeat_interleave(COMPONENTS, 0) for ends in (first, last))
    low, high = (torch.special.ndtr((ends - means) / scales) for ends in (first, last))
    masses = logits + (high - low).clamp_min(MIN_MASS).log()
    masses = masses.masked_fill(first > last, 2 * math.log(MIN_MASS))
    component = draw(masses.float(), uniform)[None]
    below, above, mean, scale = (part.gather(0, component)[0] for part in (low, high, means, scales))
    quantile = (below + share * (above - below)).clamp(MIN_MASS, 1 - 2.0**-53)
    ends = (part.gather(0, component)[0] for part in (first, last))
    values = torch.minimum(torch.maximum(mean + scale * torch.special.ndtri(quantile), next(ends)), next(ends))
    return values.to(outputs), masses.logsumexp(0).to(outputs)
