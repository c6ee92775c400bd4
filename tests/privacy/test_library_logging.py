"""A private fit leaves the root logger as the program of the user has set it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import logging
import pandas as pd
root = logging.getLogger()
before = (list(root.handlers), root.level, root.disabled)
from synthvae import Column, Schema, Synthesizer
schema = Schema(columns=[Column(name="a", kind="integer", bounds=(0, 9)), Column(name="y", kind="boolean")])
table = pd.DataFrame({"a": [k % 10 for k in range(200)], "y": [True, False] * 100})
budget = {"epsilon": 2.0, "delta": 1e-4} if PRIVATE else None
fitted = Synthesizer(schema=schema, privacy=budget, strategy=STRATEGY, max_steps=2, width=8, latent_dim=2).fit(table)
fitted.sample(10)
import synthvae.evaluation, synthvae.estimators, synthvae.recipe, synthvae.cli.main
assert (list(root.handlers), root.level, root.disabled) == before, root.handlers
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradients", "tables", "auto"])
def test_the_root_logger_is_not_changed(strategy: str) -> None:
    code = CODE.replace("PRIVATE", str(strategy != "auto")).replace("STRATEGY", repr(strategy))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
