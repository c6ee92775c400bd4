"""Small fabricated databases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synthvae.relational import Database

LINKS = [
    ("visits", "patient", "patients", "id"),
    ("labs", "visit", "visits", "visit"),
    ("labs", "patient", "patients", "id"),
    ("labs", "code", "codes", "code"),
    ("labs", "ordered_at", "visits", "visit"),
]


def tables(subjects: int = 120, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Patients, their visits, and the measurements of each visit."""
    rng = np.random.default_rng(seed)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 15_000, subjects), "D")
    patients = pd.DataFrame({"id": [f"P-{i:04d}" for i in range(1, subjects + 1)], "born": born})
    patients["sex"] = pd.Categorical(rng.choice(["f", "m"], subjects))
    counts = np.where(np.arange(subjects) % 10 == 0, 0, rng.integers(1, 6, subjects))
    owner = np.repeat(np.arange(subjects), counts)
    position = np.concatenate([np.arange(n) for n in counts])
    day = patients["born"].to_numpy()[owner] + pd.to_timedelta(
        10_000 + 400 * position + rng.integers(0, 9, len(owner)), "D"
    )
    visits = pd.DataFrame({"visit": np.arange(1, len(owner) + 1), "patient": patients["id"].to_numpy()[owner]})
    visits["day"] = day
    visits["left"] = day + pd.to_timedelta(rng.integers(0, 4, len(owner)), "D")
    visits["weight"] = np.round(60 + 10 * (owner % 3) + rng.normal(0, 1, len(owner)), 1)
    per_visit = rng.integers(0, 4, len(owner))
    at = np.repeat(np.arange(len(owner)), per_visit)
    labs = pd.DataFrame({"visit": visits["visit"].to_numpy()[at], "patient": visits["patient"].to_numpy()[at]})
    labs["number"] = np.concatenate([np.arange(1, n + 1) for n in per_visit]).astype(np.int16)
    labs["code"] = rng.choice(["na", "k", "crp"], len(at), p=[0.5, 0.3, 0.2])
    first = visits.groupby("patient")["visit"].min()
    labs["ordered_at"] = labs["patient"].map(first).astype("float64").where(rng.random(len(at)) < 0.7)
    labs["value"] = rng.normal(0, 1, len(at)).round(2)
    shuffled = labs.sample(frac=1, random_state=1).reset_index(drop=True)
    codes = pd.DataFrame({"code": ["na", "k", "crp"], "name": ["sodium", "potassium", "protein"]})
    return {"patients": patients, "visits": visits.iloc[::-1].reset_index(drop=True), "labs": shuffled, "codes": codes}


def database(**changes: Any) -> Database:
    """The keys of these tables."""
    fields: dict[str, Any] = {
        "tables": tables(),
        "primary_keys": {"patients": "id", "visits": "visit", "labs": ("visit", "number"), "codes": "code"},
        "foreign_keys": LINKS,
        "order": {"visits": "day", "labs": "number"},
        "public": ["codes"],
    }
    return Database(**{**fields, **changes})
