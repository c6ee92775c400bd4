"""A table and synthetic rows under it, which a column tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.encoding import TargetEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.estimators.strategy import Strategy, rows_to_make
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.configuration import schema_of, target_in
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert

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
    """Learn a table and return it with synthetic rows of its scarce classes under it.

    Args:
        table: A DataFrame, a `pyarrow.Table`, a path, ...
        synthesizer: What learns it; its `target` is the column of the classes.
        strategy: Which classes get rows, as of `VAEOverSampler`; classes may be named by their text.
        mark: The name of the boolean column that says whether a row is synthetic.
        synthetic_only: Whether the real rows are left out.
        random_state: Seed of the draws; None uses the synthesizer's own.

    Raises:
        RequestError: There is no target of classes, no such rows can be asked for, or a column has the name `mark`.
        TableError: The table cannot be learned.
        PrivacyError: The synthesizer has a privacy budget: how many rows each class lacks is counted exactly.
    """
    read = convert.read(table)
    if mark in read.column_names:
        raise RequestError(f"the mark must be a new column, however, there is one named {mark!r}: name another")
    target = _classes(synthesizer, read)
    labels = np.asarray(read.column(target.name).drop_null().to_pylist(), dtype=object)
    asked = rows_to_make(_named(strategy, target), labels)
    learned = synthesizer.fit(read).learned_
    seed = as_seed(synthesizer.random_state if random_state is None else random_state)
    made = learned.sample(learned.request(asked, seed)).select(read.column_names)
    parts = [_marked(made, mark, synthetic=True)]
    if not synthetic_only:
        parts.insert(0, _marked(read.cast(made.schema), mark, synthetic=False))
    return pa.concat_tables(parts)


def _classes(synthesizer: Synthesizer, table: pa.Table) -> TargetEncoding:
    """The classes of the target, found before anything is learned."""
    if synthesizer.privacy is not None:
        raise PrivacyError(
            "real rows and exact counts of them are written, which no budget covers, however, there is one: fit with "
            "it, then generate"
        )
    name = target_in(synthesizer, table)
    if name is None:
        raise RequestError("rows of scarce classes need a target, however, the synthesizer has none: name one")
    schema = schema_of(synthesizer, table)
    found = TargetEncoding.learn(schema[name], table.column(name), min_class_rows=2)
    if found.classes is None:
        raise RequestError(
            f"rows of scarce classes need classes, however, {name!r} is continuous: choose another target"
        )
    return found


def _named(strategy: Strategy, target: TargetEncoding) -> Strategy:
    """A strategy that names the classes as the table does, though a shell gave them as text."""
    if not isinstance(strategy, Mapping):
        return strategy
    return {target.labels[target.index(label)]: count for label, count in strategy.items()}


def _marked(table: pa.Table, mark: str, *, synthetic: bool) -> pa.Table:
    return table.append_column(mark, pa.array(np.full(table.num_rows, synthetic)))
