"""The target as the condition y: its classes, or the quantile bins of a continuous target."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.errors import RequestError, TableError, listing
from synthvae.schema.column import NUMERIC, Column, Values
from synthvae.tables.arrow import are_classes, finite_numbers, split_sentinels

MAX_CLASSES = 1000
BINS = 20
ROWS_PER_BIN = 50


class TargetEncoding(BaseModel):
    """Which condition a row's target is.

    Args:
        name: The target column.
        classes: Its classes; None if it is continuous.
        categories: All categories of a categorical column, those among them that do not occur too, in their order.
        edges: The inner edges of the quantile bins of a continuous target.
        counts: Rows of each condition in training.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    classes: CategoricalEncoding | None = None
    categories: Values | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray, min_class_rows: int) -> Self:
        """Find the conditions of a target column; a class must have `min_class_rows` rows.

        Raises:
            TableError: No row has a label, a number is missing, a class has too few rows, or the kind is no target's.
        """
        missing, values = values.null_count, values.drop_null()
        if missing and not len(values):
            raise TableError(
                f"target {column.name!r}: some rows must have a label, however, none has: label some, or name no target"
            )
        if column.kind not in ("categorical", "boolean", *NUMERIC):
            raise TableError(
                f"target {column.name!r}: a target must be classes or numbers, however, it is {column.kind}"
            )
        few = column.kind == "integer" and are_classes(values)
        if few or column.kind not in NUMERIC:
            target = cls._learn_classes(column, values, min_class_rows)
        elif missing:
            raise TableError(
                f"target {column.name!r}: every row must have a label where it is a number, however, {missing} of "
                f"{missing + len(values)} rows have none: drop or fill them"
            )
        else:
            target = cls._learn_bins(column, values)
        labels = target.encode(values)
        return target.model_copy(update={"counts": tuple(np.bincount(labels, minlength=target.levels).tolist())})

    @classmethod
    def declare(cls, column: Column, categories: Values | None) -> Self:
        """The classes of a declared column, or the bins of a number; how many rows each has is not known."""
        if categories is not None:
            classes = CategoricalEncoding(values=categories, missing=False)
            return cls(name=column.name, classes=classes, counts=(1,) * len(categories))
        edges = BinnedEncoding.declare(column).edges[1:-1]
        return cls(name=column.name, edges=edges, counts=(1,) * (len(edges) + 1))

    @classmethod
    def _learn_classes(cls, column: Column, values: pa.ChunkedArray, min_class_rows: int) -> Self:
        if column.other_category is not None:
            raise TableError(
                f"target {column.name!r}: classes are those that occur, however, `other_category` is declared: drop it"
            )
        occurring = column.model_copy(update={"categories": None})
        classes = CategoricalEncoding.learn(occurring, values)
        counts = np.bincount(classes.encode(column.name, values), minlength=classes.levels)
        target = cls(name=column.name, classes=classes, categories=column.categories, counts=tuple(counts.tolist()))
        target.refuse_rare(min_class_rows)
        if classes.levels > MAX_CLASSES:
            raise TableError(
                f"target {column.name!r}: there may be at most {MAX_CLASSES} classes, however, there are "
                f"{classes.levels}: choose another target or none"
            )
        return target

    def refuse_rare(self, min_class_rows: int) -> None:
        """Refuse classes of fewer rows.

        Raises:
            TableError: There is one.
        """
        rare = [label for label, count in zip(self.labels, self.counts, strict=True) if count < min_class_rows]
        if rare:
            raise TableError(
                f"target {self.name!r}: each class must have at least {min_class_rows} rows, however, "
                f"{', '.join(map(repr, rare[:5]))} {'has' if len(rare) == 1 else 'have'} fewer: drop or merge"
            )

    @classmethod
    def _learn_bins(cls, column: Column, values: pa.ChunkedArray) -> Self:
        numbers, _ = split_sentinels(values, ())
        finite = finite_numbers(column.name, numbers)
        bins = int(np.clip(len(finite) // ROWS_PER_BIN, 1, BINS))
        inner = np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
        return cls(name=column.name, edges=tuple(np.unique(inner[inner > finite.min()]).tolist()))

    @property
    def levels(self) -> int:
        """The number of conditions."""
        return self.classes.levels if self.classes else len(self.edges) + 1

    @property
    def labels(self) -> list[Any]:
        """The class labels, or the number of each quantile bin."""
        return list(self.classes.values) if self.classes else list(range(self.levels))

    def encode(self, values: pa.ChunkedArray, *, partial: bool = False) -> npt.NDArray[np.int64]:
        """Return the condition (rows,) of each row; -1 where there is no label, if that may be (`partial`).

        Raises:
            TableError: A label is missing, or its class is unknown.
        """
        if values.null_count and not (partial and self.classes):
            raise TableError(
                f"target {self.name!r}: every row must have a label, however, {values.null_count} have none"
            )
        if self.classes:
            return self.classes.encode(self.name, values)
        numbers, _ = split_sentinels(values, ())
        return np.asarray(np.searchsorted(np.array(self.edges), numbers.to_numpy(), side="right"))

    def decode(self, labels: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        """Return the classes of conditions (rows,) as an Arrow array of type `kind`."""
        assert self.classes is not None
        if self.categories is None:
            return self.classes.decode(labels, kind)
        everything = CategoricalEncoding(values=self.categories, missing=False)
        positions = np.array([self.categories.index(value) for value in self.classes.values], np.int64)
        return everything.decode(positions[labels], kind)

    def index(self, label: Any) -> int:
        """The condition that `label` (or its text, as a shell gives it) names.

        Raises:
            RequestError: There is no such class.
        """
        if self.classes is None:
            raise RequestError(
                f"rows per class can be asked for when the target is classes, however, {self.name!r} is continuous: "
                "ask for a total"
            )
        plain = label.item() if hasattr(label, "item") else label
        labels = self.labels
        if plain in labels:
            return labels.index(plain)
        texts = [str(known) for known in labels]
        if str(plain) in texts:
            return texts.index(str(plain))
        raise RequestError(f"a class asked for must be known, however, {plain!r} is not among {listing(labels)}")
