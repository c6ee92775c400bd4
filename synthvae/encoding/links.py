"""Columns that repeat the number of another column: a payment that equals the bill of the month before."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Floats, Mask

LINK_SHARE = 0.01  # the smallest share of all rows that repeat the number of a column, for a link to it
CHANCE = 3  # the smallest ratio of that count to the count after one column is shuffled
FIRM_SHARE = 0.5  # from this share of the rows with both numbers a link takes precedence over atoms
MAX_LINKS = 3
SAMPLE_ROWS = 50_000  # rows from which links are found
BLOCK = 1 << 18  # numbers that are compared at once


class Link(BaseModel):
    """A link to a column that is modelled before.

    Args:
        to: The name of that column.
        firm: Whether the link takes precedence over atoms: an atom that equals the linked number counts as repeated.
    """

    model_config = ConfigDict(frozen=True)

    to: str
    firm: bool


def find_candidates(numbers: Floats, others: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Return those of the columns that have the same number as `numbers` (rows,) in enough rows for a link.

    Many columns are compared at once; few pass, and only these are looked at one by one.
    """
    step = max(len(numbers) // SAMPLE_ROWS, 1)
    sampled, names = numbers[::step], list(others)
    width = max(BLOCK // max(len(sampled), 1), 1)
    blocks = (names[start : start + width] for start in range(0, len(names), width))
    counts = (np.count_nonzero(np.array([others[n][::step] for n in b]) == sampled, axis=1) for b in blocks)
    equal = itertools.chain.from_iterable(counts)
    return {n: others[n] for n, count in zip(names, equal, strict=True) if count >= LINK_SHARE * len(sampled)}


def find_links(numbers: Floats, free: Mask, others: Mapping[str, Floats]) -> tuple[Link, ...]:
    """Find the columns whose numbers `numbers` (rows,) repeats, the most often repeated first.

    Args:
        numbers: The numbers of a column; NaN where it has none.
        free: Which of them (rows,) are not atoms.
        others: The numbers (rows,) of the columns before it, at least those that `find_candidates` returns.
    """
    step = max(len(numbers) // SAMPLE_ROWS, 1)
    numbers, free = numbers[::step], free[::step]
    sampled = {name: other[::step] for name, other in others.items()}
    firm = {name for name, other in sampled.items() if _is_firm(numbers, other)}
    hits = {name: (numbers == other) & (free | (name in firm)) for name, other in sampled.items()}
    links: list[Link] = []
    while hits and len(links) < MAX_LINKS:
        name = max(hits, key=lambda n: int(hits[n].sum()))
        repeated = hits.pop(name)
        if repeated.sum() < LINK_SHARE * len(numbers) or not _beats_chance(numbers, sampled[name], repeated):
            break
        links.append(Link(to=name, firm=name in firm))
        hits = {other: rows & ~repeated for other, rows in hits.items()}
    return tuple(links)


def _is_firm(numbers: Floats, other: Floats) -> bool:
    """Whether most rows with both numbers have the same number twice."""
    both = np.isfinite(numbers) & np.isfinite(other)
    equal = numbers == other
    return bool(equal.sum() >= FIRM_SHARE * both.sum()) and _beats_chance(numbers, other, equal)


def _beats_chance(numbers: Floats, other: Floats, repeated: Mask) -> bool:
    """Whether numbers repeat more often than they would if one of the columns were shuffled."""
    order = np.random.default_rng(0).permutation(len(other))
    chance = (numbers == other[order]).sum()
    return bool(repeated.sum() >= CHANCE * chance)
