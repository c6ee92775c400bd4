"""How many synthetic rows: imbalanced-learn's sampling strategies, and amounts relative to the real rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthvae.errors import ConfigurationError, RequestError, listing, warn_user

NAMED = ("auto", "not majority", "minority", "not minority", "all")
NO_ROWS = 0.0
FEW_ROWS = 20  # of a class; with fewer, what is learned of it is little more than these rows
CONFIDENCE = 0.9  # with which a gain must be positive for synthetic rows to be used

Labels = npt.NDArray[Any]
Strategy = str | float | Mapping[Any, int] | list[Any] | Callable[[Any], Mapping[Any, int]]
Amount = str | float | Mapping[Any, int]


def rows_to_make(strategy: Strategy, y: Labels) -> dict[Any, int]:
    """Return the number of synthetic rows of each class that over-sampling adds, in the order of the classes.

    Args:
        strategy: Classes that are brought to the number of rows of the largest one: "minority", "not majority" (the
            same as "auto"), "not minority", "all", or a list of classes; a number in (0, 1]: the ratio of the smaller
            to the larger of two classes; a mapping from class to its number of rows in the result, or a function that
            returns one for y.
        y: The labels (rows,).

    Raises:
        RequestError: y has one class, a class is unknown or would lose rows, or the strategy is invalid.
    """
    labels, counts = np.unique(y, return_counts=True)
    present = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    if len(present) < 2:
        raise RequestError(f"The target 'y' needs to have more than 1 class. Got {len(present)} class instead.")
    wanted = _rows_in_result(strategy, present, y)
    return {label: int(wanted[label]) - present[label] for label in present if label in wanted}


def warn_of_few_rows(rows: Mapping[Any, int], y: Labels) -> None:
    """Warn of classes that get synthetic rows and have fewer than `FEW_ROWS` real ones."""
    labels, counts = np.unique(y, return_counts=True)
    present = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    few = {label: present[label] for label, added in rows.items() if added and present[label] < FEW_ROWS}
    if few:
        shown = ", ".join(f"{label!r} has {count} row{'s' * (count != 1)}" for label, count in list(few.items())[:10])
        warn_user(
            f"classes of fewer than {FEW_ROWS} rows are augmented: {shown}. Their synthetic rows vary little from "
            "these, and may resemble them. Collect more rows, or judge the result on real rows."
        )


def _rows_in_result(strategy: Strategy, present: dict[Any, int], y: Labels) -> Mapping[Any, int]:
    if isinstance(strategy, str):
        return dict.fromkeys(_named(strategy, present), max(present.values()))
    if isinstance(strategy, list):
        return dict.fromkeys(known_classes(strategy, present), max(present.values()))
    if isinstance(strategy, Real) and not isinstance(strategy, bool):
        return _by_ratio(float(strategy), present)
    given = strategy(y) if callable(strategy) else strategy
    if not isinstance(given, Mapping):
        raise RequestError(
            f"`sampling_strategy` must be one of {NAMED}, a number, mapping, list or function, got {given!r}."
        )
    return _by_class(given, present)


def _named(strategy: str, present: dict[Any, int]) -> list[Any]:
    least, most = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    if strategy == "minority":
        return [least]
    excluded = {"auto": [most], "not majority": [most], "not minority": [least], "all": []}
    if strategy not in excluded:
        raise RequestError(
            f"When 'sampling_strategy' is a string, it needs to be one of {NAMED}. Got {strategy!r} instead."
        )
    return [label for label in present if label not in excluded[strategy]]


def _by_ratio(ratio: float, present: dict[Any, int]) -> dict[Any, int]:
    if not 0 < ratio <= 1:
        raise RequestError(
            f"When 'sampling_strategy' is a float, it should be in the range (0, 1]. Got {ratio} instead."
        )
    if len(present) != 2:
        raise RequestError(
            '"sampling_strategy" can be a float only when the type of target is binary. For multi-class, use a dict.'
        )
    most = max(present, key=present.__getitem__)
    wanted = {label: int(present[most] * ratio) for label in present if label != most}
    if any(count <= present[label] for label, count in wanted.items()):
        raise RequestError(
            "The specified ratio required to remove samples from the minority class while trying to generate new "
            "samples. Please increase the ratio."
        )
    return wanted


def _by_class(given: Mapping[Any, int], present: dict[Any, int]) -> Mapping[Any, int]:
    for label, count in given.items():
        if isinstance(count, bool) or not isinstance(count, (Integral, np.integer)) or count < 0:
            raise RequestError(
                f"The number of samples in a class must be an integer and cannot be negative. Got {label!r}: {count!r}."
            )
    for label in known_classes(list(given), present):
        if given[label] < present[label]:
            raise RequestError(
                "With over-sampling methods, the number of samples in a class should be greater or equal to the "
                f"original number of samples. Originally, there is {present[label]} samples and {given[label]} samples "
                f"are asked for class {label!r}."
            )
    return given


def known_classes(labels: list[Any], present: Iterable[Any]) -> list[Any]:
    """Return labels if all of them are present.

    Raises:
        RequestError: One is not.
    """
    present = list(present)
    unknown = [label for label in labels if label not in present]
    if unknown:
        raise RequestError(
            f"The {listing(unknown)} target class is/are not present in the data, which has {listing(present)}."
        )
    return labels


def class_amounts(y: Labels) -> list[Amount]:
    """Return the amounts among which "auto" chooses for classes y (rows,); the first is no rows."""
    _, counts = np.unique(y, return_counts=True)
    balanced = counts.min() == counts.max()
    return [NO_ROWS, 1.0] if balanced else [NO_ROWS, "balance", 1.0]


def rows_per_class(amount: Amount, y: Labels, expansion: float = 1.0) -> dict[Any, int]:
    """Return the number of synthetic rows of each class.

    Args:
        amount: "balance": as many as bring each class to the largest one; a number: so many per real row; a mapping
            from class to number of synthetic rows.
        y: The classes (rows,) of the real rows.
        expansion: Real rows, with and without a label, per row with a label.

    Raises:
        ConfigurationError: The amount is invalid.
        RequestError: A class is unknown.
    """
    labels, counts = np.unique(y, return_counts=True)
    present = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    if _is_ratio(amount):
        ratio = float(amount) * expansion  # type: ignore[arg-type]
        return {label: round(ratio * count) for label, count in present.items()}
    if isinstance(amount, str) and amount == "balance":
        most = round(counts.max() * expansion)
        return {label: most - count for label, count in present.items()}
    if isinstance(amount, Mapping):
        known_classes(list(amount), present)
        return dict(amount)
    raise ConfigurationError(
        f'`amount` must be "auto", "balance", a number of at least 0 or a mapping from class to rows, got {amount!r}.'
    )


def rows_in_total(amount: Amount, y: Labels) -> int:
    """Return the number of synthetic rows for real ones with targets y (rows,): `amount` per real row.

    Raises:
        ConfigurationError: The amount is not a number of at least 0.
    """
    if not _is_ratio(amount):
        raise ConfigurationError(f'`amount` must be "auto" or a number of at least 0, got {amount!r}.')
    return round(float(amount) * len(y))  # type: ignore[arg-type]


def _is_ratio(amount: Amount) -> bool:
    return isinstance(amount, Real) and not isinstance(amount, bool) and 0 <= float(amount) < np.inf


@dataclass(frozen=True)
class AmountSelection:
    """The selection of an amount by cross-validation.

    Args:
        amounts: The candidates; the first is no rows.
        scores: Their scores (candidates, folds); without folds the first is selected.
        ratio: Test rows of a fold per training row.
    """

    amounts: list[Amount]
    scores: npt.NDArray[np.float64]
    ratio: float = 0.5

    @property
    def best(self) -> Amount:
        """The candidate with the largest mean if it is significantly better than no rows, else no rows.

        The t-test is at 90 % for all candidates together. It is corrected for the overlap of the training folds, by
        which gains vary less than those on independent data.
        Source: Nadeau, Bengio 2003, Inference for the generalization error, section 5.1,
        https://doi.org/10.1023/A:1024068626366.
        """
        folds = self.scores.shape[-1]
        if not self.scores.size or folds < 2:
            return self.amounts[0]
        gains = self.scores - self.scores[0]
        means, errors = gains.mean(1), gains.std(1, ddof=1) * np.sqrt(1 / folds + self.ratio)
        place = int(np.argmax(np.where(np.isfinite(means), means, -np.inf)))
        critical = stats.t.ppf(1 - (1 - CONFIDENCE) / max(len(self.amounts) - 1, 1), folds - 1)
        return self.amounts[place] if means[place] > critical * errors[place] else self.amounts[0]
