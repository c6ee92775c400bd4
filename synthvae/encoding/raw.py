"""Numbers as they are, or standardised: pixels, whose likelihood is Bernoulli or normal.

Such columns have one state, no atoms, missing values or sentinel values: each row has one number, which is the
continuous value of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.protocol import Affine, CodedColumn
from synthvae.encoding.sentinels import Style, style_of, to_arrow
from synthvae.errors import TableError, brief
from synthvae.schema.column import Column
from synthvae.schema.domain import decimals_of
from synthvae.tables.arrow import count_decimals, finite_numbers, split_sentinels

PixelLikelihood = Literal["bernoulli", "gaussian"]


class Pixels(NamedTuple):
    """The declaration that all columns of a table are pixels.

    Args:
        likelihood: The likelihood of each pixel.
        image: Whether they are the pixels of one image, with a common grey scale.

    Example:
        >>> Pixels("gaussian", image=True).image
        True
    """

    likelihood: PixelLikelihood
    image: bool = False


class PlainEncoding(BaseModel):
    """One state; its continuous value is `(number - middle) / scale`.

    Args:
        likelihood: "bernoulli": numbers in [0, 1], not transformed; "gaussian": standardised numbers.
        middle: The number whose value is 0.
        scale: The difference of numbers whose values differ by 1.
        low: The smallest number observed; decoded numbers are clipped to it.
        high: The largest number observed; decoded numbers are clipped to it.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        tossed: Whether pixels are black or white; then the value is the probability of 1, and `decode` draws 0 or 1.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief
    levels: ClassVar[int] = 1
    singles: ClassVar[int] = 0
    valued: ClassVar[bool] = True
    linkable: ClassVar[None] = None

    kind: Literal["plain"] = "plain"
    likelihood: PixelLikelihood
    middle: float = 0.0
    scale: float = 1.0
    low: float
    high: float
    decimals: int | None
    style: Style = "repr"
    tossed: bool = False

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray, likelihood: PixelLikelihood) -> Self:
        """Find range, decimals and, for a normal likelihood, mean and standard deviation of a column.

        Raises:
            TableError: A value is missing, is not a number or, for a Bernoulli likelihood, is not in [0, 1].
        """
        numbers = _numbers(column.name, values, likelihood)
        decimals = decimals_of(column)
        if decimals is None:
            decimals = count_decimals(numbers, single=pa.types.is_float32(values.type))
        learned = cls(
            likelihood=likelihood,
            low=float(numbers.min()),
            high=float(numbers.max()),
            decimals=decimals,
            style=style_of(values, ()),
        )
        return learned if likelihood == "bernoulli" else learned.standardised(float(numbers.mean()), _spread(numbers))

    def standardised(self, middle: float, scale: float) -> Self:
        """Return the same encoding with this mean and standard deviation; a deviation of 0 is replaced by 1."""
        return self.model_copy(update={"middle": middle, "scale": scale or 1.0})

    @property
    def affine(self) -> Affine:
        """The map from values to numbers."""
        return Affine(self.middle, self.scale)

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,), which are all 0.

        Raises:
            TableError: A value is missing, is not a number or, for a Bernoulli likelihood, is not in [0, 1].
        """
        return np.zeros(len(_numbers(name, values, self.likelihood)), np.int64)

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return False (rows,): any number has a value."""
        del name
        return np.zeros(len(values), bool)

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return `(number - middle) / scale` (rows,); nothing is drawn."""
        del states, rng
        return ((_as_doubles(values) - self.middle) / self.scale).astype(np.float32)

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the numbers of values as an Arrow array of type `kind`."""
        assert column.scores is not None
        numbers = self.affine.numbers(column.scores)
        if self.tossed:
            numbers = (column.rng.random(len(numbers)) < numbers).astype(np.float64)
        elif self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        inside = np.clip(numbers, self.low, self.high) + 0.0  # adding 0 makes -0.0 positive
        return to_arrow(inside, np.zeros(len(inside), np.int64), kind, first=1, sentinels=(), style=self.style)


def learn_plain(columns: Mapping[str, tuple[Column, pa.ChunkedArray]], pixels: Pixels) -> dict[str, PlainEncoding]:
    """Find the encodings of pixels; those of an image have a common grey scale, so that neighbours are comparable.

    Raises:
        TableError: A value is missing, is not a number or, for a Bernoulli likelihood, is not in [0, 1].
    """
    learned = {name: PlainEncoding.learn(*column, pixels.likelihood) for name, column in columns.items()}
    if pixels.likelihood == "bernoulli":
        binary = all(_is_binary(_as_doubles(values)) for _, values in columns.values())
        return {name: encoding.model_copy(update={"tossed": binary}) for name, encoding in learned.items()}
    if not pixels.image:
        return learned
    middle = float(np.mean([encoding.middle for encoding in learned.values()]))
    squares = [np.square(_as_doubles(values) - middle).mean() for _, values in columns.values()]
    return {name: e.standardised(middle, float(np.sqrt(np.mean(squares)))) for name, e in learned.items()}


def _spread(numbers: Floats) -> float:
    """The standard deviation; 0 for a constant, whose computed mean may differ from it in the last digit."""
    return 0.0 if numbers.min() == numbers.max() else float(numbers.std())


def _is_binary(numbers: Floats) -> bool:
    return bool(np.isin(numbers, (0.0, 1.0)).all())


def _as_doubles(values: pa.ChunkedArray) -> Floats:
    """The numbers (rows,) of a column of numbers or booleans."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return np.asarray(split_sentinels(values, ())[0].to_numpy(), np.float64)


def _numbers(name: str, values: pa.ChunkedArray, likelihood: PixelLikelihood) -> Floats:
    """The numbers (rows,) of a column, validated."""
    rule = f"Column {name!r}: with likelihood={likelihood!r} every value must be a number"
    kind = values.type
    others = [] if pa.types.is_boolean(kind) else split_sentinels(values, ())[1]
    if others or pa.types.is_temporal(kind):
        found = repr(others[0]) if others else str(kind)
        raise TableError(f"{rule}, got {found}. Drop the column, or choose likelihood='auto'.")
    numbers = _as_doubles(values)
    missing = int(np.isnan(numbers).sum())
    if missing:
        raise TableError(f"{rule}, got {missing} missing values (NaN). Fill them, or choose likelihood='auto'.")
    finite_numbers(name, pa.chunked_array([numbers]))
    outside = numbers[(numbers < 0) | (numbers > 1)]
    if likelihood == "bernoulli" and len(outside):
        raise TableError(
            f"Column {name!r}: with likelihood='bernoulli' every value must lie in [0, 1], got {outside[0]:g}. "
            "Divide by the largest value, or choose likelihood='gaussian'."
        )
    return numbers
