"""What the report states besides figures and verdict: the tables, their columns, the model and the privacy ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from synthvae._version import __version__
from synthvae.evaluation.comparison import Comparison

ROLES = {"real": "training rows", "synthetic": "synthetic rows", "holdout": "holdout rows (real)"}
TERMS = {"budget": "epsilon budget", "unit": "protected unit", "adjacency": "neighbouring tables"}
GUARANTEE = ("epsilon", "delta", "budget", "unit", "adjacency", "accountant")  # in this order, then the rest
EXAMPLES = 4  # synthetic rows that the report shows
LONGEST = 40  # characters of a value of an example
MOST_COLUMNS = 60  # that are described


@dataclass(frozen=True)
class ReportMetadata:
    """What the report states besides figures and verdict.

    Args:
        rows: Numbers of rows, by role ("real", "synthetic", "holdout").
        columns: Number of compared columns.
        target: The column to be predicted.
        seed: The random seed.
        notes: What of the tables could not be compared, and why.
        ledger: `Ledger.statement()` of the model; None: no differential privacy guarantee.
        names: Names of the tables, by role.
        date: The day of the evaluation, as ISO 8601; None: unknown.
        model: Parameters of the model and results of its training, by name.
        description: The columns, see `description`.
    """

    rows: Mapping[str, int]
    columns: int
    target: str | None
    seed: int
    notes: tuple[str, ...] = ()
    ledger: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    date: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    description: pd.DataFrame | None = None

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield terms and values for the first screen."""
        if self.date is not None:
            yield "date", self.date
        for role, count in self.rows.items():
            name = self.names.get(role)
            yield ROLES[role], f"{count:,}" if name is None else f"{count:,} ({name})"
        yield "compared columns", f"{self.columns:,}"
        yield "target column", self.target or "none"
        yield "random seed", str(self.seed)
        yield "software", f"synthvae {__version__}"

    def guarantee(self) -> Iterator[tuple[str, Any]]:
        """Yield terms and values of the ledger, without its events."""
        ledger = self.ledger or {}
        others = [name for name in ledger if name not in {*GUARANTEE, "events"}]
        for name in (*GUARANTEE, *others):
            if name in ledger:
                yield TERMS.get(name, name), ledger[name]


def described(comparison: Comparison, synthetic: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each of the first columns: kind, share of missing training values, values of synthetic rows.

    Args:
        comparison: The compared tables.
        synthetic: Synthetic rows as they were given, without columns whose values identify real people (rows, columns).
    """
    first = synthetic.head(EXAMPLES).iloc[:, :MOST_COLUMNS]
    missing = comparison.real.isna().mean()
    names = [str(name) for name in first]
    kinds = {column.name: column.kind for column in (comparison.schema.columns if comparison.schema else ())}
    found = {
        "column": names,
        "kind": [kinds.get(name, "") for name in names],
        "missing": [f"{missing[name]:.1%}" if name in missing else "" for name in names],
    }
    rows = {f"row {k + 1}": [_value(first[name].iloc[k]) for name in first] for k in range(len(first))}
    return pd.DataFrame({**found, **rows})


def _value(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):  # noqa: PLR0124 (NaN)
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
