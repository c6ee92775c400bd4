"""Columns that identify people are found by name and by values; those that do not are left alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import RequestError, TableError
from synthvae.schema.drafts import drafted
from synthvae.schema.identifiers import find_identifier
from synthvae.tables import convert

ROWS = 120
FIRST = ["Anna", "Bob", "Clara", "David", "Eva", "François", "Giulia", "Hans", "Inés", "José"]
LAST = ["Stone", "Rivers", "O'Neill", "Meyer-Lüdke", "Marsh", "van Dyke", "Rossi", "Weber"]
PEOPLE = [f"{FIRST[i % 10]} {LAST[i // 10 % 8]}" for i in range(ROWS)]
STREETS = [f"{i + 3} {LAST[i % 5]} Street" for i in range(ROWS)]
KEYS = np.repeat(np.arange(ROWS // 3) * 7 + 1001, 3)
FOUND: dict[str, tuple[str, Any, str, str | None]] = {
    "names with repeats": ("patient_name", PEOPLE, "fake", "name"),
    "names in one column of any name": ("v17", PEOPLE, "fake", "name"),
    "names under a word that may mean anything": ("Name", PEOPLE, "fake", "name"),
    "last and first names": ("holder", [", ".join(reversed(n.split(" ", 1))) for n in PEOPLE], "fake", "name"),
    "first names": ("FirstName", [FIRST[i % 10] for i in range(ROWS)], "fake", "first_name"),
    "German last names": ("Nachname", [LAST[i % 8] for i in range(ROWS)], "fake", "last_name"),
    "Spanish last names": ("apellidos", [LAST[i % 8] for i in range(ROWS)], "fake", "last_name"),
    "names with digits": ("patient name", [f"Patient {i % 40}" for i in range(ROWS)], "fake", "name"),
    "e-mails": (
        "contact",
        [f"{n.split()[0]}.{i % 50}@clinic.example.org" for i, n in enumerate(PEOPLE)],
        "fake",
        "email",
    ),
    "e-mails and others": (
        "mail",
        [f"a{i % 50}@b.org" if i % 3 else f"none {i}" for i in range(ROWS)],
        "fake",
        "email",
    ),
    "telephone numbers": ("x", [f"+49 30 {123400 + i % 60}" for i in range(ROWS)], "fake", "phone_number"),
    "American telephone numbers": ("x", [f"({200 + i}) 555-{1000 + i}" for i in range(ROWS)], "fake", "phone_number"),
    "local telephone numbers": ("home_phone", [f"0{3312345 + i % 60}" for i in range(ROWS)], "fake", "phone_number"),
    "streets": ("v3", STREETS, "fake", "address"),
    "German streets": (
        "ort",
        [f"{n.split()[1]}straße {i}, 10115 Berlin" for i, n in enumerate(PEOPLE)],
        "fake",
        "address",
    ),
    "French streets": ("lieu", [f"{i} rue de la Paix, 75002 Paris" for i in range(ROWS)], "fake", "address"),
    "addresses by name": ("Home Address", [f"Flat {i % 50} The Mews" for i in range(ROWS)], "fake", "address"),
    "social security": ("code", [f"{100 + i}-45-{6000 + i}" for i in range(ROWS)], "fake", "ssn"),
    "record numbers": ("MRN", [f"R{4000 + i % 60}" for i in range(ROWS)], "id", None),
    "record numbers as numbers": ("medical_record_number", KEYS, "id", None),
    "insurance numbers": ("Versichertennummer", [f"A{123456789 + i // 2}" for i in range(ROWS)], "id", None),
    "UUIDs that repeat": ("k", [f"0000{i % 60:04x}-1111-4222-8333-444444444444" for i in range(ROWS)], "id", None),
    "repeated subjects": ("USUBJID", [f"01-701-{1000 + i // 3}" for i in range(ROWS)], "id", None),
    "repeated subjects as numbers": ("patient_nbr", KEYS, "id", None),
    "repeated subjects with missing ones": ("subjectId", [*KEYS[:-1].astype(float), np.nan], "id", None),
    "repeated subjects under id": ("id", KEYS, "id", None),
    "stays": ("hadm_id", KEYS, "id", None),
    "keys of rows": ("OrderID", np.arange(ROWS) * 31 + 10_000, "id", None),
    "telephone numbers with spaces": (
        "phone",
        [f"{301 + i % 60} 234 5{i % 60:02d}" for i in range(ROWS)],
        "fake",
        "phone_number",
    ),
    "record numbers that are dates by chance": ("MRN", [f"0{3312345 + i % 60}" for i in range(ROWS)], "id", None),
    "repeated subjects as decimals": ("patient_id", [Decimal(int(key)) for key in KEYS], "id", None),
    "record numbers as decimals": ("mrn", [Decimal(f"{key}.00") for key in KEYS], "id", None),
    "large keys as decimals": ("k", [Decimal(10**17 + i * 7919) for i in range(ROWS)], "id", None),
    "keys that do not repeat": ("key", np.arange(ROWS) * 31 + 10_000, "id", None),
    "texts of an index": ("index", [f"a{i * 7919 % 9973}b" for i in range(ROWS)], "id", None),
    "telephone numbers as numbers": ("phone", np.arange(ROWS) * 7919 + 2_065_550_000, "id", None),
}
LEFT_ALONE: dict[str, tuple[str, Any]] = {
    "codes": ("admission_type_id", np.arange(ROWS) % 8),
    "few sites": ("site_id", np.arange(ROWS) % 17),
    "names of drugs": (
        "drug_name",
        [f"{d} {10 * (i % 3 + 1)}mg" for i in range(ROWS) for d in ["Aspirin", "Heparin"]][:ROWS],
    ),
    "diagnoses": ("name", ["Essential Hypertension", "Type Two Diabetes", "Acute Renal Failure", "Heart Failure"] * 30),
    "cities": ("city", ["San Diego", "San Jose", "Santa Clara", "New York", "Los Angeles", "Saint Paul"] * 20),
    "has a telephone": ("telephone", ["yes", "no", "none"] * 40),
    "numbers of calls": ("phone", np.arange(ROWS) % 30),
    "paved or not": ("Street", ["Pave", "Grvl"] * 60),
    "numbers of patients": ("n_patients", np.arange(ROWS) * 3),
    "numbers of a word within": ("number_outpatient", np.arange(ROWS) % 39),
    "insurance": ("insurance", ["Medicare", "Private", "Self Pay", "Government"] * 30),
    "ages": ("age", np.arange(ROWS) % 80),
    "widths": ("width", np.arange(ROWS) * 7 + 3),
    "grids": ("grid", np.arange(ROWS) % 40),
    "postcodes": ("zip", ["02116", "00501", "10115", "90210"] * 30),
    "ICD codes": ("icd9_code", [f"{250 + i % 60}.{i % 10}" for i in range(ROWS)]),
    "dates": ("dod_ssn", pd.date_range("2020", periods=ROWS).astype(str)),
    "ranges": ("age_group", ["[10-20)", "[20-30)", "[30-40)", "[40-50)", "[50-60)", "[60-70)"] * 20),
    "visits": ("VISIT", ["SCREENING 1", "BASELINE", "WEEK 2", "WEEK 4", "WEEK 6", "WEEK 8"] * 20),
    "fractions under id": ("id", np.arange(ROWS) / 7),
    "booleans": ("patient", [True, False] * 60),
    "musical keys": ("key", np.arange(ROWS) % 12),
    "an index of few numbers": ("index", np.arange(ROWS) % 40),
    "an index that repeats": ("index", [*range(0, 7 * (ROWS - 1), 7), 0]),
    "an index of the body": ("body_mass_index", np.arange(ROWS) * 7),
    "an index of glucose": ("glycemic_index", np.arange(ROWS) % 55),
    "payments": ("paid", np.arange(ROWS) * 7919 % 99_991),
    "bids": ("last_bid", np.arange(ROWS) * 7919 % 99_991),
    "acids": ("fatty_acid", np.arange(ROWS) * 7919 % 99_991),
    "turkeys": ("turkey", np.arange(ROWS) * 7919 % 99_991),
    "fractions as decimals": ("patient_id", [Decimal(f"{i}.5") for i in range(ROWS)]),
    "roles": ("user", ["admin", "guest", "editor", "reader", "writer", "owner"] * 20),
}


def inferred(name: str, values: Any) -> Any:
    return Schema.infer(pd.DataFrame({name: values}))[name]


@pytest.mark.parametrize("case", FOUND)
def test_what_identifies_people_is_found(case: str) -> None:
    name, values, kind, provider = FOUND[case]
    column = inferred(name, values)
    assert (column.kind, column.provider) == (kind, provider)


@pytest.mark.parametrize("case", [case for case in FOUND if FOUND[case][2] == "fake"])
@pytest.mark.parametrize("dtype", ["category", "string", "large_string[pyarrow]"])
def test_the_type_of_text_does_not_matter(case: str, dtype: Any) -> None:
    name, values, _, provider = FOUND[case]
    assert inferred(name, pd.Series(values).astype(dtype)).provider == provider


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_other_columns_are_left_alone(case: str) -> None:
    name, values = LEFT_ALONE[case]
    table = convert.read(pd.DataFrame({name: values}))
    assert find_identifier(name, table.column(name)) is None
    assert Schema.infer(table)[name].kind != "fake"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("date_key", pd.date_range("2020", periods=ROWS).strftime("%Y%m%d"), "date"),
        ("paid", [f"${900_000 + i * 997:,}" for i in range(ROWS)], "integer"),
    ],
)
def test_the_end_of_a_name_is_outweighed_by_a_written_form(name: str, values: Any, kind: str) -> None:
    assert inferred(name, values).kind == kind


def test_missing_values_do_not_hide_people() -> None:
    assert inferred("who", [name if i % 3 else None for i, name in enumerate(PEOPLE)]).provider == "name"


def test_a_large_table_is_sampled() -> None:
    assert inferred("v", PEOPLE * 200).provider == "name"


def people() -> pd.DataFrame:
    mails = [f"{name.split()[0]}@b.example.org" for name in PEOPLE]
    notes = [f"text {i} {i * 31 % 977}" for i in range(ROWS)]
    return pd.DataFrame({"patient_name": PEOPLE, "email": mails, "note": notes, "patient_id": KEYS, "x": range(ROWS)})


def test_all_columns_that_need_a_decision_are_in_one_message() -> None:
    with pytest.raises(TableError) as refused:
        Synthesizer(max_steps=2).fit(people())
    text = str(refused.value)
    assert text.startswith("3 columns need a decision.")
    assert all(f"Column '{name}' must have" in text for name in ("patient_name", "email", "note"))
    assert "names of people, by its name: 80 distinct values in 120 rows" in text
    assert all(f"`--fake {name}` draws fake" in text for name in ("patient_name", "email"))
    assert all(f"`--{option} note`" in text for option in ("id", "drop", "categorical"))
    assert not any(words in text for words in ("patient_id", "--fake note"))


@pytest.mark.parametrize("scale", [0, 2])
def test_decimal_keys_get_new_ones(scale: int) -> None:
    keys = pa.array([*(Decimal(int(key)) for key in KEYS[:-1]), None], pa.decimal128(10, scale))
    table = pa.table({"patient_id": keys, "x": np.arange(ROWS) % 7})
    with pytest.warns(UserWarning, match="40 values in 120 rows"):
        fitted = Synthesizer(max_steps=2, random_state=0).fit(table)
    made = pa.Table.from_pandas(fitted.sample(300)).column("patient_id").drop_null().to_pylist()
    assert len(set(made)) == len(made) > 250
    assert not set(made) & set(keys.to_pylist())
    with pytest.raises(RequestError, match=r"New ids of column 'patient_id' must fit its type decimal128\(4, 0\)"):
        IdEncoding(name="patient_id", pattern="sequence", start=9_998, missing=False).decode(
            CodedColumn(np.zeros(5, np.int64), np.random.default_rng(0)), pa.decimal128(4, 0)
        )
    fractions = pa.table({"patient_id": pa.array([Decimal("1.5")] * 9, pa.decimal128(10, 2))})
    with pytest.raises(TableError, match="ids must be texts or whole numbers"):
        Schema(columns=[Column(name="patient_id", kind="id")]).check(fractions)


def test_whether_keys_repeat_is_known_of_every_kind_of_key() -> None:
    for name, values in (
        ("mrn", KEYS),
        ("id", KEYS),
        ("k", [f"{i % 60:08x}-1111-4222-8333-444444444444" for i in KEYS]),
    ):
        for twice in (True, False):
            part = values if twice else values[::3]
            read = convert.read(pd.DataFrame({name: part}))
            found = find_identifier(name, read.column(name))
            assert found is not None
            assert found.repeats == (len(set(part)) < len(part))


def test_keys_that_repeat_get_new_ones_with_a_warning() -> None:
    frame = people()[["patient_id", "x"]]
    with pytest.warns(UserWarning, match="column 'patient_id' has keys of subjects"):
        made = Synthesizer(max_steps=2, random_state=0).fit(frame).sample(60)
    assert made.patient_id.is_unique
    assert not set(made.patient_id) & set(KEYS)


def test_a_key_may_be_declared_as_numbers() -> None:
    schema = Schema.infer(people()[["patient_id", "x"]]).declare("patient_id", kind="integer")
    made = Synthesizer(max_steps=2, random_state=0, schema=schema).fit(people()[["patient_id", "x"]]).sample(60)
    assert made.patient_id.between(KEYS.min(), KEYS.max()).all()


def test_a_draft_proposes_fake_values_and_says_why() -> None:
    table = convert.read(people())
    draft = drafted(Schema.infer(table), table)
    found = {name: reason.partition(". ")[0] for name, reason in draft.reasons.items()}
    assert (draft.schema["patient_name"].kind, draft.schema["patient_name"].provider) == ("fake", "name")
    assert found["patient_name"] == (
        "fake: names of people, by its name, 80 distinct in 120 values: none is learned, values come from Faker "
        "(extra `faker`)"
    )
    assert found["patient_id"] == (
        "id: keys of subjects that repeat, by its name, 40 distinct in 120 values: none is learned, new ids are "
        "generated"
    )
    comments = " ".join(line.removeprefix("# ") for line in draft.to_yaml().splitlines() if line.startswith("#"))
    assert all(reason in comments for reason in found.values())


def test_names_that_are_declared_as_categories_are_learned() -> None:
    frame = people()[["patient_name", "x"]]
    schema = Schema.infer(frame).declare("patient_name", kind="categorical")
    fitted = Synthesizer(max_steps=2, random_state=0, schema=schema, protect=0).fit(frame)
    assert set(fitted.sample(30).patient_name) <= set(PEOPLE)
