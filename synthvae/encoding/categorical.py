"""Categories to states and back."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Mask, States
from synthvae.encoding.protocol import CodedColumn, DiscreteColumn
from synthvae.errors import TableError, brief
from synthvae.schema.column import Column, Value, Values
from synthvae.schema.domain import categories
from synthvae.tables.arrow import as_array, dense, whole_as_text

MAX_CATEGORIES = 200_000


class CategoricalEncoding(DiscreteColumn, BaseModel):
    """State k is the k-th category; the state after the last category is "missing", if a value may be missing.

    Args:
        values: The categories.
        missing: Whether "missing" has a state.
        other: The category that replaces values outside `values`; None: such values are an error.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["categorical"] = "categorical"
    values: Values
    missing: bool
    other: Value | None = None

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Return the encoding of a column with its declared categories, or those that occur, sorted.

        Raises:
            TableError: There are more than `MAX_CATEGORIES`.
        """
        known = column.categories
        if known is None:
            occurring = pc.unique(dense(values).drop_null())
            known = tuple(occurring.take(pc.sort_indices(occurring)).to_pylist())
            if column.other_category is not None and column.other_category not in known:
                known = (*known, column.other_category)
        if len(known) > MAX_CATEGORIES:
            raise TableError(
                f"Column {column.name!r} may have at most {MAX_CATEGORIES:,} categories, got {len(known):,}. "
                "Group them, declare `kind: id`, or drop the column."
            )
        return cls(values=known, missing=bool(values.null_count), other=column.other_category)

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the encoding of a declared column, whatever categories occur."""
        return cls(values=categories(column), missing=column.nullable, other=column.other_category)

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not categories."""
        return int(self.missing)

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.values) + self.missing, 1)

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,); -1 where a value is missing though none was in training.

        Raises:
            TableError: A category is unknown and there is no `other`.
        """
        found, known = self._found(name, values)
        states = np.full(len(found), self.levels - 1 if self.missing or not self.values else -1, np.int64)
        present = known.is_valid().to_numpy()
        unseen = found.is_valid().to_numpy() & ~present
        if self.other is not None:
            states[unseen] = self.values.index(self.other)
        elif unseen.any():
            first = found[int(np.argmax(unseen))].as_py()
            raise TableError(
                f"Column {name!r} must hold categories that occurred in training, got {first!r} "
                f"({int(unseen.sum())} rows with an unknown category). Map it to a known category, or declare all "
                "`categories`, or `other_category`, before fitting."
            )
        states[present] = known.drop_null().to_numpy()
        return states

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return which values (rows,) are categories that `encode` does not accept."""
        if self.other is not None:
            return np.zeros(len(values), bool)
        found, known = self._found(name, values)
        return np.asarray(found.is_valid().to_numpy() & ~known.is_valid().to_numpy())

    def _found(self, name: str, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """The values, and the positions of those that are known categories."""
        found = dense(values)
        if not self.values:
            return found, pa.chunked_array([pa.nulls(len(found), pa.int32())])
        found = _like(found, as_array(self.values).type)
        if isinstance(self.values[0], str):  # a file may have codes of which none needs to be text
            found = whole_as_text(found)
        return found, pc.index_in(found, value_set=self._as(found.type, name))

    def _as(self, kind: pa.DataType, name: str) -> pa.Array:
        """The categories as an array of type `kind`."""
        try:
            return as_array(self.values).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"Column {name!r} must be of the type that it had in `fit`, got {kind}. Convert its values."
            ) from error

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the categories of the states as an Arrow array of type `kind`."""
        return self.to_arrow(column.states, kind)

    def to_arrow(self, states: States, kind: pa.DataType) -> pa.Array:
        """Return the categories of `states` (rows,) as an Arrow array of type `kind`."""
        indices = pa.array(states, mask=states >= len(self.values), type=pa.int64())
        if pa.types.is_dictionary(kind):
            dictionary = pa.array(self.values, kind.value_type)
            return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)
        if not self.values:
            return pa.nulls(len(states), kind)
        return as_array(self.values).cast(kind).take(indices)


def _like(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The values as `kind` where all are missing, so that Arrow has inferred no type."""
    return values.cast(kind) if pa.types.is_null(values.type) else values
