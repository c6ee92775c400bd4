"""A whole table to codes and back."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri

from synthvae.codes import Codes
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.layout import Layout
from synthvae.encoding.links import find_links
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.order import ROWS_LOOKED_AT, chain
from synthvae.encoding.raw import Pixels, PlainEncoding, learn_plain
from synthvae.encoding.target import TargetEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import ConfigurationError, TableError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.domain import arrow_schema, categories, limits
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import MAX_NUMBER_CLASSES

ColumnEncoding = Annotated[
    CategoricalEncoding | NumericEncoding | BinnedEncoding | TemporalEncoding | IdEncoding | PlainEncoding,
    Field(discriminator="kind"),
]

Order = str | Sequence[str]
ORDERS = ("auto", "information", "table")

MOSTLY = 2 / 3  # of the columns continuous: then order by information helps; among others it was measured to harm


class TableEncoding(BaseModel):
    """How each column of a table is coded, and in which Arrow schema rows are handed back.

    Args:
        names: The columns, in the order of the table.
        columns: Their encodings, in the order in which they are modelled; the class target, as the condition, has none.
        target: The condition, if there is one.
        arrow: The Arrow schema of the table, with pandas' metadata, serialised.
    """

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...]
    columns: dict[str, ColumnEncoding]
    target: TargetEncoding | None
    arrow: str

    @classmethod
    def learn(
        cls,
        table: pa.Table,
        schema: Schema,
        target: str | None,
        min_class_rows: int = 2,
        order: Order = "auto",
        *,
        pixels: Pixels | None = None,
    ) -> Self:
        """Find the encodings of a table that obeys `schema`.

        Args:
            table: The table.
            schema: Its schema.
            target: The column to condition on.
            min_class_rows: Rows that each of its classes must have.
            order: In which order columns are modelled: by "information", as in the "table", named: all of them, or
                "auto": by information if most columns are continuous. Pixels stay as in the table.
            pixels: Says that all columns are pixels; None: each is what its kind says.
        """
        condition = None
        if target is not None:
            condition = TargetEncoding.learn(schema[target], table.column(target), min_class_rows)
        learned = [c for c in schema.columns if not (condition and condition.classes and c.name == target)]
        columns = _learned(learned, table, pixels)
        order = order if pixels is None else "table"
        names = sorted(_ordered(columns, table, order), key=lambda name: name != target)  # a continuous one comes first
        return cls(
            names=tuple(table.column_names),
            columns=_link({name: columns[name] for name in names}, table),
            target=condition,
            arrow=_serialised(table.schema),
        )

    @classmethod
    def declare(cls, schema: Schema, target: str | None, order: Order = "table") -> Self:
        """The encodings of the tables of a schema, whatever they hold: no table is looked at.

        Args:
            schema: Says categories, bounds and bins.
            target: The column to condition on.
            order: In which order columns are modelled: as in the "table" (so means "auto"), or named.
        """
        condition = None if target is None else _declare_target(schema[target])
        modelled = [c for c in schema.columns if not (condition and condition.classes and c.name == target)]
        # Rows without an allowed label are not there, so that of a target nothing is missing.
        whole = {"nullable": False, "sentinels": ()}
        modelled = [c.model_copy(update=whole) if c.name == target else c for c in modelled]
        columns = {column.name: _declare(column) for column in modelled}
        names = list(columns) if order in ("auto", "table") else _named(columns, order)
        names = sorted(names, key=lambda name: name != target)
        return cls(
            names=tuple(schema.names),
            columns={name: columns[name] for name in names},
            target=condition,
            arrow=_serialised(arrow_schema(schema)),
        )

    def counted(self, rows: npt.NDArray[np.float64]) -> Self:
        """The same encodings, the conditions having so many rows (conditions,)."""
        if self.target is None:
            return self
        counts = tuple(int(count) for count in rows.tolist())
        return self.model_copy(update={"target": self.target.model_copy(update={"counts": counts})})

    def refuse_rare(self, min_class_rows: int) -> None:
        """Refuse a target of which a class has fewer rows."""
        if self.target is not None and self.target.classes is not None:
            self.target.refuse_rare(min_class_rows)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of decoded tables."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow)))

    @cached_property
    def layout(self) -> Layout:
        """The digits of the table."""
        levels = {name: encoding.levels for name, encoding in self.columns.items()}
        singles = {name: encoding.singles for name, encoding in self.columns.items()}
        scales = {
            name: encoding.scale for name, encoding in self.columns.items() if isinstance(encoding, PlainEncoding)
        }
        return Layout.of(levels, singles, self._valued, scales)

    @cached_property
    def _valued(self) -> dict[str, NumericEncoding | TemporalEncoding | PlainEncoding]:
        """The encodings with continuous values."""
        kinds = NumericEncoding | TemporalEncoding | PlainEncoding
        numeric = {n: e for n, e in self.columns.items() if isinstance(e, kinds)}
        return {name: encoding for name, encoding in numeric.items() if encoding.valued}

    @property
    def conditions(self) -> int:
        """The number of conditions, 1 without a target."""
        return self.target.levels if self.target else 1

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """The share (conditions,) of each condition in training."""
        counts = np.array(self.target.counts if self.target else (1,), float)
        return np.asarray(counts / counts.sum())

    def encode(self, table: pa.Table, rng: np.random.Generator | None = None, *, partial: bool = False) -> Codes:
        """Return the codes of a table that has the columns of the one learned from.

        Args:
            table: The table; the class target may be absent, and counts as the first class.
            rng: Draws continuous values from the intervals that round to a number; None takes the middles.
            partial: Whether rows may have no label; their condition is -1.
        """
        states = {name: encoding.encode(name, table.column(name)) for name, encoding in self.columns.items()}
        self._link(states, table)
        digits = self.layout.split(list(states.values())).reshape(table.num_rows, self.layout.width)
        scores = [e.scores(table.column(name), states[name], rng) for name, e in self._valued.items()]
        values = np.stack(scores, 1) if scores else np.empty((table.num_rows, 0), np.float32)
        return Codes(digits, values, self._labels(table, partial=partial))

    def _link(self, states: Mapping[str, npt.NDArray[np.int64]], table: pa.Table) -> None:
        """Set the states of numbers that repeat another column's, in place."""
        linked = {n: e for n, e in self.columns.items() if isinstance(e, NumericEncoding) and e.links}
        needed = {link.to for encoding in linked.values() for link in encoding.links} | set(linked)
        numeric = {n: e for n, e in self.columns.items() if isinstance(e, NumericEncoding) and n in needed}
        numbers = {name: encoding.numbers_of(table.column(name)) for name, encoding in numeric.items()}
        for name, encoding in linked.items():
            encoding.linked(states[name], numbers[name], numbers)

    def _labels(self, table: pa.Table, *, partial: bool) -> npt.NDArray[np.int64]:
        if self.target is None or self.target.name not in table.column_names:
            return np.zeros(table.num_rows, np.int64)
        return self.target.encode(table.column(self.target.name), partial=partial)

    def decode(self, codes: Codes, rng: np.random.Generator, first_row: int = 0) -> pa.Table:
        """Return rows with these codes; what codes leave open (an id, a number that is nowhere) is drawn.

        Args:
            codes: Any codes; combinations of digits past the last value mean the last.
            rng: Where draws come from.
            first_row: The number of rows before these in the dataset, so that ids stay unique.
        """
        states = dict(zip(self.layout.names, self.layout.join(codes.digits), strict=True))
        scores = dict(zip(self.layout.valued_names, codes.values.T, strict=True))
        schema = self.arrow_schema
        numbers: dict[str, npt.NDArray[np.float64]] = {}
        for name, numeric in self.columns.items():
            if isinstance(numeric, NumericEncoding):
                numbers[name] = numeric.draw_numbers(states[name], rng, scores.get(name), numbers)
        arrays = []
        for name in self.names:
            kind, encoding = schema.field(name).type, self.columns.get(name)
            if pa.types.is_null(kind):
                arrays.append(pa.nulls(len(codes)))
            elif encoding is None:
                arrays.append(self._decode_target(codes.labels, kind))
            elif isinstance(encoding, NumericEncoding):
                arrays.append(encoding.written(numbers[name], states[name], kind))
            elif isinstance(encoding, IdEncoding):
                arrays.append(encoding.decode(states[name], kind, rng, first_row))
            else:
                arrays.append(_decoded(encoding, states[name], scores.get(name), kind, rng))
        return pa.Table.from_arrays(arrays, schema=_nullable(schema, arrays))

    def numbers(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the numbers (rows, values) of pixels, in the order of the table, neither rounded nor cut off."""
        places = {name: v for v, name in enumerate(self.layout.valued_names)}
        plain = {name: e for name, e in self.columns.items() if isinstance(e, PlainEncoding)}
        return np.stack([plain[n].numbers(values[:, places[n]]) for n in self.names if n in plain], 1)

    def _decode_target(self, labels: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        assert self.target is not None
        return self.target.decode(labels, kind)


def _serialised(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _declare(column: Column) -> ColumnEncoding:
    if column.kind in TEMPORAL:
        return TemporalEncoding.declare(column)
    if column.kind in NUMERIC:
        return BinnedEncoding.declare(column)
    if column.kind == "id":
        return IdEncoding(name=column.name, pattern="sequence", missing=False)
    return CategoricalEncoding.declare(column, categories(column))


def _declare_target(column: Column) -> TargetEncoding:
    if column.kind not in ("categorical", "boolean", *NUMERIC):
        raise TableError(f"target {column.name!r}: a target must be classes or numbers, however, it is {column.kind}")
    if column.kind == "integer" and column.bins is None:
        low, high = limits(column)
        if high - low < MAX_NUMBER_CLASSES:
            return TargetEncoding.declare(column, tuple(range(int(low), int(high) + 1)))
    return TargetEncoding.declare(column, None if column.kind in NUMERIC else categories(column))


def _learn(column: Column, values: pa.ChunkedArray) -> ColumnEncoding:
    if column.kind in TEMPORAL or pa.types.is_duration(values.type) or pa.types.is_time(values.type):
        return TemporalEncoding.learn(column, values)
    if column.kind in NUMERIC:
        return NumericEncoding.learn(column, values)
    if column.kind == "id":
        return IdEncoding.learn(column, values)
    return CategoricalEncoding.learn(column, values)


def _learned(columns: Sequence[Column], table: pa.Table, pixels: Pixels | None) -> dict[str, ColumnEncoding]:
    if pixels is None:
        return {column.name: _learn(column, table.column(column.name)) for column in columns}
    values = {column.name: (column, table.column(column.name)) for column in columns}
    return dict(learn_plain(values, pixels))


def _ordered(columns: Mapping[str, ColumnEncoding], table: pa.Table, order: Order) -> list[str]:
    valued = sum(isinstance(e, NumericEncoding | TemporalEncoding) and e.valued for e in columns.values())
    if order == "table" or (order == "auto" and valued < MOSTLY * len(columns)):
        return list(columns)
    if isinstance(order, str) and order in ORDERS:
        rows = np.unique(np.linspace(0, table.num_rows - 1, ROWS_LOOKED_AT).astype(np.int64))
        looked_at = table.take(rows)
        return chain({name: _coarse(encoding, name, looked_at.column(name)) for name, encoding in columns.items()})
    return _named(columns, order)


def _named(columns: Collection[str], order: Order) -> list[str]:
    """The order, which names each column once."""
    if isinstance(order, str) or sorted(order) != sorted(columns):
        given = repr(order) if isinstance(order, str) else listing(order)
        raise ConfigurationError(
            f"`order` must be among {listing(ORDERS)}, or name each of the {len(columns)} columns once (no target of "
            f"classes), however, it is {given}"
        )
    return list(order)


def _coarse(encoding: ColumnEncoding, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The coarsest digit (rows,) of a column, and the tenth of a value's score."""
    states = encoding.encode(name, values)
    layout = Layout.of({name: encoding.levels}, {name: encoding.singles})
    digits = layout.split([states])
    coarse = digits[:, 0].astype(np.int64) + 1 if layout.width else np.zeros(len(states), np.int64)
    if not isinstance(encoding, NumericEncoding | TemporalEncoding) or not encoding.valued:
        return coarse
    tenth = np.searchsorted(ndtri(np.arange(1, 10) / 10), encoding.scores(values, states, None))  # NaN is the last
    return coarse * 10 + np.minimum(tenth, 9)


def _link(columns: dict[str, ColumnEncoding], table: pa.Table) -> dict[str, ColumnEncoding]:
    """Find which columns repeat the numbers of columns before them."""
    before: dict[str, npt.NDArray[np.float64]] = {}
    found: dict[str, ColumnEncoding] = {}
    for name, encoding in columns.items():
        found[name] = encoding
        if isinstance(encoding, NumericEncoding):
            numbers = encoding.numbers_of(table.column(name))
            if encoding.links_well:
                free = encoding.is_free(encoding.encode(name, table.column(name)))
                found[name] = encoding.model_copy(update={"links": find_links(numbers, free, before)})
            before[name] = numbers
    return found


def _decoded(
    encoding: CategoricalEncoding | BinnedEncoding | TemporalEncoding | PlainEncoding,
    states: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32] | None,
    kind: pa.DataType,
    rng: np.random.Generator,
) -> pa.Array:
    if isinstance(encoding, BinnedEncoding):
        return encoding.decode(states, kind, rng)
    if isinstance(encoding, TemporalEncoding):
        return encoding.decode(states, kind, rng, scores)
    if isinstance(encoding, PlainEncoding):
        assert scores is not None
        return encoding.decode(scores, kind, rng)
    return encoding.decode(states, kind)


def _nullable(schema: pa.Schema, arrays: Sequence[pa.Array]) -> pa.Schema:
    """A dictionary column's index type may have to be the array's own; everything else stays."""
    fields = [field.with_type(array.type) for field, array in zip(schema, arrays, strict=True)]
    return pa.schema(fields, metadata=schema.metadata)
