"""Laws of columns that are modelled as their distance from another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Schema
from synthvae.encoding import TableEncoding
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.relative import RelativeEncoding
from synthvae.schema import Difference, Inequality


def pair(*, spread: int, decimals: int = 0) -> pd.DataFrame:
    """A column of numbers, and one that is larger by up to `spread`."""
    rng = np.random.default_rng(0)
    first = np.round(rng.uniform(0, 1000, 400), decimals)
    return pd.DataFrame({"first": first, "second": np.round(first + rng.uniform(0, spread, 400), decimals)})


def learned(frame: pd.DataFrame, *rules: Any) -> tuple[TableEncoding, pa.Table]:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = Schema.infer(table).model_copy(update={"constraints": rules})
    return TableEncoding.learn(table, schema, None), table


ASCENDING = Inequality(columns=["first", "second"])


def test_only_narrow_distances_are_modelled() -> None:
    assert isinstance(learned(pair(spread=50), ASCENDING)[0].columns["second"], RelativeEncoding)
    assert not isinstance(learned(pair(spread=3000), ASCENDING)[0].columns["second"], RelativeEncoding)
    assert not isinstance(learned(pair(spread=50))[0].columns["second"], RelativeEncoding)


def test_a_column_stays_as_it_is_where_the_other_one_is_missing() -> None:
    frame = pair(spread=50)
    frame.loc[::7, "first"] = np.nan
    assert not isinstance(learned(frame, ASCENDING)[0].columns["second"], RelativeEncoding)
    frame.loc[::7, "second"] = np.nan
    frame.loc[::11, "second"] = np.nan
    assert isinstance(learned(frame, ASCENDING)[0].columns["second"], RelativeEncoding)


def test_finer_numbers_than_those_of_the_column_are_no_start_of_distances() -> None:
    frame = pair(spread=50, decimals=1)
    frame["second"] = np.ceil(frame["second"])
    assert not isinstance(learned(frame, ASCENDING)[0].columns["second"], RelativeEncoding)


@pytest.mark.parametrize("decimals", [0, 2])
def test_rows_come_back_from_their_codes(decimals: int) -> None:
    frame = pair(spread=20, decimals=decimals)
    frame.loc[::9, "second"] = np.nan
    encoding, table = learned(frame, ASCENDING)
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0)).to_pandas()
    assert decoded["second"].isna().equals(frame["second"].isna())
    assert (decoded["second"].fillna(0) - frame["second"].fillna(0)).abs().max() <= 0.5 * 10.0**-decimals + 0.05
    assert (decoded["first"] <= decoded["second"]).where(frame["second"].notna(), True).all()  # noqa: FBT003


def test_any_codes_are_decoded_within_the_limits_of_the_column() -> None:
    frame = pair(spread=50)
    encoding, _ = learned(frame, ASCENDING)
    rng = np.random.default_rng(1)
    codes = encoding.encode(learned(frame)[1])
    for column in codes.digits.T:
        rng.shuffle(column)
    rng.shuffle(codes.values)
    decoded = encoding.decode(codes, rng).to_pandas()
    assert decoded["second"].between(frame["second"].min(), frame["second"].max()).all()


def test_a_difference_of_dates_is_computed_and_the_later_date_is_a_distance() -> None:
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, 300), "D")
    days = rng.integers(0, 9, 300)
    frame = pd.DataFrame({"end": start + pd.to_timedelta(days, "D"), "days": days, "start": start})
    rule = Difference(result="days", high="end", low="start", unit="days")
    encoding, table = learned(frame, rule)
    assert isinstance(encoding.columns["days"], ComputedEncoding)
    assert isinstance(encoding.columns["end"], RelativeEncoding)
    assert list(encoding.columns).index("start") < list(encoding.columns).index("end")
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0))
    assert decoded.equals(table)
    assert TableEncoding.model_validate_json(encoding.model_dump_json()).columns == encoding.columns
