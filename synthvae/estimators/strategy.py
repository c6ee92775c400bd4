"""How many rows of each class over-sampling makes, as imbalanced-learn has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from synthvae.errors import RequestError, listing

NAMED = ("auto", "not majority", "minority", "not minority", "all")
Strategy = str | float | Mapping[Any, int] | list[Any] | Callable[[Any], Mapping[Any, int]]


def rows_to_make(strategy: Strategy, y: npt.NDArray[Any]) -> dict[Any, int]:
    """Return how many rows of which classes are to be made, by class in their order.

    Args:
        strategy: Which classes are brought to the number of rows of the largest: "minority", "not majority" (the same
            as "auto"), "not minority", "all", or a list of classes; a number in (0, 1]: to which share of the larger
            class the smaller of two is brought; a mapping from class to the number of rows it is to have, or a function
            that returns one for y.
        y: The labels (rows,).

    Raises:
        RequestError: y has one class, a class is unknown or asked for less than it has, or there is no such strategy.
    """
    labels, counts = np.unique(y, return_counts=True)
    have = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    if len(have) < 2:
        raise RequestError(
            f"The target 'y' needs to have more than 1 class. Got {len(have)} class instead: there is no other"
        )
    wanted = _wanted(strategy, have, y)
    return {label: int(wanted[label]) - have[label] for label in have if label in wanted}


def _wanted(strategy: Strategy, have: dict[Any, int], y: npt.NDArray[Any]) -> dict[Any, int]:
    if isinstance(strategy, str):
        return dict.fromkeys(_named(strategy, have), max(have.values()))
    if isinstance(strategy, list):
        return dict.fromkeys(known(strategy, have), max(have.values()))
    if isinstance(strategy, Real) and not isinstance(strategy, bool):
        return _in_proportion(float(strategy), have)
    given = strategy(y) if callable(strategy) else strategy
    if not isinstance(given, Mapping):
        raise RequestError(
            f"`sampling_strategy` must be one of {NAMED}, a number, mapping, list or function: {given!r}"
        )
    return _counted(given, have)


def _named(strategy: str, have: dict[Any, int]) -> list[Any]:
    least, most = min(have, key=have.__getitem__), max(have, key=have.__getitem__)
    if strategy == "minority":
        return [least]
    left = {"auto": [most], "not majority": [most], "not minority": [least], "all": []}
    if strategy not in left:
        raise RequestError(
            f"When 'sampling_strategy' is a string, it needs to be one of {NAMED}. Got {strategy!r} instead."
        )
    return [label for label in have if label not in left[strategy]]


def _in_proportion(share: float, have: dict[Any, int]) -> dict[Any, int]:
    if not 0 < share <= 1:
        raise RequestError(
            f"When 'sampling_strategy' is a float, it should be in the range (0, 1]. Got {share} instead."
        )
    if len(have) != 2:
        raise RequestError(
            '"sampling_strategy" can be a float only when the type of target is binary. For multi-class, use a dict.'
        )
    most = max(have, key=have.__getitem__)
    wanted = {label: int(have[most] * share) for label in have if label != most}
    if any(count <= have[label] for label, count in wanted.items()):
        raise RequestError(
            "The specified ratio required to remove samples from the minority class while trying to generate new "
            "samples. Please increase the ratio."
        )
    return wanted


def _counted(given: Mapping[Any, int], have: dict[Any, int]) -> dict[Any, int]:
    for label, count in given.items():
        if isinstance(count, bool) or not isinstance(count, (Integral, np.integer)) or count < 0:
            raise RequestError(
                f"The number of samples in a class cannot be negative or no number. Got {label!r}: {count!r}"
            )
    for label in known(list(given), have):
        if given[label] < have[label]:
            raise RequestError(
                "With over-sampling methods, the number of samples in a class should be greater or equal to the "
                f"original number of samples. Originally, there is {have[label]} samples and {given[label]} samples "
                f"are asked: class {label!r}"
            )
    return {label: int(count) for label, count in given.items()}


def known(labels: list[Any], have: Iterable[Any]) -> list[Any]:
    """Return labels, if all of them are among those that there are.

    Raises:
        RequestError: One is not.
    """
    have = list(have)
    unknown = [label for label in labels if label not in have]
    if unknown:
        raise RequestError(
            f"The {listing(unknown)} target class is/are not present in the data, which has {listing(have)}."
        )
    return labels
