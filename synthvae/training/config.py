"""The configuration of training without differential privacy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SMALL = 2048  # rows below which batches are small and dropout guards against memorising
HELD_SHARE, SMALL_HELD_SHARE = 0.1, 0.2
USUAL_ROWS, USUAL_STEPS, MAX_STRETCH = 30_000, 1000, 1.6
GREY_BETA = 0.05

Precision = Literal["float32", "bfloat16"]


class TrainingConfig(BaseModel):
    """How a model is trained; the defaults of fields that are None depend on the table.

    Args:
        max_steps: The number of steps of the optimiser; early stopping may end training before.
        batch_size: Rows of a step.
        learning_rate: Peak of the schedule: linear warm-up, then cosine to 2 %.
        weight_decay: The weight decay of AdamW, on matrices only.
        beta: Weight of the KL term; None: 1, or 0.05 for grey pixels with a Bernoulli likelihood, which treats a pixel
            as one draw, though a grey one is as informative as the mean of many draws.
        free_bits: Nats of information per latent dimension, summed over the dimensions, that are not penalised by the
            KL term. The divergence of the aggregate posterior from the prior is always penalised, so that the decoder
            is trained on latents that the prior draws.
        warm_up: Share of the steps over which the weight of the KL term rises from 0 to beta.
        corruption: Share of the cells that are masked in the input of the encoder, others in each step; whole rows are
            reconstructed.
        validation_fraction: Share of each class held out for early stopping; 0: train on all rows, to the last step;
            None: a tenth, or a fifth of a small table.
        patience: Steps without a better held-out ELBO before training stops.
        precision: The precision of the networks in training: "bfloat16" is torch's autocast. Weights, their averages,
            the optimiser, densities, divergences and validation are in single precision in either case.

    Example:
        >>> from synthvae.training import TrainingConfig
        >>> TrainingConfig().steps(30_000), TrainingConfig().batch(1000)
        (1000, 64)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=1e-2, ge=0, allow_inf_nan=False)
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    free_bits: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    warm_up: float = Field(default=0.1, ge=0, le=1)
    corruption: float = Field(default=0.0, ge=0, lt=1)
    validation_fraction: float | None = Field(default=None, ge=0, lt=1)
    patience: int = Field(default=300, ge=1)
    precision: Precision = "float32"

    def batch(self, rows: int) -> int:
        """Return the rows of a step for a table of `rows`."""
        return min(rows, self.batch_size or (64 if rows < SMALL else 512))

    def kl_weight(self, *, grey: bool) -> float:
        """Return the weight of the KL term."""
        return (GREY_BETA if grey else 1.0) if self.beta is None else self.beta

    def held_share(self, rows: int) -> float:
        """Return the share of a table of `rows` that is held out."""
        if self.validation_fraction is not None:
            return self.validation_fraction
        return SMALL_HELD_SHARE if rows < SMALL else HELD_SHARE

    def steps(self, rows: int) -> int:
        """Return the largest number of steps for a table of `rows`.

        Large tables have more steps, but fewer epochs; small ones have a longer schedule, which early stopping ends.
        """
        share = max(rows, 1) / USUAL_ROWS
        times = share**0.75 if share > 1 else min(share**-0.5, MAX_STRETCH)
        return self.max_steps or round(USUAL_STEPS * times)
