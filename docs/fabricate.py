"""Fabricate the tables of relational.yaml and longitudinal.yaml in pipelines/data: python docs/fabricate.py."""

from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parents[1] / "pipelines" / "data"
CODES = {"E11": "diabetes", "I10": "hypertension", "I50": "heart failure", "J18": "pneumonia", "N39": "infection"}


def clinic(subjects: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return patients, their admissions, and the diagnoses of these."""
    born = pd.Timestamp("1930-01-01") + pd.to_timedelta(rng.integers(0, 22_000, subjects), "D")
    patients = pd.DataFrame(
        {"patient": np.arange(1, subjects + 1), "born": born, "sex": rng.choice(["f", "m"], subjects)}
    )
    chronic = rng.random(subjects) < 0.4
    stays = np.where(chronic, rng.integers(2, 6, subjects), rng.integers(1, 3, subjects))
    owner = np.repeat(np.arange(subjects), stays)
    number = np.concatenate([np.arange(count) for count in stays])
    first = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 1500, subjects), "D")
    admitted = first.to_numpy()[owner] + pd.to_timedelta(200 * number + rng.integers(0, 90, len(owner)), "D")
    days = rng.poisson(np.where(chronic[owner], 7, 3))
    admissions = pd.DataFrame({"stay": np.arange(1, len(owner) + 1), "patient": owner + 1, "admitted": admitted})
    admissions["discharged"] = admitted + pd.to_timedelta(days, "D")
    admissions["ward"] = np.where(chronic[owner] & (rng.random(len(owner)) < 0.8), "medicine", "surgery")
    found = 1 + rng.binomial(4, np.where(chronic[owner], 0.5, 0.2))
    at = np.repeat(np.arange(len(owner)), found)
    usual, other = [0.3, 0.3, 0.3, 0.05, 0.05], [0.1, 0.25, 0.05, 0.3, 0.3]
    names = list(CODES)
    code = [rng.choice(names, p=usual if chronic[owner[stay]] else other) for stay in at]
    diagnoses = pd.DataFrame({"stay": at + 1, "code": code})
    diagnoses["cost"] = np.round(np.exp(rng.normal(6, 0.5, len(at))) * (1 + days[at] / 10), 2)
    diagnoses = diagnoses.drop_duplicates(["stay", "code"]).reset_index(drop=True)
    totals = diagnoses.groupby("stay")["cost"].sum().round(2)
    admissions["cost"] = admissions["stay"].map(totals)
    return {"patients": patients, "admissions": admissions, "diagnoses": diagnoses}


def visits(subjects: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the visits of patients whose weight and pressure change slowly."""
    count = rng.integers(1, 9, subjects)
    owner = np.repeat(np.arange(subjects), count)
    number = np.concatenate([np.arange(n) for n in count])
    rows = pd.DataFrame({"patient": owner + 1, "day": 30 * number + rng.integers(0, 12, len(owner)) * (number > 0)})
    rows["sex"] = rng.choice(["f", "m"], subjects)[owner]
    rows["age"] = rng.integers(35, 85, subjects)[owner]
    rows["weight"] = np.round(rng.normal(78, 13, subjects)[owner] - 0.4 * number + rng.normal(0, 0.8, len(owner)), 1)
    treated = (number > 0) & (rng.random(subjects)[owner] < 0.6)
    rows["drug"] = np.where(treated, rng.choice(["amlodipine", "ramipril"], subjects)[owner], "none")
    rows["diastolic"] = np.round(rng.normal(88, 8, subjects)[owner] - 8 * treated + rng.normal(0, 3, len(owner)))
    rows["systolic"] = np.round(rows["diastolic"] + 45 + np.abs(rng.normal(0, 9, len(owner))))
    return rows.astype({"diastolic": int, "systolic": int})


if __name__ == "__main__":
    for name, table in {
        **clinic(400, np.random.default_rng(0)),
        "visits": visits(600, np.random.default_rng(1)),
    }.items():
        table.to_csv(DATA / f"{name}.csv", index=False)
