"""The configuration of a model is saved with the keys of earlier versions."""

from __future__ import annotations

import pickle

import pytest

from synthvae.model import ModelConfig


@pytest.mark.parametrize("conditional", [True, False])
def test_saved_keys_stay(*, conditional: bool) -> None:
    config = ModelConfig(conditional=conditional)
    saved = config.model_dump(mode="json")
    assert saved["told"] is conditional
    assert "conditional" not in saved
    assert ModelConfig(**saved) == config == pickle.loads(pickle.dumps(config))
