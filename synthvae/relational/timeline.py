"""The order column of a child table: a time or a position, drawn as a difference from an ancestor or the row before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from synthvae.codes import Codes
from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.layout import Layout
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import TableError, brief, listing
from synthvae.relational.limits import range_of, refuse_outside
from synthvae.relational.sequences import Family
from synthvae.schema.column import Column

NEARER = 0.75  # an ancestor's column is an anchor if differences from it have less than this share of its spread
FEW = 0.01  # share of the rows that protection may cut off before limits are widened
KNOWN = 0.3  # and if at least this share of the rows has it
ABSOLUTE, RELATIVE, STEP = range(3)  # the ways to draw a value

Timed = Annotated[NumericEncoding | TemporalEncoding, Field(discriminator="kind")]
Ends = Callable[[Floats], Floats]


class Anchor(BaseModel):
    """A column of an ancestor from which differences are modelled.

    Args:
        ancestor: The number of the ancestor: 0 is the parent.
        column: Its name.
        encoding: Its encoding.
        difference: The encoding of the differences.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    ancestor: int
    column: str
    encoding: Timed
    difference: NumericEncoding


class Timeline(BaseModel):
    """The encoding of an order column.

    The first row of a parent has a difference from the first anchor, or the value itself where that is missing or
    there is none; each later row has the difference from the row before, which is at least 0.

    Args:
        name: The order column.
        encoding: Its encoding.
        anchors: Columns of ancestors, the one with the smallest spread of differences first.
        ways: The encodings of the values, the differences from the first anchor, and those from the row before.
        limits: The smallest and the largest number.
        relative: Whether the first row of a parent is drawn as a difference from the first anchor.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    name: str
    encoding: Timed
    anchors: tuple[Anchor, ...]
    ways: tuple[NumericEncoding, NumericEncoding, NumericEncoding]
    limits: tuple[float, float]
    relative: bool

    @classmethod
    def learn(  # noqa: PLR0917 (the inputs of a fit)
        cls,
        name: str,
        own: object,
        table: pa.Table,
        family: Family,
        ancestors: Sequence[tuple[pa.Table, Mapping[str, object]]],
        lines: Sequence[npt.NDArray[np.int64]],
        ends: Ends,
    ) -> Self:
        """Find the anchors and the distributions of a column.

        Args:
            name: The order column.
            own: Its encoding, which ends where it is protected.
            table: The child rows, sorted by parent and order, as they are.
            family: To which parents the rows belong.
            ancestors: The rows of each ancestor table, and the encodings of its columns.
            lines: The place of each child row's ancestor in each.
            ends: Limits numbers (rows,) to those that enough subjects have at or beyond.

        Raises:
            TableError: The column has neither numbers nor dates.
        """
        own = timed(name, own)
        numbers = own.numbers_of(table.column(name))
        first = family.places[:, 0] == 0
        found = []
        for place, ((rows, columns), line) in enumerate(zip(ancestors, lines, strict=True)):
            for other, theirs in columns.items():
                if comparable(own, theirs, table.schema.field(name).type, rows.schema.field(other).type):
                    assert isinstance(theirs, (NumericEncoding, TemporalEncoding))
                    base = in_units(own, theirs, rows.column(other))[line]
                    spread = relative_spread(numbers, base)
                    if spread is not None and (spread < NEARER or is_bound(numbers, base)):
                        difference = _encoding_of(ends(numbers - base), own)
                        anchor = Anchor(ancestor=place, column=other, encoding=theirs, difference=difference)
                        found.append((spread, anchor, base))
        found.sort(key=lambda one: one[0])
        near = bool(found) and found[0][0] < NEARER
        base = found[0][2] if near else np.full(len(numbers), np.nan)
        steps = np.diff(numbers, prepend=np.nan)
        known = ~np.isnan(base)
        absolute = numbers if (first & ~known).sum() < 2 else np.where(known, np.nan, numbers)
        parts = ((absolute, first), (numbers - base, first & known), (steps, ~first))
        absolute_way, relative, step = (_encoding_of(ends(np.where(h, v, np.nan))[h], own) for v, h in parts)
        ways = (absolute_way, relative, step)
        anchors = tuple(one[1] for one in found)
        return cls(name=name, encoding=own, anchors=anchors, ways=ways, limits=_limits(numbers, own), relative=near)

    @property
    def numeric(self) -> NumericEncoding:
        """The encoding of the column's numbers: for dates, numbers of steps from the first one."""
        numeric = self.encoding.steps if isinstance(self.encoding, TemporalEncoding) else self.encoding
        assert isinstance(numeric, NumericEncoding)
        return numeric

    @cached_property
    def wide(self) -> Timed:
        """The encoding of the column with the ends of `limits`."""
        if isinstance(self.encoding, TemporalEncoding):
            return widened(self.encoding, *self.limits, np.empty(0))[0]
        return self.encoding

    @cached_property
    def clock(self) -> Layout:
        """The layout of the column itself and its differences from all anchors, on which other columns depend."""
        return layout_of({"": self.numeric, **{str(i): one.difference for i, one in enumerate(self.anchors)}})

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The layout of each way to draw a value."""
        return tuple(layout_of({"": way}) for way in self.ways)

    def bases(self, ancestors: Sequence[pa.Table], lines: Sequence[npt.NDArray[np.int64]], rows: int) -> list[Floats]:
        """Return the numbers (rows,) of each anchor, in units of the column; without an anchor, one of NaN."""
        found = [
            in_units(self.encoding, one.encoding, ancestors[one.ancestor].column(one.column))[lines[one.ancestor]]
            for one in self.anchors
        ]
        return found or [np.full(rows, np.nan)]

    def clock_codes(self, numbers: Floats, bases: Sequence[Floats], rng: np.random.Generator | None) -> Codes:
        """Return the codes of numbers (rows,) of the column and of their differences from the anchors."""
        others = [(one.difference, numbers - base) for one, base in zip(self.anchors, bases, strict=False)]
        return encoded(self.clock, [(self.numeric, numbers), *others], rng)

    def timing_codes(
        self, numbers: Floats, base: Floats, family: Family, rng: np.random.Generator | None
    ) -> tuple[Codes, ...]:
        """Return the codes of the numbers (rows,) of sorted rows in each way; unknown in the ways not taken."""
        way = self.way(base, family.places[:, 0] == 0)
        drawn = (numbers, numbers - base, np.diff(numbers, prepend=np.nan))
        found = []
        for place, (encoding, layout, values) in enumerate(zip(self.ways, self.layouts, drawn, strict=True)):
            codes = encoded(layout, [(encoding, values)], rng)
            codes.digits[way != place] = -1
            codes.values[way != place] = np.nan
            found.append(codes)
        return tuple(found)

    def way(self, base: Floats, first: Mask) -> npt.NDArray[np.int64]:
        """Return how each value (rows,) is drawn, given that of its first anchor and which rows are first ones."""
        return np.where(~first, STEP, np.where(np.isnan(base) | (not self.relative), ABSOLUTE, RELATIVE))

    def drawn(self, way: int, codes: Codes, start: Floats, rng: np.random.Generator) -> Floats:
        """Return the numbers (rows,) of codes drawn in one way, from the numbers (rows,) that they differ from.

        They are within `limits`, but for those that go on from a given number beyond the ones of the training rows.
        """
        encoding, layout = self.ways[way], self.layouts[way]
        scores = codes.values[:, 0] if encoding.valued else None
        numbers = encoding.draw_numbers(CodedColumn(layout.join(codes.digits)[0], rng, scores), {})
        if way == STEP:
            numbers = np.maximum(numbers, 0.0)
        whole = numbers if way == ABSOLUTE else start + numbers
        within = np.clip(whole, *self.limits)
        if way == ABSOLUTE:
            return np.asarray(within)
        low, high = self.limits if way == STEP else self._ends_of_base
        return np.where((start < low) | (start > high), whole, within)

    @cached_property
    def _ends_of_base(self) -> tuple[float, float]:
        """The smallest and the largest number of the first anchor, in units of the column."""
        anchor, own = self.anchors[0].encoding, self.encoding
        if isinstance(anchor, TemporalEncoding):
            assert isinstance(own, TemporalEncoding), "dates differ from dates, and numbers from numbers"
            return (anchor.origin - own.origin) / own.step, (anchor.last - own.origin) / own.step
        return float(anchor.low), float(anchor.high)

    def decode(self, numbers: Floats, kind: pa.DataType, rng: np.random.Generator) -> pa.Array:
        """Return the values that numbers (rows,) stand for; those of NaN are missing.

        Raises:
            TableError: A number that goes on from a given one is not one of the type.
        """
        missing = np.isnan(numbers)
        low, high = range_of(kind, self.encoding if isinstance(self.encoding, TemporalEncoding) else None)
        goes_on = (numbers < self.limits[0]) | (numbers > self.limits[1])
        refuse_outside(self.name, kind, goes_on & ((numbers <= low - 1) | (numbers >= high + 1)))
        states = np.where(missing, self.encoding.levels - 1, 0)
        own = self.encoding
        if isinstance(own, TemporalEncoding):
            own, numbers = covering(own, *self.limits, numbers)
        values = own.decode(CodedColumn(states, rng, numbers=numbers), kind)
        return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)


def timed(name: str, own: object) -> NumericEncoding | TemporalEncoding:
    """Return the encoding of an order column if it is one of numbers or dates.

    Raises:
        TableError: It is not, or values are neither.
    """
    if not isinstance(own, (NumericEncoding, TemporalEncoding)):
        kind = getattr(own, "kind", "other")
        way = "Sort the table by it instead" if kind == "id" else "Name another column in `order`"
        raise TableError(f"The order column {name!r} must have numbers or dates, got a column of kind {kind}. {way}.")
    if sentinels := own.column.sentinels if isinstance(own, TemporalEncoding) else own.marks:
        raise TableError(
            f"The order column {name!r} must have no values that are neither numbers nor dates, got "
            f"{listing(sentinels)}. Make them missing, or name another column in `order`."
        )
    return own


def layout_of(encodings: Mapping[str, NumericEncoding]) -> Layout:
    """Return the layout of numbers."""
    return Layout.from_levels(
        {name: encoding.levels for name, encoding in encodings.items()},
        {name: encoding.singles for name, encoding in encodings.items()},
        {name for name, encoding in encodings.items() if encoding.valued},
    )


def encoded(
    layout: Layout, columns: Sequence[tuple[NumericEncoding, Floats]], rng: np.random.Generator | None
) -> Codes:
    """Return the codes of columns of numbers (rows,), NaN where missing."""
    rows = len(columns[0][1])
    arrays = [pa.chunked_array([pa.array(numbers, mask=np.isnan(numbers))]) for _, numbers in columns]
    states = [encoding.encode("", values) for (encoding, _), values in zip(columns, arrays, strict=True)]
    scores = [
        encoding.scores(values, own, rng)
        for (encoding, _), values, own in zip(columns, arrays, states, strict=True)
        if encoding.valued
    ]
    values = np.stack(scores, 1) if scores else np.empty((rows, 0), np.float32)
    return Codes(layout.split(states).reshape(rows, layout.width), values, np.zeros(rows, np.int64))


def comparable(own: Timed, other: object, kind: pa.DataType, theirs: pa.DataType) -> bool:
    """Whether differences of two columns have a meaning: both are numbers, or dates of one type."""
    if isinstance(own, TemporalEncoding):
        return isinstance(other, TemporalEncoding) and (other.column.kind, theirs) == (own.column.kind, kind)
    return isinstance(other, NumericEncoding)


def in_units(own: Timed, other: Timed, values: pa.ChunkedArray) -> Floats:
    """Return the numbers (rows,) of another column in units of the own one."""
    numbers = other.numbers_of(values)
    if isinstance(own, TemporalEncoding) and isinstance(other, TemporalEncoding):
        numbers = (other.origin - own.origin + numbers * other.step) / own.step
    return np.asarray(numbers, np.float64)


def _limits(numbers: Floats, own: Timed) -> tuple[float, float]:
    """The limits of a column: its protected ends, or twice as far apart where these cut off many rows."""
    numeric = own.steps if isinstance(own, TemporalEncoding) else own
    assert isinstance(numeric, NumericEncoding)
    low, high = numeric.low, numeric.high
    known = numbers[~np.isnan(numbers)]
    cut = len(known) and ((known < low) | (known > high)).mean() > FEW
    return (low - (high - low) / 2, high + (high - low) / 2) if cut else (low, high)


def widened(encoding: TemporalEncoding, low: float, high: float, numbers: Floats) -> tuple[TemporalEncoding, Floats]:
    """Return an encoding of dates with other ends, in its numbers of steps, and numbers (rows,) in its steps."""
    before = int(np.ceil(max(-low, 0.0)))
    last = encoding.origin + int(np.floor(high)) * encoding.step
    origin = encoding.origin - before * encoding.step
    return encoding.model_copy(update={"origin": origin, "last": max(last, encoding.last)}), numbers + before


def covering(encoding: TemporalEncoding, low: float, high: float, numbers: Floats) -> tuple[TemporalEncoding, Floats]:
    """Return what `widened` does, with ends that are wide enough for all numbers (rows,), such as given ones."""
    known = numbers[~np.isnan(numbers)]
    if len(known):
        low, high = min(low, float(known.min())), max(high, float(known.max()))
    return widened(encoding, low, high, numbers)


def is_bound(numbers: Floats, base: Floats) -> bool:
    """Whether nearly no number (rows,) is above a base, or below it, though the ranges of both overlap."""
    known = ~np.isnan(numbers - base)
    mine, theirs = numbers[known], base[known]
    if known.mean() < KNOWN or theirs.min() == theirs.max():
        return False
    below = (mine <= theirs).mean() >= 1 - FEW and theirs.min() < mine.max()
    return bool(below or ((mine >= theirs).mean() >= 1 - FEW and mine.min() < theirs.max()))


def relative_spread(numbers: Floats, base: Floats) -> float | None:
    """Return the spread of differences relative to that of the numbers, plus the share of rows without one.

    None if there are too few.
    """
    known = ~np.isnan(numbers - base)
    if known.sum() < max(KNOWN * len(numbers), 2) or (spread := _spread(numbers[known])) == 0:
        return None
    return _spread((numbers - base)[known]) / spread + 1 - float(known.mean())


def _spread(numbers: Floats) -> float:
    """The distance of the first and the ninth decile, in which a few outliers do not matter."""
    return float(np.subtract(*np.quantile(numbers, (0.9, 0.1))))


def _encoding_of(numbers: Floats, own: Timed) -> NumericEncoding:
    """The encoding of differences, or of some of the values, of a column."""
    whole = isinstance(own, TemporalEncoding) or own.decimals == 0
    decimals = None if isinstance(own, TemporalEncoding) else own.decimals
    if whole:
        numbers = np.round(numbers)
        column = Column(name="difference", kind="integer")
    else:
        numbers = np.round(numbers, decimals) if decimals is not None else numbers
        column = Column(name="difference", kind="continuous", decimals=decimals)
    return NumericEncoding.learn(column, pa.chunked_array([pa.array(numbers, mask=np.isnan(numbers))]))
