"""In which order columns are modelled: those that say most of each other follow one another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.int64]

ROWS_LOOKED_AT = 10_000


def chain(columns: Mapping[str, States]) -> list[str]:
    """Return the columns in an order in which each says much of one before it.

    The first is the one that says most of all others; the next is always the one that says most of any chosen: Prim's
    walk along the tree of largest mutual information (Chow and Liu 1968, https://doi.org/10.1109/TIT.1968.1054142).

    Args:
        columns: Coarse states (rows,) of each column, from 0 on.
    """
    names = list(columns)
    if len(names) < 3:
        return names
    said = np.zeros((len(names), len(names)))
    for i, j in itertools.combinations(range(len(names)), 2):
        said[i, j] = said[j, i] = information(columns[names[i]], columns[names[j]])
    chosen = [int(said.sum(1).argmax())]
    nearest = said[chosen[0]].copy()
    while len(chosen) < len(names):
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.maximum(nearest, said[chosen[-1]])
    return [names[i] for i in chosen]


def information(first: States, second: States) -> float:
    """Return the mutual information of two columns in nats, less its bias on so many rows (Miller 1955); at least 0."""
    shape = int(first.max()) + 1, int(second.max()) + 1
    joint = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape) / len(first)
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    found = float((joint[seen] * np.log(joint[seen] / alone[seen])).sum())
    extra = int(seen.sum()) - int(seen.any(1).sum()) - int(seen.any(0).sum()) + 1
    return max(found - extra / (2 * len(first)), 0.0)
