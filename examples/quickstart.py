"""Fit a real table, draw rows of each class, compare them with the real ones."""

from sklearn.datasets import load_breast_cancer

from synthvae import Synthesizer


def main() -> None:
    data = load_breast_cancer(as_frame=True)
    real = data.frame.replace({"target": dict(enumerate(data.target_names))})

    synthesizer = Synthesizer(target="target", random_state=0).fit(real)
    synthetic = synthesizer.sample({"malignant": 300, "benign": 300})

    for name, table in {"real": real, "synthetic": synthetic}.items():
        summary = table.groupby("target")[["mean radius", "mean texture"]].agg(["count", "mean", "std"])
        print(f"{name}\n{summary.round(2)}\n")


if __name__ == "__main__":
    main()
