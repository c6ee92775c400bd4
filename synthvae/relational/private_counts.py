"""Counts of one random row of each subject: bins of numeric columns, and the initial weights of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
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

MARGINALS = "marginals"  # the event of counts of states


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
    subjects, first = sequences.family.subjects, sequences.family.places[:, 0] == 0
    if encoding.rows is not None:
        layout = encoding.rows.layout
        noisy = counted_states(layout, sequences.rows.digits, subjects, curator, recorded)
        start_decoder(network.decoder, _frequencies(layout, noisy))
    if encoding.timeline is not None:
        parts = (first, np.zeros_like(first), ~first)
        for number, layout in enumerate(encoding.timeline.layouts):
            rows = np.flatnonzero(parts[number])
            if layout.width:
                digits = sequences.timings[number].digits[rows]
                noisy = counted_states(layout, digits, subjects[rows], curator, recorded)
                start_decoder(network.timings[number], _frequencies(layout, noisy))


def counted_states(
    layout: Layout, digits: npt.NDArray[np.int8], subjects: Places, curator: Curator, recorded: RecordedEvent
) -> dict[str, Places]:
    """Return the noisy number of rows in each state of each column that has digits, by one random row of each subject.

    Args:
        layout: The layout of the columns.
        digits: The digits (rows, J).
        subjects: The subject (rows,) of each.
        curator: Releases the counts.
        recorded: The event of the counts, one release for each column.
    """
    chosen = digits[some_of_each(subjects, 1)]
    states = dict(zip(layout.names, layout.join(chosen), strict=True))
    levels = dict(zip(layout.names, layout.levels, strict=True))
    names = [name for name, own in zip(layout.names, layout.digits, strict=True) if own]
    return {name: curator.counts(recorded, _counted(states[name], levels[name])) for name in names}


def _frequencies(layout: Layout, noisy: Mapping[str, Places]) -> Frequencies:
    """The initial weights of a decoder."""
    rows = {name: np.array([max(float(counts.sum()), 1.0)]) for name, counts in noisy.items()}
    found = {
        name: postprocessing.frequencies(counts.astype(np.float64)[None], rows[name]) for name, counts in noisy.items()
    }
    return postprocessing.start(layout, found, list(rows.values())[-1] if rows else np.ones(1))


def _counted(states: Places, levels: int) -> Callable[[], Places]:
    return lambda: np.bincount(states[states >= 0], minlength=levels).astype(np.int64)
