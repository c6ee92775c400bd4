"""`Database`: public knowledge of linked tables, namely their keys, the order of their rows, and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError, model_validator

from synthvae import filesystem, safe_yaml
from synthvae.errors import SchemaError, explain, listing
from synthvae.schema import link_evidence
from synthvae.schema.foreign_keys import ForeignKey, Names, find_cycle, names_of
from synthvae.schema.schema import Schema
from synthvae.schema.totals import Total
from synthvae.schema.values import plain_items

MAX_BYTES = 1 << 24  # of a YAML file
MAX_VALUES = 1_000_000  # in it


class Database(BaseModel):
    """Linked tables: their sources, their keys, and the order of the rows of a parent.

    Args:
        tables: The tables: a DataFrame, an Arrow table or the path of a file for each name; None, or a list of names,
            where the tables are passed to `fit`.
        primary_keys: The column or columns of each table that identify a row; not every table needs one.
        foreign_keys: Links (child, columns, parent, columns of the parent). The first one of a child leads to the
            parent whose rows its rows belong to. They must not form a cycle.
        order: The column of a child table, a time or a position, by which the rows of a parent are sorted. Without it
            they have the order of the table.
        unique: Columns of a child table in which no two synthetic rows of one parent are equal, such as a code of each
            visit. A primary key of several columns is unique in any case.
        public: Tables that are public, such as codes and their names: they are copied, and columns that refer to them
            are modelled as categories.
        totals: Columns of a parent table (table, column, function, child, column of the child) that are the "sum", the
            "min" or the "max" of a column of its rows in a child table, or their "count". They are not modelled, but
            computed from the rows that are drawn.
        schemas: Schemas of tables, which may be partial. Rules of a child table may name columns of its parent, of the
            parent of that one, and so on: `patients.born` in a rule of admissions.

    Raises:
        SchemaError: A key names an unknown table, tables form a cycle, or a field has the wrong form.

    Example:
        >>> database = Database(
        ...     tables=["patients", "visits"],
        ...     primary_keys={"patients": "id"},
        ...     foreign_keys=[("visits", "patient", "patients", "id")],
        ...     order={"visits": "day"},
        ... )
        >>> database.parents["visits"].parent
        'patients'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: dict[StrictStr, Any]
    primary_keys: dict[StrictStr, Names] = Field(default_factory=dict)
    foreign_keys: Annotated[tuple[ForeignKey, ...], BeforeValidator(plain_items)] = ()
    order: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    unique: dict[StrictStr, Names] = Field(default_factory=dict)
    public: Annotated[tuple[StrictStr, ...], BeforeValidator(names_of)] = ()
    totals: Annotated[tuple[Total, ...], BeforeValidator(plain_items)] = ()
    schemas: dict[StrictStr, Any] = Field(default_factory=dict)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(explain(error, data)) from error

    def __repr__(self) -> str:
        """Return the names and links of the tables, without their rows."""
        links = listing(map(str, self.foreign_keys))
        return f"Database(tables={listing(self.tables)}, foreign_keys={links}, public={listing(self.public)})"

    __str__ = __repr__

    @model_validator(mode="before")
    @classmethod
    def _name_tables(cls, document: Any) -> Any:
        """Accept a list of names in place of tables, and schemas as mappings."""
        if not isinstance(document, dict):
            return document
        tables, schemas = document.get("tables"), document.get("schemas") or {}
        if isinstance(tables, (list, tuple)) and all(isinstance(name, str) for name in tables):
            document = {**document, "tables": dict.fromkeys(tables)}
        if isinstance(schemas, Mapping):
            read = {n: Schema.from_dict(s) if isinstance(s, Mapping) else s for n, s in schemas.items()}
            document = {**document, "schemas": read}
        return document

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if not self.tables:
            raise ValueError("`tables` must name at least one table, got none.")
        named = {
            "primary_keys": self.primary_keys,
            "foreign_keys": [name for key in self.foreign_keys for name in (key.child, key.parent)],
            "order": self.order,
            "unique": self.unique,
            "public": self.public,
            "totals": [name for total in self.totals for name in (total.table, total.child)],
            "schemas": self.schemas,
        }
        for field, names in named.items():
            if unknown := sorted({name for name in names if name not in self.tables}):
                raise ValueError(
                    f"`{field}` must name tables among {listing(self.tables)}, got {listing(unknown)}. Add them to "
                    "`tables`, or correct the names."
                )
        for key in self.foreign_keys:
            self._validate_key(key)
        if wrong := [name for name, schema in self.schemas.items() if not isinstance(schema, Schema)]:
            raise ValueError(f"`schemas` must be Schema objects, got other values for {listing(wrong)}.")
        for name, schema in self.schemas.items():
            needed = (*self.unique.get(name, ()), *([self.order[name]] if name in self.order else []))
            if dropped := sorted(set(needed) & set(schema.drop)):
                raise ValueError(
                    f"`schemas` must not drop columns of `order` or `unique`, got {listing(dropped)} of table "
                    f"{name!r}. Remove them there, or from `drop`."
                )
        if cycle := find_cycle([(key.child, key.parent) for key in self.foreign_keys]):
            raise ValueError(
                f"`foreign_keys` must not form a cycle, got {' -> '.join(cycle)}. Remove one of these links, and "
                "declare its columns as ids or drop them in `schemas`."
            )
        return self

    @model_validator(mode="after")
    def _validate_totals(self) -> Self:
        for total in self.totals:
            self._validate_total(total)
        if len({total[:2] for total in self.totals}) < len(self.totals):
            raise ValueError("`totals` must have each column once. Remove the others.")
        return self

    def _validate_total(self, total: Total) -> None:
        link, own, child = self.parents.get(total.child), self.schemas.get(total.table), self.schemas.get(total.child)
        if link is None or link.parent != total.table:
            raise ValueError(
                f"`totals` must be of rows that belong to those of the table, got `{total}`. Make a key of "
                f"{total.child!r} to {total.table!r} its first one."
            )
        if (total.of is None) != (total.function == "count"):
            raise ValueError(
                f"`totals` must name a column of the child table, and none for a count, got `{total}`. Correct it."
            )
        keys = [key.columns for key in self.foreign_keys if key.child == total.table]
        keys += [key.parent_columns for key in self.foreign_keys if key.parent == total.table]
        keys += [self.primary_keys.get(total.table, ()), self.unique.get(total.table, ())]
        others = {*(column for key in keys for column in key), self.order.get(total.table), *(own.drop if own else ())}
        if total.column in others:
            raise ValueError(f"`totals` must not be keys, ordered, unique or dropped, got `{total}`. Remove it.")
        if total.of in {*link.columns, *(child.drop if child else ())}:
            raise ValueError(f"`totals` must be of a column that is no key and not dropped, got `{total}`. Remove it.")

    def _validate_key(self, key: ForeignKey) -> None:
        if len(key.columns) != len(key.parent_columns):
            raise ValueError(
                f"`foreign_keys` must have as many columns of the child as of the parent, got {key}. Name them in the "
                "same order."
            )
        if key.child in self.public and key.parent not in self.public:
            raise ValueError(
                f"`public` tables must refer to public tables alone, got {key}. Remove {key.child!r} from `public`."
            )

        if len(key.columns) > 1 and key.parent in self.public and key.child not in self.public:
            raise ValueError(
                f"Links to `public` tables must have one column, got {key}, whose values would be drawn apart. Remove "
                f"{key.parent!r} from `public`, or add a column that identifies its rows."
            )

    @property
    def parents(self) -> dict[str, ForeignKey]:
        """The link of each child table to the parent whose rows its rows belong to."""
        found: dict[str, ForeignKey] = {}
        for key in self.foreign_keys:
            if key.parent not in self.public and key.child not in self.public:
                found.setdefault(key.child, key)
        return found

    @property
    def modelled(self) -> list[str]:
        """The tables that are modelled, each after all tables that it refers to."""
        left = {name: {k.parent for k in self.foreign_keys if k.child == name} for name in self.tables}
        found: list[str] = []
        while left:
            free = [name for name, others in left.items() if not others & left.keys()]
            found += free
            left = {name: others for name, others in left.items() if name not in free}
        return [name for name in found if name not in self.public]

    def ancestors(self, name: str) -> list[str]:
        """Return the parent of a table, the parent of that one, and so on up to the root."""
        found: list[str] = []
        parents = self.parents
        while name in parents:
            name = parents[name].parent
            found.append(name)
        return found

    def root(self, name: str) -> str:
        """Return the table without a parent to which a table belongs: itself, or its last ancestor."""
        return [name, *self.ancestors(name)][-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as values of JSON; tables in memory are named alone."""
        paths = {name: str(s) if isinstance(s, (str, Path)) else None for name, s in self.tables.items()}
        document: dict[str, Any] = {"tables": paths if any(paths.values()) else list(paths)}
        fields = {
            "primary_keys": {name: _plain(key) for name, key in self.primary_keys.items()},
            "foreign_keys": [
                [k.child, _plain(k.columns), k.parent, _plain(k.parent_columns)] for k in self.foreign_keys
            ],
            "order": dict(self.order),
            "unique": {name: _plain(columns) for name, columns in self.unique.items()},
            "public": list(self.public),
            "totals": [[part for part in total if part is not None] for total in self.totals],
            "schemas": {name: schema.to_dict() for name, schema in self.schemas.items()},
        }
        return {**document, **{name: value for name, value in fields.items() if value}}

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the metadata as YAML, and write it to `path` if given.

        Raises:
            DatasetError: The file cannot be written.
        """
        text = safe_yaml.dump(self.to_dict())
        if path is not None:
            filesystem.export(Path(path), text.encode())
        return text

    @classmethod
    def from_dict(cls, document: Any) -> Database:
        """Return the database that `to_dict` describes.

        Raises:
            SchemaError: The document does not describe a database.
        """
        if not isinstance(document, Mapping):
            raise SchemaError(f"A database must be a mapping with `tables`, got a {type(document).__name__}.")
        return cls(**{str(key): value for key, value in document.items()})

    @classmethod
    def from_yaml(cls, source: str | Path) -> Database:
        """Read the metadata from a YAML file, or from YAML text that has more than one line.

        Paths of tables in a file are relative to its folder.

        Raises:
            SchemaError: The source cannot be read or is not such metadata.
            FileNotFoundError: There is no such file.
        """
        try:
            if isinstance(source, str) and "\n" in source:
                return cls.from_dict(safe_yaml.load(source, MAX_VALUES))
            path = filesystem.local_path(source, "A database")
            document = safe_yaml.load(safe_yaml.read(path, MAX_BYTES), MAX_VALUES)
            return beside(cls.from_dict(document), path.parent)
        except ValueError as error:
            subject = "" if isinstance(error, SchemaError) else "A database "
            raise SchemaError(f"{subject}{error}") from error

    @classmethod
    def from_sdv(cls, metadata: Any, tables: Mapping[str, Any] | None = None) -> Database:
        """Return the database of SDV's metadata of several tables: primary keys, relationships and kinds of columns.

        Args:
            metadata: The JSON document as a mapping, the path of its file, or SDV's object.
            tables: The tables by name; None: they are passed to `fit`.

        Raises:
            SchemaError: It is not such metadata.
            FileNotFoundError: There is no such file.
        """
        from synthvae.schema import interchange

        return cls(**interchange.database_of_sdv(metadata, tables))

    @classmethod
    def infer(cls, tables: Mapping[str, Any]) -> Database:
        """Draft a database from its tables: keys that are unique, and columns that repeat them under their name.

        The draft is for review: `synthvae.schema.link_evidence.evidence` states why each link was drafted.

        Args:
            tables: The tables by name.

        Raises:
            TableError: A table cannot be read.
        """
        return cls(tables=dict(tables), **link_evidence.draft(tables))


def beside(database: Database, folder: Path) -> Database:
    """Return a database with paths of tables relative to a folder."""
    tables = {n: str(folder / path) if isinstance(path, str) else path for n, path in database.tables.items()}
    return database.model_copy(update={"tables": tables})


def _plain(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)
