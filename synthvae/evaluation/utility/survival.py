"""Survival: curves of the time to an event, and who is at risk, of synthetic rows beside real ones (N rows)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from synthvae.errors import ConfigurationError, listing
from synthvae.evaluation.comparison import Comparison, Matrix, fresh, independent, some
from synthvae.evaluation.results import Figure, Metric, Section
from synthvae.evaluation.utility.learners import LEAST_ROWS, Mask, Score, Task, Vector, design, interval, split

SEEN = ("1", "true", "yes")
CENSORED = ("0", "false", "no")
DRAWS = 100  # of a bootstrap
MOST_ROWS = 10_000  # that a Cox model learns
MOST_CURVED = 100_000  # of which a curve is made
MOST_TESTED = 3000  # each is compared with each
STEPS = 200  # of a curve that is drawn
RIDGE = 1e-3  # of the mean log partial likelihood: keeps hazards finite where a column tells all events apart

KAPLAN_MEIER = Metric(
    "kaplan_meier",
    "Distance of the survival curves",
    "lower",
    "The mean distance between the real and the synthetic Kaplan-Meier curve over the time that the real rows were "
    "observed, as a fraction of all patients; 0: the same curve.",
    "Kaplan & Meier 1958, https://doi.org/10.1080/01621459.1958.10501452; distance: Norcliffe et al. 2023, "
    "https://arxiv.org/abs/2302.12749; interval: bootstrap of the synthetic rows, normal",
    "It is about all rows together: curves of groups may differ.",
)
CONCORDANCE = Metric(
    "concordance",
    "Concordance of a Cox model",
    "higher",
    "Of two real patients, how often the one for whom a Cox model that learned synthetic rows says the higher risk has "
    "the event first (Harrell's C; 0.5 is chance).",
    "Harrell et al. 1982, https://doi.org/10.1001/jama.1982.03320430047030; Cox 1972, "
    "https://doi.org/10.1111/j.2517-6161.1972.tb00899.x, ties as Breslow 1974, https://doi.org/10.2307/2529620",
    "Ranks alone count: hazard ratios may differ.",
)


@dataclass(frozen=True)
class Survival:
    """The columns that tell a time to an event.

    Args:
        duration: The time to the event, or to the end of the observation.
        event: Whether the event was seen (1, true, yes) or not (0, false, no).
    """

    duration: str
    event: str

    @classmethod
    def of(cls, duration: str | None, event: str | None) -> Survival | None:
        """Return the columns; None if neither is given.

        Raises:
            ConfigurationError: Only one is given, or both are the same.
        """
        if duration is None and event is None:
            return None
        if duration is None or event is None:
            raise ConfigurationError(
                "`duration` and `event` must be given together, however, only one is: `duration` is "
                f"{duration!r}, `event` is {event!r}: name both columns or neither"
            )
        if duration == event:
            raise ConfigurationError(
                f"`duration` and `event` must be two columns, however, both are {event!r}: name the column of the "
                "time and that of whether the event was seen"
            )
        return cls(duration, event)


@dataclass(frozen=True)
class Observed:
    """Times (N,), and whether the event was seen then (N,)."""

    time: Vector
    seen: Mask


def survival(comparison: Comparison, times: Survival, seed: int) -> Section:
    """Compare Kaplan-Meier curves, and test a Cox model that learned synthetic rows on real ones.

    Args:
        comparison: The tables.
        times: The columns of the time and the event.
        seed: Of everything that is drawn.

    Returns:
        Figures "kaplan_meier" and "concordance", detail "drawn_survival".
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
    """The comparison of the rows whose time and event can be read: events 1 or 0."""
    absent = [name for name in (times.duration, times.event) if name not in comparison.kinds]
    if absent:
        notes.append(f"Survival was not measured: {listing(absent)} is no column that can be compared.")
        return None
    if times.duration not in comparison.numeric:
        notes.append(f"Survival was not measured: the duration {times.duration!r} is not a column of numbers.")
        return None
    meaning = _meaning(comparison.real[times.event])
    if meaning is None:
        notes.append(
            f"Survival was not measured: the event {times.event!r} must have two values, of which one is 1, true or "
            "yes, or 0, false or no."
        )
        return None
    tables = {"real": comparison.real, "synthetic": comparison.synthetic, "holdout": comparison.holdout}
    found = {name: _read(rows, times, meaning, name, notes) for name, rows in tables.items() if rows is not None}
    few = [name for name, rows in found.items() if len(rows) < LEAST_ROWS or not rows[times.event].any()]
    if few:
        notes.append(f"The {' and the '.join(few)} rows have too few times and events to compare their survival.")
    if "real" in few or "synthetic" in few:
        return None
    holdout = None if "holdout" in few else found.get("holdout")
    return replace(comparison, real=found["real"], synthetic=found["synthetic"], holdout=holdout)


def _meaning(values: pd.Series[Any]) -> dict[str, float] | None:
    """From an event's text to whether it was seen; None if it cannot be told."""
    known = dict.fromkeys(SEEN, 1.0) | dict.fromkeys(CENSORED, 0.0)
    found = set(_words(values).dropna())
    unknown = found - set(known)
    if not unknown:
        return known
    told = [known[word] for word in found & set(known)]
    # A lone number beside 1 or 0 says nothing: of 1 and 2 the event is 1 to some, 2 to others.
    if len(unknown) > 1 or len(told) != 1 or next(iter(unknown)).lstrip("-").replace(".", "").isdigit():
        return None
    return known | dict.fromkeys(unknown, 1 - told[0])


def _words(values: pd.Series[Any]) -> pd.Series[Any]:
    """Values as text, in small letters: 1.0 is "1"."""
    return values.astype(object).map(lambda v: f"{v:g}" if isinstance(v, float) else str(v).lower(), na_action="ignore")


def _read(
    rows: pd.DataFrame, times: Survival, meaning: Mapping[str, float], name: str, notes: list[str]
) -> pd.DataFrame:
    seen = _words(rows[times.event]).map(meaning).astype(float)
    whole = (rows[times.duration] >= 0) & np.isfinite(rows[times.duration]) & seen.notna()
    if not whole.all():
        lost = int((~whole).sum())
        notes.append(
            f"{lost} of {len(rows)} {name} rows were left out: their time is missing or negative, or their "
            "event cannot be read."
        )
    kept: pd.DataFrame = rows.assign(**{times.event: seen})[whole]
    return kept.reset_index(drop=True)


def _observed(rows: pd.DataFrame, times: Survival) -> Observed:
    return Observed(rows[times.duration].to_numpy(float), rows[times.event].to_numpy(float) == 1)


def kaplan_meier(observed: Observed, weights: Vector | None = None) -> tuple[Vector, Vector]:
    """Return the distinct times, in order, and the share that survives each, by the product-limit estimate.

    Args:
        observed: Times and events (N,).
        weights: How often each row counts (N,); None: once.

    Source: Kaplan & Meier 1958, eq. 2b, https://doi.org/10.1080/01621459.1958.10501452.
    """
    times, places = np.unique(observed.time, return_inverse=True)
    ones = np.ones(len(places)) if weights is None else weights
    events = np.bincount(places, ones * observed.seen, len(times))
    at_risk = np.bincount(places, ones, len(times))[::-1].cumsum()[::-1]
    return times, np.cumprod(1 - events / np.maximum(at_risk, 1))


def curve_distance(one: tuple[Vector, Vector], other: tuple[Vector, Vector], end: float) -> float:
    """Return the mean distance of two curves from time 0 to `end`; after its last time a curve stays where it is."""
    edges = np.unique(np.concatenate([[0.0, end], one[0], other[0]]))
    edges = edges[edges <= end]
    heights = [np.r_[1.0, share][np.searchsorted(times, edges[:-1], side="right")] for times, share in (one, other)]
    return float(np.sum(np.abs(heights[0] - heights[1]) * np.diff(edges)) / end) if end > 0 else 0.0


def _kaplan_meier(comparison: Comparison, times: Survival, rng: np.random.Generator) -> Figure:
    """The distance of the curves, with the deviation of that of synthetic rows drawn with replacement."""
    real = kaplan_meier(_observed(comparison.real, times))
    end = float(real[0][-1])
    made = _observed(some(comparison.synthetic, MOST_CURVED, rng), times)
    n = len(made.time)
    drawn = [kaplan_meier(made, rng.multinomial(n, np.full(n, 1 / n)).astype(float)) for _ in range(DRAWS)]
    deviation = float(np.std([curve_distance(real, curve, end) for curve in drawn]))
    value = curve_distance(real, kaplan_meier(made), end)
    known, unknown = (kaplan_meier(_observed(rows, times)) for rows in fresh(comparison, rng))
    shuffled = kaplan_meier(_observed(independent(comparison.real, n, rng), times))
    floor = curve_distance(known, unknown, end), curve_distance(real, shuffled, end)
    return Figure(KAPLAN_MEIER, value, interval(value, deviation), *floor)


def _drawn(comparison: Comparison, times: Survival) -> pd.DataFrame:
    tables = {"real": comparison.real, "holdout": comparison.holdout, "synthetic": comparison.synthetic}
    curves = {name: _steps(_observed(rows, times)) for name, rows in tables.items() if rows is not None}
    return pd.concat(curves, names=["rows"]).reset_index("rows").reset_index(drop=True)


def _steps(observed: Observed) -> pd.DataFrame:
    times, share = kaplan_meier(observed)
    shown = np.unique(np.linspace(0, len(times) - 1, STEPS).round().astype(int))
    return pd.DataFrame({"time": np.r_[0.0, times[shown]], "survival": np.r_[1.0, share[shown]]})


def cox_weights(rows: Matrix, observed: Observed, ridge: float = RIDGE) -> Vector:
    """Return the log hazard ratios (D,) at the penalised maximum of the partial likelihood of rows (N, D).

    Source: Cox 1972, https://doi.org/10.1111/j.2517-6161.1972.tb00899.x, with the ties of Breslow 1974,
    https://doi.org/10.2307/2529620.
    """
    order = np.argsort(-observed.time, kind="stable")
    rows, times, seen = rows[order], observed.time[order], observed.seen[order]
    first, past = (np.searchsorted(-times, -times, side=side) for side in ("left", "right"))

    def loss(weights: Vector) -> tuple[float, Vector]:
        risk = rows @ weights
        at_risk = np.logaddexp.accumulate(risk)[past - 1]
        hazard = np.logaddexp.accumulate(np.where(seen, -at_risk, -np.inf)[::-1])[::-1][first]
        likelihood = np.sum((risk - at_risk)[seen]) / seen.sum()
        slope = (seen - np.exp(risk + hazard)) @ rows / seen.sum()
        return ridge / 2 * weights @ weights - likelihood, ridge * weights - slope

    return np.asarray(minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x)


def harrell(observed: Observed, risk: Vector) -> Score | None:
    """Return Harrell's C of risks (N,): of pairs whose order of events is known, those of that order; ties count half.

    None if of no pair it is known. Source: Harrell et al. 1982, https://doi.org/10.1001/jama.1982.03320430047030.
    """
    time, seen = observed.time, observed.seen
    later = (time[:, None] < time) | ((time[:, None] == time) & ~seen)
    comparable = later & seen[:, None]
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
        notes.append("No Cox model was learned: it needs a column beside the time and the event, and an event.")
        return []
    notes.extend(more)
    test = some(test, MOST_TESTED, rng)
    training = {"real": real, "synthetic": comparison.synthetic}
    training["independent"] = independent(real, len(comparison.synthetic), rng)
    task = Task(times.duration, (), columns, tuple(name in comparison.categorical for name in columns))
    scores = [
        harrell(_observed(test, times), _risk(task, some(rows, MOST_ROWS, rng), test, times))
        for rows in training.values()
    ]
    found = [score for score in scores if score is not None]
    if not found:
        notes.append("Concordance was not measured: of no two test rows it is known which had the event first.")
        return []
    own = found[1]
    return [Figure(CONCORDANCE, own.value, interval(own.value, own.deviation), found[0].value, found[2].value)]


def _risk(task: Task, learned: pd.DataFrame, test: pd.DataFrame, times: Survival) -> Vector:
    """The log hazard ratios (N,) of test rows by a Cox model of others."""
    made = design(task.categorical).set_params(sparse_threshold=0)
    weights = cox_weights(made.fit_transform(task.features(learned)), _observed(learned, times))
    return np.asarray(made.transform(task.features(test)) @ weights)
