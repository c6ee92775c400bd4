"""Sections of whole subjects: one row for each, with what its rows in all tables add up to.

Attacks on a table of one row a subject are attacks on subjects, which are the unit of linked tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.copies import disclosure
from synthvae.evaluation.disclosure.risk import row_hashes, share_interval
from synthvae.evaluation.disclosure.simulated_attacks import attacks
from synthvae.evaluation.fidelity import detection
from synthvae.evaluation.linked.link_metrics import SEQUENCE_COPIES, SUBJECT_C2ST, SUBJECT_COPIES
from synthvae.evaluation.linked.linked_rows import LinkedComparison, Side
from synthvae.evaluation.linked.sequences import CLASSIFIED, References
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.risk_metrics import COPIES
from synthvae.schema.column import Column

FUNCTIONS = ("mean", "std", "min", "max")
SEVERAL = 2  # rows from which on the rows of a subject in one table are a sequence
Hashes = npt.NDArray[np.uint64]


def aggregates(comparison: LinkedComparison, side: Side, root: str) -> pd.DataFrame:
    """Return one row for each row of a root table (S, columns).

    Its own columns, then for each table below it the number of the subject's rows and, of these, the mean, the standard
    deviation and the extremes of numbers, and the number of distinct categories; missing where there is no row.
    """
    subjects = len(side[root])
    parts = [side[root].frame]
    for name in comparison.family(root)[1:]:
        rows = side[name]
        found: dict[str, pd.Series[Any]] = {}
        found[f"{name}: rows"] = pd.Series(np.bincount(rows.subjects, minlength=subjects))
        for column in comparison.kinds(name):
            if isinstance(rows.frame[column].dtype, pd.CategoricalDtype):
                codes = rows.frame[column].cat.codes
                found[f"{name}: {column}, distinct"] = codes.where(codes >= 0).groupby(rows.subjects).nunique()
            else:
                for function in FUNCTIONS:
                    found[f"{name}: {column}, {function}"] = rows.frame[column].groupby(rows.subjects).agg(function)
        frame = pd.DataFrame({title: values.reindex(np.arange(subjects)) for title, values in found.items()})
        parts.append(frame.astype(np.float64))
    return pd.concat(parts, axis=1)


def as_comparison(comparison: LinkedComparison, root: str) -> Comparison:
    """Return the comparison of tables with one row for each subject."""
    frames = {role: aggregates(comparison, side, root) for role, side in comparison.sides.items()}
    own = comparison.kinds(root)
    kinds = {n: own[n] if n in own else Column(name=n, kind="continuous") for n in map(str, frames["real"])}
    return Comparison(frames["real"], frames["synthetic"], frames.get("holdout"), kinds)


def subjects(comparison: LinkedComparison, root: str, references: References, seed: int) -> Section:
    """Measure how well a classifier separates synthetic subjects from real ones, and count copied ones.

    Args:
        comparison: The tables.
        root: The root table.
        references: The rows in place of the synthetic ones.
        seed: Random seed.

    Returns:
        The figures of `LINK_SECTIONS["subjects"]`.
    """
    sides = comparison.sides
    held = sides.get("holdout", sides["real"])

    def auc(real: Side, other: Side) -> tuple[float, int]:
        first, second = (aggregates(comparison, side, root) for side in (real, other))
        found = detection.detection_auc(first, second, seed, CLASSIFIED)
        return found, detection.compared_rows(first, second, CLASSIFIED)

    value, rows = auc(held, sides["synthetic"])
    figures = []
    if np.isfinite(value):
        floor, apart = auc(references.real, references.other)[0], auc(references.real, references.shuffled)[0]
        known = [x if np.isfinite(x) else None for x in (floor, apart)]
        figures.append(Figure(SUBJECT_C2ST, value, detection.auc_interval(value, rows), *known))
    note = "" if figures else f"The classifier test of subjects needs at least {detection.LEAST_ROWS} of each kind."
    copied = _copied(comparison, root)
    figures += [max(group, key=_excess) for group in (copied[:1], copied[1:]) if group]
    return Section("subjects", tuple(figures), {}, (note,) if note else (), root)


def _copied(comparison: LinkedComparison, root: str) -> list[Figure]:
    """Copies of whole subjects, then of the rows in each child table."""
    tables = [name for name in comparison.family(root) if comparison.kinds(name)]
    found = [_copies(SUBJECT_COPIES, comparison, root, tables)]
    found += [_copies(SEQUENCE_COPIES, comparison, root, [name], SEVERAL) for name in tables if name != root]
    return [figure for figure in found if figure is not None]


def _excess(figure: Figure) -> float:
    return (figure.interval or (0.0, 0.0))[0] - figure.expected


def _copies(
    metric: Metric, comparison: LinkedComparison, root: str, tables: Sequence[str], least: int = 0
) -> Figure | None:
    """The share of synthetic subjects that equal a training subject, beside that of real subjects.

    Without a holdout, each training subject is compared with all others. None if there are no subjects.
    """
    found = {role: _hashes(side, root, tables, least) for role, side in comparison.sides.items()}
    training, synthetic = pd.Series(found["real"]), pd.Series(found["synthetic"])
    if not tables or not len(training) or not len(synthetic):
        return None
    if len(held := found.get("holdout", found["real"][:0])):
        usual, trials = float(pd.Series(held).isin(training).mean()), float(len(held))
    else:
        usual, trials = float(training.duplicated(keep=False).mean()), len(training) / 2
    copied = synthetic.isin(training)
    interval = share_interval(int(copied.sum()), len(copied), usual, trials)
    return Figure(metric, float(copied.mean()), interval, usual)


def _hashes(side: Side, root: str, tables: Sequence[str], least: int) -> Hashes:
    """A number of each subject with at least so many rows, equal for subjects with the same rows in some tables.

    It is the sum, modulo 2^64, of the hashes of the rows: rows of equal order are in no order.
    """
    count = len(side[root])
    total, rows = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    for number, name in enumerate(tables):
        hashes = np.asarray(row_hashes(side[name].frame), np.uint64)
        mixed = pd.util.hash_array(hashes ^ np.uint64(number)).astype(np.uint64)  # of each table its own
        np.add.at(total, side[name].subjects, mixed)
        rows += np.bincount(side[name].subjects, minlength=count)
    return total[rows >= least]


def subject_disclosure(comparison: LinkedComparison, root: str, seed: int, *, attacked: bool) -> list[Section]:
    """Return the sections "disclosure" and, if asked for, "attacks" of a table with one row for each subject.

    Args:
        comparison: The tables.
        root: The root table.
        seed: Random seed.
        attacked: Whether to simulate attacks.
    """
    rows = as_comparison(comparison, root)
    if not rows.kinds:
        return []
    found = disclosure(rows, seed)
    figures = tuple(figure for figure in found.figures if figure.metric is not COPIES)  # see `SUBJECT_COPIES`
    sections = [replace(found, figures=figures, table=root)]
    if attacked and (simulated := attacks(rows, seed)) is not None:
        sections.append(replace(simulated, table=root))
    return sections
