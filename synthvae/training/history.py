"""How training went: the looks at the rows, in nats, and what the codes say in the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

COLLAPSED = 0.1  # nats of KL, all dimensions together, below which z is noise
COLUMNS = ("step", "loss", "reconstruction", "kl", "elbo", "held_out")


@dataclass(frozen=True)
class Record:
    """One look at the held-out rows. All in nats per row; `validation` is None without held-out rows.

    Of a private fit, of which nobody may see a loss, all but `step` is NaN or None.
    """

    step: int
    loss: float
    reconstruction: float
    kl: float
    validation: float | None

    def as_dict(self) -> dict[str, float]:
        """Return the look as `History.table` and `history.csv` have it; what is not known is NaN."""
        held_out = math.nan if self.validation is None else self.validation
        elbo = self.reconstruction - self.kl
        return dict(zip(COLUMNS, (self.step, self.loss, self.reconstruction, self.kl, elbo, held_out), strict=True))

    @property
    def metrics(self) -> dict[str, float]:
        """What is known of the look but its step, in nats per row, by name: as trackers of experiments take it."""
        return {name: value for name, value in self.as_dict().items() if name != "step" and math.isfinite(value)}


Callback = Callable[[Record], object]
"""What is called at each look; training stops early if it returns True."""


@dataclass
class History:
    """How training went.

    Args:
        records: One for each look at the held-out rows.
        best_step: The step whose weights were kept.
        stopped: Why it ended.
        refitted: Whether all rows were learned again, for `best_step` steps.
        held_out_elbo: The ELBO of the held-out rows under the model that they were held out from, in nats per row, each
            class weighing as in training; None without such rows, and of an autoencoder.
        kl_per_dimension: KL(q(z_l | x) || p(z_l | y)) in nats for each dimension l, the mean over held-out rows, or
            those of training without such; None of an autoencoder, or where nobody may see it.
        active_units: How many dimensions have a posterior mean whose variance over these rows is more than 0.01; None
            where nobody may see it. Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders,
            section 5.1.1, https://arxiv.org/abs/1509.00519.
    """

    records: list[Record] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "finished"
    refitted: bool = False
    held_out_elbo: float | None = None
    kl_per_dimension: list[float] | None = None
    active_units: int | None = None

    @property
    def collapsed(self) -> bool:
        """Whether z says next to nothing of a row: no unit is active, and KL, which is at least what z says, is small.

        Less than 0.1 nats, all dimensions together, is small.
        """
        return self.active_units == 0 and self.kl_per_dimension is not None and sum(self.kl_per_dimension) < COLLAPSED

    def table(self) -> pd.DataFrame:
        """Return a row for each look, all in nats per row: step, loss, reconstruction, kl, elbo, held_out.

        `reconstruction`, `kl` and `elbo`, their difference, are means over the batches since the look before; `loss`
        weighs and spares KL as training does; `held_out` is the held-out ELBO, KL weighed by beta, of the weights
        averaged so far, NaN without held-out rows. Of an autoencoder, `kl` is 0, and all is reconstruction.
        """
        frame = pd.DataFrame([record.as_dict() for record in self.records], columns=list(COLUMNS))
        return frame.astype({"step": int, "held_out": float})
