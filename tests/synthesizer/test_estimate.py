"""The estimate of time and memory before a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthvae import PrivacyBudget, Synthesizer
from synthvae.errors import PrivacyError, RequestError


def test_an_estimate_states_rows_columns_steps_time_and_memory() -> None:
    table = pd.DataFrame({"a": np.arange(300.0), "b": ["x", "y", "z"] * 100, "w": 1.0})
    found = Synthesizer(max_steps=30, target="b", weights="w").estimate(table)
    assert (found.rows, found.columns, found.steps) == (300, 2, 30)
    assert found.seconds > 0
    assert found.memory > 1 << 20
    assert "300 rows x 2 columns, 30 steps" in str(found)


def test_more_rows_take_more_memory_and_no_more_steps_than_the_schedule() -> None:
    few, many = (Synthesizer(width=8, target="y").estimate(rows, columns=2) for rows in (1_000, 10_000_000))
    assert many.steps > few.steps
    assert many.memory > few.memory + 100e6


def test_estimates_that_cannot_be_are_refused() -> None:
    with pytest.raises(RequestError, match="`columns`"):
        Synthesizer().estimate(1000)
    with pytest.raises(PrivacyError, match="`plan`"):
        Synthesizer(privacy=PrivacyBudget(epsilon=1.0, delta=1e-6)).estimate(1000, 3)


def test_an_estimate_promises_no_upper_limit() -> None:
    said = str(Synthesizer(max_steps=5, width=8).estimate(1_000, columns=2))
    assert said.startswith("about ")
    for text in (said, Synthesizer.estimate.__doc__, type(Synthesizer().estimate(100, columns=1)).__doc__):
        assert "at most" not in str(text)
        assert "up to" not in str(text)
