"""Warnings of a fit: of what its table holds, and of how its training ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pandas.api.types import is_integer_dtype

from synthvae.errors import warn_user
from synthvae.synthesizer.configuration import Parameters
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.training.history import History


def warn_missing_labels(target: str | None, missing: Mapping[str, int], rows: int, *, event: str | None = None) -> None:
    """Warn of rows without a label, or without the event that is conditioned on; it may be a mistake."""
    if target is None or not 0 < missing[target] < rows:
        return
    if target == event:
        warn_user(
            f"event {event!r}: {missing[target]} of {rows} rows have no value. They are used in training, with the "
            "event marginalised, and every synthetic row has one; drop them if that is not intended."
        )
    else:
        warn_user(
            f"target {target!r}: {missing[target]} of {rows} rows have no label. They are used in training, with their "
            "class marginalised; drop them if that is not intended."
        )


def warn_empty(missing: Mapping[str, int], rows: int) -> None:
    """Warn of columns without any value."""
    for name, count in missing.items():
        if count == rows:
            warn_user(
                f"column {name!r}: every value is missing, so every synthetic value will be missing. Drop the column "
                "if that is not intended."
            )


def warn_of_separate_target(y: Any) -> None:
    """Warn of labels beside the table, which pipelines pass to every step and which a synthesizer does not learn."""
    if y is not None:
        warn_user(
            "`y` is not used, and synthetic rows will not have it: a Synthesizer learns the columns of its table. Join "
            '`y` to the table (`table.assign(y=y)`) and name the column (`target="y"`), or use VAETransformer, whose '
            "latent variables depend on `y`."
        )


def warn_of_index(table: Any) -> None:
    """Warn of an index that is data, which synthetic rows do not have."""
    if not isinstance(table, pd.DataFrame):
        return
    names = [name for name in table.index.names if name is not None]
    if names or not is_integer_dtype(table.index.dtype):
        warn_user(
            f"the index {' '.join(map(repr, names)) or f'of type {table.index.dtype}'} is not learned: synthetic rows "
            "are numbered from 0. Make it a column with `reset_index()`, or drop it with `reset_index(drop=True)`"
        )


def warn_of_training(fitted: FittedModel, parameters: Parameters) -> None:
    """Warn if training did not end well."""
    history = fitted.history
    warn_of_stop(history)
    if history.collapsed and fitted.encoding.layout.width > 1:
        warn_user(
            f"the posterior collapsed: z carries {sum(history.kl_per_dimension or [0.0]):.2g} nats per row, in "
            f"{history.active_units} active units of {parameters.latent_dim}. Raise `free_bits` or lower `beta`."
        )


def warn_of_stop(history: History) -> None:
    """Warn if training stopped before its end."""
    if history.stopped in ("interrupted", "diverged"):
        warn_user(f"training {history.stopped}: the model has the weights of step {history.best_step}")
