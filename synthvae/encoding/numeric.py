"""Numbers to states and back.

A state is a *cell*: an atom (one value, kept exactly) or a bin between two quantiles, inverted through the quantiles
inside it. A number that takes few values has atoms only; a number such as capital gain has an atom at 0 and bins above.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict

from synthvae.columns import is_text, split_marks, to_double
from synthvae.errors import TableError
from synthvae.inference import count_decimals, finite_numbers
from synthvae.schema import Column, Value, Values
from synthvae.writing import find_style, is_number, write

MAX_ATOMS = 100  # a number with so few values is coded exactly
MAX_BINS = 100
ROWS_PER_BIN = 30  # fewer make the bins, and what is learned of them, noise
ATOM_SHARE = 0.005  # a value this frequent is an atom among bins
KNOTS = 9  # quantiles that describe the inside of a bin
TAIL_KNOTS = 33  # the same in the outermost bins, where the spread is

Floats = npt.NDArray[np.float64]
Table = Annotated[tuple[tuple[float, ...], ...], BeforeValidator(lambda rows: tuple(tuple(row) for row in rows))]


class NumericEncoding(BaseModel):
    """States: the cells by value, then the marks, then "missing".

    Args:
        cells: For each cell its knots, from smallest to largest; an atom has one.
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
    low: float = 0.0
    high: float = 0.0
    decimals: int | None
    style: str = "repr"
    marks: Values = ()
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the cells of a column."""
        numbers, _ = split_marks(values, column.marks)
        finite = finite_numbers(column.name, numbers)
        decimals = 0 if column.kind == "integer" else column.decimals
        if column.kind == "continuous" and decimals is None:
            decimals = count_decimals(finite, single=pa.types.is_float32(values.type))
        marked = _marked(values, column.marks)
        return cls(
            cells=find_cells(finite, decimals),
            low=float(finite.min()) if len(finite) else 0.0,
            high=float(finite.max()) if len(finite) else 0.0,
            decimals=decimals,
            style=_style(values, column.marks),
            marks=tuple(mark for mark in column.marks if mark in marked),
            missing=len(finite) + sum(marked.values()) < len(values),
        )

    @property
    def singles(self) -> int:
        """How many states, the last ones, are no values."""
        return len(self.marks) + self.missing

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.cells) + len(self.marks) + self.missing, 1)

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
        states = np.full(len(array), self.levels - 1 if self.missing or not self.cells else -1, np.int64)
        if self.cells:
            states[present] = self._encode_finite(array[present])
        for offset, mark in enumerate(self.marks):
            states[_is_mark(values, mark)] = len(self.cells) + offset
        return states

    def _encode_finite(self, numbers: Floats) -> npt.NDArray[np.int64]:
        atoms, atom_states = self._atoms
        tops, bin_states = self._bins
        nearest = np.searchsorted(_midpoints(atoms), numbers) if len(atoms) else np.zeros(len(numbers), int)
        if not len(tops):
            return atom_states[nearest]
        states = bin_states[np.minimum(np.searchsorted(tops, numbers), len(tops) - 1)]
        if len(atoms):
            exact = atoms[nearest] == numbers
            states[exact] = atom_states[nearest[exact]]
        return states

    def decode(self, states: npt.NDArray[np.int64], kind: pa.DataType, rng: np.random.Generator) -> pa.Array:
        """Draw a number inside each state's cell; return them as an Arrow array of type `kind`."""
        if not self.cells:
            numbers = np.full(len(states), np.nan)
        else:
            numbers = self._draw(np.minimum(states, len(self.cells) - 1), rng)
        numbers[states >= len(self.cells)] = 0.0
        array = _store(numbers, states >= len(self.cells), kind, self.style)
        for offset, mark in enumerate(self.marks):
            hit = pa.array(states == len(self.cells) + offset)
            array = pc.if_else(hit, _mark_scalar(mark, array.type), array)
        return array

    def _draw(self, cells: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
        knots = self._knots
        position = rng.random(len(cells)) * (TAIL_KNOTS - 1)
        left = position.astype(np.int64)
        weight = position - left
        flat = knots.ravel()
        at = cells * TAIL_KNOTS + left
        low, high = flat[at], flat[at + 1]
        numbers = np.where(low == high, low, (1 - weight) * low + weight * high)  # this form cannot overflow
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        return np.asarray(np.clip(numbers, self.low, self.high) + 0.0)  # no minus zero


def find_cells(numbers: Floats, decimals: int | None) -> tuple[tuple[float, ...], ...]:
    """Cut numbers into atoms and quantile bins, ordered by value."""
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) <= MAX_ATOMS:
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
        cell = _quantiles(_spread(values[here], counts[here], decimals), np.linspace(0, 1, knots))
        cells.append(tuple(cell.tolist()) if cell[0] < cell[-1] else (float(values[here][0]),))
    return cells


def _spread(values: Floats, counts: npt.NDArray[np.int64], decimals: int | None) -> Floats:
    """Repeat each value, evenly spread over the interval that rounds to it, so that quantiles see no ties."""
    repeated = np.repeat(values, counts)
    if decimals is None:
        return repeated
    rank = np.arange(len(repeated)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(repeated + ((rank + 0.5) / np.repeat(counts, counts) - 0.5) * 10.0**-decimals)


def _quantiles(ordered: Floats, levels: Floats) -> Floats:
    """Linear quantiles of sorted numbers (type 7), in a form that cannot overflow."""
    position = levels * (len(ordered) - 1)
    left = np.minimum(position.astype(np.int64), len(ordered) - 1)
    right = np.minimum(left + 1, len(ordered) - 1)
    weight = position - left
    return np.asarray((1 - weight) * ordered[left] + weight * ordered[right])


def _resample(cell: Floats, knots: int) -> Floats:
    """The piecewise-linear function through equally spaced `cell` values, at `knots` points."""
    if len(cell) == 1:
        return np.full(knots, cell[0])
    return _quantiles(cell, np.linspace(0, 1, knots))


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
