"""`synthvae demo`: fit, generate and evaluate on scikit-learn's breast cancer table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from synthvae.cli.summary import wrapped
from synthvae.errors import ConfigurationError
from synthvae.evaluation import Evaluation, evaluate
from synthvae.evaluation.verdict import Answer
from synthvae.synthesizer import artifact
from synthvae.synthesizer.synthesizer import Synthesizer

TARGET = "diagnosis"
ROWS_PER_CLASS = 1000
SHOWN = ("mean radius", "mean texture", "mean area", "worst concavity")


def bundled_table() -> pd.DataFrame:
    """Return 569 tumours with 30 measurements and the diagnosis (Wolberg, Mangasarian, Street, Street 1995, UCI)."""
    data = load_breast_cancer(as_frame=True)
    names = dict(enumerate(data.target_names))
    frame: pd.DataFrame = data.frame.drop(columns="target")
    return frame.assign(**{TARGET: data.target.map(names)})


def run(out: Path, *, verbose: bool) -> list[str]:
    """Fit two thirds of the rows, save, generate, and evaluate against the last third; return the lines to print."""
    artifact.check_place(out / "model")
    real, holdout = split(bundled_table())
    synthesizer = Synthesizer(target=TARGET, random_state=0, verbose=verbose).fit(real)
    synthesizer.save(out / "model")
    synthesizer.generate(out / "dataset", rows_per_class=ROWS_PER_CLASS, overwrite=True)
    synthetic = pd.read_parquet(out / "dataset")
    found = evaluate(real, synthesizer.sample(len(real), 0), holdout=holdout, target=TARGET, attacks=False)
    return [
        f"Breast cancer: {len(real) + len(holdout)} real rows, of which {len(real)} were used for training.",
        "Mean ± standard deviation by class, training rows and synthetic rows:",
        "",
        *compare(real, synthetic).split("\n"),
        "",
        *_answer(found.verdict.use),
        *_answer(found.verdict.share),
        f"model    {out / 'model'}",
        f"dataset  {out / 'dataset'}  (pd.read_parquet reads it)",
        f"report   {_report(found, out / 'report.html')}",
    ]


def _answer(answer: Answer) -> Iterator[str]:
    """Yield a question, its answer and its reasons, wrapped between words."""
    yield from wrapped("", f"{answer.question} [{answer.grade}] {answer.answer}")
    for reason in answer.reasons:
        yield from wrapped("  - ", reason)
    yield ""


def split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the table into training rows (two thirds of each class) and a holdout."""
    train, holdout = train_test_split(table, test_size=1 / 3, stratify=table[TARGET], random_state=0)
    return train.reset_index(drop=True), holdout.reset_index(drop=True)


def _report(found: Evaluation, path: Path) -> str:
    try:
        found.to_html(path)
    except ConfigurationError as error:  # plotly is an optional dependency
        return str(error)
    return f"{path}  (a browser opens it)"


def compare(real: pd.DataFrame, synthetic: pd.DataFrame) -> str:
    """Return a text table of real and synthetic rows: one line for each class and column."""
    lines = {}
    for label, rows in real.groupby(TARGET):
        drawn = synthetic[synthetic[TARGET] == label]
        lines[f"{label}: rows"] = (f"{len(rows)}", f"{len(drawn)}")
        for name in SHOWN:
            lines[f"{label}: {name}"] = (_spread(rows[name]), _spread(drawn[name]))
    return pd.DataFrame.from_dict(lines, orient="index", columns=["real", "synthetic"]).to_string()


def _spread(values: pd.Series[float]) -> str:
    return f"{values.mean():.4g} ± {values.std():.3g}"
