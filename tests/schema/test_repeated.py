"""Columns that look like the key of repeated subjects, and columns that do not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from synthvae import Schema, Synthesizer
from synthvae.schema.repeated import repeated_subjects, warn_repeated_subjects
from synthvae.tables import convert

N = 300


def noticed(values: object, name: str) -> bool:
    table = convert.read(pd.DataFrame({name: values, "x": np.arange(N) % 7}))
    return repeated_subjects(Schema.infer(table), table) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *("patient_id", "patient_nbr", "id", "SUBJECT_ID", "subjectId", "USUBJID", "mrn", "Patient"),
        *("machine_id", "mouseID", "household", "user", "person", "Fallnummer", "numero de dossier", "versicherten_nr"),
    ],
)
def test_keys_of_several_rows_are_noticed(name: str) -> None:
    assert noticed(np.arange(N) // 3 + 10_000, name)
    assert noticed([f"P{i // 2:05d}" for i in range(N)], name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", np.arange(N) % 90),
        ("zip", [f"{10_000 + i % 100}" for i in range(N)]),
        ("site_id", np.arange(N) % 4),
        ("patient_id", np.arange(N) * 7),
        ("patient_id", np.random.default_rng(0).normal(size=N).round(1)),
        ("width", np.arange(N) // 3),
        ("key", np.arange(N) // 3),
        ("heat_index", np.arange(N) // 3),
        ("house_nr", np.arange(N) // 3),
        ("paid", np.arange(N) // 3),
        ("code", [f"{250 + i % 50}.{i % 9}" for i in range(N)]),
    ],
)
def test_other_columns_are_not(name: str, values: object) -> None:
    assert not noticed(values, name)


def test_numbered_texts_are_noticed_whatever_their_name() -> None:
    assert noticed([f"P{i // 2:05d}" for i in range(N)], "who")


def test_fit_warns_unless_the_unit_is_named_and_the_unit_is_generated_anew() -> None:
    table = pd.DataFrame({"patient": np.repeat(np.arange(100), 3), "x": np.random.default_rng(0).normal(size=N)})
    with pytest.warns(UserWarning, match=r"'patient'.*100 values in 300 rows.*`unit`"):
        Synthesizer(max_steps=5, random_state=0).fit(table)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = Synthesizer(unit="patient", max_steps=5, random_state=0).fit(table)
    assert not any("looks like" in str(warning.message) for warning in told)
    assert not set(model.sample(50)["patient"]) & set(table["patient"])
    assert model.schema_["patient"].kind == "id"
    with pytest.raises(ValueError, match=r"The unit .* is not a column of the table"):
        Synthesizer(unit="patients", max_steps=5).fit(table)
    with pytest.raises(ValueError, match="another column than the target"):
        Synthesizer(unit="patient", target="patient", max_steps=5).fit(table)


def test_keys_of_a_categorical_type_are_warned_of() -> None:
    keys = pd.Series([f"P{n // 2:04d}" for n in range(100)]).astype("category")
    table = convert.read(pd.DataFrame({"patient_id": keys, "age": range(100)}))
    with pytest.warns(UserWarning, match="50 values in 100 rows"):
        warn_repeated_subjects(Schema.infer(table), table, None)
