"""The network of child rows: each row given its ancestors, the earlier rows of its subject and its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from synthvae.codes import Slots
from synthvae.model import Frequencies, Rows
from synthvae.model.build import Construction
from synthvae.model.calibration import Calibration, calibration_that_gains
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.dropout import Dropout
from synthvae.model.embeddings import SlotEmbedding, ValueEmbedding
from synthvae.model.frequencies import Sums

Weights = Mapping[str, Tensor]
Device = torch.device

HALF_TRUSTED_PAIRS = 20  # pairs of values with which their correlation is trusted by half
# Below the smaller one, a value depends on the other columns of its row more than on the row before: on seasons of
# players (.28 to .49), innovations cost .25 nats per row; on laboratory values of visits (.62 to .89) they gain .6.
MIN_CORRELATION, MAX_CORRELATION = 0.5, 0.98
PLACES = 32  # positions, and numbers of rows left, with a vector of their own; later ones share the last


class SequenceConfig(NamedTuple):
    """The architecture of a `SequenceNetwork`.

    Args:
        width: Units of the contexts and of the decoders.
        hidden: Units of the hidden layer of each head: of digits, of values.
        memory: Units of the recurrent summary of earlier rows.
        dropout: Probability with which a unit is dropped in training.
    """

    width: int = 128
    hidden: tuple[int, int] = (32, 96)
    memory: int = 128
    dropout: float = 0.0


@dataclass(frozen=True)
class SequenceSlots:
    """The digits and values of a child table, and of all that its rows depend on.

    Args:
        rows: Those of the columns of a row, without the order column.
        clock: Those of the order column as it is; empty without one.
        timings: Those of each way to draw the order column, such as a difference from the row before; () without one.
        ancestors: Those of the row of each ancestor table.
    """

    rows: Slots
    clock: Slots
    timings: tuple[Slots, ...]
    ancestors: tuple[Slots, ...]


@dataclass(frozen=True)
class SequenceBatch:
    """The child rows (N) of some subjects in packed order: the first row of each, then the second row of each, ...

    Subjects are in order of the number of their rows, the largest first, as in torch's `PackedSequence`.

    Args:
        rows: The rows.
        clock: The order column as it is.
        timings: The order column as it is drawn; unknown in the ways that do not apply to a row.
        ancestors: The row of each ancestor table.
        places: The number of rows before and after each row (N, 2) that have the same parent.
        last: The last value (N, V) of each continuous column before the row that is known; NaN without one.
        previous: The place (N,) of the row before, of the same subject; -1 for a first row.
        sizes: The number of subjects (T,) that have a first row, a second one, ...
    """

    rows: Rows
    clock: Rows
    timings: tuple[Rows, ...]
    ancestors: tuple[Rows, ...]
    places: Tensor
    last: Tensor
    previous: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.previous)


class Before(NamedTuple):
    """What is known of the earlier rows of a subject.

    Args:
        vector: The vector (N, W) of the row before; zeros for a first row.
        memory: The summary (N, M) of all earlier rows; zeros for a first row.
        last: The last known value (N, V) of each continuous column; NaN without one.
    """

    vector: Tensor
    memory: Tensor
    last: Tensor


class PlaceEmbedding(nn.Module):
    """Vectors of the numbers of rows before and after a row.

    Args:
        width: Length of the vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tables = nn.Parameter(torch.randn(2, PLACES, width) * 0.1)
        self.slopes = nn.Parameter(torch.zeros(2, width))

    def forward(self, places: Tensor) -> Tensor:
        """Return the vectors (N, width) of `places` (N, 2)."""
        short = places.clamp_max(PLACES - 1)
        found = self.tables[0][short[:, 0]] + self.tables[1][short[:, 1]]
        return found + places.to(self.slopes).log1p() @ self.slopes


class Innovations(nn.Module):
    """Continuous values as deviations from what the last known value of their column predicts.

    A value v with the last value u is (v - r u) / sqrt(1 - r^2), r being their correlation: the innovation of an
    autoregressive process, which has unit variance if v and u have. Values without a last one, and columns of low
    correlation, stay as they are.

    Source: Box and Jenkins 1970, Time series analysis, section 3.2.

    Args:
        count: The number V of values.
    """

    correlations: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("correlations", torch.zeros(count))

    def start_from(self, values: Tensor, last: Tensor) -> None:
        """Estimate the correlations from values (N, V) and the last ones, shrunk where there are few."""
        known = values.isfinite() & last.isfinite()
        pairs = known.sum(0).clamp_min(1)
        now, before = (part.masked_fill(~known, 0.0).double() for part in (values, last))
        now, before = ((part - part.sum(0) / pairs).masked_fill(~known, 0.0) for part in (now, before))
        size = (now.square().sum(0) * before.square().sum(0)).sqrt().clamp_min(1e-12)
        found = (now * before).sum(0) / size * pairs / (pairs + HALF_TRUSTED_PAIRS)
        strong = found >= MIN_CORRELATION
        self.correlations.copy_(found.clamp(0.0, MAX_CORRELATION).masked_fill(~strong, 0.0))

    def forward(self, values: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Return the innovations (N, V) of values, and the logarithm (N,) of the density's change."""
        predicted, scale = self.terms(last)
        logs = (-scale.log()).masked_fill(~values.isfinite(), 0.0)
        return (values - predicted) / scale, logs.sum(1)

    def inverse(self, innovations: Tensor, last: Tensor) -> Tensor:
        """Return the values (N, V) of innovations."""
        predicted, scale = self.terms(last)
        return predicted + scale * innovations

    def used(self, last: Tensor) -> Tensor:
        """Return the last values (N, V) from which values are predicted; NaN for columns of low correlation."""
        return last.masked_fill(self.correlations == 0, math.nan)

    def terms(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predictions and the scales (N, V) of values, given the last values (N, V)."""
        known = last.isfinite()
        scale = (1 - self.correlations.square()).sqrt().expand_as(last)
        return self.correlations * last.masked_fill(~known, 0.0), scale.masked_fill(~known, 1.0)


class SequenceNetwork(nn.Module):
    """p(rows of a subject | ancestors) = product over its rows of p(row | ancestors, earlier rows, place).

    A context is the sum of vectors of the ancestors' rows, of the row before, of the place among the siblings, and of a
    recurrent summary of all earlier rows of the subject, followed by a residual block. It takes the place of z in the
    autoregressive decoders: first of the order column, then, with the vector of that one, of the other columns.

    Source of the recurrent summary: Cho et al. 2014, https://arxiv.org/abs/1406.1078.

    Args:
        slots: The digits and values.
        config: The architecture.
    """

    def __init__(self, slots: SequenceSlots, config: SequenceConfig) -> None:
        super().__init__()
        self.slots, self.config = slots, config
        width = config.width
        self.ancestors = nn.ModuleList(SlotEmbedding(one, width) for one in slots.ancestors)
        self.place = PlaceEmbedding(width)
        self.clock, self.seen = SlotEmbedding(slots.clock, width), SlotEmbedding(slots.rows, width)
        self.clock_seen = SlotEmbedding(slots.clock, width)
        self.before = nn.Linear(width, width)
        self.innovations, self.last = Innovations(len(slots.rows.values)), ValueEmbedding(len(slots.rows.values), width)
        self.memory = nn.GRU(width, config.memory)
        self.recall = nn.Linear(config.memory, width)
        self.blocks = nn.ModuleList(_block(config) for _ in range(2))  # before the order column, and after it
        self.timings = nn.ModuleList(_decoder(one, config) for one in slots.timings)
        self.decoder = _decoder(slots.rows, config) if slots.rows.order else None

    @property
    def is_random(self) -> bool:
        """Whether there is anything to draw: a digit or a value of some column."""
        return any(len(slots.order) > 0 for slots in (self.slots.rows, *self.slots.timings))

    def start_from(self, batch: SequenceBatch) -> None:
        """Set the biases of all heads to the frequencies of some rows."""
        self.innovations.start_from(batch.rows.values, batch.last)
        rows = batch.rows._replace(values=self.innovations(batch.rows.values, batch.last)[0])
        pairs = [*zip(self.timings, batch.timings, strict=True), (self.decoder, rows)]
        for decoder, rows in pairs:
            if isinstance(decoder, AutoregressiveDecoder):
                labels = torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)
                sums = Sums.from_rows(rows.digits, rows.values, labels, 1, decoder.slots)
                logs, ratios = sums.logs(decoder.slots), sums.ratios(decoder.slots)
                decoder.start_from(Frequencies(logs, ratios, sums.moments()))

    def log_prob(self, batch: SequenceBatch) -> Tensor:
        """Return log p (N,) of each row of a batch given all before it, in nats."""
        total = torch.zeros(len(batch), device=batch.rows.digits.device)
        for decoder, context, rows, there in self._drawn(batch):
            total = total.index_add(0, there, decoder.log_prob(rows, context, _no_labels(rows)).sum(0))
        if self.decoder is None:
            return total
        change: Tensor = self.innovations(batch.rows.values, batch.last)[1]
        return total + change

    @torch.no_grad()
    def calibrations(self, batch: SequenceBatch) -> list[tuple[AutoregressiveDecoder, Calibration]]:
        """Return each decoder with the change of its outputs under which rows of a batch are most probable.

        Decoders are left out under which the rows gain too little, see `calibration_that_gains`.

        Args:
            batch: Rows that were not trained on.
        """
        changes = []
        for decoder, context, rows, there in self._drawn(batch):
            outputs = decoder.outputs(rows, context, _no_labels(rows))
            weights = torch.ones(len(there), device=there.device)
            change = calibration_that_gains(outputs, rows, weights, decoder.slots.sizes)
            if change is not None:
                changes.append((decoder, change))
        return changes

    def _drawn(self, batch: SequenceBatch) -> Iterator[tuple[AutoregressiveDecoder, Tensor, Rows, Tensor]]:
        """Yield each decoder, what it depends on (B, W), the rows (B) that it draws and their places (B,)."""
        sums = self.batch_sums(batch)
        for decoder, rows in zip(self.timings, batch.timings, strict=True):
            assert isinstance(decoder, AutoregressiveDecoder)
            there = ((rows.digits >= 0).any(1) | rows.values.isfinite().any(1)).nonzero()[:, 0]
            if len(there):
                yield decoder, self.timing_context(sums[there]), rows.take(there), there
        if self.decoder is not None:
            values, _ = self.innovations(batch.rows.values, batch.last)
            everywhere = torch.arange(len(batch), device=sums.device)
            yield self.decoder, self.row_context(sums, batch.clock), batch.rows._replace(values=values), everywhere

    def batch_sums(self, batch: SequenceBatch) -> Tensor:
        """Return the sum (N, W) of all that each row of a batch depends on."""
        vectors = self.vectors(batch.rows, batch.clock)
        remembered = self.memory(PackedSequence(vectors, batch.sizes))[0].data
        before = Before(shifted(vectors, batch), shifted(remembered, batch), batch.last)
        return self.sums(batch.ancestors, batch.places, before)

    def vectors(self, rows: Rows, clock: Rows) -> Tensor:
        """Return the vectors (N, W) by which later rows remember rows."""
        return torch.as_tensor(self.seen.total(rows) + self.clock_seen.total(clock))

    def sums(self, ancestors: tuple[Rows, ...], places: Tensor, before: Before) -> Tensor:
        """Return the sum (N, W) of all that a row depends on.

        Args:
            ancestors: The row of each ancestor table.
            places: The numbers of rows (N, 2) before and after it.
            before: The earlier rows of the subject.
        """
        total = self.place(places) + self.before(before.vector) + self.recall(before.memory)
        total = total + self.last.total(self.innovations.used(before.last))
        for embedding, rows in zip(self.ancestors, ancestors, strict=True):
            assert isinstance(embedding, SlotEmbedding)
            total = total + embedding.total(rows)
        return torch.as_tensor(total)

    def timing_context(self, sums: Tensor) -> Tensor:
        """Return the contexts (N, W) from which the order column is drawn."""
        return torch.as_tensor(sums + self.blocks[0](sums))

    def row_context(self, sums: Tensor, clock: Rows) -> Tensor:
        """Return the contexts (N, W) from which the other columns are drawn."""
        total = sums + self.clock.total(clock)
        return torch.as_tensor(total + self.blocks[1](total))


def build_sequences(slots: SequenceSlots, config: SequenceConfig, seed: int) -> SequenceNetwork:
    """Return an untrained network with random weights."""
    with Construction(seed):
        return SequenceNetwork(slots, config)


def expected_weights(slots: SequenceSlots, config: SequenceConfig) -> dict[str, Tensor]:
    """Return weights of the names, shapes and types of a network, without memory."""
    with torch.device("meta"):
        return SequenceNetwork(slots, config).state_dict()


def shifted(rows: Tensor, batch: SequenceBatch) -> Tensor:
    """The rows (N, ...) before each one; zeros before a first row."""
    return torch.cat([torch.zeros_like(rows[:1]), rows]).index_select(0, batch.previous + 1)


def _block(config: SequenceConfig) -> nn.Sequential:
    width = config.width
    return nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), Dropout(config.dropout))


def _no_labels(rows: Rows) -> Tensor:
    return torch.zeros(len(rows.digits), dtype=torch.long, device=rows.digits.device)


def _decoder(slots: Slots, config: SequenceConfig) -> AutoregressiveDecoder:
    return AutoregressiveDecoder(slots, 1, config.width, config.width, config.hidden, config.dropout)
