"""Evaluation of several synthetic tables against the same real rows, side by side."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.errors import ConfigurationError, TableError, brief, listing
from synthvae.evaluation.assessment import Evaluation, evaluate
from synthvae.evaluation.report.side_by_side import notebook_ranking, render_several, render_several_text
from synthvae.tables import convert

MOST_OF_NAME = 40  # characters of the name of a report's file
FOLDER = "_reports"  # suffix of the folder with the report of each table


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of several synthetic tables against the same real rows. `str()` gives a table of them.

    Args:
        evaluations: The evaluations by the name of their table, in the order in which they were given.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> rows = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
        >>> found = compare(rows[:90], {"a": rows[90:], "b": rows[:90]}, attacks=False)
        >>> found["b"].figures["copies"].value, found.frame.loc["a", "copies"].item()
        (1.0, 0.0)
    """

    __repr__ = brief

    evaluations: Mapping[str, Evaluation]

    def __getitem__(self, name: str) -> Evaluation:
        return self.evaluations[name]

    def __len__(self) -> int:
        return len(self.evaluations)

    @property
    def frame(self) -> pd.DataFrame:
        """The grades and figures: one row per table, indexed by its name, and one column per figure."""
        rows = {
            name: {
                "use": found.verdict.use.grade,
                "share": found.verdict.share.grade,
                **{metric: figure.value for metric, figure in found.figures.items()},
            }
            for name, found in self.evaluations.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def __str__(self) -> str:
        return render_several_text(self.evaluations)

    def _repr_html_(self) -> str:
        return notebook_ranking(self.evaluations)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluations as JSON data, see `Evaluation.to_dict`."""
        found = {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()}
        return {"synthvae": __version__, "evaluations": found}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict()` to a file.

        Raises:
            DatasetError: The file cannot be written.
        """
        filesystem.export(Path(path), json.dumps(self.to_dict(), indent=1, allow_nan=False).encode())

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that compares the tables, and the report of each table into a folder beside it.

        The folder of `comparison.html` is `comparison_reports`. The page has links to the reports.

        Raises:
            ConfigurationError: The extra `synthvae[report]` is not installed.
            DatasetError: A file cannot be written.
        """
        page = Path(path)
        folder = page.with_name(page.stem + FOLDER)
        links = {name: f"{folder.name}/{_file(k, name)}" for k, name in enumerate(self.evaluations, 1)}
        for name, link in links.items():
            self.evaluations[name].to_html(page.parent / link)
        filesystem.export(page, render_several(self.evaluations, links).encode())


def compare(
    real: Any,
    synthetic: Mapping[str, Any],
    *,
    each: Mapping[str, Mapping[str, Any]] | None = None,
    watch: Callable[[str], None] | None = None,
    **options: Any,
) -> Evaluations:
    """Evaluate several synthetic tables against the same real rows.

    Args:
        real: The training rows, see `evaluate`.
        synthetic: The synthetic tables by name.
        each: Options of `evaluate` for single tables, by the name of the table, such as `ledger`.
        watch: Callback that receives the name of the table and of each section before it is measured.
        **options: Options of `evaluate` for all tables, such as `holdout` and `target`.

    Raises:
        ConfigurationError: Tables are not given by name or there is none, or `each` names a table or an option that
            does not exist.
        TableError: See `evaluate`; of several tables, the message names the one.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> rows = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
        >>> tables = {"other": rows[90:], "rounded": rows[90:].round(-1)}
        >>> compare(rows[:90], tables, attacks=False).frame["use"].to_dict()
        {'other': 'good', 'rounded': 'poor'}
    """
    _check(synthetic, each or {})
    rows = convert.read(real)
    if options.get("holdout") is not None:
        options = {**options, "holdout": convert.read(options["holdout"])}
    found = {}
    for name, table in synthetic.items():
        own = {**options, **(each or {}).get(name, {})}
        names = {"synthetic": name, **own.pop("names", {})}
        prefix = f"{name}: " if len(synthetic) > 1 else ""
        with _naming(name if len(synthetic) > 1 else None):
            found[name] = evaluate(rows, table, names=names, watch=_prefixed(watch, prefix), **own)
    return Evaluations(found)


def _check(synthetic: Any, each: Any) -> None:
    """Refuse tables without names, and options of tables or of names that do not exist."""
    if not isinstance(synthetic, Mapping):
        raise ConfigurationError(
            f"Synthetic tables must be given by name, got a {type(synthetic).__name__}. Pass a dictionary from name to "
            "table, or use `evaluate` for one table."
        )
    if not synthetic:
        raise ConfigurationError("At least one synthetic table must be given, got none. Pass tables by name.")
    if not isinstance(each, Mapping) or not all(isinstance(options, Mapping) for options in each.values()):
        raise ConfigurationError(
            f"`each` must have a dictionary of options by the name of a table, got {each!r:.60}. Correct it."
        )
    unknown = [name for name in each if name not in synthetic]
    if unknown:
        raise ConfigurationError(f"`each` must name tables that are given, got {unknown[0]!r}. Correct the name.")
    known = set(signature(evaluate).parameters) - {"real", "synthetic", "watch"}
    wrong = [(name, option) for name, options in each.items() for option in options if option not in known]
    if wrong:
        raise ConfigurationError(
            f"`each` must have options of `evaluate`, got {wrong[0][1]!r} for table {wrong[0][0]!r}. Choose among "
            f"{listing(sorted(known), len(known))}."
        )


@contextmanager
def _naming(name: str | None) -> Iterator[None]:
    """Name the table in errors on synthetic rows; None: do not."""
    try:
        yield
    except TableError as error:
        if name is None or "synthetic" not in str(error):
            raise
        raise type(error)(f"Table {name!r}: {error}") from error


def _prefixed(watch: Callable[[str], None] | None, prefix: str) -> Callable[[str], None] | None:
    return None if watch is None else lambda section: watch(prefix + section)


def _file(place: int, name: str) -> str:
    """The name of a report's file, which differs from all others."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:MOST_OF_NAME].strip("-")
    return f"{place}-{plain}.html" if plain else f"{place}.html"
