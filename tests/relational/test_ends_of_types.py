"""Rows that go on from given ones beyond the training rows keep their differences, or are refused at a type's end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae.errors import TableError
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.relational.limits import range_of

SUBJECTS = 60
STEPS = np.array([3, 2, 3, 4])  # the first one from the start of the subject, the others from the row before
LONG = 20  # days of a visit


def fitted(day: Any, start: Any = None, **columns: Any) -> DatabaseSynthesizer:
    """A model of subjects with four visits each, whose days are as far apart as `STEPS` says.

    Args:
        day: Turns whole numbers of days into a column of visits.
        start: The same for subjects; None: as of visits.
        columns: Further columns of visits, made from days.
    """
    begins = np.repeat(np.arange(12), 5) * 2
    owner = np.repeat(np.arange(SUBJECTS), 4)
    days = begins[owner] + np.tile(STEPS.cumsum(), SUBJECTS)
    subjects = pd.DataFrame({"id": range(SUBJECTS), "start": (start or day)(begins)})
    visits = pd.DataFrame({"subject": owner, "day": day(days), **{name: own(days) for name, own in columns.items()}})
    keys = [("visits", "subject", "subjects", "id")]
    tables = {"subjects": subjects, "visits": visits}
    database = Database(tables=tables, primary_keys={"subjects": "id"}, foreign_keys=keys, order={"visits": "day"})
    return DatabaseSynthesizer(database, max_steps=20, random_state=0).fit()


def dates(days: Any) -> Any:
    return pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D")).astype("datetime64[ns]").to_numpy()


@pytest.fixture(scope="module")
def numbered() -> DatabaseSynthesizer:
    """Days are small whole numbers of one byte, beginnings any."""
    return fitted(lambda days: np.asarray(days, np.int8), lambda days: np.asarray(days, np.int64))


@pytest.fixture(scope="module")
def dated() -> DatabaseSynthesizer:
    """Days are dates in nanoseconds, which end in the year 2262; visits end some days later."""
    return fitted(dates, end=lambda days: dates(days + LONG))


@contextmanager
def refused(column: str, kind: str) -> Iterator[None]:
    with pytest.raises(TableError, match=rf"Table 'visits': Column '{column}': .* type {kind} has, got \d+ that go on"):
        yield


def subjects(start: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": np.arange(len(start)) + 1000, "start": start})


@pytest.mark.parametrize("start", [[100, 90, 80], [-110, -100, -90]])
def test_first_rows_of_parents_beyond_the_training_rows_keep_their_difference(
    numbered: DatabaseSynthesizer, start: list[int]
) -> None:
    given = subjects(np.array(start))
    visits = numbered.sample(given=given)["visits"]
    assert visits["day"].dtype == np.int8
    first = visits.groupby("subject")["day"].first().astype(int)
    assert len(first) == len(start)
    assert (first - given.set_index("id")["start"] == STEPS[0]).all()
    assert visits.groupby("subject")["day"].diff().dropna().isin(STEPS).all()


def test_first_dates_of_parents_beyond_the_training_rows_keep_their_difference(dated: DatabaseSynthesizer) -> None:
    given = subjects(pd.to_datetime(["2150-01-01", "1800-05-05", "2020-01-03"]).astype("datetime64[ns]"))
    visits = dated.sample(given=given)["visits"]
    first = visits.groupby("subject")["day"].first()
    assert ((first - given.set_index("id")["start"]).dt.days == STEPS[0]).all()
    assert ((visits["end"] - visits["day"]).dt.days == LONG).all()


@pytest.mark.parametrize("start", [126, 10**6, -(10**6)])
def test_first_rows_of_parents_beyond_a_type_are_refused(numbered: DatabaseSynthesizer, start: int) -> None:
    with refused("day", "int8"):
        numbered.sample(given=subjects(np.array([start])))


def test_later_rows_beyond_a_type_are_refused_and_up_to_its_end_are_drawn(
    numbered: DatabaseSynthesizer, dated: DatabaseSynthesizer
) -> None:
    parents = subjects(np.array([5]))
    most = 3 * STEPS.max()  # of all later rows
    begun = pd.DataFrame({"subject": [1000], "day": np.array([127 - most], np.int8)})
    visits = numbered.sample(given={"subjects": parents, "visits": begun})["visits"]
    assert visits["day"].max() <= 127
    assert visits["day"].is_monotonic_increasing
    with refused("day", "int8"):
        numbered.sample(given={"subjects": parents, "visits": begun.assign(day=np.array([126], np.int8))})
    late = pd.Timestamp.max.floor("D")
    born = subjects(pd.to_datetime(["2020-01-03"]).astype("datetime64[ns]"))
    for column, day in (("day", late), ("end", late - pd.Timedelta(most, "D"))):
        begun = pd.DataFrame({"subject": [1000], "day": [day], "end": [late]}).astype(
            {"day": "datetime64[ns]", "end": "datetime64[ns]"}
        )
        with refused(column, r"timestamp\[ns\]"):
            dated.sample(given={"subjects": born, "visits": begun})


def test_positions_beyond_a_type_are_refused() -> None:
    owner = np.repeat(np.arange(40), 3)
    lines = pd.DataFrame({"bill": owner, "line": np.tile(np.array([1, 2, 3], np.int8), 40), "x": owner % 3})
    database = Database(
        tables={"bills": pd.DataFrame({"bill": range(40), "y": [0, 1] * 20}), "lines": lines},
        primary_keys={"bills": "bill", "lines": ("bill", "line")},
        foreign_keys=[("lines", "bill", "bills", "bill")],
        order={"lines": "line"},
    )
    model = DatabaseSynthesizer(database, max_steps=10, random_state=0).fit()
    bills = pd.DataFrame({"bill": [1000], "y": [1]})
    for line in (125, 127):
        begun = pd.DataFrame({"bill": [1000], "line": np.array([line], np.int8), "x": [1]})
        if line == 125:
            found = model.sample(given={"bills": bills, "lines": begun})["lines"]
            assert found["line"].tolist() == [125, 126, 127]
            assert found["line"].dtype == np.int8
            continue
        with pytest.raises(TableError, match=r"Table 'lines': Column 'line': .* type int8 has, got 2 that go on"):
            model.sample(given={"bills": bills, "lines": begun})


def test_limits_of_types_are_those_of_python_and_numpy() -> None:
    for kind in (pa.int8(), pa.uint16(), pa.int32()):
        ends = np.iinfo(kind.to_pandas_dtype())
        assert range_of(kind) == (ends.min, ends.max)
    assert range_of(pa.float32()) == (-np.inf, np.inf)
    assert range_of(pa.string()) == (-np.inf, np.inf)
