"""What a model was learned from and with: how many rows, how many of them with gaps, which versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Self

from synthvae._version import __version__


def versions() -> dict[str, str]:
    """Return the versions of what a model hangs on."""
    return {"synthvae": __version__, **{name: metadata.version(name) for name in ("torch", "pyarrow")}}


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Args:
        rows: How many rows were learned; None: nobody may know.
        missing: The share of missing values of each column that has any; None: nobody may know.
        versions: What it was learned with.
    """

    rows: int | None = None
    missing: dict[str, float] | None = None
    versions: dict[str, str] = field(default_factory=versions)

    @classmethod
    def of(cls, rows: int, missing: Mapping[str, int]) -> Self:
        """Return that of a table whose rows are not private: how many there are, and how many values are missing."""
        return cls(rows, {name: count / rows for name, count in missing.items() if count})

    @property
    def facts(self) -> dict[str, Any]:
        """What may be told of the rows, for people."""
        told = {"rows": self.rows, "missing": self.missing}
        return {name: value for name, value in told.items() if value is not None}

    def page(self) -> dict[str, Any]:
        """What a model's page says of it."""
        return {"versions": self.versions, "table": self.facts}

    @classmethod
    def from_page(cls, page: Mapping[str, Any]) -> Self:
        """The inverse of `page`; models of early releases say nothing of their table.

        Raises:
            TypeError, ValueError, OverflowError: The page does not say such things.
        """
        told = dict(page.get("table") or {})
        rows, missing = told.get("rows"), told.get("missing")
        shares = None if missing is None else {str(name): float(share) for name, share in dict(missing).items()}
        known = {str(name): str(version) for name, version in dict(page.get("versions") or {}).items()}
        return cls(None if rows is None else int(rows), shares, known)
