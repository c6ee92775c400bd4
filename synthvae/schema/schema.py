"""Public knowledge of a table: which columns it has, of which kind, inside which bounds.

A schema says nothing that a data-protection officer could not read aloud. It is the one door: `Schema.check` is
called once on every table, and nothing behind it checks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    StrictStr,
    ValidationError,
    model_validator,
)

from synthvae import filesystem, safe_yaml
from synthvae.errors import SchemaError, explain, listing
from synthvae.schema.column import DRAFTS, Column, Origin
from synthvae.schema.renamed import rename_document, rename_fields, warn_of_former

LARGEST_PAGE = 1 << 26  # bytes of YAML
MOST_VALUES = 1_000_000  # in it


class Schema(BaseModel):
    """The columns of a table, in order. Operations return new schemas.

    Args:
        columns: The columns.
        inferred: Whether the schema was guessed from a table and reviewed by nobody.
        declared: The columns of an inferred schema that somebody has declared since.
        origin: Whether a person "declared" it, it was "drafted from data", or it is a "reviewed draft": one that is no
            longer `inferred`. A draft stays one when it is written and read. One that a privacy budget paid for was
            "measured privately".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    inferred: bool = False
    declared: tuple[StrictStr, ...] = ()
    origin: Origin = "declared"

    @model_validator(mode="before")
    @classmethod
    def _of_origin(cls, page: Any) -> Any:
        """A draft that is inferred was reviewed by nobody; one that is not, by somebody."""
        if not isinstance(page, dict) or not (page.get("inferred") or page.get("origin", "declared") in DRAFTS):
            return page
        inferred = bool(page.get("inferred")) and page.get("origin") != "reviewed draft"
        return {**page, "inferred": inferred, "origin": DRAFTS[0] if inferred else DRAFTS[1]}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = self.names
        if not names:
            raise ValueError("a schema must have at least one column, however, it has none")
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise ValueError(f"column names must be distinct, however, {twice} occur more than once")
        return self

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SchemaError(explain(error)) from error
        except TypeError as error:  # a column is asked for by keys such as 1
            raise SchemaError(f"keys of a column must be names, however, {error}") from error

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @classmethod
    def infer(cls, table: Any) -> Schema:
        """Guess the schema of `table` (anything that `synthvae.tables.convert.read` takes); it is marked `inferred`."""
        from synthvae.schema import inference
        from synthvae.tables import convert

        return cls(columns=inference.infer_columns(convert.read(table)), inferred=True)

    def declare(self, name: str, **changes: Any) -> Schema:
        """Return the schema with column `name` declared anew: `declare("SEX", kind="categorical")`.

        Facts of the old kind (bounds, categories, ...) are dropped when the kind changes.
        """
        if name not in self.names:
            raise SchemaError(
                f"a column declared must be in the schema, however, {name!r} is not among {listing(self.names)}"
            )
        old = self[name]
        kept = old.model_dump(exclude_unset=True) if changes.get("kind", old.kind) == old.kind else {"name": name}
        changes, former = rename_fields({"name": name, **changes})
        warn_of_former(former, "Schema.declare")
        new = {**kept, "nullable": old.nullable, **changes}
        columns = [new if column.name == name else column.model_dump() for column in self.columns]
        declared = (*self.declared, name) if self.inferred else ()
        return Schema(columns=columns, inferred=self.inferred, declared=declared, origin=self.origin)

    def check(self, table: pa.Table) -> pa.Table:
        """Return the schema's columns of `table`, in the schema's order, once they are found to obey it.

        Raises:
            TableError: A column is absent or unknown, or a value is outside its kind, categories or bounds.
        """
        from synthvae.schema import validation

        return validation.check_table(self.columns, table)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the schema as YAML, and write it to `path` if given.

        Raises:
            DatasetError: It cannot be written.
        """
        text = safe_yaml.dump(self.to_dict())
        if path is not None:
            filesystem.export(Path(path), text.encode())
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the schema in values that JSON and YAML have, without those that are defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Schema:
        """Return the schema that `to_dict` wrote, in this release or the one before.

        Raises:
            SchemaError: The document does not describe a schema.
        """
        return cls(**_current_document(document)[0])

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read a schema from a YAML file, or from YAML text that has more than one line.

        Raises:
            SchemaError: It cannot be read, is no schema, is longer than 64 MiB or a million values, or has aliases or a
                key twice; the message names the file.
            FileNotFoundError: There is no such file.
        """
        if isinstance(source, str) and "\n" in source:
            return cls._from_text(source, "schema")
        try:
            return cls._from_text(safe_yaml.read(Path(source), LARGEST_PAGE), str(source))
        except ValueError as error:
            raise SchemaError(f"{source}: {'' if isinstance(error, SchemaError) else 'a schema '}{error}") from error

    @classmethod
    def _from_text(cls, text: str, where: str) -> Schema:
        try:
            page = safe_yaml.load(text, MOST_VALUES)
        except ValueError as error:
            raise SchemaError(f"a schema {error}") from error
        document, former = _current_document(page)
        warn_of_former(former, where, FutureWarning)  # shown to the users of a program, too
        return cls(**document)


def _current_document(document: Any) -> tuple[dict[str, Any], list[str]]:
    """The document with current names of fields, and the former names found in it."""
    if not isinstance(document, Mapping):
        raise SchemaError(f"a schema must be a mapping with `columns`, got a {type(document).__name__}.")
    return rename_document({str(key): value for key, value in document.items()})
