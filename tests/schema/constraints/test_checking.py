"""Rows that break a rule are counted and refused, in memory and on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from rows import column, small_frames

from synthvae import Schema, Synthesizer
from synthvae.errors import PrivacyError, SchemaError, TableError
from synthvae.schema import FixedCombinations, Inequality, Sum, Unique
from synthvae.schema.constraints.checking import Tally
from synthvae.schema.constraints.comparable import frame_of, numbers
from synthvae.synthesizer import weighting
from synthvae.tables import convert, streaming

NAMES = ("a", "b", "c", "d")
RULES = [Inequality(columns=["a", "b"]), Sum(total="c", parts=["a", "b"]), Unique(columns=["c", "d"])]
SCHEMA = Schema(columns=[column(name) for name in NAMES], constraints=RULES)


def table() -> pd.DataFrame:
    rows = np.random.default_rng(0).integers(0, 9, (300, 2))
    frame = pd.DataFrame(rows, columns=["a", "x"]).assign(b=lambda f: f.a + f.x, c=lambda f: f.a + f.b, d=range(300))
    return frame.drop(columns="x")


@settings(deadline=None, max_examples=30)
@given(small_frames())
def test_batches_count_what_the_whole_table_counts(frame: pd.DataFrame) -> None:
    frame = frame.astype("Int64")
    whole = pa.Table.from_pandas(frame)
    tally = Tally(RULES, SCHEMA)
    for place in range(0, len(frame), 5):
        tally.add(whole.slice(place, 5))
    assert tally.rows == len(frame)
    assert tally.counts() == [int((~rule.holds(frame)).sum()) for rule in RULES]


def test_a_schema_refuses_rows_by_rule() -> None:
    frame = table()
    assert SCHEMA.check(convert.read(frame[list(NAMES)])).num_rows == 300
    frame.loc[:4, "b"] = -1
    with pytest.raises(TableError, match=r"300 rows of which 5 break `a <= b`; 5 break `c = a \+ b`\. Drop or"):
        SCHEMA.check(convert.read(frame[list(NAMES)]))


def test_text_is_read_as_the_schema_declares_it() -> None:
    columns = [
        column("born", "date", format="%d/%m/%Y"),
        column("seen", "date"),
        column("dose", "continuous", format="1.234,5", sentinels=["n/a", "-9"]),
    ]
    given = pa.table(
        {"born": ["31/12/2019", None, "01/01/2020"], "seen": ["2020-01-01"] * 3, "dose": ["1.000,5", "n/a", "-9"]}
    )
    frame = frame_of(given, Schema(columns=columns), ["born", "seen", "dose"])
    assert numbers(frame["dose"]).tolist()[:1] == [1000.5]
    assert np.isnan(numbers(frame["dose"])[1:]).all()
    assert frame["dose"].notna().all()  # a sentinel value is present
    assert Inequality(columns=["born", "seen"], strict=True).holds(frame).tolist() == [True, True, False]


def test_a_fit_checks_the_rules_of_its_rows() -> None:
    frame = table()
    options: dict[str, Any] = {"schema": Schema(constraints=RULES), "max_steps": 5, "random_state": 0}
    fitted = Synthesizer(**options).fit(frame)
    assert fitted.schema_.constraints == tuple(RULES)
    frame["c"] += frame.index == 7
    with pytest.raises(TableError, match=r"1 break `c = a \+ b`"):
        Synthesizer(**options).fit(frame)


def test_a_streamed_table_is_checked_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.tables.sampling.SAMPLE_ROWS", 100)
    monkeypatch.setattr(streaming, "LARGE", 0)
    frame = pd.concat([table()] * 2, ignore_index=True).assign(d=range(600))
    path = tmp_path / "table.parquet"
    frame.to_parquet(path, row_group_size=100)
    options: dict[str, Any] = {"schema": Schema(constraints=RULES), "max_steps": 5, "random_state": 0}
    Synthesizer(**options).fit(path)
    frame.loc[[50, 550], "b"] = -1
    frame.loc[599, ["a", "b", "c", "d"]] = frame.loc[0, ["a", "b", "c", "d"]]
    frame.to_parquet(path, row_group_size=100)
    with pytest.raises(TableError, match=r"600 rows of which 2 break `a <= b`.*1 break `distinct rows of c, d`"):
        Synthesizer(**options).fit(path)


def test_rules_on_unknown_columns_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"must be on columns of the table, got \['B'\]. Did you mean 'b'"):
        Synthesizer(schema=Schema(constraints=[Inequality(columns=["a", "B"])]), max_steps=5).fit(table())


def test_rules_must_not_be_on_weights() -> None:
    with pytest.raises(SchemaError, match=r"column of weights, which is not modelled, got `distinct rows of c, d`"):
        weighting.without(SCHEMA, "d")
    assert weighting.without(SCHEMA.declare("a", nullable=False), "z").constraints == SCHEMA.constraints


def test_a_private_fit_takes_no_combination_from_the_table() -> None:
    columns = [column(name, bounds=(0, 9)) for name in ("a", "b")]
    schema = Schema(columns=columns, constraints=[FixedCombinations(columns=["a", "b"])])
    private = Synthesizer(schema=schema, privacy={"epsilon": 1.0, "delta": 1e-3})
    with pytest.raises(PrivacyError, match="must declare its `combinations`"):
        private.fit(pd.DataFrame({"a": range(9), "b": range(9)}))
