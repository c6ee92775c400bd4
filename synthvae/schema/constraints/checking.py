"""Rows of a training table that break the rules of its schema: counted batch by batch, and refused together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.errors import TableError
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.comparable import Columns, frame_of, labels
from synthvae.schema.constraints.rule import Constraint

MAX_STATED = 10  # rules that a message states


class Tally:
    """Counts the rows that break each rule, of a table that may come in several batches.

    Of rows that must be distinct, 64 bits of a hash are kept.

    Args:
        rules: The rules.
        columns: The schema of all columns.
    """

    def __init__(self, rules: Sequence[Constraint], columns: Columns) -> None:
        self.rules, self.columns = list(rules), columns
        self.rows = 0
        self.broken: list[int] = [0] * len(self.rules)
        self._hashes: dict[int, list[npt.NDArray[np.uint64]]] = {}

    def add(self, table: pa.Table) -> None:
        """Count the rows of a batch.

        Args:
            table: A batch with all columns of the rules.
        """
        self.rows += table.num_rows
        for place, rule in enumerate(self.rules):
            frame = frame_of(table, self.columns, rule.touches)
            if isinstance(rule, Unique):
                self._hashes.setdefault(place, []).append(hashed(frame))
            else:
                self.broken[place] += int((~rule.holds(frame, self.columns)).sum())

    def counts(self) -> list[int]:
        """Return the number of rows that break each rule."""
        found = list(self.broken)
        for place, parts in self._hashes.items():
            hashes = np.concatenate(parts)
            found[place] = len(hashes) - len(np.unique(hashes))
        return found

    def refuse(self, way_out: str = "") -> None:
        """Raise one error for all rules that rows break.

        Args:
            way_out: What can be done besides correcting the rows and removing the rules: a sentence after a space.

        Raises:
            TableError: There is one; the message has the number of rows for each.
        """
        broken = [(count, rule) for count, rule in zip(self.counts(), self.rules, strict=True) if count]
        if not broken:
            return
        shown = "; ".join(f"{count:,} break `{rule}`" for count, rule in broken[:MAX_STATED])
        rest = f"; and {len(broken) - MAX_STATED} more rules" if len(broken) > MAX_STATED else ""
        raise TableError(
            f"All rows must keep the rules of the schema, got {self.rows:,} rows of which {shown}{rest}. Drop or "
            f"correct these rows, or remove the rules from `constraints`.{way_out}"
        )


def refuse_broken(table: pa.Table, rules: Sequence[Constraint], columns: Columns, way_out: str = "") -> None:
    """Raise one error for all rules that rows of a table break.

    Args:
        table: The table.
        rules: The rules.
        columns: The schema of all columns.
        way_out: As of `Tally.refuse`.

    Raises:
        TableError: There is one.
    """
    if rules:
        tally = Tally(rules, columns)
        tally.add(table)
        tally.refuse(way_out)


def hashed(frame: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """Return 64 bits of a hash of the labels of each row without a missing value."""
    known: Any = pd.DataFrame({name: labels(frame[name]) for name in frame}).dropna()
    return np.asarray(pd.util.hash_pandas_object(known, index=False, categorize=True), np.uint64)
