"""Tables of the report: captions and headings of the details of sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from synthvae.evaluation.report.charts import attack_title
from synthvae.evaluation.report.traces import label

MOST_ROWS = 1000  # of a table other than that of columns
MOST_PAIRS = 20
CAPTIONS = {
    "columns": "All columns, least similar first.",
    "pairs": f"The {MOST_PAIRS} pairs of columns whose relationship is least similar.",
    "rules": "Rules between columns, most often broken first, with the shares of rows that keep them.",
    "models": "Predictive models by the rows they were trained on, tested on real rows.",
    "importances": "Importance of each column for gradient boosting, by the rows it was trained on.",
    "nearest": "Quantiles of the distance to the closest training row.",
    "attacks": "Success rates of each attack: on training rows, on holdout rows, and of random guesses.",
    "groups": "Groups of people.",
    "causes": "Competing events. Distances are those of cumulative incidence curves from those of the training rows.",
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
    "events_real": "events, training rows",
    "events_synthetic": "events, synthetic rows",
    "real_distance": "distance of real rows",
    "concordance_real": "concordance, trained on real",
    "concordance_synthetic": "concordance, trained on synthetic",
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
PRINTED = frozenset({"models", "groups", "rules", "causes"})  # tables that are short, and in no chart


@dataclass(frozen=True)
class Listing:
    """A table of the report, which is folded.

    Args:
        name: Name of the table among the details of its section.
        caption: What its rows are.
        head: Headings of its columns.
        rows: Its rows.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    @property
    def is_printed(self) -> bool:
        """Whether the table is on paper, too."""
        return self.name in PRINTED


def is_listed(name: str, table: pd.DataFrame) -> bool:
    """Whether a detail of a section is listed as a table: not one for charts, and not one without rows."""
    return not name.startswith("drawn_") and len(table) > 0


def listing(name: str, table: pd.DataFrame) -> Listing:
    """Return a detail of a section as a table, without columns that have no value."""
    shown = table.dropna(axis=1, how="all")
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
