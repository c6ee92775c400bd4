"""Moving the marginals of a child table's network to measured ones, which noisy gradients have moved away from.

This is post-processing: contexts are those of rows that the network itself draws, below ancestors that were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthvae.devices import one_thread
from synthvae.encoding.layout import Layout
from synthvae.model.decoders import AutoregressiveDecoder, Marginals
from synthvae.privacy.counts import postprocessing
from synthvae.relational.database_drawing import draw_sequences
from synthvae.relational.fitted_database import FittedChild, FittedDatabase
from synthvae.relational.network import SequenceNetwork
from synthvae.relational.sequences import Places, Sequences

ROUNDS = 2  # of draws: the rows before a row change, too, when marginals are moved
SUBJECTS, MANY = 5000, 16  # that are drawn: at most, and for each training subject


@dataclass(frozen=True)
class MeasuredMarginals:
    """Frequencies of digits (J, K) of one random row of each subject; None: nothing was measured.

    Args:
        rows: Those of the columns other than the order column.
        timings: Those of each way to draw the order column, of the rows drawn in this way.
    """

    rows: Tensor | None
    timings: tuple[Tensor | None, ...]


def start_decoder(decoder: nn.Module | None, layout: Layout, noisy: Mapping[str, Places]) -> Tensor | None:
    """Set the biases of a decoder to noisy counts of states; return the frequencies (J, K) of its digits.

    Args:
        decoder: The decoder; None: there is nothing to draw.
        layout: The layout of its columns.
        noisy: The noisy counts (levels,) of each column with digits.
    """
    if not noisy or not isinstance(decoder, AutoregressiveDecoder):
        return None
    totals = {name: np.array([max(float(counts.sum()), 1.0)]) for name, counts in noisy.items()}
    found = {n: postprocessing.frequencies(counts.astype(np.float64)[None], totals[n]) for n, counts in noisy.items()}
    decoder.start_from(postprocessing.start(layout, found, list(totals.values())[-1]))
    return torch.from_numpy(postprocessing.of_digits(layout, found)[:, 0]).float()


def match_marginals(fitted: FittedDatabase, name: str, measured: MeasuredMarginals, seed: int) -> None:
    """Move the biases of the network of a child table, in place, until drawn rows have the measured marginals.

    Args:
        fitted: The models of the table and of its ancestors.
        name: The table.
        measured: The marginals.
        seed: The seed of the draws.
    """
    child = fitted.tables[name].model
    assert isinstance(child, FittedChild)
    subjects = min(SUBJECTS, MANY * max(fitted.roots.values()))
    for number in range(ROUNDS):
        sequences = draw_sequences(fitted, name, subjects, seed + number)
        if len(sequences.family):
            rng = np.random.default_rng([seed, number])
            _match(child.network, sequences, measured, rng)


@torch.no_grad()
def _match(
    network: SequenceNetwork, sequences: Sequences, measured: MeasuredMarginals, rng: np.random.Generator
) -> None:
    family = sequences.family
    everyone = np.arange(len(family.lengths))
    packed = family.packed(everyone)[0]
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    first = family.places[packed, 0] == 0
    drawn_in = (first, np.zeros_like(first), ~first)  # the ways to draw the order column
    with one_thread():
        batch = sequences.batch(everyone, torch.device("cpu"))
        sums = network.batch_sums(batch)
        for decoder, frequencies, rows in zip(network.timings, measured.timings, drawn_in, strict=False):
            here = _one_of_each(np.flatnonzero(rows), family.subjects[packed], rng)
            if frequencies is not None and len(here):
                assert isinstance(decoder, AutoregressiveDecoder)
                context = network.timing_context(sums[torch.from_numpy(here)])
                decoder.match(context, 0, generator, Marginals(frequencies, 1.0))
        if measured.rows is not None and network.decoder is not None:
            here = _one_of_each(np.arange(len(packed)), family.subjects[packed], rng)
            places = torch.from_numpy(here)
            context = network.row_context(sums[places], batch.clock.take(places))
            network.decoder.match(context, 0, generator, Marginals(measured.rows, 1.0))


def _one_of_each(rows: Places, subjects: Places, rng: np.random.Generator) -> Places:
    """Return a random one of some rows of each subject."""
    rows = rng.permutation(rows)
    return rows[np.unique(subjects[rows], return_index=True)[1]]
