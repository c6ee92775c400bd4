"""The distribution of any columns of a row given any others: p(x_a | x_b), without a latent variable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.calibration import Outputs, log_likelihood
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.dropout import Dropout
from synthvae.model.embeddings import SlotEmbedding
from synthvae.model.rows import Rows


class ConditionalConfig(NamedTuple):
    """The architecture of a `ConditionalNetwork`.

    Args:
        width: Units of the network.
        hidden: Units of the hidden layer of each head: of digits, of values.
        dropout: Probability with which a unit is dropped in training.
    """

    width: int = 128
    hidden: tuple[int, int] = (32, 96)
    dropout: float = 0.0


class ConditionalNetwork(nn.Module):
    """p(x_a | x_b) for any disjoint sets a, b of columns: the product over a, in the order of the slots.

    A residual block on the sum of the vectors of the known columns b starts the running sum of an autoregressive
    decoder, to which each drawn column of a adds its vector. Columns in neither set add nothing.

    Source: Uria, Murray, Larochelle 2014, A deep and tractable density estimator, https://arxiv.org/abs/1310.1757,
    whose orders of single variables are here one order of columns behind any known ones.

    Args:
        slots: The digits and values of a row.
        config: The architecture.

    Example:
        >>> import torch
        >>> from synthvae.codes import Slots
        >>> from synthvae.model import Rows
        >>> network = ConditionalNetwork(Slots((3, 2)), ConditionalConfig(width=4))
        >>> known, wanted = (Rows(torch.tensor([row]), torch.empty(1, 0)) for row in ([2, -1], [-1, 0]))
        >>> network.log_prob(known, wanted).shape
        torch.Size([2, 1])
    """

    def __init__(self, slots: Slots, config: ConditionalConfig) -> None:
        super().__init__()
        self.slots, self.config = slots, config
        width = config.width
        self.embedding = SlotEmbedding(slots, width)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), Dropout(config.dropout))
        self.decoder = AutoregressiveDecoder(slots, 1, width, width, config.hidden, config.dropout)

    def context(self, known: Rows) -> Tensor:
        """Return what the known columns say (B, W); an unknown one has digits -1 and a value NaN."""
        total = self.embedding.total(known)
        return torch.as_tensor(total + self.block(total))

    def log_prob(self, known: Rows, wanted: Rows) -> Tensor:
        """Return log p (J + V, B) of each digit, then each value of `wanted`, in nats; 0 where it is not wanted."""
        return log_likelihood(self.outputs(known, wanted), wanted)

    def outputs(self, known: Rows, wanted: Rows) -> Outputs:
        """Return the outputs of all heads for `wanted` (B)."""
        labels = torch.zeros(len(known.digits), dtype=torch.long, device=known.digits.device)
        return self.decoder.outputs(wanted, self.context(known), labels)


class Choice(NamedTuple):
    """Which cells of rows are known and which are wanted, as masks (B, cells)."""

    known: Tensor
    wanted: Tensor


def cells_of(slots: Slots) -> tuple[int, ...]:
    """Return the number, from 0 on, of the cell (column) of each digit, then of each value."""
    return slots.cell_numbers


def random_choice(rows: int, cells: int, generator: torch.Generator) -> Choice:
    """Draw which cells of each row are known and wanted: a random share of each row is known.

    The others are wanted in half of the rows; in the other half a random share of these is left out, so that columns
    can be drawn in any order, and any single one given any others. At least one cell is wanted.
    """

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator, device=generator.device, dtype=torch.float32)

    known = uniform(rows, cells) < uniform(rows, 1)
    share = (2 * uniform(rows, 1) - 1).clamp_min(0)  # 0 in half of the rows
    wanted = ~known & (uniform(rows, cells) >= share)
    always = torch.randint(cells, (rows, 1), generator=generator, device=generator.device)
    return Choice(known.scatter(1, always, value=False), wanted.scatter(1, always, value=True))


def masked(rows: Rows, kept: Tensor, slots: Slots) -> Rows:
    """Return rows (B) with the cells of a mask (B, cells); the others have digits -1 and values NaN."""
    cells = list(cells_of(slots))
    j = len(slots.sizes)
    return Rows(
        rows.digits.masked_fill(~kept[:, cells[:j]], -1), rows.values.masked_fill(~kept[:, cells[j:]], math.nan)
    )


class Limit(NamedTuple):
    """The states and numbers that a column may have.

    Args:
        allowed: For each of its digits, which levels (prefixes, K) may follow the coarser digits' number.
        low: The smallest value; -inf without a limit.
        high: The largest value; inf without a limit.
        yields: Whether rules come first where they leave nothing within the limit.
    """

    allowed: Mapping[int, Tensor]
    low: float = -math.inf
    high: float = math.inf
    yields: bool = False
