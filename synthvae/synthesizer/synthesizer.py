"""The facade: one object that learns a table, samples rows like it, and is saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from sklearn.utils import Tags

from synthvae.errors import PrivacyError
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.privacy import fit as private
from synthvae.random_state import Seed
from synthvae.schema.schema import Schema
from synthvae.synthesizer.backend import Alone
from synthvae.synthesizer.fitting import Fitting
from synthvae.synthesizer.parameters import BOUGHT
from synthvae.synthesizer.persistence import Kept
from synthvae.training.callbacks import Callbacks

__all__ = ["BOUGHT", "Synthesizer"]


class Synthesizer(Fitting):
    """A conditional VAE that learns a table and makes rows like it.

    Args:
        target: The column to condition on: its classes, or the quantile bins of a continuous one. None: no condition.
        schema: A `Schema`, the path of one in YAML, None to infer it from the table, or "private" to buy it with a part
            of the privacy budget.
        privacy: A `PrivacyBudget`, or a mapping of its fields: what all that leaves `fit` may tell of any row. It needs
            a schema that a person declared, or "private". None: nothing is promised.
        strategy: What a privacy budget buys: "gradients" (tables of each column, and gradients of a decoder), "tables"
            (of pairs of columns, too, and no gradients), or "auto", which picks by epsilon, rows and columns.
        journal: A folder in which a fit keeps what it needs to go on: the codes of a table that is too large for
            memory, and the state of training once a minute. One that is broken off and repeated, with the same table,
            parameters and seed, takes it up, and ends with the same model. A private fit keeps what it buys, and does
            not spend it twice. To be removed once the model is saved. None keeps nothing.
        decoder: "autoregressive" (each column given those before it), "factorized" (independent given z) or, of
            likelihood="gaussian" or "bernoulli", "linear" (no hidden layer: factor analysis).
        prior: "standard_normal" (encoder and decoder are told the class), "class_normal" (only the prior is: a normal
            for each class), "mixture" (of normals, learned with the model) or "vamp" (a mixture of the posteriors of
            learned pseudo-inputs); each class weighs the components of a mixture in its own way.
        components: Of a mixture; None: 16, or 100 for pixels.
        posterior: "normal", or "point": an autoencoder, whose code is a point. It has no KL and no prior to draw from;
            `sample` draws from a mixture of normals that is fitted to the codes after training.
        order: In which order columns are modelled: by "information" (each after one that says much of it), as in the
            "table", "auto" (by information if most columns are continuous), or a sequence of all their names, without
            a target of classes.
        likelihood: Of the columns: "auto" (classes, and mixtures of normals, as their kinds ask for), "bernoulli"
            (numbers in [0, 1]: black and white pixels are drawn as such, of grey ones the mean) or "gaussian" (numbers
            around a mean). The last two are for pixels and the like: all columns but a target of classes are numbers
            without gaps, independent given z and the class, even if `decoder` says "autoregressive".
        variance: Of a "gaussian" number; a fixed one means least squares. None: one for each column, learned.
        image_shape: Height and width of the image that the columns of these make, row by row: convolutions. None: none.
        latent_dim: Dimensions of z.
        beta: Weight of the KL term; None: 1, or 0.05 for grey pixels under a Bernoulli.
        free_bits: Nats of information for each latent dimension, all together, that the KL term leaves free, so that z
            stays informative.
        warm_up: Share of the steps over which the weight of the KL term rises from 0.
        corruption: Share of the cells that the encoder is not shown in training, others in each step, while whole rows
            are reconstructed: a denoising autoencoder.
        width: Units of encoder and decoder.
        dropout: Dropout in training; None: 0.1 below 2048 rows, otherwise 0; of pixels 0.
        max_steps: Largest number of optimiser steps; None follows the rows: 1000 for 30,000, at most 1600 for fewer.
            Under a privacy budget the number of steps, 300.
        batch_size: Rows of a step; None: 512, or 64 below 2048 rows; under a privacy budget 4096, on average.
        learning_rate: Peak learning rate; None: 0.003, or 0.03 under a privacy budget.
        validation_fraction: Share of the rows held out for early stopping; None: a tenth; of less than 2048 rows a
            fifth, which is learned, too, in the end.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        precision: In which the networks are computed while gradients are found: "float32", or "bfloat16" (torch's
            autocast), for processors that multiply such numbers faster; all else is "float32" in either. A private fit
            takes "float32".
        verbose: Whether to show progress on stderr.
        callbacks: A function, or several, called at each look at the held-out rows with its
            `synthvae.training.history.Record` (step, loss, reconstruction, KL and held-out ELBO in nats per row;
            `metrics` as a mapping): those that `history_` holds in the end. Training stops early if one returns True;
            what one raises ends the fit, but
            for KeyboardInterrupt, which keeps the best weights so far. A private fit tells them steps alone, every 25,
            no loss, and goes on whatever they answer. They are neither copied nor saved.
        log_dir: A folder that gets `history.csv`, a line for each look, as training goes on, and, where the extra
            `synthvae[tensorboard]` is installed, events for TensorBoard. Each fit needs one of its own.
        random_state: Seed of everything that is drawn.

    Attributes:
        learned_: The `LearnedTable` behind it.
        schema_, encoding_, model_, history_: Its schema, column encodings, fitted model and training history.
        ledger_: What privacy was spent: `epsilon`, `delta`, `events`; None if nothing was promised.
        n_features_in_, feature_names_in_: Number and names of the columns; a unit of which the schema says nothing is
            none of them.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> wine = load_wine(as_frame=True).frame
        >>> synthesizer = Synthesizer(target="target", max_steps=50, random_state=0).fit(wine)
        >>> synthesizer.sample({0: 2, 1: 3})["target"].value_counts().to_dict()
        {1: 3, 0: 2}
    """

    def __init__(
        self,
        *,
        target: str | None = None,
        schema: Schema | str | os.PathLike[str] | None = None,
        privacy: PrivacyBudget | Mapping[str, Any] | None = None,
        strategy: str = "auto",
        journal: str | os.PathLike[str] | None = None,
        decoder: str = "autoregressive",
        prior: str = "standard_normal",
        components: int | None = None,
        posterior: str = "normal",
        order: str | Sequence[str] = "auto",
        likelihood: str = "auto",
        variance: float | None = None,
        image_shape: tuple[int, int] | None = None,
        latent_dim: int = 8,
        beta: float | None = None,
        free_bits: float = 0.2,
        warm_up: float = 0.1,
        corruption: float = 0.0,
        width: int = 128,
        dropout: float | None = None,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        device: str = "auto",
        precision: str = "float32",
        verbose: bool = False,
        callbacks: Callbacks = None,
        log_dir: str | os.PathLike[str] | None = None,
        random_state: Seed = None,
    ) -> None:
        self.target, self.schema = target, schema
        self.privacy, self.strategy, self.journal = privacy, strategy, journal
        self.decoder = decoder
        self.prior = prior
        self.components = components
        self.posterior = posterior
        self.order = order
        self.likelihood = likelihood
        self.variance = variance
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.beta = beta
        self.free_bits = free_bits
        self.warm_up = warm_up
        self.corruption = corruption
        self.width = width
        self.dropout = dropout
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.device, self.precision = device, precision
        self.verbose = verbose
        self.callbacks = callbacks
        self.log_dir = log_dir
        self.random_state = random_state

    def fit(self, table: Any, y: Any = None) -> Self:
        """Learn a table.

        Args:
            table: A DataFrame, a `pyarrow.Table`, polars, an array, the path of a CSV or Parquet file or folder, or a
                `pyarrow.dataset`. What lies on disk and has more than 256 MiB is not read at once, but twice in
                batches (CSV a third time, for its types): its codes, about a byte for each category and five for each
                number, go to `journal`, or to a temporary folder (`TMPDIR` says where), and are learned from there. A
                private fit needs all rows in memory.
            y: Ignored; here for scikit-learn.

        Raises:
            TableError: The table breaks its schema or cannot be learned; the message names the column.
            ConfigurationError: A parameter is outside its domain.
        """
        del y
        return self._fit_by(Alone(), table)

    def plan(self, rows: int, columns: Sequence[str] | None = None) -> Ledger:
        """Return how the privacy budget would be spent on a table of about `rows` rows; no table is needed.

        Args:
            rows: How many rows there are, about.
            columns: Their names, where the schema is to be bought.

        Raises:
            PrivacyError: There is no budget, it does not suffice, or the schema leaves something to the rows.
        """
        budget = PrivacyBudget.of(self.privacy)
        if budget is None:
            raise PrivacyError("a plan needs a budget, however, `privacy` is None: state epsilon and delta")
        schema = self._declared_schema() or columns
        if schema is None:
            raise PrivacyError("a plan to buy a schema needs names of columns, however, there are none: pass `columns`")
        target = self._target_among(schema.names if isinstance(schema, Schema) else schema)
        return private.foresee(schema, target, budget, plan=self._plan(), rows=rows, order=self.order)

    def __sklearn_clone__(self) -> Self:
        """A copy that is not fitted, with the same callbacks: a tracker of experiments cannot be copied."""
        silent = type(self)(**{**self.get_params(deep=False), "callbacks": None})
        copied: Self = Kept.__sklearn_clone__(silent)
        copied.callbacks = self.callbacks
        return copied

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learned_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        mixed = self.likelihood == "auto"
        tags.input_tags.allow_nan = mixed
        tags.input_tags.string = True  # of numbers, too
        tags.input_tags.categorical = mixed
        return tags
