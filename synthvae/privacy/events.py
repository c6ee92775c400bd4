"""Events: the kinds of release that are made from private rows, one entry of the ledger each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from synthvae.schema.values import at_most, rounded_down

Mechanism = Literal["discrete Gaussian", "discrete Laplace", "Poisson-sampled Gaussian"]

# The names by which earlier versions saved events; models that they saved are read with today's names.
FORMER_NAMES = {
    "halves of bins": "interval bisections",
    "one column within classes": "marginals within classes",
    "pairs that are off": "distances of column pairs from independence",
    "two columns": "pairwise marginals within classes",
    "what columns hold": "value types of columns",
    "values that many share, or where values lie": "frequent values or value ranges",
    "ends of short ranges": "bounds of short integer ranges",
}
SAVED_PURPOSE = "bought"  # the key of `purpose` in a saved model


class Event(BaseModel):
    """One kind of release, with the largest number of times that it is made.

    Args:
        name: What is released.
        mechanism: The mechanism that adds noise.
        noise_multiplier: The scale of the noise over the sensitivity; the scale is the standard deviation of a Gaussian
            and the mean absolute value of a Laplace distribution.
        sensitivity: The largest change of a release by one unit: a number of rows for counts, the clipping norm for
            gradients.
        sampling_rate: The probability with which each unit takes part.
        times: The largest number of releases. Which releases are made may depend on earlier ones; the noise may not.
        delta: The probability, for each release, that a value of a single unit is revealed.
        purpose: What the release is used for.

    Example:
        >>> str(Event.of_counts("rows of each class", rows=1, noise=12.5, purpose="class frequencies"))
        'rows of each class: discrete Gaussian, noise multiplier 12.5 (class frequencies)'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    mechanism: Mechanism
    noise_multiplier: float = Field(gt=0)
    sensitivity: float = Field(gt=0)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    times: int = Field(default=1, ge=1)
    delta: float = Field(default=0.0, ge=0, lt=1)
    purpose: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_saved(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if any(isinstance(value, bool) for value in given.values()):
            raise ValueError("values of an event must be numbers and texts, got a boolean")
        fields = {"purpose" if key == SAVED_PURPOSE else key: value for key, value in given.items()}
        name = fields.get("name")
        return {**fields, "name": FORMER_NAMES.get(name, name)} if isinstance(name, str) else fields

    @model_serializer(mode="wrap")
    def _as_saved(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {SAVED_PURPOSE if key == "purpose" else key: value for key, value in fields.items()}

    @classmethod
    def of_counts(cls, name: str, rows: int, noise: float, **fields: Any) -> Self:
        """Return the event of counts that one unit changes by `rows` at most, with a noise multiplier."""
        return cls(name=name, mechanism="discrete Gaussian", noise_multiplier=noise, sensitivity=float(rows), **fields)

    @property
    def scale(self) -> float:
        """The scale of the noise, in the units of what is released."""
        return self.noise_multiplier * self.sensitivity

    def __str__(self) -> str:
        often = "" if self.times == 1 else f" x {self.times:,}"
        rate = "" if self.sampling_rate == 1 else f", sampling rate {at_most(self.sampling_rate)}"
        delta = "" if self.delta == 0 else f", delta {at_most(self.delta)}"
        noise = f"{self.mechanism}, noise multiplier {rounded_down(self.noise_multiplier):g}"
        return f"{self.name}{often}: {noise}{rate}{delta} ({self.purpose})"
