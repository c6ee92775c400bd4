"""Values of any kind come back as they came, or are refused with a way out: pandas types, and fields of CSV files."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Synthesizer
from synthvae.errors import TableError
from synthvae.tables import convert, streaming

ROWS = 60
WHEN = pd.date_range("2019-01-01", periods=120, freq="29h17min")
NARROW = "\u202f"


def _few(*values: Any, dtype: Any = object) -> pd.Series[Any]:
    found: pd.Series[Any] = pd.Series([values[i % len(values)] for i in range(ROWS)], dtype=dtype)
    return found


def _number(value: float) -> pd.Series[Any]:
    return pd.Series([i % 50 * value for i in range(ROWS)])


def _sampled(values: pd.Series[Any]) -> pd.Series[Any]:
    frame = pd.DataFrame({"v": values, "x": np.arange(len(values)) % 7})
    return Synthesizer(max_steps=2, random_state=0).fit(frame).sample(40)["v"]


KEPT: dict[str, pd.Series[Any]] = {
    "half floats": _number(0.5).astype("float16"),
    "half floats of Arrow": _number(0.5).astype("float16").astype(pd.ArrowDtype(pa.float16())),
    "decimals of hundreds": pd.Series(
        [decimal.Decimal(i * 100) for i in range(ROWS)], dtype=pd.ArrowDtype(pa.decimal128(6, -2))
    ),
    "categories of nullable integers": _few(1, 2, dtype="Int64").astype("category"),
    "categories of nullable text": _few("a", "b", dtype="string").astype("category"),
    "categories of large unsigned integers": _few(2**64 - 1, 1, dtype="uint64").astype("category"),
    "timestamps among objects": _few(*WHEN[:20], None),
    "booleans and NaN": _few(True, False, float("nan")),  # noqa: FBT003 (values)
    "booleans and None": _few(True, False, None),  # noqa: FBT003 (values)
    "dates": _few(dt.date(2020, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    "times of day": _few(dt.time(23, 59, 59), dt.time(0), None),
    "negative durations": _few(pd.Timedelta(-1, "s"), pd.Timedelta(2, "D"), dtype="timedelta64[s]"),
    "sparse booleans": pd.Series(pd.arrays.SparseArray([True, False, False] * 20)),
    "integers to their ends": _few(-(2**63), 2**63 - 1, dtype="int64"),
    "seconds of the year 1": _few(np.datetime64("0001-01-01"), np.datetime64("9999-12-31"), dtype="datetime64[s]"),
}


@pytest.mark.parametrize("name", KEPT)
def test_types_and_missing_values_come_back(name: str) -> None:
    given, got = KEPT[name], _sampled(KEPT[name])
    assert got.dtype == given.dtype
    assert set(map(type, got[got.notna()])) <= set(map(type, given[given.notna()]))
    assert set(map(repr, got[got.isna()])) <= set(map(repr, given[given.isna()]))


def test_scalars_of_numpy_beside_text_are_numbers() -> None:
    got = _sampled(_few(np.int64(3), np.float64(2.5), "unknown"))
    assert set(got) <= {3, 2.5, "unknown"}
    assert "unknown" in set(got)


REFUSED: dict[str, tuple[pd.Series[Any], str]] = {
    "periods": (pd.Series(pd.period_range("2020Q1", periods=ROWS, freq="Q")), r"astype\(str\)"),
    "periods among objects": (pd.Series(list(pd.period_range("2020", periods=ROWS)), dtype=object), r"Period values"),
    "intervals": (pd.Series(pd.interval_range(0, ROWS)), r"astype\(str\)"),
    "categories of dates": (_few(dt.date(2020, 1, 1)).astype("category"), r"astype\(object\)"),
    "categories of timestamps": (_few(*WHEN[:3]).astype("category"), r"astype\('datetime64"),
    "categories of tuples": (_few((1, 2)).astype("category"), r"astype\(str\)"),
    "times with a zone": (_few(dt.time(5, tzinfo=dt.UTC)), r"replace\(tzinfo=None\)"),
    "beyond 64 bits": (_few(2**70, 1), r"beyond 64 bits.*astype\(str\)"),
    "complex": (pd.Series(np.arange(ROWS) + 1j), r"astype\(str\)"),
    "a number and its text": (_few(1, "1"), r"astype\(str\)"),
    "dates and text": (_few(dt.date(2020, 1, 1), "unknown"), r"a mix of date and str.*astype\(str\)"),
    "several offsets": (
        _few(*(WHEN[0].tz_localize(dt.timezone(dt.timedelta(hours=h))) for h in (1, 2))),
        r"pd\.to_datetime",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused_with_a_way_out(name: str) -> None:
    values, way = REFUSED[name]
    with pytest.raises(TableError, match=way):
        convert.read(pd.DataFrame({"v": values}))


def _stamped(form: str) -> list[str]:
    return list(WHEN.strftime(form))


def _beside(texts: Sequence[str], sentinel: str) -> list[str]:
    return [sentinel if i % 6 == 0 else text for i, text in enumerate(texts)]


def _dated(form: str, *sentinels: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        return text in sentinels or not pd.isna(pd.to_datetime(text, format=form, errors="coerce"))

    return fits


TEXTS: dict[str, tuple[list[str], Callable[[str], bool]]] = {
    "fourteen digits": (_stamped("%Y%m%d%H%M%S"), _dated("%Y%m%d%H%M%S")),
    "twelve digits": (_stamped("%Y%m%d%H%M"), _dated("%Y%m%d%H%M")),
    "basic format": (_stamped("%Y%m%dT%H%M%S"), _dated("%Y%m%dT%H%M%S")),
    "month and year": (_stamped("%b %Y"), _dated("%b %Y")),
    "twelve-hour clock": (_stamped("%d/%m/%Y %I:%M %p"), _dated("%d/%m/%Y %I:%M %p")),
    "zero date": (_beside(_stamped("%Y-%m-%d"), "0000-00-00"), _dated("%Y-%m-%d", "0000-00-00")),
    "unknown date": (_beside(_stamped("%d.%m.%Y"), "unbekannt"), _dated("%d.%m.%Y", "unbekannt")),
    "midnight as 24:00": (_beside(_stamped("%H:%M"), "24:00"), _dated("%H:%M", "24:00")),
    "impossible date": (_beside(_stamped("%Y-%m-%d"), "2021-02-30"), _dated("%Y-%m-%d", "2021-02-30")),
    "99999999 among dates": (_beside(_stamped("%Y%m%d"), "99999999"), _dated("%Y%m%d", "99999999")),
    "0 among dates": (_beside(_stamped("%Y%m%d"), "0"), _dated("%Y%m%d", "0")),
    "no date among dates": (_beside(_stamped("%Y%m%d"), ""), _dated("%Y%m%d", "")),
    "narrow spaces": (
        [f"{i * 137.5:,.1f}".replace(",", NARROW).replace(".", ",") for i in range(120)],
        lambda text: text.replace(NARROW, "").replace(",", ".").replace(".", "", 1).isdigit(),
    ),
    "two decimals": ([f"{i * 0.1:.2f}" for i in range(120)], lambda text: len(text.partition(".")[2]) == 2),
    "whole beside missing": (_beside([str(i) for i in range(120)], ""), lambda text: text == "" or text.isdigit()),
    "lower booleans": (["true", "false"] * 60, {"true", "false"}.__contains__),
    "upper booleans and none": (["TRUE", "FALSE", ""] * 40, {"TRUE", "FALSE", ""}.__contains__),
    "booleans and digits": (["True", "0", "1"] * 40, {"True", "0", "1"}.__contains__),
    "NaN": (
        _beside([f"{i}.25" for i in range(120)], "NaN"),
        lambda text: text == "NaN" or len(text.partition(".")[2]) == 2,
    ),
    "hexadecimal": (["0x1F", "0x2A"] * 60, {"0x1F", "0x2A"}.__contains__),
    "below a limit": (
        _beside([f"{i + 10}.5" for i in range(120)], "<0.5"),
        lambda text: text == "<0.5" or float(text) >= 10,
    ),
}


def _csv(folder: Path, texts: Sequence[str]) -> Path:
    path = folder / "t.csv"
    path.write_text("v,x\n" + "".join(f'"{text}",{i % 7}\n' if text else f",{i % 7}\n" for i, text in enumerate(texts)))
    return path


def _fields(path: Path) -> list[str]:
    return pd.read_csv(path, dtype=str, keep_default_na=False)["v"].tolist()


@pytest.mark.parametrize("name", TEXTS)
def test_fields_of_a_csv_come_back_in_their_form(tmp_path: Path, name: str) -> None:
    texts, fits = TEXTS[name]
    Synthesizer(max_steps=2, random_state=0).fit(_csv(tmp_path, texts)).generate(tmp_path / "out.csv", rows=80)
    got = _fields(tmp_path / "out.csv")
    assert len(got) == 80
    assert not [text for text in got if not fits(text)]


@pytest.mark.parametrize("name", ["two decimals", "whole beside missing", "upper booleans and none", "zero date"])
def test_a_loaded_model_of_a_streamed_table_writes_the_same_form(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LARGE", 0)
    texts, fits = TEXTS[name]
    Synthesizer(max_steps=2, random_state=0).fit(_csv(tmp_path, texts)).save(tmp_path / "model")
    Synthesizer.load(tmp_path / "model").generate(tmp_path / "out.csv", rows=80)
    assert all(map(fits, _fields(tmp_path / "out.csv")))


def test_sentinels_of_dates_keep_their_share_and_are_read_again() -> None:
    texts = _beside(_stamped("%Y-%m-%d"), "0000-00-00")
    frame = pd.DataFrame({"d": texts, "x": np.arange(len(texts)) % 7})
    fitted = Synthesizer(max_steps=60, random_state=0).fit(frame)
    assert 0.05 < (fitted.sample(600)["d"] == "0000-00-00").mean() < 0.35
    assert np.isfinite(fitted.log_likelihood(frame.head(7))).all()


@pytest.mark.parametrize("labels", [[pd.NaT, "a"], [1.5, None], [dt.date(2020, 1, 1), "a"], [True, False]])
def test_labels_come_back(labels: list[Any]) -> None:
    frame = pd.DataFrame(np.arange(40).reshape(20, 2) * 1.5, columns=pd.Index(labels, dtype=object))
    assert list(convert.to_pandas(convert.read(frame)).columns) == labels


def test_labels_that_become_texts_are_warned_of() -> None:
    frame = pd.DataFrame(np.arange(40).reshape(20, 2), columns=pd.period_range("2020", periods=2, freq="M"))
    with pytest.warns(UserWarning, match="come back as texts"):
        convert.read(frame)
