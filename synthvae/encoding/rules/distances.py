"""Which columns are modelled as their distance from another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.rules.view import View
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.schema.constraints.comparable import Columns
from synthvae.schema.constraints.computed import Difference

EXACT = 1e-9  # by which doubles may miss a whole number


def encodings(
    columns: Columns,
    pairs: Sequence[tuple[str, str]],
    fixed: Collection[str | None],
    table: pa.Table,
    found: Mapping[str, StoredEncoding],
) -> dict[str, StoredEncoding]:
    """Return the encodings of columns as distances from others, where these are narrower.

    Args:
        columns: The schema of the columns of the pairs.
        pairs: Columns of which the second one may be modelled as its distance from the first.
        fixed: The columns that keep their encoding.
        table: The training rows.
        found: The encodings of all columns, in the order in which they are modelled.
    """
    own: dict[str, StoredEncoding] = {}
    places = {name: place for place, name in enumerate(found)}
    for base, name in pairs:
        free = not {base, name} & set(fixed) and name not in own
        if free and base in places and name in places and places[base] < places[name]:
            relative = _relative(columns, base, name, table, found)
            if relative is not None:
                own[name] = relative
    return own


def _relative(
    columns: Columns, base: str, name: str, table: pa.Table, found: Mapping[str, StoredEncoding]
) -> RelativeEncoding | None:
    """The encoding of a column as its distance from another; None if it is none, or not exact."""
    encoding, start = found[name], found[base]
    kinds = (NumericEncoding, TemporalEncoding)
    if not isinstance(encoding, kinds) or not isinstance(start, kinds) or encoding.kind != start.kind:
        return None
    schema = table.schema
    first, second = (View.of(columns[n], found[n], schema.field(n).type) for n in (base, name))
    if first.marks or second.marks:
        return None
    zero, one = second.own(first.compared(np.array([0.0, 1.0]))).tolist()
    if not _fits(first, second, zero, one - zero):
        return None
    others = (one - zero) * start.numbers_of(table.column(base)) + zero
    own = encoding.numbers_of(table.column(name))
    return RelativeEncoding.learn(columns[name], encoding, own, (base, others, np.array([zero, one])))


def _fits(first: View, second: View, shift: float, ratio: float) -> bool:
    """Whether each number that the first column can have is one that the second can have."""
    if second.grid.step is None:
        return True
    if first.grid.step is None:
        return False
    places = np.array([shift, ratio * first.grid.step]) / second.grid.step
    return bool((np.abs(places - np.rint(places)) <= EXACT * np.maximum(np.abs(places), 1)).all())


def declared(columns: Columns, rule: Difference, found: Mapping[str, StoredEncoding]) -> dict[str, StoredEncoding]:
    """Return the encoding of the larger one of two declared columns by their difference, where that is exact.

    Args:
        columns: The schema of the columns.
        rule: The rule of a difference that is computed.
        found: The encodings of all columns, in the order in which they are modelled.
    """
    places = {name: place for place, name in enumerate(found)}
    high, low = (columns[name] for name in (rule.high, rule.low))
    result = columns[rule.result]
    days = high.kind == low.kind == "date" and rule.unit in (None, "days")
    whole = {high.kind, low.kind, result.kind} == {"integer"}
    encoding, start = found[rule.high], found[rule.low]
    if not (days or whole) or rule.rounding != "nearest" or places[rule.low] > places[rule.high]:
        return {}
    assert isinstance(encoding, (BinnedEncoding, TemporalEncoding))
    zero = 0.0
    if isinstance(encoding, TemporalEncoding) and isinstance(start, TemporalEncoding):
        zero = float(start.origin - encoding.origin)  # in days
    distance = result.model_copy(update={"kind": "integer"})
    return {rule.high: RelativeEncoding.declare(encoding, distance, (rule.low, zero, zero + 1))}
