"""The encoding of a whole table: columns to codes and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from synthvae.codes import Codes
from synthvae.encoding import kinds
from synthvae.encoding.arrays import Floats, States
from synthvae.encoding.dependent import DependentNumbers
from synthvae.encoding.fake import FakeEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.layout import Layout
from synthvae.encoding.order import Leading, Order, named_order, order_columns
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.raw import Pixels, learn_plain
from synthvae.encoding.rules import CompiledRules, Rules
from synthvae.encoding.target import TargetEncoding
from synthvae.errors import brief
from synthvae.schema.column import Column
from synthvae.schema.domain import arrow_schema
from synthvae.schema.schema import Schema


class TableEncoding(BaseModel):
    """How each column of a table is encoded, and the Arrow schema of decoded tables.

    Args:
        names: The columns, in the order of the table.
        columns: Their encodings, in the order in which they are modelled, without a target of classes.
        target: The encoding of the target, if there is one.
        arrow: The Arrow schema of the table, with pandas' metadata, serialised.
        rules: The rules that decoded rows keep; None: there are none.

    Example:
        >>> import pyarrow as pa
        >>> from synthvae import Schema
        >>> table = pa.table({"age": [31, 45, 31], "sex": ["f", "m", "f"]})
        >>> encoding = TableEncoding.learn(table, Schema.infer(table), target=None)
        >>> codes = encoding.encode(table)
        >>> encoding.decode(codes, np.random.default_rng(0)).equals(table)
        True
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    names: tuple[str, ...]
    columns: dict[str, StoredEncoding]
    target: TargetEncoding | None
    arrow: str
    rules: Rules | None = None

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `rules` if there are none, so that hashes of models are those of earlier ones."""
        document: dict[str, Any] = handler(self)
        return document if self.rules is not None else {n: v for n, v in document.items() if n != "rules"}

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
        rules: Rules | None = None,
    ) -> Self:
        """Find the encodings of a table that obeys `schema`.

        Args:
            table: The training rows.
            schema: Its schema.
            target: The column to condition on.
            min_class_rows: The smallest number of rows of each of its classes.
            order: The order in which columns are modelled: "information", "table", the names of all columns, or "auto":
                by information if most columns are continuous; or `Leading`, by which some come first. Pixels keep the
                order of the table.
            pixels: The likelihood of the columns, if all of them are pixels; None: each is encoded by its kind.
            rules: The rules of the schema, with the combinations of the rows before any was protected; None: those
                of the schema, with the combinations of the table.

        Raises:
            TableError: A column cannot be encoded, or the target cannot be conditioned on.
            ConfigurationError: `order` is none of these.
        """
        condition = None
        if target is not None:
            condition = TargetEncoding.learn(schema[target], table.column(target), min_class_rows)
        columns = _learned(_modelled(schema, condition), table, pixels)
        leading = order if isinstance(order, Leading) else Leading((), order)
        names = order_columns(columns, table, leading.rest if pixels is None else "table")
        rules = Rules.of(schema, table) if rules is None else rules
        if rules is not None:
            rules.refuse_repeats()
            names = rules.order(names) if isinstance(leading.rest, str) else names
        names = leading.put_first(names)
        names.sort(key=lambda name: name != target)  # a continuous target comes first
        if rules is not None:
            columns |= rules.encodings(table, {name: columns[name] for name in names}, target)
            classes = {} if condition is None or condition.classes is None else {condition.name: condition.classes}
            rules = rules.without_unknown({**columns, **classes})
        return cls(
            names=tuple(table.column_names),
            columns=_linked({name: columns[name] for name in names}, table),
            target=condition,
            arrow=_serialised(table.schema),
            rules=rules,
        )

    @classmethod
    def declare(cls, schema: Schema, target: str | None, order: Order = "table") -> Self:
        """Return the encodings of the tables that obey `schema`, which depend on no table.

        Args:
            schema: A schema with categories, bounds and bins.
            target: The column to condition on.
            order: The order in which columns are modelled: "table", for which "auto" stands, too, or their names; or
                `Leading`, by which some come first.

        Raises:
            TableError: The target cannot be conditioned on.
            ConfigurationError: `order` is none of these.
        """
        condition = None if target is None else TargetEncoding.declare(schema[target])
        # Rows without an allowed label are dropped, so that no value of a continuous target is missing.
        whole = {"nullable": False, "sentinels": ()}
        modelled = [c.model_copy(update=whole) if c.name == target else c for c in _modelled(schema, condition)]
        columns = {column.name: kinds.declare(column) for column in modelled}
        leading = order if isinstance(order, Leading) else Leading((), order)
        names = list(columns) if leading.rest in ("auto", "table") else named_order(columns, leading.rest)
        rules = Rules.of(schema)
        if rules is not None:
            rules.refuse_repeats()
            names = rules.order(names) if isinstance(leading.rest, str) else names
        names = leading.put_first(names)
        names.sort(key=lambda name: name != target)
        if rules is not None:
            columns |= rules.declared({name: columns[name] for name in names}, target)
        return cls(
            names=tuple(schema.names),
            columns={name: columns[name] for name in names},
            target=condition,
            arrow=_serialised(arrow_schema(schema)),
            rules=rules,
        )

    def counted(self, rows: npt.NDArray[np.float64]) -> Self:
        """Return the same encoding with these numbers of training rows (conditions,)."""
        if self.target is None:
            return self
        counts = tuple(int(count) for count in rows.tolist())
        return self.model_copy(update={"target": self.target.model_copy(update={"counts": counts})})

    def weighed(self, weights: npt.NDArray[np.float64]) -> Self:
        """Return the same encoding with these sums (conditions,) of the weights of training rows."""
        if self.target is None:
            return self
        shares = tuple((weights / weights.sum()).tolist())
        return self.model_copy(update={"target": self.target.model_copy(update={"shares": shares})})

    def refuse_rare(self, min_class_rows: int) -> None:
        """Refuse a target with a class of fewer rows than `min_class_rows`.

        Raises:
            TableError: There is one.
        """
        if self.target is not None and self.target.classes is not None:
            self.target.refuse_rare(min_class_rows)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of decoded tables."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow)))

    @cached_property
    def layout(self) -> Layout:
        """The digits and values of the table."""
        levels = {name: encoding.levels for name, encoding in self.columns.items()}
        singles = {name: encoding.singles for name, encoding in self.columns.items()}
        valued = {name for name, encoding in self.columns.items() if encoding.valued}
        scales = {name: e.affine.scale for name, e in self.columns.items() if e.affine is not None}
        return Layout.from_levels(levels, singles, valued, scales)

    @property
    def conditions(self) -> int:
        """The number of conditions, 1 without a target."""
        return self.target.levels if self.target else 1

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """The share (conditions,) of each condition among the training rows, weighted if they have weights."""
        counts = np.array((self.target.shares or self.target.counts) if self.target else (1,), float)
        return np.asarray(counts / counts.sum())

    def encode(
        self, table: pa.Table, rng: np.random.Generator | None = None, *, partial: bool = False, linked: bool = True
    ) -> Codes:
        """Return the codes of a table with the columns of the training table.

        Args:
            table: The table; without a target of classes, all rows have condition 0.
            rng: Draws continuous values from the intervals that round to a number; None takes the middle of each.
            partial: Whether rows may have no label; their condition is -1.
            linked: Whether a number that repeats another column's has a state of its own.

        Raises:
            TableError: A value cannot be encoded.
        """
        columns = {name: table.column(name) for name in self.columns} | self._dependent.distances(table)
        states = {name: encoding.encode(name, columns[name]) for name, encoding in self.columns.items()}
        for name in self._dependent.relative:
            states[name][columns[name].is_null().to_numpy() & table.column(name).is_valid().to_numpy()] = -1
        if linked:
            self._dependent.mark_links(states, table)
        digits = self.layout.split(list(states.values())).reshape(table.num_rows, self.layout.width)
        valued = self.layout.valued_names
        scores = [self.columns[name].scores(columns[name], states[name], rng) for name in valued]
        values = np.stack(scores, 1) if scores else np.empty((table.num_rows, 0), np.float32)
        return Codes(digits, values, self._labels(table, partial=partial))

    @cached_property
    def _dependent(self) -> DependentNumbers:
        return DependentNumbers(self.columns)

    @cached_property
    def _subjects(self) -> dict[str, str]:
        """The columns that depend on another one, and that one."""
        fake = {name: encoding for name, encoding in self.columns.items() if isinstance(encoding, FakeEncoding)}
        return {name: encoding.subject for name, encoding in fake.items() if encoding.subject is not None}

    def _labels(self, table: pa.Table, *, partial: bool) -> States:
        if self.target is None or self.target.name not in table.column_names:
            return np.zeros(table.num_rows, np.int64)
        return self.target.encode(table.column(self.target.name), partial=partial)

    def decode(
        self,
        codes: Codes,
        rng: np.random.Generator,
        *,
        rows: range | States | None = None,
        seed: int | None = None,
        known: Mapping[str, Floats] | None = None,
    ) -> pa.Table:
        """Return rows with these codes.

        Args:
            codes: Any codes; see `Layout.join` for combinations of digits that no state has.
            rng: Draws what codes leave open: the place in a bin, a score that is NaN, a fresh UUID.
            rows: The numbers of the rows in the dataset, on which ids depend; None: they count from 0 on.
            seed: The seed of the request, on which fake values depend; None draws one.
            known: Numbers (rows,) of columns, in place of those of the codes; NaN: these.
        """
        states = dict(zip(self.layout.names, self.layout.join(codes.digits), strict=True))
        scores = dict(zip(self.layout.valued_names, codes.values.T, strict=True))
        coded = {n: CodedColumn(states[n], rng, scores.get(n), seed=seed, rows=rows) for n in self.columns}
        coded, numbers = self._dependent.draw(coded, known or {})
        schema, decoded = self.arrow_schema, dict[str, pa.Array]()
        for name in self._decoded_in_order:
            if name in self._subjects:
                coded[name] = coded[name].with_subjects(decoded[self._subjects[name]])
            if self.rules is not None and name in self.rules.computing and name in coded:
                coded[name] = coded[name].with_numbers(
                    self.rules.compute(name, decoded, numbers.get(name, coded[name].numbers))
                )
            decoded[name] = self._decode_column(name, schema.field(name).type, coded, codes.labels)
        arrays = [decoded[name] for name in self.names]
        return pa.Table.from_arrays(arrays, schema=_retyped(schema, arrays))

    @cached_property
    def _decoded_in_order(self) -> list[str]:
        """All columns, those that depend on others after these."""
        computed = {} if self.rules is None else self.rules.computing
        plain = [name for name in self.names if name not in self._subjects and name not in computed]
        return [*plain, *computed, *(name for name in self._subjects if name not in computed)]

    @cached_property
    def compiled_rules(self) -> CompiledRules | None:
        """The rules, as draws of rows keep them; None: there are none."""
        if self.rules is None:
            return None
        columns = {} if self.target is None or self.target.classes is None else {self.target.name: self.target.classes}
        return self.rules.compiled(columns | self.columns, self.arrow_schema)

    def _decode_column(
        self, name: str, kind: pa.DataType, coded: Mapping[str, CodedColumn], labels: States
    ) -> pa.Array:
        if pa.types.is_null(kind):
            return pa.nulls(len(labels))
        if name in self.columns:
            return self.columns[name].decode(coded[name], kind)
        assert self.target is not None
        return self.target.decode(labels, kind)

    def numbers(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the numbers (rows, columns) of pixels, given their continuous values (rows, values).

        Columns have the order of the table; numbers are neither rounded nor clipped.
        """
        places = {name: v for v, name in enumerate(self.layout.valued_names)}
        affine = {name: encoding.affine for name, encoding in self.columns.items() if encoding.affine is not None}
        return np.stack([affine[n].numbers(values[:, places[n]]) for n in self.names if n in affine], 1)


def _serialised(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _modelled(schema: Schema, condition: TargetEncoding | None) -> list[Column]:
    """The columns of a schema but for a target of classes, which is the condition alone."""
    given = condition.name if condition is not None and condition.classes else None
    return [column for column in schema.columns if column.name != given]


def _learned(columns: Sequence[Column], table: pa.Table, pixels: Pixels | None) -> dict[str, StoredEncoding]:
    if pixels is None:
        return {column.name: kinds.learn(column, table.column(column.name)) for column in columns}
    values = {column.name: (column, table.column(column.name)) for column in columns}
    return dict(learn_plain(values, pixels))


def _linked(columns: dict[str, StoredEncoding], table: pa.Table) -> dict[str, StoredEncoding]:
    """The encodings with links to the columns before them whose numbers they repeat."""
    before: dict[str, Floats] = {}
    found = dict(columns)
    for name, encoding in columns.items():
        if encoding.linkable is not None:
            values = table.column(name)
            found[name] = encoding.linkable.find_links(name, values, before)
            before[name] = encoding.linkable.numbers_of(values)
    return found


def _retyped(schema: pa.Schema, arrays: Sequence[pa.Array]) -> pa.Schema:
    """The schema with the types of the arrays, as the index type of a dictionary may differ."""
    fields = [field.with_type(array.type) for field, array in zip(schema, arrays, strict=True)]
    return pa.schema(fields, metadata=schema.metadata)
