"""Strategies and plain loops for the tests of rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from synthvae import Column

NUMBERS = ("a", "b", "c", "d")
SMALL = st.none() | st.integers(-3, 3)


@st.composite
def small_frames(draw: st.DrawFn, values: st.SearchStrategy[Any] = SMALL, names: tuple[str, ...] = NUMBERS) -> Any:
    """Tables of few distinct values, so that rules hold and break."""
    rows = draw(st.lists(st.tuples(*(values for _ in names)), min_size=1, max_size=12))
    return pd.DataFrame(rows, columns=list(names), dtype=object)


def by_row(frame: pd.DataFrame, keeps: Callable[[dict[str, Any]], bool]) -> list[bool]:
    """What a plain loop over the rows gives; missing values are None."""
    return [keeps(row) for row in rows_of(frame)]


def rows_of(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.to_dict("records"):
        yield {str(name): None if value is None or is_nan(value) else value for name, value in row.items()}


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def column(name: str, kind: Any = "integer", **fields: Any) -> Column:
    return Column(name=name, kind=kind, **fields)
