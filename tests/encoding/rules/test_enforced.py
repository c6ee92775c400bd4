"""Laws of what rules leave of a column: a value is left if and only if the row then keeps the rule."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Schema
from synthvae.encoding import TableEncoding
from synthvae.schema import (
    FixedCombinations,
    If,
    ImpliesMissing,
    Inequality,
    OneHot,
    RequiredIf,
)
from synthvae.schema.constraints import Constraint
from synthvae.schema.constraints.comparable import frame_of

NUMBERS = (0, 1, 2, 3, None)
LABELS = ("a", "b", None)

RULES: dict[str, Any] = {
    "chain": Inequality(columns=["x", "y", "z"]),
    "strict": Inequality(columns=["x", "y", "z"], strict=True),
    "combinations": FixedCombinations(columns=["x", "u", "y"], combinations=[[0, "a", 1], [2, "a", 1], [3, "b", 0]]),
    "flags": OneHot(columns=["f", "g", "h"]),
    "missing": ImpliesMissing(condition={"column": "u", "in": ["a"]}, columns=["x", "v"]),
    "missing number": ImpliesMissing(condition={"column": "x", "between": [1, 2]}, columns=["y", "u"]),
    "missing if missing": ImpliesMissing(condition={"column": "u", "is_missing": True}, columns=["v"]),
    "required": RequiredIf(condition={"column": "u", "not_in": ["a"]}, columns=["x", "v"]),
    "required if present": RequiredIf(condition={"column": "u", "is_missing": False}, columns=["x"]),
    "if": If(condition={"column": "u", "in": ["b"]}, then={"column": "x", "between": [None, 1]}),
    "if not": If(condition={"column": "x", "not_in": [0]}, then={"column": "u", "in": ["a"]}),
    "if between": If(condition={"column": "x", "between": [2, None]}, then={"column": "y", "not_in": [1, 3]}),
    "if missing": If(condition={"column": "u", "is_missing": True}, then={"column": "x", "in": [2]}),
    "then missing": If(condition={"column": "x", "in": [1]}, then={"column": "u", "is_missing": True}),
}


def every_row(rule: Constraint) -> pd.DataFrame:
    """All rows of the columns of a rule, in an order of their own."""
    values = {
        name: (0, 1, None) if name in "fgh" else LABELS if name in "uv" else NUMBERS for name in sorted(rule.touches)
    }
    frame = pd.DataFrame(list(itertools.product(*values.values())), columns=list(values), dtype=object)
    numeric = {name: "Int64" for name in map(str, frame) if name in "xyzfgh"}
    return frame.astype({**{name: "string" for name in map(str, frame) if name in "uv"}, **numeric})


@pytest.mark.parametrize("kind", RULES)
def test_a_value_of_the_last_column_is_left_if_and_only_if_the_row_keeps_the_rule(kind: str) -> None:
    rule = RULES[kind]
    frame = every_row(rule)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = Schema.infer(table).model_copy(update={"constraints": (rule,)})
    encoding = TableEncoding.learn(table, schema, None)
    kept = rule.holds(frame_of(table, schema, rule.touches), schema)
    for last in rule.touches:
        left = left_of(encoding, table, last)
        own = encoding.columns[last].encode(last, table.column(last))
        others = [name for name in frame if name != last]
        possible = frame[others].assign(kept=kept).groupby(others, dropna=False)["kept"].transform("any").to_numpy()
        found = left[np.arange(len(frame)), own]
        np.testing.assert_array_equal(found[possible], kept[possible], err_msg=last)


def left_of(encoding: TableEncoding, table: pa.Table, last: str) -> npt.NDArray[np.bool_]:
    """Which states (rows, states) are left of a column whose rows have the values of all other columns."""
    compiled = encoding.compiled_rules
    assert compiled is not None
    session = compiled.rows(encoding.layout, table.num_rows, np.random.default_rng(0))
    for name, column in encoding.columns.items():
        if name != last:
            session.tell(name, column.encode(name, table.column(name)), np.ones(table.num_rows, bool))
    (cell,) = (number for number, own in session.cells.items() if own.name == last)
    found = session.restrict(cell)
    levels = encoding.columns[last].levels
    return np.ones((table.num_rows, levels), bool) if found is None else found.combinations.reshape(-1, levels)


@pytest.mark.parametrize("kind", RULES)
def test_nothing_is_forbidden_while_nothing_is_known(kind: str) -> None:
    rule = RULES[kind]
    frame = every_row(rule)
    frame = frame[rule.holds(frame)]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    encoding = TableEncoding.learn(table, Schema.infer(table).model_copy(update={"constraints": (rule,)}), None)
    compiled = encoding.compiled_rules
    assert compiled is not None
    for cell, own in compiled.rows(encoding.layout, 1, np.random.default_rng(0)).cells.items():
        session = compiled.rows(encoding.layout, 1, np.random.default_rng(0))
        found = session.restrict(cell)
        occurring = np.unique(encoding.columns[own.name].encode(own.name, table.column(own.name)))
        assert found is None or found.combinations.reshape(-1)[occurring].all()
