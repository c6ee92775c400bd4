"""The conditional variational autoencoder: encoder, prior and decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.bounds import importance_bound
from synthvae.model.calibration import Calibration, calibration_that_gains
from synthvae.model.config import ModelConfig
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder, Marginals
from synthvae.model.draws import MIN_UNIFORM, Uniforms, standard_normal
from synthvae.model.encoder import Encoder
from synthvae.model.mixtures import log_normal
from synthvae.model.pixels import BernoulliDecoder, GaussianDecoder, PixelDecoder, PixelEncoder, PixelNetwork
from synthvae.model.priors import GaussianMixturePrior, NormalPrior, Prior, VampPrior, log_aggregate
from synthvae.model.restrictions import RowRules
from synthvae.model.rows import Rows

MATCHING_ROWS = 1 << 16  # rows drawn to match marginals, for all conditions together
MANY_MATCHING_ROWS, MIN_MATCHING_ROWS = 1 << 13, 1 << 11  # for each condition, of few and of many conditions
HALF_TRUST_ROWS = 10  # training rows of a condition with which its frequencies are trusted by half
ERRORS_OF_MEAN = 2.0  # standard errors by which the mean of a value is moved at most
ENCODED_ROWS = 2048  # of one batch
MAX_FITTED_ROWS = 20_000  # to whose latents a prior is fitted
DRAWS_PER_ROW = 4  # of the latents to which a prior is fitted


class Elbo(NamedTuple):
    """The terms of the evidence lower bound, in nats, and the posteriors.

    Args:
        reconstruction: log p(x | z, y) (B,) with one draw of z.
        kl: KL(q(z | x, y) || p(z | y)) (B, L), by dimension; (B, 1), estimated with z, if the prior is a mixture.
        z: The draws (B, L).
        mean: Means (B, L) of q(z | x, y).
        log_variance: Its log variances (B, L).
    """

    reconstruction: Tensor
    kl: Tensor
    z: Tensor
    mean: Tensor
    log_variance: Tensor


class CVAE(nn.Module):
    """p(x, z | y) = p(z | y) p(x | z, y), with approximate posterior q(z | x, y).

    Source: Sohn, Lee, Yan 2015, Learning structured output representation using deep conditional generative models,
    NeurIPS 28.

    Args:
        slots: The digits and values of x.
        conditions: The number C of values of y; 1 for an unconditional model.
        config: Its architecture.

    Attributes:
        network_conditions: The number of conditions of encoder and decoder: C, or 1 if only the prior is conditional.

    Example:
        >>> import torch
        >>> from synthvae.codes import Slots
        >>> from synthvae.model import CVAE, ModelConfig
        >>> model = CVAE(Slots((3, 2)), conditions=2, config=ModelConfig(latent_dim=1))
        >>> model.sample(1, 5, torch.Generator().manual_seed(0)).digits.shape
        torch.Size([5, 2])
    """

    def __init__(self, slots: Slots, conditions: int, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.conditions = conditions
        self.network_conditions = conditions if config.conditional and config.prior != "class_normal" else 1
        self.prior = self._prior()
        self.encoder = _encoder(slots, self.network_conditions, config)
        self.decoder = _decoder(slots, self.network_conditions, config)

    def _prior(self) -> Prior:
        config = self.config
        if config.prior == "mixture" or config.posterior == "point":
            return GaussianMixturePrior(self.conditions, config.normals, config.latent_dim)
        if config.prior == "vamp":
            conditional = self.network_conditions > 1
            return VampPrior(
                self.conditions, config.normals, config.width, self._encode_pseudo_inputs, conditional=conditional
            )
        return NormalPrior(self.conditions, config.latent_dim, learned=config.prior == "class_normal")

    def _encode_pseudo_inputs(self, totals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posteriors of sums (B, W) of vectors; the encoder is constructed after the prior."""
        assert isinstance(self.encoder, Encoder)
        return self.encoder.encode_total(totals, labels)

    @property
    def is_point(self) -> bool:
        """Whether the posterior is a point, as in an autoencoder."""
        return self.config.posterior == "point"

    def start_prior(self, rows: Rows, generator: torch.Generator) -> None:
        """Set the pseudo-inputs of the prior, if it has any, to some of the `rows`."""
        if isinstance(self.prior, VampPrior) and isinstance(self.encoder, Encoder):
            count, device = self.config.normals, generator.device
            pick = torch.randint(len(rows.digits), (count,), generator=generator, device=device)
            self.prior.start_from(self.encoder.embedding.total(rows.take(pick)))

    def network_labels(self, labels: Tensor) -> Tensor:
        """Return the labels (B,) for encoder and decoder: zeros if only the prior is conditional."""
        return labels if self.network_conditions > 1 else torch.zeros_like(labels)

    def elbo(self, rows: Rows, labels: Tensor, noise: Tensor, inputs: Rows | None = None) -> Elbo:
        """Return the terms of the bound for `rows` (B), `labels` (B,), standard normal `noise` (B, L).

        The `inputs` of the encoder may be corrupted rows, as in a denoising autoencoder; None: the rows themselves. If
        the posterior is a point, z is its mean and the KL is 0.
        """
        network_labels = self.network_labels(labels)
        mean, log_variance = self.encoder(rows if inputs is None else inputs, network_labels)
        z = mean if self.is_point else mean + noise * (0.5 * log_variance).exp()
        reconstruction = self.decoder.log_prob(rows, z, network_labels).sum(0)
        kl = torch.zeros_like(z) if self.is_point else self.prior.kl(mean, log_variance, labels, z)
        return Elbo(reconstruction, kl, z, mean, log_variance)

    def drift(self, terms: Elbo, labels: Tensor) -> Tensor:
        """Return log q(z | y) - log p(z | y) (B,) of the aggregate posterior q(z | y), estimated from the batch.

        The mean KL is the sum of its mean, the divergence of the aggregate posterior from the prior, and the mutual
        information of z and x. It is 0 for points, which have no density.
        """
        if self.is_point:
            return torch.zeros_like(terms.reconstruction)
        aggregate = log_aggregate(terms.z, terms.mean, terms.log_variance, labels)
        return aggregate - self.prior.log_prob(terms.z, labels)

    @torch.no_grad()
    def posterior_mean(self, rows: Rows, labels: Tensor) -> Tensor:
        """Return the mean (B, L) of q(z | x, y)."""
        mean, _ = self.encoder(rows, self.network_labels(labels))
        return torch.as_tensor(mean)

    @torch.no_grad()
    def log_likelihood(self, rows: Rows, labels: Tensor, noise: Tensor) -> Tensor:
        """Return the bound (B,) on log p(x | y) in nats, averaged over draws `noise` (S, L), the same for each row."""
        network_labels = self.network_labels(labels)
        mean, log_variance = self.encoder(rows, network_labels)
        draws = [mean + row * (0.5 * log_variance).exp() for row in noise]
        reconstruction = torch.stack([self.decoder.log_prob(rows, z, network_labels).sum(0) for z in draws]).mean(0)
        kl = torch.stack([self.prior.kl(mean, log_variance, labels, z).sum(1) for z in draws]).mean(0)
        return reconstruction - kl

    @torch.no_grad()
    def importance_bound(self, rows: Rows, labels: Tensor, noise: Tensor, k: int) -> Tensor:
        """Return the importance-weighted bound (B,) of `k` draws on log p(x | y) in nats.

        Args:
            rows: B rows.
            labels: Their conditions (B,).
            noise: Standard normal draws (S, L), the same for each row; the mean over S / k bounds is returned.
            k: Draws of a bound.
        """
        network_labels = self.network_labels(labels)

        def log_joint(z: Tensor) -> Tensor:
            return self.decoder.log_prob(rows, z, network_labels).sum(0) + self.prior.log_prob(z, labels)

        return importance_bound(self._log_weights(rows, network_labels, noise, log_joint), k)

    @torch.no_grad()
    def log_evidence(self, rows: Rows, log_frequencies: Tensor, noise: Tensor, k: int = 1) -> Tensor:
        """Return a bound (B,) on log p(x) in nats, y marginalised with `log_frequencies` (C,).

        Only for a model whose encoder and decoder are not conditional:
        log p(x) >= E_q[log p(x | z) + log sum_y p(y) p(z | y) - log q(z | x)], or the same of `k` draws.
        """
        zeros = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)

        def log_joint(z: Tensor) -> Tensor:
            log_likelihood = self.decoder.log_prob(rows, z, zeros).sum(0)
            return self.log_joint(z, log_frequencies).logsumexp(0) + log_likelihood

        return importance_bound(self._log_weights(rows, zeros, noise, log_joint), k)

    def _log_weights(
        self, rows: Rows, network_labels: Tensor, noise: Tensor, log_joint: Callable[[Tensor], Tensor]
    ) -> Iterator[Tensor]:
        """Yield log p(x, z) - log q(z | x) (B,) for z ~ q(z | x), one draw of `noise` (S, L) after the other."""
        mean, log_variance = self.encoder(rows, network_labels)
        for row in noise:
            z = mean + row * (0.5 * log_variance).exp()
            yield log_joint(z) - log_normal(z, mean, log_variance).sum(1)

    @torch.no_grad()
    def naive_estimate(self, rows: Rows, drawn: Tensor, noise: tuple[Tensor, Tensor], k: int) -> Tensor:
        """Return log of the mean of p(x | z_s, y) (B,) over `k` draws z_s ~ p(z | y), in nats.

        Args:
            rows: B rows.
            drawn: Conditions (S, B) of the draws: those of the rows, or random ones to marginalise y.
            noise: Draws, standard normal (S, L) and uniform (S, choices), the same for each row.
            k: Draws of an estimate; the mean over S / k estimates is returned.
        """
        return importance_bound(self._log_likelihoods(rows, drawn, noise), k)

    def _log_likelihoods(self, rows: Rows, drawn: Tensor, noise: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
        for labels, *draws in zip(drawn, *noise, strict=True):
            normal, uniform = (draw.expand(len(labels), -1) for draw in draws)
            z = self.prior.draw(normal, labels, uniform)
            yield self.decoder.log_prob(rows, z, self.network_labels(labels)).sum(0)

    def log_joint(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        """Return log p(y) p(z | y) (C, B) of latents (B, L), in nats, with `log_frequencies` (C,) of y."""
        zeros = torch.zeros(len(z), dtype=torch.long, device=z.device)
        return torch.stack([self.prior.log_prob(z, zeros + c) + f for c, f in enumerate(log_frequencies)])

    @torch.no_grad()
    def mean(self, rows: Rows, labels: Tensor) -> Tensor:
        """Return E[x | z, y] (B, V) of pixels, where z is the mean of q(z | x, y)."""
        assert isinstance(self.decoder, PixelDecoder)
        return self.decoder.mean(self.posterior_mean(rows, labels), self.network_labels(labels))

    @torch.no_grad()
    def match_prior(self, rows: Rows, labels: Tensor, generator: torch.Generator) -> None:
        """Fit the prior of an autoencoder, or of pixels, to the latents of `rows` (B) with `labels` (B,).

        The loss of an autoencoder has no KL. That of pixels has, but with little weight, so that the latents move
        faster than the prior, whose steps are limited by the learning rate.
        """
        if not (self.config.pixels or self.is_point):
            return
        pick = torch.randperm(len(labels), generator=generator, device=labels.device)[:MAX_FITTED_ROWS]
        rows, labels, times = rows.take(pick), labels[pick], 1 if self.is_point else DRAWS_PER_ROW
        latents = torch.cat([self._draw_latents(rows, labels, generator) for _ in range(times)])
        self.prior.fit(latents, labels.repeat(times), generator)

    def _draw_latents(self, rows: Rows, labels: Tensor, generator: torch.Generator) -> Tensor:
        normal = standard_normal(len(labels), self.config.latent_dim, generator=generator)
        batches = zip(rows.digits.split(ENCODED_ROWS), rows.values.split(ENCODED_ROWS), strict=True)
        parts = zip(batches, labels.split(ENCODED_ROWS), normal.split(ENCODED_ROWS), strict=True)
        return torch.cat([self.posterior_draw(Rows(*batch), some, noise) for batch, some, noise in parts])

    @torch.no_grad()
    def calibration(
        self, rows: Rows, labels: Tensor, weights: Tensor, generator: torch.Generator
    ) -> Calibration | None:
        """Return the change of the decoder's outputs under which rows that were not trained on are most probable.

        None for decoders that are not autoregressive, and if the rows gain too little, see `calibration_that_gains`.

        Args:
            rows: B rows.
            labels: Their conditions (B,).
            weights: The number of rows (B,) that each of them stands for.
            generator: Draws the latents.
        """
        if not isinstance(self.decoder, AutoregressiveDecoder):
            return None
        outputs = self.decoder.outputs(rows, self._draw_latents(rows, labels, generator), self.network_labels(labels))
        return calibration_that_gains(outputs, rows, weights, self.decoder.slots.sizes)

    @torch.no_grad()
    def match_marginals(
        self,
        frequencies: Tensor,
        labels: Tensor,
        generator: torch.Generator,
        most: int = MATCHING_ROWS,
        means: Tensor | None = None,
    ) -> None:
        """Move the decoder's biases until the marginals of drawn rows agree with those of the training rows.

        Training that stops early, as it must on small tables, underfits some marginals; this corrects them.

        Args:
            frequencies: Frequencies (J, C, K) of levels within the conditions of the decoder.
            labels: Conditions (B,) of the training rows; the more there are, the more their frequencies are trusted.
            generator: The generator of the drawn rows.
            most: The number of rows to draw, for all classes.
            means: Means (V, C) of the values within the conditions; None: values stay.
        """
        network_labels = self.network_labels(labels)
        for condition in network_labels.unique().tolist():
            rows = labels[network_labels == condition]
            drawn = max(min(most * len(rows) // len(labels), 16 * len(rows)), self._least_matching_rows(most))
            pick = torch.randint(len(rows), (drawn,), generator=generator, device=labels.device)
            normal = standard_normal(drawn, self.config.latent_dim, generator=generator)
            trust = len(rows) / (len(rows) + HALF_TRUST_ROWS)
            z = self.prior.draw(normal, rows[pick], self._uniform(drawn, generator))
            reach = ERRORS_OF_MEAN / math.sqrt(len(rows))
            own = Marginals(frequencies[:, condition], trust, None if means is None else means[:, condition], reach)
            self.decoder.match(z, condition, generator, own)

    def _least_matching_rows(self, most: int) -> int:
        return max(min(2 * most // self.network_conditions, MANY_MATCHING_ROWS), MIN_MATCHING_ROWS)

    def matching_rows(self, rows: int) -> int:
        """Return about how many rows are drawn to match the marginals to those of `rows` training rows."""
        return max(min(MATCHING_ROWS, 16 * rows), self.network_conditions * self._least_matching_rows(MATCHING_ROWS))

    @torch.no_grad()
    def sample(
        self,
        label: int,
        rows: int,
        generator: torch.Generator,
        *,
        stratified: bool = False,
        rules: RowRules | None = None,
    ) -> Rows:
        """Draw rows of one condition: z from the prior, x from the decoder.

        Args:
            label: The condition.
            rows: The number of rows.
            generator: The generator of the draws.
            stratified: Whether draws are spread evenly, which lowers the variance of shares.
            rules: Rules that the rows keep.
        """
        z = self.draw_prior(label, rows, generator, stratified=stratified)
        return self.decode(z, label, generator, stratified=stratified, rules=rules)

    @torch.no_grad()
    def draw_prior(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Tensor:
        """Draw latents (rows, L) of one condition from the prior; parameters as of `sample`."""
        labels = torch.full((rows,), label, device=generator.device)
        if stratified:
            uniform = Uniforms(self.config.latent_dim, rows, generator, stratified=True).numbers[..., 0].T
            normal = torch.special.ndtri(uniform.double().clamp_min(MIN_UNIFORM)).float()
        else:
            normal = standard_normal(rows, self.config.latent_dim, generator=generator)
        return self.prior.draw(normal, labels, self._uniform(rows, generator, stratified=stratified))

    def _uniform(self, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Tensor:
        """Return the uniform numbers (rows, choices) of draws of the prior."""
        return Uniforms(self.prior.choices, rows, generator, stratified=stratified).numbers[..., 0].T

    @torch.no_grad()
    def decode(
        self,
        z: Tensor,
        label: int,
        generator: torch.Generator,
        *,
        stratified: bool = False,
        temperature: float = 1.0,
        rules: RowRules | None = None,
    ) -> Rows:
        """Draw rows from p(x | z, y) for latents (B, L) of one condition; at temperature 0 the most probable values."""
        condition = label if self.network_conditions > 1 else 0
        kept = {} if isinstance(self.decoder, PixelDecoder) else {"rules": rules}
        return self.decoder.sample(z, condition, generator, stratified=stratified, temperature=temperature, **kept)

    @torch.no_grad()
    def posterior_draw(self, rows: Rows, labels: Tensor, normal: Tensor) -> Tensor:
        """Turn standard `normal` draws (B, L) into draws (B, L) of q(z | x, y); a point posterior gives its mean."""
        mean, log_variance = self.encoder(rows, self.network_labels(labels))
        return torch.as_tensor(mean if self.is_point else mean + normal * (0.5 * log_variance).exp())


def _encoder(slots: Slots, conditions: int, config: ModelConfig) -> Encoder | PixelEncoder:
    if config.pixels:
        return PixelEncoder(slots, conditions, _network(config))
    return Encoder(slots, conditions, config.latent_dim, config.width, config.dropout)


def _decoder(
    slots: Slots, conditions: int, config: ModelConfig
) -> AutoregressiveDecoder | FactorizedDecoder | PixelDecoder:
    if config.likelihood == "bernoulli":
        return BernoulliDecoder(slots, conditions, _network(config))
    if config.likelihood == "gaussian":
        return GaussianDecoder(slots, conditions, _network(config), config.variance)
    if config.decoder == "factorized":
        return FactorizedDecoder(slots, conditions, config.latent_dim, config.width, config.dropout)
    hidden = (config.hidden, config.value_hidden)
    return AutoregressiveDecoder(
        slots, conditions, config.latent_dim, config.width, hidden, config.dropout, products=config.products
    )


def _network(config: ModelConfig) -> PixelNetwork:
    linear = config.decoder == "linear"
    return PixelNetwork(config.latent_dim, config.width, config.dropout, config.image_shape, linear)
