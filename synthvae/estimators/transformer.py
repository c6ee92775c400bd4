"""A VAE as a scikit-learn transformer: from rows to latent means and back."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from synthvae.encoding import Codes
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.errors import ConfigurationError, RequestError, TableError, listing, warn_user
from synthvae.estimators._sklearn_compat import check_sample_weight
from synthvae.estimators.cells import without_unknown
from synthvae.estimators.containers import WEIGHT, classes, free_name
from synthvae.generation import drawing
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.fitting import fit_features
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.reconstruction import reconstruct
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert
from synthvae.tables.features import is_array, read_features
from synthvae.training.config import EffortName

IMAGES = 3  # dimensions of an array of images
UNKNOWN = ("error", "ignore", "warn")
DRAWS = 64  # per row, of which `reconstruct` takes the mean


@documented(
    decoder='"factorized" (all that columns share must pass through z), "autoregressive" (each column given the '
    'columns before it) or, with likelihood="gaussian" or "bernoulli", "linear" (no hidden layer: factor analysis).',
    prior='"auto" ("class_normal" with a y, "mixture" for pixels or an autoencoder, "standard_normal" without a y), '
    '"standard_normal" (which ignores y), "class_normal" (one normal per class), "mixture" (of normals) or "vamp" (a '
    "mixture of the posteriors of trained pseudo-inputs). Each class has its own weights of the components of a "
    "mixture.",
    image_shape="Height and width (h, w) of images: the networks are convolutional, and X may have the shape "
    "(rows, h, w). None: no images.",
    learning_rate="Peak learning rate. None: 0.006 below 2048 rows, up to 0.01 for 6,000 rows and more; 0.003 where "
    'the decoder is not "autoregressive".',
    handle_unknown="What `transform` does with categories that did not occur in training, in the words of "
    '`OneHotEncoder`: "error" (raise), "ignore" (treat the value as not observed: the encoder sees the rest of the '
    'row) or "warn" ("ignore", with a warning that names the columns). Missing values and numbers are never unknown.',
)
class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Latent means of a VAE as features.

    With a y, the prior of z has parameters per class (per decile of a continuous y), so that classes separate in z. The
    encoder is not conditional on y, so that `transform` neither needs nor leaks it. X may have numbers, strings,
    categories, timestamps and missing values. Most users need the first parameters only.

    Args:
        {latent_dim, effort, max_steps, device, verbose, random_state}
        {batch_size, learning_rate, validation_fraction, precision}
        {width, dropout, decoder}
        {prior, components, posterior, likelihood, variance, image_shape}
        {beta, free_bits, warm_up, corruption, handle_unknown}

    Attributes:
        synthesizer_: The fitted `Synthesizer`.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True)
        >>> VAETransformer(latent_dim=2, max_steps=50, random_state=0).fit_transform(X, y).shape
        (178, 2)
    """

    def __init__(
        self,
        latent_dim: int = 8,
        *,
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
        decoder: str = "factorized",
        prior: str = "auto",
        components: int | None = None,
        posterior: str = "normal",
        likelihood: str = "auto",
        variance: float | None = None,
        image_shape: tuple[int, int] | None = None,
        beta: float | None = None,
        free_bits: float = 0.2,
        warm_up: float = 0.1,
        corruption: float = 0.0,
        handle_unknown: str = "error",
    ) -> None:
        self.latent_dim = latent_dim
        self.effort, self.max_steps = effort, max_steps
        self.device, self.verbose, self.random_state = device, verbose, random_state
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.validation_fraction, self.precision = validation_fraction, precision
        self.width, self.dropout, self.decoder = width, dropout, decoder
        self.prior, self.components, self.posterior = prior, components, posterior
        self.likelihood, self.variance, self.image_shape = likelihood, variance, image_shape
        self.beta, self.free_bits, self.warm_up, self.corruption = beta, free_bits, warm_up, corruption
        self.handle_unknown = handle_unknown

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to X (rows, columns), an array or a table, and y (rows,).

        Args:
            X: The rows.
            y: Classes, or a continuous target; None: the prior does not depend on it.
            sample_weight: Weights (rows,) of at least 0: the loss is the weighted mean over the rows, and rows of
                weight 0 are not used. None: all rows weigh the same.

        Raises:
            ValueError: X or y is invalid; the message names the column.
        """
        if self.handle_unknown not in UNKNOWN:
            raise ConfigurationError(f"`handle_unknown` must be one of {UNKNOWN}, got {self.handle_unknown!r}.")
        table = read_features(self, self._flat(X), reset=True)
        target, prior = None, self._prior(y)
        if y is not None:
            labels = classes(y)
            check_consistent_length(table.column(0), labels)
        if y is not None and prior != "standard_normal":
            target = free_name(table.column_names)
            table = table.append_column(target, convert.read(pd.DataFrame({target: labels})).column(0))
        table, weights = _weighted(table, sample_weight)
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "handle_unknown"}
        parameters |= {"target": target, "prior": prior, "weights": weights, "protect": 0}
        self.synthesizer_ = Synthesizer(**parameters)
        self.synthesizer_.learned_ = fit_features(self.synthesizer_, table, conditional_encoder=False)
        self._array_in, self._images_in = is_array(X), getattr(X, "ndim", 2) == IMAGES
        return self

    def _prior(self, y: Any) -> str:
        if self.prior != "auto":
            return self.prior
        if y is None:
            return "standard_normal"
        return "mixture" if self.posterior == "point" or self.likelihood != "auto" else "class_normal"

    def transform(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the posterior means (rows, latent_dim) of q(z | x).

        Args:
            X: The rows; the columns of a table may be in any order.

        Raises:
            TableError: A column is absent or unknown, or a category did not occur in training and `handle_unknown` is
                "error".
        """
        codes = self._codes(X)
        means = self.synthesizer_.learned_.posterior_mean(codes)
        return means.astype(np.float32) if getattr(X, "dtype", None) == np.float32 else means

    def _codes(self, X: Any) -> Codes:
        check_is_fitted(self)
        encoding, table = self.synthesizer_.encoding_, read_features(self, self._flat(X), reset=False)
        if self.handle_unknown == "error":
            return encoding.encode(table)
        unknown = [name for name, column in encoding.columns.items() if column.unseen(name, table.column(name)).any()]
        unknown = [name for name in unknown if isinstance(encoding.columns[name], CategoricalEncoding)]
        if not unknown:
            return encoding.encode(table)
        if self.handle_unknown == "warn":
            warn_user(f"Columns {listing(unknown)} hold categories that did not occur in training. They are ignored.")
        return without_unknown(encoding, table, unknown)

    def _flat(self, X: Any) -> Any:
        """Images (rows, h, w) as rows (rows, h w)."""
        if self.image_shape is None or getattr(X, "ndim", 2) != IMAGES:
            return X
        if tuple(X.shape[1:]) != tuple(self.image_shape):
            raise TableError(
                f"Images must have the shape {tuple(self.image_shape)} of `image_shape`, got {tuple(X.shape[1:])}."
            )
        return np.asarray(X).reshape(len(X), -1)

    def inverse_transform(self, X: Any, random_state: Seed = None, *, temperature: float = 1.0) -> Any:
        """Return rows drawn from p(x | z) for given z, in an array or DataFrame as in `fit`.

        With likelihood="bernoulli", grey pixels are means.

        Args:
            X: The latents z (rows, latent_dim).
            random_state: Seed of the draws. None: that of the estimator.
            temperature: Randomness of x: 1 draws from p(x | z), 0 takes the most probable values.

        Raises:
            ValueError: X does not have `latent_dim` columns, or the temperature is negative.
        """
        check_is_fitted(self)
        z = check_array(X, dtype=np.float32)
        if z.shape[1] != self._n_features_out:
            raise RequestError(f"Latents must have {self._n_features_out} columns, got {z.shape[1]} columns.")
        seed = as_seed(self._own(random_state))
        fitted = self.synthesizer_.learned_
        table = drawing.decode(fitted.model, fitted.encoding, z, seed, temperature=temperature)
        return self._like_input(convert.to_pandas(table))

    def reconstruct(self, X: Any, random_state: Seed = None) -> Any:
        """Return reconstructed rows, in an array or DataFrame as in `fit`.

        With likelihood="bernoulli" or "gaussian" these are E[x | z] at the latent means, without random draws.
        Otherwise they are the means of numbers and the most probable other values over 64 draws from the posterior;
        `synthesizer_.reconstruct` also returns standard deviations and probabilities.

        Args:
            X: Rows with the columns of `fit`.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            TableError: X is invalid, see `transform`.
        """
        codes, fitted = self._codes(X), self.synthesizer_.learned_
        if not fitted.model.config.pixels:
            return self._like_input(reconstruct(fitted, codes, DRAWS, as_seed(self._own(random_state))).mean)
        means = fitted.reconstruct(codes)
        return self._shaped(means) if self._array_in else pd.DataFrame(means, columns=list(self.feature_names_in_))

    def sample_like(self, X: Any, n: int = 1, temperature: float = 1.0, random_state: Seed = None) -> Any:
        """Return n synthetic rows for each row of X, in the order of X, in an array or DataFrame as in `fit`.

        Args:
            X: Rows with the columns of `fit`.
            n: The number of synthetic rows per row.
            temperature: Scale of the standard deviation of z and of the randomness of x: 1 draws z from q(z | x) and x
                from p(x | z); 0 takes the posterior mean and the most probable values.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: n or the temperature is negative.
        """
        codes = self._codes(X)
        drawn = self.synthesizer_.learned_.sample_like(codes, n, temperature, as_seed(self._own(random_state)))
        return self._like_input(convert.to_pandas(drawn))

    def _like_input(self, frame: pd.DataFrame) -> Any:
        target = self.synthesizer_.target
        frame = frame if target is None else frame.drop(columns=target)
        return self._shaped(frame.to_numpy()) if self._array_in else frame

    def _shaped(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Rows (rows, h w) as images (rows, h, w) if `fit` was given images."""
        return array.reshape(len(array), *self.image_shape) if self._images_in and self.image_shape else array

    def _own(self, random_state: Seed) -> Seed:
        return self.random_state if random_state is None else random_state

    def sample(self, n: int, y: Any = None, random_state: Seed = None) -> Any:
        """Return n synthetic rows, in an array or DataFrame as in `fit`.

        Args:
            n: The number of rows.
            y: Their class. None: classes have the shares of the training rows.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: The class is unknown, or the prior does not depend on a y.
        """
        check_is_fitted(self)
        return self._like_input(self.synthesizer_.sample(n if y is None else {y: n}, self._own(random_state)))

    def score_samples(self, X: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x) in nats, with the class marginalised.

        Categories contribute their probability, continuous numbers the density of their normal scores, pixels the
        density of the numbers themselves.

        Args:
            X: The rows.
            k: 1 for the evidence lower bound, more for the importance-weighted bound of k draws of z.
            proposal: Distribution of the draws of z: "posterior", or "prior" for the naive estimate.

        Raises:
            RequestError: k is less than 1, there is no such proposal, or the model is an autoencoder and the proposal
                is "posterior".
        """
        codes = self._codes(X)
        return self.synthesizer_.learned_.log_evidence(codes, k, proposal)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`, which `GridSearchCV` maximises."""
        del y
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return int(self.synthesizer_.model_.config.latent_dim)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "synthesizer_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        mixed = self.likelihood == "auto"
        tags.input_tags.allow_nan = mixed
        tags.input_tags.string = True  # columns of numbers may be strings
        tags.input_tags.categorical = mixed
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _weighted(table: pa.Table, sample_weight: Any) -> tuple[pa.Table, str | None]:
    """A table with a column of weights, and its name; None without weights."""
    if sample_weight is None:
        return table, None
    weights = check_sample_weight(sample_weight, np.zeros((table.num_rows, 1)), ensure_non_negative=True)
    if not weights.any():
        raise ConfigurationError("Sample weights must not all be zero.")
    name = free_name([*table.column_names], WEIGHT)
    return table.append_column(name, pa.array(weights)), name
