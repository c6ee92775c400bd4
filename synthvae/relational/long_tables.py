"""One long table of several rows per entity as two linked tables, and back."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.errors import ConfigurationError, TableError, brief, listing
from synthvae.relational.lineage import MIN_STATIC_ROWS
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import plain_type, unit_numbers

ENTITIES, ROWS = "entities", "rows"  # the names of the two tables


class LongTable(BaseModel):
    """How a long table is divided.

    Args:
        entity: The column of entities.
        time: The column by which the rows of an entity are sorted; None: they have the order of the table.
        static: The columns that are constant within each entity.
        arrow: The Arrow schema of the table, serialised.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    entity: str
    time: str | None
    static: tuple[str, ...]
    arrow: str

    @classmethod
    def learn(cls, table: pa.Table, entity: str, time: str | None, static: Sequence[str] | None) -> LongTable:
        """Find how a table is divided.

        Args:
            table: The table.
            entity: The column of entities.
            time: The column by which their rows are sorted.
            static: The columns that are constant within each entity; None: all that are, and are not only constant
                because few rows have the same entity.

        Raises:
            TableError: A column is absent, an entity is missing, or a static column is not constant.
        """
        _refuse_absent(table, [name for name in (entity, time, *(static or ())) if name is not None])
        constant = _constant(table, entity)
        if static is None:
            repeated = table.num_rows - len(pc.unique(table.column(entity)))
            chosen = [n for n in constant if n != time] if repeated >= MIN_STATIC_ROWS else []
        else:
            chosen = list(static)
            _refuse_varying(chosen, constant)
        text = base64.b64encode(table.schema.serialize().to_pybytes()).decode()
        return cls(entity=entity, time=time, static=tuple(n for n in table.column_names if n in chosen), arrow=text)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow)))

    def divide(self, table: pa.Table) -> dict[str, pa.Table]:
        """Return the table of entities, in the order of their first rows, and that of the other columns of all rows.

        Raises:
            TableError: A column is absent, an entity is missing, or a static column is not constant.
        """
        _refuse_absent(table, self.schema.names)
        _refuse_varying(self.static, _constant(table, self.entity))
        first = np.sort(np.unique(unit_numbers(table.column(self.entity)), return_index=True)[1])
        names = [name for name in table.column_names if name not in self.static]
        entities = table.select([self.entity, *self.static]).take(first)
        return {ENTITIES: entities, ROWS: table.select(names)}

    def join(self, entities: pa.Table, rows: pa.Table) -> pa.Table:
        """Return the long table of entities and rows, in the order of the rows."""
        kind = plain_type(rows.schema.field(self.entity).type)
        known = entities.column(self.entity).cast(kind).combine_chunks()
        places = pc.index_in(rows.column(self.entity).cast(kind), value_set=known).combine_chunks()
        columns = {name: rows.column(name) for name in rows.column_names}
        columns |= {name: entities.column(name).take(places) for name in self.static}
        arrays = [columns[name] for name in self.schema.names]
        fields = [field.with_type(array.type) for field, array in zip(self.schema, arrays, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=self.schema.metadata))

    def database(self, schema: Schema | None) -> Database:
        """Return the keys of the two tables, and the parts of a schema of the long table.

        Raises:
            ConfigurationError: A rule of the schema is on static columns and on others.
        """
        others = [name for name in self.schema.names if name not in self.static]
        parts = {} if schema is None else {ENTITIES: self._part(schema, self.static), ROWS: self._part(schema, others)}
        return Database(
            tables=[ENTITIES, ROWS],
            primary_keys={ENTITIES: self.entity},
            foreign_keys=[(ROWS, self.entity, ENTITIES, self.entity)],
            order={} if self.time is None else {ROWS: self.time},
            schemas={name: part for name, part in parts.items() if part is not None},
        )

    def _part(self, schema: Schema, names: Sequence[str]) -> Schema | None:
        """What a schema declares of some columns: the static ones, or the others."""
        mine = set(names)
        mixed = [r for r in schema.constraints if set(r.touches) & set(self.static) and set(r.touches) - {*self.static}]
        if mixed:
            raise ConfigurationError(
                f"A rule must be on columns that are all constant within each {self.entity!r} or all not, got "
                f"`{mixed[0]}`. Remove it, or pass `static` without its columns."
            )
        columns = [c.model_dump(exclude_unset=True) for c in schema.columns if c.name in mine and c.name != self.entity]
        rules = [rule for rule in schema.constraints if set(rule.touches) <= mine]
        return Schema(columns=columns, constraints=rules) if columns or rules else None


def _refuse_absent(table: pa.Table, names: Sequence[str]) -> None:
    if absent := [name for name in dict.fromkeys(names) if name not in table.column_names]:
        have = listing(table.column_names)
        raise TableError(f"The table must have the columns {listing(absent)}, got {have}. Add or rename columns.")


def _refuse_varying(static: Sequence[str], constant: Sequence[str]) -> None:
    if varying := [name for name in static if name not in constant]:
        raise TableError(
            f"A static column must be constant within each entity, got {listing(varying)} with other values in some. "
            "Correct these rows, or leave it out of `static`."
        )


def _constant(table: pa.Table, entity: str) -> list[str]:
    """The columns that have one value, or are missing, in all rows of each entity.

    Raises:
        TableError: An entity is missing.
    """
    if missing := table.column(entity).null_count:
        raise TableError(
            f"The entity {entity!r} must be present, got {missing:,} of {table.num_rows:,} rows without one. Fill it "
            "in, or remove these rows."
        )
    owners = unit_numbers(table.column(entity))
    order = np.argsort(owners, kind="stable")
    same = np.diff(owners[order]) == 0
    names = [n for n in table.column_names if n != entity and not pa.types.is_nested(table.schema.field(n).type)]
    return [n for n in names if not (np.diff(unit_numbers(table.column(n))[order]) != 0)[same].any()]
