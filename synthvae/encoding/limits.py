"""What a condition on the values of a column allows of its states and continuous values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import ndtri

from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import GeneratedColumn
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.encoding.written import own_number, written
from synthvae.errors import RequestError, listing
from synthvae.tables.arrow import is_text, plain_type


class Allowed(NamedTuple):
    """The states of a column that a condition allows, and the limits of its continuous values.

    Args:
        states: Which states (levels,).
        low: The smallest continuous value; -inf without a limit.
        high: The largest one; inf without a limit.
        numbers: The smallest and the largest number of an interval of numbers; None: there is none.
    """

    states: Mask
    low: float = -np.inf
    high: float = np.inf
    numbers: tuple[float, float] | None = None


def present(name: str, encoding: StoredEncoding) -> Allowed:
    """Return what is allowed of a column whose values must not be missing.

    Raises:
        RequestError: All values of the column were missing in training.
    """
    states = np.ones(encoding.levels, bool)
    if _may_be_missing(encoding):
        states[-1] = False
    if not states.any():
        raise RequestError(f"Column {name!r} must be missing: no training row has a value. Remove the condition.")
    return Allowed(states)


def real(name: str, encoding: StoredEncoding) -> Allowed:
    """Return what is allowed of a column whose values must be neither missing nor sentinel values.

    A column that has sentinel values alone may have these.

    Raises:
        RequestError: All values of the column were missing in training.
    """
    found = present(name, encoding)
    steps = encoding.steps if isinstance(encoding, TemporalEncoding) else encoding
    sentinels = len(steps.marks) if isinstance(steps, (NumericEncoding, BinnedEncoding)) else 0
    end = encoding.levels - _may_be_missing(encoding)
    states = found.states & ~np.isin(np.arange(encoding.levels), np.arange(end - sentinels, end))
    return Allowed(states) if states.any() else found


def missing(name: str, encoding: StoredEncoding) -> Allowed:
    """Return what is allowed of a column whose values must be missing.

    Raises:
        RequestError: No value of the column was missing in training.
    """
    if not _may_be_missing(encoding):
        raise RequestError(f"Column {name!r} must be present: no training row lacks it. Remove the condition.")
    states = np.zeros(encoding.levels, bool)
    states[-1] = True
    return Allowed(states)


def _may_be_missing(encoding: StoredEncoding) -> bool:
    steps = encoding.steps if isinstance(encoding, (TemporalEncoding, RelativeEncoding)) else encoding
    return bool(getattr(steps, "missing", False))


class Listed(NamedTuple):
    """What a list of values allows of a column.

    Args:
        values: The values that have states of their own, in the type of the column.
        allowed: What these allow.
        numbers: The others, of each of which only a density is known.
    """

    values: tuple[Any, ...]
    allowed: Allowed
    numbers: tuple[Any, ...]


def one_of(name: str, encoding: StoredEncoding, values: Sequence[Any], kind: pa.DataType) -> Listed:
    """Return what is allowed of a column that has one of some values, None among them if it may be missing.

    Raises:
        RequestError: A value did not occur in training, or has another type.
    """
    array = as_column(name, values, kind, encoding)
    column = pa.chunked_array([array])
    refuse_unseen(name, encoding, column)
    if isinstance(encoding, RelativeEncoding):
        gone = missing(name, encoding) if array.null_count else Allowed(np.zeros(encoding.levels, bool))
        exact = (None,) if array.null_count else ()
        return Listed(exact, gone, tuple(dict.fromkeys(array.drop_null().to_pylist())))
    found = encoding.encode(name, column)
    dense = ~np.isnan(encoding.scores(column, found, None)) if encoding.valued else np.zeros(len(array), bool)
    states = np.zeros(encoding.levels, bool)
    states[found[~dense]] = True
    exact, numbers = (tuple(array.filter(pa.array(some)).to_pylist()) for some in (~dense, dense))
    return Listed(exact, Allowed(states), tuple(dict.fromkeys(numbers)))


def log_score_width(name: str, encoding: StoredEncoding, value: Any, kind: pa.DataType) -> float:
    """Return the log of the width of the normal scores of the numbers that round to a value; -inf if none has.

    With the log density of its score it makes the log probability of a value. Numbers that are not rounded count as
    rounded to a thousandth of their range.
    """
    column = pa.chunked_array([as_column(name, [value], kind, encoding)])
    steps = encoding.steps if isinstance(encoding, TemporalEncoding) else encoding
    assert isinstance(steps, NumericEncoding)
    assert steps.curve is not None
    number = float((encoding if isinstance(encoding, TemporalEncoding) else steps).numbers_of(column)[0])
    window = max(steps.curve.half, (steps.high - steps.low) / 200)  # the curve is rough between few rows
    ends = np.concatenate(steps.curve.limits(np.array([number - window]), np.array([number + window])))
    low, high = np.clip(ends, ndtri(steps.curve.margin), -ndtri(steps.curve.margin))
    rounded = steps.curve.half or (steps.high - steps.low) / 2000
    return float(np.log((high - low) * rounded / window)) if high > low else -np.inf


def between(name: str, encoding: StoredEncoding, low: Any, high: Any, kind: pa.DataType) -> Allowed:
    """Return what is allowed of a column of numbers or dates from `low` to `high`; None: no limit.

    Raises:
        RequestError: The column has no order, the limits are the wrong way round, or no value lies between them.
    """
    if isinstance(encoding, RelativeEncoding):
        return _relative_between(name, encoding, low, high, kind)
    if isinstance(encoding, TemporalEncoding) and isinstance(encoding.steps, NumericEncoding):
        steps = [_steps(name, encoding, limit, kind) for limit in (low, high)]
        numbers, numeric = steps, encoding.steps
    elif isinstance(encoding, NumericEncoding):
        numbers, numeric = [_number(name, encoding, limit) for limit in (low, high)], encoding
    else:
        raise RequestError(f"An interval needs a column of numbers or dates, and {name!r} is none. Give a list.")
    first = -np.inf if numbers[0] is None else numbers[0]
    last = np.inf if numbers[1] is None else numbers[1]
    if first > last:
        raise RequestError(f"An interval must go from the smaller to the larger value, got {low!r} to {high!r}.")
    ends = _on_grid(numeric, first, last)
    allowed = _numbers_between(numeric, *ends)
    if not allowed.states.any():
        limits = f"{numeric.low:g} to {numeric.high:g}" if numeric is encoding else "the dates of training"
        raise RequestError(
            f"No value of {name!r} lies between {low!r} and {high!r}: training rows have {limits}. Widen the interval."
        )
    return allowed._replace(numbers=ends) if numeric is encoding else allowed


def _relative_between(name: str, encoding: RelativeEncoding, low: Any, high: Any, kind: pa.DataType) -> Allowed:
    """What is allowed of a column of distances whose numbers lie in an interval: any distance, as far as states go."""
    found = []
    for limit, end in ((low, encoding.low), (high, encoding.high)):
        own = None if limit is None else _number_of(name, encoding, limit, kind)
        found.append(end if own is None else own)
    if found[0] > found[1]:
        raise RequestError(f"An interval must go from the smaller to the larger value, got {low!r} to {high!r}.")
    if found[0] > encoding.high or found[1] < encoding.low:
        raise RequestError(f"No value of {name!r} lies between {low!r} and {high!r} in training. Widen the interval.")
    return present(name, encoding)._replace(numbers=(found[0], found[1]))


def _number_of(name: str, encoding: RelativeEncoding, limit: Any, kind: pa.DataType) -> float | None:
    if isinstance(encoding.written, TemporalEncoding):
        return _steps(name, encoding.written, limit, kind)
    assert isinstance(encoding.written, NumericEncoding)
    return _number(name, encoding.written, limit)


def _numbers_between(encoding: NumericEncoding, low: float, high: float) -> Allowed:
    """What is allowed of numbers in an interval; repeated numbers of other columns are not."""
    states = np.zeros(encoding.levels, bool)
    atoms = np.array(encoding.atoms, float)
    states[: len(atoms)] = (atoms >= low) & (atoms <= high)
    if encoding.curve is None:
        return Allowed(states)
    states[len(atoms)] = max(low, encoding.low) <= min(high, encoding.high) and not _all_atoms(encoding, low, high)
    first, last = encoding.curve.limits(np.array([low]), np.array([high]))
    return Allowed(states, float(first[0]), float(last[0]))


def _on_grid(encoding: NumericEncoding, low: float, high: float) -> tuple[float, float]:
    """The smallest and the largest number within limits that the column can have: with so many decimals."""
    if encoding.decimals is None:
        return low, high
    scale = 10.0**encoding.decimals
    inward = [float(np.round(limit, encoding.decimals)) for limit in (low, high)]
    return (
        inward[0] if inward[0] >= low else float(np.round(inward[0] + 1 / scale, encoding.decimals)),
        inward[1] if inward[1] <= high else float(np.round(inward[1] - 1 / scale, encoding.decimals)),
    )


def _all_atoms(encoding: NumericEncoding, low: float, high: float) -> bool:
    """Whether each number that a column of whole steps can have within limits is an atom."""
    low, high = max(low, encoding.low), min(high, encoding.high)
    if encoding.decimals is None:
        return low == high and low in encoding.atoms
    count = round((high - low) * 10.0**encoding.decimals) + 1
    atoms = np.array(encoding.atoms, float)
    return bool(count == ((atoms >= low) & (atoms <= high)).sum())


def _number(name: str, encoding: NumericEncoding, limit: Any) -> float | None:
    """The number of a limit, which may be text as the column writes it."""
    try:
        own = None if not isinstance(limit, str) else own_number(limit, encoding.format)
        number = None if limit is None else float(limit) if own is None else own
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"A limit of {name!r} must be a number, got {limit!r}.") from error
    if number is not None and np.isnan(number):
        raise RequestError(f"A limit of {name!r} must be a number or None, got {limit!r}.")
    return number


def _steps(name: str, encoding: TemporalEncoding, limit: Any, kind: pa.DataType) -> float | None:
    if limit is None:
        return None
    number = float(encoding.numbers_of(pa.chunked_array([as_column(name, [limit], kind, encoding)]))[0])
    if np.isnan(number):
        form = "" if encoding.form is None else f" written as {encoding.form}"
        raise RequestError(f"A limit of {name!r} must be a date{form}, got {limit!r}. Change it.")
    return number


def refuse_computed(name: str, encoding: ComputedEncoding) -> None:
    """Refuse a condition on a column that a rule computes.

    Raises:
        RequestError: Always.
    """
    raise RequestError(
        f"A condition must be on a column that is drawn, got {name!r}, which is computed from "
        f"{listing(encoding.given)}. Give conditions on these columns instead."
    )


def refuse_unseen(name: str, encoding: StoredEncoding, column: pa.ChunkedArray) -> None:
    """Refuse values that did not occur in training, and conditions on columns whose values are generated anew.

    Raises:
        RequestError: There are some.
    """
    if isinstance(encoding, GeneratedColumn):
        raise RequestError(f"Column {name!r} has fresh values, which say nothing of others. Drop the condition.")
    unseen = encoding.unseen(name, column)
    if unseen.any():
        value = column[int(np.argmax(unseen))].as_py()
        known = f", which are {listing(encoding.values)}" if isinstance(encoding, CategoricalEncoding) else ""
        raise RequestError(f"A condition on {name!r} must be a value that occurs in training{known}, got {value!r}.")
    if column.null_count:
        missing(name, encoding)
    if isinstance(encoding, RelativeEncoding):
        _refuse_outside(name, column, encoding.numbers_of(column), encoding.low, encoding.high)
    steps = encoding.steps if isinstance(encoding, TemporalEncoding) else encoding
    if isinstance(steps, NumericEncoding):
        numbers = encoding.numbers_of(column) if isinstance(encoding, TemporalEncoding) else steps.numbers_of(column)
        _refuse_outside(name, column, numbers, steps.low, steps.high)


def _refuse_outside(name: str, column: pa.ChunkedArray, numbers: Floats, low: float, high: float) -> None:
    if (numbers < low).any() or (numbers > high).any():
        raise RequestError(
            f"A condition on {name!r} must lie within the values of training, got {column[0].as_py()!r}. Change it."
        )


def as_column(
    name: str,
    values: Sequence[Any],
    kind: pa.DataType,
    encoding: StoredEncoding | None = None,
    what: str = "A condition on",
) -> pa.Array:
    """Return values that a user passes as an array of a column's type.

    Args:
        name: The column.
        values: Its values; numbers and dates of a column of text are written as the column writes them.
        kind: Its type.
        encoding: Its encoding; None: text has no form.
        what: The subject of the sentence of an error, before the name of the column.

    Raises:
        RequestError: They are of another type.
    """
    plain = plain_type(kind)
    given = [None if _is_missing(value) else value for value in values]
    try:
        return _array(written(given, encoding, plain), plain)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        wrong = next((value for value in given if value is not None and not _fits(value, encoding, plain)), None)
        raise RequestError(f"{what} {name!r} must be of type {plain}, got {wrong!r}. Convert it.") from error


def _fits(value: Any, encoding: StoredEncoding | None, kind: pa.DataType) -> bool:
    """Whether a value has the type of a column."""
    try:
        _array(written([value], encoding, kind), kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return False
    return True


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if is_text(kind):
        return pa.array([None if value is None else str(value) for value in values], kind)
    if pa.types.is_boolean(kind):
        texts = [None if value is None else str(value).lower() for value in values]
        return pa.array(texts, pa.string()).cast(kind)
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind) and not pa.types.is_duration(kind):
        return _cast([None if value is None else pd.Timestamp(value) for value in values], kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _cast([None if value is None else _plain_number(value) for value in values], kind)
    return _cast(values, kind)


def _cast(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)  # also beyond 2**63
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    return pa.array(values).cast(kind) if any(value is not None for value in values) else pa.nulls(len(values), kind)


def _plain_number(value: Any) -> int | float:
    """A number, also as it is written in a shell."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, (bool, pd.Timestamp)):
        raise TypeError(f"{plain!r} is not numeric")
    if isinstance(plain, str):
        return int(plain) if plain.strip().lstrip("+-").isdigit() else float(plain)
    return plain  # type: ignore[no-any-return]


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
