"""The report as one HTML file without external resources, for readers who decide on the use of synthetic rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from synthvae._version import __version__
from synthvae.errors import ConfigurationError, escaped
from synthvae.evaluation.metrics import METRICS
from synthvae.evaluation.report.charts import Gallery, galleries
from synthvae.evaluation.report.formats import cell, is_number
from synthvae.evaluation.report.listings import Listing, is_listed, listing
from synthvae.evaluation.report.metadata import ReportMetadata
from synthvae.evaluation.report.summary import bars_of, key_of, measurements, text_of, tiles, unlisted
from synthvae.evaluation.results import Section
from synthvae.evaluation.verdict import Verdict
from synthvae.schema.values import at_most

if TYPE_CHECKING:
    import jinja2


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
BETTER = {"higher": "Higher is better.", "lower": "Lower is better.", "half": "Best near 0.5."}
GRADES = {"good": "Good", "fair": "Fair", "poor": "Poor", "unknown": "Not determined"}
FONTS = {400: "inter-latin-400-normal.woff2", 600: "inter-latin-600-normal.woff2"}  # weights of Inter (OFL.txt)


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
        tables = [listing(name, table) for name, table in section.details.items() if is_listed(name, table)]
        # Ids of HTML elements have no spaces, and those of two tables differ.
        name = f"s{section.key.encode().hex()}" if section.table else section.name
        return cls(name, _title(section), section, tables, galleries(section))


def render(sections: Sequence[Section], verdict: Verdict, metadata: ReportMetadata) -> str:
    """Return the report as one HTML document that contains all of its scripts, styles and fonts.

    Its content security policy forbids every network request.

    Args:
        sections: The measured sections, in the order of the report.
        verdict: The answers on the first screen.
        metadata: What was compared.

    Raises:
        ConfigurationError: plotly or jinja2 is not installed.
    """
    parts = [ReportSection.from_section(section) for section in sections]
    charts = [
        without_steering(chart.to_dict()) for part in parts for gallery in part.galleries for chart in gallery.charts
    ]
    figures = {key_of(part.table, figure.metric.name): figure for part in sections for figure in part.figures}
    metrics = {figure.metric.name: figure.metric for figure in figures.values()}
    return page(
        "report.html.j2",
        verdict=verdict,
        metadata=metadata,
        parts=parts,
        tiles=tiles(verdict, figures),
        measurements=measurements(figures),
        reasons=unlisted(verdict.share.reasons, figures),
        charts=charts,
        plotly=_plotly() if charts else "",
        better=BETTER,
        titles={name: metric.title for name, metric in {**METRICS, **metrics}.items()},
    )


def page(template: str, **values: Any) -> str:
    """Return a page from a template of this package, with its fonts.

    Raises:
        ConfigurationError: jinja2 is not installed.
    """
    found = _environment().get_template(template)
    return found.render(version=__version__, grades=GRADES, fonts=_fonts(), **values)


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
        finalize=without_steering,
    )
    environment.filters.update(cell=cell, bars=bars_of, text=text_of, at_most=at_most)
    environment.tests["number"] = is_number
    return environment


def without_steering(value: Any) -> Any:
    """Text, in lists and mappings too, on one line, with escapes for what steers a browser, such as the direction.

    Markup is not changed: it is part of the template, or was escaped.
    """
    if isinstance(value, Mapping):
        return {without_steering(name): without_steering(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_steering(part) for part in value]
    return escaped(value) if type(value) is str else value


def _fonts() -> dict[int, str]:
    """Return the font files by weight, in base64."""
    folder = resources.files("synthvae.evaluation.report") / "fonts"
    return {weight: base64.b64encode((folder / name).read_bytes()).decode() for weight, name in FONTS.items()}


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
