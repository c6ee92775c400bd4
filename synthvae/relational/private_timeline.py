"""The encoding of an order column that depends on no value: a grid of numbers, and one of differences."""

from __future__ import annotations

import numpy as np

from synthvae.encoding.arrays import Floats
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import PrivacyError
from synthvae.relational.timeline import Timeline
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.domain import limits

NUMBERS = 200  # of the grid; a column with more has every so many
EACH = 32  # differences up to this one have a state each
WIDER = 1.1  # the ratio of two neighbouring larger ones


def declared_timeline(column: Column) -> Timeline:
    """Return the timeline of a declared column of whole numbers or dates.

    The first row of a parent has the nearest number of a grid between the bounds, each later one the nearest difference
    of another grid: exact up to 32, then within a twentieth.

    Raises:
        PrivacyError: The column has neither, or may be missing.
    """
    if column.kind != "integer" and column.kind not in TEMPORAL:
        raise PrivacyError(
            f"The order column {column.name!r} of a private fit must have whole numbers or dates, got a column of "
            f"kind {column.kind}. Round its numbers, or leave it out of `order`."
        )
    if column.nullable or column.sentinels:
        raise PrivacyError(
            f"The order column {column.name!r} of a private fit must have no missing values, got a column that is "
            "nullable or has sentinels. Declare `nullable: false`: missing values become the lower bound."
        )
    if column.kind == "integer":
        low, high = limits(column)
        own: NumericEncoding | TemporalEncoding = _encoding(_grid(low, high))
    else:
        dates = TemporalEncoding.declare(column)
        low, high = 0.0, float((dates.last - dates.origin) // dates.step)
        own = dates.model_copy(update={"steps": _encoding(_grid(low, high))})
    ways = (_encoding(_grid(low, high)), _encoding(np.zeros(1)), _encoding(_differences(high - low)))
    return Timeline(name=column.name, encoding=own, anchors=(), ways=ways, limits=(low, high), relative=False)


def _encoding(atoms: Floats) -> NumericEncoding:
    ends = {"low": float(atoms[0]), "high": float(atoms[-1])}
    return NumericEncoding(atoms=tuple(atoms.tolist()), decimals=0, missing=False, **ends)


def _grid(low: float, high: float) -> Floats:
    return np.unique(np.round(np.linspace(low, high, min(int(high - low) + 1, NUMBERS))))


def _differences(span: float) -> Floats:
    """Return 0, 1, ... and then larger and larger differences, up to `span`.

    Example:
        >>> _differences(40).tolist()[-4:]
        [32.0, 35.0, 38.0, 40.0]
    """
    larger = [float(EACH)]
    while larger[-1] < span:
        larger.append(min(np.round(larger[-1] * WIDER), span))
    found = np.unique([*range(min(EACH, int(span)) + 1), *larger])
    return np.asarray(found[found <= span], np.float64)
