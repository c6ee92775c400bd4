"""The encodings of columns by kind: which class learns, declares and restores each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.fake import FakeEncoding
from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.raw import PlainEncoding
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.schema.column import Column, Kind
from synthvae.tables.arrow import exact_as_double

StoredEncoding = Annotated[
    CategoricalEncoding
    | NumericEncoding
    | BinnedEncoding
    | TemporalEncoding
    | IdEncoding
    | FakeEncoding
    | PlainEncoding
    | ComputedEncoding
    | RelativeEncoding,
    Field(discriminator="kind"),
]
"""Any encoding of a column; the field `kind` of a saved one identifies its class."""

LEARNED: Mapping[Kind, type[CategoricalEncoding | NumericEncoding | TemporalEncoding | IdEncoding | FakeEncoding]] = {
    "categorical": CategoricalEncoding,
    "boolean": CategoricalEncoding,
    "integer": NumericEncoding,
    "continuous": NumericEncoding,
    "duration": NumericEncoding,
    "datetime": TemporalEncoding,
    "date": TemporalEncoding,
    "id": IdEncoding,
    "fake": FakeEncoding,
}
DECLARED: Mapping[Kind, type[CategoricalEncoding | BinnedEncoding | TemporalEncoding | IdEncoding | FakeEncoding]] = {
    "categorical": CategoricalEncoding,
    "boolean": CategoricalEncoding,
    "integer": BinnedEncoding,
    "continuous": BinnedEncoding,
    "duration": BinnedEncoding,
    "datetime": TemporalEncoding,
    "date": TemporalEncoding,
    "id": IdEncoding,
    "fake": FakeEncoding,
}


def learn(column: Column, values: pa.ChunkedArray) -> StoredEncoding:
    """Find the encoding of a column from its values; durations and times of day are temporal whatever their kind.

    So are whole numbers beyond 2**53: doubles distinguish their distances from the smallest one.

    Raises:
        TableError: The values cannot be encoded.
    """
    large = column.kind == "integer" and pa.types.is_integer(values.type) and not exact_as_double(values)
    if large or pa.types.is_duration(values.type) or pa.types.is_time(values.type):
        return TemporalEncoding.learn(column, values)
    return LEARNED[column.kind].learn(column, values)


def declare(column: Column) -> StoredEncoding:
    """Return the encoding of a declared column, which depends on no value."""
    return DECLARED[column.kind].declare(column)
