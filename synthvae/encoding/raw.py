"""Numbers as they are, or standardised: pixels, whose likelihood is a Bernoulli's or a normal's.

There are no states, atoms, gaps or marks: every row has one number, the value that the model sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.marks import Floats, Style, style_of, written
from synthvae.errors import TableError
from synthvae.schema.column import Column
from synthvae.schema.domain import decimals_of
from synthvae.tables.arrow import count_decimals, finite_numbers, split_sentinels

PixelLikelihood = Literal["bernoulli", "gaussian"]


class Pixels(NamedTuple):
    """That all columns are pixels.

    Args:
        likelihood: Of each.
        image: Whether they make an image, with one grey scale.
    """

    likelihood: PixelLikelihood
    image: bool = False


class PlainEncoding(BaseModel):
    """One state; the value behind it is (number - middle) / scale.

    Args:
        likelihood: "bernoulli": numbers lie in [0, 1], as they are; "gaussian": they are standardised.
        middle: What is subtracted from a number.
        scale: What it is divided by.
        low: Smallest number seen; none smaller is decoded.
        high: Largest number seen; none larger is decoded.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        tossed: Whether pixels are black or white: the value is the chance of 1 then, and a coin is tossed.
    """

    model_config = ConfigDict(frozen=True)

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
        """Find range, decimals and, for a normal, mean and standard deviation of a column.

        Raises:
            TableError: A value is missing or no number, or not in [0, 1] for a Bernoulli.
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
        """The same column, measured from `middle` in units of `scale`; a constant has none, and keeps its own."""
        return self.model_copy(update={"middle": middle, "scale": scale or 1.0})

    @property
    def levels(self) -> int:
        """One state: there is always a number."""
        return 1

    @property
    def singles(self) -> int:
        """No state is numbered apart."""
        return 0

    @property
    def valued(self) -> bool:
        """There is a value."""
        return True

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,), which are all 0.

        Raises:
            TableError: A value is missing or no number, or not in [0, 1] for a Bernoulli.
        """
        return np.zeros(len(_numbers(name, values, self.likelihood)), np.int64)

    def scores(
        self, values: pa.ChunkedArray, states: npt.NDArray[np.int64], rng: np.random.Generator | None
    ) -> npt.NDArray[np.float32]:
        """Return (number - middle) / scale (rows,); nothing is drawn."""
        del states, rng
        return ((_as_doubles(values) - self.middle) / self.scale).astype(np.float32)

    def numbers(self, scores: npt.NDArray[np.floating]) -> Floats:
        """Return the numbers (rows,) of values, neither rounded nor cut off."""
        return np.asarray(self.middle + self.scale * scores.astype(np.float64))

    def decode(self, scores: npt.NDArray[np.floating], kind: pa.DataType, rng: np.random.Generator) -> pa.Array:
        """Return the numbers of values as an Arrow array of type `kind`."""
        numbers = self.numbers(scores)
        if self.tossed:
            numbers = (rng.random(len(numbers)) < numbers).astype(np.float64)
        elif self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        inside = np.clip(numbers, self.low, self.high) + 0.0  # no minus zero
        return written(inside, np.zeros(len(inside), np.int64), kind, first=1, marks=(), style=self.style)


def learn_plain(columns: Mapping[str, tuple[Column, pa.ChunkedArray]], pixels: Pixels) -> dict[str, PlainEncoding]:
    """Find the encodings of columns; those of an image have one grey scale, so that neighbours stay comparable.

    Raises:
        TableError: A value is missing or no number, or not in [0, 1] for a Bernoulli.
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
    """The standard deviation; 0 of a constant, whose mean may differ from it in the last digit."""
    return 0.0 if numbers.min() == numbers.max() else float(numbers.std())


def _is_binary(numbers: Floats) -> bool:
    return bool(np.isin(numbers, (0.0, 1.0)).all())


def _as_doubles(values: pa.ChunkedArray) -> Floats:
    """The numbers (rows,) of a column that holds nothing else."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return np.asarray(split_sentinels(values, ())[0].to_numpy(), np.float64)


def _numbers(name: str, values: pa.ChunkedArray, likelihood: PixelLikelihood) -> Floats:
    """The numbers (rows,) of a column, checked."""
    rule = f"column {name!r}: with likelihood={likelihood!r} every value must be a number"
    kind = values.type
    others = [] if pa.types.is_boolean(kind) else split_sentinels(values, ())[1]
    if others or pa.types.is_temporal(kind):
        fact = repr(others[0]) if others else str(kind)
        raise TableError(f"{rule}, however, there is {fact}: drop the column, or choose likelihood='auto'")
    numbers = _as_doubles(values)
    missing = int(np.isnan(numbers).sum())
    if missing:
        raise TableError(f"{rule}, however, {missing} are missing (NaN): fill them, or choose likelihood='auto'")
    finite_numbers(name, pa.chunked_array([numbers]))
    outside = numbers[(numbers < 0) | (numbers > 1)]
    if likelihood == "bernoulli" and len(outside):
        raise TableError(
            f"column {name!r}: with likelihood='bernoulli' every value must lie in [0, 1], however, there is "
            f"{outside[0]:g}: divide by the largest, or choose likelihood='gaussian'"
        )
    return numbers
