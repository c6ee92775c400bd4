"""Requests that cannot be answered are refused by one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linked import database
from sklearn.exceptions import NotFittedError

from synthvae.errors import ConfigurationError, RequestError
from synthvae.relational import DatabaseSynthesizer, SequenceSynthesizer


@pytest.mark.parametrize("estimator", [DatabaseSynthesizer(database()), SequenceSynthesizer("patient")])
def test_estimators_without_a_model_are_refused(
    estimator: DatabaseSynthesizer | SequenceSynthesizer, tmp_path: Path
) -> None:
    calls = [
        estimator.sample,
        lambda: estimator.generate(tmp_path / "rows"),
        lambda: estimator.save(tmp_path / "model"),
    ]
    for call in calls:
        with pytest.raises(NotFittedError, match=r"is not fitted yet\. Call 'fit'"):
            call()
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(), max_steps=2, random_state=0).fit()


@pytest.mark.parametrize("subjects", [2.5, 2.0, "3", True, -1])
def test_numbers_of_subjects_that_are_not_whole_are_refused(fitted: DatabaseSynthesizer, subjects: Any) -> None:
    with pytest.raises(RequestError, match=r"must be a whole number|at least 0"):
        fitted.sample(subjects=subjects)
    assert len(fitted.sample(subjects=np.int64(3))["patients"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1.5, True, 0])
def test_numbers_of_workers_that_are_not_whole_are_refused(
    fitted: DatabaseSynthesizer, tmp_path: Path, workers: Any
) -> None:
    with pytest.raises(RequestError, match="`workers` must be"):
        fitted.generate(tmp_path / "rows", subjects=3, workers=workers)
    assert not list(tmp_path.iterdir())


def test_given_files_that_do_not_exist_are_refused_as_training_files_are(fitted: DatabaseSynthesizer) -> None:
    for call in (lambda: fitted.sample(given="absent.csv"), lambda: fitted.fit({"visits": "absent.csv"})):
        with pytest.raises(FileNotFoundError, match=r"No such table: absent\.csv"):
            call()


@pytest.mark.parametrize("wrong", [{"entity": ["a", "b"]}, {"time": ["a", "b"]}, {"static": "sex"}])
def test_columns_that_are_not_one_each_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be a column each"):
        SequenceSynthesizer(**{"entity": "patient", **wrong})
