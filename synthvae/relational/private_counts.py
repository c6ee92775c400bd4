"""Counts of one random row of each subject: bins of numeric columns, and the initial weights of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from synthvae.encoding.layout import Layout
from synthvae.model import Frequencies
from synthvae.privacy.counts import binning, postprocessing
from synthvae.privacy.curator import Curator
from synthvae.privacy.dpsgd.poisson import some_of_each
from synthvae.privacy.fit import binned, bisections_of
from synthvae.privacy.ledger import RecordedEvent
from synthvae.relational.child_encoding import ChildEncoding
from synthvae.relational.network import SequenceNetwork
from synthvae.relational.private_descent import start_decoder
from synthvae.relational.sequences import Places, Sequences
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import split_sentinels


def with_bins(
    schema: Schema, table: pa.Table, subjects: Places, curator: Curator, recorded: RecordedEvent | None
) -> Schema:
    """Return the schema with bins for numeric columns, by one random row of each subject.

    Args:
        schema: The declared schema.
        table: The rows of all subjects.
        subjects: The subject (rows,) of each.
        curator: Releases the counts.
        recorded: The event of the counts; None: there are none.
    """
    bisections = bisections_of(schema, None)
    if recorded is None or not bisections:
        return schema
    some = table.take(some_of_each(subjects, 1))
    numbers = {
        name: split_sentinels(some.column(name), schema[name].sentinels)[0].to_numpy().astype(np.float64)
        for name in bisections
    }
    binning.bisect(bisections, numbers, curator, recorded)
    columns = [binned(c, bisections[c.name], None) if c.name in bisections else c for c in schema.columns]
    return schema.model_copy(update={"columns": tuple(columns)})


def start(
    network: SequenceNetwork,
    encoding: ChildEncoding,
    sequences: Sequences,
    curator: Curator,
    recorded: RecordedEvent,
) -> None:
    """Set the biases of all heads to noisy frequencies, by one random row of each subject.

    Args:
        network: The network, changed in place.
        encoding: The encoding of the table.
        sequences: The coded rows of all subjects.
        curator: Releases the counts.
        recorded: The event of the counts, one release for each column with digits.
    """
    family = sequences.family
    everywhere, first = np.arange(len(family)), family.places[:, 0] == 0
    if encoding.rows is not None:
        layout = encoding.rows.layout
        chosen = everywhere[some_of_each(family.subjects, 1)]
        states = dict(zip(layout.names, layout.join(sequences.rows.digits[chosen]), strict=True))
        start_decoder(network.decoder, _frequencies(layout, states, curator, recorded))
    if encoding.timeline is not None:
        parts = (first, np.zeros_like(first), ~first)
        for number, layout in enumerate(encoding.timeline.layouts):
            rows = everywhere[parts[number]]
            if layout.width:
                rows = rows[some_of_each(family.subjects[rows], 1)]
                states = dict(zip(layout.names, layout.join(sequences.timings[number].digits[rows]), strict=True))
                start_decoder(network.timings[number], _frequencies(layout, states, curator, recorded))


def _frequencies(
    layout: Layout, states: Mapping[str, Places], curator: Curator, recorded: RecordedEvent
) -> Frequencies:
    """The initial weights of a decoder, from one noisy table of each column that has digits."""
    found, rows = {}, 1.0
    for name, levels, digits in zip(layout.names, layout.levels, layout.digits, strict=True):
        if digits:
            noisy = curator.counts(recorded, _counted(states[name], levels)).astype(np.float64)
            rows = max(float(noisy.sum()), 1.0)
            found[name] = postprocessing.frequencies(noisy[None], np.array([rows]))
    return postprocessing.start(layout, found, np.array([rows]))


def _counted(states: Places, levels: int) -> Callable[[], Places]:
    return lambda: np.bincount(states[states >= 0], minlength=levels).astype(np.int64)
