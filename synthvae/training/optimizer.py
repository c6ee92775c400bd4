"""The optimiser of training and its learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

WARM_UP = 100


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Return AdamW for the parameters of a model, with weight decay on matrices only."""
    matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and not _is_bias(name)]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or _is_bias(name)]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=True)


def _is_bias(name: str) -> bool:
    return any(part in name for part in ("bias", "gate", "shift", "prior", "tables"))


def rate_share(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`: linear warm-up, then a cosine to 2 %."""
    warm = min(WARM_UP, max(steps // 10, 1))
    if step <= warm:
        return step / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))
