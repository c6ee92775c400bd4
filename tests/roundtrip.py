"""There and back again: one column through schema, encoding, JSON and codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae import Column, Schema
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import SynthvaeError
from synthvae.tables import convert


def learn_column(values: Any, column: Column | None = None) -> tuple[pa.Table, TableEncoding]:
    """The table of one column "x", checked, and its encoding as a saved model gives it back."""
    table = convert.read(pa.table({"x": values}) if isinstance(values, pa.Array) else pd.DataFrame({"x": values}))
    schema = Schema.infer(table) if column is None else Schema(columns=[column])
    encoding = TableEncoding.learn(schema.check(table), schema, None)
    return table, TableEncoding.model_validate_json(encoding.model_dump_json())


def there_and_back(values: Any, column: Column | None = None) -> list[Any]:
    """The values of a column "x" (declared or inferred), encoded and decoded."""
    table, encoding = learn_column(values, column)
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0))
    assert decoded.schema.equals(table.schema, check_metadata=True)
    return list(decoded.column("x").to_pylist())


def random_codes(encoding: TableEncoding, rows: int, seed: int = 0) -> Codes:
    """Any digits within their sizes, also combinations that no value has, and any scores where there are values."""
    rng = np.random.default_rng(seed)
    slots = encoding.layout.slots
    digits = rng.integers(0, np.array(slots.sizes, int), (rows, len(slots.sizes))).astype(np.int8)
    values = (rng.choice([0.3, 1.0, 3.0], (rows, 1)) * rng.normal(size=(rows, len(slots.values)))).astype(np.float32)
    for v, value in enumerate(slots.values):
        if value.switch is not None:
            values[digits[:, value.switch] != value.level, v] = np.nan
    return Codes(digits, values, rng.integers(0, encoding.conditions, rows))


def draw(values: Any, column: Column | None = None, rows: int = 300) -> list[Any]:
    """Values of a column "x" decoded from random codes."""
    _, encoding = learn_column(values, column)
    codes = random_codes(encoding, rows)
    return list(encoding.decode(codes, np.random.default_rng(0)).column("x").to_pylist())


def assert_kept_or_refused(values: Any, column: Column | None = None) -> None:
    """A column comes back as it was, or an error of ours names it: nothing between."""
    refusal = ""
    try:
        table, _ = learn_column(values, column)
        back = there_and_back(values, column)
    except SynthvaeError as error:
        refusal = str(error)
    if refusal:
        assert "column 'x'" in refusal.lower()
    else:
        assert [_plain(value) for value in back] == [_plain(value) for value in table.column("x").to_pylist()]


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value
