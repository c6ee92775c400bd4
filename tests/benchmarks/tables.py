"""The tables of the benchmarks and how each is split into a training and a test half.

Every table is split 80/20 by one permutation (seed 0), except where somebody else fixed the split (Adult) or where rows
of one patient would otherwise lie in both halves (diabetes130). A class with fewer than two training rows cannot be
learned by every generator (SMOTE needs a neighbour), so its rows leave both halves, and the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

TRAIN_SHARE = 0.8
SPLIT_SEED = 0
CLASS_ROWS = 2

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """A table: its file and target, the columns that are dropped, how it is split, which numbers are categories.

    The target is a class, unless it is a number to be predicted (`regression`).
    """

    name: str
    file: str
    target: str
    dropped: tuple[str, ...] = ()
    unit: str | None = None
    train_rows: int | None = None
    categorical: tuple[str, ...] = ()
    regression: bool = False


@dataclass(frozen=True)
class Split:
    """The two halves of a table and what was done to it on the way."""

    train: pd.DataFrame
    test: pd.DataFrame
    notes: list[str] = field(default_factory=list)


# No file carries a stray index ("Unnamed: 0"). What is dropped are keys: columns that number rows, patients or visits
# and that no generator should learn; and TBG, wholly missing, on which no distance between rows is defined.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("adult", "adult.csv.gz", "income", train_rows=32_561),
        Table("magic_gamma", "magic_gamma.csv.gz", "class"),
        Table("nist_acs_national2019", "nist_acs_national2019.csv.gz", "PINCP_DECILE"),
        Table(
            "diabetes130",
            "diabetes130.csv.gz",
            "readmitted",
            dropped=("encounter_id", "patient_nbr"),
            unit="patient_nbr",
        ),
        Table("support2", "support2.csv.gz", "hospdead"),
        Table(
            "default_credit",
            "default_credit.csv.gz",
            "default.payment.next.month",
            categorical=("SEX", "EDUCATION", "MARRIAGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"),
        ),
        Table("thyroid", "thyroid_hypothyroid.csv.gz", "Class", dropped=("TBG",)),
        Table("chronic_kidney", "chronic_kidney_disease.csv", "class"),
        Table("german", "german_credit.csv.gz", "risk"),
        Table("pima", "pima_diabetes.csv.gz", "diabetes"),
        Table("wdbc", "wdbc.csv", "Diagnosis", dropped=("ID Number",)),
        Table("nhanes_raw", "nhanes_raw.csv.gz", "Diabetes", dropped=("ID",)),
        Table("mammography", "mammography.csv.gz", "malignant"),
        Table("kdd99", "kdd99_10percent.csv.gz", "label"),
        Table("seoul_bike", "seoul_bike.csv", "Rented Bike Count", regression=True),
        Table(
            "covertype_15120",
            "covertype_15120.csv.gz",
            "Cover_Type",
            categorical=("Wilderness_Area", "Soil_Type", "Cover_Type"),
        ),
    )
}


def load(table: Table, data: Path) -> pd.DataFrame:
    """Read a table; only an empty field is missing, since "None" and "N" are values."""
    return pd.read_csv(data / table.file, keep_default_na=False, na_values=[""], low_memory=False)


def split(table: Table, data: Path, cap: int | None = None) -> Split:
    """Return the halves of a table, at most `cap` training rows of them, without the dropped columns."""
    whole = load(table, data)
    notes = [f"dropped columns: {', '.join(table.dropped)}"] if table.dropped else []
    rows = whole[whole[table.target].notna()].reset_index(drop=True)
    if len(rows) < len(whole):
        notes.append(f"{len(whole) - len(rows)} rows without a target are left out")
    first, second = _halves(table, rows)
    chosen = _capped(first, cap, ordered=table.train_rows is not None or table.unit is not None)
    if len(chosen) < len(first):
        notes.append(f"{len(chosen):,} of {len(first):,} training rows (capped)")
    kept = rows.drop(columns=list(table.dropped))
    train, test = kept.iloc[chosen], kept.iloc[second]
    if table.regression:
        return Split(train.reset_index(drop=True), test.reset_index(drop=True), notes)
    return _without_rare(table.target, train, test, notes)


def _halves(table: Table, rows: pd.DataFrame) -> tuple[Rows, Rows]:
    if table.train_rows is not None:
        order = np.arange(len(rows))
        return order[: table.train_rows], order[table.train_rows :]
    if table.unit is not None:
        return _halves_by_unit(rows[table.unit])
    order = np.random.default_rng(SPLIT_SEED).permutation(len(rows))
    edge = int(TRAIN_SHARE * len(rows))
    return order[:edge], order[edge:]


def _halves_by_unit(units: pd.Series) -> tuple[Rows, Rows]:
    """Split the units, so that no patient has rows in both halves."""
    codes, names = pd.factorize(units)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    inside = np.isin(codes, order[: int(TRAIN_SHARE * len(names))])
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def _capped(rows: Rows, cap: int | None, *, ordered: bool) -> Rows:
    """The first `cap` rows; where a file's own order was kept, as many of a permutation of them."""
    if cap is None or cap >= len(rows):
        return rows
    return np.random.default_rng(SPLIT_SEED).permutation(rows)[:cap] if ordered else rows[:cap]


def _without_rare(target: str, train: pd.DataFrame, test: pd.DataFrame, notes: list[str]) -> Split:
    """Drop the classes with fewer than two training rows from both halves."""
    counts = train[target].value_counts()
    common = set(counts.index[counts >= CLASS_ROWS])
    rare = sorted({str(label) for half in (train, test) for label in half[target].unique() if label not in common})
    if rare:
        notes = [*notes, f"classes with fewer than {CLASS_ROWS} training rows are left out: {', '.join(rare)}"]
    kept = [half[half[target].isin(common)].reset_index(drop=True) for half in (train, test)]
    return Split(kept[0], kept[1], notes)
