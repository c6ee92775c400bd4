"""Columns that identify people are refused by name wherever a table comes in, and ids of every type are new ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import TableError
from synthvae.estimators import AugmentedClassifier, VAEOutlierDetector, VAEOverSampler, VAETransformer
from synthvae.estimators.augment import augment
from synthvae.tables import streaming

ROWS = 300
PEOPLE = [f"{first} {last}" for first in ("Anna", "Bob", "Clara", "David") for last in ("Stone", "Rossi", "Weber")]
OPTIONS: dict[str, Any] = {"max_steps": 2, "random_state": 0}
COLUMNS = ("patient_name", "email", "nhs_number")


def frame() -> pd.DataFrame:
    """Twelve people with 25 rows each, who are frequent categories."""
    people = [PEOPLE[i % 12] for i in range(ROWS)]
    mails = [name.replace(" ", ".").lower() + "@example.org" for name in people]
    table = pd.DataFrame({"patient_name": people, "email": mails})
    table["nhs_number"] = [f"485 777 3{450 + i % 12}" for i in range(ROWS)]
    return table.assign(x=np.random.default_rng(0).normal(size=ROWS), y=["n", "n", "p"] * (ROWS // 3))


def synthesizer() -> Synthesizer:
    return Synthesizer(target="y", **OPTIONS)


def _features(estimator: Any) -> Callable[[pd.DataFrame], Any]:
    return lambda table: estimator.fit(table.drop(columns="y"), table["y"])


def _resampled(table: pd.DataFrame) -> Any:
    return VAEOverSampler(generator=Synthesizer(**OPTIONS)).fit_resample(table.drop(columns="y"), table["y"])


DOORS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "frame": lambda table: synthesizer().fit(table),
    "categories": lambda table: synthesizer().fit(table.astype(dict.fromkeys(COLUMNS, "category"))),
    "nullable": lambda table: synthesizer().fit(table.convert_dtypes()),
    "Arrow dtypes": lambda table: synthesizer().fit(table.convert_dtypes(dtype_backend="pyarrow")),
    "Arrow": lambda table: synthesizer().fit(pa.Table.from_pandas(table)),
    "fit_transform": lambda table: synthesizer().fit_transform(table),
    "estimate": lambda table: synthesizer().estimate(table),
    "augment": lambda table: augment(table, synthesizer()),
    "over-sampler": _resampled,
    "classifier": _features(
        AugmentedClassifier(LogisticRegression(), amount="balance", generator=Synthesizer(**OPTIONS))
    ),
    "transformer": _features(VAETransformer(2, max_steps=2)),
    "outliers": _features(VAEOutlierDetector(max_steps=2)),
}


@pytest.mark.parametrize("door", DOORS)
def test_all_identifiers_are_named(door: str) -> None:
    with pytest.raises(TableError, match="3 columns need a decision") as refused:
        DOORS[door](frame())
    assert all(f"Column {name!r} must have" in str(refused.value) for name in COLUMNS)


@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("large", [1, 1 << 30])
def test_files_are_refused_too(file: str, large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LARGE", large)
    frame().to_csv(tmp_path / file, index=False) if file.endswith("csv") else frame().to_parquet(tmp_path / file)
    with pytest.raises(TableError, match="3 columns need a decision"):
        synthesizer().fit(tmp_path / file)


def keys() -> dict[str, pd.Series]:
    text = pd.Series([f"R{4000 + i // 2}" for i in range(ROWS)])
    number = pd.Series(np.arange(ROWS) // 2 * 7 + 3)
    return {
        "text": text,
        "category": text.astype("category"),
        "string": text.astype("string"),
        "Arrow text": text.astype("string[pyarrow]"),
        "number": number,
        "category of numbers": number.astype("category"),
        "Int64": number.astype("Int64"),
        "beside missing ones": number.where(number.index % 7 > 0),
        "text beside missing ones": text.where(text.index % 7 > 0),
    }


@pytest.mark.parametrize("as_unit", [False, True])
@pytest.mark.parametrize("kind", keys())
def test_keys_of_every_type_are_new_ones(kind: str, as_unit: bool, tmp_path: Path) -> None:  # noqa: FBT001
    table = frame()[["x", "y"]].assign(key=keys()[kind])
    schema = None if as_unit else Schema(columns=[Column(name="key", kind="id")])
    fitted = Synthesizer(target="y", schema=schema, unit="key" if as_unit else None, **OPTIONS).fit(table)
    made = fitted.sample(400, random_state=1)
    new = made["key"].dropna()
    assert new.is_unique
    assert not set(new) & set(table["key"].dropna())
    assert type(made["key"].dtype) is type(table["key"].dtype)
    assert (0.02 < made["key"].isna().mean() < 0.4) == bool(table["key"].isna().any())
    fitted.generate(tmp_path / "out", rows=300, random_state=1)
    assert pd.read_parquet(tmp_path / "out")["key"].dropna().is_unique


@pytest.mark.skipif(importlib.util.find_spec("faker") is None, reason="needs Faker")
@pytest.mark.parametrize("dtype", ["object", "category", "string", "string[pyarrow]"])
def test_no_real_name_is_in_a_saved_model(dtype: Any, tmp_path: Path) -> None:
    names = [f"Zzyx{i} Qqver{i}" for i in range(ROWS)]
    table = frame()[["x", "y"]].assign(who=pd.Series(names).astype(dtype))
    schema = Schema(columns=[Column(name="who", kind="fake", provider="name", locale="fr_FR")])
    fitted = Synthesizer(target="y", schema=schema, **OPTIONS).fit(table)
    fitted.save(tmp_path / "m")
    text = b"".join(path.read_bytes() for path in (tmp_path / "m").iterdir())
    assert not any(part.encode() in text for name in names for part in name.split())
    made = fitted.sample(500, random_state=1)
    assert made["who"].is_unique
    assert Synthesizer.load(tmp_path / "m").sample(500, random_state=1).equals(made)
