"""Values that identify people are found by their form, and columns of several languages by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae import Schema

ROWS, DISTINCT = 240, 80
LUHN = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


def luhn(digits: str) -> str:
    """The digits with their check digit."""
    total = sum(LUHN[int(d)] if place % 2 == 0 else int(d) for place, d in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


def nhs(i: int) -> str:
    digits = f"{400_000_000 + i * 7919}"
    check = 11 - sum(w * int(d) for w, d in zip(range(10, 1, -1), digits, strict=True)) % 11
    return f"{digits}{check % 11}" if check != 10 else nhs(i + 1000)


def nir(i: int) -> str:
    number = 2_560_175_100_000 + i * 997
    return f"{number}{97 - number % 97:02d}"


def dni(i: int) -> str:
    number = 10_000_000 + i * 7919
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


FORMS: dict[str, tuple[Callable[[int], str], str | None]] = {
    "payment cards": (lambda i: luhn(f"4{10**13 + i * 7919}"), "credit_card_number"),
    "payment cards with spaces": (
        lambda i: " ".join(luhn(f"5{10**13 + i * 7919}")[k : k + 4] for k in (0, 4, 8, 12)),
        "credit_card_number",
    ),
    "NHS numbers with spaces": (lambda i: f"{nhs(i)[:3]} {nhs(i)[3:6]} {nhs(i)[6:]}", None),
    "French numbers of social security": (lambda i: f"{nir(i)[0]} {nir(i)[1:3]} {nir(i)[3:13]} {nir(i)[13:]}", None),
    "Spanish numbers of identity": (dni, None),
    "Swedish numbers of people": (
        lambda i: f"6{i % 10}0{i % 9 + 1}1{i % 9}-{luhn(f'6{i % 10}0{i % 9 + 1}1{i % 9}{100 + i}')[6:]}",
        None,
    ),
    "Italian tax codes": (lambda i: f"RSS{chr(65 + i % 26)}RA8{i % 10}A0{i % 9 + 1}H50{i // 26}Z", None),
    "Brazilian tax numbers": (lambda i: f"{100 + i}.456.789-0{i % 10}", None),
    "British insurance numbers": (lambda i: f"AB {10 + i} 34 56 C", None),
    "vehicles": (lambda i: f"WVWZZZ1JZXW{100_000 + i}", "vin"),
    "IPv4 addresses": (lambda i: f"10.{i}.{i * 3 % 256}.17", "ipv4"),
    "IPv6 addresses": (lambda i: f"2001:db8::{i + 1:x}", "ipv6"),
    "MAC addresses": (lambda i: f"c6:40:96:55:47:{i:02x}", "mac_address"),
    "web addresses": (lambda i: f"https://person{i}.example.org/about", "url"),
    "handles": (lambda i: f"@person_{i}", "user_name"),
    "hashes": (lambda i: f"{i * 7919 + 16**31:032x}", None),
    "telephone numbers with an extension": (lambda i: f"434-252-{9000 + i}x114", "phone_number"),
    "international telephone numbers": (lambda i: f"+33 (0)4 84 14 30 {10 + i}", "phone_number"),
    "French telephone numbers": (lambda i: f"04 84 14 30 {10 + i}", "phone_number"),
    "German telephone numbers": (lambda i: f"03341{503_900 + i}", "phone_number"),
    "American addresses of two lines": (lambda i: f"{95 + i} Mcclure Knolls\nPort Kimberly, ME 26204", "address"),
    "German addresses of two lines": (lambda i: f"Am Markt {3 + i}\n23306 Zossen", "address"),
    "Spanish streets": (lambda i: f"Alameda Brígida Salinas {i + 1}", "address"),
    "Italian streets": (lambda i: f"Borgo Sauli, {i + 1}", "address"),
    "Japanese addresses": (lambda i: f"静岡県あきる野市芝公園{i + 1}丁目26番3号", "address"),
}
GIVEN = ["Anna", "Bruno", "Chiara", "Diego", "Elena", "François", "Giulia", "Hans-Peter", "Inés", "Jürgen"]
FAMILY = ["Becker", "Rossi", "García", "Dubois", "Müller", "van der Berg", "Esposito", "Martin"]
RUSSIAN = ["Арсений Дмитриевич", "Ангелина Петровна", "Иван Иванович"]
NAMED: dict[str, tuple[list[Any], str, str | None]] = {
    "Nom": (FAMILY, "fake", "last_name"),
    "Prénom": (GIVEN, "fake", "first_name"),
    "primer_apellido": (FAMILY, "fake", "last_name"),
    "cognome": (FAMILY, "fake", "last_name"),
    "pat_vorname": (GIVEN, "fake", "first_name"),
    "Vorname Nachname": ([f"{g} {f}" for g in GIVEN for f in FAMILY], "fake", "name"),
    "Hausarzt": ([f"Dr. {g} {f}" for g in GIVEN for f in FAMILY], "fake", "name"),
    "Фамилия": (["Сазонов", "Кононова", "Иванов"], "fake", "last_name"),
    "пациент": ([f"Сазон{c}в {n}" for c in "аиоу" for n in RUSSIAN], "fake", "name"),
    "氏名": ([f"{f} {g}" for f in ("木村", "山下", "高橋") for g in ("陽一", "知実", "裕樹", "翔")], "fake", "name"),
    "v8": ([f"{f}{g}" for f in "王李张刘" for g in ("鑫", "秀英", "伟")], "fake", "name"),
    "v9": ([f"{g} {f}" for g in GIVEN for f in FAMILY], "fake", "name"),
    "v10": ([f"{g[0]}. {f}" for g in GIVEN for f in FAMILY[:5]], "fake", "name"),
    "patient_last": (FAMILY, "fake", "last_name"),
    "Versicherungsnummer": ([f"{47 + i} {100_000 + i} B 83{i % 10}" for i in range(40)], "id", None),
    "nhs_number": ([4_000_000_000 + i * 13 for i in range(40)], "id", None),
    "NHS number": ([f"485 777 3{400 + i}" for i in range(40)], "id", None),
    "kunde_iban": ([f"XX{i:02d}-{i}" for i in range(40)], "id", None),
    "numero_securite_sociale": ([256_102_722_913_657 + i for i in range(40)], "id", None),
    "Krankenkassennummer": ([f"{128_968_841 + i}" for i in range(40)], "id", None),
    "hospital_number": ([6_001_297 + 7 * i for i in range(40)], "id", None),
    "NIR": ([273_040_407_098_878 + i for i in range(40)], "id", None),
    "studien_id": ([f"P{3000 + i}" for i in range(40)], "id", None),
    "subject": ([f"S{7000 + i}" for i in range(40)], "id", None),
    "accession_number": ([f"ACC{225_815 + i}" for i in range(40)], "id", None),
    "serial_number": ([f"SN{i:08d}" for i in range(40)], "id", None),
    "Kennzeichen": ([f"ROW-B-{95 + i}" for i in range(40)], "fake", "license_plate"),
    "vehicle_registration": ([f"PN{10 + i}KPQ" for i in range(40)], "fake", "license_plate"),
    "user": ([f"{g.lower().replace(' ', '')}{i}" for i, g in enumerate(GIVEN * 3)], "fake", "user_name"),
    "電話番号": ([f"070-3947-{9000 + i}" for i in range(40)], "fake", "phone_number"),
    "numero_de_telephone": ([f"3 69 94 86 {10 + i}" for i in range(40)], "fake", "phone_number"),
    "contact_number": ([301_234_500 + i for i in range(40)], "id", None),
}
LEFT_ALONE: dict[str, list[Any]] = {
    "company": ["Davis-Stewart", "Johnson Inc", "Wilson, Estrada and Sanchez", "Smith Ltd", "Meyer GmbH"],
    "name": ["Blue Chair", "Red Table", "Small Lamp", "Large Mug", "Green Sofa", "Old Bed"],
    "city": ["Port Elizabeth", "San José", "Santa Rosa", "New Orleans", "Las Vegas", "Fort Wayne", "Saint Paul"],
    "test": ["Weber Test", "Rinne Test", "Schober Test", "Allen Test", "Phalen Test", "Romberg Test", "Coombs Test"],
    "diagnosis": ["Parkinson Disease", "Bell Palsy", "Down Syndrome", "Hodgkin Lymphoma", "Crohn Disease"] * 2,
    "make": ["Mercedes", "Bentley", "Audi", "Ford", "Fiat", "Seat", "Kia", "Lotus", "Lincoln"],
    "occupation": ["Exec-managerial", "Prof-specialty", "Craft-repair", "Sales", "Tech-support"],
    "country": ["Chad", "Jordan", "Georgia", "Israel", "Austria", "France", "Côte d'Ivoire", "Viet Nam"],
    "plaque": ["soft", "hard", "none"],
    "subject": ["Maths", "Physics", "Art", "Biology", "English", "German", "French", "History", "Latin", "Music"],
    "account": ["debit", "credit", "none", "other", "cash"],
    "nir": [700 + i for i in range(40)],
    "vin": list(range(40)),
    "medicare": [1000 * i for i in range(40)],
    "t_cell": [20_000 * i for i in range(40)],
    "blood_pressure": [f"{90 + i}/{50 + i}" for i in range(40)],
    "zip4": [f"{10_000 + i}-{1000 + i}" for i in range(40)],
    "loinc": [f"{1000 + i}-{i % 10}" for i in range(40)],
    "ndc": [f"{10_000 + i}-1433-{10 + i}" for i in range(40)],
    "atc": [f"A{i:02d}BA0{i % 10}" for i in range(40)],
    "isbn": [f"978-0-{1000 + i}-{1000 + i}-{i % 10}" for i in range(40)],
    "version": [f"{i % 3}.{i % 7}.{i % 11}" for i in range(40)],
    "size": ["12 Pack Small", "24 Pack Large", "6 Pack Club", "10 Pack Run", "8 Tabs Mini"],
    "phone_type": ["home", "work", "mobile", "none", "other"],
    "first": ["yes", "no"],
}


def repeated(values: list[Any]) -> pd.Series:
    """A column of `ROWS` rows in which each value occurs several times."""
    return pd.Series((values * (ROWS // len(values) + 1))[:ROWS])


@pytest.mark.parametrize("dtype", ["object", "category"])
@pytest.mark.parametrize("case", FORMS)
def test_values_are_found_by_their_form(case: str, dtype: Any) -> None:
    form, provider = FORMS[case]
    found = Schema.infer(pd.DataFrame({"v": repeated([form(i) for i in range(DISTINCT)]).astype(dtype)}))["v"]
    assert (found.kind, found.provider) == ("id" if provider is None else "fake", provider)


@pytest.mark.parametrize("dtype", [None, "category"])
@pytest.mark.parametrize("name", NAMED)
def test_columns_are_found_by_their_names_and_values(name: str, dtype: Any) -> None:
    values, kind, provider = NAMED[name]
    column = repeated(values)
    if dtype is not None and isinstance(values[0], str):
        column = column.astype(dtype)
    found = Schema.infer(pd.DataFrame({name: column}))[name]
    assert (found.kind, found.provider) == (kind, provider)


@pytest.mark.parametrize("number", [lambda i: int(luhn(f"4{10**13 + i * 7919}")), lambda i: int(nhs(i))])
@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64"])
def test_whole_numbers_are_found_by_their_check_digits(number: Callable[[int], int], dtype: Any) -> None:
    found = Schema.infer(pd.DataFrame({"v": repeated([number(i) for i in range(DISTINCT)]).astype(dtype)}))["v"]
    assert found.kind == "id"


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_columns_of_other_things_are_left_alone(name: str) -> None:
    assert Schema.infer(pd.DataFrame({name: repeated(LEFT_ALONE[name])}))[name].kind not in {"id", "fake"}


def test_random_numbers_have_no_check_digits() -> None:
    numbers = np.random.default_rng(0).integers(4 * 10**15, 5 * 10**15, 500)
    assert Schema.infer(pd.DataFrame({"v": numbers}))["v"].kind == "integer"
