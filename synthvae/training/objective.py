"""The loss of a batch and the bound of held-out rows."""

from __future__ import annotations

import torch
from torch import Tensor

from synthvae.errors import ConfigurationError
from synthvae.model import CVAE, Rows, corrupted
from synthvae.model.draws import standard_normal
from synthvae.training.batches import LabelledRows
from synthvae.training.config import Precision, TrainingConfig
from synthvae.training.semi_supervised import LabelPosterior
from synthvae.training.split import TrainingSplit
from synthvae.training.state import LossTerms

DRIFT_WEIGHT = 5.0  # of the divergence of the aggregate posterior from the prior, where z has little information


class Objective:
    """The negative ELBO with a warm-up of the KL, free bits, and a weight of its own for the aggregate posterior.

    Args:
        model: The model.
        config: How it is trained.
        split: The training rows.
        generator: The generator of all draws.
    """

    def __init__(self, model: CVAE, config: TrainingConfig, split: TrainingSplit, generator: torch.Generator) -> None:
        self.model, self.config, self.generator = model, config, generator
        self.labels = LabelPosterior(model, split.training, generator)
        self.autocast = _autocast(generator.device, config.precision)
        self.beta = config.kl_weight(grey=model.config.likelihood == "bernoulli" and split.is_grey)
        # With much information in z, a batch shows little of the aggregate: then it weighs as in the ELBO.
        self.drift_weight = DRIFT_WEIGHT if model.config.decoder == "autoregressive" else 1.0

    def loss(self, batch: LabelledRows, warm_up: float) -> LossTerms:
        """Return the loss, the reconstruction and the KL of a batch, in nats per row.

        Args:
            batch: The rows.
            warm_up: The share of its full weight that the KL has, 0 to 1.
        """
        size = (len(batch), self.model.config.latent_dim)
        noise = standard_normal(*size, generator=self.generator)
        # Autocast caches the weights that it casts: those cast without gradients, for a draw, would have none here.
        completed = self.labels.complete(batch)
        with self.autocast:
            return self._loss(completed, noise, self.beta * warm_up)

    def _loss(self, batch: LabelledRows, noise: Tensor, weight: float) -> LossTerms:
        terms = self.model.elbo(batch.rows, batch.labels, noise, self._corrupted(batch.rows))
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.sum(1).mean()
        drift = self.model.drift(terms, batch.labels).mean()
        information = torch.relu(kl - drift - self.config.free_bits * self.model.config.latent_dim)
        loss = weight * (information + self.drift_weight * drift) - reconstruction
        if self.labels.is_needed:
            loss = loss + self.labels.loss()
        return loss, reconstruction, kl

    def _corrupted(self, rows: Rows) -> Rows | None:
        """Return the input of the encoder if it is not the rows themselves."""
        if not self.config.corruption:
            return None
        return corrupted(rows, self.model.decoder.slots, self.config.corruption, self.generator)

    def bound(self, batch: LabelledRows, noise: Tensor) -> Tensor:
        """Return the bound (B,) on log p(x | y), or on log p(x) where y is unknown, in nats; beta weighs the KL."""
        if self.labels.is_needed:
            return self.labels.bound(batch, noise, self.beta)
        terms = self.model.elbo(batch.rows, batch.labels, noise)
        return terms.reconstruction - self.beta * terms.kl.sum(1)


def _autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return a context in which products of matrices are computed in a precision."""
    try:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision != "float32")
    except RuntimeError as error:
        raise ConfigurationError(
            f"`precision` must be supported by the device, got {precision!r} on {device} ({error}). Choose 'float32'."
        ) from error
