"""How a CSV file writes its numbers and booleans, so that generated files write theirs in the same way.

pandas reads 1.50, 7 beside 1.5 or an empty field, TRUE and NaN as 1.5, 7.0, True and a missing value. The values are
the same, and the forms are kept beside them, in the metadata of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pandas.api.types import is_bool_dtype, is_float_dtype, is_object_dtype

from synthvae.tables.arrow import MAX_DECIMALS, MAX_DIGITS
from synthvae.tables.number_format import shown_style, write

KEY = b"synthvae_written"  # of the metadata of a table that was read
PANDAS = (None, "repr", "1")  # styles in which pandas writes numbers
BOOLEANS = {"lower": ("true", "false"), "upper": ("TRUE", "FALSE")}
MAX_WORDS = 3  # distinct texts that tell booleans from other columns
MISSING = ("NaN", "nan", "NAN")  # that Arrow reads as a number that is none
SHORT = "short"  # the style of numbers whose whole ones have no point; see `number_format`
LARGEST = 10.0**MAX_DIGITS  # a double has no more digits


def with_forms(table: pa.Table, path: Path, options: Mapping[str, Any], missing: Iterable[str] = ("",)) -> pa.Table:
    """Return a table that was read from a CSV file with the forms of its first rows in the metadata.

    Args:
        table: The table.
        path: The file.
        options: Arrow's options for reading and parsing it.
        missing: Fields that are missing values.
    """
    found = learn(table.schema, path, options, missing)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: json.dumps(found)}) if found else table


def learn(
    schema: pa.Schema, path: Path, options: Mapping[str, Any], missing: Iterable[str] = ("",)
) -> dict[str, dict[str, Any]]:
    """Return the forms of the columns of a CSV file, by name, as its first rows show them; see `with_forms`."""
    names = [f.name for f in schema if pa.types.is_floating(f.type) or pa.types.is_boolean(f.type)]
    if not names:
        return {}
    texts = pa.csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string()))
    with pa.csv.open_csv(path, **options, convert_options=texts) as reader:
        head = next(iter(reader), None)
    if head is None:
        return {}
    absent = {"", *missing}
    forms = {name: _form(pc.utf8_trim_whitespace(pc.unique(head.column(name))), absent) for name in head.schema.names}
    return {name: form for name, form in forms.items() if form}


def _form(texts: pa.Array, absent: set[str]) -> dict[str, Any]:
    """The form of distinct texts; none if they are written as pandas would write their values."""
    known = texts.filter(pc.invert(pc.is_in(texts, value_set=pa.array(sorted(absent), pa.string()))))
    words = set(known.slice(0, MAX_WORDS).to_pylist())
    for case, pair in BOOLEANS.items():
        if words and words <= set(pair):
            return {"booleans": case}
    every = pa.array(sorted({*MISSING, *absent}), pa.string())
    missing = set(texts.filter(pc.is_in(texts, value_set=every)).to_pylist())
    form: dict[str, Any] = {"missing": missing.pop()} if len(missing) == 1 and missing <= set(MISSING) else {}
    style = shown_style(known.filter(pc.invert(pc.is_in(known, value_set=every))))
    if style == SHORT:
        form["style"] = style
    elif style not in PANDAS and int(style) <= MAX_DECIMALS:
        form["decimals"] = int(style)
    return form


def as_written(frame: pd.DataFrame, forms: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table with the columns that have a form as text in it; values without this form stay as they are.

    >>> as_written(pd.DataFrame({"x": [1.5, None]}), {"x": {"decimals": 2, "missing": "NaN"}})["x"].tolist()
    ['1.50', 'NaN']
    >>> as_written(pd.DataFrame({"x": [7.0, 1.5]}), {"x": {"style": "short"}})["x"].tolist()
    ['7', '1.5']
    """
    changed = {}
    for place, name in enumerate(map(str, frame.columns)):
        if name in forms:
            changed[place] = _column(frame.iloc[:, place], forms[name])
    if not changed:
        return frame
    columns = [changed.get(place, frame.iloc[:, place]) for place in range(frame.shape[1])]
    return pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)


def _column(values: pd.Series[Any], form: Mapping[str, Any]) -> pd.Series[Any]:
    pair = BOOLEANS.get(form.get("booleans", ""))
    if pair is not None and (is_bool_dtype(values.dtype) or is_object_dtype(values.dtype)):
        return values.map({True: pair[0], False: pair[1]}, na_action="ignore").astype(object)
    if not is_float_dtype(values.dtype):
        return values
    style, missing = _style(form), form.get("missing")
    known = values.to_numpy(np.float64, na_value=np.nan)
    if style == SHORT or (style is not None and _are_rounded(known, int(style))):
        texts = [None if number != number else write(number, style) for number in known.tolist()]  # noqa: PLR0124
        values = pd.Series(texts, index=values.index, name=values.name, dtype=object)
    return values.astype(object).where(values.notna(), missing) if missing in MISSING else values


def _style(form: Mapping[str, Any]) -> str | None:
    """The style of numbers of a form, which may come from the file of a stranger; None: as pandas writes them."""
    decimals = form.get("decimals")
    if isinstance(decimals, int) and 0 <= decimals <= MAX_DECIMALS:
        return str(int(decimals))
    return SHORT if form.get("style") == SHORT else None


def _are_rounded(numbers: Any, decimals: int) -> bool:
    """Whether numbers have no more decimals than these, so that none is changed."""
    known = numbers[~np.isnan(numbers)]
    return bool(np.all(np.abs(known) < LARGEST) and np.array_equal(np.round(known, decimals), known))
