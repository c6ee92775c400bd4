"""A plain conditional VAE of codes under DP-SGD, as opacus makes it: no noisy table, no autoregression.

Dense layers from one-hot codes and class to z and back, independent columns given both (Kingma and Welling 2014,
https://arxiv.org/abs/1312.6114); Abadi et al. 2016 (https://arxiv.org/abs/1607.00133) with Poisson batches. The shares
of classes are taken for public, in its favour.
"""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pandas as pd
import torch
from opacus import PrivacyEngine
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import DataLoader, TensorDataset

from synthvae.privacy import PrivacyBudget

LATENT, WIDTH, BATCH, EPOCHS, RATE, CLIP = 8, 128, 1024, 15, 2e-3, 1.0


class Network(nn.Module):
    """Encoder and decoder of codes (B, J) with classes (B,)."""

    def __init__(self, levels: list[int], classes: int) -> None:
        super().__init__()
        self.levels, self.classes = levels, classes
        self.encoder = nn.Sequential(
            nn.Linear(sum(levels) + classes, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, 2 * LATENT),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(LATENT + classes, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, sum(levels)),
        )  # fmt: skip

    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Return minus the ELBO (B,) in nats."""
        told = one_hot(labels, self.classes).float()
        given = [one_hot(column, levels).float() for column, levels in zip(codes.T, self.levels, strict=True)]
        mean, log_variance = self.encoder(torch.cat([*given, told], 1)).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        kl = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1)
        logits = self.logits(z, told)
        losses = [cross_entropy(part, column, reduction="none") for part, column in zip(logits, codes.T, strict=True)]
        return torch.as_tensor(torch.stack(losses).sum(0) + kl)

    def logits(self, z: Tensor, told: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (B, K) of each column."""
        found: tuple[Tensor, ...] = torch.split(self.decoder(torch.cat([z, told], 1)), self.levels, 1)
        return found


class PlainCvae:
    """The control, with the interface of the others.

    Args:
        levels: How many codes each column has.
        target: The column of the class.
        budget: What may be spent.
        seed: Of the rows drawn.
    """

    def __init__(self, levels: dict[str, int], target: str, budget: PrivacyBudget, seed: int) -> None:
        self.names = [name for name in levels if name != target]
        self.target, self.budget, self.seed = target, budget, seed
        self.network = Network([levels[name] for name in self.names], levels[target])
        self.shares = np.ones(levels[target])
        self.versions = {"opacus": metadata.version("opacus")}
        self.notes = [f"{EPOCHS} epochs of batches of {BATCH}, rate {RATE}, clipped at {CLIP}"]

    def fit(self, codes: pd.DataFrame) -> None:
        """Learn codes."""
        self.shares = np.bincount(codes[self.target], minlength=len(self.shares)) / len(codes)
        rows = [torch.tensor(codes[name].to_numpy(np.int64)) for name in (*self.names, self.target)]
        data = TensorDataset(torch.stack(rows[:-1], 1), rows[-1])
        optimizer = torch.optim.Adam(self.network.parameters(), RATE)
        engine = PrivacyEngine(accountant="prv", secure_mode=False)
        network, optimizer, loader = engine.make_private_with_epsilon(
            module=self.network,
            optimizer=optimizer,
            data_loader=DataLoader(data, BATCH),
            target_epsilon=self.budget.epsilon,
            target_delta=self.budget.delta,
            epochs=EPOCHS,
            max_grad_norm=CLIP,
        )
        for _ in range(EPOCHS):
            for batch, labels in loader:
                optimizer.zero_grad()
                network(batch, labels).mean().backward()
                optimizer.step()
        self.notes.append(f"epsilon spent: {engine.get_epsilon(self.budget.delta):.3f}")

    @torch.no_grad()
    def sample(self, rows: int) -> pd.DataFrame:
        """Draw codes."""
        generator = torch.Generator().manual_seed(self.seed)
        labels = torch.multinomial(torch.tensor(self.shares), rows, replacement=True, generator=generator)
        z = torch.randn(rows, LATENT, generator=generator)
        parts = self.network.logits(z, one_hot(labels, len(self.shares)).float())
        drawn = [torch.multinomial(part.softmax(1), 1, generator=generator)[:, 0].numpy() for part in parts]
        return pd.DataFrame({**dict(zip(self.names, drawn, strict=True)), self.target: labels.numpy()})
