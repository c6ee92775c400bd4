"""An untrained model for given slots."""

from __future__ import annotations

import math

import torch

from synthvae.codes import Slots
from synthvae.errors import ConfigurationError
from synthvae.model.config import ModelConfig
from synthvae.model.cvae import CVAE


def build(slots: Slots, conditions: int, config: ModelConfig, seed: int) -> CVAE:
    """Return an untrained model with weights from `seed`; the global generator is left as it was.

    Args:
        slots: What the model predicts.
        conditions: How many classes it is conditioned on; 1: none.
        config: Its architecture.
        seed: Of its weights.

    Raises:
        ConfigurationError: The columns do not make an image of the given shape.
    """
    pixels = len(slots.values)
    if config.image_shape is not None and math.prod(config.image_shape) != pixels:
        raise ConfigurationError(
            f"`image_shape` must multiply to the number of columns, {pixels}, got {config.image_shape}. State height "
            "and width of the image."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CVAE(slots, conditions, config)
