"""Section "integrity": whether the keys of synthetic tables are whole, and their rows in order."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae.evaluation.linked.key_places import key_codes, places_of
from synthvae.evaluation.linked.link_metrics import ORDERED, ORPHANS, REPEATED, REPEATED_KEYS
from synthvae.evaluation.linked.linked_rows import LinkedComparison, LinkedRows, Tables
from synthvae.evaluation.linked.sequences import figures_of
from synthvae.evaluation.results import Section
from synthvae.evaluation.thresholds import LEAST_KEPT
from synthvae.schema.database import Database
from synthvae.schema.link_evidence import MISSING, ORPHAN


def integrity(comparison: LinkedComparison, name: str) -> Section | None:
    """Measure keys that lead nowhere or repeat, and rows that are not in their order.

    Args:
        comparison: The tables.
        name: The table.

    Returns:
        The figures of `LINK_SECTIONS["integrity"]` that the table allows, the detail "keys" with one row for each of
        its links, and None if it has neither a key, nor a link, nor an order.
    """
    found, keys = _measure(comparison, name, "synthetic")
    best, real_keys = _measure(comparison, name, "holdout" if "holdout" in comparison.sides else "real")
    if best.get(ORDERED.name, 0.0) < LEAST_KEPT:  # the real rows are in no order either
        found.pop(ORDERED.name, None)
    figures = tuple(figures_of("integrity", found, best, {}))
    if not figures:
        return None
    details = {}
    if len(keys):
        both = {"orphans": real_keys["orphans"], "missing": real_keys["missing"]}
        details["keys"] = keys.assign(**{f"{column}_real": values for column, values in both.items()})
    return Section("integrity", figures, details, (), name)


def _measure(comparison: LinkedComparison, name: str, role: str) -> tuple[dict[str, float], pd.DataFrame]:
    database, tables = comparison.database, comparison.read[role]
    keys = _keys(database, name, tables)
    found = {ORPHANS.name: float(keys["orphans"].max()) if len(keys) else math.nan}
    if name in database.primary_keys and tables[name].num_rows:
        codes = key_codes(tables[name], database.primary_keys[name])
        found[REPEATED_KEYS.name] = float((pd.Series(codes).duplicated() | (codes < 0)).mean())
    rows = comparison.sides[role][name]
    if name in database.parents and len(rows):
        found[REPEATED.name] = _repeated(database, tables[name], rows, name)
        found[ORDERED.name] = _ordered(rows)
    return found, keys


def _keys(database: Database, name: str, tables: Tables) -> pd.DataFrame:
    """The shares of rows whose key leads to no row, and of rows without a key, for each link of a table."""
    lines = []
    for key in (key for key in database.foreign_keys if key.child == name):
        places = places_of(key, tables)
        needed = key == database.parents.get(name)
        lost = (places == ORPHAN) | (needed & (places == MISSING))
        missing = 0.0 if needed else float((places == MISSING).mean()) if len(places) else 0.0
        lines.append((str(key), float(lost.mean()) if len(places) else 0.0, missing))
    return pd.DataFrame(lines, columns=["link", "orphans", "missing"])


def _repeated(database: Database, table: pa.Table, rows: LinkedRows, name: str) -> float:
    """The share of rows equal to an earlier one of their parent in the columns that are declared as unique."""
    columns: Mapping[str, tuple[str, ...]] = database.unique
    if name not in columns:
        return math.nan
    frame = table.select(columns[name]).take(rows.source).to_pandas()
    return float(frame.assign(**{"\0parent": rows.parents}).duplicated().mean())


def _ordered(rows: LinkedRows) -> float:
    """The share of consecutive rows of a parent, as the table has them, whose order does not decrease."""
    order = np.lexsort((rows.source, rows.parents))
    parents, numbers = rows.parents[order], rows.numbers[order]
    steps = np.diff(numbers)[np.diff(parents) == 0]
    steps = steps[~np.isnan(steps)]
    return float((steps >= 0).mean()) if len(steps) else math.nan
