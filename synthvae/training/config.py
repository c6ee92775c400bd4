"""The configuration of training without differential privacy, and how much a fit may cost."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from synthvae.model.config import DecoderName

SMALL = 2048  # rows below which batches are small and dropout guards against memorising
HELD_SHARE, SMALL_HELD_SHARE = 0.1, 0.2
USUAL_ROWS, MAX_STRETCH = 30_000, 1.6
GREY_BETA = 0.05

EffortName = Literal["fast", "balanced", "thorough"]
Precision = Literal["float32", "bfloat16"]


class Schedule(NamedTuple):
    """How long a model is trained.

    Args:
        steps: The most steps; of the constants below, those for `USUAL_ROWS` rows.
        batch: Rows of a step.
        learning_rate: Peak of the learning rate.
        patience: Steps without a better held-out ELBO before training stops.
        rise: Steps over which the learning rate rises to its peak, at most a tenth of all, but one.
        validate_every: Steps from one validation step to the next, at most a twentieth of all, but one.
    """

    steps: int
    batch: int
    learning_rate: float
    patience: int
    rise: int
    validate_every: int


# An autoregressive decoder reaches the held-out ELBO of 1,000 steps of 512 rows at 0.003 in 800 steps of 256 rows at
# 0.01: -16.01 and -15.99 nats on Adult. Small tables are memorised at that rate (-13.4 and -13.6 nats on Pima, -9.8 and
# -9.9 on thyroid); above them it grows with the square root of the rows. Below `SMALL` rows, 0.006 after 25 steps with
# a patience of 50 takes half to two thirds of the time of 0.003 after 100 with a patience of 100, at about the same
# ELBO (means of three seeds: Pima -14.33 and -14.35, German -20.78 and -20.67, chronic kidney -26.19 and -26.45, WDBC
# -12.76 and -13.59).
SCHEDULE, SMALL_SCHEDULE = Schedule(800, 256, 1e-2, 200, 25, 50), Schedule(1000, 64, 6e-3, 50, 25, 10)
FACTORIZED, SMALL_FACTORIZED = Schedule(1000, 512, 3e-3, 300, 100, 50), Schedule(1000, 64, 3e-3, 100, 25, 10)
SCHEDULES = (SCHEDULE, SMALL_SCHEDULE, FACTORIZED, SMALL_FACTORIZED)


class Effort(NamedTuple):
    """The size of the networks, and factors of the usual schedule of training.

    Args:
        width: Units of encoder and decoder.
        hidden: Units of the hidden layer of each autoregressive head of a digit.
        value_hidden: The same of a continuous value.
        products: Products of factors in the running sum of the autoregressive decoder.
        steps: Factor of the most steps.
        patience: Factor of the steps without a better held-out ELBO before training stops.
        rate: Factor of the learning rate.
        weight_decay: The weight decay of AdamW, on matrices only.
    """

    width: int = 128
    hidden: int = 32
    value_hidden: int = 96
    products: int = 0
    steps: float = 1.0
    patience: float = 1.0
    rate: float = 1.0
    weight_decay: float = 1e-2


# A few steps with a learning rate that falls to its end take the place of many that early stopping ends.
FAST = Effort(width=96, hidden=24, value_hidden=48, steps=1 / 4, rate=1.5)
SMALL_FAST = FAST._replace(steps=1 / 16)
THOROUGH = Effort(width=192, products=64, steps=1.5)
# A normal prior of the weights is weaker in proportion to the rows. Held-out ELBO with this weight decay and with 0.01,
# one seed each: Seoul bikes -7.95 and -8.71 nats, WDBC -10.99 and -11.92, German -20.57 and -20.71.
DECAY_ROWS, MAX_DECAY = 2000, 1.0


def effort_of(name: EffortName, rows: int) -> Effort:
    """Return the size and the pace of a fit to a table of so many rows.

    Example:
        >>> effort_of("balanced", 1000).width
        128
    """
    if name == "fast":
        return SMALL_FAST if rows < SMALL else FAST
    if name == "thorough":
        return THOROUGH._replace(weight_decay=min(DECAY_ROWS / max(rows, 1), MAX_DECAY))
    return Effort()


class TrainingConfig(BaseModel):
    """How a model is trained; the defaults of fields that are None depend on the table.

    Args:
        max_steps: The number of steps of the optimiser; early stopping may end training before.
        batch_size: Rows of a step.
        learning_rate: Peak of the schedule: linear rise, then cosine to 2 %; None: 0.003 for decoders that are not
            autoregressive; else 0.006 for tables of less than 2,048 rows, and above in proportion to the square root of
            the rows, up to 0.01 from 5,689 rows on.
        weight_decay: The weight decay of AdamW, on matrices only; None: by effort, 0.01 with "balanced".
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
        patience: Steps without a better held-out ELBO before training stops; None: 200, or 300 for decoders that are
            not autoregressive; for tables of less than 2,048 rows 50 and 100.
        effort: How much training may cost, see `effort_of`; what other fields state wins.
        precision: The precision of the networks in training: "bfloat16" is torch's autocast. Weights, their averages,
            the optimiser, densities, divergences and validation are in single precision in either case.

    Example:
        >>> from synthvae.training import TrainingConfig
        >>> TrainingConfig().schedule(30_000, "autoregressive")
        Schedule(steps=800, batch=256, learning_rate=0.01, patience=200, rise=25, validate_every=40)
        >>> TrainingConfig(max_steps=200).schedule(1000, "factorized").batch
        64
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    free_bits: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    warm_up: float = Field(default=0.1, ge=0, le=1)
    corruption: float = Field(default=0.0, ge=0, lt=1)
    validation_fraction: float | None = Field(default=None, ge=0, lt=1)
    patience: int | None = Field(default=None, ge=1)
    effort: EffortName = "balanced"
    precision: Precision = "float32"

    def kl_weight(self, *, grey: bool) -> float:
        """Return the weight of the KL term."""
        return (GREY_BETA if grey else 1.0) if self.beta is None else self.beta

    def held_share(self, rows: int) -> float:
        """Return the share of a table of `rows` that is held out."""
        if self.validation_fraction is not None:
            return self.validation_fraction
        return SMALL_HELD_SHARE if rows < SMALL else HELD_SHARE

    def decay(self, rows: int) -> float:
        """Return the weight decay with which a model is trained on `rows` rows."""
        return effort_of(self.effort, rows).weight_decay if self.weight_decay is None else self.weight_decay

    def schedule(self, rows: int, decoder: DecoderName) -> Schedule:
        """Return how long a model with a decoder is trained on `rows` rows.

        Large tables have more steps, but fewer epochs; small ones have a longer schedule, which early stopping ends.
        """
        if decoder == "autoregressive":
            usual = SMALL_SCHEDULE if rows < SMALL else SCHEDULE
        else:
            usual = SMALL_FACTORIZED if rows < SMALL else FACTORIZED
        share = max(rows, 1) / USUAL_ROWS
        times = share**0.75 if share > 1 else min(share**-0.5, MAX_STRETCH)
        slower = SMALL_SCHEDULE.learning_rate * max(rows / SMALL, 1) ** 0.5
        effort = effort_of(self.effort, rows)
        steps = self.max_steps or round(usual.steps * times * effort.steps)
        return Schedule(
            steps,
            min(rows, self.batch_size or usual.batch),
            self.learning_rate or min(usual.learning_rate, slower) * effort.rate,
            self.patience or round(usual.patience * effort.patience),
            min(usual.rise, max(steps // 10, 1)),
            min(usual.validate_every, max(steps // 20, 1)),
        )
