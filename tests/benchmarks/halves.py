"""The real halves and synthetic tables, read and brought to one form, so that only what differs in meaning counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FLOOR = "FLOOR"  # the real test rows, judged as if synthetic; nothing is fitted
FEW_CLASSES = 20  # a numeric target with at most as many values is one of classes
MANY_NUMBERS = 50  # text with more distinct numbers than this is a column of numbers beside marks such as "N"


@dataclass(frozen=True)
class Halves:
    """The real rows, brought to one form, the names of the numeric columns, and the target."""

    train: pd.DataFrame
    test: pd.DataFrame
    numeric: frozenset[str]
    target: str

    @classmethod
    def read(cls, train: Path, test: Path, target: str, categorical: Collection[str] = ()) -> Halves:
        """Read both halves; TRAIN decides which columns are numeric, but `categorical` ones are not."""
        real = read(train)
        candidates = [name for name in map(str, real) if name not in categorical]
        numeric = frozenset(name for name in candidates if is_numeric(real[name], is_target=name == target))
        return cls(aligned(real, real, numeric), aligned(real, read(test), numeric), numeric, target)

    def synthetic(self, path: str) -> pd.DataFrame:
        """Read synthetic rows in the same form; FLOOR is the test half."""
        return self.test if path == FLOOR else aligned(self.train, read(Path(path)), self.numeric)


def read(path: Path) -> pd.DataFrame:
    """Read Parquet or CSV; only an empty field is missing."""
    if path.is_dir() or path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)


def is_numeric(column: pd.Series, *, is_target: bool) -> bool:
    """Whether a column is judged as numbers: also text that is mostly many distinct numbers."""
    if pd.api.types.is_bool_dtype(column) or (is_target and column.nunique() <= FEW_CLASSES):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.nunique() > MANY_NUMBERS and numbers.notna().sum() >= 0.5 * column.notna().sum()


def aligned(train: pd.DataFrame, other: pd.DataFrame, numeric: frozenset[str]) -> pd.DataFrame:
    """Return `other` with TRAIN's columns in its order: numbers as floats, the rest as text, missing kept."""
    absent = [name for name in train if name not in other]
    if absent:
        raise ValueError(f"a synthetic table must have the columns of the real one, however, {absent} are missing")
    columns = {}
    for name in train:
        column = other[name].reset_index(drop=True)
        columns[name] = numbers_of(column) if name in numeric else text_of(column)
    return pd.DataFrame(columns)


def numbers_of(column: pd.Series) -> pd.Series:
    """A column as floats; what is no number is missing."""
    return pd.to_numeric(column, errors="coerce").astype(float)


def text_of(column: pd.Series) -> pd.Series:
    """A column as text in one spelling."""
    values = column.astype(object)
    return values.map(spelling).where(values.notna(), np.nan)


def spelling(value: object) -> str:
    """The one spelling of a category: 1, 1.0, "1" and "1.0" are the same, True and "True" too."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text
