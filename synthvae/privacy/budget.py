"""The privacy budget: the promise of a fit, and the unit whose rows it protects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictStr,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from synthvae.errors import PrivacyError, explain
from synthvae.schema.schema import Schema


class PrivacyBudget(BaseModel):
    """A promise of (epsilon, delta)-differential privacy for everything that a fit reveals.

    Two tables are neighbours if one has the rows of one more unit than the other.

    Args:
        epsilon: Largest epsilon.
        delta: Largest delta; less than one over the number of units.
        unit: The column that identifies the unit (a person, say) of each row; None: each row is a unit of its own.
        rows_per_unit: Rows of a unit that are used, chosen at random; further rows are dropped before any release.
        rows: Number of rows, roughly, if that is public; best an upper bound. It determines how the budget is spent.
            None: it is released first, for a fiftieth of epsilon.
        rows_of_tables: For linked tables, whose unit is a row of a root table with all its rows in all other tables:
            the rows of each of these tables that are used of a unit, the first ones by parent and order. Then `rows` is
            the number of units, and `unit` and `rows_per_unit` are not given.

    Raises:
        PrivacyError: A number is outside its domain.

    Source: Dwork, Roth 2014, The algorithmic foundations of differential privacy, definition 2.4.

    Example:
        >>> budget = PrivacyBudget(epsilon=2.0, delta=1e-6, unit="patient", rows_per_unit=3)
        >>> budget.max_rows_of_unit
        3
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float
    delta: float
    unit: StrictStr | None = None
    rows_per_unit: int = 1
    rows: int | None = None
    rows_of_tables: dict[StrictStr, Annotated[int, Field(ge=1, strict=True)]] | None = None

    @model_serializer(mode="wrap")
    def _as_saved(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if name != "rows_of_tables" or value is not None}

    @classmethod
    def of(cls, given: PrivacyBudget | Mapping[str, Any] | None) -> PrivacyBudget | None:
        """Return a budget from a budget or a mapping of its fields; None stays None (no promise).

        Raises:
            PrivacyError: `given` is neither, or a number is outside its domain.
        """
        if given is None or isinstance(given, PrivacyBudget):
            return given
        if not isinstance(given, Mapping):
            raise PrivacyError(f"`privacy` must be a PrivacyBudget, got {given!r}. State epsilon and delta.")
        return PrivacyBudget(**given)

    @property
    def max_rows_of_unit(self) -> int:
        """The largest number of rows of one unit, which is public, and the sensitivity of a count."""
        return 1 if self.unit is None else self.rows_per_unit

    def unit_outside(self, schema: Schema | None) -> str | None:
        """The unit's column, unless the schema models it like any other column."""
        return None if schema and self.unit in schema.names else self.unit

    def __init__(self, **data: object) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise PrivacyError(f"Invalid privacy budget: {explain(error, data)}") from error

    @field_validator("epsilon", "delta", "rows_per_unit", "rows", mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        if isinstance(given, bool):
            raise ValueError(f"must be a number, got {given}.")  # noqa: TRY004 (what pydantic reports)
        return given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"`epsilon` must be a finite number above 0, got {self.epsilon}.")
        if not 0 < self.delta < 1:
            raise ValueError(
                f"`delta` must be between 0 and 1, and below one over the number of rows, got {self.delta}."
            )
        if self.rows_per_unit < 1:
            raise ValueError(f"`rows_per_unit` must be at least 1, got {self.rows_per_unit}.")
        if self.rows_of_tables is not None and (self.unit is not None or self.rows_per_unit != 1):
            raise ValueError("`unit` and `rows_per_unit` must not be given with `rows_of_tables`. Leave them out.")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"`rows` must be at least 1, got {self.rows}.")
        return self
