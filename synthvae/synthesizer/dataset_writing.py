"""Write the synthetic rows of a fitted model to a dataset, copies of one, or one file, described or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthvae import progress
from synthvae.generation import copies as datasets
from synthvae.generation import dataset, single_file
from synthvae.generation.drawing import Drawing, useful_workers
from synthvae.generation.manifest import Manifest
from synthvae.generation.request import DatasetRequest
from synthvae.generation.workers import PartsBackend
from synthvae.random_state import Seed
from synthvae.synthesizer import dataset_card
from synthvae.synthesizer.conditional_drawing import GivenDrawing
from synthvae.synthesizer.fitted_model import FittedModel, PerClass, partition_column

Draw = Callable[[int], Drawing | GivenDrawing]
"""From a seed to what draws the parts of a request."""


@dataclass(frozen=True)
class WantedRows:
    """Which rows are written.

    Args:
        rows: The number of rows, or of rows of each class; None: one for each row of a table of conditions.
        draw: What draws the parts, by seed.
        seeds: The seeds of the estimator and of the run, see `synthvae.generation.dataset.seed_of_run`.
    """

    rows: int | PerClass | None
    draw: Draw
    seeds: tuple[Seed, Seed]


@dataclass(frozen=True)
class Output:
    """Where and how synthetic rows are written; the fields are parameters of `Synthesizer.generate`.

    Args:
        path: The folder, the URI of an object store, or the file.
        copies: The number of independent datasets; None: one dataset.
        describe: Whether a dataset card and Croissant metadata are written beside the rows.
        partition: Whether each class has a folder.
        resume: Whether an interrupted run of the same request is completed.
        overwrite: Whether a dataset that is there is replaced.
        escape_formulas: Whether text of a CSV file that spreadsheets would evaluate is escaped.
    """

    path: str | os.PathLike[str]
    copies: int | None
    describe: bool
    partition: bool
    resume: bool
    overwrite: bool
    escape_formulas: bool


@dataclass(frozen=True)
class Execution:
    """Which processes draw the parts: so many, of a backend; with `show`, with a progress bar."""

    workers: int
    backend: PartsBackend
    show: bool


def write(learned: FittedModel, wanted: WantedRows, output: Output, execution: Execution) -> dict[str, Any]:
    """Write synthetic rows, and return the manifest.

    Args:
        learned: The fitted model.
        wanted: Which rows.
        output: Where and how they are written.
        execution: Which processes draw.

    Raises:
        RequestError, DatasetError: As `Synthesizer.generate`.
    """
    if not output.describe:
        return Manifest(_written(learned, wanted, output, execution))
    folder = Path(output.path)
    inside = replace(output, path=dataset_card.place_of_rows(output.path, overwrite=output.overwrite))
    before = dataset_card.manifests_of(folder, output.copies) if output.resume else None
    written = _written(learned, wanted, inside, execution)
    kinds = {column.name: column.kind for column in learned.schema.columns}
    complete = before is not None and before == dataset_card.manifests_of(folder, output.copies)
    requested = {"class_counts": "requested"} if isinstance(wanted.rows, (Mapping, pd.Series)) else {}
    dataset_card.write(folder, {**written, **requested}, kinds, keep=complete)
    return Manifest(written)


def _written(learned: FittedModel, wanted: WantedRows, output: Output, execution: Execution) -> dict[str, Any]:
    """The manifest of rows that were written."""
    out, copies = output.path, output.copies
    if copies is not None:
        datasets.check(out, copies)
    first = out if copies is None else f"{os.fspath(out).rstrip('/')}/{datasets.folder_of(1)}"
    seed = dataset.seed_of_run(first, *wanted.seeds, resume=output.resume)
    column = partition_column(learned) if output.partition else None
    contents = [
        DatasetRequest(drawing, drawing.request.parts, manifest, column, output.escape_formulas)
        for drawing, manifest in _drawings(learned, wanted, seed, copies)
    ]
    total = sum(content.metadata["rows"] for content in contents)
    with progress.generating(total, show=execution.show) as report:
        how: dict[str, Any] = {
            "resume": output.resume,
            "overwrite": output.overwrite,
            "workers": useful_workers(execution.workers, contents[0].parts),
            "backend": execution.backend,
            "progress": report,
        }
        if copies is None:
            return single_file.write(out, contents[0], **how)
        return datasets.write(out, contents, **how)


def _drawings(
    learned: FittedModel, wanted: WantedRows, seed: int, copies: int | None
) -> Iterator[tuple[Drawing | GivenDrawing, dict[str, Any]]]:
    """What draws the parts of a request, or of each of its copies, and the metadata of its dataset."""
    drawing = wanted.draw(seed)
    if copies is None:
        yield drawing, _manifest(learned, drawing)
        return
    shares = learned.encoding.frequencies if isinstance(wanted.rows, (int, np.integer)) else None
    for copy, own in enumerate([seed, *np.random.SeedSequence(seed).generate_state(copies - 1).tolist()], 1):
        drawn = replace(drawing, request=drawing.request.independently(own, shares))
        about = learned.inference(of_shares=shares is not None)
        yield drawn, {**_manifest(learned, drawn), "copy": copy, **about}


def _manifest(learned: FittedModel, drawing: Drawing | GivenDrawing) -> dict[str, Any]:
    """The metadata of a dataset."""
    of_rows = learned.manifest(drawing.request)
    return drawing.manifest(of_rows) if isinstance(drawing, GivenDrawing) else of_rows
