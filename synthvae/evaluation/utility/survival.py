"""Section "survival": Kaplan-Meier curves and Cox models of synthetic and real rows (N rows)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from synthvae.errors import ConfigurationError, listing
from synthvae.evaluation.comparison import Comparison, Matrix, real_reference, shuffle_columns, subsample
from synthvae.evaluation.metrics import CONCORDANCE, KAPLAN_MEIER
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.utility.learners import (
    LEAST_ROWS,
    Mask,
    PredictionTask,
    Score,
    Vector,
    design,
    interval,
    split,
)
from synthvae.schema.column import TEMPORAL

OBSERVED = ("1", "true", "yes")
CENSORED = ("0", "false", "no")
DRAWS = 100  # bootstrap samples
MOST_ROWS = 10_000  # to train a Cox model
MOST_CURVED = 100_000  # synthetic rows of a curve
MOST_TESTED = 3000  # test rows, all pairs of which are compared
STEPS = 200  # of a plotted curve
RIDGE = 1e-3  # on the mean log partial likelihood; keeps hazards finite if a column separates all events


@dataclass(frozen=True)
class Survival:
    """Columns of a time to an event.

    Args:
        duration: Column of the time to the event, or to the end of the observation.
        event: Column that tells whether the event was observed (1, true, yes) or censored (0, false, no).
    """

    duration: str
    event: str

    @classmethod
    def from_columns(cls, duration: str | None, event: str | None) -> Survival | None:
        """Return the columns; None if neither is given.

        Raises:
            ConfigurationError: Only one is given, or both are the same.
        """
        if duration is None and event is None:
            return None
        if duration is None or event is None:
            raise ConfigurationError(
                f"`duration` and `event` must be given together, got {duration!r} and {event!r}. Name both columns or "
                "neither."
            )
        if duration == event:
            raise ConfigurationError(
                f"`duration` and `event` must be different columns, got {event!r} for both. Name the column of the "
                "time and the column that tells whether the event was observed."
            )
        return cls(duration, event)


@dataclass(frozen=True)
class CensoredTimes:
    """Times (N,), and whether the event was observed at that time (N,)."""

    time: Vector
    observed: Mask


def survival(comparison: Comparison, times: Survival, seed: int) -> Section:
    """Compare Kaplan-Meier curves, and test a Cox model trained on synthetic rows on real rows.

    Args:
        comparison: The tables.
        times: The columns of the time and the event.
        seed: Random seed.

    Returns:
        Figures "kaplan_meier" and "concordance", see `synthvae.evaluation.METRICS`; detail "drawn_survival".
    """
    notes: list[str] = []
    readable = _readable(comparison, times, notes)
    if readable is None:
        return Section("survival", notes=tuple(notes))
    rng = np.random.default_rng([seed, 31])
    figure = _kaplan_meier(readable, times, rng)
    more = _concordance(readable, times, rng, notes)
    return Section("survival", (figure, *more), {"drawn_survival": _drawn(readable, times)}, tuple(notes))


def _readable(comparison: Comparison, times: Survival, notes: list[str]) -> Comparison | None:
    """Return the comparison of the rows with a valid time and event, events being 1 or 0."""
    absent = [name for name in (times.duration, times.event) if name not in comparison.kinds]
    if absent:
        notes.append(f"Survival was not measured: {listing(absent)} is not a column that can be compared.")
        return None
    if times.duration not in comparison.numeric:
        notes.append(f"Survival was not measured: the duration {times.duration!r} is not a numeric column.")
        return None
    if comparison.kinds[times.duration].kind in TEMPORAL:
        notes.append(
            f"Survival was not measured: the duration {times.duration!r} holds dates or times of the calendar, and "
            "must be a number, such as days since the start of the observation."
        )
        return None
    meaning = _meaning(comparison.real[times.event])
    if meaning is None:
        notes.append(
            f"Survival was not measured: the event {times.event!r} must have two values, one of them 1, true or yes, "
            "or 0, false or no."
        )
        return None
    tables = {"real": comparison.real, "synthetic": comparison.synthetic, "holdout": comparison.holdout}
    found = {name: _read(rows, times, meaning, name, notes) for name, rows in tables.items() if rows is not None}
    few = [name for name, rows in found.items() if len(rows) < LEAST_ROWS or not rows[times.event].any()]
    if few:
        notes.append(f"The {' and the '.join(few)} rows have too few times and events to compare survival.")
    if "real" in few or "synthetic" in few:
        return None
    holdout = None if "holdout" in few else found.get("holdout")
    return replace(comparison, real=found["real"], synthetic=found["synthetic"], holdout=holdout)


def _meaning(values: pd.Series[Any]) -> dict[str, float] | None:
    """Map the texts of events to 1 (observed) or 0 (censored); None if they are ambiguous."""
    known = dict.fromkeys(OBSERVED, 1.0) | dict.fromkeys(CENSORED, 0.0)
    found = set(_words(values).dropna())
    unknown = found - set(known)
    if not unknown:
        return known
    values_known = [known[word] for word in found & set(known)]
    # Another number besides 1 or 0 is ambiguous: of 1 and 2, some code the event as 1, others as 2.
    if len(unknown) > 1 or len(values_known) != 1 or next(iter(unknown)).lstrip("-").replace(".", "").isdigit():
        return None
    return known | dict.fromkeys(unknown, 1 - values_known[0])


def _words(values: pd.Series[Any]) -> pd.Series[Any]:
    """Convert values to lower-case text, 1.0 to "1"."""
    return values.astype(object).map(lambda v: f"{v:g}" if isinstance(v, float) else str(v).lower(), na_action="ignore")


def _read(
    rows: pd.DataFrame, times: Survival, meaning: Mapping[str, float], name: str, notes: list[str]
) -> pd.DataFrame:
    observed = _words(rows[times.event]).map(meaning).astype(float)
    whole = (rows[times.duration] >= 0) & np.isfinite(rows[times.duration]) & observed.notna()
    if not whole.all():
        lost = int((~whole).sum())
        notes.append(
            f"{lost} of {len(rows)} {name} rows were left out: their time is missing or negative, or their "
            "event is unknown."
        )
    valid: pd.DataFrame = rows.assign(**{times.event: observed})[whole]
    return valid.reset_index(drop=True)


def _observed(rows: pd.DataFrame, times: Survival) -> CensoredTimes:
    return CensoredTimes(rows[times.duration].to_numpy(float), rows[times.event].to_numpy(float) == 1)


def kaplan_meier(censored: CensoredTimes, weights: Vector | None = None) -> tuple[Vector, Vector]:
    """Return the product-limit estimate of the survival function: distinct times in order, and shares.

    Args:
        censored: Times and events (N,).
        weights: Weight of each row (N,); None: one.

    Source: Kaplan & Meier 1958, eq. 2b, https://doi.org/10.1080/01621459.1958.10501452.
    """
    times, places = np.unique(censored.time, return_inverse=True)
    ones = np.ones(len(places)) if weights is None else weights
    events = np.bincount(places, ones * censored.observed, len(times))
    at_risk = np.bincount(places, ones, len(times))[::-1].cumsum()[::-1]
    return times, np.cumprod(1 - events / np.maximum(at_risk, 1))


def curve_distance(one: tuple[Vector, Vector], other: tuple[Vector, Vector], end: float) -> float:
    """Return the mean distance of two curves from time 0 to `end`; a curve is constant after its last time."""
    edges = np.unique(np.concatenate([[0.0, end], one[0], other[0]]))
    edges = edges[edges <= end]
    heights = [np.r_[1.0, share][np.searchsorted(times, edges[:-1], side="right")] for times, share in (one, other)]
    return float(np.sum(np.abs(heights[0] - heights[1]) * np.diff(edges)) / end) if end > 0 else 0.0


def _kaplan_meier(comparison: Comparison, times: Survival, rng: np.random.Generator) -> Figure:
    """Measure the distance of the curves, with a bootstrap interval over the synthetic rows."""
    real = kaplan_meier(_observed(comparison.real, times))
    end = float(real[0][-1])
    synthetic = _observed(subsample(comparison.synthetic, MOST_CURVED, rng), times)
    n = len(synthetic.time)
    drawn = [kaplan_meier(synthetic, rng.multinomial(n, np.full(n, 1 / n)).astype(float)) for _ in range(DRAWS)]
    deviation = float(np.std([curve_distance(real, curve, end) for curve in drawn]))
    value = curve_distance(real, kaplan_meier(synthetic), end)
    half, other_half = (kaplan_meier(_observed(rows, times)) for rows in real_reference(comparison, rng))
    shuffled = kaplan_meier(_observed(shuffle_columns(comparison.real, n, rng), times))
    floor = curve_distance(half, other_half, end), curve_distance(real, shuffled, end)
    return Figure(KAPLAN_MEIER, value, interval(value, deviation), *floor)


def _drawn(comparison: Comparison, times: Survival) -> pd.DataFrame:
    tables = {"real": comparison.real, "holdout": comparison.holdout, "synthetic": comparison.synthetic}
    curves = {name: _steps(_observed(rows, times)) for name, rows in tables.items() if rows is not None}
    return pd.concat(curves, names=["rows"]).reset_index("rows").reset_index(drop=True)


def _steps(censored: CensoredTimes) -> pd.DataFrame:
    times, share = kaplan_meier(censored)
    shown = np.unique(np.linspace(0, len(times) - 1, STEPS).round().astype(int))
    return pd.DataFrame({"time": np.r_[0.0, times[shown]], "survival": np.r_[1.0, share[shown]]})


def cox_weights(rows: Matrix, censored: CensoredTimes, ridge: float = RIDGE) -> Vector:
    """Return the log hazard ratios (D,) that maximise the penalised partial likelihood of rows (N, D).

    Source: Cox 1972, https://doi.org/10.1111/j.2517-6161.1972.tb00899.x, with ties as by Breslow 1974,
    https://doi.org/10.2307/2529620.
    """
    order = np.argsort(-censored.time, kind="stable")
    rows, times, observed = rows[order], censored.time[order], censored.observed[order]
    first, past = (np.searchsorted(-times, -times, side=side) for side in ("left", "right"))

    def loss(weights: Vector) -> tuple[float, Vector]:
        risk = rows @ weights
        at_risk = np.logaddexp.accumulate(risk)[past - 1]
        hazard = np.logaddexp.accumulate(np.where(observed, -at_risk, -np.inf)[::-1])[::-1][first]
        likelihood = np.sum((risk - at_risk)[observed]) / observed.sum()
        slope = (observed - np.exp(risk + hazard)) @ rows / observed.sum()
        return ridge / 2 * weights @ weights - likelihood, ridge * weights - slope

    return np.asarray(minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x)


def harrell(censored: CensoredTimes, risk: Vector) -> Score | None:
    """Return Harrell's C of risks (N,): the share of comparable pairs in the right order; ties count one half.

    None if there are no comparable pairs. Source: Harrell et al. 1982, https://doi.org/10.1001/jama.1982.03320430047030.
    """
    time, observed = censored.time, censored.observed
    later = (time[:, None] < time) | ((time[:, None] == time) & ~observed)
    comparable = later & observed[:, None]
    pairs = comparable.sum()
    if not pairs:
        return None
    right = np.where(comparable, (1 + np.sign(risk[:, None] - risk)) / 2, 0.0)
    value = float(right.sum() / pairs)
    excess = right.sum(axis=0) + right.sum(axis=1) - value * (comparable.sum(axis=0) + comparable.sum(axis=1))
    return Score(value, excess * len(time) / pairs)


def _concordance(comparison: Comparison, times: Survival, rng: np.random.Generator, notes: list[str]) -> list[Figure]:
    columns = tuple(name for name in comparison.kinds if name not in {times.duration, times.event})
    real, test, more = split(comparison, rng)
    if not columns or not real[times.event].any():
        notes.append("Concordance was not measured: a Cox model needs an event, and a column besides time and event.")
        return []
    notes.extend(more)
    test = subsample(test, MOST_TESTED, rng)
    training = {"real": real, "synthetic": comparison.synthetic}
    training["independent"] = shuffle_columns(real, len(comparison.synthetic), rng)
    task = PredictionTask(times.duration, (), columns, tuple(name in comparison.categorical for name in columns))
    scores = [
        harrell(_observed(test, times), _risk(task, subsample(rows, MOST_ROWS, rng), test, times))
        for rows in training.values()
    ]
    found = [score for score in scores if score is not None]
    if not found:
        notes.append("Concordance was not measured: the order of events is unknown for every pair of test rows.")
        return []
    own = found[1]
    return [Figure(CONCORDANCE, own.value, interval(own.value, own.deviation), found[0].value, found[2].value)]


def _risk(task: PredictionTask, training: pd.DataFrame, test: pd.DataFrame, times: Survival) -> Vector:
    """Return the log hazard (N,) of test rows by a Cox model trained on other rows."""
    encoder = design(task.categorical).set_params(sparse_threshold=0)
    weights = cox_weights(encoder.fit_transform(task.features(training)), _observed(training, times))
    return np.asarray(encoder.transform(task.features(test)) @ weights)
