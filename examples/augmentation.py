"""When synthetic rows of a scarce class help a classifier, and when they do not: a guide that measures.

One in twelve of these tumours is malignant. A classifier can account for that without more rows, by class weights or a
tuned threshold, or be trained with synthetic rows. Which is better depends on the classifier and on the metric:

- ROC AUC and PR-AUC depend on the order of rows. Weights and thresholds hardly change it; synthetic rows can, most for
  flexible classifiers on few rows (boosting, neighbours), least for linear ones.
- Balanced accuracy depends on one threshold, which can be tuned without more rows.
- Log-loss and Brier score depend on probabilities. Balanced rows overstate the scarce class: correct for it by
  `calibration="prior"`, or keep the class shares (`amount=1.0`).
- A filter ("agreement", "likelihood") makes classes more distinct than they are. That may help a classifier, but such
  rows must not be used as data.

`AugmentedClassifier(amount="auto")` decides by cross-validation, and adds no rows unless the gain is significant.
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
    """The same classifier with several ways to account for its scarce class."""
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
