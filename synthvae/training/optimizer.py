"""The optimiser of training and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.99), 1e-8


class Optimizer(Protocol):
    """What training needs of an optimiser.

    Attributes:
        param_groups: Groups of "params" with their settings, such as "lr".
        state: The tensors that the optimiser keeps of a parameter.
    """

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters with their settings."""

    @property
    def state(self) -> Any:
        """A mapping from parameters to named tensors."""

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""

    def step(self) -> Any:
        """Take one step."""


class AdamW:
    """AdamW by torch's function of that name.

    The class `torch.optim.AdamW` takes the same steps, but importing torch's compiler, as its first call does, costs
    more than a second: a fifth of the fit of a small table.

    Source: Loshchilov and Hutter 2019, Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101.

    Args:
        groups: Parameters ("params") and their "weight_decay".
        learning_rate: The learning rate of all groups.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], learning_rate: float) -> None:
        self.param_groups = [{**group, "lr": learning_rate} for group in groups]
        self.state: dict[nn.Parameter, dict[str, Tensor]] = {}

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Take one step with the parameters that have gradients."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self.state.get(parameter) or self._start(parameter) for parameter in parameters]
            adamw(
                parameters,
                [parameter.grad for parameter in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPSILON,
                maximize=False,
            )

    def _start(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        zeros = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        self.state[parameter] = {"step": step, **zeros}
        return self.state[parameter]


def optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """Return AdamW for the parameters of a model, with weight decay on matrices only."""
    matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and not _is_bias(name)]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or _is_bias(name)]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, learning_rate)


def _is_bias(name: str) -> bool:
    return any(part in name for part in ("bias", "gate", "shift", "prior", "tables"))


def rate_share(step: int, steps: int, rise: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`: linear for `rise` steps, then cosine to 2 %."""
    if step <= rise:
        return step / rise
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))
