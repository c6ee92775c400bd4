"""The examples of the docstrings of model and training run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import synthvae.model
import synthvae.training

MODULES = [
    f"{package.__name__}.{found.name}"
    for package in (synthvae.model, synthvae.training)
    for found in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
