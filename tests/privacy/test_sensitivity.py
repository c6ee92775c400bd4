"""One row more, of whatever value and at whatever place, moves exact counts by what their event says at most."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from guards import Draw, moved, watched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import PrivacyError
from synthvae.privacy import allocation, fit, ledger
from synthvae.privacy.counts import binning, histograms, schema_discovery
from synthvae.tables.parsing import distinct, plain


def texts(values: list[bytes | None]) -> pa.Array:
    """Texts of any bytes, as files may hold them."""
    return pa.array(values, pa.binary()).view(pa.string())


def coded(values: list[int | None]) -> pa.Array:
    """Texts by their places in a dictionary that holds one twice, and one that is no UTF-8."""
    return pa.DictionaryArray.from_arrays(pa.array(values, pa.int8()), texts([b"a", b"b", b"a", b"\xff"]))


FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e17, -1e17, 5e-324, 2.0**63, float("nan"), float("inf")])
INVALID = st.sampled_from([b"\xff", b"\xfe", b"a"])  # what is no UTF-8 is read as one and the same text
BYTES = INVALID | st.sampled_from([b"", b"7", b"07", b" 7", b"nan", b"-0.0", b"0.0", b"1e400", b"2020-01-01"])
KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[list[Any]], pa.Array]]] = {
    "doubles": (FLOATS, lambda values: pa.array(values, pa.float64(), from_pandas=False)),
    "singles": (st.floats(width=32), lambda values: pa.array(values, pa.float32(), from_pandas=False)),
    "integers": (st.integers(-(2**63), 2**63 - 1), lambda values: pa.array(values, pa.int64())),
    "unsigned": (st.integers(0, 2**64 - 1), lambda values: pa.array(values, pa.uint64())),
    "texts": (BYTES, texts),
    "invalid texts": (INVALID, texts),
    "dictionaries": (st.integers(0, 3), coded),
    "moments": (st.datetimes(), lambda values: pa.array(values, pa.timestamp("us"))),
    "truths": (st.booleans(), lambda values: pa.array(values, pa.bool_())),
}
COUNTS: dict[str, Callable[[pa.ChunkedArray], Any]] = {
    "sorts": lambda values: histograms.type_counts(pa.table({"x": values})),
    "by value": histograms.by_value,
    "by whole number": histograms.by_whole_number,
    "magnitudes": histograms.magnitudes,
    "years": histograms.years,
    "each": lambda values: histograms.integers(values, -3, 9),
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("counts", list(COUNTS))
@settings(max_examples=60)
@given(data=st.data())
def test_one_row_moves_counts_by_one(kind: str, counts: str, data: st.DataObject) -> None:
    """The rows of a unit are as many such rows."""
    strategy, as_array = KINDS[kind]
    rows = data.draw(st.lists(st.none() | strategy, max_size=12))
    odd, place = data.draw(st.none() | strategy), data.draw(st.integers(0, len(rows)))
    count = COUNTS[counts]
    before, after = (count(pa.chunked_array([as_array(some)])) for some in (rows, [*rows[:place], odd, *rows[place:]]))
    assert moved(before, after) <= 1


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_distinct_values_are_distinct_keys(kind: str, data: st.DataObject) -> None:
    strategy, as_array = KINDS[kind]
    rows = data.draw(st.lists(st.none() | strategy, max_size=20))
    known, places = distinct(plain(pa.chunked_array([as_array(rows)])))
    assert len(dict.fromkeys(known)) == len(known)
    assert len(places) == len(rows)
    assert set(places.tolist()) == set(range(len(known)))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_negative_zero_adds_to_the_count_of_zero(zero: float) -> None:
    values = pa.chunked_array([np.r_[zero, np.zeros(40), np.full(60, 1e17), -0.0]])
    assert {str(value): count for value, count in histograms.by_value(values).items()} == {"0.0": 42, "1e+17": 60}


# Whole fits: every exact count and sum of clipped gradients, under every strategy.

CAP = 2
COLUMNS = Schema(
    columns=[
        Column(name="who", kind="id"),
        Column(name="sex", kind="categorical", categories=["F", "M"], other_category="M"),
        Column(name="dose", kind="continuous", bounds=(0.0, 99.0), decimals=1),
        Column(name="age", kind="integer", bounds=(0, 120), sentinels=["N"]),
        Column(name="seen", kind="date", bounds=("2020-01-01", "2020-12-31")),
        Column(name="ill", kind="boolean", nullable=False),
    ]
)
WAYS: dict[str, dict[str, Any]] = {
    "tables": {"schema": COLUMNS, "strategy": "tables"},
    "gradients": {"schema": COLUMNS, "strategy": "gradients"},
    "discovery": {"schema": "private", "strategy": "tables"},
}
VALUES: list[Any] = [
    None, np.nan, 0.0, -0.0, 7, 2**63 + 5, 1e400, -3.5, "F", "M", "", " 7", "N", "\ud800", b"\xff", "2020-02-29", True,
    '"', "a\nb",
]  # fmt: skip
ODD_ROWS = st.lists(st.lists(st.sampled_from(VALUES), min_size=5, max_size=5), min_size=1, max_size=CAP + 2)


def people(rows: int) -> list[list[Any]]:
    """Rows of people with one or two, as Python objects."""
    rng = np.random.default_rng(0)
    return [
        [f"p{i // 2 if i % 4 else i}", rng.choice(["F", "M"]), float(rng.integers(0, 990) / 10), int(rng.integers(90)),
         f"2020-{rng.integers(1, 13):02}-11", bool(rng.integers(2))]
        for i in range(rows)
    ]  # fmt: skip


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing costs anything, so that noise is not calibrated, and no model is trained on drawn rows."""
    for module in (allocation, schema_discovery, binning):
        monkeypatch.setattr(module, "calibrated", lambda *_: 0.5)
    monkeypatch.setattr(ledger, "spent", lambda *_: 0.0)
    monkeypatch.setattr(fit, "train", lambda *_: SimpleNamespace(best_step=1, stopped="finished"))
    monkeypatch.setattr(fit, "DRAWN_ROWS", (50, 60))


def draws(rows: list[list[Any]], way: str, kept: list[Draw] | None, declared: int | None = 60) -> list[Draw]:
    """What a fit to rows releases."""
    budget = {"epsilon": 9.0, "delta": 1e-6, "unit": "who", "rows_per_unit": CAP, "rows": declared}
    small: dict[str, Any] = {"width": 4, "latent_dim": 1, "max_steps": 2, "batch_size": 60, "random_state": 0}
    frame = pd.DataFrame(rows, columns=COLUMNS.names, dtype=object)
    with watched(kept) as found:
        Synthesizer(target="ill", privacy=budget, **small, **WAYS[way]).fit(frame)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.usefixtures("cheap")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd=ODD_ROWS, places=st.lists(st.integers(0, 40), min_size=CAP + 2, max_size=CAP + 2))
def test_one_unit_moves_every_draw_of_a_fit_by_what_its_event_says(
    way: str, odd: list[list[Any]], places: list[int]
) -> None:
    """A unit of more rows than are used, too, of values of all types, at any places."""
    before = people(40)
    more = list(before)
    for values, place in zip(odd, places, strict=False):
        more.insert(place, ["odd", *values])
    with contextlib.suppress(PrivacyError):  # a target that nobody shares
        first = draws(before, way, None)
        second = draws(more, way, first)
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            allowed = one.event.sensitivity * one.times * (1 + 1e-5)
            assert moved(one.exact, other.exact) <= allowed, one.event.name


@pytest.mark.usefixtures("cheap")
def test_a_count_that_a_unit_moves_too_far_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard can fail: each row counts as often as there are rows."""
    right = binning._counted
    monkeypatch.setattr(binning, "_counted", lambda halves, children: len(halves) * right(halves, children))
    first = draws(people(40), "tables", None)
    second = draws([*people(40), ["odd", "F", 1.0, 1, None, True]], "tables", first)
    assert any(moved(a.exact, b.exact) > a.event.sensitivity * a.times for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("way", ["tables", "gradients"])
@pytest.mark.usefixtures("cheap")
def test_a_unit_of_many_rows_moves_the_number_of_rows_by_its_cap(way: str) -> None:
    """And all that follows from it."""
    before = people(40)
    more = [["odd", "F", 1.0, 1, "2020-01-01", True]] * 500 + before
    first = draws(before, way, None, declared=None)
    second = draws(more, way, first, declared=None)
    assert first[0].event.name == "number of rows"
    assert [one.event for one in first] == [other.event for other in second]
    for one, other in zip(first, second, strict=True):
        if one.event.sampling_rate == 1:  # the samples themselves are not recorded
            allowed = one.event.sensitivity * one.times * (1 + 1e-5)  # sums of gradients are in single precision
            assert moved(one.exact, other.exact) <= allowed, one.event.name
