"""Outlier detection by likelihood: improbable rows, and the cells that make them improbable."""

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
from synthvae.estimators.marginal_density import Marginal
from synthvae.random_state import Seed
from synthvae.synthesizer.fitting import fit_features
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features
from synthvae.training.config import EffortName

Floats = npt.NDArray[np.float64]

OWN = ("contamination", "draws")  # parameters that are not those of the synthesizer
MOST_SCORED = 10_000  # training rows whose scores set the offset; of more rows, evenly spaced ones
FENCE = 1.5  # interquartile ranges below the lower quartile


@documented(
    contamination="Share of outliers among the training rows, up to 0.5, by which `predict` sets its threshold. "
    '"auto": rows whose scores are more than 1.5 interquartile ranges below the lower quartile (Tukey 1977, '
    "Exploratory data analysis).",
    draws="Draws of z for the importance-weighted bound (Burda et al. 2016, https://arxiv.org/abs/1509.00519); one "
    "draw gives the ELBO.",
    decoder='"autoregressive" (each column given the columns before it) or "factorized" (columns independent given z).',
    beta="Weight of the KL term.",
    learning_rate="Peak learning rate. None: 0.006 below 2048 rows, up to 0.01 for 6,000 rows and more; 0.003 where "
    'the decoder is not "autoregressive".',
)
class VAEOutlierDetector(OutlierMixin, BaseEstimator):
    """Detector of rows that are improbable under a VAE of the table.

    The score of a row is a bound on log p(x) in nats: the importance-weighted bound of the VAE, in which each cell
    contributes the smaller of its log probability given z and the columns before it, and its marginal log probability.
    Categories contribute probabilities, numbers densities in units of their spread, which decrease beyond the outermost
    numbers. X may have numbers, strings, categories, timestamps and missing values. A value that did not occur in
    training (a category, a missing value in a complete column) has the probability of half a row.

    Args:
        {contamination, draws, latent_dim, effort, max_steps, device, verbose, random_state}
        {batch_size, learning_rate, validation_fraction, precision}
        {width, dropout, decoder, beta, free_bits}

    Attributes:
        synthesizer_: The fitted `Synthesizer`.
        offset_: The score below which a row is an outlier.
        surprise_: Mean of -log p (columns,) in nats of each column in training, which `explain` subtracts.
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
        effort: EffortName = "balanced",
        max_steps: int | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Seed = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        precision: str = "float32",
        width: int | None = None,
        dropout: float | None = None,
        decoder: str = "autoregressive",
        beta: float = 1.0,
        free_bits: float = 0.2,
    ) -> None:
        self.contamination, self.draws, self.latent_dim = contamination, draws, latent_dim
        self.effort, self.max_steps = effort, max_steps
        self.device, self.verbose, self.random_state = device, verbose, random_state
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.validation_fraction, self.precision = validation_fraction, precision
        self.width, self.dropout, self.decoder = width, dropout, decoder
        self.beta, self.free_bits = beta, free_bits

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to X (rows, columns), an array or a table.

        Args:
            X: The rows, with or without outliers.
            y: Ignored; exists for compatibility with scikit-learn.

        Raises:
            ConfigurationError: A parameter is outside its domain.
            TableError: A model cannot be fitted to X; the message names the column.
        """
        del y
        _check(self.contamination, self.draws)
        table = read_features(self, X, reset=True)
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}
        self.synthesizer_ = Synthesizer(**parameters, protect=0)  # extremes are what it finds
        self.synthesizer_.learned_ = fit_features(self.synthesizer_, table, conditional_encoder=False)
        cells = read_cells(self.synthesizer_.encoding_, table)
        columns = enumerate(self.synthesizer_.encoding_.columns.items())
        self._marginals = {
            name: Marginal.fit(cells.states[:, place], column.levels, cells.numbers.get(name))
            for place, (name, column) in columns
        }
        scores, terms = self._score(read_cells(self.synthesizer_.encoding_, _evenly_spaced(table)))
        self.surprise_ = pd.Series(-terms.mean(0), list(self.synthesizer_.encoding_.columns))[table.column_names]
        self.offset_ = _offset(scores, self.contamination)
        return self

    def score_samples(self, X: Any) -> Floats:
        """Return a bound (rows,) on log p(x) in nats, with numbers in units of their spread; low for outliers.

        Args:
            X: The rows; the columns of a table may be in any order.

        Raises:
            TableError: A column is absent, unknown, or of another type.
        """
        return self._score(self._cells(X))[0]

    def decision_function(self, X: Any) -> Floats:
        """Return `score_samples` minus `offset_` (rows,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return -1 for outliers and 1 for other rows (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return the excess of -log p of each cell (rows, columns) in nats over its mean in training, `surprise_`.

        The log probability of a cell is the smaller of its marginal one and that given z and the columns before it. The
        score of a row has one more term, which is that of z.

        Args:
            X: The rows; the columns of a table may be in any order.

        Raises:
            TableError: A column is absent, unknown, or of another type.
        """
        terms = self._score(self._cells(X))[1]
        index = X.index if isinstance(X, pd.DataFrame) else None
        cells = pd.DataFrame(-terms, index, list(self.synthesizer_.encoding_.columns))
        return cells[list(self.surprise_.index)].sub(self.surprise_)

    def _cells(self, X: Any) -> Cells:
        check_is_fitted(self)
        encoding = self.synthesizer_.encoding_
        return read_cells(encoding, read_features(self, X, reset=False).select(encoding.names))

    def _score(self, cells: Cells) -> tuple[Floats, Floats]:
        """The scores (rows,), and their terms (rows, columns) in the order of the encoding."""
        bound, given = self.synthesizer_.learned_.log_likelihood_by_column(cells.codes, self.draws)
        absent = np.full(len(bound), np.nan)
        valued = self.synthesizer_.encoding_.layout.valued_names
        scores = dict(zip(valued, cells.codes.values.T.astype(np.float64), strict=True))
        terms = np.empty_like(given)
        for place, (name, marginal) in enumerate(self._marginals.items()):
            numbers = cells.numbers.get(name, absent), scores.get(name, absent)
            terms[:, place] = marginal.log_probability(given[:, place], cells.states[:, place], *numbers)
        return bound + (terms - given).sum(1), terms

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _evenly_spaced(table: pa.Table) -> pa.Table:
    """At most `MOST_SCORED` rows."""
    return table.take(np.unique(np.linspace(0, table.num_rows - 1, MOST_SCORED).astype(np.int64)))


def _check(contamination: Any, draws: Any) -> None:
    share = isinstance(contamination, Real) and 0 < float(contamination) <= 0.5
    if contamination != "auto" and not share:
        raise ConfigurationError(
            f'`contamination` must be "auto" or a number above 0 and at most 0.5, got {contamination!r}.'
        )
    if not isinstance(draws, Integral) or draws < 1:
        raise ConfigurationError(f"`draws` must be an integer of at least 1, got {draws!r}.")


def _offset(scores: Floats, contamination: float | str) -> float:
    if isinstance(contamination, str):
        low, high = np.quantile(scores, [0.25, 0.75])
        return float(low - FENCE * (high - low))
    return float(np.percentile(scores, 100 * contamination))
