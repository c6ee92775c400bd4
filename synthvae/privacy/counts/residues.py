"""Residues of numbers: which last digits people round to, such as weights in multiples of 5.

Bins do not show it: numbers that are uniform within them differ from real ones by their last digit alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.encoding.binned import BinnedEncoding
from synthvae.privacy.curator import Counts, Curator
from synthvae.privacy.fit import bisections_of
from synthvae.privacy.ledger import RecordedEvent
from synthvae.schema.domain import decimals_of
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import split_sentinels

RESIDUES = "residues of numbers"  # the event of their counts

Floats = npt.NDArray[np.float64]


def rounded_columns(schema: Schema) -> list[str]:
    """Return the columns whose residues are counted: those with measured bins and a public number of decimals.

    Columns that rules are on are left out, since rules choose numbers within bins.
    """
    ruled = {name for rule in schema.constraints for name in rule.touches}
    return [n for n in bisections_of(schema, None) if n not in ruled and decimals_of(schema[n]) is not None]


def with_residues(
    columns: Mapping[str, Any], names: list[str], table: pa.Table, curator: Curator, recorded: RecordedEvent
) -> dict[str, Any]:
    """Return encodings of columns, those of binned numbers with the weights of their residues.

    Args:
        columns: The encodings.
        names: The columns whose residues are counted, one release for each.
        table: The rows that are counted.
        curator: Releases the counts.
        recorded: The event of the counts.
    """
    found = dict(columns)
    for name in names:
        own = found[name]
        assert isinstance(own, BinnedEncoding)
        numbers = split_sentinels(table.column(name), own.marks)[0].to_numpy().astype(np.float64)
        noisy = curator.counts(recorded, functools.partial(own.residue_counts, numbers))
        found[name] = own.model_copy(update={"residues": tuple(weights(noisy, recorded.event.scale).tolist())})
    return found


def weights(noisy: Counts, noise: float) -> Floats:
    """Return the weights (30,) of residues, from counts whose noise has a standard deviation of `noise`.

    Counts are shrunk towards their mean by the share of their variance that noise explains, so that counts of few rows
    give equal weights.

    Source: James and Stein 1961, Estimation with quadratic loss.

    Example:
        >>> weights(np.full(30, 7), 10.0)[:2].tolist()
        [1.0, 1.0]
    """
    counts = noisy.astype(np.float64)
    mean, variance = max(counts.mean(), 1.0), counts.var()
    kept = max(1 - noise**2 / variance, 0.0) if variance > 0 else 0.0
    return np.asarray(np.maximum(mean + kept * (counts - mean), 0.0) / mean)
