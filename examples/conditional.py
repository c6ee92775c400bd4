"""Rows made to order: exactly so many of each class, in a table in which one class is scarce."""

from sklearn.datasets import load_breast_cancer

from synthvae import Synthesizer

ASKED = {"malignant": 500, "benign": 500}
SHOWN = ["mean radius", "mean texture", "worst concavity"]


def main() -> None:
    data = load_breast_cancer(as_frame=True)
    real = data.frame.replace({"target": dict(enumerate(map(str, data.target_names)))})
    benign, malignant = (real[real["target"] == name] for name in ("benign", "malignant"))
    scarce = malignant.sample(60, random_state=0)
    learned = real.loc[benign.index.union(scarce.index)]

    synthesizer = Synthesizer(target="target", max_steps=300, random_state=0).fit(learned[[*SHOWN, "target"]])
    made = synthesizer.sample(ASKED)  # no row is drawn in vain: the class is given, not waited for
    print("learned", learned["target"].value_counts().to_dict(), "made", made["target"].value_counts().to_dict())

    # Malignant tumours that the model never saw, beside those made.
    unseen = malignant.drop(scarce.index)
    for name, rows in {"unseen": unseen, "made": made[made["target"] == "malignant"]}.items():
        print(f"malignant, {name}:\n{rows[SHOWN].describe().loc[['mean', 'std', 'min', 'max']].round(2)}")


if __name__ == "__main__":
    main()
