"""The target as the condition y: its classes, or the quantile bins of a continuous target."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from synthvae.encoding.arrays import States
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.sentinels import count_sentinels
from synthvae.errors import RequestError, TableError, brief, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column, Values
from synthvae.schema.domain import categories, limits
from synthvae.schema.problems import flag
from synthvae.tables.arrow import MAX_NUMBER_CLASSES, are_classes, finite_numbers, split_sentinels

MAX_CLASSES = 1000
BINS = 20  # the largest number of quantile bins of a continuous target
ROWS_PER_BIN = 50  # fewer rows have fewer bins


class TargetEncoding(BaseModel):
    """How the values of the target become conditions, numbered from 0.

    Args:
        name: The target column.
        classes: Its classes; None if it is continuous.
        categories: All declared categories of a categorical column, in their order, whether or not they occur.
        edges: The inner edges of the quantile bins of a continuous target.
        sentinels: The sentinel values of a continuous target, which have the last condition; of a target of classes
            they are classes.
        format: How its text writes the number 1234.5; None: in this way.
        counts: The number of training rows of each condition.
        shares: The weighted share of each condition; () if all training rows weigh the same.

    Example:
        >>> import pyarrow as pa
        >>> from synthvae import Column
        >>> column, values = Column(name="y", kind="categorical"), pa.chunked_array([["no", "yes", "no"]])
        >>> target = TargetEncoding.learn(column, values, min_class_rows=1)
        >>> target.labels, target.counts, target.encode(values).tolist()
        (['no', 'yes'], (2, 1), [0, 1, 0])
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    name: str
    classes: CategoricalEncoding | None = None
    categories: Values | None = None
    edges: tuple[float, ...] = ()
    sentinels: Values = ()
    format: str | None = None
    counts: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `shares` and `sentinels` if there are none, so that hashes of models are those of earlier ones."""
        document: dict[str, Any] = handler(self)
        empty = {"shares": not self.shares, "sentinels": not self.sentinels}
        return {name: value for name, value in document.items() if not empty.get(name)}

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray, min_class_rows: int) -> Self:
        """Find the conditions of a target column.

        Args:
            column: Its schema.
            values: Its values (rows,); rows without a label are not counted.
            min_class_rows: The smallest number of rows of a class.

        Raises:
            TableError: No row has a label, a number is missing, a class has too few rows, or the column has a kind that
                a target cannot have.
        """
        missing, values = values.null_count, values.drop_null()
        if missing and not len(values):
            raise TableError(
                f"Target {column.name!r} must have a label in some rows, got none. Label some rows, or fit without a "
                "target."
            )
        _check_kind(column)
        if column.kind not in NUMERIC or (column.kind == "integer" and are_classes(values)):
            target = cls._learn_classes(column, values, min_class_rows)
        elif missing:
            raise TableError(
                f"Target {column.name!r} is a number and must have a label in every row, got {missing} of "
                f"{missing + len(values)} rows without one. Drop or fill them."
            )
        else:
            target = cls._learn_bins(column, values)
        labels = target.encode(values)
        return target.model_copy(update={"counts": tuple(np.bincount(labels, minlength=target.levels).tolist())})

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the conditions of a declared column, with a count of 1 each, as no row is counted.

        Raises:
            TableError: The column has a kind that a target cannot have.
        """
        _check_kind(column)
        values = None if column.kind in NUMERIC else categories(column)
        if column.kind == "integer" and column.bins is None:
            low, high = limits(column)
            if high - low < MAX_NUMBER_CLASSES:
                values = tuple(range(int(low), int(high) + 1))
        if values is not None:
            classes = CategoricalEncoding(values=values, missing=False)
            return cls(name=column.name, classes=classes, counts=(1,) * len(values))
        edges = BinnedEncoding.declare(column).edges[1:-1]
        return cls(name=column.name, edges=edges, counts=(1,) * (len(edges) + 1))

    @classmethod
    def _learn_classes(cls, column: Column, values: pa.ChunkedArray, min_class_rows: int) -> Self:
        if column.other_category is not None:
            raise TableError(
                f"Target {column.name!r} has the classes that occur, so that `other_category` must be None, got "
                f"{column.other_category!r}. Remove `other_category` from the schema."
            )
        occurring = column.model_copy(update={"categories": None})
        classes = CategoricalEncoding.learn(occurring, values)
        counts = np.bincount(classes.encode(column.name, values), minlength=classes.levels)
        target = cls(name=column.name, classes=classes, categories=column.categories, counts=tuple(counts.tolist()))
        target.refuse_rare(min_class_rows)
        if classes.levels > MAX_CLASSES:
            raise TableError(
                f"Target {column.name!r} may have at most {MAX_CLASSES} classes, got {classes.levels}. "
                "Choose another target, or none."
            )
        return target

    def refuse_rare(self, min_class_rows: int) -> None:
        """Refuse classes with fewer rows than `min_class_rows`.

        Raises:
            TableError: There is one.
        """
        rare = [label for label, count in zip(self.labels, self.counts, strict=True) if count < min_class_rows]
        if rare:
            raise TableError(
                f"Target {self.name!r}: each class must have at least {min_class_rows} rows, got fewer of "
                f"{', '.join(map(repr, rare[:5]))}. Drop or merge such classes."
            )

    @classmethod
    def _learn_bins(cls, column: Column, values: pa.ChunkedArray) -> Self:
        sentinels = tuple(count_sentinels(values, column.sentinels))
        finite = finite_numbers(column.name, _numbers(column.name, values, sentinels, column.format))
        if not len(finite):
            raise TableError(
                f"Target {column.name!r} must have numbers, got sentinel values alone. Choose another target, or none."
            )
        bins = int(np.clip(len(finite) // ROWS_PER_BIN, 1, BINS))
        inner = np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
        edges = tuple(np.unique(inner[inner > finite.min()]).tolist())
        return cls(name=column.name, edges=edges, sentinels=sentinels, format=column.format)

    @property
    def levels(self) -> int:
        """The number of conditions."""
        return self.classes.levels if self.classes else len(self.edges) + 1 + bool(self.sentinels)

    @property
    def labels(self) -> list[Any]:
        """The class labels, or the number of each quantile bin, and of the sentinel values."""
        return list(self.classes.values) if self.classes else list(range(self.levels))

    def encode(self, values: pa.ChunkedArray, *, partial: bool = False) -> States:
        """Return the condition (rows,) of each row.

        Args:
            values: The target (rows,).
            partial: Whether rows may have no label, if the target has classes; their condition is -1.

        Raises:
            TableError: A label is missing, its class is unknown, or it is not a number.
        """
        if values.null_count and not (partial and self.classes):
            raise TableError(
                f"Target {self.name!r} must have a label in every row, got {values.null_count} rows without one."
            )
        if self.classes:
            return self.classes.encode(self.name, values)
        numbers = _numbers(self.name, values, self.sentinels, self.format).to_numpy()
        bins = np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), self.levels - 1, bins)

    def decode(self, labels: States, kind: pa.DataType) -> pa.Array:
        """Return the classes of conditions (rows,) as an Arrow array of type `kind`."""
        assert self.classes is not None
        if self.categories is None:
            return self.classes.to_arrow(labels, kind)
        everything = CategoricalEncoding(values=self.categories, missing=False)
        positions = np.array([self.categories.index(value) for value in self.classes.values], np.int64)
        return everything.to_arrow(positions[labels], kind)

    def index(self, label: Any) -> int:
        """Return the condition of a class, given as its label or, from a shell, as the text of its label.

        Raises:
            RequestError: There is no such class.
        """
        if self.classes is None:
            raise RequestError(
                f"Rows of a class can be requested only if the target has classes; {self.name!r} is continuous. "
                "Request a total number of rows."
            )
        plain = label.item() if hasattr(label, "item") else label
        labels = self.labels
        if plain in labels:
            return labels.index(plain)
        texts = [str(known) for known in labels]
        if str(plain) in texts:
            return texts.index(str(plain))
        raise RequestError(f"A requested class must be one of {listing(labels)}, got {plain!r}.")


def _check_kind(column: Column) -> None:
    if column.kind not in ("categorical", "boolean", *NUMERIC):
        way_out = f"Declare `kind: categorical` ({flag('categorical', column.name)}) to condition on its values"
        if column.kind in TEMPORAL:
            way_out = "Condition on a column of a part of it, such as its year"
        raise TableError(
            f"Target {column.name!r} must be categorical, boolean or a number, got kind {column.kind!r}. "
            f"{way_out}, or choose another target or none."
        )


def _numbers(
    name: str,
    values: pa.ChunkedArray,
    sentinels: Values,
    format: str | None,  # noqa: A002 (the field of a column)
) -> pa.ChunkedArray:
    """The numbers (rows,) of a continuous target, missing at its sentinel values.

    Raises:
        TableError: Another value is not a number.
    """
    numbers, others = split_sentinels(values, sentinels, format)
    if others:
        allowed = f"numbers or the sentinel values {listing(sentinels)}" if sentinels else "numbers"
        raise TableError(
            f"Target {name!r} must hold {allowed}, got {others[0]!r}. Drop or convert such values, or declare them in "
            "`sentinels` before fitting."
        )
    return numbers
