"""Training of a `SequenceNetwork` by differentially private SGD, the unit of which is a subject with all its rows.

The recurrent summary of earlier rows has random weights that are not trained: an echo state network, of which the layer
that reads it is trained. Every other layer is then called once for all rows of a batch, which ghost clipping requires.

Sources: Abadi et al. 2016, https://arxiv.org/abs/1607.00133; Jaeger 2001, The "echo state" approach to analysing and
training recurrent neural networks, GMD report 148.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from synthvae.devices import one_thread
from synthvae.model import Frequencies
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.privacy import mechanisms
from synthvae.privacy.dpsgd.ghost_clipping import Call, Gradients, Sums
from synthvae.privacy.dpsgd.subject_clipping import Grid, SubjectClipping
from synthvae.privacy.dpsgd.trainer import NoisyDescent, Spending
from synthvae.privacy.journal import Journal
from synthvae.relational.network import PLACES, Before, PlaceEmbedding, SequenceBatch, SequenceNetwork, shifted
from synthvae.relational.sequences import Places, Sequences, split_by_rows

MICRO_BATCH = 1024  # rows of one forward and backward pass


def log_prob(network: SequenceNetwork, batch: SequenceBatch) -> Tensor:
    """Return log p (N,) of each row, as `SequenceNetwork.log_prob` of rows without values, each layer called once."""
    vectors = network.vectors(batch.rows, batch.clock)
    remembered = network.memory(PackedSequence(vectors, batch.sizes))[0].data
    before = Before(shifted(vectors, batch), shifted(remembered, batch), batch.last)
    sums = network.sums(batch.ancestors, batch.places, before)
    labels = torch.zeros(len(batch), dtype=torch.long, device=vectors.device)
    total = torch.zeros(len(batch), device=vectors.device)
    context = network.timing_context(sums) if len(network.timings) else sums
    for decoder, rows in zip(network.timings, batch.timings, strict=True):
        assert isinstance(decoder, AutoregressiveDecoder)
        total = total + decoder.log_prob(rows, context, labels).sum(0)  # 0 in the ways that do not apply to a row
    if network.decoder is not None:
        total = total + network.decoder.log_prob(batch.rows, network.row_context(sums, batch.clock), labels).sum(0)
    return total


def _place_rule(layer: PlaceEmbedding, call: Call) -> tuple[Tensor, Sums]:
    """The squared norms (B,) of rows' gradients, and their sums; see `ghost_clipping.Rule`."""
    (places,), gradient = call.inputs, call.gradient
    short, logs = places.clamp_max(PLACES - 1), places.to(gradient).log1p()

    def sums(factors: Tensor) -> Gradients:
        scaled = gradient * factors[:, None]
        tables = torch.zeros_like(layer.tables)
        for side in range(2):
            tables[side].index_add_(0, short[:, side], scaled)
        return [(layer.tables, tables), (layer.slopes, logs.T @ scaled)]

    return (2 + logs.square().sum(1)) * gradient.square().sum(1), sums


def _place_norm(layer: PlaceEmbedding, call: Call, grid: Grid) -> Tensor:
    """The products of the rows of a subject; see `subject_clipping.Norm`."""
    del layer
    (places,), gradient = call.inputs, call.gradient
    short, logs = places.clamp_max(PLACES - 1), places.to(gradient).log1p()
    equal = grid.equal(short[:, 0]).double() + grid.equal(short[:, 1])
    return (equal + grid.products(logs)) * grid.products(gradient)


def clipping(network: SequenceNetwork) -> SubjectClipping:
    """Return what computes clipped sums of the gradients of subjects; the recurrent summary is not trained.

    Nor are tables of fine digits given coarse ones, which start from measured frequencies.
    """
    tables = tuple(layer.tables for layer in network.modules() if isinstance(layer, AutoregressiveDecoder))
    network.memory.requires_grad_(requires_grad=False)
    return SubjectClipping(network, (network.memory, *tables), {PlaceEmbedding: (_place_rule, _place_norm)})


class PrivateSequenceDescent(NoisyDescent):
    """Training by noisy sums of clipped gradients of subjects.

    Args:
        network: The network, without dropout and on the CPU.
        sequences: The coded rows, of at most as many of one subject as were declared.
        spending: The recorded event and the settings.
        journal: Where noisy gradients are stored.
    """

    def __init__(
        self, network: SequenceNetwork, sequences: Sequences, spending: Spending, journal: Journal | None = None
    ) -> None:
        self.network, self.sequences = network, sequences
        self.rate_of_subjects = spending.event.sampling_rate
        self.clipping = clipping(network)
        super().__init__(network, self.clipping.parameters, spending, journal=journal)

    def limited_threads(self) -> AbstractContextManager[None]:
        """Return a context that limits training to one thread: a batch is too little work to share."""
        return one_thread()

    def losses(self, batch: SequenceBatch) -> Tensor:
        """Return the loss (N,) of each row, in nats; that of a row depends on rows of its subject alone."""
        return -log_prob(self.network, batch)

    def clipped_sums(self) -> Iterator[list[Tensor]]:
        """Yield the sums of the clipped gradients of the parts of a Poisson sample of subjects."""
        return map(self.clipped_sum, self._sample())

    def _sample(self) -> Iterator[Places]:
        """Yield a Poisson sample of subjects in parts; those of one part have about as many rows each."""
        lengths = self.sequences.family.lengths
        taken = np.flatnonzero(mechanisms.uniform(len(lengths)) < self.rate_of_subjects)
        yield from split_by_rows(lengths, taken[np.argsort(-lengths[taken], kind="stable")], MICRO_BATCH)

    def clipped_sum(self, chosen: Places) -> list[Tensor]:
        """Return, for each parameter, the sum of the clipped gradients of some subjects, by number.

        Subjects whose gradient is not finite count as zero and change no other one.
        """
        batch = self.sequences.batch(chosen, torch.device("cpu"))
        subjects = _subjects(batch.sizes)
        try:
            sums = self.clipping.clipped_sums(lambda: self.losses(batch), subjects, len(chosen), self.settings.clip)
        except FloatingPointError:
            if len(chosen) == 1:
                return [torch.zeros_like(parameter) for parameter in self.parameters]
            halves = [self.clipped_sum(part) for part in np.array_split(chosen, 2)]
            return [first + second for first, second in zip(*halves, strict=True)]
        return sums[0]


def _subjects(sizes: Tensor) -> Tensor:
    """The subject (N,) of each row in packed order: the first row of each, then the second row of each, ..."""
    return torch.cat([torch.arange(int(size)) for size in sizes]) if len(sizes) else torch.empty(0, dtype=torch.long)


def start_decoder(decoder: nn.Module | None, frequencies: Frequencies) -> None:
    """Set the biases of a decoder to frequencies."""
    if isinstance(decoder, AutoregressiveDecoder):
        decoder.start_from(frequencies)
