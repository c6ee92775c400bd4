"""Utility: scores equal their oracles, and unusual tables are handled."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import r2_score, roc_auc_score

from synthvae.evaluation.comparison import Comparison, shuffle_columns
from synthvae.evaluation.results import Section
from synthvae.evaluation.utility.learners import PredictionTask, Score, boosting, forest, r_squared, roc_auc, split
from synthvae.evaluation.utility.prediction import expected_calibration_error, utility


def cancer() -> pd.DataFrame:
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 4, 5, 20, 21, 30]]
    return frame.sample(frac=1, random_state=0, ignore_index=True)


def measured(comparison: Comparison, seed: int = 0) -> Section:
    section = utility(comparison, seed)
    assert section is not None
    json.dumps(section.to_dict(), allow_nan=False)
    return section


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2).filter(lambda r: len({p for p, _ in r}) == 2))
def test_the_area_is_that_of_scikit_learn_and_its_influences_cancel(rows: list[tuple[bool, int]]) -> None:
    positive, predicted = np.array([p for p, _ in rows]), np.array([float(v) for _, v in rows])
    score = roc_auc(positive, predicted)
    assert score.value == pytest.approx(roc_auc_score(positive, predicted))
    assert score.influence.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", ["area", "r2", "ratio", "calibration"])
def test_intervals_are_as_wide_as_scores_vary_between_samples(kind: str) -> None:
    rng = np.random.default_rng(0)

    def drawn() -> Score:
        truth = rng.normal(size=400)
        positive, first, second = truth > 1.2, truth + rng.normal(size=400), truth + 2 * rng.normal(size=400)
        if kind == "calibration":
            chance = rng.random(400)
            return expected_calibration_error(chance, rng.random(400) < chance**2)
        if kind == "ratio":
            return roc_auc(positive, second).over(roc_auc(positive, first))
        return roc_auc(positive, first) if kind == "area" else r_squared(truth, truth / 2 + rng.normal(size=400) / 2)

    scores = [drawn() for _ in range(300)]
    told = np.mean([score.deviation for score in scores])
    assert told == pytest.approx(np.std([score.value for score in scores]), rel=0.15)


def test_r2_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    actual, predicted = rng.normal(size=(2, 50))
    assert r_squared(actual, predicted).value == pytest.approx(r2_score(actual, predicted))


def test_calibration_error_by_hand() -> None:
    chance = np.repeat([0.1, 0.6], 50)
    seen = np.r_[np.arange(50) < 10, np.arange(50) < 30]
    assert expected_calibration_error(chance, seen).value == pytest.approx(0.05)
    assert expected_calibration_error(seen.astype(float), seen).value == 0


@pytest.mark.slow
def test_a_copy_has_full_utility_and_shuffled_columns_none() -> None:
    frame = cancer()
    real, holdout = frame[:380], frame[380:]
    copy = measured(Comparison.from_tables(real, real, holdout=holdout, target="target"))
    assert copy["tstr"].value == copy["tstr"].real
    assert copy["utility"].value == copy["utility"].real == 1
    assert copy["importance"].value == pytest.approx(1)
    assert copy["tstr"].value > 0.95
    assert copy.notes == ()
    shuffled = shuffle_columns(real, 380, np.random.default_rng(0))
    poor = measured(Comparison.from_tables(real, shuffled, holdout=holdout, target="target"))
    assert poor["tstr"].value < 0.8 < copy["tstr"].value
    assert poor["tstr"].interval is not None
    assert poor["tstr"].interval[1] < copy["tstr"].value
    assert poor["utility"].value == pytest.approx(poor["tstr"].value / (poor["tstr"].real or 0))
    assert poor["calibration"].value > (poor["calibration"].real or 0)
    assert poor["importance"].value < 0.9


def test_details_for_the_report() -> None:
    frame = cancer()
    section = measured(Comparison.from_tables(frame[:380], frame[:380], holdout=frame[380:], target="target"))
    models, roc, calibration = (section.details[k] for k in ("models", "drawn_roc", "drawn_calibration"))
    kinds = {"real", "synthetic", "independent"}
    assert list(models) == ["model", "trained_on", "score", "log_loss", "brier", "calibration"]
    assert len(models) == 9
    assert section["tstr"].value == pytest.approx(models.query("trained_on == 'synthetic'")["score"].mean())
    assert list(section.details["importances"]) == ["column", "real", "synthetic"]
    assert sorted(section.details["importances"]["column"]) == sorted(frame.columns.drop("target"))
    assert list(roc) == ["trained_on", "label", "false_positive_rate", "true_positive_rate"]
    assert set(roc["label"]) == {"class 0"}, "the rarer class"
    boosted = models[models["model"] == "gradient boosting"].set_index("trained_on")["score"]
    for kind, curve in roc.groupby("trained_on"):
        assert np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"]) == pytest.approx(
            boosted[kind], abs=0.02
        )
        assert len(curve) <= 100
    assert set(roc["trained_on"]) == set(calibration["trained_on"]) == kinds
    assert (calibration.groupby("trained_on")["rows"].sum() == len(frame) - 380).all()
    assert calibration["predicted"].between(0, 1).all()
    assert not set(section.to_dict()["details"]) & {"drawn_roc", "drawn_calibration"}


@pytest.mark.slow
def test_more_classes_and_a_seed() -> None:
    wine = load_wine(as_frame=True).frame.iloc[:, [0, 1, 6, 9, 12, 13]]
    comparison = Comparison.from_tables(wine, wine, target="target")
    one, again = measured(comparison, 3), measured(comparison, 3)
    assert one.to_dict() == again.to_dict()
    for name, table in one.details.items():
        pd.testing.assert_frame_equal(table, again.details[name])
    assert set(one.details["drawn_roc"]["label"]) == {"mean over the classes"}
    assert "no holdout" in one.notes[0]
    assert one["tstr"].value > 0.9


def test_a_number_is_predicted() -> None:
    frame = load_diabetes(as_frame=True, scaled=False).frame.sample(frac=1, random_state=0)
    shuffled = shuffle_columns(frame, 300, np.random.default_rng(0))
    section = measured(Comparison.from_tables(frame[:300], shuffled, holdout=frame[300:], target="target"))
    assert section["tstr"].value < 0.1
    assert (section["tstr"].real or 0) > 0.3
    assert list(section.details["models"]) == ["model", "trained_on", "score", "mean_absolute_error"]
    drawn = section.details["drawn_predictions"]
    assert list(drawn) == ["trained_on", "actual", "predicted"]
    assert set(drawn["actual"]) <= set(frame["target"])
    with pytest.raises(KeyError):
        section["calibration"]


def test_no_target_is_no_section() -> None:
    assert utility(Comparison.from_tables(cancer(), cancer()), 0) is None


@pytest.mark.slow
def test_an_absent_class_scores_as_chance() -> None:
    frame = cancer()
    real, holdout, one = frame[:380], frame[380:], frame[frame["target"] == 1]
    section = measured(Comparison.from_tables(real, one, holdout=holdout, target="target"))
    assert section["tstr"].value == 0.5
    assert "none of the classes ['0']" in section.notes[0]
    wine = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    section = measured(
        Comparison.from_tables(wine[:120], wine[wine["target"] > 0], holdout=wine[120:], target="target")
    )
    own = PredictionTask.from_comparison(Comparison.from_tables(wine, wine, target="target"))
    assert len(own.labels) == 3
    assert 0.8 < section["tstr"].value < (section["tstr"].real or 0) - 0.1, "a third of the mean is one half"


def test_what_cannot_be_predicted_has_a_note() -> None:
    frame = cancer().astype({"target": str})
    cases = {
        "less than 10": (frame.assign(target=None), frame), "10 synthetic rows": (frame, frame.assign(target=None)),
        "same value": (frame.assign(target="1"), frame), "no column": (frame[["target"]], frame[["target"]]),
        "10 real and test rows": (frame[:5], frame),
    }  # fmt: skip
    for said, (real, synthetic) in cases.items():
        comparison = Comparison.from_tables(real, synthetic, target="target")
        if comparison.target is None:
            continue  # a column without values may be none that can be compared, which the comparison says
        section = measured(comparison)
        assert section.figures == ()
        assert said in section.notes[-1]


def test_missing_constant_and_extreme_values() -> None:
    frame = cancer()
    rng = np.random.default_rng(0)
    frame["constant"], frame["word"] = 1.5, np.where(frame["target"] == 1, "a", "b")
    frame.loc[rng.random(len(frame)) < 0.3, ["mean radius", "word", "target"]] = np.nan
    synthetic = frame.copy()
    synthetic["mean texture"], synthetic["word"] = np.nan, "new"
    synthetic.loc[0, "mean radius"] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        section = measured(Comparison.from_tables(frame, synthetic, target="target"))
    assert section["tstr"].value > 0.8


@pytest.mark.parametrize("holdout", [True, False])
def test_models_are_never_tested_on_training_rows(*, holdout: bool) -> None:
    frame = cancer()
    comparison = Comparison.from_tables(
        frame[:300], frame[:300], holdout=frame[300:] if holdout else None, target="target"
    )
    learned, tested, notes = split(comparison, np.random.default_rng(0))
    names = list(frame.columns.drop("target"))
    assert not frame[names].duplicated().any()
    assert not set(learned[names].itertuples(index=False)) & set(tested[names].itertuples(index=False))
    assert bool(notes) != holdout
    assert len(tested) == (269 if holdout else 100)


@given(st.integers(0, 2**63 - 1))
def test_any_seed_is_valid(seed: int) -> None:
    task = PredictionTask("y", ("a", "b"), ("x",), (False,))
    for maker in (boosting, forest):
        assert maker(task, seed).random_state == seed % 2**32
