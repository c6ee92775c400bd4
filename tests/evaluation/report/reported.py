"""An evaluation with every table that the report draws, and hostile column names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from synthvae.evaluation import Comparison, Evaluation, Figure, Metric, Section
from synthvae.evaluation.verdict import Answer, Verdict

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "'\"><b>&amp;",
    "n" * 300,
    "{{ 7 * 7 }}",
)
LEDGER = {
    "epsilon": 0.9871,
    "delta": 1e-5,
    "budget": 1.0,
    "unit": "the rows of one patient, at most 3 used",
    "adjacency": "add or remove one unit",
    "accountant": "privacy loss distributions",
    "events": ["gradients x 1,000: gaussian, noise multiplier 1.1, sampling rate 0.01 (training)"],
}


@dataclass(frozen=True)
class Judged(Evaluation):
    """An evaluation with a given verdict."""

    given: Verdict | None = None

    @property
    def verdict(self) -> Verdict:
        assert self.given is not None
        return self.given


VERDICT = Verdict(
    Answer(
        "Can these synthetic rows be used?",
        "fair",
        "With caution.",
        ("A classifier separates 0.71 of the rows.",),
    ),
    Answer(
        "Can these synthetic rows be shared?",
        "poor",
        "No: rows are copies.",
        ("12 rows are exact copies.", "No ledger."),
    ),
)


def figure(
    name: str = "shape", better: Any = "higher", value: float = 0.91, *, risk: bool = False, **more: Any
) -> Figure:
    metric = Metric(name, f"Title of {name}", better, f"What {name} means.", "A paper, section 2.", "No more.", risk)
    return Figure(metric, value, **more)


def html_of(evaluation: Evaluation) -> str:
    return evaluation._html()


def histograms(frame: pd.DataFrame, seed: int = 0, bins: int = 20) -> pd.DataFrame:
    """Columns as `drawn_columns` has them: the frame, and noise upon it."""
    rng = np.random.default_rng(seed)
    parts = []
    for name in frame:
        real = frame[name].to_numpy(np.float64)
        edges = np.histogram_bin_edges(real, bins)
        made = rng.choice(real, len(real)) + rng.normal(0, real.std() / 5, len(real))
        shares = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v) for v in (real, made)]
        part = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "real": shares[0], "synthetic": shares[1]})
        parts.append(part.assign(column=str(name), kind="number", label=None))
    columns = ["column", "kind", "label", "low", "high", "real", "synthetic"]
    return pd.concat(parts, ignore_index=True)[columns]


def scored(drawn: pd.DataFrame) -> pd.DataFrame:
    """Columns with their similarity, here that of their bins."""
    half = (drawn["real"] - drawn["synthetic"]).abs() / 2
    return drawn.assign(score=1 - half.groupby(drawn["column"]).transform("sum"), logarithmic=False)


def categories(name: str, labels: tuple[str, ...]) -> pd.DataFrame:
    real, made = (np.random.default_rng([7, k]).dirichlet(np.ones(len(labels))) for k in range(2))
    bars = {"label": labels, "low": np.nan, "high": np.nan, "real": real, "synthetic": made}
    return pd.DataFrame({"column": name, "kind": "category", **bars})


def joint(first: str, second: str, labels: tuple[str, ...]) -> pd.DataFrame:
    """The joint distribution of two columns, as `drawn_joint` has it."""
    size = len(labels)
    real, synthetic = (np.random.default_rng([8, k]).dirichlet(np.ones(2 * size)) for k in range(2))
    above, beside = np.repeat(range(2), size), np.tile(range(size), 2)
    cells = {"first": first, "second": second, "first_level": above, "second_level": beside}
    names = {"first_label": [f"level {k}" for k in above], "second_label": [labels[k] for k in beside]}
    return pd.DataFrame({**cells, **names, "real": real, "synthetic": synthetic})


def fidelity(frame: pd.DataFrame) -> Section:
    names = [str(name) for name in frame]
    rng = np.random.default_rng(1)
    real, noise = frame.corr().to_numpy(), rng.normal(0, 0.1, (len(names), len(names)))
    first, second = np.triu_indices(len(names), 1)
    at = {"first": np.array(names, object)[first], "second": np.array(names, object)[second]}
    both = {"real": real[first, second], "synthetic": np.clip(real + noise, -1, 1)[first, second]}
    score = 1 - np.abs(both["real"] - both["synthetic"]) / 2
    bins = {"low": [19000.0, 19100, 19200], "high": [19100.0, 19200, 19300], "real": [0.5, 0.3, 0.2]}
    bins["synthetic"] = [0.4, 0.3, 0.3]
    days = pd.DataFrame({**bins, "column": "admitted", "kind": "date", "label": None})
    drawn = [histograms(frame), days, categories("site", HOSTILE), categories(HOSTILE[0], ("a", "b"))]
    columns = {"column": names, "kind": "continuous", "score": rng.uniform(0.7, 1, len(names)), "real": 0.98}
    plane = rng.normal(size=(400, 2))
    return Section(
        "fidelity",
        (
            figure("shape", interval=(0.90, 0.92), real=0.985, independent=0.984),
            figure("trend", interval=(0.85, 0.88), value=0.87, real=0.97, independent=0.61),
            figure("c2st", "half", 0.71, risk=True, interval=(0.69, 0.73), real=0.5, independent=0.97),
            figure("wide", "lower", 1234.5, real=float("nan")),
        ),
        {
            "columns": pd.DataFrame({**columns, "wasserstein": rng.exponential(size=len(names)), "missing_real": None}),
            "pairs": pd.DataFrame({**at, "kind": "correlation", "score": score, "real": 0.99,
                                   "correlation_real": both["real"], "correlation_synthetic": both["synthetic"]}),
            "drawn_columns": scored(pd.concat(drawn, ignore_index=True)),
            "drawn_associations": pd.DataFrame({**at, **both}),
            "drawn_joint": joint(HOSTILE[0], "site", HOSTILE),
            "drawn_plane": pd.DataFrame(plane, columns=["x", "y"]).assign(rows=["real", "synthetic"] * 200),
        },
        ("Two columns are constant: nothing goes together with them.",),
    )  # fmt: skip


def utility() -> Section:
    rate = np.linspace(0, 1, 50)
    parts = [("real", 0.3), ("synthetic", 0.5)]
    roc = [pd.DataFrame({"trained_on": who, "label": "malignant", "false_positive_rate": rate,
                         "true_positive_rate": rate**power}) for who, power in parts]  # fmt: skip
    predicted = np.linspace(0.05, 0.95, 10)
    calibration = [pd.DataFrame({"trained_on": who, "predicted": predicted, "observed": predicted**power, "rows": 10})
                   for who, power in parts]  # fmt: skip
    models = {"model": ["linear", "linear"], "trained_on": ["real", "synthetic"], "score": [0.98, 0.91]}
    actual = np.random.default_rng(2).normal(size=200)
    predictions = [
        pd.DataFrame({"trained_on": who, "actual": actual, "predicted": actual * power}) for who, power in parts
    ]
    return Section("utility", (figure("tstr", interval=(0.9, 0.93), real=0.98),), {
        "models": pd.DataFrame(models).assign(log_loss=0.3, brier=0.1, calibration=0.02),
        "importances": pd.DataFrame({"column": ["a", HOSTILE[1]], "real": [0.6, 0.4], "synthetic": [0.3, np.nan]}),
        "drawn_roc": pd.concat(roc), "drawn_calibration": pd.concat(calibration),
        "drawn_predictions": pd.concat(predictions),
    })  # fmt: skip


def others() -> list[Section]:
    rng = np.random.default_rng(3)
    time = np.arange(20.0)
    curves = [
        pd.DataFrame({"rows": who, "time": time, "survival": 0.9 ** (time * k)})
        for who, k in (("real", 1), ("synthetic", 1.2))
    ]
    incidence = pd.concat([curve.assign(cause=HOSTILE[0], incidence=1 - curve["survival"]) for curve in curves])
    distances = [
        pd.DataFrame({"rows": who, "distance": rng.gamma(k, size=500)}) for who, k in (("holdout", 2), ("synthetic", 1))
    ]
    attacks = pd.DataFrame({"attack": ["singling out", "linkability", "inference"], "column": [None, None, HOSTILE[0]],
                            "guesses": 500, "success": 0.3, "naive": 0.1, "control": 0.2, "risk": [0.1, 0.02, 0.3],
                            "low": [0.05, 0.0, 0.2], "high": [0.15, 0.05, 0.4]})  # fmt: skip
    groups = pd.DataFrame({"group": ["f", "m"], "rows_real": [300, 200], "rows_synthetic": [310, 190],
                           "shape": [0.9, 0.8], "tstr": [0.8, 0.7], "trtr": [0.9, 0.88]})  # fmt: skip
    copied = figure("exact_copies", "lower", 0.012, risk=True, interval=(0.006, 0.02), real=0.0)
    return [
        Section("survival", (), {"drawn_survival": pd.concat(curves), "drawn_incidence": incidence}),
        Section("disclosure", (copied,), {"nearest": pd.DataFrame({"rows": ["holdout"], "median": [0.4]}),
                                          "drawn_distances": pd.concat(distances)}),
        Section("attacks", (figure("linkability", "lower", 0.02, interval=(0.0, 0.05)),), {"attacks": attacks}),
        Section("fairness", (), {"groups": groups}),
        Section("sequences", (), {"drawn_links": scored(categories(HOSTILE[0], HOSTILE)).assign(of="parents")}),
    ]  # fmt: skip


def evaluated(sections: tuple[Section, ...] | None = None, **more: Any) -> Judged:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 2, 3, 4, 30]]
    made = frame.sample(len(frame), replace=True, random_state=0)
    compared = Comparison.from_tables(frame, made, holdout=frame.iloc[::3], target="target")
    found = (fidelity(frame), utility(), *others()) if sections is None else sections
    described = pd.DataFrame({"column": HOSTILE[:2], "kind": "categorical", "missing": "0.0%", "row 1": HOSTILE[2:4]})
    given = {"given": VERDICT, "ledger": LEDGER, "date": "2026-11-30", "model": {"latent": HOSTILE[1]}}
    return Judged(more.pop("comparison", compared), found, 0, **{**given, "description": described, **more})
