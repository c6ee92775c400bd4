"""The main job on bundled real data: scikit-learn's breast cancer table, classes by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer

from synthvae.synthesizer import Synthesizer

TARGET = "diagnosis"
ROWS_PER_CLASS = 1000
SHOWN = ("mean radius", "mean texture", "mean area", "worst concavity")


def bundled_table() -> pd.DataFrame:
    """569 tumours: 30 measurements and the diagnosis (Wolberg, Mangasarian, Street, Street 1995, UCI repository)."""
    data = load_breast_cancer(as_frame=True)
    names = dict(enumerate(data.target_names))
    frame: pd.DataFrame = data.frame.drop(columns="target")
    return frame.assign(**{TARGET: data.target.map(names)})


def run(out: Path, *, verbose: bool) -> str:
    """Fit, save, generate; return what there is to see."""
    real = bundled_table()
    synthesizer = Synthesizer(target=TARGET, random_state=0, verbose=verbose).fit(real)
    synthesizer.save(out / "model")
    synthesizer.generate(out / "dataset", rows_per_class=ROWS_PER_CLASS, overwrite=True)
    synthetic = pd.read_parquet(out / "dataset")
    return "\n".join(
        [
            f"Breast cancer, {len(real)} real rows; mean ± standard deviation by class:",
            "",
            compare(real, synthetic),
            "",
            f"model    {out / 'model'}",
            f"dataset  {out / 'dataset'}  (pd.read_parquet reads it)",
        ]
    )


def compare(real: pd.DataFrame, synthetic: pd.DataFrame) -> str:
    """A text table with a row for each class and column, real beside synthetic."""
    lines = {}
    for label, rows in real.groupby(TARGET):
        made = synthetic[synthetic[TARGET] == label]
        lines[f"{label}: rows"] = (f"{len(rows)}", f"{len(made)}")
        for name in SHOWN:
            lines[f"{label}: {name}"] = (_spread(rows[name]), _spread(made[name]))
    return pd.DataFrame.from_dict(lines, orient="index", columns=["real", "synthetic"]).to_string()


def _spread(values: pd.Series[float]) -> str:
    return f"{values.mean():.4g} ± {values.std():.3g}"
