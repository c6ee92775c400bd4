"""Which real rows are held out: rows of one owner stay together, and classes keep their shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.errors import ConfigurationError, TableError
from synthvae.privacy.mechanisms import uniform
from synthvae.tables.arrow import are_classes, unit_numbers

FEWEST_LEARNED = 2  # rows of a class without which it cannot be learned
FEWEST = 2  # rows of a table that can be compared

Held = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


def hold_out(
    table: pa.Table, share: float, seed: int, *, by: str | None = None, target: str | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return the rows that are learned, and those that are held out, each in their order.

    Of each class of the target, `share` of its rows (or owners, by the class that most of their rows have) is held out;
    two at least are learned.

    Args:
        table: The rows (N, columns).
        share: How many of the rows are held out, between 0 and 1.
        seed: Of the draw.
        by: The column that says whose row it is; a row that is nobody's goes by itself. None: each row does.
        target: The column whose classes keep their shares; continuous numbers do not.

    Raises:
        TableError: There is no such column.
        ConfigurationError: On one side there would be less than two rows.
    """
    owners = _owners(table, by)
    strata = _strata(table, owners, target)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        many = min(round(share * len(members)), max(len(members) - FEWEST_LEARNED, 0))
        held[rng.permutation(members)[:many]] = True
    held_rows = held[owners]
    return _parted(table, held_rows, f"a share of {share:g} leaves {(~held_rows).sum()} and {held_rows.sum()}")


def hold_out_privately(
    table: pa.Table, share: float, seed: int | None = None, *, by: str | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return the rows that are learned, and those that are held out, where neither may tell of one owner's presence.

    Each owner is held out by a coin of its own, from the operating system's entropy: one owner more changes nothing
    about the coins of others, wherever its rows stand, so that tables that were neighbours (Dwork, Roth 2014,
    definition 2.4) still are. Coins that follow a public seed by the order of owners would all move with one more of
    them, and exact shares, of all rows or of classes, depend on everybody.

    Args:
        table: The rows (N, columns).
        share: The chance to be held out.
        seed: Has no say in it; there so that both ways to hold out are called alike.
        by: The unit of the privacy budget; None: each row is one.

    Raises:
        TableError: There is no such column.
        ConfigurationError: On one side there would be less than two rows; how many there are is not told.
    """
    del seed
    owners = _owners(table, by)
    coins = uniform(int(owners.max(initial=0)) + 1)
    held = (coins < share)[owners]
    return _parted(table, held, f"a share of {share:g} does not")


def _owners(table: pa.Table, by: str | None) -> Numbers:
    """Whose each row is (N,), numbered as they first occur; rows that are nobody's have a number each."""
    if by is None:
        return np.arange(table.num_rows)
    if by not in table.column_names:
        raise TableError(f"rows are split by a column of the table, however, there is no {by!r}: name one that is")
    numbers = unit_numbers(table.column(by))
    nobody = numbers < 0
    numbers[nobody] = numbers.max(initial=-1) + 1 + np.arange(nobody.sum())
    return numbers


def _strata(table: pa.Table, owners: Numbers, target: str | None) -> Numbers:
    """The class of each owner (owners,); -1 where there are no classes."""
    many = int(owners.max(initial=-1)) + 1
    if target is None or target not in table.column_names or not _is_classes(table.column(target)):
        return np.full(many, -1)
    classes = pd.factorize(table.column(target).to_pandas())[0]
    seen = pd.DataFrame({"owner": owners, "class": classes}).value_counts(sort=False).reset_index()
    most = seen.sort_values(["owner", "count", "class"]).drop_duplicates("owner", keep="last")
    return np.asarray(most.sort_values("owner")["class"], dtype=np.int64)


def _is_classes(values: pa.ChunkedArray) -> bool:
    kind: Any = values.type
    return not pa.types.is_floating(kind) and (not pa.types.is_integer(kind) or are_classes(values))


def _parted(table: pa.Table, held: Held, few: str) -> tuple[pa.Table, pa.Table]:
    """Both sides; `few` is the fact where one has too few rows."""
    if min(held.sum(), (~held).sum()) < FEWEST:
        raise ConfigurationError(
            f"`split.holdout` must leave at least {FEWEST} rows on each side, however, {few}: choose another share, or "
            "leave `split` out"
        )
    return table.filter(pa.array(~held)), table.filter(pa.array(held))
