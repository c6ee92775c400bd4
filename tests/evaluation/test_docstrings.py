"""The examples in docstrings run."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from synthvae.evaluation import assessment, comparison, metrics, results, thresholds


@pytest.mark.parametrize("module", [assessment, comparison, metrics, results, thresholds], ids=lambda m: m.__name__)
def test_examples_run(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
