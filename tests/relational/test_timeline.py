"""The order column and dates: differences come back, and extremes of few subjects do not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synthvae.encoding import kinds
from synthvae.relational.limits import limited
from synthvae.relational.relative_dates import (
    Protected,
    Surroundings,
    from_differences,
    learn_relative,
    to_differences,
)
from synthvae.relational.sequences import Family
from synthvae.relational.timeline import Timeline, is_bound
from synthvae.schema import Schema
from synthvae.schema.column import Column


def table(days: list[int], lengths: list[int]) -> pa.Table:
    """Rows with a date, and one some days later."""
    start = np.datetime64("2020-01-01") + np.array(days)
    return pa.table({"from": pa.array(start), "to": pa.array(start + np.array(lengths))})


@pytest.mark.parametrize("seed", range(4))
def test_relative_dates_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days, lengths = rng.integers(0, 9000, 40).tolist(), rng.integers(0, 9, 40).tolist()
    real = table(days, lengths)
    protected = Protected(Schema.infer(real), real, lambda numbers: numbers)
    dates = learn_relative(real, protected, Surroundings(), None)
    encodings = {"from": kinds.learn(Column(name="from", kind="date"), real.column("from"))}
    coded = to_differences(real, dates, Surroundings(), encodings)  # type: ignore[arg-type]
    types = {field.name: field.type for field in real.schema}
    columns = {name: coded.column(name).combine_chunks() for name in coded.column_names}
    found = from_differences(columns, dates, Surroundings(), encodings, types, np.random.default_rng(0))  # type: ignore[arg-type]
    assert pa.table(found).equals(real)
    assert [date.base for date in dates] == ["from"]


def test_an_order_column_comes_back_from_its_codes() -> None:
    rng = np.random.default_rng(0)
    parents = np.repeat(np.arange(30), 4)
    numbers = 2000 + 40 * (parents % 7) + np.tile([0, 0, 3, 8], 30)
    rows = pa.table({"t": pa.array(numbers)})
    born = pa.table({"born": pa.array(1990 + 40 * (np.arange(30) % 7))})
    own, other = (kinds.learn(Column(name="x", kind="integer"), t.column(0)) for t in (rows, born))
    family = Family(parents, parents)
    timeline = Timeline.learn("t", own, rows, family, [(born, {"born": other})], [parents], lambda n: n)
    assert [anchor.column for anchor in timeline.anchors] == ["born"]
    (base,) = timeline.bases([born], [parents], 120)
    codes = timeline.timing_codes(numbers.astype(float), base, family, rng)
    way, drawn = timeline.way(base, family.places[:, 0] == 0), np.zeros(120)
    for row in range(120):
        before = base[row : row + 1] if family.places[row, 0] == 0 else drawn[row - 1 : row]
        one = codes[way[row]]
        part = type(one)(one.digits[row : row + 1], one.values[row : row + 1], one.labels[row : row + 1])
        drawn[row] = timeline.drawn(int(way[row]), part, before, rng)[0]
    np.testing.assert_array_equal(drawn, numbers)
    assert timeline.decode(drawn, pa.int64(), rng).to_pylist() == numbers.tolist()


def test_bounds_are_found_only_where_ranges_overlap() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 10, 100)
    assert is_bound(base * rng.random(100), base)
    assert not is_bound(base + rng.normal(0, 1, 100), base)
    assert not is_bound(base, base + 1000)


@pytest.mark.parametrize("least", [0, 3])
def test_extremes_of_few_subjects_are_limited(least: int) -> None:
    numbers = np.array([0.0, 5.0, 6.0, 7.0, 8.0, 99.0, np.nan])
    found = limited(numbers, np.arange(7), least)
    assert np.isnan(found[-1])
    assert (np.nanmin(found), np.nanmax(found)) == ((6.0, 7.0) if least else (0.0, 99.0))
