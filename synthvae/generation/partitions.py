"""Labels as names of folders, from which readers of Parquet datasets restore them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from synthvae.errors import DatasetError, listing

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
LONGEST_NAME = 255  # bytes that every file system accepts


def folder(column: str, label: Any) -> str:
    """Return the folder of the rows of a label in the format of Hive; it never is outside of the dataset."""
    return f"{_segment(column)}={_segment(label)}"


def _segment(value: Any) -> str:
    """A name or label in the name of a folder: percent-encoded ASCII, never `.` or `..`, never a hidden file."""
    text = quote(str(value), safe="").replace(".", "%2E")
    return f"%5F{text[1:]}" if text.startswith("_") else text


def check_labels(column: str, labels: Sequence[Any]) -> None:
    """Refuse labels that readers cannot restore from the names of folders.

    Raises:
        DatasetError: A label is empty or too long, or a reader or a file system takes it for another.
    """
    for label in labels:
        size = len(folder(column, label))
        if str(label) in ("", HIVE_NULL) or size > LONGEST_NAME:
            raise DatasetError(
                f"A label that names a folder must have 1 to {LONGEST_NAME} bytes, including its column, got "
                f"{str(label)[:40]!r} with {size}. Omit --partition."
            )
    numbers = [int(str(label)) for label in labels if str(label).lstrip("+-").isdecimal()]
    if len(set(numbers)) < len(numbers) == len(labels):
        raise DatasetError(
            "Labels that name folders must differ as numbers, since readers parse them, got "
            f"{listing(map(str, labels), 5)}. Omit --partition."
        )
    names: dict[str, Any] = {}
    for label in labels:
        other = names.setdefault(folder(column, label).lower(), label)
        if other is not label:
            raise DatasetError(
                "Labels that name folders must differ in more than case, since some file systems ignore case, got "
                f"{str(other)[:40]!r} and {str(label)[:40]!r}. Omit --partition."
            )
