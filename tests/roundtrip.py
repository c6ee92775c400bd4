"""There and back again: one column through schema, encoding, JSON and codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae import Column, Schema, tables
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import SynthvaeError


def learn_column(values: Any, column: Column | None = None) -> tuple[pa.Table, TableEncoding]:
    """The table of one column "x", checked, and its encoding as a saved model gives it back."""
    table = tables.read(pa.table({"x": values}) if isinstance(values, pa.Array) else pd.DataFrame({"x": values}))
    schema = Schema.infer(table) if column is None else Schema(columns=[column])
    encoding = TableEncoding.learn(schema.check(table), schema, None)
    return table, TableEncoding.model_validate_json(encoding.model_dump_json())


def there_and_back(values: Any, column: Column | None = None) -> list[Any]:
    """The values of a column "x" (declared or inferred), encoded and decoded."""
    table, encoding = learn_column(values, column)
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0))
    assert decoded.schema.equals(table.schema, check_metadata=True)
    return list(decoded.column("x").to_pylist())


def draw(values: Any, column: Column | None = None, rows: int = 300) -> list[Any]:
    """Values of a column "x" decoded from random codes."""
    _, encoding = learn_column(values, column)
    rng = np.random.default_rng(0)
    digits = rng.integers(0, encoding.layout.sizes, (rows, encoding.layout.width)).astype(np.int8)
    return list(encoding.decode(Codes(digits, np.zeros(rows, np.int64)), rng).column("x").to_pylist())


def assert_kept_or_refused(values: Any, column: Column | None = None) -> None:
    """A column comes back as it was, or an error of ours names it: nothing between."""
    refusal = ""
    try:
        table, _ = learn_column(values, column)
        back = there_and_back(values, column)
    except SynthvaeError as error:
        refusal = str(error)
    if refusal:
        assert "column 'x'" in refusal
    else:
        assert [_plain(value) for value in back] == [_plain(value) for value in table.column("x").to_pylist()]


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value
