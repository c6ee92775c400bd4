"""What is done to private rows, one event for each kind of release."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from synthvae.schema.values import at_most, rounded_down

Mechanism = Literal["discrete Gaussian", "discrete Laplace", "Poisson-sampled Gaussian"]


class Event(BaseModel):
    """One kind of release, and how often it is made at most.

    Args:
        name: What is released.
        mechanism: How noise is added.
        noise_multiplier: The scale of the noise (a Gaussian's standard deviation, a Laplacian's mean distance from 0)
            over the sensitivity.
        sensitivity: How far one unit moves what is released: rows of a count, the clipping norm of a gradient.
        sampling_rate: The chance of each unit to take part.
        times: How many releases there are at most; which they are may depend on those before them, how they are made
            may not.
        delta: The chance, each time, that something is told that one unit alone has.
        bought: What for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mechanism: Mechanism
    noise_multiplier: float = Field(gt=0)
    sensitivity: float = Field(gt=0)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    times: int = Field(default=1, ge=1)
    delta: float = Field(default=0.0, ge=0, lt=1)
    bought: str = ""

    @classmethod
    def of_counts(cls, name: str, rows: int, noise: float, **facts: Any) -> Self:
        """Counts that one unit moves by so many rows at most, with a noise multiplier."""
        return cls(name=name, mechanism="discrete Gaussian", noise_multiplier=noise, sensitivity=float(rows), **facts)

    @property
    def scale(self) -> float:
        """Of the noise, in the units of what is released."""
        return self.noise_multiplier * self.sensitivity

    def __str__(self) -> str:
        often = "" if self.times == 1 else f" x {self.times:,}"
        rate = "" if self.sampling_rate == 1 else f", sampling rate {at_most(self.sampling_rate)}"
        delta = "" if self.delta == 0 else f", delta {at_most(self.delta)}"
        noise = f"{self.mechanism}, noise multiplier {rounded_down(self.noise_multiplier):g}"
        return f"{self.name}{often}: {noise}{rate}{delta} ({self.bought})"
