"""The order in which columns are modelled."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from synthvae import Synthesizer
from synthvae.encoding import TableEncoding
from synthvae.encoding import order as order_module
from synthvae.encoding.order import chain, informations
from synthvae.errors import ConfigurationError
from synthvae.schema.schema import Schema
from synthvae.tables import convert


def table(rows: int = 4000) -> pd.DataFrame:
    """Two pairs of columns that say much of each other, mixed, and one that says nothing."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 8, rows), rng.normal(size=rows)
    noise = rng.random(rows) < 0.2
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "nothing": rng.integers(0, 3, rows),
            "like a": np.where(noise, rng.integers(0, 8, rows), a),
            "like b": b + 0.3 * rng.normal(size=rows),
        }
    )


def order(
    frame: pd.DataFrame, wanted: Literal["auto", "information", "table"] = "information", target: str | None = None
) -> list[str]:
    rows = convert.read(frame)
    return list(TableEncoding.learn(rows, Schema.infer(rows), target, order=wanted).columns)


def test_columns_follow_those_that_say_much_of_them() -> None:
    found = order(table())
    assert abs(found.index("a") - found.index("like a")) == 1
    assert abs(found.index("b") - found.index("like b")) == 1
    assert found[-1] == "nothing"
    assert order(table(), "table") == order(table(), "auto") == list(table())


def test_most_columns_continuous_are_ordered_by_information() -> None:
    frame = table()[["b", "nothing", "like b"]].assign(other=np.random.default_rng(1).normal(size=4000))
    assert order(frame, "auto") == order(frame, "information") != list(frame)


def test_a_continuous_target_still_comes_first() -> None:
    assert order(table(), target="like b")[0] == "like b"


def test_rows_come_back_in_the_order_of_the_table() -> None:
    model = Synthesizer(max_steps=2, random_state=0).fit(table(200))
    assert list(model.sample(3)) == list(table())


def test_an_order_of_ones_own() -> None:
    names = sorted(map(str, table()))
    model = Synthesizer(order=names, max_steps=2, random_state=0).fit(table(200))
    assert list(model.encoding_.columns) == names


@pytest.mark.parametrize("wrong", ["alphabet", ["a", "b"], ["a", "b", "nothing", "like a", "like c"]])
def test_an_order_that_means_nothing_is_refused(wrong: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="`order` must"):
        Synthesizer(order=wrong, max_steps=2).fit(table(200))


def information(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    return float(informations([first, second])[0, 1])


def plain_information(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """The formula for one pair, after Miller 1955."""
    states = [len(np.unique(x)) for x in (first, second)]
    joint = len(np.unique(np.stack([first, second]), axis=1).T)
    return max(float(mutual_info_score(first, second)) - (joint - sum(states) + 1) / (2 * len(first)), 0.0)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 12), st.sampled_from([1, 700, order_module.BLOCK]))
def test_information_of_all_pairs_is_that_of_each_whatever_the_block(seed: int, count: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, rng.integers(1, 50), 150) * rng.integers(1, 3) for _ in range(count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_module, "BLOCK", block)
        found = informations(columns)
    plain = [[plain_information(x, y) * (i != j) for j, y in enumerate(columns)] for i, x in enumerate(columns)]
    np.testing.assert_allclose(found, plain, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(2, 6), st.integers(2, 6))
def test_information_is_the_plain_estimate_less_its_bias(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, first, 3000)
    y = np.where(rng.random(3000) < 0.5, x % second, rng.integers(0, second, 3000))
    plain = mutual_info_score(x, y)
    assert plain - (first * second) / 6000 <= information(x, y) <= plain
    assert information(x, rng.integers(0, second, 3000)) < 0.02


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(0, 99))
def test_a_chain_has_every_column_once(columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = {f"c{i}": rng.integers(0, 3, 50) for i in range(columns)}
    assert sorted(chain(made)) == sorted(made)
