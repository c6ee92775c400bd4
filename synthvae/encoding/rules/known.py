"""What is known of the columns of rows that are being drawn, and what a rule leaves of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from synthvae.encoding.arrays import Floats, Mask, States
from synthvae.encoding.rules.allowed import Allowed


class Known(NamedTuple):
    """The values of a column that are known.

    Args:
        there: In which rows (rows,) the value, or that it is missing, is known.
        states: The states (rows,); -1 where it is no value of training.
        numbers: The compared numbers (rows,); NaN: missing, no number, or unknown.
        present: Which values (rows,) are known not to be missing.
    """

    there: Mask
    states: States
    numbers: Floats
    present: Mask


class Enforced(Protocol):
    """A rule that limits columns as they are drawn."""

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave, of a column, what the rule allows given the known ones."""
