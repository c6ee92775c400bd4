"""When rows made for a scarce class help, and when they do not: a guide that measures.

Few of these patients' cells are malignant: one in twelve. A classifier may be told of that in ways that are free,
weights of classes and a tuned threshold, or be given rows that a generator makes. Which is better depends on classifier
and figure:

- ROC AUC and PR-AUC are about the order of rows. Weights and thresholds leave it about as it is; rows made can change
  it, most where the classifier is flexible and data are few (boosting, neighbours), least where it is a line.
- Balanced accuracy is about one threshold, and tuning it is free: make no rows for its sake alone.
- Log-loss and Brier score are about probabilities. Balanced rows overstate the scarce class: correct for it by
  `calibration="prior"`, or keep the classes' shares (`amount=1.0`).
- A filter ("agreement", "likelihood") makes classes sharper than they are. That may help a classifier, and would
  mislead whoever takes the rows for data.

`AugmentedClassifier(amount="auto")` asks cross-validation, and takes none where a gain is not sure.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synthvae import Synthesizer
from synthvae.estimators import AugmentedClassifier

FIGURES = {
    "ROC AUC": "roc_auc",
    "PR-AUC": "average_precision",
    "balanced": "balanced_accuracy",
    "log-loss": "neg_log_loss",
}
MADE: dict[str, Any] = {"generator": Synthesizer(max_steps=60, width=64), "random_state": 0}


def scarce() -> tuple[np.ndarray, np.ndarray]:
    """Five columns of breast cancer: all benign rows, and 32 malignant ones."""
    X, y = load_breast_cancer(return_X_y=True)
    kept = (y == 1) | (np.cumsum(y == 0) <= 32)
    return X[kept, :10:2], 1 - y[kept]


def ways(model: Any) -> dict[str, Any]:
    """The same classifier, told of its scarce class in several ways."""
    found = {
        "as it is": model,
        "threshold": TunedThresholdClassifierCV(model, scoring="balanced_accuracy", cv=3),
        "balanced rows": AugmentedClassifier(model, amount="balance", **MADE),
        "balanced, corrected": AugmentedClassifier(model, amount="balance", calibration="prior", **MADE),
        "four times the rows": AugmentedClassifier(model, amount=3.0, **MADE),
    }
    if isinstance(model[-1], LogisticRegression):
        found["class weights"] = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    return found


def main() -> None:
    X, y = scarce()
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    for name, kind in {"a line": LogisticRegression(), "neighbours": KNeighborsClassifier(15)}.items():
        rows = {}
        for way, model in ways(make_pipeline(StandardScaler(), kind)).items():
            scores = cross_validate(model, X, y, cv=folds, scoring=FIGURES)
            rows[way] = {figure: abs(scores[f"test_{figure}"].mean()) for figure in FIGURES}
        print(f"\n{name}\n{pd.DataFrame(rows).T.round(3).to_string()}")


if __name__ == "__main__":
    main()
