"""Section "survival": curves of times to an event, and Cox models, of synthetic and real rows (N rows)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from synthvae.errors import ConfigurationError, listing
from synthvae.evaluation.comparison import Comparison, real_reference, shuffle_columns, subsample
from synthvae.evaluation.metrics import CONCORDANCE, CUMULATIVE_INCIDENCE, KAPLAN_MEIER
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.utility.event_times import (
    CensoredTimes,
    Curve,
    aalen_johansen,
    cox_weights,
    curve_distance,
    harrell,
)
from synthvae.evaluation.utility.learners import (
    LEAST_ROWS,
    PredictionTask,
    Score,
    Vector,
    design,
    interval,
    split,
)
from synthvae.schema.column import TEMPORAL
from synthvae.schema.schema import Schema

OBSERVED = ("1", "true", "yes")
CENSORED = ("0", "false", "no", "censored")
MOST_CAUSES = 10  # competing events
DRAWS = 100  # bootstrap samples
MOST_ROWS = 10_000  # to train a Cox model
MOST_CURVED = 100_000  # synthetic rows of a curve
MOST_TESTED = 3000  # test rows, all pairs of which are compared
STEPS = 200  # of a plotted curve


@dataclass(frozen=True)
class Survival:
    """Columns of a time to an event.

    Args:
        duration: Column of the time to the event, or to the end of the observation.
        event: Column that tells whether the event was observed (1, true, yes) or censored (0, false, no), or which one
            of several competing events was.
    """

    duration: str
    event: str

    @classmethod
    def from_columns(cls, duration: str | None, event: str | None, schema: Schema | None = None) -> Survival | None:
        """Return the columns, or else those that a schema declares; None if there are none.

        Raises:
            ConfigurationError: Only one is given, or both are the same.
        """
        if duration is None and event is None:
            declared = None if schema is None else schema.duration
            return None if declared is None else cls(declared.name, str(declared.event))
        if duration is None or event is None:
            alone = "duration" if event is None else "event"
            raise ConfigurationError(
                f"`duration` and `event` must be given together, got `{alone}` alone. Name both columns or neither."
            )
        if duration == event:
            raise ConfigurationError(
                f"`duration` and `event` must be different columns, got {event!r} for both. Name the column of the "
                "time and the column that tells whether the event was observed."
            )
        return cls(duration, event)


@dataclass(frozen=True)
class _Events:
    """The columns of a time to an event, and what the values of the event mean.

    Args:
        times: The columns.
        codes: The code of each text of an event: 0 if it is censored, else the number of the cause, from 1.
        causes: The causes; one of them for an event that is observed or not.
    """

    times: Survival
    codes: Mapping[str, float]
    causes: tuple[str, ...]

    @classmethod
    def of(cls, times: Survival, values: pd.Series[Any]) -> _Events | None:
        """Return the meaning of the values of real rows; None if it is ambiguous."""
        known = dict.fromkeys(OBSERVED, 1.0) | dict.fromkeys(CENSORED, 0.0)
        found = set(_words(values).dropna())
        unknown, values_known = found - set(known), [known[word] for word in found & set(known)]
        if not unknown:
            return cls(times, known, ("event",))
        # Another number besides 1 or 0 is ambiguous: of 1 and 2, some code the event as 1, others as 2.
        if len(found) == 2 and len(values_known) == 1 and not _is_number(next(iter(unknown))):
            return cls(times, known | dict.fromkeys(unknown, 1 - values_known[0]), ("event",))
        causes = sorted(found - set(CENSORED))
        if not 2 <= len(causes) <= MOST_CAUSES or len(found) != len(causes) + 1:
            return None
        codes = {word: float(place) for place, word in enumerate(causes, 1)}
        return cls(times, codes | dict.fromkeys(CENSORED, 0.0), tuple(causes))

    def read(self, rows: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
        """Return the rows with a valid time and event, whose events are codes."""
        duration, event = self.times.duration, self.times.event
        codes = _words(rows[event]).map(self.codes).astype(float)
        whole = (rows[duration] >= 0) & np.isfinite(rows[duration]) & codes.notna()
        if not whole.all():
            lost = int((~whole).sum())
            notes.append(
                f"{lost} of {len(rows)} {name} rows were left out: their time is missing or negative, or their "
                "event is unknown."
            )
        valid: pd.DataFrame = rows.assign(**{event: codes})[whole]
        return valid.reset_index(drop=True)

    def columns(self, rows: pd.DataFrame) -> tuple[Vector, Vector]:
        """Return the times (N,) and the codes of the events (N,)."""
        return rows[self.times.duration].to_numpy(float), rows[self.times.event].to_numpy(float)

    def curves(self, rows: pd.DataFrame, weights: Vector | None = None) -> list[Curve]:
        """Return the cumulative incidence of each cause."""
        return aalen_johansen(*self.columns(rows), len(self.causes), weights)

    @property
    def numbers(self) -> range:
        """The numbers of the causes."""
        return range(1, len(self.causes) + 1)

    def of_cause(self, rows: pd.DataFrame, number: int) -> CensoredTimes:
        """Return the times of rows for one cause, where all others censor."""
        time, code = self.columns(rows)
        return CensoredTimes(time, code == number)


def survival(comparison: Comparison, times: Survival, seed: int) -> Section:
    """Compare curves of times to an event, and test Cox models trained on synthetic rows on real rows.

    Of an event that is observed or not, the curves are those of Kaplan and Meier; of competing events they are the
    cumulative incidences of each cause by Aalen and Johansen, and each cause has a Cox model of its hazard.

    Args:
        comparison: The tables.
        times: The columns of the time and the event.
        seed: Random seed.

    Returns:
        Figures "kaplan_meier" or "cumulative_incidence", and "concordance", see `synthvae.evaluation.METRICS`; details
        "drawn_survival", or "causes" and "drawn_incidence".
    """
    notes: list[str] = []
    found = _readable(comparison, times, notes)
    if found is None:
        return Section("survival", notes=tuple(notes))
    readable, events = found
    rng = np.random.default_rng([seed, 31])
    figure, distances = _curves(readable, events, rng)
    scores = _concordance(readable, events, rng, notes)
    details: dict[str, pd.DataFrame] = {}
    if len(events.causes) > 1:
        details["causes"] = _causes(readable, events, distances, scores)
    details["drawn_survival" if len(events.causes) == 1 else "drawn_incidence"] = _drawn(readable, events)
    return Section("survival", (figure, *_mean(scores)), details, tuple(notes))


def _readable(comparison: Comparison, times: Survival, notes: list[str]) -> tuple[Comparison, _Events] | None:
    """Return the comparison of the rows with a valid time and event, and what events mean."""
    problem = _problem(comparison, times)
    events = None if problem else _Events.of(times, comparison.real[times.event])
    if problem or events is None:
        ambiguous = (
            f"the event {times.event!r} must have two values, one of them 1, true or yes, or 0, false, no or censored; "
            f"or one of these for censored times, and 2 to {MOST_CAUSES} others for competing events."
        )
        notes.append(f"Survival was not measured: {problem or ambiguous}")
        return None
    tables = {"real": comparison.real, "synthetic": comparison.synthetic, "holdout": comparison.holdout}
    found = {name: events.read(rows, name, notes) for name, rows in tables.items() if rows is not None}
    few = [name for name, rows in found.items() if len(rows) < LEAST_ROWS or not rows[times.event].any()]
    if few:
        notes.append(f"The {' and the '.join(few)} rows have too few times and events to compare survival.")
    if "real" in few or "synthetic" in few:
        return None
    holdout = None if "holdout" in few else found.get("holdout")
    return replace(comparison, real=found["real"], synthetic=found["synthetic"], holdout=holdout), events


def _problem(comparison: Comparison, times: Survival) -> str:
    """Why columns cannot be a time and an event; empty if they can."""
    absent = [name for name in (times.duration, times.event) if name not in comparison.kinds]
    if absent:
        return f"{listing(absent)} is not a column that can be compared."
    if times.duration not in comparison.numeric:
        return f"the duration {times.duration!r} is not a numeric column."
    if comparison.kinds[times.duration].kind in TEMPORAL:
        return (
            f"the duration {times.duration!r} holds dates or times of the calendar, and must be a number, such as days "
            "since the start of the observation."
        )
    return ""


def _words(values: pd.Series[Any]) -> pd.Series[Any]:
    """Convert values to lower-case text, 1.0 to "1"."""
    return values.astype(object).map(lambda v: f"{v:g}" if isinstance(v, float) else str(v).lower(), na_action="ignore")


def _is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "").isdigit()


def _curves(comparison: Comparison, events: _Events, rng: np.random.Generator) -> tuple[Figure, pd.DataFrame]:
    """Measure the distance of the curves, the largest of those of all causes, and return those of each, too.

    The interval is of a bootstrap over the synthetic rows.
    """
    real = events.curves(comparison.real)
    end = float(real[0][0][-1])

    def apart(one: Sequence[Curve], other: Sequence[Curve]) -> list[float]:
        return [curve_distance(*pair, end, start=0.0) for pair in zip(one, other, strict=True)]

    synthetic = subsample(comparison.synthetic, MOST_CURVED, rng)
    n = len(synthetic)
    drawn = (events.curves(synthetic, rng.multinomial(n, np.full(n, 1 / n)).astype(float)) for _ in range(DRAWS))
    deviation = float(np.std([max(apart(real, curves)) for curves in drawn]))
    values = apart(real, events.curves(synthetic))
    halves = apart(*(events.curves(rows) for rows in real_reference(comparison, rng)))
    shuffled = apart(real, events.curves(shuffle_columns(comparison.real, n, rng)))
    metric = KAPLAN_MEIER if len(events.causes) == 1 else CUMULATIVE_INCIDENCE
    figure = Figure(metric, max(values), interval(max(values), deviation), max(halves), max(shuffled))
    return figure, pd.DataFrame({"distance": values, "real_distance": halves})


def _drawn(comparison: Comparison, events: _Events) -> pd.DataFrame:
    """Steps of the curves: survival by rows and time, or incidence by cause, rows and time."""
    tables = {"real": comparison.real, "holdout": comparison.holdout, "synthetic": comparison.synthetic}
    found = []
    for name, rows in tables.items():
        for cause, curve in zip(events.causes, events.curves(rows) if rows is not None else (), strict=False):
            found.append(_steps(curve).assign(rows=name, cause=cause))
    drawn = pd.concat(found, ignore_index=True)
    if len(events.causes) == 1:
        drawn["survival"] = 1 - drawn["incidence"]
        return drawn[["rows", "time", "survival"]]
    return drawn[["cause", "rows", "time", "incidence"]]


def _steps(curve: Curve) -> pd.DataFrame:
    times, share = curve
    shown = np.unique(np.linspace(0, len(times) - 1, STEPS).round().astype(int))
    return pd.DataFrame({"time": np.r_[0.0, times[shown]], "incidence": np.r_[0.0, share[shown]]})


def _concordance(
    comparison: Comparison, events: _Events, rng: np.random.Generator, notes: list[str]
) -> list[dict[str, Score]]:
    """Return for each cause the scores of Cox models by the rows they were trained on; none where it has no pairs."""
    times = events.times
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
    risks = {name: _risks(task, subsample(rows, MOST_ROWS, rng), test, events) for name, rows in training.items()}
    found = [_scores(events.of_cause(test, k), {n: each[k - 1] for n, each in risks.items()}) for k in events.numbers]
    if not any(found):
        notes.append("Concordance was not measured: the order of events is unknown for every pair of test rows.")
    return found


def _risks(task: PredictionTask, training: pd.DataFrame, test: pd.DataFrame, events: _Events) -> list[Vector]:
    """Return the log hazards (N,) of each cause of test rows, by Cox models that were trained on other rows.

    A cause that the training rows do not have has the same hazard for all.
    """
    encoder = design(task.categorical).set_params(sparse_threshold=0)
    known, unseen = encoder.fit_transform(task.features(training)), encoder.transform(task.features(test))
    found = []
    for number in events.numbers:
        observed = events.of_cause(training, number)
        weights = cox_weights(known, observed) if observed.observed.any() else np.zeros(known.shape[1])
        found.append(np.asarray(unseen @ weights))
    return found


def _scores(observed: CensoredTimes, risks: Mapping[str, Vector]) -> dict[str, Score]:
    """Return the concordance of each risk (N,) by name; none if there are no comparable pairs."""
    scores = {name: harrell(observed, risk) for name, risk in risks.items()}
    return {name: score for name, score in scores.items() if score is not None}


def _mean(scores: Sequence[Mapping[str, Score]]) -> list[Figure]:
    """Return the figure of the mean concordance over the causes that have one."""
    whole = [each for each in scores if each]
    if not whole:
        return []
    own, real, independent = (
        Score.mean([each[name] for each in whole]) for name in ("synthetic", "real", "independent")
    )
    return [Figure(CONCORDANCE, own.value, interval(own.value, own.deviation), real.value, independent.value)]


def _causes(
    comparison: Comparison, events: _Events, distances: pd.DataFrame, scores: Sequence[Mapping[str, Score]]
) -> pd.DataFrame:
    """Return a line for each cause: numbers of events, distances of the curves, and concordances."""
    counts = [
        [int(events.of_cause(rows, number).observed.sum()) for number in events.numbers]
        for rows in (comparison.real, comparison.synthetic)
    ]
    found = pd.DataFrame({"cause": events.causes, "events_real": counts[0], "events_synthetic": counts[1]})
    found = found.assign(**{str(name): values for name, values in distances.items()})
    for name in ("real", "synthetic") if scores else ():
        found[f"concordance_{name}"] = [each[name].value if each else np.nan for each in scores]
    return found
