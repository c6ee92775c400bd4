"""The history of training: validation steps, and diagnostics of the fitted model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from synthvae.errors import brief

COLLAPSED = 0.1  # nats of KL, summed over the dimensions, below which z is noise
COLUMNS = ("step", "loss", "reconstruction", "kl", "elbo", "held_out")


@dataclass(frozen=True)
class Record:
    """One validation step. All is in nats per row; `validation` is None without held-out rows.

    In a private fit, whose losses are private, all but `step` is NaN or None.

    Args:
        step: The step of training.
        loss: The mean loss of the batches since the last validation step.
        reconstruction: Their mean reconstruction.
        kl: Their mean KL.
        validation: The held-out ELBO of the averaged weights, where beta weighs the KL.

    Example:
        >>> from synthvae.training.history import Record
        >>> Record(step=25, loss=9.5, reconstruction=-8.0, kl=1.5, validation=None).metrics
        {'loss': 9.5, 'reconstruction': -8.0, 'kl': 1.5, 'elbo': -9.5}
    """

    step: int
    loss: float
    reconstruction: float
    kl: float
    validation: float | None

    def as_dict(self) -> dict[str, float]:
        """Return the row of `History.table` and `history.csv`; unavailable values are NaN."""
        held_out = math.nan if self.validation is None else self.validation
        elbo = self.reconstruction - self.kl
        return dict(zip(COLUMNS, (self.step, self.loss, self.reconstruction, self.kl, elbo, held_out), strict=True))

    @property
    def metrics(self) -> dict[str, float]:
        """The available values but the step, in nats per row, by name, as experiment trackers take them."""
        return {name: value for name, value in self.as_dict().items() if name != "step" and math.isfinite(value)}


Callback = Callable[[Record], object]
"""A function that is called with the record of each validation step; training stops early if it returns True."""


@dataclass
class History:
    """The history of training.

    Args:
        records: The validation steps.
        best_step: The step whose weights the model has.
        stopped: Why training ended: "finished", "early", "interrupted" or "diverged".
        refitted: Whether the model was trained again on all rows, for `best_step` steps.
        held_out_elbo: The ELBO of the held-out rows under the model that was trained without them, in nats per row,
            with classes weighted as in training, and with matched marginals unless the model was trained again; None
            without held-out rows, and for an autoencoder.
        kl_per_dimension: KL(q(z_l | x) || p(z_l | y)) in nats for each dimension l, the mean over the held-out rows, or
            the training rows if none are held out; None for an autoencoder, or a private fit.
        active_units: The number of dimensions whose posterior mean has a variance over these rows of more than 0.01;
            None for a private fit. Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders,
            section 5.1.1, https://arxiv.org/abs/1509.00519.
    """

    __repr__ = brief

    records: list[Record] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "finished"
    refitted: bool = False
    held_out_elbo: float | None = None
    kl_per_dimension: list[float] | None = None
    active_units: int | None = None

    @property
    def collapsed(self) -> bool:
        """Whether the posterior collapsed: no unit is active, and the KL, summed over dimensions, is below 0.1 nats.

        The KL is an upper bound on the information that z has on a row.
        """
        return self.active_units == 0 and self.kl_per_dimension is not None and sum(self.kl_per_dimension) < COLLAPSED

    def table(self) -> pd.DataFrame:
        """Return a row for each validation step, in nats per row: step, loss, reconstruction, kl, elbo, held_out.

        `reconstruction`, `kl` and `elbo`, their difference, are means over the batches since the last validation step;
        `loss` has the weights and the free bits of training; `held_out` is the held-out ELBO of the averaged weights,
        where beta weighs the KL, NaN without held-out rows. For an autoencoder, `kl` is 0.
        """
        frame = pd.DataFrame([record.as_dict() for record in self.records], columns=list(COLUMNS))
        return frame.astype({"step": int, "held_out": float})
