"""Numbers as they are: there and back, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import Schema
from synthvae.encoding import Codes, Pixels, TableEncoding
from synthvae.encoding.raw import PixelLikelihood, PlainEncoding
from synthvae.errors import TableError
from synthvae.tables import convert

RNG = np.random.default_rng(0)


def learn(frame: pd.DataFrame, pixels: Pixels, target: str | None = None) -> tuple[pa.Table, TableEncoding]:
    table = convert.read(frame)
    schema = Schema.infer(table)
    return table, TableEncoding.learn(table, schema, target, pixels=pixels)


def plain(encoding: TableEncoding, name: str) -> PlainEncoding:
    found = encoding.columns[name]
    assert isinstance(found, PlainEncoding)
    return found


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=2, max_size=20), st.sampled_from([0, 2])
)
@settings(deadline=None, max_examples=50)
def test_numbers_come_back_to_their_decimals(rows: list[list[float]], decimals: int) -> None:
    frame = pd.DataFrame(np.round(rows, decimals), columns=["a", "b"])
    table, encoding = learn(frame, Pixels("gaussian"))
    back = convert.to_pandas(encoding.decode(encoding.encode(table), RNG))
    assert back.dtypes.equals(frame.dtypes)
    assert np.allclose(back, frame, rtol=0, atol=10.0**-decimals + 1e-6 * np.ptp(frame, axis=0).max())


def test_values_are_standardised_and_know_their_scale() -> None:
    frame = pd.DataFrame({"small": RNG.normal(3, 0.1, 500), "large": RNG.normal(-1e6, 50, 500), "same": 7.0})
    table, encoding = learn(frame, Pixels("gaussian"))
    values = encoding.encode(table).values
    assert np.allclose(values.mean(0), 0, atol=1e-4)
    assert np.allclose(values.std(0), [1, 1, 0], atol=1e-3)
    scales = [value.scale for value in encoding.layout.slots.values]
    assert scales == pytest.approx([frame["small"].std(ddof=0), frame["large"].std(ddof=0), 1.0])
    assert encoding.layout.width == 0
    assert np.allclose(encoding.numbers(values), frame, rtol=1e-6)


def test_an_image_has_one_grey_scale() -> None:
    frame = pd.DataFrame(RNG.random((100, 4)) * [1, 2, 3, 0])
    table, encoding = learn(frame, Pixels("gaussian", image=True))
    values = encoding.encode(table).values
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)
    assert len({value.scale for value in encoding.layout.slots.values}) == 1


def coded(values: Any) -> Codes:
    array = np.asarray(values, np.float32)
    return Codes(np.empty((len(array), 0), np.int8), array, np.zeros(len(array), np.int64))


def test_black_and_white_pixels_are_tossed_and_grey_ones_are_not() -> None:
    binary = pd.DataFrame({"a": [0, 1, 1], "b": [True, False, True], "c": [0, 0, 0]})
    chances = np.tile([0.3, 0.9, 0.5], (4000, 1))
    _, encoding = learn(binary, Pixels("bernoulli"))
    drawn = convert.to_pandas(encoding.decode(coded(chances), RNG))
    assert drawn.dtypes.equals(binary.dtypes)
    assert drawn.mean().to_numpy() == pytest.approx([0.3, 0.9, 0.0], abs=0.03)  # "c" was never anything but 0
    grey = binary.assign(a=[0.0, 0.25, 1.0])
    _, encoding = learn(grey, Pixels("bernoulli"))
    drawn = convert.to_pandas(encoding.decode(coded(chances), RNG))
    assert set(drawn["a"]) == {0.3}
    assert drawn["b"].all()
    assert encoding.numbers(chances)[0].tolist() == [0.3, 0.9, 0.5]


def test_drawn_numbers_stay_in_the_range_seen() -> None:
    _, encoding = learn(pd.DataFrame({"a": [1, 5, 9], "b": [0.5, 0.25, 1.0]}), Pixels("gaussian"))
    drawn = convert.to_pandas(encoding.decode(coded([[9, 9], [-9, -9]]), RNG))
    assert drawn.to_numpy().tolist() == [[9, 1.0], [1, 0.25]]
    assert drawn["a"].dtype == np.int64


@pytest.mark.parametrize(
    "values",
    [
        pd.array([0.5, 0.25, 1.0], "float32"),
        pd.array([0, 1, 1], "Int8"),
        np.array([False, True, True]),
        ["0.5", "0.25", "1"],
        [Decimal("0.50"), Decimal("0.25"), Decimal("1.00")],
    ],
    ids=str,
)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_types_come_back(values: Any, likelihood: PixelLikelihood) -> None:
    frame = pd.DataFrame({"x": values, "grey": [0.5, 0.25, 0.75]})
    table, encoding = learn(frame, Pixels(likelihood))
    assert encoding.decode(encoding.encode(table), RNG).cast(table.schema).equals(table)


def test_the_encoding_is_saved_with_the_model() -> None:
    _, encoding = learn(pd.DataFrame({"a": [0.1, 0.2, 0.4, 0.5], "y": [*"uvuv"]}), Pixels("gaussian"), "y")
    again = TableEncoding.model_validate(encoding.model_dump(mode="json"))
    assert again == encoding
    assert again.layout.slots == encoding.layout.slots
    assert list(encoding.columns) == ["a"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["u", "v", "u"], "'x'.* must be a number, got 'u'"),
        (pd.Categorical([0, 1, 0]), "'x'.* must be a number"),
        (pd.to_datetime(["2020", "2021", "2022"]), "'x'.* must be a number"),
        (pd.to_timedelta([1, 2, 3], "s"), "'x'.* must be a number"),
        ([0.5, None, 1.0], "'x'.* must be a number, got 1 missing"),
        ([None, None, None], "'x'.* must be a number, got 3 missing"),
    ],
)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_what_is_no_number_is_refused_by_name(values: Any, message: str, likelihood: PixelLikelihood) -> None:
    with pytest.raises(TableError, match=message):
        learn(pd.DataFrame({"grey": [0.5, 0.25, 0.75], "x": values}), Pixels(likelihood))


@pytest.mark.parametrize("value", [-0.1, 1.5, 255])
def test_a_bernoulli_needs_numbers_from_0_to_1(value: float) -> None:
    frame = pd.DataFrame({"grey": [0.5, 0.25], "x": [0.0, value]})
    with pytest.raises(TableError, match=rf"'x'.* must lie in \[0, 1\], got {value:g}"):
        learn(frame, Pixels("bernoulli"))
    table, encoding = learn(frame.assign(x=[0.0, 1.0]), Pixels("bernoulli"))
    with pytest.raises(TableError, match=r"'x'.* must lie in \[0, 1\]"):
        encoding.encode(convert.read(frame))
    with pytest.raises(TableError, match="got 1 missing values"):
        encoding.encode(convert.read(frame.assign(x=[0.0, math.nan])))
    assert len(encoding.encode(table)) == 2
