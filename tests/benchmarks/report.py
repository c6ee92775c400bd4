"""The report of the benchmarks: tables of figures, where synthvae is ahead, which bars it reaches. Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import BEFORE

Figures = dict[str, Any]
Row = dict[str, float]

OURS = "synthvae"
NONE = "-"
CONTESTED = ("trend", "c2st_test")

METRICS = ("shape", "trend", "tstr", "c2st_train", "c2st_test", "null", "alpha", "beta", "dcr", "copies")
COSTS = ("fit_cpu_s", "rows_per_cpu_s", "peak_mib")
COLUMNS = {
    "shape": ("shape", ".2f"),
    "trend": ("trend", ".2f"),
    "trend_floor": ("trend/FLOOR", ".2f"),
    "tstr": ("tstr", ".3f"),
    "tstr_trtr": ("tstr/trtr", ".3f"),
    "c2st_train": ("c2st_train", ".3f"),
    "c2st_test": ("c2st_test", ".3f"),
    "null": ("null", ".2f"),
    "alpha": ("alpha", ".1f"),
    "beta": ("beta", ".1f"),
    "dcr": ("dcr", ".3f"),
    "copies": ("copies", ".4f"),
    "fit_cpu_s": ("fit CPU-s", ",.2f"),
    "rows_per_cpu_s": ("rows/CPU-s", ",.0f"),
    "peak_mib": ("peak MiB", ",.0f"),
}


@dataclass(frozen=True)
class Result:
    """A table: facts on its halves, the figures of the real rows, and one set of figures a run."""

    name: str
    facts: Figures
    real: Figures
    runs: list[Figures]

    def of(self, generator: str) -> list[Figures]:
        """The runs of a generator."""
        return [run for run in self.runs if run["generator"] == generator]

    @property
    def generators(self) -> list[str]:
        """The generators that were asked for."""
        return list(dict.fromkeys(run["generator"] for run in self.runs))

    def medians(self, generator: str) -> Row:
        """Return the medians over the seeds that went well; empty where none did."""
        runs = [run for run in self.of(generator) if run["status"] == "ok" and "trend" in run]
        keys = [key for key in (*METRICS, *COSTS) if runs and all(key in run for run in runs)]
        return self.compared({key: statistics.median(run[key] for run in runs) for key in keys})

    @property
    def floor(self) -> Row:
        """The figures of the real test rows."""
        return self.compared({key: self.real[key] for key in METRICS if key in self.real})

    def compared(self, row: Row) -> Row:
        """Return a row with its ratios to the real rows."""
        ratios = {}
        if "trend" in row:
            ratios["trend_floor"] = ratio(row["trend"], self.real["trend"])
        if "tstr" in row:
            ratios["tstr_trtr"] = ratio(row["tstr"], self.real["trtr"])
        return row | ratios

    def status(self, generator: str) -> str:
        """Say how the runs of a generator ended."""
        ended = [run["status"] for run in self.of(generator)]
        counts: dict[str, int] = {status: ended.count(status) for status in dict.fromkeys(ended)}
        several = [f"{status} ({count} of {len(ended)})" for status, count in counts.items()]
        return "; ".join(several if len(several) > 1 else counts).replace("|", "/")


@dataclass(frozen=True)
class Bar:
    """A limit that a measure has to keep; None where it was not measured."""

    measure: str
    value: float | None
    relation: str
    limit: float | None

    @property
    def reached(self) -> str:
        """Whether the limit is kept."""
        if self.value is None or self.limit is None:
            return "not measured"
        kept = self.value <= self.limit if self.relation == "≤" else self.value >= self.limit
        return "yes" if kept else "no"


@dataclass(frozen=True)
class Goal:
    """What a table is to reach: errors over FLOOR's, detection, utility over that of real rows."""

    trend_floor: float
    c2st_test: float
    tstr_trtr: float


LARGE = Goal(0.8, 0.54, 0.98)
SMALL = Goal(1.0, 0.60, 0.95)
GOALS = {
    **dict.fromkeys(("adult", "magic_gamma", "nist_acs_national2019", "diabetes130", "support2"), LARGE),
    "default_credit": Goal(0.8, 0.58, 0.98),  # chains of amounts that nearly repeat
    **dict.fromkeys(("thyroid", "chronic_kidney", "german", "pima", "wdbc", "nhanes_raw"), SMALL),
}
COST_GOALS = {"adult": (("fit_cpu_s", "≤", 40.0), ("rows_per_cpu_s", "≥", 150_000.0))}


def ratio(value: float, base: float) -> float:
    """Return a ratio; NaN over nothing."""
    return value / base if base else math.nan


def error(row: Row, measure: str) -> float | None:
    """Return how far a measure is from its best value: .5 for an AUC of detection, 0 for an error."""
    value = row.get(measure)
    if value is None:
        return None
    return abs(value - 0.5) if measure.startswith("c2st") else value


def bars(result: Result) -> list[Bar]:
    """Return the limits of one table."""
    ours, goal = result.medians(OURS), GOALS.get(result.name)
    found = [
        Bar("null, points", ours.get("null"), "≤", 1.0),
        Bar("dcr", ours.get("dcr"), "≤", 0.51),
        Bar("copies, FLOOR's", ours.get("copies"), "≤", result.floor.get("copies")),
        *(Bar(key, ours.get(key), relation, limit) for key, relation, limit in COST_GOALS.get(result.name, ())),
    ]
    if goal is None:
        return found
    return [
        Bar("trend/FLOOR", ours.get("trend_floor"), "≤", goal.trend_floor),
        Bar("c2st_test", ours.get("c2st_test"), "≤", goal.c2st_test),
        Bar("tstr/trtr", ours.get("tstr_trtr"), "≥", goal.tstr_trtr),
        *found,
    ]


def verdict(result: Result, measure: str) -> str:
    """Say whether synthvae is nearer to the best value of a measure than every other generator."""
    errors = {name: error(result.medians(name), measure) for name in result.generators}
    ours = errors.pop(OURS, None)
    others = {name: value for name, value in errors.items() if value is not None and not math.isnan(value)}
    if ours is None or math.isnan(ours):
        return "not ahead: synthvae was not measured"
    if not others:
        return "no peer was measured"
    best = min(others, key=lambda name: others[name])
    figures = f"{shown(result, OURS, measure)} against {shown(result, best, measure)}"
    return f"{'ahead' if ours < others[best] else 'not ahead'} of {best} ({figures})"


def shown(result: Result, generator: str, measure: str) -> str:
    """Write one figure of a generator."""
    return cell(measure, result.medians(generator).get(measure))


def cell(key: str, value: float | None) -> str:
    """Write one figure, a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    return format(value, COLUMNS.get(key, ("", ",.4g"))[1])


def grid(heads: list[str], lines: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines])


def figures_of(result: Result) -> str:
    """Return the table of the generators."""
    rows = {name: (result.medians(name), result.status(name)) for name in result.generators}
    rows["FLOOR"] = (result.floor, "real test rows")
    lines = [[name, *(cell(key, row.get(key)) for key in COLUMNS), status] for name, (row, status) in rows.items()]
    return grid(["generator", *(head for head, _ in COLUMNS.values()), "status"], lines)


def section(result: Result) -> str:
    """Return everything on one table."""
    facts = result.facts
    size = f"{facts['train']:,} training rows, {facts['test']:,} test rows, {facts['columns']} columns"
    said = [f"- {note}." for note in facts["notes"]]
    for name in result.generators:
        notes = dict.fromkeys(note for run in result.of(name) for note in run.get("notes", []))
        said += [f"- {name}: {'; '.join(notes)}."] if notes else []
    head = f"## {result.name}\n\n{size}; trtr {cell('tstr', result.real['trtr'])}."
    return "\n\n".join(filter(None, [head, figures_of(result), "\n".join(said)]))


def contest(results: list[Result]) -> str:
    """Return where synthvae is ahead and where it is not."""
    lines = [[result.name, *(verdict(result, measure) for measure in CONTESTED)] for result in results]
    won = sum(cells.startswith("ahead") for line in lines for cells in line[1:])
    total = len(CONTESTED) * len(lines)
    return f"Ahead in {won} of {total}.\n\n" + grid(["table", *CONTESTED], lines)


def beside_before(results: list[Result]) -> str:
    """Return fidelity and costs beside an earlier version; nothing if none was measured."""
    measures = ("trend", "c2st_test", "tstr", "dcr")
    lines = []
    for result in results:
        ours, before = result.medians(OURS), result.medians(BEFORE)
        if not (ours and before):
            continue
        pairs = [f"{cell(key, before.get(key))} → {cell(key, ours.get(key))}" for key in measures]
        costs = [format(ratio(ours[key], before[key]), ".2f") for key in COSTS]
        lines.append([result.name, *pairs, *costs])
    heads = ["table", *measures, "fit CPU-s, ratio", "rows/CPU-s, ratio", "peak MiB, ratio"]
    return f"## Beside the earlier version\n\n{grid(heads, lines)}" if lines else ""


def bar_table(results: list[Result]) -> str:
    """Return the table of the bars."""
    limits = [(result.name, bar) for result in results for bar in bars(result)]
    reached = sum(bar.reached == "yes" for _, bar in limits)
    known = sum(bar.reached != "not measured" for _, bar in limits)
    lines = [
        [name, bar.measure, cell("", bar.value), bar.relation, cell("", bar.limit), bar.reached] for name, bar in limits
    ]
    heads = ["table", "goal", "measured", "", "limit", "reached"]
    return f"{reached} of {known} measured goals are reached.\n\n" + grid(heads, lines)


def versions(results: list[Result]) -> str:
    """Return the versions that the runs name."""
    found: dict[str, dict[str, None]] = {}
    for run in (run for result in results for run in result.runs):
        for name, version in run.get("versions", {}).items():
            found.setdefault(name, {})[version] = None
    return ", ".join(f"{name} {' and '.join(found[name])}" for name in sorted(found))


def machines(results: list[Result]) -> str:
    """Return the classes of the machines of the runs, and how busy these were."""
    runs = [run for result in results for run in result.runs]
    found = "; ".join(dict.fromkeys(run["machine"] for run in runs if "machine" in run)) or "not recorded"
    loads = [run["load"] for run in runs if "load" in run]
    return f"{found}; load {min(loads):.0f} to {max(loads):.0f}, of its own process 1" if loads else found


ALT = {"trend": "Trend error against the cost of a fit", "c2st_test": "Detection AUC against the cost of a fit"}
LEGEND = """\
Medians over the seeds. Errors in per cent, lower is better: shape (single columns), trend (pairs of columns),
null (largest difference of a missing rate). tstr: score of boosting trained on synthetic and tested on real
rows; trtr: trained on real rows. c2st: AUC of boosting trained to tell synthetic from real rows, .5 is best.
alpha, beta: alpha-precision and beta-recall, per cent, higher is better. dcr: share of rows nearer to a
training than to a test row, .5 is best. copies: share of rows that repeat a training row. FLOOR: the real
test rows, evaluated as if synthetic. One thread; costs in CPU-seconds, peak memory of the whole process."""
INTRODUCTION = """\
This page is what `make bench DATA=DIR` writes (`tests/benchmarks/bench.py`); nothing in it is edited. Everything else
that was measured, on more tables and with earlier versions, too, is under [Measurements](measurements.md)."""


def markdown(results: list[Result], settings: Figures, pictures: list[Path]) -> str:
    """Return the report."""
    said = "; ".join(f"{name}: {value}" for name, value in settings.items())
    images = "\n\n".join(f"![{ALT[picture.stem.partition('_')[2]]}]({picture})" for picture in pictures)
    parts = ["# Benchmarks", INTRODUCTION, f"Settings: {said}.", f"Versions: {versions(results)}."]
    parts += [f"Machine: {machines(results)}.", LEGEND]
    parts += ["## Ahead or not", contest(results), "## Goals", bar_table(results), images]
    parts += [beside_before(results), *(section(result) for result in results)]
    return "\n\n".join(filter(None, parts)) + "\n"
