"""Columns that repeat another's number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthvae.encoding import TableEncoding
from synthvae.encoding import links as links_module
from synthvae.encoding.links import Link, find_candidates, find_links
from synthvae.encoding.numeric import NumericEncoding
from synthvae.schema.schema import Schema
from synthvae.tables import convert

ROWS = 3000


def bills(share: float = 0.3) -> pd.DataFrame:
    """A bill, and a payment that equals it in a share of the rows."""
    rng = np.random.default_rng(0)
    bill = np.round(rng.lognormal(6, 1, ROWS)).astype(int)
    paid = np.round(bill * rng.uniform(0.01, 0.9, ROWS)).astype(int)
    whole = rng.random(ROWS) < share
    other = rng.normal(size=ROWS)
    return pd.DataFrame({"bill": bill, "other": other, "paid": np.where(whole, bill, paid)})


def learned(frame: pd.DataFrame) -> TableEncoding:
    table = convert.read(frame)
    return TableEncoding.learn(table, Schema.infer(table), None)


def links(encoding: TableEncoding, name: str) -> tuple[Link, ...]:
    column = encoding.columns[name]
    assert isinstance(column, NumericEncoding)
    return column.links


def test_a_column_is_linked_to_the_one_before_it_that_it_repeats() -> None:
    encoding = learned(bills())
    assert links(encoding, "paid") == (Link(to="bill", firm=False),)
    assert links(encoding, "other") == links(encoding, "bill") == ()


def test_a_link_needs_a_share_of_the_rows() -> None:
    assert links(learned(bills(share=0.005)), "paid") == ()


def test_numbers_that_are_equal_by_chance_are_no_link() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 40, (2, 2 * ROWS)).astype(float)
    assert find_links(second, np.ones(len(second), bool), {"first": first}) == ()


@pytest.mark.parametrize("block", [1, 1000, links_module.BLOCK])
@pytest.mark.parametrize("seed", range(5))
def test_candidates_have_all_the_links(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "BLOCK", block)
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=400)
    others = {
        f"c{i}": np.where(rng.random(400) < rng.choice([0, 0.005, 0.02, 0.7]), numbers, rng.normal(size=400))
        for i in range(9)
    }
    others["c3"][::5] = np.nan
    free = rng.random(400) < 0.8
    candidates = find_candidates(numbers, others)
    assert list(candidates) == [n for n, other in others.items() if (numbers == other).sum() >= 4]
    assert find_links(numbers, free, candidates) == find_links(numbers, free, others)


def test_repeated_numbers_come_back_and_stay_equal() -> None:
    frame = bills()
    encoding, table = learned(frame), convert.read(frame)
    codes = encoding.encode(table, np.random.default_rng(1))
    back = convert.to_pandas(encoding.decode(codes, np.random.default_rng(2)))
    equal = frame["paid"] == frame["bill"]
    assert (back["paid"] == back["bill"])[equal].all()
    span = encoding.layout.spans["paid"]
    values = codes.values[:, encoding.layout.valued_names.index("paid")]
    assert span.stop - span.start == 1
    np.testing.assert_array_equal(np.isnan(values), equal)


def test_most_rows_repeated_make_a_firm_link_which_goes_before_atoms() -> None:
    frame = bills(share=0.8)
    frame.loc[:900, ["bill", "paid"]] = 0  # an atom in both
    encoding = learned(frame)
    assert links(encoding, "paid") == (Link(to="bill", firm=True),)
    digits = encoding.encode(convert.read(frame)).digits[:, encoding.layout.spans["paid"]]
    assert len(np.unique(digits[(frame["paid"] == frame["bill"]).to_numpy()])) == 1


def test_a_link_to_a_row_without_a_number_means_some_number_of_the_column() -> None:
    frame = bills().astype({"bill": float})
    frame.loc[::7, "bill"] = np.nan
    encoding = learned(frame)
    codes = encoding.encode(convert.read(frame))
    bill, paid = (encoding.layout.spans[name] for name in ("bill", "paid"))
    missing = codes.digits[:, bill.start] == codes.digits[0, bill.start]
    linked = np.isnan(codes.values[:, encoding.layout.valued_names.index("paid")])
    codes.digits[:, paid] = codes.digits[linked, paid][0]
    back = convert.to_pandas(encoding.decode(codes, np.random.default_rng(0)))
    assert back["bill"][missing].isna().all()
    assert back["paid"].between(frame["paid"].min(), frame["paid"].max()).all()
