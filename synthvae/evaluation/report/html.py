"""The report as one HTML file without external resources, for readers who decide on the use of synthetic rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from synthvae._version import __version__
from synthvae.errors import ConfigurationError, escaped
from synthvae.evaluation.report.charts import Gallery, attack_title, galleries
from synthvae.evaluation.report.traces import label
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.verdict import Verdict
from synthvae.schema.values import at_most

if TYPE_CHECKING:
    import jinja2


MOST_ROWS = 1000  # of a table other than that of columns
MOST_PAIRS = 20
TITLES = {
    "fidelity": "Fidelity: are the synthetic rows similar to the training rows?",
    "logic": "Logic: do the synthetic rows keep the rules between columns?",
    "utility": "Utility: do predictive models learn the same from them?",
    "survival": "Survival: are times to an event preserved?",
    "disclosure": "Disclosure: are training rows copied?",
    "attacks": "Attacks: what can an attacker learn about training rows?",
    "fairness": "Fairness: are groups of people represented equally well?",
    "integrity": "Integrity: do the keys lead to rows, and are rows in order?",
    "sequences": "Sequences: do rows depend on their parent and on each other as the real ones do?",
    "subjects": "Subjects: are subjects with all of their rows similar, and are any copied?",
}
CAPTIONS = {
    "columns": "All columns, least similar first.",
    "pairs": f"The {MOST_PAIRS} pairs of columns whose relationship is least similar.",
    "rules": "Rules between columns, most often broken first, with the shares of rows that keep them.",
    "models": "Predictive models by the rows they were trained on, tested on real rows.",
    "importances": "Importance of each column for gradient boosting, by the rows it was trained on.",
    "nearest": "Quantiles of the distance to the closest training row.",
    "attacks": "Success rates of each attack: on training rows, on holdout rows, and of random guesses.",
    "groups": "Groups of people.",
    "keys": "Links, with the shares of rows whose key leads to no row, and of rows without a key.",
    "children": "Number of rows of a parent.",
    "consecutive": "Columns and the row before, least similar first: distance of the joint distributions (other real "
    "rows: lag floor), association, share of equal values, and share of the variance that lies between subjects.",
    "times": "Quantiles of the time between rows.",
    "crossed": "Columns of a row and of its ancestors, least similar first: distance of the joint distributions, and "
    "that of other real rows.",
}
HEADINGS = {
    "first": "first column",
    "second": "second column",
    "kind": "type",
    "score": "similarity",
    "missing_real": "missing, training rows",
    "missing_synthetic": "missing, synthetic rows",
    "adherence": "within bounds",
    "correlation_real": "correlation, training rows",
    "correlation_synthetic": "correlation, synthetic rows",
    "rows_real": "training rows",
    "rows_synthetic": "synthetic rows",
    "real": "similarity of real rows",
    "wasserstein": "Wasserstein distance (standard deviations)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration": "calibration error",
    "shape": "column shapes",
    "tstr": "score, trained on synthetic",
    "trtr": "score, trained on real",
    "success": "success on training rows",
    "naive": "success of random guesses",
    "control": "success on holdout rows",
}
HEADINGS_OF = {
    "importances": {"real": "trained on real rows", "synthetic": "trained on synthetic rows"},
    "models": {"score": "score"},
    "rules": {
        "judged": "synthetic rows judged",
        "real": "real rows",
        "synthetic": "synthetic rows",
        "independent": "shuffled columns",
    },
}  # of tables in which a heading has another meaning
LABELS = {"rows": label, "trained_on": label, "attack": attack_title}  # of the values of these columns
BETTER = {"higher": "higher", "lower": "lower", "half": "near 0.5"}
GRADES = {"good": "Good", "fair": "Fair", "poor": "Poor", "unknown": "Not determined"}
ROLES = {"real": "training rows", "synthetic": "synthetic rows", "holdout": "holdout rows (real)"}
TERMS = {"budget": "epsilon budget", "unit": "protected unit", "adjacency": "neighbouring tables"}
GUARANTEE = ("epsilon", "delta", "budget", "unit", "adjacency", "accountant")  # in this order, then the rest


@dataclass(frozen=True)
class ReportMetadata:
    """What the report states besides figures and verdict.

    Args:
        rows: Numbers of rows, by role ("real", "synthetic", "holdout").
        columns: Number of compared columns.
        target: The column to be predicted.
        seed: The random seed.
        notes: What of the tables could not be compared, and why.
        ledger: `Ledger.statement()` of the model; None: no differential privacy guarantee.
        names: Names of the tables, by role.
    """

    rows: Mapping[str, int]
    columns: int
    target: str | None
    seed: int
    notes: tuple[str, ...] = ()
    ledger: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield terms and values for the first screen."""
        for role, count in self.rows.items():
            name = self.names.get(role)
            yield ROLES[role], f"{count:,}" if name is None else f"{count:,} ({name})"
        yield "compared columns", f"{self.columns:,}"
        yield "target column", self.target or "none"
        yield "random seed", str(self.seed)
        yield "software", f"synthvae {__version__}"

    def guarantee(self) -> Iterator[tuple[str, Any]]:
        """Yield terms and values of the ledger, without its events."""
        ledger = self.ledger or {}
        others = [name for name in ledger if name not in {*GUARANTEE, "events"}]
        for name in (*GUARANTEE, *others):
            if name in ledger:
                yield TERMS.get(name, name), ledger[name]


@dataclass(frozen=True)
class Listing:
    """A table of the report."""

    name: str
    caption: str
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class ReportSection:
    """A section of the report: figures and notes, charts and tables."""

    name: str
    title: str
    section: Section
    listings: list[Listing]
    galleries: list[Gallery]

    @classmethod
    def from_section(cls, section: Section) -> ReportSection:
        """Prepare a section for the template."""
        tables = [_listing(name, table) for name, table in section.details.items() if _is_listed(name, table)]
        # Ids of HTML elements have no spaces, and those of two tables differ.
        name = f"s{section.key.encode().hex()}" if section.table else section.name
        return cls(name, _title(section), section, tables, galleries(section))


def render(sections: Sequence[Section], verdict: Verdict, metadata: ReportMetadata) -> str:
    """Return the report as one HTML document that contains all of its scripts and styles.

    Its content security policy forbids every network request.

    Args:
        sections: The measured sections, in the order of the report.
        verdict: The answers on the first screen.
        metadata: What was compared.

    Raises:
        ConfigurationError: plotly or jinja2 is not installed.
    """
    template = _environment().get_template("report.html.j2")
    parts = [ReportSection.from_section(section) for section in sections]
    charts = [
        _without_steering(chart.to_dict()) for part in parts for gallery in part.galleries for chart in gallery.charts
    ]
    return template.render(
        verdict=verdict,
        metadata=metadata,
        parts=parts,
        charts=charts,
        plotly=_plotly() if charts else "",
        version=__version__,
        better=BETTER,
        grades=GRADES,
    )


def _environment() -> jinja2.Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise _not_installed("jinja2") from None
    loader = PackageLoader("synthvae.evaluation.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_steering,
    )
    environment.filters.update(number=number, cell=cell, strip=strip, at_most=at_most)
    environment.tests["number"] = _is_number
    return environment


def _without_steering(value: Any) -> Any:
    """Text, in lists and mappings too, on one line, with escapes for what steers a browser, such as the direction.

    Markup is not changed: it is part of the template, or was escaped.
    """
    if isinstance(value, Mapping):
        return {_without_steering(name): _without_steering(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_steering(part) for part in value]
    return escaped(value) if type(value) is str else value


def _plotly() -> str:
    """Return the source of plotly.js, which the plotly package contains."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise _not_installed("plotly") from None
    # This text would end the script element, wherever it stands.
    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _not_installed(package: str) -> ConfigurationError:
    return ConfigurationError(
        f'The HTML report needs {package}, which is not installed. Run `pip install "synthvae[report]"`, or write JSON '
        "instead."
    )


def _title(section: Section) -> str:
    title = TITLES.get(section.name, section.name.replace("_", " ").capitalize())
    return f"{section.table}, {title[:1].lower()}{title[1:]}" if section.table else title


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
    shown = shown.assign(**{column: shown[column].map(LABELS[column]) for column in LABELS if column in shown})
    return Listing(name, caption, head, list(shown.itertuples(index=False, name=None)))


def _heading(column: str, table: str) -> str:
    headings = {**HEADINGS, **HEADINGS_OF.get(table, {})}
    return headings.get(column, column.replace("_", " "))


def number(value: float | None) -> str:
    """Format a figure; a dash where it was not measured."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.6g}"


def cell(value: Any) -> str:
    """Format a cell of a table."""
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
    """Return the positions of a figure and its references between 0 and 1; None where one lies outside."""
    low, high = figure.interval or (figure.value, figure.value)
    values = {"value": figure.value, "low": low, "high": high, "real": figure.real, "independent": figure.independent}
    found = {name: round(float(x), 4) for name, x in values.items() if x is not None and math.isfinite(x)}
    fits = "value" in found and "low" in found and "high" in found
    return found if fits and all(0 <= x <= 1 for x in found.values()) else None
