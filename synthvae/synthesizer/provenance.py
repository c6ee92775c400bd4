"""The provenance of a model: numbers of training rows and missing values, and versions of libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Self

from synthvae._version import __version__
from synthvae.errors import brief


def versions() -> dict[str, str]:
    """Return the versions of the libraries on which a fitted model depends."""
    return {"synthvae": __version__, **{name: metadata.version(name) for name in ("torch", "pyarrow")}}


@dataclass(frozen=True)
class Provenance:
    """The training rows of a model, and the libraries with which it was fitted.

    Args:
        rows: The number of training rows; None if it is private.
        missing: The share of missing values of each column that has any; None if it is private.
        versions: The versions of the libraries.
        protection: What was protected, see `synthvae.schema.protection.Protection.summary`; None: nothing.
        weighted_by: The column of the weights of the rows; None: all weigh the same.
    """

    __repr__ = brief

    rows: int | None = None
    missing: dict[str, float] | None = None
    versions: dict[str, str] = field(default_factory=versions)
    protection: dict[str, Any] | None = None
    weighted_by: str | None = None

    @classmethod
    def of(
        cls,
        rows: int,
        missing: Mapping[str, int],
        protection: dict[str, Any] | None = None,
        weighted_by: str | None = None,
    ) -> Self:
        """Return that of a table that is not private, from its numbers of rows and of missing values per column."""
        shares = {name: count / rows for name, count in missing.items() if count}
        return cls(rows, shares, protection=protection, weighted_by=weighted_by)

    @property
    def table(self) -> dict[str, Any]:
        """What is public about the training rows."""
        fields = {
            "rows": self.rows,
            "missing": self.missing,
            "protection": self.protection,
            "weighted_by": self.weighted_by,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"versions": self.versions, "table": self.table}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Models of early releases have neither key.

        Raises:
            TypeError, ValueError, OverflowError: A value has the wrong type.
        """
        table = dict(document.get("table") or {})
        rows, missing, weighted_by = table.get("rows"), table.get("missing"), table.get("weighted_by")
        shares = None if missing is None else {str(name): _share(share) for name, share in dict(missing).items()}
        known = {str(name): str(version) for name, version in dict(document.get("versions") or {}).items()}
        return cls(
            None if rows is None else _whole(rows),
            shares,
            known,
            checked_summary(table.get("protection")),
            None if weighted_by is None else str(weighted_by),
        )


def _whole(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError(f"a number of rows must be a whole number of at least 0, got {given!r:.60}")
    return given


def _share(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise ValueError(f"a share of missing values must be a number from 0 to 1, got {given!r:.60}")
    return float(given)


def checked_summary(given: Any) -> dict[str, Any] | None:
    """Return a summary of protection from JSON.

    Raises:
        TypeError, ValueError, KeyError: It is none.
    """
    if given is None:
        return None
    counts = {str(n): {str(key): _whole(c) for key, c in dict(of).items()} for n, of in dict(given["columns"]).items()}
    unit = given.get("unit")
    return {"least": _whole(given["least"]), "unit": None if unit is None else str(unit), "columns": counts}
