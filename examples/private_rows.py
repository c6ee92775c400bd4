"""Differential privacy: declare what is public, plan how the budget is spent, fit, read the ledger."""

import numpy as np
import pandas as pd

from synthvae import Column, PrivacyBudget, Schema, Synthesizer

# Public: from general knowledge of such tables, never from these rows.
SCHEMA = Schema(
    columns=[
        Column(name="age", kind="integer", bounds=(18, 100), nullable=False),
        Column(name="smoker", kind="boolean", nullable=False),
        Column(name="pressure", kind="integer", bounds=(80, 220)),
        Column(name="stroke", kind="categorical", categories=["no", "yes"], nullable=False),
    ]
)
BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-5, unit="patient", rows_per_unit=2)


def make_visits(patients: int) -> pd.DataFrame:
    """Two visits of each patient; all of a patient's rows are protected together."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 100, patients).repeat(2)
    smoker = (rng.random(patients) < 0.25).repeat(2)
    pressure = rng.normal(105 + 0.4 * age + 8 * smoker, 12).round().clip(80, 220)
    pressure[rng.random(len(age)) < 0.05] = np.nan
    stroke = rng.random(len(age)) < 0.02 + 0.002 * (age - 18) + 0.08 * smoker
    return pd.DataFrame(
        {
            "patient": np.arange(patients).repeat(2),
            "age": age,
            "smoker": smoker,
            "pressure": pressure,
            "stroke": np.where(stroke, "yes", "no"),
        }
    )


def main() -> None:
    real = make_visits(4000)
    synthesizer = Synthesizer(target="stroke", schema=SCHEMA, privacy=BUDGET, max_steps=60, batch_size=1000)
    print("planned", *synthesizer.plan(rows=8000).statement()["events"], sep="\n  ")  # before any row is read
    ledger = synthesizer.fit(real).ledger_
    assert ledger is not None
    said = ledger.statement()
    print(f"epsilon {said['epsilon']:g} of {BUDGET.epsilon:g}, delta {ledger.delta:g}, of a patient")
    for name, rows in {"real": real, "made": synthesizer.sample(8000)}.items():
        older = rows["age"].astype(int) > 70
        print(
            name,
            rows["stroke"].eq("yes").groupby(older.map({True: "over 70", False: "younger"})).mean().round(3).to_dict(),
        )


if __name__ == "__main__":
    main()
