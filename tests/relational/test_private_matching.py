"""After matching, rows that a private model draws have the measured marginals, by one random row of each subject."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.relational.database_drawing import draw_sequences
from synthvae.relational.fitted_database import FittedChild
from synthvae.relational.private_matching import MeasuredMarginals, match_marginals

SCHEMAS: dict[str, Any] = {
    "patients": {"columns": [{"name": "sex", "kind": "categorical", "categories": ["f", "m"], "nullable": False}]},
    "visits": {
        "columns": [
            {"name": "day", "kind": "integer", "bounds": (0, 9), "nullable": False},
            {"name": "ward", "kind": "categorical", "categories": ["a", "b", "c"], "nullable": False},
        ]
    },
}


@pytest.fixture(scope="module")
def private() -> DatabaseSynthesizer:
    rng = np.random.default_rng(0)
    patients = pd.DataFrame({"id": np.arange(80), "sex": rng.choice(["f", "m"], 80)})
    owner = np.repeat(np.arange(80), rng.integers(0, 5, 80))
    visits = pd.DataFrame({"patient": owner, "day": rng.integers(0, 10, len(owner))})
    visits["ward"] = rng.choice(list("abc"), len(owner))
    database = Database(
        tables={"patients": patients, "visits": visits},
        primary_keys={"patients": "id"},
        foreign_keys=[("visits", "patient", "patients", "id")],
        order={"visits": "day"},
        schemas=SCHEMAS,
    )
    budget = {"epsilon": 2.0, "delta": 1e-4, "rows": 80, "rows_of_tables": {"visits": 4}}
    return DatabaseSynthesizer(database, privacy=budget, max_steps=4, random_state=0).fit()


def one_row_of_each(subjects: np.ndarray, seed: int) -> np.ndarray:
    """The place of a random row of each subject, by a plain loop."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(np.flatnonzero(subjects == subject)) for subject in np.unique(subjects)])


def test_drawn_rows_have_the_measured_marginals(private: DatabaseSynthesizer) -> None:
    fitted = private.learned_
    child = fitted.tables["visits"].model
    assert isinstance(child, FittedChild)
    assert child.encoding.timeline is not None
    wards = torch.tensor([[0.1, 0.5, 0.1, 0.3]])  # a, b, c, as before
    starts = torch.zeros(child.encoding.timeline.layouts[0].width, max(child.encoding.timeline.layouts[0].sizes))
    starts[0, :2] = torch.tensor([0.8, 0.2])
    assert starts.shape[0] == 1
    match_marginals(fitted, "visits", MeasuredMarginals(wards, (starts, None, None)), 0)
    drawn = draw_sequences(fitted, "visits", 2000, 7)
    rows = one_row_of_each(drawn.family.subjects, 0)
    found = np.bincount(drawn.rows.digits[rows, 0], minlength=4) / len(rows)
    assert found == pytest.approx(wards[0].numpy(), abs=0.05)
    first = np.flatnonzero(drawn.family.places[:, 0] == 0)
    days = np.bincount(drawn.clock.digits[first, 0], minlength=10) / len(first)
    assert days[:2] == pytest.approx([0.8, 0.2], abs=0.05)


def test_what_was_not_measured_stays(private: DatabaseSynthesizer) -> None:
    child = private.learned_.tables["visits"].model
    assert isinstance(child, FittedChild)
    before = {name: weights.clone() for name, weights in child.network.state_dict().items()}
    match_marginals(private.learned_, "visits", MeasuredMarginals(None, (None, None, None)), 0)
    assert all(torch.equal(weights, before[name]) for name, weights in child.network.state_dict().items())
