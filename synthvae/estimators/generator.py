"""A `Synthesizer` of X together with y, which generates both for other estimators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import clone

from synthvae import filesystem
from synthvae.errors import ConfigurationError, PrivacyError, warn_user
from synthvae.estimators.containers import WEIGHT, Labels, Mask, free_name
from synthvae.schema.schema import Schema
from synthvae.synthesizer.fitting import fit_features
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert
from synthvae.training import SMALL

ATTEMPTS = 8  # to draw rows in the place of those that a filter rejected
STEPS, STEPS_OF_MANY = 200, 500  # of the default generator: cross-validation fits many, and more steps gain little

GENERATOR = (
    "The `Synthesizer` whose parameters are used. None: the default parameters with at most 200 steps, or 500 from "
    "2048 rows."
)
"""Description of the parameter `generator` of estimators."""


class JointGenerator:
    """A generative model of X together with y.

    Args:
        synthesizer: The fitted synthesizer.
        target: The name of y among its columns.
    """

    def __init__(self, synthesizer: Synthesizer, target: str) -> None:
        self.synthesizer, self.target = synthesizer, target

    @classmethod
    def fit(
        cls,
        generator: Synthesizer | None,
        features: pa.Table,
        y: pd.Series,
        seed: int,
        weights: npt.NDArray[np.float64] | None = None,
        *,
        ids: bool = False,
    ) -> Self:
        """Fit a clone of `generator` to features (rows, columns) and y (rows,).

        Args:
            generator: The parameters; None: the default ones.
            features: The rows x.
            y: Their targets.
            seed: Seed of all random draws.
            weights: The weight of each row (rows,); None: all weigh the same.
            ids: Whether columns that number the rows are ids, of which new ones are generated, and not integers.

        Raises:
            ConfigurationError: The generator has a target of its own, or is not a `Synthesizer`.
            PrivacyError: It has a privacy budget.
            TableError: A model cannot be fitted to the rows; the message names the column.
        """
        steps = STEPS if len(features) < SMALL else STEPS_OF_MANY
        own = Synthesizer(max_steps=steps) if generator is None else clone(generator)
        if not isinstance(own, Synthesizer):
            raise ConfigurationError(f"`generator` must be a Synthesizer, got {own!r}.")
        _refuse_target_and_budget(own)
        target = free_name(features.column_names)
        labels = convert.read(pd.DataFrame({target: y}))
        table = features.append_column(target, labels.column(0))
        own.set_params(target=target, random_state=seed, schema=_with_labels(own.schema, labels))
        if weights is not None:
            name = free_name(table.column_names, WEIGHT)
            table = table.append_column(name, pa.array(weights))
            own.set_params(weights=name)
        own.learned_ = fit_features(own, table, ids=ids)
        return cls(own, target)

    def sample(self, rows: int | Mapping[Any, int], seed: int) -> tuple[pd.DataFrame, Labels]:
        """Return synthetic rows (rows, columns) and their y (rows,): a total number, or numbers per class."""
        drawn = self.synthesizer.sample(rows, seed)
        return drawn.drop(columns=self.target), drawn[self.target].to_numpy()

    def sample_filtered(
        self, rows: Mapping[Any, int], seed: int, accept: Callable[[pd.DataFrame, Labels], Mask] | None
    ) -> tuple[pd.DataFrame, Labels]:
        """Return synthetic rows that a filter accepts, so many of each class.

        If the filter accepts too few after several attempts, the rest is unfiltered, with a warning.
        """
        if accept is None:
            return self.sample(rows, seed)
        parts, left = [self.sample(dict.fromkeys(rows, 0), seed)], dict(rows)
        for attempt in range(ATTEMPTS):
            drawn, labels = self.sample(left, seed + attempt)
            accepted = accept(drawn, labels) if len(drawn) else np.zeros(0, bool)
            parts.append((drawn[accepted], labels[accepted]))
            left = {label: count - int((labels[accepted] == label).sum()) for label, count in left.items()}
        if any(left.values()):
            warn_user(f"the filter rejects too many synthetic rows: {sum(left.values())} rows were added unfiltered")
            parts.append(self.sample(left, seed + ATTEMPTS))
        frames, labels_of = zip(*parts, strict=True)
        return pd.concat(frames, ignore_index=True), np.concatenate(labels_of)

    def log_likelihood(self, rows: pd.DataFrame, y: Labels) -> npt.NDArray[np.float64]:
        """Return the bound (rows,) on log p(x | y) in nats for rows (rows, columns) with y (rows,)."""
        fitted = self.synthesizer.learned_
        target = fitted.encoding.target
        labels = pd.Categorical(y, categories=None if target is None else target.labels)
        return fitted.log_likelihood(fitted.encode(convert.read(rows.assign(**{self.target: labels}))))

    def log_posterior(self, features: pa.Table, y: Labels) -> npt.NDArray[np.float64]:
        """Return log q(y | x) (rows, classes) in nats, up to a constant per row.

        It is proportional to p(y) exp(ELBO(x, y)), see `synthvae.training.semi_supervised`.

        Args:
            features: The rows x.
            y: Labels (any rows,), whose frequencies are p(y).
        """
        rows = convert.to_pandas(features)
        labels, counts = np.unique(y, return_counts=True)
        bounds = [self.log_likelihood(rows, np.repeat(label, len(rows))) for label in labels]
        return np.asarray(np.stack(bounds, 1) + np.log(counts / counts.sum()))


def _refuse_target_and_budget(generator: Synthesizer) -> None:
    if generator.target is not None:
        raise ConfigurationError(
            f"The target of a generator is y, and `generator` has target={generator.target!r}. Pass one with "
            "target=None."
        )
    if generator.weights is not None:
        raise ConfigurationError(
            f"The weights of a generator are `sample_weight`, and `generator` has weights={generator.weights!r}. Pass "
            "one with weights=None."
        )
    if generator.privacy is not None:
        raise PrivacyError(
            "`generator` has a privacy budget, which cannot cover an estimator that is fitted to the real rows, too. "
            "Pass one with privacy=None, or fit a Synthesizer and train on its synthetic rows alone."
        )


def _with_labels(schema: Any, labels: pa.Table) -> Any:
    """The schema of a generator, extended by that of the labels; None if there is none."""
    if schema is None:
        return None
    given = schema if isinstance(schema, Schema) else Schema.from_yaml(filesystem.local_path(schema, "A schema"))
    return given.model_copy(update={"columns": (*given.columns, *Schema.infer(labels).columns)})
