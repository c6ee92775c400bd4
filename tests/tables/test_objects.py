"""Objects, labels and numbers in their written form come back; what cannot is refused with the way out."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from roundtrip import draw, there_and_back

from synthvae import Schema, Synthesizer
from synthvae.errors import TableError
from synthvae.tables import convert
from synthvae.tables.number_format import recognise

RNG = np.random.default_rng(0)
SIZES = RNG.gamma(2, 2000, 300)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([12, 15.5, "unknown", None, True], dtype=object),
        pd.Series([uuid.UUID(int=5), None], dtype=object),
        pd.Series(pd.arrays.SparseArray([0.0, 1.0, np.nan])),
        pd.Series(pd.arrays.SparseArray([0, 1, 0])),
    ],
)
def test_objects_come_back(values: Any) -> None:
    frame = pd.DataFrame({"v": values})
    pd.testing.assert_frame_equal(convert.to_pandas(convert.read(frame)), frame)


@pytest.mark.parametrize(
    "columns", [[0.5, 1.5], [None, "b"], [dt.date(2020, 1, 1), "x"], [True, 2], pd.Index(["a", "b"], name="q")]
)
def test_labels_come_back(columns: Any) -> None:
    frame = pd.DataFrame([[1, 2]], columns=columns)
    again = convert.to_pandas(convert.read(frame)).columns
    assert again.tolist() == frame.columns.tolist()
    assert again.name == frame.columns.name


@pytest.mark.parametrize(
    "values", [pd.cut(np.arange(9.0), 3), pd.period_range("2020-01", periods=9, freq="M"), ["12", 12] * 4]
)
def test_other_objects_are_refused_with_the_way_out(values: Any) -> None:
    with pytest.raises(TableError, match=r"astype\(str\)|Convert it"):
        convert.read(pd.DataFrame({"v": pd.Series(values)}))


def test_several_zones_are_refused() -> None:
    zones = [dt.timezone(dt.timedelta(hours=h)) for h in (1, 2)]
    values = pd.Series([dt.datetime(2020, 1, 1, tzinfo=zone) for zone in zones], dtype=object)
    with pytest.raises(TableError, match=r"one time zone, got \['UTC"):
        convert.read(pd.DataFrame({"t": values}))


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (lambda x: f"{x:.2f}".replace(".", ","), "1234,5"),
        (lambda x: f"{x:,.2f}", "1,234.5"),
        (lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")), "1.234,5"),
        (lambda x: f"{x:,.0f}'".replace(",", "'")[:-1] + ".5", "1'234.5"),
        (lambda x: f"${x:,.2f}", "$1,234.5"),
        (lambda x: f"€ {x - 3000:,.2f}", "€ -1,234.5"),
        (lambda x: f"{x / 1e2:.1f} %", "1234.5 %"),
        (lambda x: f"{x:.1f} EUR", "1234.5 EUR"),
    ],
)
def test_numbers_in_their_written_form(write: Any, form: str) -> None:
    texts = [write(x) for x in SIZES]
    column = Schema.infer(pd.DataFrame({"x": texts})).columns[0]
    assert (column.kind, column.format) == ("continuous", form)
    assert all(recognise([text, texts[0], texts[1]]) for text in draw(texts))


def test_limits_of_detection_are_kept() -> None:
    texts = [f"{x:.1f}" for x in SIZES] + [f"<{d / 10}" for d in range(1, 15)]
    column = Schema.infer(pd.DataFrame({"x": texts})).columns[0]
    assert column.kind == "continuous"
    assert len(column.sentinels) == 14
    assert set(there_and_back(texts)[-14:]) == set(texts[-14:])


@pytest.mark.parametrize("low", [1_600_000_000_000_000_000, -(2**63), 2**63 - 10**17, 2**64 - 10**17])
def test_large_whole_numbers_are_numbers(low: int) -> None:
    values = np.array([low + int(d) for d in RNG.integers(0, 10**17, 300)], dtype="uint64" if low >= 2**63 else "int64")
    assert Schema.infer(pd.DataFrame({"x": values})).columns[0].kind == "integer"
    drawn = draw(values)
    assert min(values.tolist()) <= min(drawn) <= max(drawn) <= max(values.tolist())


def test_labels_beside_the_table_are_not_ignored_in_silence() -> None:
    with pytest.warns(UserWarning, match="`y` is not used, and synthetic rows will not have it"):
        Synthesizer(max_steps=1).fit(pd.DataFrame({"a": [1.0, 2.0]}), pd.Series([0, 1]))


def test_the_loss_of_an_index_is_warned_of() -> None:
    frame = pd.DataFrame({"a": np.arange(20.0)}, index=pd.Index(range(20), name="patient"))
    with pytest.warns(UserWarning, match="index 'patient' is not learned"):
        Synthesizer(max_steps=1, random_state=0).fit(frame)
