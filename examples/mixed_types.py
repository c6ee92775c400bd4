"""Mixed types: dates, categories, booleans, missing values, ids, numbers beside sentinel values. Types are kept."""

import numpy as np
import pandas as pd

from synthvae import Schema, Synthesizer


def make_visits(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.integers(18, 95, rows)
    days = pd.to_timedelta(rng.integers(0, 700, rows), "D")
    lab = np.where(rng.random(rows) < 0.1, "not done", np.char.mod("%.1f", rng.normal(5 + age / 30, 1)))
    return pd.DataFrame(
        {
            "visit": [f"V{i:05d}" for i in range(rows)],
            "admitted": pd.Timestamp("2024-01-01", tz="Europe/Berlin") + days,
            "age": pd.array(np.where(rng.random(rows) < 0.05, np.nan, age), "Int64"),
            "ward": pd.Categorical(rng.choice(["surgery", "medicine", "icu"], rows, p=[0.3, 0.6, 0.1])),
            "lab": lab,
            "died": rng.random(rows) < age / 400,
        }
    )


def main() -> None:
    real = make_visits(3000)
    # "visit" differs from row to row and cannot be modelled: it is declared as an id, and new ids are generated.
    schema = Schema.infer(real).declare("visit", kind="id")
    synthetic = Synthesizer(target="died", schema=schema, max_steps=300, random_state=0).fit(real).sample(5)
    print(synthetic.to_string())
    print((synthetic.dtypes == real.dtypes).to_string())


if __name__ == "__main__":
    main()
