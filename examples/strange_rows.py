"""Outliers and the cells that cause them: malignant tumours scored by a model of benign ones.

python examples/strange_rows.py [PICTURE]
"""

import sys

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from synthvae.estimators import VAEOutlierDetector


def draw(scores: pd.Series, benign: pd.Series, cells: pd.Series, path: str) -> None:
    """Plot the distribution of scores, and the contributions of the cells of the worst row (extra `plots`)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = np.linspace(float(scores.quantile(0.01)), float(scores.max()), 40)
    for label, chosen in (("benign", benign), ("malignant", ~benign)):
        left.hist(scores[chosen].clip(lower=float(bins[0])), bins, alpha=0.6, label=label)
    left.set(xlabel="score: bound on log p(x), nats", ylabel="rows that were not used for training")
    left.legend()
    right.barh(cells.index, cells)
    right.invert_yaxis()
    right.set(xlabel="contribution to the score, nats", title=f"row {scores.idxmin()}, the lowest score")
    figure.savefig(path, dpi=120)


def main() -> None:
    frame = load_breast_cancer(as_frame=True).frame
    benign = frame.pop("target") == 1
    train = frame[benign].sample(frac=0.7, random_state=0)
    rest = frame.drop(train.index)
    detector = VAEOutlierDetector(contamination=0.05, max_steps=150, random_state=0).fit(train)
    scores = pd.Series(detector.score_samples(rest), rest.index)
    flagged = scores < detector.offset_
    print(f"AUC {roc_auc_score(~benign[rest.index], -scores):.3f}")
    print(flagged.groupby(benign[rest.index].map({True: "benign", False: "malignant"})).mean().round(2).to_dict())
    strangest = rest.loc[[scores.idxmin()]]
    cells = detector.explain(strangest).iloc[0].nlargest(8)
    print(pd.DataFrame({"stranger by": cells.round(1), "value": strangest[list(cells.index)].iloc[0]}))
    if len(sys.argv) > 1 and sys.argv[1].endswith(".png"):
        draw(scores, benign[rest.index], cells, sys.argv[1])


if __name__ == "__main__":
    main()
