"""A made-up table of hospital stays that keeps rules of all kinds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthvae.schema import (
    Difference,
    FixedCombinations,
    If,
    ImpliesMissing,
    Increments,
    Inequality,
    OneHot,
    RequiredIf,
    Sum,
    Unique,
)

WARDS = {"A1": "surgery", "A2": "surgery", "B1": "medicine", "B2": "medicine", "B3": "medicine", "K": "children"}
LINES = ("ambulance", "walk_in", "referral")
PARTS = ("drugs", "nursing", "imaging", "meals")


def stays(n: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Stays of patients (n, 24), in random order; some values are missing."""
    rng = np.random.default_rng(seed)
    admission = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 2_000, n), unit="D")
    age = pd.to_timedelta(np.where(rng.random(n) < 0.3, rng.integers(0, 30, n), rng.integers(0, 33_000, n)), unit="D")
    stay = rng.geometric(0.12, n) - 1
    discharge = admission + pd.to_timedelta(stay, unit="D")
    reason = rng.choice(["home", "transfer", "died"], n, p=[0.75, 0.17, 0.08])
    ward = rng.choice(list(WARDS), n)
    arrival = rng.choice(3, n, p=[0.3, 0.5, 0.2])
    costs = {name: np.round(rng.gamma(2, 80 + 40 * place, n), 2) for place, name in enumerate(PARTS)}
    systolic = rng.normal(125, 20, n).round().astype(int)
    frame = pd.DataFrame(
        {
            "patient": [f"P{number:05d}" for number in np.sort(rng.integers(0, n // 3, n))],
            "birth": admission - age,
            "admission": admission,
            "discharge": discharge,
            "length_of_stay": stay,
            "ward": ward,
            "department": [WARDS[name] for name in ward],
            **{name: (arrival == place).astype(int) for place, name in enumerate(LINES)},
            **costs,
            "bill": np.round(sum(costs.values()), 2),
            "discharge_reason": reason,
            "date_of_death": discharge.where(reason == "died"),
            "bp_systolic": systolic,
            "bp_diastolic": systolic - rng.integers(5, 70, n),
            "dose_mg": 25 * rng.integers(1, 40, n),
            "weight": rng.normal(75, 15, n).round(1),
            "satisfaction": rng.integers(1, 11, n),
        }
    )
    frame["visit"] = frame.groupby("patient").cumcount() + 1
    for name in ("weight", "birth", "drugs"):
        frame.loc[rng.random(n) < 0.05, name] = np.nan
    frame["sex"] = rng.choice(["f", "m"], n)
    frame["pregnant"] = (frame["sex"] == "f") & (rng.random(n) < 0.3)
    measured = rng.random(n) < 0.8
    for name in ("sodium", "potassium"):
        frame[name] = pd.Series(rng.normal(100, 9, n).round(1)).where(measured)
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


RULES = {
    If(condition={"column": "sex", "in": ["m"]}, then={"column": "pregnant", "in": [False]}),
    ImpliesMissing(condition={"column": "sodium", "is_missing": True}, columns=["potassium"]),
    RequiredIf(condition={"column": "sodium", "is_missing": False}, columns=["potassium"]),
    Difference(result="length_of_stay", high="discharge", low="admission", unit="days"),
    Sum(total="bill", parts=PARTS),
    Inequality(columns=["birth", "admission", "discharge"]),
    Inequality(columns=["admission", "date_of_death"]),  # which is the discharge where it is known
    Inequality(columns=["bp_diastolic", "bp_systolic"]),
    FixedCombinations(columns=["ward", "department"]),
    OneHot(columns=LINES),
    ImpliesMissing(condition={"column": "discharge_reason", "not_in": ["died"]}, columns=["date_of_death"]),
    RequiredIf(condition={"column": "discharge_reason", "in": ["died"]}, columns=["date_of_death"]),
    Unique(columns=["patient", "visit"]),
    Increments(column="dose_mg", step=25),
}
