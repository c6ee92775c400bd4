"""`Constraint`: what every rule between columns offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictStr, ValidationError, model_serializer

from synthvae.errors import SchemaError, explain, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Kind
from synthvae.schema.constraints.comparable import BoolArray, Columns, present, refuse_absent
from synthvae.schema.values import plain_items

Names = Annotated[tuple[StrictStr, ...], BeforeValidator(plain_items)]

MAX_COLUMNS = 1000  # of one rule
NUMBERS: tuple[Kind, ...] = (*NUMERIC, "boolean")
ORDERED: tuple[Kind, ...] = (*NUMERIC, *TEMPORAL)


class Constraint(BaseModel):
    """A rule that every row of a table keeps. The classes of this package are its kinds.

    A rule is judged in the rows that have all values that it needs; in all others it holds.

    Example:
        >>> from synthvae.schema import Inequality
        >>> rule = Inequality(columns=["low", "high"])
        >>> isinstance(rule, Constraint), rule.touches
        (True, ('low', 'high'))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    if TYPE_CHECKING:
        kind: Any

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            kind = type(self).model_fields["kind"].default
            raise SchemaError(f"Rule of kind {kind}: {explain(error, data)}") from error

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: Any) -> dict[str, Any]:
        """The fields with the kind, which tells a reader of a document the class."""
        return {"kind": self.kind, **handler(self)}

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()!r})"

    def describe(self) -> str:
        """Return the rule as a short text, as messages and reports show it."""
        raise NotImplementedError

    @property
    def touches(self) -> tuple[str, ...]:
        """All columns that the rule names, each once."""
        raise NotImplementedError

    @property
    def computed(self) -> tuple[str, ...]:
        """The columns whose values follow from the others."""
        return ()

    def check(self, columns: Columns) -> list[str]:
        """Return what is wrong with the rule for the columns of a schema; those that it does not name are skipped.

        Args:
            columns: The schema.
        """
        raise NotImplementedError

    def applies(self, frame: pd.DataFrame) -> BoolArray:
        """Return in which rows (n,) the rule can be judged.

        Args:
            frame: The table, or the columns that the rule touches.
        """
        refuse_absent(frame, self.touches)
        known = np.ones(len(frame), bool)
        for name in self.touches:
            known &= present(frame[name])
        return known

    def holds(self, frame: pd.DataFrame, columns: Columns | None = None) -> BoolArray:
        """Return in which rows (n,) the rule holds, or cannot be judged.

        Args:
            frame: The table, or the columns that the rule touches.
            columns: The schema, whose decimals decide when numbers are equal; None: those of the values do.

        Raises:
            TableError: A column is absent, or holds text where the rule compares numbers.
        """
        raise NotImplementedError

    def suspects(self, frame: pd.DataFrame, columns: Columns | None = None) -> dict[str, BoolArray]:
        """Return the cells (n,) of each column of which one must be wrong: without them a row keeps the rule.

        Args:
            frame: The table, or the columns that the rule touches.
            columns: The schema, as of `holds`.
        """
        return dict.fromkeys(self.touches, ~self.holds(frame, columns))

    def compute(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """Return the values (n,) of the computed column, before they are rounded to its decimals.

        Args:
            frame: The table; the computed column may be absent.

        Raises:
            TypeError: The rule computes no column.
        """
        raise TypeError(f"{type(self).__name__} computes no column, got a table of {len(frame)} rows.")

    def learned(self, frame: pd.DataFrame) -> Self:
        """Return the rule with what it takes from the training table; most rules take nothing.

        Args:
            frame: The training table.
        """
        del frame
        return self


def unfit(rule: Constraint, columns: Columns, names: Iterable[str], kinds: Iterable[Kind], what: str) -> list[str]:
    """Return one problem for the columns of a rule that have another kind than it needs.

    Args:
        rule: The rule.
        columns: The schema.
        names: The columns whose kinds matter.
        kinds: The kinds that fit.
        what: What the rule needs, such as "numbers".
    """
    allowed, known = set(kinds), set(columns.names)
    given = {name: columns[name].kind for name in names if name in known}
    wrong = [f"{name!r} ({kind})" for name, kind in given.items() if kind not in allowed]
    if not wrong:
        return []
    return [f"The rule `{rule}` needs {what}, got {', '.join(wrong)}. Declare their `kind`, or remove the rule."]


def check_names(names: tuple[str, ...], least: int, field: str = "columns") -> None:
    """Raise an error unless the columns of a rule are distinct and enough.

    Raises:
        ValueError: They are not.
    """
    if not least <= len(names) <= MAX_COLUMNS:
        raise ValueError(f"`{field}` must name {least} to {MAX_COLUMNS} columns, got {len(names)}.")
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"`{field}` must name distinct columns, got {listing(names)}. Remove the duplicates.")
