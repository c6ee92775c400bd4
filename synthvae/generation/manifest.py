"""The manifest of a dataset, as `Synthesizer.generate` returns it."""

from __future__ import annotations

from typing import Any

from synthvae.notebook import html_table


class Manifest(dict[str, Any]):
    """The content of `_manifest.json`, which a notebook shows as a table.

    >>> Manifest(rows=10, seed=3, parts=[{"file": "part-0.parquet", "rows": 10}])
    Manifest(rows=10, seed=3, parts=<1 values>)
    """

    def __repr__(self) -> str:
        """Return numbers and names; sizes in place of lists."""
        shown = {name: f"<{len(of)} values>" if isinstance(of, (dict, list)) else repr(of) for name, of in self.items()}
        return f"Manifest({', '.join(f'{name}={value}' for name, value in shown.items())})"

    def _repr_html_(self) -> str:
        classes = ", ".join(f"{label}: {rows:,}" for label, rows in (self.get("classes") or {}).items())
        rows = {
            "rows": self.get("rows"),
            "classes": classes or None,
            "columns": len(self["columns"]) if "columns" in self else None,
            "files": len(self["parts"]) if "parts" in self else None,
            "seed": None if self.get("seed") is None else str(self["seed"]),
            "differential privacy": "none" if self.get("ledger") is None else f"epsilon {self['ledger']['epsilon']:g}",
        }
        return html_table("Dataset", [(name, value) for name, value in rows.items() if value is not None])
