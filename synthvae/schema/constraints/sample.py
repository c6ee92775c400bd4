"""`Sample`: some rows of a table, prepared for the search of rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.errors import brief
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.constraints.comparable import labels, numbers, present, truths
from synthvae.schema.schema import Schema

SAMPLE_ROWS = 20_000
MAX_DISTINCT = 2_000  # values of a column that has combinations with others
ROWS_PER_VALUE = 10  # that it must have at least, on average

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_a-zA-Z]+")
GENERIC = frozenset(
    (
        *(
            "num",
            "number",
            "no",
            "nr",
            "of",
            "the",
            "to",
            "in",
            "on",
            "at",
            "for",
            "per",
            "and",
            "mean",
            "avg",
            "average",
        ),
        *("max", "min", "median", "total", "sum", "value", "val", "count", "cnt", "id", "code", "is", "has", "flag"),
        *("first", "last", "new", "old"),
    )
)  # words that say nothing of a unit
UNITS = frozenset(
    (
        *("second", "seconds", "sec", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month"),
        *(
            "months",
            "year",
            "years",
            "yr",
            "kg",
            "g",
            "mg",
            "cm",
            "mm",
            "m",
            "se",
            "sd",
            "std",
            "var",
            "percent",
            "pct",
        ),
        *("rate", "ratio", "share"),
    )
)  # words of which both columns of an inequality have the same


@dataclass(frozen=True)
class Sample:
    """Rows with numbers and codes of their values.

    Args:
        frame: The rows, as `comparable.frame_of` returns them.
        schema: The schema.
        numeric: Names of the columns of numbers that are not constant.
        numbers: Their values (n, numeric), NaN: missing.
        temporal: Names of the columns of dates that are not constant.
        times: Their microseconds (n, temporal), NaN: missing.
        discrete: Names of the columns of few distinct values.
        codes: Codes of their values (n, discrete), -1: missing.
        values: The value of each code, by column.
        rng: Source of shuffles.
    """

    __repr__ = brief

    frame: pd.DataFrame
    schema: Schema
    numeric: list[str]
    numbers: Floats
    temporal: list[str]
    times: Floats
    discrete: list[str]
    codes: Ints
    values: dict[str, list[object]]
    rng: np.random.Generator
    columns: dict[str, Column] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema, seed: int) -> Sample:
        """Prepare rows.

        Args:
            frame: The rows.
            schema: Their schema.
            seed: Seed of the shuffles.
        """
        columns = {column.name: column for column in schema.columns if column.name in frame}
        numeric, found = _matrix(frame, [n for n, c in columns.items() if c.kind in NUMERIC])
        temporal, times = _matrix(frame, [n for n, c in columns.items() if c.kind in TEMPORAL])
        discrete, codes, values = _coded(
            frame, [n for n, c in columns.items() if c.kind in {"categorical", "boolean", "integer"}]
        )
        rng = np.random.default_rng([seed, 1])
        return cls(frame, schema, numeric, found, temporal, times, discrete, codes, values, rng, columns)

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.frame)

    def missing(self) -> tuple[list[str], npt.NDArray[np.bool_]]:
        """The columns with missing and with present values, and which values (n, columns) are missing."""
        masks = {name: ~present(self.frame[name]) for name in self.columns}
        names = [name for name, mask in masks.items() if 0.005 < mask.mean() < 0.995]
        stacked = np.column_stack([masks[name] for name in names]) if names else np.empty((self.n, 0), bool)
        return names, stacked

    def flags(self) -> tuple[list[str], Floats]:
        """The columns of 0 and 1 without missing values, and their values (n, columns)."""
        names = [name for name in self.discrete if len(self.values[name]) == 2]
        found = {name: truths(self.frame[name]) for name in names}
        names = [name for name in names if np.isin(found[name], (0, 1)).all()]
        return names, np.column_stack([found[name] for name in names]) if names else np.empty((self.n, 0))


def _matrix(frame: pd.DataFrame, names: Sequence[str]) -> tuple[list[str], Floats]:
    """The columns of numbers or times that are not constant, and their values."""
    found = {name: numbers(frame[name]).astype(np.float64) for name in names}
    kept = [name for name, values in found.items() if len(np.unique(values[~np.isnan(values)])) > 1]
    return kept, np.column_stack([found[name] for name in kept]) if kept else np.empty((len(frame), 0))


def _coded(frame: pd.DataFrame, names: Sequence[str]) -> tuple[list[str], Ints, dict[str, list[object]]]:
    """The columns of few distinct values, the codes of their values and what they stand for."""
    kept, columns, values = [], [], {}
    for name in names:
        places, known = pd.factorize(labels(frame[name]))
        if 2 <= len(known) <= min(MAX_DISTINCT, len(frame) // ROWS_PER_VALUE):
            first = pd.Series(np.arange(len(places))).groupby(places).first()
            values[name] = [frame[name].iloc[first[code]] for code in range(len(known))]
            kept.append(name)
            columns.append(places.astype(np.int64))
    return kept, np.column_stack(columns) if columns else np.empty((len(frame), 0), np.int64), values


def words(name: str) -> frozenset[str]:
    """Return the words of a column's name, in lower case.

    >>> sorted(words("BPSysAve")), sorted(words("dst_host_count"))
    (['ave', 'bp', 'sys'], ['count', 'dst', 'host'])
    """
    return frozenset(word.lower() for word in WORDS.findall(name))


def share_words(first: str, second: str) -> bool:
    """Whether two names have a word in common that may state a unit, or one has all words of the other.

    >>> share_words("num_procedures", "num_visits"), share_words("count", "srv_count")
    (False, True)
    """
    one, other = words(first), words(second)
    if not one or not other or one & UNITS != other & UNITS:
        return False
    shared = {word for word in one & other if len(word) > 1} - GENERIC
    return bool(shared) or one <= other or other <= one


def shuffled_breaks(low: Floats, high: Floats) -> float:
    """Return the share of pairs of a value of one column and one of another that are in the wrong order.

    Args:
        low: Present values (n,) that are to be the smaller ones.
        high: Present values (m,) that are to be the larger ones.
    """
    ordered = np.sort(high)
    return float(np.searchsorted(ordered, low, side="left").mean() / max(len(ordered), 1))
