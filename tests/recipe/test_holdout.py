"""Rows held out: nobody is on both sides, classes keep their shares, and under privacy no row moves another."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.errors import ConfigurationError, TableError
from synthvae.recipe import holdout
from synthvae.recipe.holdout import hold_out, hold_out_privately
from synthvae.tables.arrow import unit_numbers

TABLES = st.integers(4, 80).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from("abc"), min_size=n, max_size=n),
        st.lists(st.integers(0, 9) | st.none(), min_size=n, max_size=n),
    )
)


def as_table(columns: tuple[list[str], list[int | None]]) -> pa.Table:
    labels, owners = columns
    return pa.table({"row": np.arange(len(labels)), "label": labels, "owner": pa.array(owners, pa.int64())})


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(columns=TABLES, share=st.floats(0.05, 0.95), seed=st.integers(0, 9), by=st.sampled_from([None, "owner"]))
def test_a_split_parts_the_rows_and_no_owner(
    columns: tuple[list[str], list[int | None]], share: float, seed: int, by: str | None
) -> None:
    table = as_table(columns)
    for split in (partial(hold_out, target="label"), hold_out_privately):
        try:
            learned, held = split(table, share, seed, by=by)
        except ConfigurationError:
            continue
        assert sorted(learned["row"].to_pylist() + held["row"].to_pylist()) == list(range(table.num_rows))
        assert learned["row"].to_pylist() == sorted(learned["row"].to_pylist())
        if by:
            assert not (set(learned[by].to_pylist()) & set(held[by].to_pylist())) - {None}
        again = split(table, share, seed, by=by) if split is not hold_out_privately else (learned, held)
        assert learned.equals(again[0])
        assert held.equals(again[1])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(columns=TABLES, share=st.floats(0.05, 0.95))
def test_classes_keep_their_shares(columns: tuple[list[str], list[int | None]], share: float) -> None:
    table = as_table(columns)
    try:
        learned, held = (part["label"].to_pylist() for part in hold_out(table, share, 0, target="label"))
    except ConfigurationError:
        return
    for label in set(columns[0]):
        n = columns[0].count(label)
        assert held.count(label) == min(round(share * n), max(n - 2, 0))
        assert learned.count(label) >= min(n, 2)  # enough of each class to learn it


@settings(max_examples=60)
@given(columns=TABLES, share=st.floats(0.2, 0.8), by=st.sampled_from([None, "owner"]), place=st.floats(0, 1))
def test_one_unit_more_moves_nobody_elses_rows_wherever_it_stands(
    columns: tuple[list[str], list[int | None]], share: float, by: str | None, place: float
) -> None:
    """Each unit's coin is its own: with the coins of the others held fast, so are their rows."""
    table, odd = as_table(columns), pa.table({"row": [10_000], "label": ["a"], "owner": pa.array([99], pa.int64())})
    first = round(place * table.num_rows)
    more = pa.concat_tables([table.slice(0, first), odd, table.slice(first)])
    coins: dict[object, float] = {}

    def tossed(rows: pa.Table) -> set[int] | None:
        numbers = holdout._units(rows, by)
        of_number = dict(zip(numbers.tolist(), rows["owner" if by else "row"].to_pylist(), strict=True))

        def uniform(count: int) -> np.ndarray:
            rng = np.random.default_rng(len(coins))
            return np.array([coins.setdefault(of_number.get(n, ("nobody", n)), rng.random()) for n in range(count)])

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(holdout, "uniform", uniform)
            try:
                return set(hold_out_privately(rows, share, 3, by=by)[0]["row"].to_pylist())
            except ConfigurationError:
                return None

    before, after = tossed(table), tossed(more)
    if before is None or after is None:
        return
    if by is None or None not in columns[1]:  # rows that are nobody's are of no unit, and are not learned
        assert after - {10_000} == before


def test_coins_follow_no_seed() -> None:
    table = pa.table({"row": np.arange(300)})
    first, second = (hold_out_privately(table, 0.5, 3)[0]["row"].to_pylist() for _ in range(2))
    assert first != second


def test_a_refused_private_split_tells_no_count() -> None:
    with pytest.raises(ConfigurationError) as refused:
        hold_out_privately(pa.table({"row": [1, 2, 3]}), 0.5)
    assert "leaves fewer" in str(refused.value)
    with pytest.raises(ConfigurationError, match="leaves 3 and 0"):
        hold_out(pa.table({"row": [1, 2, 3]}), 0.1, 0)


@pytest.mark.parametrize(
    "owner",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1] * 20), pa.array(["a", "b", "a"])),
        pa.array([0.0, 1.5, -0.0, 1.5] * 20),
        pa.array(np.array([0.0, 1.5, -0.0, 1.5] * 20, np.float16)),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1] * 20), pa.array([0.0, 1.5, -0.0])),
    ],
    ids=["a value twice in a dictionary", "two zeros", "two short zeros", "two zeros in a dictionary"],
)
def test_equal_owners_are_one_however_they_are_stored(owner: pa.Array) -> None:
    table = pa.table({"row": np.arange(80), "owner": owner})
    assert unit_numbers(table["owner"]).tolist() == [0, 1, 0, 1] * 20
    numbers = unit_numbers(pa.chunked_array([pa.array([1.0, None, float("nan"), 1.0])]))
    assert numbers.tolist() == [0, -1, -1, 0]


def test_continuous_targets_are_not_stratified_and_an_absent_owner_is_refused() -> None:
    table = pa.table({"y": np.linspace(0, 1, 50)})
    assert hold_out(table, 0.3, 0, target="y")[1].num_rows == 15
    for split in (hold_out, hold_out_privately):
        with pytest.raises(TableError, match="'who'"):
            split(table, 0.3, 0, by="who")
