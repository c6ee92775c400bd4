"""The holdout of a recipe: rows of one unit stay together, and classes keep their shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.errors import ConfigurationError, TableError, listing
from synthvae.privacy.mechanisms import uniform
from synthvae.tables.arrow import are_classes
from synthvae.tables.subjects import units_of

MIN_TRAINING_ROWS = 2  # rows of a class that a fit needs
MIN_ROWS = 2  # rows of a table that an evaluation needs

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def hold_out(
    table: pa.Table, share: float, seed: int, *, by: str | None = None, target: str | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return training rows and holdout, each in the order of the table.

    Of each class of the target, `share` of its rows (or of its units, by the class of most of their rows) is held out;
    at least two remain for training.

    Args:
        table: The rows (N, columns).
        share: Share of the rows to hold out, between 0 and 1.
        seed: Seed of the draw.
        by: The column that identifies units, such as patients; a row without one is a unit. None: each row is one.
        target: The column whose classes keep their shares; continuous numbers do not.

    Raises:
        TableError: There is no such column.
        ConfigurationError: One side would have fewer than two rows.
    """
    units = _units(table, by)
    strata = _strata(table, units, target)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        many = min(round(share * len(members)), max(len(members) - MIN_TRAINING_ROWS, 0))
        held[rng.permutation(members)[:many]] = True
    held_rows = held[units]
    return _divide(table, held_rows, f"a share of {share:g} leaves {(~held_rows).sum()} and {held_rows.sum()}")


def hold_out_privately(
    table: pa.Table, share: float, seed: int | None = None, *, by: str | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return training rows and holdout such that neither depends on the presence of another unit.

    Each unit is held out by an independent Bernoulli draw from the operating system's entropy: an additional unit
    changes no other unit's draw, wherever its rows are, so that neighbouring tables (Dwork, Roth 2014, definition 2.4)
    stay neighbours. Draws that follow a public seed in the order of units would all change with one more unit, and
    exact shares, of all rows or of classes, depend on every unit.

    Args:
        table: The rows (N, columns).
        share: Probability that a unit is held out.
        seed: Ignored; present so that both functions have one signature.
        by: The column of the privacy unit. None: each row is one.

    Raises:
        TableError: There is no such column.
        ConfigurationError: One side would have fewer than two rows; the message does not reveal the numbers.
    """
    del seed
    units = _units(table, by)
    draws = uniform(int(units.max(initial=0)) + 1)
    held = (draws < share)[units]
    return _divide(table, held, f"a share of {share:g} leaves fewer")


def _units(table: pa.Table, by: str | None) -> Ints:
    """Return the unit of each row (N,), numbered by first occurrence; each row without one is a unit."""
    if by is None:
        return np.arange(table.num_rows)
    if by not in table.column_names:
        raise TableError(
            f"`split.unit` must be a column of the table, got {by!r}. Choose among {listing(table.column_names)}."
        )
    return units_of(table.column(by))


def _strata(table: pa.Table, units: Ints, target: str | None) -> Ints:
    """Return the class of each unit (units,); -1 without classes."""
    many = int(units.max(initial=-1)) + 1
    if target is None or target not in table.column_names or not _is_classes(table.column(target)):
        return np.full(many, -1)
    classes = pd.factorize(table.column(target).to_pandas())[0]
    counts = pd.DataFrame({"unit": units, "class": classes}).value_counts(sort=False).reset_index()
    most = counts.sort_values(["unit", "count", "class"]).drop_duplicates("unit", keep="last")
    return np.asarray(most.sort_values("unit")["class"], dtype=np.int64)


def _is_classes(values: pa.ChunkedArray) -> bool:
    kind: Any = values.type
    return not pa.types.is_floating(kind) and (not pa.types.is_integer(kind) or are_classes(values))


def _divide(table: pa.Table, held: Bools, few: str) -> tuple[pa.Table, pa.Table]:
    """Return both sides; `few` completes the error message if one has too few rows."""
    if min(held.sum(), (~held).sum()) < MIN_ROWS:
        raise ConfigurationError(
            f"`split.holdout` must leave at least {MIN_ROWS} rows on each side; {few}. Choose another share, or leave "
            "`split` out."
        )
    return table.filter(pa.array(~held)), table.filter(pa.array(held))
