"""Construction of an untrained model."""

from __future__ import annotations

import math

import torch

from synthvae.codes import Slots
from synthvae.errors import ConfigurationError
from synthvae.model.config import ModelConfig
from synthvae.model.cvae import CVAE


def build(slots: Slots, conditions: int, config: ModelConfig, seed: int) -> CVAE:
    """Return an untrained model with random weights; the global generator is left as it was.

    Args:
        slots: The digits and values that the model predicts.
        conditions: The number of classes it is conditional on; 1: none.
        config: Its architecture.
        seed: The seed of the weights.

    Raises:
        ConfigurationError: The number of columns is not that of the pixels of an image of the given shape.
    """
    pixels = len(slots.values)
    if config.image_shape is not None and math.prod(config.image_shape) != pixels:
        raise ConfigurationError(
            f"`image_shape` must multiply to the number of columns, {pixels}, got {config.image_shape}. Give the "
            "height and the width of the image."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CVAE(slots, conditions, config)
