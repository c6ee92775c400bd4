"""The strategy "tables": the whole budget is spent on contingency tables, from which a tree of columns is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, cycle, islice

import numpy as np

from synthvae.privacy.allocation import DOUBT, Allocation
from synthvae.privacy.counts import postprocessing
from synthvae.privacy.counts.tree import Floats, Pair, Tree, expected, matched, rooted, spanning_forest
from synthvae.privacy.curator import Tables, Variables
from synthvae.privacy.ledger import RecordedEvent

CHANCE = 0.25  # the distance of an edge must exceed this share of the distance that the noise of its table adds
LEAST = 0.01  # rows added to each cell of two columns, so that none is empty


def measured(
    tables: Tables, recorded: RecordedEvent, wanted: Sequence[Variables]
) -> dict[Variables, tuple[Floats, int]]:
    """Return the mean of the releases of each table, and their number; all releases left of an event are made.

    With more releases than tables, tables are released again, in turn: what is recorded is spent in any case.
    """
    asked = list(islice(cycle(wanted), recorded.left)) if wanted else []
    often = Counter(asked)
    sums = {table: np.zeros(tables.shape(table)) for table in often}
    for table, noisy in zip(asked, tables.release(recorded, asked) if asked else [], strict=True):
        sums[table] += noisy
    return {table: (total / often[table], often[table]) for table, total in sums.items()}


def release_tree(tables: Tables, names: list[str], totals: Floats, allocation: Allocation) -> Tree:
    """Release tables of columns and of pairs of columns, and build a tree of columns from them.

    Args:
        tables: The private rows; the first variable is the class, the others are the columns.
        names: The names of the columns.
        totals: The noisy number (C,) of rows of each class.
        allocation: The recorded events.
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
    edges = [(0, places[parent], places[child]) for parent, child in rooted(spanning_forest(scores))]
    if not edges:  # the releases of pairs make single columns more precise instead
        return Tree({**singles, **_refined(tables, marginals, places, totals, allocation)})
    given = {}
    for (_, parent, child), (table, _) in measured(tables, allocation.pairs, edges).items():
        joint = postprocessing.frequencies(table.reshape(len(totals), -1), totals).reshape(table.shape)
        name = names[child - 1]
        given[name] = names[parent - 1], matched(joint * totals[:, None, None] + LEAST, singles[name])
    return Tree(singles, given)


def _refined(
    tables: Tables,
    marginals: dict[str, tuple[Floats, int]],
    places: dict[str, int],
    totals: Floats,
    allocation: Allocation,
) -> dict[str, Floats]:
    """Frequencies of columns, with the releases that no pair needs; means are weighted by inverse noise variance."""
    assert allocation.singles is not None
    assert allocation.pairs is not None
    again = measured(tables, allocation.pairs, [(0, place) for place in places.values()])
    refined = {}
    for name, place in places.items():
        if (0, place) in again:
            first, second = (
                often / event.event.scale**2
                for event, (_, often) in ((allocation.singles, marginals[name]), (allocation.pairs, again[0, place]))
            )
            mean = (first * marginals[name][0] + second * again[0, place][0]) / (first + second)
            refined[name] = postprocessing.frequencies(mean, totals)
    return refined


def _scores(
    tables: Tables, singles: dict[str, Floats], totals: Floats, scores: RecordedEvent, pairs: RecordedEvent
) -> dict[Pair, float]:
    """The distance in rows of each pair of columns from independence, beyond that of chance and of noise.

    The distances due to chance and to the noise of a table are computed without the rows. Source: McKenna et al. 2022,
    AIM, https://arxiv.org/abs/2201.12677, equation 1.
    """
    wanted = list(combinations(singles, 2))
    places = {name: place for place, name in enumerate(singles, start=1)}

    def guessed(place: int) -> Floats:
        first, second = wanted[place]
        return expected(singles[first], singles[second], totals)

    off = tables.distances(scores, [(0, places[a], places[b]) for a, b in wanted], guessed)
    doubt = DOUBT * scores.event.scale
    chance = [by_chance(guessed(place), pairs.event.scale) for place in range(len(wanted))]
    return {pair: rows - random - doubt for pair, rows, random in zip(wanted, off.tolist(), chance, strict=True)}


def by_chance(rows: Floats, noise: float) -> float:
    """Return the expected distance in rows of a table of independent columns, plus a share of that due to noise.

    For a count around `rows` it is the mean absolute value of a normal number, and at most the count itself.
    """
    random = np.minimum(rows, (2 / np.pi * rows) ** 0.5).sum()
    return float(random + CHANCE * (2 / np.pi) ** 0.5 * noise * rows.size)
