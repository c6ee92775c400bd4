"""Rows without a label: semi-supervised learning, the missing class being marginalised.

Shapes: B rows of a batch, C conditions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from synthvae.model import CVAE, Rows

UNKNOWN = -1
KNOWN_ROWS = 64  # that classify in a step
WEIGHT = 1.0  # of log q(y | x) of a row with a label, beside the bounds of a batch, where there are many such rows
DOUBT = 500  # of them, at which it weighs half as much: few are soon learned by heart
CHUNK_ROWS = 2048


class Labelling:
    """What a model says of missing labels, while it is trained on rows with and without one.

    log p(x) >= log sum over y of p(y) exp(ELBO(x, y)), which is the bound of M2 with q(y | x) at its optimum, softmax
    of log p(y) + ELBO(x, y); its gradient is the mean over q(y | x) of that of ELBO(x, y). So a missing label is drawn
    from q(y | x) each time its row is seen. Rows with a label say log q(y | x), too, as there.

    Source: Kingma, Rezende, Mohamed, Welling 2014, Semi-supervised learning with deep generative models, equations 6 to
    9, https://arxiv.org/abs/1406.5298.

    Args:
        model: The model.
        rows: Rows (B) to be learned.
        labels: Their conditions (B,), `UNKNOWN` where there is no label.
        generator: Of all that is drawn.
    """

    def __init__(self, model: CVAE, rows: Rows, labels: Tensor, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        known = labels != UNKNOWN
        self.partial = not bool(known.all())
        self.rows, self.labels = (rows.take(known), labels[known]) if self.partial else (rows, labels)
        counts = torch.bincount(self.labels, minlength=model.conditions).float() + 1e-3
        self.weight = WEIGHT * len(self.labels) / (len(self.labels) + DOUBT)
        self.log_shares = (counts / counts.sum()).log()

    def scores(self, rows: Rows, noise: Tensor, beta: float = 1.0) -> Tensor:
        """Return log p(y) + ELBO(x, y) (B, C) in nats, for standard normal `noise` (B, L); KL weighs `beta`."""
        nothing = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)
        terms = [self.model.elbo(rows, nothing + label, noise) for label in range(self.model.conditions)]
        return torch.stack([t.reconstruction - beta * t.kl.sum(1) for t in terms], 1) + self.log_shares

    @torch.no_grad()
    def drawn(self, rows: Rows, labels: Tensor) -> Tensor:
        """Return labels (B,) of which none is unknown: those that were are drawn from q(y | x)."""
        if not self.partial:
            return labels
        places, drawn = (labels == UNKNOWN).nonzero()[:, 0], labels.clone()
        for some in torch.split(places, CHUNK_ROWS):
            chances = self.scores(rows.take(some), self._noise(len(some))).softmax(1)
            drawn[some] = torch.multinomial(chances, 1, generator=self.generator)[:, 0]
        return drawn

    def loss(self) -> Tensor:
        """Return - log q(y | x) in nats, the mean over some rows that have a label, weighted."""
        pick = torch.randint(len(self.labels), (KNOWN_ROWS,), generator=self.generator, device=self.labels.device)
        return self.weight * cross_entropy(
            self.scores(self.rows.take(pick), self._noise(KNOWN_ROWS)), self.labels[pick]
        )

    def _noise(self, rows: int) -> Tensor:
        size = (rows, self.model.config.latent_dim)
        return torch.randn(size, generator=self.generator, device=self.labels.device)
