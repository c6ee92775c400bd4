"""An exact number of rows of each class, from a table in which one class is scarce."""

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
    made = synthesizer.sample(ASKED)  # the class is a condition: no rows are drawn and rejected
    print("learned", learned["target"].value_counts().to_dict(), "made", made["target"].value_counts().to_dict())

    # Malignant tumours that were not used for training, and synthetic ones.
    unseen = malignant.drop(scarce.index)
    for name, rows in {"unseen": unseen, "made": made[made["target"] == "malignant"]}.items():
        print(f"malignant, {name}:\n{rows[SHOWN].describe().loc[['mean', 'std', 'min', 'max']].round(2)}")


if __name__ == "__main__":
    main()
