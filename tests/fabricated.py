"""A fabricated table of hospital stays on which a rule of every kind holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthvae.schema import (
    Difference,
    FixedCombinations,
    Formula,
    If,
    ImpliesMissing,
    Increments,
    Inequality,
    OneHot,
    RequiredIf,
    Sum,
)
from synthvae.schema.constraints import Rule

DEPARTMENTS = {"surgery": ["A1", "A2", "A3"], "medicine": ["B1", "B2"], "children": ["C1"], "maternity": ["D1", "D2"]}

RULES: tuple[Rule, ...] = (
    Inequality(columns=["born", "admitted", "discharged"]),
    Inequality(columns=["diastolic", "systolic"], strict=True),
    Inequality(columns=["lowest_pulse", "mean_pulse", "highest_pulse"]),
    Difference(result="nights", high="discharged", low="admitted", unit="days"),
    FixedCombinations(columns=["department", "ward"]),
    OneHot(columns=["planned", "emergency", "transfer"]),
    Sum(total="bill", parts=["care", "drugs", "lab"]),
    Formula(column="bmi", expression="weight / height ** 2"),
    Increments(column="dose", step=25),
    ImpliesMissing(condition={"column": "drug", "is_missing": True}, columns=["dose"]),
    RequiredIf(condition={"column": "drug", "is_missing": False}, columns=["dose"]),
    If(condition={"column": "sex", "in": ["m"]}, then={"column": "pregnant", "in": [False]}),
    If(condition={"column": "department", "in": ["children"]}, then={"column": "weight", "between": [None, 80]}),
)


def hospital(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return stays that keep all of `RULES`.

    Args:
        rows: The number of stays.
        seed: The seed of the generator.
    """
    rng = np.random.default_rng(seed)
    department = rng.choice(list(DEPARTMENTS), rows, p=[0.35, 0.4, 0.15, 0.1])
    ward = np.array([rng.choice(DEPARTMENTS[name]) for name in department])
    child, mother = department == "children", department == "maternity"
    admitted = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 1460, rows), "D")
    mean_stay = np.select([department == "surgery", child, mother], [4.0, 2.0, 3.0], 6.0)
    nights = rng.geometric(1 / mean_stay) - 1
    age = np.select([child, mother], [rng.uniform(0, 17, rows), rng.uniform(18, 44, rows)], rng.uniform(18, 95, rows))
    sex = np.where(mother, "f", rng.choice(["f", "m"], rows))
    height = np.round(np.where(child, 0.6 + 0.065 * age, rng.normal(1.7, 0.09, rows)), 2)
    weight = np.round(np.clip(height**2 * rng.normal(np.where(child, 17, 26), 3.5), 4, np.where(child, 80, 180)), 1)
    diastolic = np.round(rng.normal(70, 9, rows) + 0.15 * np.where(child, 0, age)).astype(int)
    systolic = diastolic + 20 + rng.gamma(4, 7, rows).round().astype(int)
    mean_pulse = np.round(rng.normal(np.where(child, 100, 76), 10), 1)
    way = rng.choice(["planned", "emergency", "transfer"], rows, p=[0.5, 0.4, 0.1])
    care = np.round(350 * (nights + 1) * rng.lognormal(0, 0.2, rows), 2)
    drug = pd.Series(rng.choice(["heparin", "morphine", "penicillin"], rows)).where(rng.random(rows) < 0.6)
    drugs = np.round(np.where(drug.isna(), 0, rng.gamma(2, 30, rows)), 2)
    lab = np.round(rng.gamma(2, 40, rows), 2)
    return pd.DataFrame(
        {
            "department": department,
            "ward": ward,
            "born": (admitted - pd.to_timedelta((age * 365.25).astype(int), "D")).normalize(),
            "sex": sex,
            "pregnant": np.where(sex == "m", False, mother | (rng.random(rows) < 0.03)),  # noqa: FBT003
            "admitted": admitted,
            "discharged": admitted + pd.to_timedelta(nights, "D"),
            "nights": nights,
            **{name: (way == name).astype(int) for name in ("planned", "emergency", "transfer")},
            "height": height,
            "weight": weight,
            "bmi": np.round(weight / height**2, 1),
            "diastolic": diastolic,
            "systolic": systolic,
            "lowest_pulse": np.floor(mean_pulse - rng.gamma(2, 6, rows)),
            "mean_pulse": mean_pulse,
            "highest_pulse": np.ceil(mean_pulse + rng.gamma(2, 8, rows)),
            "drug": drug,
            "dose": (25.0 * rng.integers(1, 9, rows)) * np.where(drug.isna(), np.nan, 1),
            "drugs": drugs,
            "lab": lab,
            "care": care,
            "bill": np.round(care + drugs + lab, 2),
        }
    )
