"""The main job on bundled real data: scikit-learn's breast cancer table, classes by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from synthvae.errors import ConfigurationError
from synthvae.evaluation import Evaluation, evaluate
from synthvae.synthesizer import artifact
from synthvae.synthesizer.synthesizer import Synthesizer

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
    """Fit two thirds, save, generate, and evaluate beside the last third; return what there is to see."""
    artifact.check_place(out / "model")
    real, holdout = parts(bundled_table())
    synthesizer = Synthesizer(target=TARGET, random_state=0, verbose=verbose).fit(real)
    synthesizer.save(out / "model")
    synthesizer.generate(out / "dataset", rows_per_class=ROWS_PER_CLASS, overwrite=True)
    synthetic = pd.read_parquet(out / "dataset")
    found = evaluate(real, synthesizer.sample(len(real), 0), holdout=holdout, target=TARGET, attacks=False)
    return "\n".join(
        [
            f"Breast cancer, {len(real)} real rows; mean ± standard deviation by class:",
            "",
            compare(real, synthetic),
            "",
            f"{found.verdict.use.question} {found.verdict.use.answer}",
            *(f"  - {reason}" for reason in found.verdict.use.reasons),
            "",
            f"model    {out / 'model'}",
            f"dataset  {out / 'dataset'}  (pd.read_parquet reads it)",
            f"report   {_report(found, out / 'report.html')}",
        ]
    )


def parts(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two thirds of the rows of each class, and the last third."""
    kept, held = train_test_split(table, test_size=1 / 3, stratify=table[TARGET], random_state=0)
    return kept.reset_index(drop=True), held.reset_index(drop=True)


def _report(found: Evaluation, path: Path) -> str:
    try:
        found.to_html(path)
    except ConfigurationError as error:  # what draws it is optional
        return str(error)
    return f"{path}  (a browser opens it)"


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
