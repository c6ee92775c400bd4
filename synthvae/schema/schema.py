"""`Schema`: public knowledge of a table, namely its columns, their kinds and their possible values.

Nothing in a schema is derived from single rows, unless it is marked as inferred. `Schema.check` is called once for
every table that is not private; later code relies on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import pyarrow as pa
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictStr,
    ValidationError,
    model_validator,
)

from synthvae import filesystem, safe_yaml
from synthvae.errors import SchemaError, explain, listing
from synthvae.notebook import html_table
from synthvae.schema.column import DRAFTS, EVENTS, Column, Origin
from synthvae.schema.constraints import Rule
from synthvae.schema.constraints.consistency import contradictions, joined
from synthvae.schema.renamed import rename_document, rename_fields, warn_of_former
from synthvae.schema.values import plain_items

MAX_BYTES = 1 << 26  # of a YAML file
MAX_VALUES = 1_000_000  # in it


class Schema(BaseModel):
    """The columns of a table, in order. Operations return new schemas.

    Args:
        columns: The columns. The schema of a table that is not private may be partial: the columns of the table that it
            neither names nor drops are inferred.
        drop: Names of columns of the table that are left out.
        constraints: Rules between columns, such as `Inequality(columns=["birth", "admission"])`; see
            `synthvae.schema`. Rows of a training table that break one are refused, or repaired.
        inferred: Whether the schema was inferred from a table and not reviewed.
        declared: Names of those columns of an inferred schema that were declared afterwards.
        origin: "declared" by a person; "drafted from data"; a "reviewed draft", which was drafted and is no longer
            `inferred`; or "measured privately", with a part of a privacy budget. Writing and reading a schema keeps it.

    Raises:
        SchemaError: There is no column, or two have the same name, or one is dropped; or rules contradict each other
            or the columns.

    Example:
        >>> schema = Schema(columns=[Column(name="age", kind="integer", bounds=(0, 120))])
        >>> schema.names
        ['age']
        >>> Schema(columns=[Column(name="case", kind="id")], drop=["note"]).names  # all other columns are inferred
        ['case']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    drop: Annotated[tuple[StrictStr, ...], BeforeValidator(plain_items)] = ()
    constraints: Annotated[tuple[Rule, ...], BeforeValidator(plain_items)] = ()
    inferred: bool = False
    declared: tuple[StrictStr, ...] = ()
    origin: Origin = "declared"

    @model_validator(mode="before")
    @classmethod
    def _set_origin(cls, document: Any) -> Any:
        """A draft is a "reviewed draft" once a person has removed `inferred: true`."""
        if not isinstance(document, dict):
            return document
        if (document.get("drop") or document.get("constraints")) and "columns" not in document:
            document = {**document, "columns": ()}
        document = _without_stale(document)
        if not (document.get("inferred") or document.get("origin", "declared") in DRAFTS):
            return document
        inferred = bool(document.get("inferred")) and document.get("origin") != "reviewed draft"
        return {**document, "inferred": inferred, "origin": DRAFTS[0] if inferred else DRAFTS[1]}

    @model_validator(mode="after")
    def _validate(self) -> Self:
        names = self.names
        if not names and not self.drop and not self.constraints:
            raise ValueError("A schema must have at least one column, got none.")
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise ValueError(f"Column names must be distinct, got duplicates of {twice}.")
        if both := [name for name in self.drop if name in names]:
            raise ValueError(f"Columns in `drop` must not be in `columns`, got {listing(both)}. Remove them from one.")
        for column in self.columns:
            if column.subject is not None:
                self._check_subject(column.name, column.subject)
        self._check_durations()
        if found := contradictions(self.constraints, self, self.drop):
            raise ValueError(joined(found))
        return self

    def _check_subject(self, name: str, subject: str) -> None:
        """Refuse a subject that is no column, or that depends on a subject itself."""
        if subject not in self.names:
            raise ValueError(f"Column {name!r}: `subject` must be a column of the schema, got {subject!r}.")
        if self[subject].subject is not None:
            raise ValueError(f"Column {name!r}: `subject` must not depend on a subject itself, got {subject!r}.")

    def _check_durations(self) -> None:
        """Refuse several durations, and an event that is dropped or of another kind; it may be inferred."""
        durations = [column for column in self.columns if column.kind == "duration"]
        if len(durations) > 1:
            raise ValueError(
                f"A schema must have at most one column of kind duration, got {listing(c.name for c in durations)}. "
                "Declare the others as `kind: continuous`."
            )
        for column in durations:
            assert column.event is not None
            if column.event in self.drop:
                raise ValueError(f"Column {column.name!r}: `event` must not be dropped, got {column.event!r}. Keep it.")
            kind = self[column.event].kind if column.event in self.names else EVENTS[0]
            if kind not in EVENTS:
                raise ValueError(
                    f"Column {column.name!r}: `event` must have a kind of {listing(EVENTS)}, got {column.event!r} of "
                    f"kind {kind}. Declare its kind."
                )

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(explain(error, data)) from error
        except TypeError as error:  # the keys of a column become keywords, which must be text
            raise SchemaError(f"The keys of a column must be names ({error}).") from error

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @property
    def duration(self) -> Column | None:
        """The column of kind "duration"; None if there is none."""
        return next((column for column in self.columns if column.kind == "duration"), None)

    @classmethod
    def infer(cls, table: Any) -> Schema:
        """Infer the schema of a table; the result is marked as `inferred`.

        Args:
            table: What `synthvae.tables.convert.read` takes: a DataFrame, a pyarrow Table, a path, ...

        Raises:
            TableError: The table cannot be read, or columns have values of an unsupported type.
        """
        from synthvae.schema import problems
        from synthvae.tables import convert

        columns, found = problems.infer_supported(convert.read(table))
        problems.refuse(found)
        return cls(columns=columns, inferred=True)

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Self:
        """Return the schema of an Arrow schema: its types, nullability and dictionary types.

        The kind of text does not follow from its type: such columns are left out, and are inferred from the table.

        Args:
            schema: The Arrow schema.

        Raises:
            SchemaError: Columns have types that are not supported, or all columns are text.

        Example:
            >>> Schema.from_arrow(pa.schema([("age", pa.int64()), ("note", pa.string())])).names
            ['age']
        """
        from synthvae.schema import interchange

        return cls(columns=_plain(interchange.columns_of_arrow(schema)))

    @classmethod
    def from_pandera(cls, schema: Any) -> Self:
        """Return the schema of a pandera schema: dtypes, nullability, unique keys, and the checks `isin` and of ranges.

        Rules that are not taken over are warned of; columns whose kind does not follow, such as text, are left out, and
        are inferred from the table.

        Args:
            schema: A `DataFrameSchema`, or a `DataFrameModel` class.

        Raises:
            SchemaError: It is neither, or no kind follows from any column.
        """
        from synthvae.schema import interchange

        return cls(columns=_plain(interchange.columns_of_pandera(schema)))

    @classmethod
    def from_sdv(cls, metadata: Any, table: str | None = None) -> Self:
        """Return the schema of a table in SDV's metadata.

        Keys and personal data become ids, of which new ones are generated. Columns whose kind does not follow, such as
        numbers without `computer_representation`, are left out, and are inferred from the table.

        Args:
            metadata: The JSON document as a mapping, the path of its file, or SDV's object.
            table: The table, if the metadata has several.

        Raises:
            SchemaError: It is not such metadata, has no such table, or no kind follows from any column.
            FileNotFoundError: There is no such file.

        Example:
            >>> columns = {"case": {"sdtype": "id"}, "ward": {"sdtype": "categorical"}}
            >>> Schema.from_sdv({"columns": columns, "primary_key": "case"})["case"].kind
            'id'
        """
        from synthvae.schema import interchange

        return cls(columns=_plain(interchange.columns_of_sdv(metadata, table)))

    def __repr__(self) -> str:
        """Return the names and kinds of the columns, without their values."""
        columns = listing(f"{column.name}: {column.kind}" for column in self.columns)
        rules = f", constraints={list(map(str, self.constraints))}" if self.constraints else ""
        return f"Schema(columns={columns}, drop={listing(self.drop)}{rules}, origin={self.origin!r})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = [(column.name, column.kind, "yes" if column.nullable else "no") for column in self.columns]
        rest = [f"{len(self.constraints)} rules between columns."] * bool(self.constraints)
        rest += [f"Left out: {', '.join(self.drop)}."] * bool(self.drop)
        return html_table(
            f"Schema of {len(rows)} columns, {self.origin}", rows, ("column", "kind", "missing values"), " ".join(rest)
        )

    def declare(self, name: str, **changes: Any) -> Schema:
        """Return the schema with changed properties of one column.

        Args:
            name: The column.
            **changes: Fields of `Column`. If the kind changes, the other properties of the old kind are dropped.

        Raises:
            SchemaError: There is no such column, or its new properties contradict each other.

        Example:
            >>> schema = Schema(columns=[Column(name="sex", kind="integer", bounds=(0, 1))])
            >>> schema.declare("sex", kind="categorical")["sex"].bounds
        """
        if name not in self.names:
            raise SchemaError(f"Column {name!r} is not in the schema. Choose one of {listing(self.names)}.")
        old = self[name]
        fields, former = rename_fields({"name": name, **changes})
        warn_of_former(former, "Schema.declare")
        kept = old.model_dump(exclude_unset=True) if fields.get("kind", old.kind) == old.kind else {}
        new = {**kept, "nullable": old.nullable, **fields}
        columns = [new if column.name == name else column.model_dump() for column in self.columns]
        declared = (*self.declared, name) if self.inferred else ()
        return Schema(**{**dict(self), "columns": columns, "declared": declared})

    def check(self, table: pa.Table) -> pa.Table:
        """Return the schema's columns of `table`, in the schema's order, after validating their values and rules.

        Raises:
            TableError: A column is missing or unknown, a value violates its kind, categories or bounds, or rows break a
                rule; the message has the number of rows for each rule.
        """
        from synthvae.schema.constraints import checking

        checked = self.check_values(table)
        checking.refuse_broken(checked, self.constraints, self)
        return checked

    def check_values(self, table: pa.Table) -> pa.Table:
        """Return what `check` returns, without judging the rules, which some rows of a table do not show.

        Raises:
            TableError: A column is missing or unknown, or a value violates its kind, categories or bounds.
        """
        from synthvae.schema import validation

        return validation.check_table(self.columns, table)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the schema as YAML, and write it to `path` if given.

        Raises:
            DatasetError: The file cannot be written.
        """
        text = safe_yaml.dump(self.to_dict())
        if path is not None:
            filesystem.export(Path(path), text.encode())
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as values of JSON, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Schema:
        """Return the schema of a document that `to_dict` wrote, in this release or the one before.

        Raises:
            SchemaError: The document does not describe a schema.
        """
        return cls(**_current_document(document)[0])

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read a schema from a YAML file, or from YAML text that has more than one line.

        Raises:
            SchemaError: The source cannot be read, is not a schema, is longer than 64 MiB or a million values, or has
                aliases or duplicate keys; the message names the file.
            FileNotFoundError: There is no such file.
        """
        if isinstance(source, str) and "\n" in source:
            return cls._from_text(source, "schema")
        try:
            return cls._from_text(safe_yaml.read(filesystem.local_path(source, "A schema"), MAX_BYTES), str(source))
        except ValueError as error:
            subject = "" if isinstance(error, SchemaError) else "A schema "
            raise SchemaError(f"{source}: {subject}{error}") from error

    @classmethod
    def _from_text(cls, text: str, source: str) -> Schema:
        try:
            document = safe_yaml.load(text, MAX_VALUES)
        except ValueError as error:
            raise SchemaError(f"A schema {error}") from error
        fields, former = _current_document(document)
        warn_of_former(former, source, FutureWarning)  # unlike a DeprecationWarning, users of a program see it
        return cls(**fields)


def _without_stale(document: dict[str, Any]) -> dict[str, Any]:
    """A document of which `declared` names columns that are left, each once: a person may have removed one."""
    declared, columns = document.get("declared"), document.get("columns")
    if not isinstance(declared, (list, tuple)) or not isinstance(columns, (list, tuple)):
        return document
    if not all(isinstance(name, str) for name in declared):
        return document
    names = [c.get("name") if isinstance(c, Mapping) else getattr(c, "name", None) for c in columns]
    return {**document, "declared": tuple(name for name in dict.fromkeys(declared) if name in names)}


def _plain(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """The fields of columns, as the constructor of a schema takes them."""
    return [column.model_dump(exclude_unset=True) for column in columns]


def _current_document(document: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the document with current names of fields, and the former names found in it."""
    if not isinstance(document, Mapping):
        raise SchemaError(f"A schema must be a mapping with `columns`, got a {type(document).__name__}.")
    return rename_document({str(key): value for key, value in document.items()})
