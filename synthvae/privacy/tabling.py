"""The strategy "tables": all the budget buys counts, which make a tree of columns; no gradient is followed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from synthvae.privacy import estimates
from synthvae.privacy.ledger import Event, Ledger, calibrated
from synthvae.privacy.releases import Curator
from synthvae.privacy.trees import Floats, Pair, Tree, expected, forest, matched, rooted

SINGLES_SHARE, SCORES_SHARE = 0.6, 0.05  # of the squared budget, for tables of one column and for choosing edges
CHANCE = 0.25  # an edge must say more than this share of what the noise of its table will,
DOUBT = 2.0  # and be known to do so by as many standard deviations
LEAST = 0.01  # rows that each cell of two columns is given, so that none is empty
BOUGHT = {
    "one column within classes": "marginals",
    "pairs that are off": "edges of a tree",
    "two columns": "how columns depend on each other",
}
MOST_PAIRS = 20_000  # of more none is bought: to count them would take too long


@dataclass(frozen=True)
class Costs:
    """What the parts cost.

    Args:
        singles: One table of each column.
        scores: How far each pair is from independent; None: no edge is looked for.
        pairs: One table of each edge, if there are as many as there can be.
    """

    singles: Event
    scores: Event | None
    pairs: Event | None


def costs(ledger: Ledger, columns: int, rows: float) -> Costs:
    """Divide what is left of a budget, on tables of so many columns and about so many rows."""
    pairs = columns * (columns - 1) // 2

    def divided(noise: float) -> list[Event]:
        return [
            _event(ledger, "one column within classes", noise * (columns / SINGLES_SHARE) ** 0.5, columns),
            _event(ledger, "pairs that are off", noise * (pairs / SCORES_SHARE) ** 0.5, pairs),
            _event(
                ledger, "two columns", noise * ((columns - 1) / (1 - SINGLES_SHARE - SCORES_SHARE)) ** 0.5, columns - 1
            ),
        ]

    if 0 < pairs <= MOST_PAIRS:
        singles, scores, edges = divided(calibrated(lambda noise: [*ledger.events, *divided(noise)], *_promise(ledger)))
        if DOUBT * scores.noise_multiplier * scores.sensitivity < 2 * rows:  # no pair is off by more
            return Costs(singles, scores, edges)
    return Costs(_rest(ledger, "one column within classes", columns), None, None)


def _promise(ledger: Ledger) -> tuple[float, float]:
    return ledger.budget.epsilon, ledger.budget.delta


def _event(ledger: Ledger, name: str, noise: float, times: int) -> Event:
    return Event.of_counts(name, ledger.budget.rows_of_one, noise, times=times, bought=BOUGHT[name])


def _rest(ledger: Ledger, name: str, times: int) -> Event:
    """Tables that cost all that is left."""
    noise = calibrated(lambda noise: [*ledger.events, _event(ledger, name, noise, times)], *_promise(ledger))
    return _event(ledger, name, noise, times)


def foresee(ledger: Ledger, columns: int, rows: float) -> Ledger:
    """Return the ledger with what all costs, of which nothing is looked at."""
    if not columns:
        return ledger
    found = costs(ledger, columns, rows)
    for event in (found.singles, found.scores, found.pairs):
        ledger = ledger if event is None else ledger.record(event)
    return ledger


def grow(curator: Curator, names: list[str], totals: Floats) -> Tree:
    """Buy a tree.

    Args:
        curator: Whose first variable is the class, the others the columns.
        names: Of these.
        totals: The noisy number (C,) of rows of each class.
    """
    if not names:
        return Tree({})
    found = costs(curator.ledger, len(names), float(totals.sum()))
    places = {name: place for place, name in enumerate(names, start=1)}
    noisy = curator.counts(found.singles, [(0, place) for place in places.values()])
    singles = {n: estimates.frequencies(t.astype(float), totals) for n, t in zip(names, noisy, strict=True)}
    if found.scores is None or found.pairs is None:
        return Tree(singles)
    edges = rooted(forest(_scores(curator, singles, totals, found.scores, found.pairs)))
    if not edges:  # what is left of the budget is not spent
        return Tree(singles)
    event = _rest(curator.ledger, "two columns", len(edges))
    tables = curator.counts(event, [(0, places[parent], places[child]) for parent, child in edges])
    given = {}
    for (parent, child), table in zip(edges, tables, strict=True):
        flat = table.reshape(len(totals), -1).astype(float)
        joint = estimates.frequencies(flat, totals).reshape(table.shape)
        given[child] = parent, matched(joint * totals[:, None, None] + LEAST, singles[child])
    return Tree(singles, given)


def _scores(
    curator: Curator, singles: dict[str, Floats], totals: Floats, scores: Event, tables: Event
) -> dict[Pair, float]:
    """How many rows each pair is off if its columns are taken for independent, beyond chance and noise.

    What chance and the noise of a table would do is known without the rows. Source: McKenna et al. 2022, AIM,
    https://arxiv.org/abs/2201.12677, equation 1.
    """
    pairs = list(combinations(singles, 2))
    places = {name: place for place, name in enumerate(singles, start=1)}

    def guessed(place: int) -> Floats:
        first, second = pairs[place]
        return expected(singles[first], singles[second], totals)

    off = curator.distances(scores, [(0, places[a], places[b]) for a, b in pairs], guessed)
    noise = tables.noise_multiplier * tables.sensitivity
    doubt = DOUBT * scores.noise_multiplier * scores.sensitivity
    chance = [by_chance(guessed(place), noise) for place in range(len(pairs))]
    return {pair: rows - luck - doubt for pair, rows, luck in zip(pairs, off.tolist(), chance, strict=True)}


def by_chance(rows: Floats, noise: float) -> float:
    """How many rows a table is off although its columns are independent, with a share of what noise would add.

    Of a count around `rows` this is the mean distance of a normal number, of a small one the count itself.
    """
    luck = np.minimum(rows, (2 / np.pi * rows) ** 0.5).sum()
    return float(luck + CHANCE * (2 / np.pi) ** 0.5 * noise * rows.size)
