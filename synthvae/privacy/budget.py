"""How much privacy may be spent, and whose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError, model_validator

from synthvae.errors import PrivacyError, explain
from synthvae.schema.schema import Schema


class PrivacyBudget(BaseModel):
    """A promise of (epsilon, delta)-differential privacy for everything that a fit reveals.

    Tables are neighbours if one has one unit, with all of its rows, more than the other.

    Args:
        epsilon: Largest epsilon.
        delta: Largest delta; less than one over the number of units.
        unit: The column that says whose row it is; None: each row is a unit of its own.
        rows_per_unit: Rows of a unit that are used, chosen at random; the others are dropped before anything.
        rows: About how many rows there are, if that is public: it settles how the budget is spent, and is best an upper
            bound. None: it is released first, for a fiftieth of epsilon.

    Raises:
        PrivacyError: A number is outside its domain.

    Source: Dwork, Roth 2014, The algorithmic foundations of differential privacy, definition 2.4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float
    delta: float
    unit: StrictStr | None = None
    rows_per_unit: int = 1
    rows: int | None = None

    @classmethod
    def of(cls, given: PrivacyBudget | Mapping[str, Any] | None) -> PrivacyBudget | None:
        """The budget that is given, or whose fields are; None if nothing is promised.

        Raises:
            PrivacyError: It is neither, or a number is outside its domain.
        """
        if given is None or isinstance(given, PrivacyBudget):
            return given
        if not isinstance(given, Mapping):
            raise PrivacyError(f"`privacy` must be a PrivacyBudget, however, it is {given!r}: state epsilon and delta")
        return PrivacyBudget(**given)

    @property
    def rows_of_one(self) -> int:
        """How many rows one unit has at most: public."""
        return 1 if self.unit is None else self.rows_per_unit

    def unit_beside(self, schema: Schema | None) -> str | None:
        """The column that says whose row it is, unless the schema models it like any other."""
        return None if schema and self.unit in schema.names else self.unit

    def __init__(self, **data: object) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise PrivacyError(f"a privacy budget: {explain(error, data)}") from error

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"`epsilon` must be a finite number above 0, however, it is {self.epsilon}")
        if not 0 < self.delta < 1:
            raise ValueError(f"`delta` must lie between 0 and 1, below one over the rows, however, it is {self.delta}")
        if self.rows_per_unit < 1:
            raise ValueError(f"`rows_per_unit` must be at least 1, however, it is {self.rows_per_unit}")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"`rows` must be at least 1, however, it is {self.rows}")
        return self
