"""Former names of a column's fields, accepted until the next release; then this module is to be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synthvae.errors import SchemaError, warn_user

MAX_NAME = 100  # characters of a column's name that a message repeats
FORMER = {"marks": "sentinels", "other": "other_category"}


def rename_fields(fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a column under their current names, and the former names that were among them.

    Raises:
        SchemaError: A field is given under both names.
    """
    former = [name for name in FORMER if name in fields]
    for name in former:
        if FORMER[name] in fields:
            raise SchemaError(
                f"Column {str(fields.get('name', ''))[:MAX_NAME]!r}: `{name}` is the former name of `{FORMER[name]}`; "
                f"both are given. Remove `{name}`."
            )
    return {FORMER.get(name, name): value for name, value in fields.items()}, former


def rename_document(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document of a schema with current names in all of its columns, and the former names found.

    Raises:
        SchemaError: A field is given under both names.
    """
    columns, found = document.get("columns"), dict[str, None]()
    if not isinstance(columns, list):
        return dict(document), []
    renamed = []
    for column in columns:
        fields, former = rename_fields(column) if isinstance(column, dict) else (column, [])
        renamed.append(fields)
        found |= dict.fromkeys(former)
    return {**document, "columns": renamed}, list(found)


def warn_of_former(names: Iterable[str], where: str, category: type[Warning] = DeprecationWarning) -> None:
    """Warn once for each former name, at the line outside this package that led to it."""
    for name in names:
        warn_user(f"{where}: `{name}` is now called `{FORMER[name]}`; the old name will be removed.", category)
