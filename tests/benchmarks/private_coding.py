"""The public knowledge that all private generators share: a schema of about twenty bins a number, and codes by it.

The schema is made from the training rows and then taken for public, by every generator alike. It is so in no real use;
here it leaves nothing to compare but what is made of the codes. Coding and decoding are the package's own: a number is
drawn evenly from its bin, whoever chose the bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from halves import is_numeric, numbers_of
from tables import Table

from synthvae import Column, Schema
from synthvae.encoding import Codes, TableEncoding
from synthvae.schema.coercion import conform

BINS = 20
PILE = 0.05  # a value with such a share of the rows has a bin of its own
FEW = 24  # so has each value of a column that has no more
MOST_DECIMALS = 6
MOST_MARKS = 64  # text with more values that are no numbers is a category

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coding:
    """Rows to whole numbers and back, by public bins."""

    schema: Schema
    encoding: TableEncoding
    target: str

    @classmethod
    def of(cls, schema: Schema, target: str) -> Coding:
        """The coding that a schema says."""
        encoding = TableEncoding.declare(schema, target)
        if encoding.target is None or encoding.target.classes is None:
            raise ValueError(f"the target must be classes, however, {target!r} is a number")
        return cls(schema, encoding, target)

    @property
    def levels(self) -> dict[str, int]:
        """How many codes each column has; the target is the last."""
        return {**self._levels, self.target: self.encoding.conditions}

    @property
    def _levels(self) -> dict[str, int]:
        return dict(zip(self.encoding.layout.names, self.encoding.layout.levels, strict=True))

    def encode(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the codes of rows, a column for each."""
        codes = self.encoding.encode(conform(pa.Table.from_pandas(rows, preserve_index=False), self.schema))
        states = dict(zip(self._levels, self.encoding.layout.join(codes.digits), strict=True))
        return pd.DataFrame({**states, self.target: codes.labels})

    def decode(self, codes: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return rows with these codes."""
        digits = self.encoding.layout.split([codes[name].to_numpy(np.int64) for name in self._levels])
        labels = codes[self.target].to_numpy(np.int64)
        whole = Codes(digits, np.empty((len(codes), 0), np.float32), labels)
        rows: pd.DataFrame = self.encoding.decode(whole, np.random.default_rng(seed)).to_pandas()
        return rows


def public_schema(rows: pd.DataFrame, table: Table) -> Schema:
    """The schema of a table, of its training rows."""
    return Schema(columns=[_column(rows[name], table) for name in map(str, rows)])


def _column(values: pd.Series, table: Table) -> Column:
    name = str(values.name)
    nullable = bool(values.isna().any())
    if pd.api.types.is_bool_dtype(values):
        return Column(name=name, kind="boolean", nullable=nullable)
    if name not in {*table.categorical, table.target} and is_numeric(values, is_target=False):
        marks = _marks(values)
        if len(marks) <= MOST_MARKS:
            return Column(
                name=name, nullable=nullable, sentinels=marks, **_number(numbers_of(values).dropna().to_numpy())
            )
    categories = sorted(values.dropna().unique().tolist(), key=str)
    return Column(name=name, kind="categorical", categories=categories, nullable=nullable)


def _marks(values: pd.Series) -> tuple[str, ...]:
    """The values among the numbers that are none."""
    return tuple(sorted(values[numbers_of(values).isna() & values.notna()].unique().tolist()))


def _number(values: Floats) -> dict[str, Any]:
    """The kind, bounds, bins and decimals of a column of numbers."""
    low, high, decimals = values.min(), values.max(), _decimals(values)
    cuts = _cuts(values, decimals)
    cuts = cuts[(cuts > low) & (cuts <= high)]
    if decimals == 0:
        return {"kind": "integer", "bounds": (int(low), int(high)), "bins": tuple(cuts.astype(np.int64).tolist())}
    bounds = float(low), float(high)
    return {"kind": "continuous", "bounds": bounds, "bins": tuple(cuts.tolist()), "decimals": decimals}


def _decimals(values: Floats) -> int | None:
    """Digits after the point that all numbers carry; None for more than `MOST_DECIMALS`."""
    fits = (d for d in range(MOST_DECIMALS + 1) if np.allclose(values, values.round(d), rtol=0, atol=1e-9))
    return next(fits, None)


def _cuts(values: Floats, decimals: int | None) -> Floats:
    """Cuts around values that pile up, and quantiles of the others."""
    found, counts = np.unique(values, return_counts=True)
    piles = found if len(found) <= FEW else found[counts >= PILE * len(values)]
    rest = values[~np.isin(values, piles)]
    wanted = np.linspace(0, 1, max(BINS - len(piles), 2) + 1)[1:-1]
    between = np.quantile(rest, wanted) if len(rest) else rest
    digits = MOST_DECIMALS if decimals is None else decimals
    cuts = np.concatenate([between, piles, piles + 10.0**-digits])
    return np.unique(np.ceil(cuts) if decimals == 0 else np.round(cuts, digits))
