"""Extend a table by synthetic rows of its small classes, with a column that distinguishes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.encoding import TargetEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.estimators.sampling_strategy import Strategy, rows_to_make, warn_of_few_rows
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.configuration import dropped
from synthvae.synthesizer.roles import schema_of, target_in
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert
from synthvae.tables.selection import without

MARK = "synthetic"


def augment(
    table: Any,
    synthesizer: Synthesizer,
    strategy: Strategy = "auto",
    *,
    mark: str = MARK,
    synthetic_only: bool = False,
    random_state: Seed = None,
) -> pa.Table:
    """Fit a synthesizer to a table and return the table followed by synthetic rows of its small classes.

    The real rows are returned as they are: what is protected (see `Synthesizer`) is what the model learns. Ids, and the
    `unit` of the synthesizer, are new ones in synthetic rows.

    Args:
        table: Any table that `Synthesizer.fit` accepts. Columns that the schema drops are not in the result.
        synthesizer: The synthesizer, which is fitted in place; its `target` is the column of the classes.
        strategy: The classes that get synthetic rows, as for `VAEOverSampler`. Classes may be named by their text.
        mark: The name of the boolean column that is true for synthetic rows.
        synthetic_only: Whether to leave out the real rows.
        random_state: Seed of the draws. None: that of the synthesizer.

    Raises:
        RequestError: There is no target of classes, the strategy is invalid, or a column has the name `mark`.
        TableError: A model cannot be fitted to the table.
        PrivacyError: The synthesizer has a privacy budget: the number of rows of each class is not private.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> wine = load_wine(as_frame=True).frame
        >>> augment(wine, Synthesizer(target="target", max_steps=50, random_state=0), {0: 100}).num_rows
        219
    """
    real = convert.read(without(table, dropped(synthesizer)))
    if mark in real.column_names:
        raise RequestError(f"`mark` must be the name of a new column, and the table has one named {mark!r}.")
    target = _target(synthesizer, real)
    labels = np.asarray(real.column(target.name).drop_null().to_pylist(), dtype=object)
    rows = rows_to_make(_with_classes(strategy, target), labels)
    warn_of_few_rows(rows, labels)
    fitted = synthesizer.fit(real).learned_
    seed = as_seed(synthesizer.random_state if random_state is None else random_state)
    synthetic = fitted.sample(fitted.request(rows, seed)).select(real.column_names)
    parts = [(synthetic, True)] if synthetic_only else [(real.cast(synthetic.schema), False), (synthetic, True)]
    return pa.concat_tables(
        [part.append_column(mark, pa.array(np.full(part.num_rows, is_synthetic))) for part, is_synthetic in parts]
    )


def _target(synthesizer: Synthesizer, table: pa.Table) -> TargetEncoding:
    """The classes of the target, before anything is fitted.

    Raises:
        PrivacyError, RequestError, TableError: See `augment`.
    """
    if synthesizer.privacy is not None:
        raise PrivacyError(
            "A privacy budget does not cover augmentation, which returns real rows and counts them exactly, and the "
            "synthesizer has one. Fit it, then generate."
        )
    if synthesizer.weights is not None:
        raise RequestError(
            f"`weights` must be None for augmentation, got {synthesizer.weights!r}: real rows keep their weights, and "
            "synthetic rows have none. Drop the column, or generate a whole table."
        )
    name = target_in(synthesizer, table)
    if name is None:
        raise RequestError("Augmentation needs a target of classes, and the synthesizer has target=None. Name one.")
    schema = schema_of(synthesizer, table)
    found = TargetEncoding.learn(schema[name], table.column(name), min_class_rows=2)
    if found.classes is None:
        raise RequestError(f"Augmentation needs a target of classes, and {name!r} is continuous. Name another column.")
    return found


def _with_classes(strategy: Strategy, target: TargetEncoding) -> Strategy:
    """A strategy with the classes of the table in the place of their text, which the command line passes."""
    if not isinstance(strategy, Mapping):
        return strategy
    return {target.labels[target.index(label)]: count for label, count in strategy.items()}
