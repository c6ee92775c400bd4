"""The report: one HTML file that needs nothing beside it, for people who decide whether rows are used and shared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from synthvae._version import __version__
from synthvae.errors import ConfigurationError
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.report.charts import Gallery, galleries
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.verdict import Verdict

if TYPE_CHECKING:
    import jinja2


MOST_ROWS = 1000  # of a table that is neither of columns nor of pairs
MOST_PAIRS = 20
TITLES = {
    "fidelity": "Fidelity: are the rows like the real ones?",
    "utility": "Utility: do models learn the same from them?",
    "survival": "Survival: are times and events as in the real rows?",
    "disclosure": "Disclosure: are real rows copied?",
    "attacks": "Attacks: what does an adversary gain?",
    "fairness": "Fairness: are groups served alike?",
}
CAPTIONS = {
    "columns": "Each column, the least alike first.",
    "pairs": f"The {MOST_PAIRS} pairs of columns whose relation is the least alike.",
    "models": "Models that learned real or synthetic rows, on real rows that none of them learned.",
    "importances": "How much a model leans on each column.",
    "nearest": "Distances to the nearest real row.",
    "attacks": "Each attack: how often its guesses are right, and how often they are by chance.",
    "groups": "Each group of people.",
}
HEADINGS = {
    "missing_real": "missing, real",
    "missing_synthetic": "missing, synthetic",
    "correlation_real": "correlation, real",
    "correlation_synthetic": "correlation, synthetic",
    "rows_real": "rows, real",
    "rows_synthetic": "rows, synthetic",
    "real": "fresh real rows",
    "wasserstein": "Wasserstein distance",
    "brier": "Brier score",
    "tstr": "trained on synthetic",
    "trtr": "trained on real",
}
OWN_REAL = {"importances"}  # tables whose "real" is of the real rows themselves
BETTER = {"higher": "higher", "lower": "lower", "half": "0.5"}
GRADES = {"good": "Good", "fair": "Fair", "poor": "Poor", "unknown": "Not known"}
ROLES = {"real": "real rows", "synthetic": "synthetic rows", "holdout": "fresh real rows (holdout)"}
PROMISES = ("epsilon", "delta", "budget", "unit", "adjacency", "accountant")


class Evaluated(Protocol):
    """What a report is made from: an `Evaluation`."""

    @property
    def comparison(self) -> Comparison:
        """The tables, side by side."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """What was measured."""

    @property
    def verdict(self) -> Verdict:
        """Whether the rows can be used, and shared."""

    @property
    def seed(self) -> int:
        """Of everything that was drawn."""

    @property
    def ledger(self) -> Mapping[str, Any] | None:
        """What privacy was promised and spent."""

    @property
    def names(self) -> Mapping[str, str]:
        """What the tables are called, by role."""


@dataclass(frozen=True)
class Listing:
    """A table of the page: a detail of a section, ready to be written."""

    name: str
    caption: str
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Part:
    """A section of the page."""

    name: str
    title: str
    section: Section
    listings: list[Listing]
    galleries: list[Gallery]

    @classmethod
    def of(cls, section: Section) -> Part:
        """Prepare a section for the page."""
        tables = [_listing(name, table) for name, table in section.details.items() if _is_listed(name, table)]
        return cls(section.name, _title(section.name), section, tables, galleries(section))


def page(evaluation: Evaluated) -> str:
    """Return an evaluation as one HTML document with all of its scripts and styles inside.

    It asks the network for nothing: its content security policy forbids every request.

    Raises:
        ConfigurationError: plotly or jinja2 is not installed.
    """
    template = _environment().get_template("report.html.j2")
    parts = [Part.of(section) for section in evaluation.sections]
    charts = [chart.as_dict() for part in parts for gallery in part.galleries for chart in gallery.charts]
    return template.render(
        evaluation=evaluation,
        verdict=evaluation.verdict,
        parts=parts,
        charts=charts,
        plotly=_plotly() if charts else "",
        facts=_facts(evaluation),
        promises=_promises(evaluation.ledger),
        version=__version__,
        better=BETTER,
        grades=GRADES,
    )


def _environment() -> jinja2.Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise _absent("jinja2") from None
    loader = PackageLoader("synthvae.evaluation.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, cell=cell, strip=strip)
    environment.tests["number"] = _is_number
    return environment


def _plotly() -> str:
    """The source of plotly.js, which plotly's package carries."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise _absent("plotly") from None
    # Wherever it stands, this text would end the script element.
    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _absent(package: str) -> ConfigurationError:
    return ConfigurationError(
        f'a report needs {package}, however, it is not installed: pip install "synthvae[report]", or write JSON instead'
    )


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _facts(evaluation: Evaluated) -> list[tuple[str, str]]:
    """What was compared."""
    compared = evaluation.comparison
    frames = {"real": compared.real, "synthetic": compared.synthetic, "holdout": compared.holdout}
    counted = [(role, frame) for role, frame in frames.items() if frame is not None]
    facts = [(ROLES[role], _rows(len(frame), evaluation.names.get(role))) for role, frame in counted]
    facts += [("columns compared", f"{len(compared.kinds):,}"), ("target", compared.target or "none")]
    return [*facts, ("seed", str(evaluation.seed)), ("made with", f"synthvae {__version__}")]


def _rows(count: int, name: str | None) -> str:
    return f"{count:,}" if name is None else f"{count:,} ({name})"


def _promises(ledger: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """What a ledger says, but for its events, in the order in which it is read."""
    if ledger is None:
        return []
    others = [name for name in ledger if name not in {*PROMISES, "events"}]
    return [(name, ledger[name]) for name in (*PROMISES, *others) if name in ledger]


def _is_listed(name: str, table: pd.DataFrame) -> bool:
    return not name.startswith("drawn_") and len(table) > 0


def _listing(name: str, table: pd.DataFrame) -> Listing:
    shown = table
    if name in {"columns", "pairs"} and "score" in table:
        shown = table.sort_values("score", kind="stable")
    shown = shown.head(MOST_PAIRS if name == "pairs" else max(MOST_ROWS, len(table) if name == "columns" else 0))
    caption = CAPTIONS.get(name, name.replace("_", " ").capitalize() + ".")
    if len(shown) < len(table) and name != "pairs":
        caption += f" The first {len(shown):,} of {len(table):,} rows."
    head = tuple(_heading(str(column), name) for column in shown)
    return Listing(name, caption, head, list(shown.itertuples(index=False, name=None)))


def _heading(column: str, table: str) -> str:
    if column == "real" and table in OWN_REAL:
        return "real"
    return HEADINGS.get(column, column.replace("_", " "))


def number(value: float | None) -> str:
    """Return a figure as people read it; a dash where it was not measured."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.6g}"


def cell(value: Any) -> str:
    """Return what a cell of a table holds as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return number(float(value))
    return "—" if value is None or pd.isna(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def strip(figure: Figure) -> dict[str, float] | None:
    """Return where a figure and its baselines stand on a line from 0 to 1; None where one lies beyond it."""
    low, high = figure.interval or (figure.value, figure.value)
    stands = {"value": figure.value, "low": low, "high": high, "real": figure.real, "independent": figure.independent}
    found = {name: round(float(x), 4) for name, x in stands.items() if x is not None and math.isfinite(x)}
    fits = "value" in found and "low" in found and "high" in found
    return found if fits and all(0 <= x <= 1 for x in found.values()) else None
