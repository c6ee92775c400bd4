"""The states of a column as rules compare them: numbers, labels, missing and sentinel values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn, GeneratedColumn
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.schema.column import Column
from synthvae.schema.constraints.comparable import frame_of, label, numbers
from synthvae.schema.schema import Schema

Places = slice | States

ON_GRID = 1e-6  # of a step, by which doubles may miss a number of the grid


@dataclass(frozen=True)
class Grid:
    """The numbers that a column can have: multiples of a step from an offset on, or any numbers.

    Args:
        step: The step; None: any number is on the grid.
        offset: One of the numbers.

    Example:
        >>> import numpy as np
        >>> Grid(0.5).above(np.array([1.2, 1.5]), strict=False), Grid(0.5).above(np.array([1.5]), strict=True)
        (array([1.5, 1.5]), array([2.]))
    """

    step: float | None
    offset: float = 0.0

    def above(self, values: Floats, *, strict: bool) -> Floats:
        """Return the smallest numbers (...) that are at least `values` (...), or greater if `strict`."""
        return -Grid(self.step, -self.offset).below(-values, strict=strict)

    def below(self, values: Floats, *, strict: bool) -> Floats:
        """Return the largest numbers (...) that are at most `values` (...), or smaller if `strict`."""
        if self.step is None:
            return np.nextafter(values, -np.inf) if strict else values
        with np.errstate(invalid="ignore"):
            places = (values - self.offset) / self.step
            near = np.rint(places)
            exact = np.abs(places - near) <= ON_GRID
            found = np.where(exact, near - strict, np.floor(places))
        return np.where(np.isfinite(values), self._numbers(found), values)

    def nearest(self, values: Floats) -> Floats:
        """Return the nearest numbers (...) of the grid."""
        return values if self.step is None else self._numbers(np.rint((values - self.offset) / self.step))

    def _numbers(self, places: Floats) -> Floats:
        assert self.step is not None
        inverse = 1 / self.step
        if self.step < 1 and float(np.rint(inverse)) == inverse:  # tenths are exact as quotients only
            return self.offset + places / inverse
        return self.offset + places * self.step


@dataclass(frozen=True)
class View:
    """The states of a column as rules compare them.

    Numbers of timestamps are compared in microseconds, and drawn in the steps of their encoding:
    `compared = origin + scale * number`. States of distances have numbers that are added to those of another column.

    Args:
        column: The column.
        encoding: Its encoding.
        kind: Its Arrow type.
        grid: The numbers that it can have.
        origin: The compared number of 0.
        scale: The compared distance of 0 and 1.
    """

    __repr__ = brief

    column: Column
    encoding: StoredEncoding
    kind: pa.DataType
    grid: Grid
    origin: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, column: Column, encoding: StoredEncoding, kind: pa.DataType, grid: Grid | None = None) -> View:
        """Return the view of a column; its grid is that of its decimals unless another one is given."""
        steps = _steps(encoding)
        decimals = getattr(steps, "decimals", None)
        own = Grid(None if decimals is None else 10.0**-decimals) if grid is None else grid
        written = encoding.written if isinstance(encoding, RelativeEncoding) else encoding
        if not isinstance(written, TemporalEncoding):
            return cls(column, encoding, kind, own)
        first, last = _compared(column, written, kind)
        return cls(column, encoding, kind, own, first, (last - first) / max(_span(written), 1))

    @cached_property
    def steps(self) -> StoredEncoding:
        """The encoding of the numbers, of a timestamp's number of steps."""
        return _steps(self.encoding)

    @property
    def base(self) -> str | None:
        """The column from which numbers are distances; None: they are none."""
        return self.encoding.base if isinstance(self.encoding, RelativeEncoding) else None

    @cached_property
    def missing(self) -> int | None:
        """The state "missing"; None: no value may be missing."""
        return self.encoding.levels - 1 if getattr(self.steps, "missing", False) else None

    @cached_property
    def present(self) -> Mask:
        """Which states (states,) are values."""
        found = np.ones(self.encoding.levels, bool)
        if self.missing is not None:
            found[self.missing] = False
        return found

    @cached_property
    def links(self) -> dict[int, str]:
        """The states that repeat the number of another column."""
        steps = self.steps
        if not isinstance(steps, NumericEncoding):
            return {}
        first = len(steps.atoms) + steps.valued
        return {first + place: link.to for place, link in enumerate(steps.links)}

    @cached_property
    def marks(self) -> dict[int, object]:
        """The states that are sentinel values."""
        steps = self.steps
        if not isinstance(steps, (NumericEncoding, BinnedEncoding)):
            return {}
        values = self.column.sentinels if isinstance(self.encoding, TemporalEncoding) else steps.marks
        first = self.encoding.levels - (self.missing is not None) - len(steps.marks)
        return {first + place: value for place, value in enumerate(values)}

    @cached_property
    def ranges(self) -> tuple[Floats, Floats]:
        """The smallest and the largest number (states,) of each state, in its own unit; NaN: it has none."""
        low = np.full(self.encoding.levels, np.nan)
        high = low.copy()
        steps = self.steps
        if isinstance(steps, BinnedEncoding):
            low[: steps.bins], high[: steps.bins] = steps.spans
        elif isinstance(steps, NumericEncoding):
            count = len(steps.atoms)
            low[:count] = high[:count] = steps.atoms
            if steps.curve is not None:
                low[count], high[count] = steps.low, steps.high
        return low, high

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest compared number that the column can have; NaN: it has none."""
        if isinstance(self.encoding, RelativeEncoding):
            ends = np.array([self.encoding.low, self.encoding.high])
        else:
            low, high = self.ranges
            ends = np.array([np.fmin.reduce(low), np.fmax.reduce(high)])
        low, high = self.compared(ends).tolist()
        return low, high

    @cached_property
    def is_drawn(self) -> Mask:
        """Which states (states,) stand for several numbers, of which one is drawn or follows from another column."""
        if self.base is not None:
            return ~np.isnan(self.ranges[0])
        steps, found = self.steps, np.zeros(self.encoding.levels, bool)
        if isinstance(steps, BinnedEncoding):
            found[: steps.bins] = steps.spans[0] < steps.spans[1]
        elif isinstance(steps, NumericEncoding) and steps.curve is not None:
            found[len(steps.atoms)] = True
        return found

    @cached_property
    def places(self) -> tuple[Places, Places]:
        """The states that stand for one number, and those that stand for several; slices, if possible, for speed."""
        single = ~np.isnan(self.ranges[0]) & ~self.is_drawn
        return _places(single), _places(self.is_drawn)

    @cached_property
    def is_decoded_on_grid(self) -> bool:
        """Whether any number that is decoded is one that the column can have: none of a bin, nor a distance."""
        steps = self.steps
        if self.base is not None or not isinstance(steps, NumericEncoding):
            return False
        return self.grid == Grid(None if steps.decimals is None else 10.0**-steps.decimals)

    @cached_property
    def labels(self) -> npt.NDArray[np.object_]:
        """The text (states,) of each state as rules compare it; None: it is missing, or stands for several values."""
        found = np.full(self.encoding.levels, None, object)
        if isinstance(self.encoding, CategoricalEncoding):
            found[: len(self.encoding.values)] = [label(value) for value in self.encoding.values]
        elif isinstance(self.encoding, (NumericEncoding, BinnedEncoding)):
            single = np.flatnonzero(self.ranges[0] == self.ranges[1])
            found[single] = [label(number) for number in self.ranges[0][single]]
        for state, value in self.marks.items():
            found[state] = label(value)
        return found

    @property
    def is_generated(self) -> bool:
        """Whether values are generated anew, so that only their presence is modelled."""
        return isinstance(self.encoding, GeneratedColumn)

    def compared(self, own: Floats) -> Floats:
        """Return numbers (...) of the column as rules compare them."""
        return self.origin + self.scale * own

    def own(self, compared: Floats) -> Floats:
        """Return compared numbers (...) in the unit of the column."""
        return (compared - self.origin) / self.scale

    def scores(self, low: Floats, high: Floats) -> tuple[Floats, Floats] | None:
        """Return the continuous values of the numbers (...) from `low` to `high`, in the unit of the column."""
        steps = self.steps
        if not isinstance(steps, NumericEncoding) or steps.curve is None:
            return None
        first, last = steps.curve.limits(low.ravel(), high.ravel())
        return first.reshape(low.shape), last.reshape(high.shape)

    def numbers(
        self, states: States, values: Scores | None, before: dict[str, Floats], rng: np.random.Generator
    ) -> Floats:
        """Return the numbers (rows,) of states and continuous values, in the unit of the column."""
        steps = self.steps
        if isinstance(steps, NumericEncoding):
            column = CodedColumn(states, rng, values)
            linked = {name: np.full(len(states), np.nan) for name in self.links.values()} | before
            return steps.draw_numbers(column, linked)
        low, _ = self.ranges
        return low[states]

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column's values, in its unit; NaN: missing, a sentinel, or no number."""
        if isinstance(self.encoding, (NumericEncoding, TemporalEncoding, RelativeEncoding)):
            return self.encoding.numbers_of(values)
        return np.full(len(values), np.nan)


def labels_of(encoding: StoredEncoding) -> set[str] | None:
    """Return the texts of the values of a column as rules compare them; None: it has other values, too."""
    if isinstance(encoding, CategoricalEncoding):
        return {label(value) for value in encoding.values}
    if isinstance(encoding, NumericEncoding) and not encoding.valued:
        return {label(number) for number in (*encoding.atoms, *encoding.marks)}
    return None


def _places(chosen: Mask) -> Places:
    found = np.flatnonzero(chosen)
    if len(found) and found[-1] - found[0] == len(found) - 1:
        return slice(int(found[0]), int(found[-1]) + 1)
    return found


def _steps(encoding: StoredEncoding) -> StoredEncoding:
    return encoding.steps if isinstance(encoding, (TemporalEncoding, RelativeEncoding)) else encoding


def _span(encoding: TemporalEncoding) -> int:
    return (encoding.last - encoding.origin) // encoding.step


def _compared(column: Column, encoding: TemporalEncoding, kind: pa.DataType) -> tuple[float, float]:
    """The compared numbers of the first and the last timestamp of a column."""
    ends = np.array([0.0, float(_span(encoding))])
    coded = CodedColumn(np.zeros(2, np.int64), np.random.default_rng(0), numbers=ends)
    plain = encoding.model_copy(
        update={"steps": NumericEncoding(atoms=(0.0,), high=ends[1], decimals=0, missing=False)}
    )
    values = pa.table({column.name: plain.decode(coded, kind)})
    found = numbers(frame_of(values, Schema(columns=(column,)), [column.name])[column.name])
    return float(found[0]), float(found[1])
