"""Labels and numbers of rows come in many containers; what they hold comes back as it was."""

from __future__ import annotations

import importlib.util
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from synthvae import Synthesizer
from synthvae.errors import RequestError, TableError
from synthvae.estimators import AugmentedClassifier, AugmentedRegressor, VAEOverSampler, VAETransformer

ROWS = 90
Y = np.r_[np.zeros(60, int), np.ones(30, int)]
TEXT = [["no", "yes"][i] for i in Y]
GAP = np.arange(ROWS) % 5 == 0
X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=ROWS)})
GENERATOR = Synthesizer(max_steps=2)


def gapped(values: Any, missing: Any = None) -> list[Any]:
    return [missing if gap else value for gap, value in zip(GAP, values, strict=True)]


GAPS: dict[str, tuple[Any, list[Any]]] = {
    "list of numbers": (gapped(Y.tolist()), [0, 1]),
    "tuple of numbers": (tuple(gapped(Y.tolist())), [0, 1]),
    "list with NaN": (gapped(Y.tolist(), np.nan), [0, 1]),
    "list with pd.NA": (gapped(Y.tolist(), pd.NA), [0, 1]),
    "list of texts": (gapped(TEXT), ["no", "yes"]),
    "list of texts with NaN": (gapped(TEXT, np.nan), ["no", "yes"]),
    "object array of bools": (np.array(gapped(Y.astype(bool).tolist()), object), [False, True]),
    "array with NaN": (np.where(GAP, np.nan, Y), [0.0, 1.0]),
    "Int64": (pd.Series(Y, dtype="Int64").mask(GAP), [0, 1]),
    "boolean": (pd.Series(Y.astype(bool), dtype="boolean").mask(GAP), [False, True]),
    "string": (pd.Series(TEXT, dtype="string").mask(GAP), ["no", "yes"]),
    "category of texts": (pd.Series(TEXT, dtype="category").mask(GAP), ["no", "yes"]),
    "category of numbers": (pd.Series(Y).astype("category").mask(GAP), [0, 1]),
    "Arrow numbers": (pd.Series(Y, dtype="int64[pyarrow]").mask(GAP), [0, 1]),
    "Arrow bools": (pd.Series(Y.astype(bool), dtype="bool[pyarrow]").mask(GAP), [False, True]),
    "Arrow array": (pa.array(gapped(Y.tolist())), [0, 1]),
    "Arrow chunks": (pa.chunked_array([gapped(TEXT)]), ["no", "yes"]),
    "Arrow dictionary": (pa.array(gapped(TEXT)).dictionary_encode(), ["no", "yes"]),
    "DataFrame of one column": (pd.DataFrame({"y": gapped(Y.tolist())}, dtype=object), [0, 1]),
    "column": (np.array(gapped(Y.tolist()), object)[:, None], [0, 1]),
    "NaT among numbers": (np.where(GAP, pd.NaT, Y), [0, 1]),  # type: ignore[call-overload]
}
if importlib.util.find_spec("polars"):
    import polars as pl

    GAPS["polars numbers"] = (pl.Series(gapped(Y.tolist())), [0, 1])
    GAPS["polars bools"] = (pl.Series(gapped(Y.astype(bool).tolist())), [False, True])
    GAPS["polars DataFrame"] = (pl.DataFrame({"y": gapped(Y.tolist())}), [0, 1])


@pytest.mark.parametrize("case", GAPS)
def test_gaps_in_labels_are_rows_without_a_label(case: str) -> None:
    labels, known = GAPS[case]
    fitted = AugmentedClassifier(LogisticRegression(), amount="balance", generator=GENERATOR).fit(X, labels)
    assert fitted.classes_.tolist() == known
    assert [type(label) for label in fitted.classes_.tolist()] == [type(label) for label in known]
    for estimator in (VAEOverSampler(generator=GENERATOR), VAETransformer(2, max_steps=2)):
        with pytest.raises(TableError, match="y must have a label in every row, and 18 are missing"):
            estimator.fit(X, labels)


WHOLE: dict[str, Any] = {
    "list": Y.tolist(),
    "tuple": tuple(TEXT),
    "objects": np.array(TEXT, object),
    "bools": Y.astype(bool),
    "bytes of a byte": Y.astype("uint8"),
    "Series": pd.Series(TEXT, index=range(5, 5 + ROWS), name="y"),
    "Int64": pd.Series(Y, dtype="Int64"),
    "boolean": pd.Series(Y.astype(bool), dtype="boolean"),
    "category": pd.Series(TEXT, dtype="category"),
    "Arrow Series": pd.Series(TEXT, dtype="string[pyarrow]"),
    "Index": pd.Index(Y, name="y"),
    "Categorical": pd.Categorical(TEXT),
    "Arrow array": pa.array(Y),
    "Arrow chunks": pa.chunked_array([TEXT[:50], TEXT[50:]]),
    "Arrow dictionary": pa.array(TEXT).dictionary_encode(),
    "DataFrame": pd.DataFrame({"y": TEXT}),
    "indicators": np.c_[1 - Y, Y],
}
if importlib.util.find_spec("polars"):
    WHOLE["polars"] = pl.Series("y", TEXT)


@pytest.mark.parametrize("case", WHOLE)
def test_over_sampling_returns_labels_in_their_container(case: str) -> None:
    labels = WHOLE[case]
    _, more = VAEOverSampler(generator=GENERATOR, random_state=0).fit_resample(X, labels)
    assert type(more) is type(labels)
    assert len(more) == 120
    assert len(labels) == ROWS
    for kind in ("dtype", "type", "dtypes"):
        assert np.all(getattr(more, kind, None) == getattr(labels, kind, None))
    first = more[:ROWS] if not isinstance(more, (pd.Series, pd.DataFrame)) else more.iloc[:ROWS]
    assert np.array_equal(np.asarray(first), np.asarray(labels))


@pytest.mark.parametrize("container", ["arrow", "polars"])
def test_over_sampling_returns_rows_in_their_container(container: str) -> None:
    frame = X.assign(k=np.where(GAP, "u", "v"), n=np.arange(ROWS, dtype="int32") % 7)
    table = pa.Table.from_pandas(frame)
    rows = table if container == "arrow" else pytest.importorskip("polars").from_arrow(table)
    more, _ = VAEOverSampler(generator=GENERATOR, random_state=0).fit_resample(rows, Y)
    assert type(more) is type(rows)
    assert more.schema == rows.schema
    assert len(more) == 120


OTHERS: dict[str, tuple[Any, str]] = {
    "two columns": (np.c_[Y, Y[::-1]], "got 2 columns"),
    "two columns of texts": (np.array([TEXT, TEXT]).T, "got 2 columns"),
    "two columns with None": (np.array([[None, 1]] * ROWS, object), "got 2 columns"),
    "DataFrame of two columns": (pd.DataFrame({"a": Y, "b": Y[::-1]}), "got 2 columns"),
    "dates": (pd.to_datetime(["2020-01-01", "2021-01-01"])[Y], "one type, got"),
    "decimals": ([Decimal(int(y)) for y in Y], r"one type, got \['Decimal'\]"),
    "texts and numbers": ([["no", 1][y] for y in Y], r"one type, got \['int', 'str'\]"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_labels_are_refused_with_the_way_out(case: str) -> None:
    labels, message = OTHERS[case]
    for estimator in (
        VAEOverSampler(generator=GENERATOR),
        VAETransformer(2, max_steps=2),
        AugmentedClassifier(LogisticRegression(), generator=GENERATOR),
    ):
        with pytest.raises((RequestError, TableError), match=message):
            estimator.fit(X, labels)


@pytest.mark.parametrize("numbers", [[np.inf, *range(1, ROWS)], [None, *range(1, ROWS)], np.c_[Y, Y]])
def test_numbers_that_are_none_are_refused(numbers: Any) -> None:
    with pytest.raises((RequestError, TableError), match="y must"):
        AugmentedRegressor(LinearRegression(), amount=0.5, generator=GENERATOR).fit(X, numbers)


COUNTS: dict[str, Any] = {
    "dict": {0: 3, 1: 4},
    "Counter": Counter({0: 3, 1: 4}),
    "Series": pd.Series({0: 3, 1: 4}),
    "whole floats": pd.Series({0: 3.0, 1: 4.0}),
    "Int64": pd.Series([3, 4], pd.Index([0, 1], dtype="Int64"), dtype="Int64"),
    "Arrow": pd.Series([3, 4], pd.Index([0, 1], dtype="int64[pyarrow]"), dtype="int64[pyarrow]"),
    "parts of a class": pd.Series([1, 2, 4], index=[0, 0, 1]),
    "category": pd.Series([0] * 3 + [1] * 4).astype("category").value_counts(),
    "value counts of a DataFrame": pd.DataFrame({"y": [0] * 3 + [1] * 4}).value_counts(),
    "group sizes": pd.DataFrame({"y": [0] * 3 + [1] * 4}).groupby("y").size(),
    "texts": {"0": 3, "1": 4},
}


@pytest.mark.parametrize("case", COUNTS)
def test_numbers_of_rows_of_classes(case: str) -> None:
    fitted = Synthesizer(max_steps=2, target="y", random_state=0).fit(X.assign(y=Y))
    assert fitted.sample(COUNTS[case])["y"].value_counts().to_dict() == {0: 3, 1: 4}


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object", "category", "string"])
def test_rows_of_a_missing_class_are_refused(dtype: Any) -> None:
    labels = pd.Series(Y).astype(str).astype(dtype) if dtype == "string" else pd.Series(Y).astype(dtype)
    frame = X.assign(y=labels.mask(GAP))
    fitted = Synthesizer(max_steps=2, target="y", random_state=0).fit(frame)
    assert len(fitted.sample(frame["y"].value_counts())) == 72
    with pytest.raises(RequestError, match="A requested class must not be missing"):
        fitted.sample(frame["y"].value_counts(dropna=False))


@pytest.mark.parametrize("handle", ["ignore", "warn"])
@pytest.mark.parametrize("dtype", ["object", "category", "string", "string[pyarrow]"])
def test_unknown_categories_in_a_pipeline(handle: str, dtype: Any) -> None:
    frame = X.assign(k=pd.Series(np.where(GAP, "u", "v")).astype(dtype))
    steps = [
        ("vae", VAETransformer(2, max_steps=2, handle_unknown=handle, random_state=0)),
        ("l", LogisticRegression()),
    ]
    weights = np.where(GAP, 0, 1.0)
    pipeline = Pipeline(steps).fit(frame, Y, vae__sample_weight=weights, l__sample_weight=weights)
    new = frame.assign(k=pd.Series(["new", *["v"] * (ROWS - 1)]).astype(dtype))
    if handle == "warn":
        with pytest.warns(UserWarning, match=r"Columns \['k'\]"):
            pipeline.predict(new)
    else:
        assert len(pipeline.predict(new)) == ROWS
