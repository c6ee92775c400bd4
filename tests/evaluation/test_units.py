"""Units such as patients in an evaluation: their rows are on one side of every split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthvae.errors import TableError
from synthvae.evaluation import Comparison, evaluate
from synthvae.evaluation.comparison import real_reference
from synthvae.evaluation.utility import learners


def visits(patients: int = 60, first: int = 0) -> pd.DataFrame:
    """Three rows a patient, whose height tells who it is."""
    rng = np.random.default_rng(first)
    who = np.repeat(np.arange(patients), 3) + first
    return pd.DataFrame({"patient": who, "height": 150.0 + who, "x": rng.normal(size=len(who)), "y": who % 2}).sample(
        frac=1, random_state=0
    )


def test_rows_of_a_unit_are_on_one_side_of_every_split() -> None:
    comparison = Comparison.from_tables(visits(), visits(), target="y", unit="patient")
    rng = np.random.default_rng(0)
    for parts in (real_reference(comparison, rng), learners.split(comparison, rng)[:2], comparison.split(0.2, rng)):
        heights = [set(part["height"]) for part in parts]
        assert not heights[0] & heights[1]
        assert len(parts[0]) + len(parts[1]) == 180
        assert len(parts[0]) % 3 == 0
    without = Comparison.from_tables(visits(), visits(), target="y")
    parts = without.split(0.5, rng)
    assert set(parts[0]["height"]) & set(parts[1]["height"])


def test_the_unit_is_not_compared_and_a_likely_one_is_noted() -> None:
    found = Comparison.from_tables(visits(), visits(), unit="patient")
    assert "patient" not in found.kinds
    assert not any("seems to be the key" in note for note in found.notes)
    assert any("'patient' seems to be the key" in note for note in Comparison.from_tables(visits(), visits()).notes)


def test_units_on_both_sides_are_refused() -> None:
    with pytest.raises(TableError, match=r"got 60 that do"):
        evaluate(visits(), visits(), holdout=visits(), unit="patient", attacks=False)
    with pytest.raises(TableError, match="must be a column of the real table"):
        evaluate(visits(), visits(), unit="who", attacks=False)


def test_an_evaluation_by_unit_states_what_was_protected() -> None:
    protection = {"least": 5, "unit": None, "columns": {"height": {"cells_at_ends": 8}}}
    found = evaluate(
        visits(), visits(), holdout=visits(40, 1000), target="y", unit="patient", attacks=False, protection=protection
    )
    assert "Cells beyond the ends: 8 of 'height'." in found.to_dict()["notes"]
    assert "Cells beyond the ends: 8" in str(found)
