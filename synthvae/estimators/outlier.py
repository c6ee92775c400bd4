"""Outlier detection by likelihood: rows that the model finds improbable, and the cells that make them so."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae.errors import ConfigurationError
from synthvae.estimators.cells import Cells, read_cells
from synthvae.estimators.density import Margin
from synthvae.random_state import Seed
from synthvae.synthesizer.fitting import fit_features
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features

Floats = npt.NDArray[np.float64]

OWN = ("contamination", "draws")  # parameters that are not those of the model
MOST_SCORED = 10_000  # rows of training whose scores set the offset; of more, evenly spaced ones
FENCE = 1.5  # distances between quartiles below the lower one


class VAEOutlierDetector(OutlierMixin, BaseEstimator):
    """Rows that a VAE of the table finds improbable.

    A row's score is a bound on log p(x) in nats: the importance-weighted bound of the VAE, each cell being as strange
    as it is given z and the columns before it, or by itself, whichever is more. Categories count by their probability,
    numbers by their density in their own units, which falls on beyond the outermost. Numbers, strings, categories,
    dates and missing values are taken as they come; what training never saw (a category, a gap where there was none)
    is as rare as half a row.

    Args:
        contamination: Share of outliers among the rows of training, up to 0.5, which `predict` tells apart; "auto":
            those whose scores lie further than 1.5 distances between quartiles below the lower one (Tukey 1977,
            Exploratory data analysis).
        draws: Draws of z for the importance-weighted bound (Burda et al. 2016, https://arxiv.org/abs/1509.00519); one
            gives the ELBO.
        latent_dim: Dimensions of z.
        decoder: "autoregressive" (each column given those before it) or "factorized" (independent given z).
        beta: Weight of the KL term.
        free_bits: Nats of information for each latent dimension, all together, that the KL term leaves free.
        width: Units of encoder and decoder.
        dropout: Dropout in training; None: 0.1 below 2048 rows, otherwise 0; of pixels 0.
        max_steps: Largest number of optimiser steps; None follows the rows: 1000 for 30,000, at most 1600 for fewer.
        batch_size: Rows of a step; None: 512, or 64 below 2048 rows.
        learning_rate: Peak learning rate.
        validation_fraction: Share of the rows held out for early stopping; None: a tenth; of less than 2048 rows a
            fifth, which is learned, too, in the end.
        device: "auto", "cpu", "cuda", ...
        precision: In which the networks are computed while gradients are found: "float32" or "bfloat16".
        verbose: Whether to show progress on stderr.
        random_state: Seed of everything that is drawn.

    Attributes:
        synthesizer_: The fitted `Synthesizer` behind it.
        offset_: The score below which a row is an outlier.
        surprise_: Mean of -log p (columns,) in nats of each column in training, from which `explain` counts.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> X, _ = load_wine(return_X_y=True)
        >>> detector = VAEOutlierDetector(contamination=0.1, max_steps=50, random_state=0)
        >>> int((detector.fit_predict(X) == -1).sum())
        18
    """

    def __init__(
        self,
        *,
        contamination: float | str = "auto",
        draws: int = 8,
        latent_dim: int = 8,
        decoder: str = "autoregressive",
        beta: float = 1.0,
        free_bits: float = 0.2,
        width: int = 128,
        dropout: float | None = None,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        validation_fraction: float | None = None,
        device: str = "auto",
        precision: str = "float32",
        verbose: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.contamination = contamination
        self.draws = draws
        self.latent_dim = latent_dim
        self.decoder = decoder
        self.beta = beta
        self.free_bits = free_bits
        self.width = width
        self.dropout = dropout
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn X (rows, columns), an array or a table.

        Args:
            X: The rows, outliers among them or not.
            y: Ignored; here for scikit-learn.

        Raises:
            ConfigurationError: A parameter is outside its domain.
            TableError: X cannot be learned; the message names the column.
        """
        del y
        _check(self.contamination, self.draws)
        table = read_features(self, X, reset=True)
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}
        self.synthesizer_ = Synthesizer(**parameters)
        self.synthesizer_.learned_ = fit_features(self.synthesizer_, table, conditional_encoder=False)
        cells = read_cells(self.synthesizer_.encoding_, table)
        columns = enumerate(self.synthesizer_.encoding_.columns.items())
        self._margins = {
            name: Margin.learn(cells.states[:, place], column.levels, cells.numbers.get(name))
            for place, (name, column) in columns
        }
        scores, parts = self._assess(read_cells(self.synthesizer_.encoding_, _thinned(table)))
        self.surprise_ = pd.Series(-parts.mean(0), list(self.synthesizer_.encoding_.columns))[table.column_names]
        self.offset_ = _offset(scores, self.contamination)
        return self

    def score_samples(self, X: Any) -> Floats:
        """Return a bound (rows,) on log p(x) in nats, numbers in units of their spread: the lower, the stranger.

        Raises:
            TableError: A column is absent, unknown, or of another type. Columns of a table may stand in any order.
        """
        return self._assess(self._cells(X))[0]

    def decision_function(self, X: Any) -> Floats:
        """Return `score_samples` less `offset_` (rows,): below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return -1 for outliers and 1 for other rows (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return by how many nats each cell (rows, columns) is stranger than its column is in training.

        That is -log p of the cell, by itself or given z and the columns that the model reads before it, whichever is
        more, less `surprise_`. What a row's score has beside its cells is how strange z is.

        Raises:
            TableError: A column is absent, unknown, or of another type.
        """
        parts = self._assess(self._cells(X))[1]
        index = X.index if isinstance(X, pd.DataFrame) else None
        cells = pd.DataFrame(-parts, index, list(self.synthesizer_.encoding_.columns))
        return cells[list(self.surprise_.index)].sub(self.surprise_)

    def _cells(self, X: Any) -> Cells:
        check_is_fitted(self)
        encoding = self.synthesizer_.encoding_
        return read_cells(encoding, read_features(self, X, reset=False).select(encoding.names))

    def _assess(self, cells: Cells) -> tuple[Floats, Floats]:
        """The scores (rows,), and the parts (rows, columns) that columns have in them, as the encoding orders them."""
        bound, given = self.synthesizer_.learned_.by_column(cells.codes, self.draws)
        absent = np.full(len(bound), np.nan)
        valued = self.synthesizer_.encoding_.layout.valued_names
        scores = dict(zip(valued, cells.codes.values.T.astype(np.float64), strict=True))
        parts = np.empty_like(given)
        for place, (name, margin) in enumerate(self._margins.items()):
            numbers = cells.numbers.get(name, absent), scores.get(name, absent)
            parts[:, place] = margin.cells(given[:, place], cells.states[:, place], *numbers)
        return bound + (parts - given).sum(1), parts

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _thinned(table: pa.Table) -> pa.Table:
    """Rows that show how scores are distributed."""
    return table.take(np.unique(np.linspace(0, table.num_rows - 1, MOST_SCORED).astype(np.int64)))


def _check(contamination: Any, draws: Any) -> None:
    share = isinstance(contamination, Real) and 0 < float(contamination) <= 0.5
    if contamination != "auto" and not share:
        raise ConfigurationError(
            f"`contamination` must be 'auto' or a share above 0 and up to 0.5, however, it is {contamination!r}"
        )
    if not isinstance(draws, Integral) or draws < 1:
        raise ConfigurationError(f"`draws` must be a whole number from 1, however, it is {draws!r}")


def _offset(scores: Floats, contamination: float | str) -> float:
    if isinstance(contamination, str):
        low, high = np.quantile(scores, [0.25, 0.75])
        return float(low - FENCE * (high - low))
    return float(np.percentile(scores, 100 * contamination))
