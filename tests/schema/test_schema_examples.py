"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["errors", "random_state", "safe_yaml", "schema.column", "schema.schema", "schema.values"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"synthvae.{name}"))
    assert result.attempted
    assert not result.failed
