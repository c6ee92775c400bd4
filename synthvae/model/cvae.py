"""The conditional variational autoencoder: encoder, prior and decoder under one objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.bounds import importance_bound
from synthvae.model.config import ModelConfig
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder, Marginals
from synthvae.model.draws import FINEST, Chances
from synthvae.model.encoder import Encoder
from synthvae.model.mixtures import log_normal
from synthvae.model.pixels import BernoulliDecoder, GaussianDecoder, PixelDecoder, PixelEncoder, PixelNetwork
from synthvae.model.priors import GaussianMixture, NormalPrior, Prior, VampPrior, log_aggregate
from synthvae.model.rows import Rows

MATCHING_ROWS = 1 << 16  # rows drawn for all conditions together
MATCHING_LEAST = 1 << 11
MATCHING_DOUBT = 50  # rows of a condition whose frequencies are trusted by half
MATCHED_ROWS = 2048  # looked at together
MOST_CODES = 20_000  # rows to whose codes a prior is fitted
CODES_OF_EACH = 4  # draws of a row's code, to which a prior is fitted


class Elbo(NamedTuple):
    """The terms of the evidence lower bound, in nats, and the posteriors behind them.

    Args:
        reconstruction: log p(x | z, y) (B,), one draw of z.
        kl: KL(q(z | x, y) || p(z | y)) (B, L), by dimension; (B, 1), estimated by z, where the prior is a mixture.
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
        config: Its shape.
    """

    def __init__(self, slots: Slots, conditions: int, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        told = conditions if config.told and config.prior != "class_normal" else 1
        self.conditions, self.told = conditions, told
        self.prior = self._prior(told=told > 1)
        self.encoder = _encoder(slots, told, config)
        self.decoder = _decoder(slots, self.told, config)

    def _prior(self, *, told: bool) -> Prior:
        config = self.config
        if config.prior == "mixture" or config.posterior == "point":
            return GaussianMixture(self.conditions, config.normals, config.latent_dim)
        if config.prior == "vamp":
            return VampPrior(self.conditions, config.normals, config.width, self._of_pseudo_inputs, told=told)
        return NormalPrior(self.conditions, config.latent_dim, learned=config.prior == "class_normal")

    def _of_pseudo_inputs(self, totals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The posteriors of sums (B, W) of vectors, by an encoder that is built after the prior."""
        assert isinstance(self.encoder, Encoder)
        return self.encoder.of_total(totals, labels)

    @property
    def is_point(self) -> bool:
        """Whether a code is a point: whether this is an autoencoder."""
        return self.config.posterior == "point"

    def start_prior(self, rows: Rows, generator: torch.Generator) -> None:
        """Let the components of a prior that has pseudo-inputs start at some of the `rows`."""
        if isinstance(self.prior, VampPrior) and isinstance(self.encoder, Encoder):
            count, device = self.config.normals, generator.device
            pick = torch.randint(len(rows.digits), (count,), generator=generator, device=device)
            self.prior.start_from(self.encoder.embedding.total(rows.take(pick)))

    def seen(self, labels: Tensor) -> Tensor:
        """Return the labels (B,) as encoder and decoder are told them: zeros if only the prior is."""
        return labels if self.told > 1 else torch.zeros_like(labels)

    def elbo(self, rows: Rows, labels: Tensor, noise: Tensor, shown: Rows | None = None) -> Elbo:
        """Return the terms of the bound for `rows` (B), `labels` (B,), standard normal `noise` (B, L).

        The encoder may be `shown` less than the rows, which are reconstructed whole: a denoising autoencoder. Without a
        posterior that has a spread, z is its mean, and there is no KL.
        """
        mean, log_variance = self.encoder(rows if shown is None else shown, self.seen(labels))
        z = mean if self.is_point else mean + noise * (0.5 * log_variance).exp()
        reconstruction = self.decoder.log_prob(rows, z, self.seen(labels)).sum(0)
        kl = torch.zeros_like(z) if self.is_point else self.prior.kl(mean, log_variance, labels, z)
        return Elbo(reconstruction, kl, z, mean, log_variance)

    def drift(self, terms: Elbo, labels: Tensor) -> Tensor:
        """Return log q(z | y) - log p(z | y) (B,), q(z | y) being estimated from the batch.

        The mean of the KL is the mean of this, how far all codes together are from the prior, and the information that
        z has on x. Points have no density, and are held by nothing: 0.
        """
        if self.is_point:
            return torch.zeros_like(terms.reconstruction)
        aggregate = log_aggregate(terms.z, terms.mean, terms.log_variance, labels)
        return aggregate - self.prior.log_prob(terms.z, labels)

    @torch.no_grad()
    def posterior_mean(self, rows: Rows, labels: Tensor) -> Tensor:
        """Return the mean (B, L) of q(z | x, y)."""
        mean, _ = self.encoder(rows, self.seen(labels))
        return torch.as_tensor(mean)

    @torch.no_grad()
    def log_likelihood(self, rows: Rows, labels: Tensor, noise: Tensor) -> Tensor:
        """Return the bound (B,) on log p(x | y) in nats, averaged over draws `noise` (S, L), the same for each row."""
        seen = self.seen(labels)
        mean, log_variance = self.encoder(rows, seen)
        draws = [mean + row * (0.5 * log_variance).exp() for row in noise]
        reconstruction = torch.stack([self.decoder.log_prob(rows, z, seen).sum(0) for z in draws]).mean(0)
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
        seen = self.seen(labels)

        def log_joint(z: Tensor) -> Tensor:
            return self.decoder.log_prob(rows, z, seen).sum(0) + self.prior.log_prob(z, labels)

        return importance_bound(self._log_weights(rows, seen, noise, log_joint), k)

    @torch.no_grad()
    def log_evidence(self, rows: Rows, log_frequencies: Tensor, noise: Tensor, k: int = 1) -> Tensor:
        """Return a bound (B,) on log p(x) in nats, y marginalised with `log_frequencies` (C,).

        Only for a model whose encoder and decoder are not told y:
        log p(x) >= E_q[log p(x | z) + log sum_y p(y) p(z | y) - log q(z | x)], or the same of `k` draws.
        """
        nothing = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)

        def log_joint(z: Tensor) -> Tensor:
            given = self.decoder.log_prob(rows, z, nothing).sum(0)
            return self.log_joint(z, log_frequencies).logsumexp(0) + given

        return importance_bound(self._log_weights(rows, nothing, noise, log_joint), k)

    def _log_weights(
        self, rows: Rows, seen: Tensor, noise: Tensor, log_joint: Callable[[Tensor], Tensor]
    ) -> Iterator[Tensor]:
        """Yield log p(x, z) - log q(z | x) (B,) for z ~ q(z | x), one draw of `noise` (S, L) after the other."""
        mean, log_variance = self.encoder(rows, seen)
        for row in noise:
            z = mean + row * (0.5 * log_variance).exp()
            said = log_normal(z, mean, log_variance).sum(1)
            yield log_joint(z) - said

    @torch.no_grad()
    def naive_estimate(self, rows: Rows, drawn: Tensor, noise: tuple[Tensor, Tensor], k: int) -> Tensor:
        """Return log of the mean of p(x | z_s, y) (B,) over `k` draws z_s ~ p(z | y), in nats.

        Args:
            rows: B rows.
            drawn: Conditions (S, B) of the draws: those of the rows, or drawn where y is to be marginalised.
            noise: Draws, standard normal (S, L) and uniform (S, choices), the same for each row.
            k: Draws of an estimate; the mean over S / k estimates is returned.
        """
        return importance_bound(self._log_chances(rows, drawn, noise), k)

    def _log_chances(self, rows: Rows, drawn: Tensor, noise: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
        for labels, *draws in zip(drawn, *noise, strict=True):
            normal, uniform = (draw.expand(len(labels), -1) for draw in draws)
            z = self.prior.draw(normal, labels, uniform)
            yield self.decoder.log_prob(rows, z, self.seen(labels)).sum(0)

    def log_joint(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        """Return log p(y) p(z | y) (C, B) of latents (B, L), in nats, with `log_frequencies` (C,) of y."""
        nothing = torch.zeros(len(z), dtype=torch.long, device=z.device)
        return torch.stack([self.prior.log_prob(z, nothing + c) + f for c, f in enumerate(log_frequencies)])

    @torch.no_grad()
    def mean(self, rows: Rows, labels: Tensor) -> Tensor:
        """Return E[x | z, y] (B, V) of pixels, z being the mean of q(z | x, y)."""
        assert isinstance(self.decoder, PixelDecoder)
        return self.decoder.mean(self.posterior_mean(rows, labels), self.seen(labels))

    @torch.no_grad()
    def match_prior(self, rows: Rows, labels: Tensor, generator: torch.Generator) -> None:
        """Fit the prior of an autoencoder, or of pixels, to the codes of `rows` (B) with `labels` (B,).

        No KL holds the codes of an autoencoder together; those of pixels, on which KL weighs little, a prior follows
        too slowly: a step of the optimiser cannot exceed its learning rate.
        """
        if not (self.config.pixels or self.is_point):
            return
        pick = torch.randperm(len(labels), generator=generator, device=labels.device)[:MOST_CODES]
        rows, labels, times = rows.take(pick), labels[pick], 1 if self.is_point else CODES_OF_EACH
        codes = torch.cat([self._drawn_codes(rows, labels, generator) for _ in range(times)])
        self.prior.fit(codes, labels.repeat(times), generator)

    def _drawn_codes(self, rows: Rows, labels: Tensor, generator: torch.Generator) -> Tensor:
        normal = torch.randn(len(labels), self.config.latent_dim, generator=generator, device=labels.device)
        batches = zip(rows.digits.split(MATCHED_ROWS), rows.values.split(MATCHED_ROWS), strict=True)
        parts = zip(batches, labels.split(MATCHED_ROWS), normal.split(MATCHED_ROWS), strict=True)
        return torch.cat([self.posterior_draw(Rows(*batch), told, noise) for batch, told, noise in parts])

    @torch.no_grad()
    def match_marginals(
        self, frequencies: Tensor, labels: Tensor, generator: torch.Generator, most: int = MATCHING_ROWS
    ) -> None:
        """Move the decoder's biases until the marginals of rows drawn agree with those seen.

        Training that stops early, as it must on small tables, leaves some marginals behind; this brings them up.

        Args:
            frequencies: Frequencies (J, C, K) of levels within the conditions that the decoder is told.
            labels: Conditions (B,) of the rows seen; how many there are says how far their frequencies are trusted.
            generator: Of the rows drawn.
            most: How many are drawn, of all classes.
        """
        seen = self.seen(labels)
        for told in seen.unique().tolist():
            rows = labels[seen == told]
            drawn = max(min(most * len(rows) // len(labels), 16 * len(rows)), MATCHING_LEAST)
            pick = torch.randint(len(rows), (drawn,), generator=generator, device=labels.device)
            normal = torch.randn(drawn, self.config.latent_dim, generator=generator, device=labels.device)
            trust = len(rows) / (len(rows) + MATCHING_DOUBT)
            z = self.prior.draw(normal, rows[pick], self._uniform(drawn, generator))
            self.decoder.match(z, told, generator, Marginals(frequencies[:, told], trust))

    @torch.no_grad()
    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw `rows` rows of one condition: z from the prior, x from the decoder; `stratified` spreads them evenly."""
        device = generator.device
        labels = torch.full((rows,), label, device=device)
        if stratified:
            shares = Chances(self.config.latent_dim, rows, generator, stratified=True).numbers[..., 0].T
            normal = torch.special.ndtri(shares.double().clamp_min(FINEST)).float()
        else:
            normal = torch.randn(rows, self.config.latent_dim, generator=generator, device=device)
        z = self.prior.draw(normal, labels, self._uniform(rows, generator, stratified=stratified))
        return self.decode(z, label, generator, stratified=stratified)

    def _uniform(self, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Tensor:
        """The uniform numbers (rows, choices) that draws of the prior take."""
        chances = Chances(self.prior.choices, rows, generator, stratified=stratified)
        return chances.numbers[..., 0].T

    @torch.no_grad()
    def decode(
        self, z: Tensor, label: int, generator: torch.Generator, *, stratified: bool = False, temperature: float = 1.0
    ) -> Rows:
        """Draw rows from p(x | z, y) for latents (B, L) of one condition; at temperature 0 the likeliest values."""
        told = label if self.told > 1 else 0
        return self.decoder.sample(z, told, generator, stratified=stratified, temperature=temperature)

    @torch.no_grad()
    def posterior_draw(self, rows: Rows, labels: Tensor, normal: Tensor) -> Tensor:
        """Turn `normal` numbers (B, L) into draws (B, L) of q(z | x, y); zeros, or an autoencoder, give its mean."""
        mean, log_variance = self.encoder(rows, self.seen(labels))
        return torch.as_tensor(mean if self.is_point else mean + normal * (0.5 * log_variance).exp())


def _encoder(slots: Slots, told: int, config: ModelConfig) -> Encoder | PixelEncoder:
    if config.pixels:
        return PixelEncoder(slots, told, _network(config))
    return Encoder(slots, told, config.latent_dim, config.width, config.dropout)


def _decoder(slots: Slots, told: int, config: ModelConfig) -> AutoregressiveDecoder | FactorizedDecoder | PixelDecoder:
    if config.likelihood == "bernoulli":
        return BernoulliDecoder(slots, told, _network(config))
    if config.likelihood == "gaussian":
        return GaussianDecoder(slots, told, _network(config), config.variance)
    if config.decoder == "factorized":
        return FactorizedDecoder(slots, told, config.latent_dim, config.width, config.dropout)
    hidden = (config.hidden, config.value_hidden)
    return AutoregressiveDecoder(slots, told, config.latent_dim, config.width, hidden, config.dropout)


def _network(config: ModelConfig) -> PixelNetwork:
    linear = config.decoder == "linear"
    return PixelNetwork(config.latent_dim, config.width, config.dropout, config.image_shape, linear)
