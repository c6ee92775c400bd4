"""Semi-supervised learning: the class of rows without a label is marginalised.

Shapes: B rows of a batch, C conditions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from synthvae.model import CVAE, Rows
from synthvae.model.draws import standard_normal
from synthvae.training.batches import LabelledRows

UNKNOWN = -1
CLASSIFIED_ROWS = 64  # labelled rows of a step on which the classification loss is computed
WEIGHT = 1.0  # of log q(y | x) of a labelled row, relative to the bounds of a batch, where there are many labelled rows
HALF_WEIGHT_ROWS = 500  # labelled rows at which it weighs half as much: few are soon memorised
CHUNK_ROWS = 2048


class LabelPosterior:
    """The model's posterior q(y | x) of missing labels, while it is trained on rows with and without a label.

    log p(x) >= log sum over y of p(y) exp(ELBO(x, y)), which is the bound of M2 with q(y | x) at its optimum, softmax
    of log p(y) + ELBO(x, y); its gradient is the mean over q(y | x) of that of ELBO(x, y). So a missing label is drawn
    from q(y | x) each time its row is in a batch. The loss of labelled rows includes - log q(y | x), as in M2.

    Source: Kingma, Rezende, Mohamed, Welling 2014, Semi-supervised learning with deep generative models, equations 6 to
    9, https://arxiv.org/abs/1406.5298.

    Args:
        model: The model.
        training: The training rows; their label is `UNKNOWN` where it is missing.
        generator: The generator of all draws.

    Attributes:
        is_needed: Whether some labels are missing.
        labelled: The rows with a label.
        log_frequencies: The log frequencies (C,) of the conditions among them.
    """

    def __init__(self, model: CVAE, training: LabelledRows, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        known = training.labels != UNKNOWN
        self.is_needed = not bool(known.all())
        self.labelled = training.take(known) if self.is_needed else training
        counts = self.labelled.label_counts(model.conditions).float() + 1e-3
        self.weight = WEIGHT * len(self.labelled) / (len(self.labelled) + HALF_WEIGHT_ROWS)
        self.log_frequencies = (counts / counts.sum()).log()

    def log_joint(self, rows: Rows, noise: Tensor, beta: float = 1.0) -> Tensor:
        """Return log p(y) + ELBO(x, y) (B, C) in nats, for standard normal `noise` (B, L); `beta` weighs the KL."""
        zeros = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)
        terms = [self.model.elbo(rows, zeros + label, noise) for label in range(self.model.conditions)]
        return torch.stack([t.reconstruction - beta * t.kl.sum(1) for t in terms], 1) + self.log_frequencies

    @torch.no_grad()
    def complete(self, batch: LabelledRows) -> LabelledRows:
        """Return the batch with labels drawn from q(y | x) where they are missing."""
        if not self.is_needed:
            return batch
        places, labels = (batch.labels == UNKNOWN).nonzero()[:, 0], batch.labels.clone()
        for some in torch.split(places, CHUNK_ROWS):
            probabilities = self.log_joint(batch.rows.take(some), self._noise(len(some))).softmax(1)
            labels[some] = torch.multinomial(probabilities, 1, generator=self.generator)[:, 0]
        return replace(batch, labels=labels)

    def loss(self) -> Tensor:
        """Return the weighted mean of - log q(y | x), in nats, over some rows that have a label."""
        labels, weights = self.labelled.labels, self.labelled.weights
        if weights is None:
            pick = torch.randint(len(labels), (CLASSIFIED_ROWS,), generator=self.generator, device=labels.device)
        else:
            ends = weights.double().cumsum(0)
            uniform = torch.rand(CLASSIFIED_ROWS, generator=self.generator, device=labels.device, dtype=torch.double)
            pick = torch.searchsorted(ends, uniform * ends[-1]).clamp_max(len(labels) - 1)
        log_joint = self.log_joint(self.labelled.rows.take(pick), self._noise(CLASSIFIED_ROWS))
        return self.weight * cross_entropy(log_joint, labels[pick])

    def bound(self, batch: LabelledRows, noise: Tensor, beta: float) -> Tensor:
        """Return the bound (B,) on log p(x | y), or on log p(x) where y is unknown; `beta` weighs the KL."""
        log_joint = self.log_joint(batch.rows, noise, beta)
        labels = batch.labels
        given = (log_joint - self.log_frequencies).gather(1, labels.clamp_min(0)[:, None])[:, 0]
        return torch.where(labels == UNKNOWN, log_joint.logsumexp(1), given)

    def _noise(self, rows: int) -> Tensor:
        size = (rows, self.model.config.latent_dim)
        return standard_normal(*size, generator=self.generator)
