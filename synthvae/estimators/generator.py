"""Rows for estimators: a `Synthesizer` that learns X together with y, and makes both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import clone

from synthvae.errors import ConfigurationError, PrivacyError
from synthvae.estimators.containers import Labels, Mask, free_name
from synthvae.schema.schema import Schema
from synthvae.synthesizer.fitting import fit_features
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert
from synthvae.training import SMALL

TURNS = 8  # in which rows are drawn anew for those that a filter refused
STEPS, STEPS_OF_MANY = 200, 500  # of a generator that nobody chose: folds are many, and more steps gain them little


class Maker:
    """What makes rows of X with their y.

    Args:
        synthesizer: Fitted to both.
        target: The name of y among the columns.
    """

    def __init__(self, synthesizer: Synthesizer, target: str) -> None:
        self.synthesizer, self.target = synthesizer, target

    @classmethod
    def learn(cls, generator: Synthesizer | None, features: pa.Table, y: pd.Series, seed: int) -> Self:
        """Fit a copy of `generator` to features (rows, columns) and y (rows,).

        Raises:
            ConfigurationError: The generator names a target of its own, or is none.
            PrivacyError: It has a privacy budget.
            TableError: The rows cannot be learned; the message names the column.
        """
        steps = STEPS if len(features) < SMALL else STEPS_OF_MANY
        own = Synthesizer(max_steps=steps) if generator is None else clone(generator)
        if not isinstance(own, Synthesizer):
            raise ConfigurationError(f"`generator` must be a Synthesizer, however, it is {own!r}")
        _refuse(own)
        target = free_name(features.column_names)
        labels = convert.read(pd.DataFrame({target: y}))
        table = features.append_column(target, labels.column(0))
        own.set_params(target=target, random_state=seed, schema=_with(own.schema, labels))
        own.learned_ = fit_features(own, table)
        return cls(own, target)

    def make(self, wanted: int | Mapping[Any, int], seed: int) -> tuple[pd.DataFrame, Labels]:
        """Return rows (rows, columns) and their y (rows,): so many in all, or of each class."""
        drawn = self.synthesizer.sample(wanted, seed)
        return drawn.drop(columns=self.target), drawn[self.target].to_numpy()

    def make_exactly(
        self, wanted: Mapping[Any, int], seed: int, keep: Callable[[pd.DataFrame, Labels], Mask] | None
    ) -> tuple[pd.DataFrame, Labels]:
        """Return so many rows of each class, of which all are kept, unless too few of those drawn would be."""
        if keep is None:
            return self.make(wanted, seed)
        parts, left = [self.make(dict.fromkeys(wanted, 0), seed)], dict(wanted)
        for turn in range(TURNS):
            rows, labels = self.make(left, seed + turn)
            kept = keep(rows, labels) if len(rows) else np.zeros(0, bool)
            parts.append((rows[kept], labels[kept]))
            left = {label: count - int((labels[kept] == label).sum()) for label, count in left.items()}
        if any(left.values()):
            warnings.warn(f"the filter refuses too much: {sum(left.values())} rows are kept unseen by it", stacklevel=4)
            parts.append(self.make(left, seed + TURNS))
        frames, labels_of = zip(*parts, strict=True)
        return pd.concat(frames, ignore_index=True), np.concatenate(labels_of)

    def log_likelihood(self, rows: pd.DataFrame, y: Labels) -> npt.NDArray[np.float64]:
        """Return the bound (rows,) on log p(x | y) in nats of rows (rows, columns) with y (rows,)."""
        kinds = self.synthesizer.learned_.encoding.target
        labels = pd.Categorical(y, categories=None if kinds is None else kinds.labels)
        learned = self.synthesizer.learned_
        return learned.log_likelihood(learned.encode(convert.read(rows.assign(**{self.target: labels}))))

    def log_posterior(self, features: pa.Table, y: Labels) -> npt.NDArray[np.float64]:
        """Return log q(y | x) (rows, classes), up to a constant a row, in nats; y (any rows,) says the classes' shares.

        It is proportional to p(y) exp(ELBO(x, y)), see `synthvae.training.semi_supervised`.
        """
        rows = convert.to_pandas(features)
        labels, counts = np.unique(y, return_counts=True)
        bounds = [self.log_likelihood(rows, np.repeat(label, len(rows))) for label in labels]
        return np.asarray(np.stack(bounds, 1) + np.log(counts / counts.sum()))


def _refuse(generator: Synthesizer) -> None:
    if generator.target is not None:
        raise ConfigurationError(
            f"the target of a generator is y, however, it names {generator.target!r}: leave `target` None"
        )
    if generator.privacy is not None:
        raise PrivacyError(
            "real rows stand beside those made, so that no budget covers what is learned, however, the generator has "
            "`privacy`: leave it None, or fit a Synthesizer of its own and learn from its rows alone"
        )


def _with(schema: Any, labels: pa.Table) -> Any:
    """The schema of a generator, with that of its labels; None stays None."""
    if schema is None:
        return None
    given = schema if isinstance(schema, Schema) else Schema.from_yaml(Path(schema))
    return given.model_copy(update={"columns": (*given.columns, *Schema.infer(labels).columns)})
