"""The strategy "tables": all the budget buys counts, which make a tree of columns; no gradient is followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, cycle, islice

import numpy as np

from synthvae.privacy.allocation import DOUBT, Allocation
from synthvae.privacy.counts import postprocessing
from synthvae.privacy.counts.tree import Floats, Pair, Tree, expected, forest, matched, rooted
from synthvae.privacy.curator import Tables, Variables
from synthvae.privacy.ledger import RecordedEvent

CHANCE = 0.25  # an edge must say more than this share of what the noise of its table will
LEAST = 0.01  # rows that each cell of two columns is given, so that none is empty


def measured(
    tables: Tables, recorded: RecordedEvent, wanted: Sequence[Variables]
) -> dict[Variables, tuple[Floats, int]]:
    """Return the means of noisy tables, and of how many releases each is: all that are left of an event are made.

    Where there are more releases than tables, tables are released again, in turn: what was recorded is spent.
    """
    asked = list(islice(cycle(wanted), recorded.left)) if wanted else []
    often = Counter(asked)
    sums = {table: np.zeros(tables.shape(table)) for table in often}
    for table, noisy in zip(asked, tables.release(recorded, asked) if asked else [], strict=True):
        sums[table] += noisy
    return {table: (total / often[table], often[table]) for table, total in sums.items()}


def grow(tables: Tables, names: list[str], totals: Floats, allocation: Allocation) -> Tree:
    """Release what makes a tree.

    Args:
        tables: Whose first variable is the class, the others the columns.
        names: Of these.
        totals: The noisy number (C,) of rows of each class.
        allocation: What it costs.
    """
    if not names or allocation.singles is None:
        return Tree({})
    places = {name: place for place, name in enumerate(names, start=1)}
    found = measured(tables, allocation.singles, [(0, place) for place in places.values()])
    marginals = {name: found[0, place] for name, place in places.items()}
    singles = {name: postprocessing.frequencies(table, totals) for name, (table, _) in marginals.items()}
    if allocation.scores is None or allocation.pairs is None:
        return Tree(singles)
    scores = _scores(tables, singles, totals, allocation.scores, allocation.pairs)
    edges = [(0, places[parent], places[child]) for parent, child in rooted(forest(scores))]
    if not edges:  # columns are told better instead
        return Tree({**singles, **_better(tables, marginals, places, totals, allocation)})
    given = {}
    for (_, parent, child), (table, _) in measured(tables, allocation.pairs, edges).items():
        joint = postprocessing.frequencies(table.reshape(len(totals), -1), totals).reshape(table.shape)
        name = names[child - 1]
        given[name] = names[parent - 1], matched(joint * totals[:, None, None] + LEAST, singles[name])
    return Tree(singles, given)


def _better(
    tables: Tables,
    marginals: dict[str, tuple[Floats, int]],
    places: dict[str, int],
    totals: Floats,
    allocation: Allocation,
) -> dict[str, Floats]:
    """Frequencies of columns with the releases that no pair needs, weighed by how little noise each mean has."""
    assert allocation.singles is not None
    assert allocation.pairs is not None
    again = measured(tables, allocation.pairs, [(0, place) for place in places.values()])
    told = {}
    for name, place in places.items():
        if (0, place) in again:
            first, second = (
                often / event.event.scale**2
                for event, (_, often) in ((allocation.singles, marginals[name]), (allocation.pairs, again[0, place]))
            )
            mean = (first * marginals[name][0] + second * again[0, place][0]) / (first + second)
            told[name] = postprocessing.frequencies(mean, totals)
    return told


def _scores(
    tables: Tables, singles: dict[str, Floats], totals: Floats, scores: RecordedEvent, pairs: RecordedEvent
) -> dict[Pair, float]:
    """How many rows each pair is off if its columns are taken for independent, beyond chance and noise.

    What chance and the noise of a table would do is known without the rows. Source: McKenna et al. 2022, AIM,
    https://arxiv.org/abs/2201.12677, equation 1.
    """
    wanted = list(combinations(singles, 2))
    places = {name: place for place, name in enumerate(singles, start=1)}

    def guessed(place: int) -> Floats:
        first, second = wanted[place]
        return expected(singles[first], singles[second], totals)

    off = tables.distances(scores, [(0, places[a], places[b]) for a, b in wanted], guessed)
    doubt = DOUBT * scores.event.scale
    chance = [by_chance(guessed(place), pairs.event.scale) for place in range(len(wanted))]
    return {pair: rows - luck - doubt for pair, rows, luck in zip(wanted, off.tolist(), chance, strict=True)}


def by_chance(rows: Floats, noise: float) -> float:
    """How many rows a table is off although its columns are independent, with a share of what noise would add.

    Of a count around `rows` this is the mean distance of a normal number, of a small one the count itself.
    """
    luck = np.minimum(rows, (2 / np.pi * rows) ** 0.5).sum()
    return float(luck + CHANCE * (2 / np.pi) ** 0.5 * noise * rows.size)
