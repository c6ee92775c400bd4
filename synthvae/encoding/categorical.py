"""Categories to states."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.errors import TableError
from synthvae.schema.column import Column, Value, Values
from synthvae.tables.arrow import as_array

MAX_CATEGORIES = 200_000


class CategoricalEncoding(BaseModel):
    """State k is the k-th category; the state after the last category is "missing", if any value was.

    Args:
        values: The categories.
        missing: Whether "missing" has a state.
        other: The category of values outside `values`; None refuses them.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["categorical"] = "categorical"
    values: Values
    missing: bool
    other: Value | None = None

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Take the declared categories, or those that occur, sorted.

        Raises:
            TableError: There are more than `MAX_CATEGORIES`.
        """
        categories = column.categories
        if categories is None:
            seen = pc.unique(_dense(values).drop_null())
            categories = tuple(seen.take(pc.sort_indices(seen)).to_pylist())
            if column.other_category is not None and column.other_category not in categories:
                categories = (*categories, column.other_category)
        if len(categories) > MAX_CATEGORIES:
            raise TableError(
                f"column {column.name!r}: there may be at most {MAX_CATEGORIES:,} categories, however, there are "
                f"{len(categories):,}: group them, declare `kind: id`, or drop it"
            )
        return cls(values=categories, missing=bool(values.null_count), other=column.other_category)

    @classmethod
    def declare(cls, column: Column, categories: Values) -> Self:
        """Take the declared categories, whatever occurs."""
        return cls(values=categories, missing=column.nullable, other=column.other_category)

    @property
    def singles(self) -> int:
        """How many states, the last ones, are no values."""
        return int(self.missing)

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.values) + self.missing, 1)

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,); -1 where a value is missing that never was in training.

        Raises:
            TableError: A category was not seen in training.
        """
        dense, known = self._found(name, values)
        states = np.full(len(dense), self.levels - 1 if self.missing or not self.values else -1, np.int64)
        present = known.is_valid().to_numpy()
        unseen = dense.is_valid().to_numpy() & ~present
        if self.other is not None:
            states[unseen] = self.values.index(self.other)
        elif unseen.any():
            first = dense[int(np.argmax(unseen))].as_py()
            raise TableError(
                f"column {name!r}: a category must have been seen in training, however, {first!r} was not "
                f"({int(unseen.sum())} rows): map it to a known one, or declare all "
                "`categories`, or `other_category`, before fitting"
            )
        states[present] = known.drop_null().to_numpy()
        return states

    def unseen(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Return which values (rows,) are categories that `encode` refuses."""
        if self.other is not None:
            return np.zeros(len(values), bool)
        dense, known = self._found(name, values)
        return np.asarray(dense.is_valid().to_numpy() & ~known.is_valid().to_numpy())

    def _found(self, name: str, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """The values, and the numbers of those that are known categories."""
        dense = _dense(values)
        if not self.values:
            return dense, pa.chunked_array([pa.nulls(len(dense), pa.int32())])
        dense = _like(dense, as_array(self.values).type)
        return dense, pc.index_in(dense, value_set=self._as(dense.type, name))

    def _as(self, kind: pa.DataType, name: str) -> pa.Array:
        try:
            return as_array(self.values).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"column {name!r}: values must be of the type that fit saw, however, they are {kind}: convert them"
            ) from error

    def decode(self, states: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        """Return the categories of `states` as an Arrow array of type `kind`."""
        indices = pa.array(states, mask=states >= len(self.values), type=pa.int64())
        if pa.types.is_dictionary(kind):
            dictionary = pa.array(self.values, kind.value_type)
            return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)
        if not self.values:
            return pa.nulls(len(states), kind)
        return as_array(self.values).cast(kind).take(indices)


def _dense(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _like(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column that has no value has no type of its own."""
    return values.cast(kind) if pa.types.is_null(values.type) else values
