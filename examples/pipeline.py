"""Synthetic rows in a scikit-learn pipeline: generated from the training rows of each fold, evaluated on real rows."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from synthvae import Synthesizer
from synthvae.estimators import AugmentedClassifier

COLUMNS = ["mean radius", "mean texture", "mean smoothness", "mean concavity", "mean symmetry"]


def main() -> None:
    data = load_breast_cancer(as_frame=True)
    X, y = data.data[COLUMNS], (data.target == 0).astype(int)
    kept = (y == 0) | (y.cumsum() <= 40)  # malignant tumours are scarce
    neighbours = KNeighborsClassifier(15)
    augmented = AugmentedClassifier(neighbours, generator=Synthesizer(max_steps=60, width=64), random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("classifier", augmented)])
    amounts = {"classifier__amount": [0.0, "balance"]}  # no rows, or as many of the scarce class as of the other
    search = GridSearchCV(pipeline, amounts, cv=StratifiedKFold(3), scoring="average_precision").fit(X[kept], y[kept])
    for asked, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{asked['classifier__amount']!s:>8}: PR-AUC {score:.3f}")
    print("taken:", search.best_params_["classifier__amount"])


if __name__ == "__main__":
    main()
