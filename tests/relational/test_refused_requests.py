"""Requests that cannot be answered are refused by one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
from linked import database
from sklearn.exceptions import NotFittedError

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
