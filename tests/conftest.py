"""Small fitted models, fitted once for all tests."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_wine

from synthvae import Column, Schema, Synthesizer

UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # no test is timed
settings.register_profile("same", derandomize=True, **UNTIMED)  # red or green for a change, not by chance
settings.register_profile("other", **UNTIMED)  # other examples in each run
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell, which processes would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

SITES = ("a/b", "..", "ü ß", "100%")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What synthvae keeps for its user is kept aside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def wine() -> pd.DataFrame:
    """Wine: 178 rows, 13 decimal columns, three classes."""
    frame: pd.DataFrame = load_wine(as_frame=True).frame
    return frame


@pytest.fixture(scope="session")
def fitted(wine: pd.DataFrame) -> Synthesizer:
    """A synthesizer of wine that has seen 60 steps."""
    parameters: dict[str, Any] = {"max_steps": 60, "width": 24, "latent_dim": 3, "device": "cpu", "random_state": 0}
    return Synthesizer(target="target", **parameters).fit(wine)


@pytest.fixture(scope="session")
def saved(fitted: Synthesizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `fitted` is saved."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="session")
def visits() -> pd.DataFrame:
    """Three kinds of ids, and a target whose labels are hard to use as names of folders."""
    rng = np.random.default_rng(0)
    rows = 120
    return pd.DataFrame(
        {
            "number": np.arange(10, 10 + rows),
            "patient": [f"P{i:04d}" for i in range(rows)],
            "key": [str(uuid.UUID(int=i, version=4)) for i in range(rows)],
            "dose": rng.normal(size=rows).round(2),
            "site": [SITES[i % len(SITES)] for i in range(rows)],
        }
    )


@pytest.fixture(scope="session")
def registry(visits: pd.DataFrame) -> Synthesizer:
    """A synthesizer of `visits` that makes ids."""
    columns = [Column(name=name, kind="id") for name in ("number", "patient", "key")]
    columns += [Column(name="dose", kind="continuous"), Column(name="site", kind="categorical")]
    parameters: dict[str, Any] = {"max_steps": 10, "width": 8, "latent_dim": 2, "device": "cpu", "random_state": 0}
    return Synthesizer(target="site", schema=Schema(columns=columns), **parameters).fit(visits)
