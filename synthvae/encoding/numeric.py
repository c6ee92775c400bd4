"""Numbers to states and back.

A state is a *cell*: an atom (one value, kept exactly) or a bin between two quantiles, inverted through the quantiles
inside it. A number that takes few values has atoms only. Others have atoms where values pile up, and between them
either bins or one state, "has a value", that a continuous score refines: the number's quantile, as a normal deviate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict

from synthvae.columns import is_text, split_marks, to_double
from synthvae.encoding.curve import QuantileCurve, quantiles, spread
from synthvae.encoding.links import Link
from synthvae.errors import TableError
from synthvae.inference import count_decimals, finite_numbers
from synthvae.schema import Column, Value, Values
from synthvae.writing import find_style, is_number, write

FEW_ATOMS = 24  # a number with so few values is coded exactly
MAX_ATOMS = 1000  # so is one with so few, if each has rows enough to be learned alone:
ROWS_PER_ATOM = 300  # on average; with fewer, neighbours say more
ROWS_PER_ROUGH_ATOM = 50  # as a row sees it, where neighbours say little
ROUGH = 0.5  # they do where counts differ so much from those around, in shares of the rows
PILE = 4  # a value so many times as frequent as its neighbours is an atom
LARGE_PILE = 0.05  # so is one with this share of the rows
PILE_ROWS = 10  # but not one with fewer rows
NEIGHBOURS = 5  # on either side
MAX_BINS = 100
ROWS_PER_BIN = 30  # fewer make the bins, and what is learned of them, noise
MAX_BINNED_ATOMS = 100  # a number with so few values has no bins
ATOM_SHARE = 0.005  # a value this frequent is an atom among bins; it may be one among continuous scores
KNOTS = 9  # quantiles that describe the inside of a bin
TAIL_KNOTS = 33  # the same in the outermost bins, where the spread is

Floats = npt.NDArray[np.float64]
Table = Annotated[tuple[tuple[float, ...], ...], BeforeValidator(lambda rows: tuple(tuple(row) for row in rows))]


class NumericEncoding(BaseModel):
    """States: the cells by value, "has a score" if there is a curve, the links, the marks, "missing".

    Args:
        cells: For each cell its knots, from smallest to largest; an atom has one.
        curve: The distribution of the numbers that have a score; None if none has.
        links: Columns modelled before, whose number this one often repeats.
        low: Smallest number seen; none smaller is decoded.
        high: Largest number seen; none larger is decoded.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        marks: The values that are no numbers.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["numeric"] = "numeric"
    cells: Table
    curve: QuantileCurve | None = None
    links: tuple[Link, ...] = ()
    low: float = 0.0
    high: float = 0.0
    decimals: int | None
    style: str = "repr"
    marks: Values = ()
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray, *, binned: bool = False) -> Self:
        """Find the cells of a column; its many values are `binned`, or have scores."""
        numbers, _ = split_marks(values, column.marks)
        finite = finite_numbers(column.name, numbers)
        decimals = 0 if column.kind == "integer" else column.decimals
        if column.kind == "continuous" and decimals is None:
            decimals = count_decimals(finite, single=pa.types.is_float32(values.type))
        marked = _marked(values, column.marks)
        cells, curve = (find_cells(finite, decimals), None) if binned else find_piles(finite, decimals)
        return cls(
            cells=cells,
            curve=curve,
            low=float(finite.min()) if len(finite) else 0.0,
            high=float(finite.max()) if len(finite) else 0.0,
            decimals=decimals,
            style=_style(values, column.marks),
            marks=tuple(mark for mark in column.marks if mark in marked),
            missing=len(finite) + sum(marked.values()) < len(values),
        )

    @property
    def singles(self) -> int:
        """How many states, the last ones, are not numbered by value."""
        return self.valued + len(self.links) + len(self.marks) + self.missing

    @property
    def valued(self) -> bool:
        """Whether numbers have scores."""
        return self.curve is not None

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.cells) + self.singles, 1)

    @property
    def _numbers(self) -> int:
        """How many states, the first ones, are numbers."""
        return len(self.cells) + self.valued + len(self.links)

    @cached_property
    def _knots(self) -> Floats:
        """Knots (cells, TAIL_KNOTS), an atom repeated, so that one formula inverts them all."""
        table = np.empty((len(self.cells), TAIL_KNOTS))
        for row, cell in zip(table, self.cells, strict=True):
            row[:] = _resample(np.array(cell), TAIL_KNOTS)
        return table

    @cached_property
    def _atoms(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        states = np.array([i for i, cell in enumerate(self.cells) if len(cell) == 1], np.int64)
        return np.array([self.cells[i][0] for i in states]), states

    @cached_property
    def _bins(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        states = np.array([i for i, cell in enumerate(self.cells) if len(cell) > 1], np.int64)
        return np.array([self.cells[i][-1] for i in states]), states

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,); a number between or beyond the cells takes the nearest; -1 if never seen missing.

        Raises:
            TableError: A value is neither a finite number nor a mark.
        """
        numbers, others = split_marks(values, self.marks)
        if others:
            raise TableError(f"column {name!r}: values must be numbers or {list(self.marks)}, however, {others[0]!r}")
        array = numbers.to_numpy().astype(np.float64)
        finite_numbers(name, numbers)
        present = ~np.isnan(array)
        states = np.full(len(array), self.levels - 1 if self.missing or not self._numbers else -1, np.int64)
        if self._numbers:
            states[present] = self._encode_finite(array[present])
        for offset, mark in enumerate(self.marks):
            states[_is_mark(values, mark)] = self._numbers + offset
        return states

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column; NaN where a value is missing or a mark."""
        return np.asarray(split_marks(values, self.marks)[0].to_numpy().astype(np.float64))

    def linked(self, states: npt.NDArray[np.int64], numbers: Floats, others: Mapping[str, Floats]) -> None:
        """Set the states of rows whose number repeats that of a linked column, in place."""
        unlinked = self._numbers - len(self.links)
        for i, link in enumerate(self.links):
            equal = (numbers == others[link.to]) & (states < unlinked)
            if not link.firm:
                equal &= self.is_free(states)
            states[equal] = unlinked + i

    def is_free(self, states: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which states are no atoms; where there are atoms only, those of numbers."""
        return states == len(self.cells) if self.valued else states < len(self.cells)

    @property
    def links_well(self) -> bool:
        """Whether it takes so many values that a repetition says something."""
        return self.valued or len(self.cells) > FEW_ATOMS

    def scores(
        self, values: pa.ChunkedArray, states: npt.NDArray[np.int64], rng: np.random.Generator | None
    ) -> npt.NDArray[np.float32]:
        """Return the normal scores (rows,) of numbers in the state "has a score"; NaN elsewhere.

        Args:
            values: The column.
            states: Its states.
            rng: Draws a score from the interval that rounds to a number; None takes its middle.
        """
        scores = np.full(len(states), np.nan, np.float32)
        if self.curve is not None:
            here = states == len(self.cells)
            scores[here] = self.curve.scores(self.numbers_of(values)[here], rng)
        return scores

    def _encode_finite(self, numbers: Floats) -> npt.NDArray[np.int64]:
        atoms, atom_states = self._atoms
        if self.curve is not None:
            return _exactly(atoms, numbers, otherwise=len(self.cells))
        tops, bin_states = self._bins
        nearest = np.searchsorted(_midpoints(atoms), numbers) if len(atoms) else np.zeros(len(numbers), int)
        if not len(tops):
            exactly = _exactly(atoms, numbers, otherwise=-1)
            return np.where(exactly >= 0, exactly, atom_states[nearest])
        states = bin_states[np.minimum(np.searchsorted(tops, numbers), len(tops) - 1)]
        if len(atoms):
            exact = atoms[nearest] == numbers
            states[exact] = atom_states[nearest[exact]]
        return states

    def decode(
        self,
        states: npt.NDArray[np.int64],
        kind: pa.DataType,
        rng: np.random.Generator,
        scores: npt.NDArray[np.float32] | None = None,
    ) -> pa.Array:
        """Return the number of each score, or one drawn inside each state's cell, as an Arrow array of type `kind`."""
        return self.written(self.draw_numbers(states, rng, scores, {}), states, kind)

    def draw_numbers(
        self,
        states: npt.NDArray[np.int64],
        rng: np.random.Generator,
        scores: npt.NDArray[np.float32] | None,
        others: Mapping[str, Floats],
    ) -> Floats:
        """Return the numbers (rows,) of these states; NaN where there is none.

        Args:
            states: States (rows,).
            rng: Where draws inside a cell come from.
            scores: The scores (rows,) of numbers that have one.
            others: The numbers of linked columns. A link to a row without one means any number.
        """
        numbers = np.full(len(states), np.nan)
        if self.cells:
            inside = states < len(self.cells)
            numbers[inside] = self._draw(states[inside], rng)
        if self.curve is not None:
            assert scores is not None
            here = states == len(self.cells)
            numbers[here] = self._scored(scores[here], rng)
        for i, link in enumerate(self.links):
            here = states == self._numbers - len(self.links) + i
            numbers[here] = self._repeated(others[link.to][here], rng)
        return numbers

    def _scored(self, scores: npt.NDArray[np.floating], rng: np.random.Generator) -> Floats:
        """The numbers of scores; where there is none, any number."""
        assert self.curve is not None
        drawn = rng.standard_normal(len(scores))
        return self._rounded(self.curve.numbers(np.where(np.isnan(scores), drawn, scores)))

    def _repeated(self, numbers: Floats, rng: np.random.Generator) -> Floats:
        """The numbers repeated, as far as this column takes them; where there is none, any number."""
        if self.valued:
            drawn = self._scored(np.full(len(numbers), np.nan), rng)
            return np.clip(np.where(np.isnan(numbers), drawn, numbers), self.low, self.high)
        atoms, _ = self._atoms
        nearest = np.searchsorted(_midpoints(atoms), numbers)
        return np.asarray(atoms[np.where(np.isnan(numbers), rng.integers(len(atoms), size=len(numbers)), nearest)])

    def written(self, numbers: Floats, states: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        """Return `numbers` (rows,), and marks where the states say so, as an Arrow array of type `kind`."""
        array = _store(np.nan_to_num(numbers), states >= self._numbers, kind, self.style)
        for offset, mark in enumerate(self.marks):
            hit = pa.array(states == self._numbers + offset)
            array = pc.if_else(hit, _mark_scalar(mark, array.type), array)
        return array

    def _draw(self, cells: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
        atoms, _ = self._atoms
        if len(atoms) == len(self.cells):
            return atoms[cells] + 0.0  # no minus zero
        knots = self._knots
        position = rng.random(len(cells)) * (TAIL_KNOTS - 1)
        left = position.astype(np.int64)
        weight = position - left
        flat = knots.ravel()
        at = cells * TAIL_KNOTS + left
        low, high = flat[at], flat[at + 1]
        return self._rounded(np.where(low == high, low, (1 - weight) * low + weight * high))  # this cannot overflow

    def _rounded(self, numbers: Floats) -> Floats:
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        return np.asarray(np.clip(numbers, self.low, self.high) + 0.0)  # no minus zero


def find_piles(numbers: Floats, decimals: int | None) -> tuple[tuple[tuple[float, ...], ...], QuantileCurve | None]:
    """Find the values that are atoms, and the distribution of the others, if there are any."""
    if not len(numbers):
        return (), None
    values, counts = np.unique(numbers, return_counts=True)
    atom = _piles(counts)
    if len(values) <= FEW_ATOMS or (len(values) <= MAX_ATOMS and _are_exact(counts[~atom])):
        atom[:] = True
    cells = tuple((float(value),) for value in values[atom])
    return cells, None if atom.all() else QuantileCurve.learn(values[~atom], counts[~atom], decimals)


def _piles(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which values are much more frequent than the values beside them, so that no smooth density shows them."""
    share = counts / max(counts.sum(), 1)
    piled = (counts >= PILE * _beside(counts)) & (share >= ATOM_SHARE)
    return np.asarray((piled | (share >= LARGE_PILE)) & (counts >= PILE_ROWS))


def _are_exact(counts: npt.NDArray[np.int64]) -> bool:
    """Whether values that occur so often are to be learned each for itself, not as points of a density."""
    if not len(counts) or counts.mean() >= ROWS_PER_ATOM:
        return True
    rough = np.abs(counts - _beside(counts)).sum() >= ROUGH * counts.sum()
    return bool(rough and np.square(counts).sum() >= ROWS_PER_ROUGH_ATOM * counts.sum())


def _beside(counts: npt.NDArray[np.int64]) -> Floats:
    """The mean count of the values beside each value."""
    window, here = np.ones(2 * NEIGHBOURS + 1), slice(NEIGHBOURS, NEIGHBOURS + len(counts))
    around = np.convolve(counts, window)[here] - counts
    return np.asarray(around / np.maximum(np.convolve(np.ones(len(counts)), window)[here] - 1, 1))


def _exactly(atoms: Floats, numbers: Floats, otherwise: int) -> npt.NDArray[np.int64]:
    """The index of each number among sorted `atoms`."""
    if not len(atoms):
        return np.full(len(numbers), otherwise, np.int64)
    nearest = np.minimum(np.searchsorted(atoms, numbers), len(atoms) - 1)
    return np.where(atoms[nearest] == numbers, nearest, otherwise)


def find_cells(numbers: Floats, decimals: int | None) -> tuple[tuple[float, ...], ...]:
    """Cut numbers into atoms and quantile bins, ordered by value."""
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) <= MAX_BINNED_ATOMS:
        return tuple((float(value),) for value in values)
    frequent = counts >= max(ATOM_SHARE * len(numbers), 2)
    rest, rest_counts = values[~frequent], counts[~frequent]
    cells: list[tuple[float, ...]] = [(float(value),) for value in values[frequent]]
    n = int(rest_counts.sum())
    wanted = min(MAX_BINS * n / len(numbers), n / ROWS_PER_BIN)
    bins = int(np.clip(np.ceil(wanted), min(8, len(rest)), MAX_BINS))
    cells += _quantile_bins(rest, rest_counts, decimals, bins)
    return tuple(sorted(set(cells), key=lambda cell: (cell[-1], len(cell))))


def _quantile_bins(
    values: Floats, counts: npt.NDArray[np.int64], decimals: int | None, bins: int
) -> list[tuple[float, ...]]:
    """Bins of about as many rows each; all rows of a value are in one bin, so that coding keeps its frequency."""
    middle = np.cumsum(counts) - counts / 2
    bin_of = np.minimum((middle / counts.sum() * bins).astype(int), bins - 1)
    cells: list[tuple[float, ...]] = []
    for k in np.unique(bin_of):
        here = bin_of == k
        knots = TAIL_KNOTS if k in (0, bins - 1) else KNOTS
        cell = quantiles(spread(values[here], counts[here], decimals), np.linspace(0, 1, knots))
        cells.append(tuple(cell.tolist()) if cell[0] < cell[-1] else (float(values[here][0]),))
    return cells


def _resample(cell: Floats, knots: int) -> Floats:
    """The piecewise-linear function through equally spaced `cell` values, at `knots` points."""
    if len(cell) == 1:
        return np.full(knots, cell[0])
    return quantiles(cell, np.linspace(0, 1, knots))


def _midpoints(values: Floats) -> Floats:
    return values[:-1] / 2 + values[1:] / 2


def _mark_scalar(mark: Value, kind: pa.DataType) -> pa.Scalar:
    written = str(mark) if is_text(kind) or pa.types.is_decimal(kind) else mark
    return pa.array([written]).cast(kind)[0]


def _is_mark(values: pa.ChunkedArray, mark: Value) -> npt.NDArray[np.bool_]:
    if is_text(values.type):
        hits = pc.equal(values, pa.scalar(str(mark), values.type))
    elif isinstance(mark, str) or (numbers := to_double(values)) is None:
        return np.zeros(len(values), bool)
    else:
        hits = pc.equal(numbers, pa.scalar(float(mark)))
    return np.asarray(hits.fill_null(pa.scalar(value=False)).to_numpy(), bool)


def _marked(values: pa.ChunkedArray, marks: Values) -> dict[Value, int]:
    counts = {mark: int(_is_mark(values, mark).sum()) for mark in marks}
    return {mark: count for mark, count in counts.items() if count}


def _style(values: pa.ChunkedArray, marks: Values) -> str:
    if not is_text(values.type):
        return "repr"
    texts = set(pc.unique(values.drop_null()).to_pylist()) - {str(mark) for mark in marks}
    return find_style(text for text in texts if is_number(text)) or "repr"


def _store(numbers: Floats, missing: npt.NDArray[np.bool_], kind: pa.DataType, style: str) -> pa.Array:
    """Numbers as an Arrow array of type `kind`."""
    if is_text(kind):
        distinct, inverse = np.unique(numbers, return_inverse=True)
        texts = [write(value, style) for value in distinct.tolist()]
        return pa.array(texts, kind).take(pa.array(inverse, mask=missing))
    if pa.types.is_floating(kind):
        return pa.array(numbers, mask=missing).cast(kind, safe=False)
    if pa.types.is_decimal(kind):
        texts = [f"{value:.{max(kind.scale, 0)}f}" for value in numbers.tolist()]
        return pa.array(texts, mask=missing).cast(kind)
    return _whole(numbers, missing, kind)


def _whole(numbers: Floats, missing: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        top = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
        numbers = np.clip(numbers, limits.min, top)
    whole = np.rint(numbers).astype(np.uint64 if pa.types.is_uint64(kind) else np.int64)
    array = pa.array(whole, mask=missing)
    return array.cast(pa.int32()).cast(kind) if pa.types.is_time32(kind) else array.cast(kind)
