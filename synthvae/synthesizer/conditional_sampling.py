"""Rows that obey conditions on any columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.special import softmax

from synthvae.encoding import limits
from synthvae.encoding.arrays import Floats
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.limits import Allowed
from synthvae.encoding.relative import RelativeEncoding
from synthvae.errors import RequestError, listing, warn_user
from synthvae.generation.given import Condition, Exactly, Given, Interval, OneOf, parse
from synthvae.model import Rows
from synthvae.synthesizer.conditional_coding import Draws, columns_of, filled, numbers_of
from synthvae.synthesizer.conditional_model import Cells, ConditionalModel
from synthvae.synthesizer.conditional_rows import Drawn, Facts, Start
from synthvae.training.batches import repeats

POOL, MIN_POOL = 2, 2048  # values within limits that are drawn for each row, and at least
MAX_ROUNDS = 4  # in which these are drawn, until enough are effective
ENOUGH_EFFECTIVE = 1.0  # effective draws per row from which no further round is needed
FEW_EFFECTIVE = 0.5  # effective draws per row below which a user is warned that rows repeat values of one another
MAX_ALTERNATIVES = 100  # combinations of listed numbers, each of which is drawn apart
MIN_PROBABILITY = 1e-5  # of a condition below which a user is warned


class Conditions(NamedTuple):
    """Conditions on the columns of a table.

    Args:
        fixed: One row with the columns that have one value; the others are null.
        names: The columns that have one value.
        within: What is allowed of other columns.
    """

    fixed: pa.Table
    names: frozenset[str]
    within: Mapping[str, Allowed]


def conditions(model: ConditionalModel, given: Given) -> Conditions:
    """Check conditions against the encoding of a table. Lists have states of their own; see `alternatives`.

    Raises:
        RequestError: A column is unknown or has fresh values, a value did not occur, or an interval has none.
    """
    encoding, columns = model.encoding, columns_of(model.encoding)
    parsed = parse(given, encoding.names)
    fixed = {name: condition.value for name, condition in parsed.items() if isinstance(condition, Exactly)}
    arrays = []
    for field in encoding.arrow_schema:
        array = limits.as_column(field.name, [fixed.get(field.name)], field.type, columns.get(field.name))
        if field.name in fixed:
            _refuse_unmodelled(field.name, columns)
            limits.refuse_unseen(field.name, columns[field.name], pa.chunked_array([array]))
        arrays.append(array)
    table = pa.Table.from_arrays(arrays, names=encoding.arrow_schema.names)
    within = {n: _allowed(model, n, c) for n, c in parsed.items() if not isinstance(c, Exactly)}
    distances = [name for name in fixed if isinstance(columns.get(name), RelativeEncoding)]
    for name in distances:
        within[name] = _exactly(name, columns[name], table.column(name))
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.nulls(1, table.column(name).type))
    return Conditions(table, frozenset(fixed) - set(distances), within)


def _exactly(name: str, encoding: StoredEncoding, value: pa.ChunkedArray) -> Allowed:
    """What is allowed of a distance whose column has one value."""
    assert isinstance(encoding, RelativeEncoding)
    if value.null_count:
        return limits.missing(name, encoding)
    number = float(encoding.numbers_of(value)[0])
    return limits.present(name, encoding)._replace(numbers=(number, number))


def _refuse_unmodelled(name: str, columns: Mapping[str, Any]) -> None:
    if name not in columns:
        raise RequestError(f"Column {name!r} has no values, so that it cannot be conditioned on. Remove the condition.")
    if isinstance(columns[name], ComputedEncoding):
        limits.refuse_computed(name, columns[name])


def _allowed(model: ConditionalModel, name: str, condition: Condition) -> Allowed:
    """What a condition allows of a column."""
    columns, kind = columns_of(model.encoding), model.encoding.arrow_schema.field(name).type
    _refuse_unmodelled(name, columns)
    if not isinstance(condition, Interval):
        assert not isinstance(condition, Exactly)
        return limits.one_of(name, columns[name], condition.values, kind).allowed
    if condition == Interval(None, None):
        return limits.present(name, columns[name])
    return limits.between(name, columns[name], *condition, kind)


def alternatives(model: ConditionalModel, given: Given) -> list[Given]:
    """Return conditions whose union is the given ones, and in which each number of a list stands alone.

    Values that repeat in training have a probability each, and stay in lists; of other numbers the density is known.

    Raises:
        RequestError: A condition cannot be met, or the lists have too many combinations.
    """
    columns, schema = columns_of(model.encoding), model.encoding.arrow_schema
    choices: dict[str, list[Any]] = {}
    for name, condition in parse(given, model.encoding.names).items():
        if isinstance(condition, OneOf):
            _refuse_unmodelled(name, columns)
            found = limits.one_of(name, columns[name], condition.values, schema.field(name).type)
            if found.numbers:
                choices[name] = [list(found.values)] * bool(found.values) + list(found.numbers)
    count = math.prod(map(len, choices.values()))
    if count > MAX_ALTERNATIVES:
        raise RequestError(
            f"Lists of numbers must have at most {MAX_ALTERNATIVES} combinations, got {count:,} of {listing(choices)}. "
            "Shorten them, or give intervals."
        )
    combined = (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))
    rest = {str(name): value for name, value in given.items()}
    found_ones: list[Given] = [{**rest, **one} for one in combined]
    for one in found_ones:
        conditions(model, one)
    return found_ones


def sample_given(model: ConditionalModel, rows: int, given: Given, draws: Draws) -> pa.Table:
    """Draw rows that obey conditions: p(the other columns | the conditions), without rejection.

    Args:
        model: The model.
        rows: The number of rows.
        given: The conditions.
        draws: The seed of the draws.

    Raises:
        RequestError: A condition cannot be met.
    """
    every = alternatives(model, given)
    if len(every) == 1:
        return _sample_one(model, rows, every[0], draws)
    listed = [name for name in map(str, given) if any(one[name] != every[0][name] for one in every)]
    logs = np.array([_log_weight(model, one, listed, draws) for one in every])
    if np.isneginf(logs).all():
        raise RequestError(f"No row has one of the numbers listed for {listing(listed)}. Give an interval.")
    rng = np.random.default_rng(draws.seed)
    counts, first = rng.multinomial(rows, softmax(logs)), draws.first_row
    tables: list[pa.Table] = []
    for place, (one, count) in enumerate(zip(every, counts.tolist(), strict=True)):
        if count or not (rows or tables):
            own = Draws(draws.seed + place, first, draws.seed if draws.request is None else draws.request)
            tables.append(_sample_one(model, count, one, own))
        first += count
    whole = pa.concat_tables([table.unify_dictionaries() for table in tables]).combine_chunks()
    return whole.take(rng.permutation(whole.num_rows))


def _log_weight(model: ConditionalModel, given: Given, listed: Sequence[str], draws: Draws) -> float:
    """The log probability of conditions in which listed numbers stand alone, up to a constant."""
    found, generator = conditions(model, given), torch.Generator(device=model.device).manual_seed(draws.seed)
    columns, schema = columns_of(model.encoding), model.encoding.arrow_schema
    log_p = _log_probability(model, found, densities=True)
    for name in found.names.intersection(listed):
        log_p += limits.log_score_width(name, columns[name], given[name], schema.field(name).type)
    return log_p + (_Pool.drawn(model, found, MIN_POOL, generator).log_p if found.within else 0.0)


def _sample_one(model: ConditionalModel, rows: int, given: Given, draws: Draws) -> pa.Table:
    """Draw rows that obey conditions without listed numbers.

    The columns that are limited are drawn first, many times within their limits; these draws are weighted by the
    probability of the limits and resampled. Then the other columns are drawn given them.

    Source: Rubin 1987, A noniterative sampling/importance resampling alternative, JASA 82(398).
    """
    found, generator = conditions(model, given), torch.Generator(device=model.device).manual_seed(draws.seed)
    names = model.encoding.names
    others = _others(model, found)
    known, facts = model.rows(found.fixed, unknown=others), model.facts_of(found.fixed)
    log_p = _log_probability(model, found)
    if found.within and rows:
        pool, log_p_within = _resampled(model, found, rows, generator)
        known, facts = pool.rows, Facts({**facts.numbers, **pool.numbers}, _limits_of_distances(model, found))
        log_p += log_p_within
    if np.exp(log_p) < MIN_PROBABILITY:
        warn_user(
            f"the conditions have a probability of {np.exp(log_p):.1g}: few or no training rows are like that, and the "
            "rows drawn are an extrapolation"
        )
    first = _drawn_first(model, found) if rows else set(found.within)
    free = np.array([[name not in found.names and name not in first for name in names]])
    start = Start(known, model.wanted(names, free.repeat(rows, 0)), facts, {})
    fixed = found.fixed.take(pa.array(np.zeros(rows, np.int64)))
    numbers = numbers_of(model.encoding, fixed, found.names)

    def finish(drawn: Drawn) -> pa.Table:
        table = model.decode(drawn.rows, draws, {**numbers, **drawn.numbers})
        for name, allowed in found.within.items():
            table = _clipped(table, name, allowed.numbers)
        return filled(fixed, table, others.repeat(rows, 0))

    table, broken = model.kept(start, generator, finish)
    broken |= _unmet(model, found, table)
    if broken.any():
        raise RequestError(
            f"Conditions must leave rows that keep the rules of the schema, got {int(broken.sum())} of {rows} that do "
            "not. Change the conditions."
        )
    return table


def _unmet(model: ConditionalModel, found: Conditions, table: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows (rows,) do not meet the conditions on columns that are distances from others."""
    columns, unmet = columns_of(model.encoding), np.zeros(table.num_rows, bool)
    for name, allowed in found.within.items():
        encoding = columns[name]
        if isinstance(encoding, RelativeEncoding) and allowed.numbers is not None:
            own = encoding.numbers_of(table.column(name))
            unmet |= ~((own >= allowed.numbers[0]) & (own <= allowed.numbers[1]))
    return unmet


def _drawn_first(model: ConditionalModel, found: Conditions) -> set[str]:
    """The columns that are limited, and those from which they are distances."""
    columns, names = columns_of(model.encoding), set(found.within)
    waiting = list(names)
    while waiting:
        column = columns.get(waiting.pop())
        if isinstance(column, RelativeEncoding) and column.base not in found.names | names:
            names.add(column.base)
            waiting.append(column.base)
    return names


def _limits_of_distances(model: ConditionalModel, found: Conditions) -> dict[str, tuple[float, float]]:
    """The compared numbers that columns must have which are distances from others, or those of these others."""
    compiled, limited = model.encoding.compiled_rules, dict[str, tuple[float, float]]()
    views = {} if compiled is None else compiled.views
    for name, view in reversed(views.items()):
        ends = found.within[name].numbers if name in found.within and view.base is not None else None
        own = [-np.inf, np.inf] if ends is None else view.compared(np.array(ends)).tolist()
        outer = limited.get(name, own)
        low, high = max(own[0], outer[0]), min(own[1], outer[1])
        if (low, high) == (-np.inf, np.inf) or view.base is None:
            continue
        limited[name] = low, high
        least, most = (view.scale * float(end) for end in (np.nanmin(view.ranges[0]), np.nanmax(view.ranges[1])))
        limited[view.base] = low - most, high - least
    return limited


def _others(model: ConditionalModel, found: Conditions) -> Cells:
    """The columns (1, columns) without one value, whose nulls are unknown, not missing."""
    return np.array([[name not in found.names for name in model.encoding.names]])


def _clipped(table: pa.Table, name: str, ends: tuple[float, float] | None) -> pa.Table:
    """The table with the numbers of a column within limits, which rounding of scores to single precision may miss."""
    place, field = table.column_names.index(name), table.schema.field(name)
    if ends is None or not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        return table
    column = table.column(name)
    for end, nearest in zip(ends, (pc.max_element_wise, pc.min_element_wise), strict=True):
        if np.isfinite(end):
            limit = pa.scalar(int(end) if pa.types.is_integer(field.type) else end).cast(field.type)
            column = pc.if_else(column.is_valid(), nearest(column, limit), column)
    return table.set_column(place, field, column)


def _log_probability(model: ConditionalModel, found: Conditions, *, densities: bool = False) -> float:
    """Log p of the values that columns have, with or without the densities of continuous ones."""
    names = [name for name in model.encoding.names if name in found.names]
    return float(model.log_likelihood(found.fixed, names, [], densities=densities)[0]) if names else 0.0


class _Pool(NamedTuple):
    """Draws of limited columns within their limits, and the logs (draws,) of their weights."""

    rows: Rows
    logs: torch.Tensor
    numbers: dict[str, Floats]

    @classmethod
    def drawn(cls, model: ConditionalModel, found: Conditions, count: int, generator: torch.Generator) -> Self:
        """Draw the limited columns so many times given those with one value."""
        names, start = model.encoding.names, model.rows(found.fixed, unknown=_others(model, found))
        within = {name: model.limit(name, allowed) for name, allowed in found.within.items() if name in model.cells}
        first = _drawn_first(model, found)
        wanted = model.wanted(names, np.array([[name in first for name in names]]).repeat(count, 0))
        facts = Facts(model.facts_of(found.fixed).numbers, _limits_of_distances(model, found))
        rows, logs, numbers = model.draw(start, wanted, generator, within, facts=facts)
        return cls(Rows(rows.digits.to(torch.int8), rows.values), logs, numbers)

    def plus(self, other: _Pool) -> _Pool:
        """Return the draws of both."""
        pairs = zip(self.rows, other.rows, strict=True)
        numbers = {name: np.concatenate([own, other.numbers[name]]) for name, own in self.numbers.items()}
        return _Pool(Rows(*(torch.cat(pair) for pair in pairs)), torch.cat([self.logs, other.logs]), numbers)

    @property
    def weights(self) -> torch.Tensor:
        """The weights (draws,); the largest is 1."""
        return (self.logs - self.logs.max()).double().exp()

    @property
    def effective(self) -> float:
        """The number of draws of equal weight that are worth as much.

        Source: Kish 1965, Survey sampling, section 11.7.
        """
        return float(self.weights.sum() ** 2 / self.weights.square().sum())

    @property
    def log_p(self) -> float:
        """The log probability of the limits."""
        return float(self.logs.double().logsumexp(0)) - float(np.log(len(self.logs)))


def _resampled(
    model: ConditionalModel, found: Conditions, rows: int, generator: torch.Generator
) -> tuple[Drawn, float]:
    """Rows (B) with the limited columns drawn, and the log probability of the limits."""
    count = max(POOL * rows, MIN_POOL)
    pool = _Pool.drawn(model, found, count, generator)
    for _ in range(MAX_ROUNDS - 1):
        if pool.effective >= ENOUGH_EFFECTIVE * rows:
            break
        pool = pool.plus(_Pool.drawn(model, found, count, generator))
    if pool.effective < FEW_EFFECTIVE * rows:
        warn_user(
            f"the conditions on {listing(found.within)} leave {pool.effective:.0f} effective draws for {rows} rows "
            f"({pool.effective / rows:.2g} per row), which repeat their values. Widen an interval, or condition on "
            "fewer columns."
        )
    picked = repeats(pool.weights * (rows / pool.weights.sum()), generator)
    picked = picked[torch.randperm(len(picked), generator=generator, device=picked.device)]
    picked = torch.cat([picked, picked[: max(rows - len(picked), 0)]])[:rows]  # the sum of the weights is rounded
    return Drawn(pool.rows, pool.logs, pool.numbers).take(picked), pool.log_p
