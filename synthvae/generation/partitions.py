"""Labels as names of folders, from which every reader gets them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from synthvae.errors import DatasetError, listing

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
LONGEST_NAME = 255  # bytes that every file system takes


def folder(column: str, label: Any) -> str:
    """The folder of the rows of a label, as Hive names it; never one beside or above the dataset."""
    return f"{_segment(column)}={_segment(label)}"


def _segment(value: Any) -> str:
    """A name or label in a folder's name: percent-encoded ASCII, never `.` or `..`, never hidden from readers."""
    text = quote(str(value), safe="").replace(".", "%2E")
    return f"%5F{text[1:]}" if text.startswith("_") else text


def check_labels(column: str, labels: Sequence[Any]) -> None:
    """Refuse labels that do not come back from names of folders.

    Raises:
        DatasetError: One is empty, too long, or taken for another, by readers or by a file system.
    """
    for label in labels:
        size = len(folder(column, label))
        if str(label) in ("", HIVE_NULL) or size > LONGEST_NAME:
            raise DatasetError(
                f"a label that names a folder must have 1 to {LONGEST_NAME} bytes, its column among them, "
                f"however, {str(label)[:40]!r} has {size}: leave out --partition"
            )
    numbers = [int(str(label)) for label in labels if str(label).lstrip("+-").isdecimal()]
    if len(set(numbers)) < len(numbers) == len(labels):
        raise DatasetError(
            "labels that name folders must differ as numbers, since readers take them for numbers, however, "
            f"{listing(map(str, labels), 5)} do not: leave out --partition"
        )
    seen: dict[str, Any] = {}
    for label in labels:
        other = seen.setdefault(folder(column, label).lower(), label)
        if other is not label:
            raise DatasetError(
                "labels that name folders must differ in more than case, since some file systems see no case, however, "
                f"{str(other)[:40]!r} and {str(label)[:40]!r} do not: leave out --partition"
            )
