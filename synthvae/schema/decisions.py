"""What a person decides about columns; everything else is inferred from a table that is not private."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from synthvae.errors import ConfigurationError, TableError
from synthvae.schema import inference, problems
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.constraints import consistency
from synthvae.schema.identifiers import find_identifier
from synthvae.schema.interchange import fields_of_datetime
from synthvae.schema.schema import Schema


def complete(given: Schema | None, table: pa.Table, target: str | None = None, unit: str | None = None) -> Schema:
    """Return a schema of all columns of a table that is not private: those that `given` does not name are inferred.

    Args:
        given: The schema, which may be partial; it is returned as it is if it names all columns.
        table: The table, without the columns that the schema drops.
        target: The target, which may have text that does not repeat.
        unit: The column of subjects, which is an id unless the schema says otherwise.

    Raises:
        TableError: Columns that are to be inferred have values of an unsupported type, or text that does not repeat.
            The message names all of them.
        SchemaError: A rule is on a column that the table does not have, or does not fit an inferred one.
    """
    if unit is not None and (given is None or given.inferred or unit not in given.names):
        given = with_kind(given, unit, kind="id")
    schema, found = _completed(given, table)
    named = set() if given is None else set(given.names)
    columns = [] if schema is None else schema.columns
    rest = [column for column in columns if column.name not in named]
    found |= problems.identifying(rest, table, target) | problems.open_formats(columns)
    places = {name: place for place, name in enumerate(table.column_names)}
    problems.refuse(dict(sorted(found.items(), key=lambda item: places.get(item[0], len(places)))), problems.DECLARE)
    assert schema is not None
    consistency.refuse(consistency.unknown_columns(schema.constraints, schema))
    return schema


def draft(given: Schema | None, table: pa.Table) -> Schema:
    """Return the schema of all columns of a table for review; text that does not repeat is drafted as an id.

    Raises:
        TableError: Columns that are to be inferred have values of an unsupported type. The message names all of them.
    """
    schema, found = _completed(given, table)
    problems.refuse(found)
    assert schema is not None
    consistency.refuse(consistency.unknown_columns(schema.constraints, schema))
    return schema


def _completed(given: Schema | None, table: pa.Table) -> tuple[Schema | None, dict[str, str]]:
    """The completed schema, if it has a column, and the problems of columns that it lacks."""
    named = [] if given is None else given.names
    rest = [name for name in table.column_names if name not in named]
    if given is not None and not rest and named:
        return given, {}
    inferred, found = problems.infer_supported(table.select(rest))
    by_name = {column.name: column for column in (*(given.columns if given else ()), *inferred)}
    order = [name for name in table.column_names if name in by_name]
    order += [name for name in named if name not in table.column_names]
    if not order:
        return None, found
    declared = () if given is None else given.declared if given.inferred else tuple(named)
    stated = {} if given is None else {"drop": given.drop, "constraints": given.constraints}
    return Schema(columns=[by_name[name] for name in order], inferred=True, declared=declared, **stated), found


@dataclass(frozen=True)
class Decisions:
    """Kinds of single columns, as the options of the command line declare them.

    Args:
        ids: Columns of ids: new ids are generated.
        categorical: Columns of categories.
        drop: Columns that are left out.
        dates: Columns of dates or datetimes, each as NAME, or NAME=FORMAT with a format of `strptime`.
        fakes: Columns of fake values, each as NAME=PROVIDER, or NAME where names and values say what they are.
    """

    ids: Sequence[str] = ()
    categorical: Sequence[str] = ()
    drop: Sequence[str] = ()
    dates: Sequence[str] = ()
    fakes: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any((self.ids, self.categorical, self.drop, self.dates, self.fakes))

    def apply(self, given: Schema | None, names: Sequence[str], table: pa.Table | None = None) -> Schema | None:
        """Return a schema with the decisions, which take precedence over those of `given`.

        Args:
            given: The schema, which may be partial.
            names: The columns of the table.
            table: Some of its rows, unless it is private: a date that is stated without a format may be a datetime.

        Raises:
            TableError: A column is not in the table.
            ConfigurationError: A column is named twice.
        """
        if not self:
            return given
        self._refuse_twice(names)
        changes = dict(self._changes(names, table))
        schema = with_columns(given, changes, names)
        return _without_columns(schema, self.drop) if self.drop else schema

    def _changes(self, names: Sequence[str], table: pa.Table | None) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from ((name, {"kind": "id"}) for name in self.ids)
        yield from ((name, {"kind": "categorical"}) for name in self.categorical)
        for text in self.dates:
            name, form = _split(text, names)
            yield name, dict(fields_of_datetime(form)) if form else _temporal_fields(name, table)
        for text in self.fakes:
            name, provider = _split(text, names)
            yield name, {"kind": "fake", "provider": provider or _provider(name, table)}

    def _refuse_twice(self, names: Sequence[str]) -> None:
        """Refuse columns that are not in the table, and those with two decisions; the same one may be repeated."""
        options = {"--id": self.ids, "--categorical": self.categorical, "--drop": self.drop}
        options |= {"--date": self.dates, "--fake": self.fakes}
        made: dict[str, list[str]] = {}
        for option, texts in options.items():
            for text in dict.fromkeys(texts):
                stated = option in {"--date", "--fake"}
                made.setdefault(_split(text, names)[0] if stated else text, []).append(f"{option} {text}")
        problems.refuse_unknown(list(made), names)
        twice = [f"{name!r} in {' and '.join(map(repr, found))}" for name, found in made.items() if len(found) > 1]
        if twice:
            raise ConfigurationError(f"A column must have one decision, got {'; '.join(twice)}. Keep one of them.")


def _split(text: str, names: Sequence[str]) -> tuple[str, str]:
    """A column and what is stated behind its name and an equals sign."""
    name, _, stated = (text, "", "") if text in names else text.partition("=")
    return name, stated


def _provider(name: str, table: pa.Table | None) -> str:
    """The provider of Faker that makes values such as those of a column."""
    found = None
    if table is not None and name in table.column_names:
        found = find_identifier(name, table.column(name))
    if found is None or found.provider is None:
        raise ConfigurationError(
            f"`--fake` needs a provider of Faker for the column {name!r}, got none. State one, such as "
            f"{problems.flag('fake', f'{name}=name')} or `=email`, `=phone_number`, `=address`."
        )
    return found.provider


def _temporal_fields(name: str, table: pa.Table | None) -> dict[str, Any]:
    """The kind of a column of dates or datetimes, and its written form if inference recognises it."""
    if table is not None and name in table.column_names:
        try:
            (found,) = inference.infer_columns(table.select([name]).rename_columns(["date"]))  # whatever its name
        except TableError:
            return {"kind": "date"}
        if found.kind in TEMPORAL:
            return found.model_dump(exclude_defaults=True, exclude={"name", "bounds", "nullable"})
    return {"kind": "date"}


def with_kind(schema: Schema | None, name: str, **fields: Any) -> Schema:
    """Return a schema that declares the fields of a column, which it may not have yet."""
    changed = with_columns(schema, {name: fields}, [])
    assert changed is not None
    return changed


def with_columns(schema: Schema | None, changes: Mapping[str, dict[str, Any]], names: Sequence[str]) -> Schema | None:
    """Return a schema that declares the fields of columns, which it may not have yet.

    Args:
        schema: The schema, which may be partial.
        changes: The fields of columns, by name.
        names: The columns of the table, in whose order the columns of a partial schema are.
    """
    known = set() if schema is None else set(schema.names)
    new = [Column(name=name, **fields) for name, fields in changes.items() if name not in known]
    if new:
        columns = [*(schema.columns if schema is not None else ()), *new]
        places = {name: place for place, name in enumerate(names)}
        columns.sort(key=lambda column: places.get(column.name, len(places)))
        stated = {} if schema is None else dict(schema)
        if stated.get("inferred"):
            stated["declared"] = (*stated["declared"], *(column.name for column in new))
        schema = Schema(**{**stated, "columns": [c.model_dump(exclude_unset=True) for c in columns]})
    for name, fields in changes.items():
        if schema is not None and name in known:
            schema = schema.declare(name, **fields)
    return schema


def _without_columns(schema: Schema | None, names: Sequence[str]) -> Schema:
    if schema is None:
        return Schema(drop=list(dict.fromkeys(names)))
    columns = [column.model_dump() for column in schema.columns if column.name not in names]
    declared = [name for name in schema.declared if name not in names]
    drop = dict.fromkeys((*schema.drop, *names))
    return Schema(**{**dict(schema), "columns": columns, "declared": declared, "drop": list(drop)})
