"""Construction of an untrained model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from synthvae.codes import Slots
from synthvae.errors import ConfigurationError
from synthvae.model.conditional import ConditionalConfig, ConditionalNetwork
from synthvae.model.config import ModelConfig
from synthvae.model.cvae import CVAE


def build(slots: Slots, conditions: int, config: ModelConfig, seed: int) -> CVAE:
    """Return an untrained model with random weights.

    Neither the global generator nor the default dtype or device of torch are used or changed.

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
    with Construction(seed):
        return CVAE(slots, conditions, config)


def build_conditional(slots: Slots, config: ConditionalConfig, seed: int) -> ConditionalNetwork:
    """Return an untrained network of any columns given any others, with random weights."""
    with Construction(seed):
        return ConditionalNetwork(slots, config)


class Construction(TorchFunctionMode):
    """A context, of this thread alone, in which new tensors are in single precision and drawn from its own generator.

    torch's layers take no generator for their initial weights.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, with these defaults."""
        del types
        given = dict(kwargs or {})
        if func in _DRAWS and given.get("generator") is None:
            given["generator"] = self.generator
        if func in _FACTORIES and given.get("dtype") is None:
            given["dtype"] = torch.float32
        return func(*args, **given)


_FACTORIES = {torch.empty, torch.eye, torch.ones, torch.randn, torch.zeros}
_DRAWS = {
    torch.randn,
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
}
