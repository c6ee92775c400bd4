"""Real values that identify people and stand in synthetic columns: names, contact data, record numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.schema.identifiers import find_identifier
from synthvae.tables.arrow import is_text, plain_type

UNIQUE = 0.5  # distinct values per row from which on a value points to one person, and is no frequent name
MANY = 0.1  # share of synthetic values from which on they were repeated, and did not occur by chance


@dataclass(frozen=True)
class Identifying:
    """A column whose synthetic values are, in part, real values that identify people.

    Args:
        name: The column.
        what: The kind of values, such as "e-mail addresses".
        share: The share of the synthetic values that are values of the real column.
        serious: Whether they point to single people, and are too many for chance.
    """

    name: str
    what: str
    share: float
    serious: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def identifying(real: pa.Table, synthetic: pa.Table) -> tuple[Identifying, ...]:
    """Find the columns of text that identify people and whose synthetic values are values of the real table.

    Numbers are left out: new keys are counted from one, too, and are equal to real ones by chance.
    """
    return tuple(_identifying(real, synthetic))


def _identifying(real: pa.Table, synthetic: pa.Table) -> Iterator[Identifying]:
    for name in real.column_names:
        if name not in synthetic.column_names or not is_text(plain_type(real.column(name).type)):
            continue
        values = real.column(name).cast(pa.string()).drop_null()
        finding = find_identifier(name, real.column(name))
        if finding is None or not len(values):
            continue
        distinct = pc.unique(values)
        drawn = synthetic.column(name).cast(pa.string()).drop_null()
        share = pc.mean(pc.is_in(drawn, value_set=distinct)).as_py() if len(drawn) else 0.0
        if share:
            serious = len(distinct) >= UNIQUE * len(values) and share >= MANY
            yield Identifying(name, finding.what, float(share), serious)
