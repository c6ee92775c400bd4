"""Columns that repeat another's number: a payment that equals the bill of the month before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Floats = npt.NDArray[np.float64]

LINK_SHARE = 0.01  # of all rows must repeat a column's number for a link to it
CHANCE = 3  # and so many times as many as would if rows were shuffled
FIRM_SHARE = 0.5  # of the rows that could; then the link goes before atoms
MAX_LINKS = 3
ROWS_LOOKED_AT = 50_000


class Link(BaseModel):
    """A link to a column that is modelled before.

    Args:
        to: Its name.
        firm: Whether the link goes before atoms: a number that is an atom, and repeated, counts as repeated.
    """

    model_config = ConfigDict(frozen=True)

    to: str
    firm: bool


def find_links(numbers: Floats, free: npt.NDArray[np.bool_], others: Mapping[str, Floats]) -> tuple[Link, ...]:
    """Find the columns whose numbers `numbers` (rows,) repeats, the most often repeated first.

    Args:
        numbers: The numbers of a column; NaN where there is none.
        free: Which of them are no atoms.
        others: The numbers of the columns before it.
    """
    step = max(len(numbers) // ROWS_LOOKED_AT, 1)
    numbers, free = numbers[::step], free[::step]
    looked_at = {name: other[::step] for name, other in others.items()}
    firm = {name for name, other in looked_at.items() if _is_firm(numbers, other)}
    hits = {name: (numbers == other) & (free | (name in firm)) for name, other in looked_at.items()}
    links: list[Link] = []
    while hits and len(links) < MAX_LINKS:
        name = max(hits, key=lambda n: int(hits[n].sum()))
        repeated = hits.pop(name)
        if repeated.sum() < LINK_SHARE * len(numbers) or not _beats_chance(numbers, looked_at[name], repeated):
            break
        links.append(Link(to=name, firm=name in firm))
        hits = {other: rows & ~repeated for other, rows in hits.items()}
    return tuple(links)


def _is_firm(numbers: Floats, other: Floats) -> bool:
    both = np.isfinite(numbers) & np.isfinite(other)
    equal = numbers == other
    return bool(equal.sum() >= FIRM_SHARE * both.sum()) and _beats_chance(numbers, other, equal)


def _beats_chance(numbers: Floats, other: Floats, repeated: npt.NDArray[np.bool_]) -> bool:
    """Whether rows repeat more often than they would if one of the columns were shuffled."""
    order = np.random.default_rng(0).permutation(len(other))
    chance = (numbers == other[order]).sum()
    return bool(repeated.sum() >= CHANCE * chance)
