"""The plan: how a budget is to be spent. It is public, and fixed before any row is read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from synthvae.privacy.budget import PrivacyBudget

# Epsilon times rows, for each column, from which on gradients give better synthetic rows than tables.
ENOUGH = 800


class Descending(BaseModel):
    """Settings of DP-SGD.

    Args:
        batch: Expected rows of a step.
        steps: Number of steps, which is fixed beforehand.
        clip: The norm to which a unit's gradient is clipped.
        learning_rate: Learning rate of Adam: constant at first, falling to a twentieth over the last steps.
        falling: The share of the steps in which it falls.
        decay: Decay of the moving average of the weights.

    Example:
        >>> Descending(steps=200).batch
        4096
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(default=4096, ge=1)
    steps: int = Field(default=300, ge=1)
    clip: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=3e-2, gt=0, allow_inf_nan=False)
    falling: float = Field(default=0.4, gt=0, le=1)
    decay: float = Field(default=0.98, ge=0, lt=1)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 1."""
        fallen = max((step - 1) / self.steps - (1 - self.falling), 0) / self.falling
        return self.learning_rate * (1 - 0.95 * fallen)


Strategy = Literal["auto", "gradients", "tables"]


class Plan(BaseModel):
    """How a budget is spent.

    Args:
        strategy: "gradients": DP-SGD of a decoder, beside a table of each column; "tables": tables of columns and of
            pairs of columns only; "auto": one of the two, by epsilon, rows and columns.
        tables_share: The share of epsilon for counts and tables; the rest is for gradients.
        width: Width of the decoder that noisy gradients train: noise harms a model with few parameters less.
        descent: Settings of DP-SGD.

    Example:
        >>> budget = PrivacyBudget(epsilon=1.0, delta=1e-6)
        >>> Plan().strategy_for(budget, rows=1000, columns=10), Plan().strategy_for(budget, rows=100_000, columns=10)
        ('tables', 'gradients')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy = "auto"
    width: int = Field(default=24, ge=1)
    tables_share: float = Field(default=0.6, gt=0, lt=1)
    descent: Descending = Field(default_factory=Descending)

    def strategy_for(self, budget: PrivacyBudget, rows: float, columns: int) -> Strategy:
        """Return the strategy for a table of about `rows` rows."""
        if self.strategy != "auto":
            return self.strategy
        return "gradients" if budget.epsilon * rows >= ENOUGH * columns else "tables"
