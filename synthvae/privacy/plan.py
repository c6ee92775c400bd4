"""How a budget is to be spent: public, decided before any row is seen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from synthvae.privacy.budget import PrivacyBudget

ENOUGH = 800  # epsilon times rows, for each column, from which on gradients say more than tables


class Descending(BaseModel):
    """How gradients are followed.

    Args:
        batch: Expected rows of a step.
        steps: Steps, none more and none less.
        clip: Length to which a unit's gradient is clipped.
        learning_rate: Of Adam, constant at first, falling to a twentieth over the last part.
        falling: The share of the steps in which it falls.
        decay: Of the moving average of the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(default=4096, ge=1)
    steps: int = Field(default=300, ge=1)
    clip: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=3e-2, gt=0, allow_inf_nan=False)
    falling: float = Field(default=0.4, gt=0, le=1)
    decay: float = Field(default=0.98, ge=0, lt=1)

    def rate(self, step: int) -> float:
        """The learning rate of a step from 1."""
        fallen = max((step - 1) / self.steps - (1 - self.falling), 0) / self.falling
        return self.learning_rate * (1 - 0.95 * fallen)


Strategy = Literal["auto", "gradients", "tables"]


class Plan(BaseModel):
    """What a budget buys.

    Args:
        strategy: Whether "gradients" of a decoder are followed, beside tables of each column, or "tables" are all;
            "auto" picks by epsilon, rows and columns.
        tables_share: The share of epsilon for counts and tables; the rest is for gradients.
        width: Units of the decoder that noisy gradients train: few parameters take little noise.
        descent: How gradients are followed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy = "auto"
    width: int = Field(default=24, ge=1)
    tables_share: float = Field(default=0.6, gt=0, lt=1)
    descent: Descending = Field(default_factory=Descending)

    def strategy_for(self, budget: PrivacyBudget, rows: float, columns: int) -> Strategy:
        """The strategy on about so many rows."""
        if self.strategy != "auto":
            return self.strategy
        return "gradients" if budget.epsilon * rows >= ENOUGH * columns else "tables"
