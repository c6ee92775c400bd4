"""The conditional variational autoencoder: encoder, prior and decoder under one objective."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder, Marginals
from synthvae.model.digits import FINEST, Chances
from synthvae.model.encoder import Encoder
from synthvae.model.pixels import BernoulliDecoder, GaussianDecoder, PixelDecoder, PixelEncoder, PixelNetwork
from synthvae.model.priors import Prior, log_aggregate
from synthvae.model.rows import Rows
from synthvae.slots import Slots

DecoderName = Literal["autoregressive", "factorized"]
MATCHING_ROWS = 1 << 16  # rows drawn for all conditions together
MATCHING_LEAST = 1 << 11
MATCHING_DOUBT = 50  # rows of a condition whose frequencies are trusted by half
MATCHED_ROWS = 2048  # looked at together
PriorName = Literal["standard_normal", "class_normal"]
LikelihoodName = Literal["auto", "bernoulli", "gaussian"]


class ModelConfig(BaseModel):
    """The shape of a model.

    Args:
        decoder: "autoregressive" or "factorized".
        prior: "standard_normal": encoder and decoder are told the condition; "class_normal": only the prior is.
        latent_dim: Dimensions of z.
        width: Units of encoder and decoder.
        hidden: Units of the hidden layer of each autoregressive head of a digit.
        value_hidden: The same of heads of continuous values, which say more.
        dropout: Probability with which a hidden unit is silenced in training.
        likelihood: "auto": of digits, and of values as mixtures; "bernoulli" or "gaussian": of pixels, see
            `synthvae.model.pixels`, which are independent given z, whatever `decoder` says. Their decoder is told the
            condition even if the encoder is not.
        variance: Of "gaussian": the variance of every number; None learns one for each column.
        image_shape: Height and width of an image of pixels: convolutions. None: no image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: DecoderName = "autoregressive"
    prior: PriorName = "standard_normal"
    latent_dim: int = Field(default=8, ge=1)
    width: int = Field(default=128, ge=1)
    hidden: int = Field(default=32, ge=0)
    value_hidden: int = Field(default=96, ge=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    likelihood: LikelihoodName = "auto"
    variance: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    image_shape: tuple[PositiveInt, PositiveInt] | None = None

    @model_validator(mode="before")
    @classmethod
    def _independent(cls, given: Any) -> Any:
        """Pixels have one decoder."""
        pixels = isinstance(given, dict) and given.get("likelihood", "auto") != "auto"
        return {**given, "decoder": "factorized"} if pixels else given

    @model_validator(mode="after")
    def _of_pixels(self) -> Self:
        if self.variance is not None and self.likelihood != "gaussian":
            raise ValueError(
                f"`variance` is of likelihood='gaussian', however, likelihood={self.likelihood!r}: leave it None"
            )
        if self.image_shape is not None and not self.pixels:
            raise ValueError(
                f"`image_shape` needs pixels, however, likelihood={self.likelihood!r}: choose 'bernoulli' or 'gaussian'"
            )
        return self

    @property
    def pixels(self) -> bool:
        """Whether all that is modelled are pixels."""
        return self.likelihood != "auto"


class Elbo(NamedTuple):
    """The terms of the evidence lower bound, in nats, and the posteriors behind them.

    Args:
        reconstruction: log p(x | z, y) (B,), one draw of z.
        kl: KL(q(z | x, y) || p(z | y)) (B, L), by dimension.
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
        by_prior = config.prior == "class_normal"
        told = 1 if by_prior else conditions
        self.conditions, self.told = conditions, conditions if config.pixels else told
        self.prior = Prior(conditions, config.latent_dim, learned=by_prior)
        self.encoder = _encoder(slots, told, config)
        self.decoder = _decoder(slots, self.told, config)

    def seen(self, labels: Tensor) -> Tensor:
        """Return the labels (B,) as the decoder is told them: zeros if only the prior is."""
        return labels if self.told > 1 else torch.zeros_like(labels)

    def elbo(self, rows: Rows, labels: Tensor, noise: Tensor) -> Elbo:
        """Return the terms of the bound for `rows` (B), `labels` (B,), standard normal `noise` (B, L)."""
        mean, log_variance = self.encoder(rows, self.seen(labels))
        z = mean + noise * (0.5 * log_variance).exp()
        reconstruction = self.decoder.log_prob(rows, z, self.seen(labels)).sum(0)
        return Elbo(reconstruction, self.prior.kl(mean, log_variance, labels), z, mean, log_variance)

    def drift(self, terms: Elbo, labels: Tensor) -> Tensor:
        """Return log q(z | y) - log p(z | y) (B,), q(z | y) being estimated from the batch.

        The mean of the KL is the mean of this, how far all codes together are from the prior, and the information that
        z has on x.
        """
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
        return reconstruction - self.prior.kl(mean, log_variance, labels).sum(1)

    @torch.no_grad()
    def log_evidence(self, rows: Rows, log_frequencies: Tensor, noise: Tensor) -> Tensor:
        """Return a bound (B,) on log p(x) in nats, y marginalised with `log_frequencies` (C,).

        Only for a model whose encoder is not told y:
        log p(x) >= E_q[log sum_y p(y) p(z | y) p(x | z, y) - log q(z | x)].
        """
        nothing = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)
        mean, log_variance = self.encoder(rows, nothing)
        bounds = []
        for row in noise:
            z = mean + row * (0.5 * log_variance).exp()
            entropy = 0.5 * (log_variance + row.square() + torch.log(torch.tensor(2 * torch.pi))).sum(1)
            joint = self.log_joint(z, log_frequencies) + self._log_given(rows, z)
            bounds.append(joint.logsumexp(0) + entropy)
        return torch.stack(bounds).mean(0)

    def log_joint(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        """Return log p(y) p(z | y) (C, B) of latents (B, L), in nats, with `log_frequencies` (C,) of y."""
        nothing = torch.zeros(len(z), dtype=torch.long, device=z.device)
        return torch.stack([self.prior.log_prob(z, nothing + c) + f for c, f in enumerate(log_frequencies)])

    def _log_given(self, rows: Rows, z: Tensor) -> Tensor:
        """Return log p(x | z, y) (C, B) for each y that the decoder may be told; (1, B) if it is told none."""
        nothing = torch.zeros(len(z), dtype=torch.long, device=z.device)
        return torch.stack([self.decoder.log_prob(rows, z, nothing + c).sum(0) for c in range(self.told)])

    @torch.no_grad()
    def draw_labels(self, z: Tensor, log_frequencies: Tensor, generator: torch.Generator) -> Tensor:
        """Draw labels (B,) from p(y | z), z (B, L), for a decoder that is told y; zeros for one that is not."""
        if self.told == 1:
            return torch.zeros(len(z), dtype=torch.long, device=z.device)
        shares = self.log_joint(z, log_frequencies).softmax(0).T
        return torch.multinomial(shares, 1, generator=generator)[:, 0]

    @torch.no_grad()
    def mean(self, z: Tensor, log_frequencies: Tensor) -> Tensor:
        """Return E[x | z] (B, V) of pixels, y marginalised by p(y | z)."""
        assert isinstance(self.decoder, PixelDecoder)
        shares = self.log_joint(z, log_frequencies).softmax(0)
        nothing = torch.zeros(len(z), dtype=torch.long, device=z.device)
        means = [share[:, None] * self.decoder.mean(z, nothing + c) for c, share in enumerate(shares)]
        return torch.stack(means).sum(0)

    @torch.no_grad()
    def match_prior(self, rows: Rows, labels: Tensor) -> None:
        """Move the prior of each condition of pixels to the mean and variance of its rows (B) under q(z | x).

        These minimise the KL of given posteriors; steps of the optimiser, which cannot exceed its learning rate, come
        late where KL weighs little.
        """
        if not self.config.pixels or self.config.prior != "class_normal":
            return
        batches = zip(rows.digits.split(MATCHED_ROWS), rows.values.split(MATCHED_ROWS), strict=True)
        told = self.seen(labels).split(MATCHED_ROWS)
        found = [self.encoder(Rows(*batch), part) for batch, part in zip(batches, told, strict=True)]
        mean, log_variance = (torch.cat(parts) for parts in zip(*found, strict=True))
        for label in labels.unique().tolist():
            here = mean[labels == label]
            spread = log_variance[labels == label].exp() + (here - here.mean(0)).square()
            self.prior.mean[label] = here.mean(0)
            self.prior.log_variance[label] = spread.mean(0).log()

    @torch.no_grad()
    def match_marginals(self, frequencies: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Move the decoder's biases until the marginals of rows drawn agree with those seen.

        Training that stops early, as it must on small tables, leaves some marginals behind; this brings them up.

        Args:
            frequencies: Frequencies (J, C, K) of levels within the conditions that the decoder is told.
            labels: Conditions (B,) of the rows seen; how many there are says how far their frequencies are trusted.
            generator: Of the rows drawn.
        """
        seen = self.seen(labels)
        for told in seen.unique().tolist():
            rows = labels[seen == told]
            drawn = max(min(MATCHING_ROWS * len(rows) // len(labels), 16 * len(rows)), MATCHING_LEAST)
            pick = torch.randint(len(rows), (drawn,), generator=generator, device=labels.device)
            normal = torch.randn(drawn, self.config.latent_dim, generator=generator, device=labels.device)
            trust = len(rows) / (len(rows) + MATCHING_DOUBT)
            z = self.prior.draw(normal, rows[pick])
            self.decoder.match(z, told, generator, Marginals(frequencies[:, told], trust))

    @torch.no_grad()
    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw `rows` rows of one condition: z from the prior, x from the decoder; `stratified` spreads them evenly."""
        device = self.prior.mean.device
        labels = torch.full((rows,), label, device=device)
        if stratified:
            shares = Chances(self.config.latent_dim, rows, generator, stratified=True).numbers[..., 0].T
            normal = torch.special.ndtri(shares.double().clamp_min(FINEST)).float()
        else:
            normal = torch.randn(rows, self.config.latent_dim, generator=generator, device=device)
        return self.decode(self.prior.draw(normal, labels), label, generator, stratified=stratified)

    @torch.no_grad()
    def decode(
        self, z: Tensor, label: int, generator: torch.Generator, *, stratified: bool = False, temperature: float = 1.0
    ) -> Rows:
        """Draw rows from p(x | z, y) for latents (B, L) of one condition; at temperature 0 the likeliest values."""
        told = label if self.told > 1 else 0
        return self.decoder.sample(z, told, generator, stratified=stratified, temperature=temperature)

    @torch.no_grad()
    def posterior_draw(self, rows: Rows, labels: Tensor, normal: Tensor) -> Tensor:
        """Turn `normal` numbers (B, L) into draws (B, L) of q(z | x, y); zeros give its mean."""
        mean, log_variance = self.encoder(rows, self.seen(labels))
        return torch.as_tensor(mean + normal * (0.5 * log_variance).exp())


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
    return PixelNetwork(config.latent_dim, config.width, config.dropout, config.image_shape)
