"""Priors p(z | y): one normal for each condition, or mixtures."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from synthvae.model.draws import draw
from synthvae.model.mixtures import fit_mixtures, log_normal


class Prior(nn.Module):
    """The base class of priors."""

    choices: int = 0
    """The number of uniform numbers of a draw, beside L standard normal ones."""

    @abstractmethod
    def log_prob(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p(z | y) (B,) in nats of `z` (B, L)."""

    @abstractmethod
    def kl_by_dimension(self, mean: Tensor, log_variance: Tensor, labels: Tensor, z: Tensor) -> Tensor:
        """Return KL(q(z_l | x) || p(z_l | y)) (B, L) in nats, in closed form or estimated by draws z ~ q (B, L)."""

    @abstractmethod
    def draw(self, normal: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Turn draws, standard `normal` (B, L) and `uniform` (B, choices), into draws (B, L) of p(z | y)."""

    def fit(self, latents: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Set the prior to the density of `latents` (B, L) with conditions (B,), if it has parameters."""

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor, z: Tensor) -> Tensor:
        """Return KL(q || p) in nats, q diagonal normals with `mean` and `log_variance` (B, L) and draws z.

        It is (B, L), by dimension, if there is a closed form; otherwise (B, 1), log q(z | x) - log p(z | y), whose mean
        over draws is the divergence.
        """
        return (log_normal(z, mean, log_variance).sum(1) - self.log_prob(z, labels))[:, None]


class NormalPrior(Prior):
    """A diagonal normal for each condition: the standard one, or one that is learned with the model.

    With a learned prior, the model is conditional even if encoder and decoder are not: the classes separate in z, so
    that q(z | x) is informative on the label without being given it.

    Args:
        conditions: C.
        latent_dim: L.
        learned: Whether mean and variance are learned for each condition.
    """

    mean: Tensor
    log_variance: Tensor

    def __init__(self, conditions: int, latent_dim: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.mean = nn.Parameter(torch.randn(conditions, latent_dim))
            self.log_variance = nn.Parameter(torch.zeros(conditions, latent_dim))
        else:
            self.register_buffer("mean", torch.zeros(conditions, latent_dim), persistent=False)
            self.register_buffer("log_variance", torch.zeros(conditions, latent_dim), persistent=False)

    @torch.no_grad()
    def fit(self, latents: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Set the normal of each condition to the mean and the variance of its `latents`, if it is learned."""
        del generator
        if isinstance(self.mean, nn.Parameter):
            for label in labels.unique().tolist():
                here = latents[labels == label]
                self.mean[label] = here.mean(0)
                self.log_variance[label] = here.var(0, correction=0).clamp_min(1e-6).log()

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor, z: Tensor | None = None) -> Tensor:
        """Return KL(q || p) (B, L) in nats by dimension, q diagonal normals with `mean` and `log_variance` (B, L).

        Source: Kingma and Welling 2014, Auto-Encoding Variational Bayes, appendix B, https://arxiv.org/abs/1312.6114,
        generalised to a prior of any mean and variance.
        """
        del z
        prior_mean, prior_log_variance = self.mean[labels], self.log_variance[labels]
        ratio = (log_variance - prior_log_variance).exp()
        distance = (mean - prior_mean).square() / prior_log_variance.exp()
        return 0.5 * (ratio + distance - 1.0 + prior_log_variance - log_variance)

    def kl_by_dimension(self, mean: Tensor, log_variance: Tensor, labels: Tensor, z: Tensor | None = None) -> Tensor:
        """Return `kl`, which is by dimension."""
        return self.kl(mean, log_variance, labels, z)

    def log_prob(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p(z | y) (B,) in nats of `z` (B, L)."""
        mean, log_variance = self.mean[labels], self.log_variance[labels]
        terms = (z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)
        return -0.5 * terms.sum(1)

    def draw(self, normal: Tensor, labels: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Turn standard normal draws (B, L) into draws of p(z | y)."""
        del uniform
        return self.mean[labels] + normal * (0.5 * self.log_variance[labels]).exp()


class MixturePrior(Prior):
    """K diagonal normals with weights for each condition.

    p(z | y) = sum over k of p(k | y) N(z; m_k, s_k). There is no closed form of its divergence from a normal.

    Args:
        conditions: C.
        components: K.
    """

    choices = 1

    def __init__(self, conditions: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(conditions, components))

    @abstractmethod
    def components(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log variances, each (B, K, L), or (1, K, L) if they do not depend on the `labels` (B,)."""

    def log_weights(self, labels: Tensor) -> Tensor:
        """Return log p(k | y) (B, K)."""
        return self.logits[labels].log_softmax(1)

    def log_prob(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p(z | y) (B,) in nats of `z` (B, L)."""
        inside = log_normal(z[:, None], *self.components(labels)).sum(2)
        return (self.log_weights(labels) + inside).logsumexp(1)

    def kl_by_dimension(self, mean: Tensor, log_variance: Tensor, labels: Tensor, z: Tensor) -> Tensor:
        """Return an estimate (B, L) of KL(q(z_l | x) || p(z_l | y)) in nats by draws z ~ q (B, L).

        The dimensions of a mixture are dependent, so that this does not add up to `kl`.
        """
        inside = log_normal(z[:, None], *self.components(labels))  # (B, K, L)
        marginal = (self.log_weights(labels)[..., None] + inside).logsumexp(1)
        return log_normal(z, mean, log_variance) - marginal

    def draw(self, normal: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Turn draws, standard `normal` (B, L) and `uniform` (B, 1), into draws of p(z | y)."""
        chosen = draw(self.logits[labels].T, uniform)
        places = torch.arange(len(normal), device=normal.device)
        mean, log_variance = (part.expand(len(normal), -1, -1)[places, chosen] for part in self.components(labels))
        return mean + normal * (0.5 * log_variance).exp()


class GaussianMixturePrior(MixturePrior):
    """A mixture whose means and variances are parameters.

    Its components are diagonal while the model is trained; once fitted to latents, their covariances are full.

    Args:
        conditions: C.
        components: K.
        latent_dim: L.
    """

    tilt: Tensor

    def __init__(self, conditions: int, components: int, latent_dim: int) -> None:
        super().__init__(conditions, components)
        self.mean = nn.Parameter(torch.randn(components, latent_dim))
        self.log_variance = nn.Parameter(torch.zeros(components, latent_dim))
        self.register_buffer("tilt", torch.eye(latent_dim).repeat(components, 1, 1))

    def components(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log variances of each dimension, each (1, K, L)."""
        del labels
        variance = self.tilt.square() @ self.log_variance.exp()[..., None]
        return self.mean[None], variance[None, ..., 0].log()

    def log_prob(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p(z | y) (B,) in nats of `z` (B, L)."""
        away = (z[:, None] - self.mean).transpose(0, 1)  # (K, B, L)
        straight = torch.linalg.solve_triangular(self.tilt, away.mT, upper=False, unitriangular=True)  # (K, L, B)
        inside = log_normal(straight, torch.zeros_like(straight), self.log_variance[..., None]).sum(1).T
        return (self.log_weights(labels) + inside).logsumexp(1)

    def draw(self, normal: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Turn draws, standard `normal` (B, L) and `uniform` (B, 1), into draws of p(z | y)."""
        chosen = draw(self.logits[labels].T, uniform)
        scaled = normal * (0.5 * self.log_variance[chosen]).exp()
        return self.mean[chosen] + (self.tilt[chosen] @ scaled[..., None])[..., 0]

    @torch.no_grad()
    def fit(self, latents: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Fit the mixture to `latents` (B, L) with conditions (B,), by expectation maximisation.

        It gives an autoencoder, whose loss has no prior, a density to draw from, and adjusts the prior of pixels, for
        whose latents the KL has little weight.

        Source: Ghosh et al. 2020, From variational to deterministic autoencoders, section 4,
        https://arxiv.org/abs/1903.12436.
        """
        found = fit_mixtures(latents, labels, tuple(self.logits.shape), generator)
        for own, fitted in zip((self.logits, self.mean, self.log_variance, self.tilt), found, strict=True):
            own.copy_(fitted)


class VampPrior(MixturePrior):
    """A mixture of posteriors q(z | u_k) of learned pseudo-inputs u_k, the variational mixture of posteriors.

    Rows are digits, which have no gradient; so a pseudo-input is not a row but a learned vector, which takes the place
    of the sum of the vectors of a row's cells in the encoder.

    Source: Tomczak and Welling 2018, VAE with a VampPrior, equation 9, https://arxiv.org/abs/1705.07120, with
    weights for each condition instead of equal ones.

    Args:
        conditions: C.
        components: K.
        width: Length of a pseudo-input.
        encode: The encoder after its sum of vectors: (B, width) and labels (B,) to means and log variances (B, L).
        conditional: Whether the encoder is conditional.
    """

    def __init__(
        self,
        conditions: int,
        components: int,
        width: int,
        encode: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        *,
        conditional: bool,
    ) -> None:
        super().__init__(conditions, components)
        self.pseudo_inputs = nn.Parameter(torch.randn(components, width))
        self.conditional = conditional
        self.encode = encode  # a method, not a module, so that the encoder's parameters are not registered twice

    def components(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log variances, each (B, K, L)."""
        conditions, place = (labels if self.conditional else torch.zeros_like(labels)).unique(return_inverse=True)
        count = len(self.pseudo_inputs)
        found = self.encode(self.pseudo_inputs.repeat(len(conditions), 1), conditions.repeat_interleave(count))
        mean, log_variance = (part.unflatten(0, (len(conditions), count))[place] for part in found)
        return mean, log_variance

    @torch.no_grad()
    def start_from(self, totals: Tensor) -> None:
        """Set the pseudo-inputs to the sums of vectors (K, width) of training rows."""
        self.pseudo_inputs.copy_(totals)


def log_aggregate(z: Tensor, mean: Tensor, log_variance: Tensor, labels: Tensor) -> Tensor:
    """Return log q(z | y) (B,) of draws z (B, L), estimated as the mixture of the posteriors of the batch's class.

    Args:
        z: One draw of each posterior.
        mean: The posteriors' means (B, L).
        log_variance: Their log variances (B, L).
        labels: Their conditions (B,).

    The estimate is at least log q(z | x) - log n for n rows of a class, so that the estimated information is at most
    log n.

    Source: Hoffman and Johnson 2016, ELBO surgery; Chen et al. 2018, Isolating sources of disentanglement,
    https://arxiv.org/abs/1802.04942, section 4.
    """
    dtype = z.dtype
    z, mean, log_variance = z.double(), mean.double(), log_variance.double()  # the squares below cancel
    precision = (-log_variance).exp()
    # (z - m)^2 / s^2 as matrix products, without a tensor (B, B, L)
    squares = z.square() @ precision.T - 2 * z @ (mean * precision).T + (mean.square() * precision).sum(1)
    log_density = -0.5 * (squares + log_variance.sum(1) + z.shape[1] * math.log(2 * math.pi))  # (B, B)
    same = labels[:, None] == labels
    inside = log_density.masked_fill(~same, -math.inf)
    return (inside.logsumexp(1) - same.sum(1).double().log()).to(dtype)
