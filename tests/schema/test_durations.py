"""A schema declares a time to an event: `kind: duration`, with the column of the event."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema
from synthvae.errors import SchemaError, TableError

MONTHS = Column(name="months", kind="duration", event="died", bounds=(0, 60), decimals=1)
DIED = Column(name="died", kind="boolean", nullable=False)


def test_a_duration_is_read_and_written() -> None:
    schema = Schema(columns=[MONTHS, DIED])
    assert schema.duration == MONTHS
    assert Schema.from_yaml(schema.to_yaml() + "\n") == schema
    assert Schema.from_dict(schema.to_dict()) == schema
    assert Schema(columns=[DIED]).duration is None


def test_an_inferred_column_is_declared_a_duration() -> None:
    table = pd.DataFrame({"months": [1, 5, 9], "died": [0, 1, 1]})
    schema = Schema.infer(table).declare("months", kind="duration", event="died")
    assert schema["months"].bounds is None
    assert schema.duration == schema["months"]


REFUSED_COLUMNS: dict[str, dict[str, Any]] = {
    "`event` must name the column of the event": {"kind": "duration"},
    "`event` must name the column": {"kind": "duration", "event": ""},
    "`event` must be another column": {"kind": "duration", "event": "months"},
    "`event` requires the kind duration, got continuous": {"kind": "continuous", "event": "died"},
    "must not be negative": {"kind": "duration", "event": "died", "bounds": (-1, 60)},
    "`bounds` of kind duration must have the type": {
        "kind": "duration",
        "event": "died",
        "bounds": (pd.Timestamp("2020").date(), pd.Timestamp("2021").date()),
    },
    "`categories` require": {"kind": "duration", "event": "died", "categories": [1, 2]},
}


@pytest.mark.parametrize("words", REFUSED_COLUMNS)
def test_columns_that_are_no_durations(words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        Column(name="months", **REFUSED_COLUMNS[words])


def test_schemas_that_contradict_each_other() -> None:
    other = Column(name="days", kind="duration", event="died")
    with pytest.raises(SchemaError, match=r"at most one column of kind duration, got \['months', 'days'\]"):
        Schema(columns=[MONTHS, other])
    with pytest.raises(SchemaError, match="`event` must not be dropped"):
        Schema(columns=[MONTHS], drop=["died"])
    with pytest.raises(SchemaError, match=r"`event` must have a kind of .*, got 'died' of kind continuous"):
        Schema(columns=[MONTHS, Column(name="died", kind="continuous")])
    assert Schema(columns=[MONTHS]).duration == MONTHS  # the event is inferred from the table


def test_negative_times_are_refused() -> None:
    schema = Schema(columns=[Column(name="months", kind="duration", event="died"), DIED])
    table = pa.table({"months": [3.0, -0.5, None], "died": [True, False, True]})
    with pytest.raises(TableError, match=r"Column 'months': durations must not be negative, got -0\.5"):
        schema.check(table)
    positive = table.set_column(0, "months", pa.array([3.0, 0.0, None]))
    assert schema.check(positive) == positive
