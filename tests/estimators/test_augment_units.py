"""Augmentation: real rows stay as they are, ids are new ones, small classes are warned of, units share no fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from synthvae import Synthesizer
from synthvae.estimators import AugmentedClassifier, VAEOverSampler
from synthvae.estimators.augment import augment


def table(scarce: int = 30) -> pd.DataFrame:
    """Three rows a patient, a town of two rows, an income of one."""
    rng = np.random.default_rng(0)
    rows = 120 + scarce
    frame = pd.DataFrame(
        {"row": np.arange(rows) + 1, "patient": np.arange(rows) // 3 + 500, "x": rng.normal(size=rows)}
    )
    frame["town"] = np.where(np.arange(rows) < 2, "Tinyville", np.where(np.arange(rows) % 2, "A", "B"))
    frame["income"] = np.r_[rng.normal(3e4, 5e3, rows - 1).round(), 9_876_543.0]
    return frame.assign(y=["no"] * 120 + ["yes"] * scarce)


def test_real_rows_stay_and_only_what_is_learned_is_protected() -> None:
    real = table()
    made = augment(real, Synthesizer(target="y", unit="patient", max_steps=5, random_state=0)).to_pandas()
    pd.testing.assert_frame_equal(made[: len(real)].drop(columns="synthetic"), real, check_dtype=False)
    new = made[made["synthetic"]]
    assert len(new) == 90
    assert "Tinyville" not in set(new["town"])
    assert new["income"].max() < 1e6
    for name in ("row", "patient"):
        assert new[name].is_unique
        assert not set(new[name]) & set(real[name])


def test_a_class_of_few_rows_is_warned_of_with_its_number() -> None:
    with pytest.warns(UserWarning, match="'yes' has 12 rows"):
        augment(table(12), Synthesizer(target="y", unit="patient", max_steps=5, random_state=0))
    sampler = VAEOverSampler(generator=Synthesizer(max_steps=5, unit="patient"), random_state=0)
    with pytest.warns(UserWarning, match="'yes' has 12 rows"):
        features, _ = sampler.fit_resample(table(12).drop(columns="y"), table(12)["y"])
    assert features["row"].is_unique
    assert not set(features["patient"][132:]) & set(table(12)["patient"])


def test_folds_of_the_automatic_amount_share_no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    real = table()
    features, seen = real[["patient", "x"]], []
    chosen = AugmentedClassifier._select_amount

    def spy(self: AugmentedClassifier, rows: object, *rest: object) -> object:
        seen.extend(list(self._folds(rows)))  # type: ignore[arg-type]
        return chosen(self, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(AugmentedClassifier, "_select_amount", spy)
    generator = Synthesizer(max_steps=2, unit="patient")
    AugmentedClassifier(LogisticRegression(), generator=generator, cv=2, random_state=0).fit(features, real["y"])
    assert len(seen) == 2
    for train, test in seen:
        assert not set(features["patient"].iloc[train]) & set(features["patient"].iloc[test])


def test_estimators_warn_of_few_rows_and_of_repeated_subjects() -> None:
    real = table(12)
    classifier = AugmentedClassifier(
        LogisticRegression(), amount="balance", generator=Synthesizer(max_steps=2, random_state=0)
    )
    with pytest.warns(UserWarning, match="'yes' has 12 rows"):
        classifier.fit(real[["x", "income"]], real["y"])
    with pytest.warns(UserWarning, match="column 'patient' has keys of subjects"):
        classifier.fit(real[["x", "patient"]], real["y"])
    with pytest.warns(UserWarning, match="column 'patient' has keys of subjects"):
        VAEOverSampler(generator=Synthesizer(max_steps=2)).fit_resample(real[["x", "patient"]], real["y"])
