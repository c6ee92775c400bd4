"""How much privacy may be spent, and whose."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from synthvae.errors import PrivacyError
from synthvae.schema import explain


class PrivacyBudget(BaseModel):
    """A promise of (epsilon, delta)-differential privacy for everything that a fit reveals.

    Tables are neighbours if one has one unit, with all of its rows, more than the other.

    Args:
        epsilon: Largest epsilon.
        delta: Largest delta; less than one over the number of units.
        unit: The column that says whose row it is; None: each row is a unit of its own.
        rows_per_unit: Rows of a unit that are used, chosen at random; the others are dropped before anything.

    Raises:
        PrivacyError: A number is outside its domain.

    Source: Dwork, Roth 2014, The algorithmic foundations of differential privacy, definition 2.4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1, allow_inf_nan=False)
    unit: StrictStr | None = None
    rows_per_unit: int = Field(default=1, ge=1)

    def __init__(self, **data: object) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise PrivacyError(f"a privacy budget: {explain(error)}") from error
