"""Rules of a table by which known values of a row determine or limit others, for imputation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from synthvae.encoding.arrays import Floats
from synthvae.schema import Schema
from synthvae.schema.constraints import FixedCombinations, If, Inequality
from synthvae.schema.constraints.comparable import frame_of
from synthvae.schema.constraints.discovery import propose
from synthvae.schema.constraints.sample import Sample

LEAST_ROWS = 20  # with both numbers, for columns that are equal
FEW = 400  # rows in which all pairs of columns are compared
BREAKS = 0.05  # share of rows in which shuffled numbers differ


def with_determined(schema: Schema, table: pa.Table) -> Schema:
    """Return the schema with the rules by which values determine or limit others in all rows that have both.

    A network learns such rules from few rows only roughly: of two columns that code the same, neither would tell the
    other exactly.

    Args:
        schema: The schema.
        table: The rows, with missing values.
    """
    found = [proposal.constraint for proposal in propose(table, schema) if proposal.support == 1]
    found = [rule for rule in found if isinstance(rule, (FixedCombinations, If, Inequality))]
    for pair in _equal_columns(table, schema):
        found += [Inequality(columns=[*pair]), Inequality(columns=[*pair[::-1]])]
    return schema.model_copy(update={"constraints": (*schema.constraints, *found)})


def _equal_columns(table: pa.Table, schema: Schema) -> Iterator[tuple[str, str]]:
    """Pairs of columns of numbers, or of dates, that are equal wherever both have a value."""
    sample = Sample.of(frame_of(table, schema, schema.names), schema, 0)
    for names, values in ((sample.numeric, sample.numbers), (sample.temporal, sample.times)):
        for first, second in _equal_pairs(values, sample.rng):
            yield names[first], names[second]


def _equal_pairs(values: Floats, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Pairs of columns of `values` (rows, columns) whose equality is no chance; NaN: missing."""
    few = values[:FEW]
    for first, second in itertools.combinations(range(values.shape[1]), 2):
        if (np.abs(few[:, first] - few[:, second]) > 0).any():  # false where one is missing
            continue
        known = ~np.isnan(values[:, [first, second]]).any(1)
        numbers, others = values[known, first], values[known, second]
        same = len(numbers) >= LEAST_ROWS and np.array_equal(numbers, others)
        if same and (numbers != rng.permutation(numbers)).mean() >= BREAKS:
            yield first, second
