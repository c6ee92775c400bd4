"""One object that learns a table, samples rows like it, and is saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae import progress
from synthvae.codes import Codes
from synthvae.encoding import TableEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.generation import dataset, partitions
from synthvae.generation.drawing import Drawing, useful_workers
from synthvae.generation.request import DatasetRequest
from synthvae.generation.workers import Each, PartsBackend, choose_backend
from synthvae.model import CVAE
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.privacy import fit as private_fit
from synthvae.random_state import Seed, as_seed
from synthvae.schema.schema import Schema
from synthvae.synthesizer import card as cards
from synthvae.synthesizer import fitting, parameters, persistence
from synthvae.synthesizer.backend import Backend, Local
from synthvae.synthesizer.fitted_model import FittedModel, wanted_rows
from synthvae.synthesizer.reconstruction import Reconstruction, reconstruct
from synthvae.tables import convert
from synthvae.tables.features import read_features, read_private_features, select
from synthvae.training.callbacks import Callbacks
from synthvae.training.history import History


class Synthesizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        learned_: The `FittedModel` behind it.
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

    learned_: FittedModel

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

    def fit(self, table: Any, y: Any = None, *, backend: Backend | None = None) -> Self:
        """Learn a table.

        Args:
            table: A DataFrame, a `pyarrow.Table`, polars, an array, the path of a CSV or Parquet file or folder, or a
                `pyarrow.dataset`. What lies on disk and has more than 256 MiB is not read at once, but twice in
                batches (CSV a third time, for its types): its codes, about a byte for each category and five for each
                number, go to `journal`, or to a temporary folder (`TMPDIR` says where), and are learned from there. A
                private fit needs all rows in memory.
            y: Ignored; here for scikit-learn.
            backend: Where it is trained: None: in this process; `synthvae.cluster.RayBackend`: on a Ray cluster.

        Raises:
            TableError: The table breaks its schema or cannot be learned; the message names the column.
            ConfigurationError: A parameter is outside its domain.
        """
        del y
        self.learned_ = fitting.fit(self, table, backend or Local())
        return self

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
        schema = parameters.declared_schema(self) or columns
        if schema is None:
            raise PrivacyError("a plan to buy a schema needs names of columns, however, there are none: pass `columns`")
        target = parameters.target_among(self, schema.names if isinstance(schema, Schema) else schema)
        return private_fit.dry_run(
            schema, target, budget, plan=parameters.spending_plan(self), rows=rows, order=self.order
        )

    @property
    def schema_(self) -> Schema:
        """The schema of the table."""
        return self.learned_.schema

    @property
    def encoding_(self) -> TableEncoding:
        """How its columns are coded."""
        return self.learned_.encoding

    @property
    def model_(self) -> CVAE:
        """The fitted model."""
        return self.learned_.model

    @property
    def history_(self) -> History:
        """How training went."""
        return self.learned_.history

    @property
    def ledger_(self) -> Ledger | None:
        """What privacy was spent; None if nothing was promised."""
        return self.learned_.ledger

    def sample(self, rows: int | Mapping[Any, int], random_state: Seed = None) -> pd.DataFrame:
        """Return synthetic rows with the columns, order and dtypes of the table learned.

        Args:
            rows: The number of rows, classes in the shares of training; or a mapping from class to number of rows.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: A class is unknown, or a number is negative.
        """
        check_is_fitted(self)
        return convert.to_pandas(self.learned_.sample(self.learned_.request(rows, self._own_seed(random_state))))

    def _own_seed(self, random_state: Seed) -> int:
        return as_seed(self.random_state if random_state is None else random_state)

    def generate(
        self,
        out: str | os.PathLike[str],
        *,
        rows: int | None = None,
        rows_per_class: int | None = None,
        classes: Mapping[Any, int] | None = None,
        partition: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        workers: int = 1,
        backend: PartsBackend | None = None,
        each: Each | None = None,
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write a Parquet dataset of synthetic rows and return its manifest. Memory does not grow with the rows.

        The same model, request and seed give the same bytes on processors of one kind and with the same versions of
        the libraries, whatever the number of workers, however often a run was interrupted.

        Args:
            out: The folder, or a place in an object store, as pyarrow has it: `s3://bucket/prefix`, `gs://bucket/prefix`.
            rows: The number of rows, classes in the shares of training.
            rows_per_class: The number of rows of each class.
            classes: The number of rows of some classes.
            partition: Write a folder `TARGET=LABEL/` for each class.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace the dataset in the folder.
            workers: Processes that draw parts, each with the model in memory; as many as have two parts each to draw.
            backend: Where parts are drawn. None: on this machine; `synthvae.cluster.RayBackend(address=...)`: on a Ray
                cluster.
            each: Deprecated; use `backend`.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: Not exactly one of `rows`, `rows_per_class`, `classes` is given, or a class is unknown.
            DatasetError: The folder holds something else, another run writes it, or it cannot be written; or a worker
                was killed.
        """
        check_is_fitted(self)
        wanted = wanted_rows(self.learned_, rows, rows_per_class, classes)
        begun = dataset.seed_begun(out) if resume and random_state is None and self.random_state is None else None
        request = self.learned_.request(wanted, self._own_seed(random_state if begun is None else begun))
        if partition and not self.learned_.has_classes:
            raise RequestError("a dataset can be partitioned by a target of classes, however, the model has none")
        if partition and self.encoding_.target is not None:
            partitions.check_labels(self.encoding_.target.name, self.encoding_.target.labels)
        if workers < 1:
            raise RequestError(f"`workers` must be at least 1, however, {workers=}")
        target = self.encoding_.target.name if self.encoding_.target else None
        content = DatasetRequest(
            Drawing(self.model_, self.encoding_, request),
            request.parts,
            self.learned_.manifest(request),
            partition_by=target if partition else None,
        )
        chosen = choose_backend(backend, each)
        with progress.generating(request.rows, show=self.verbose) as report:
            return dataset.write(
                out,
                content,
                resume=resume,
                overwrite=overwrite,
                workers=useful_workers(workers, request.parts),
                backend=chosen,
                progress=report,
            )

    def transform(self, table: Any) -> npt.NDArray[np.float64]:
        """Return the posterior means (rows, latent_dim) of q(z | x, y) for the rows of a table."""
        codes = self._encode(table)
        return self.learned_.posterior_mean(codes)

    def sample_like(self, table: Any, n: int = 1, temperature: float = 1.0, random_state: Seed = None) -> pd.DataFrame:
        """Return n rows like each row of a table: those like the first one come first, each of its row's class.

        Args:
            table: The rows, with their target if there is one.
            n: How many like each.
            temperature: How far from it: 1 draws z from the posterior and x given z as is likely, 0 takes the posterior
                mean and the likeliest values; between and beyond, z has so many times its standard deviation.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: n or the temperature is negative.
        """
        codes = self._encode(table)
        return convert.to_pandas(self.learned_.like(codes, n, temperature, self._own_seed(random_state)))

    def reconstruct(self, table: Any, draws: int = 64, random_state: Seed = None) -> Reconstruction:
        """Return what the model makes of rows that it sees: mean, standard deviation or probabilities of every cell.

        Args:
            table: The rows, with their target if there is one.
            draws: How many draws of each row they are estimated from.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: There are fewer than 2 draws.
        """
        return reconstruct(self.learned_, self._encode(table), draws, self._own_seed(random_state))

    def log_likelihood(self, table: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x | y) in nats, x as the model sees it.

        Categories count by their probability, continuous numbers by the density of their normal scores, pixels by that
        of the numbers themselves. Draws of z are the same for every row and call.

        Args:
            table: The rows.
            k: 1 for the evidence lower bound (averaged over 16 draws), more for the importance-weighted bound of k
                draws, which is tighter the more there are (Burda, Grosse, Salakhutdinov 2016,
                https://arxiv.org/abs/1509.00519).
            proposal: Where z is drawn from: "posterior"; or "prior", the naive estimate, log of the mean of p(x | z_s)
                over k draws z_s ~ p(z | y), which needs very many where z says much of a row.

        Raises:
            RequestError: k is less than 1, there is no such proposal, or an autoencoder is asked for a bound.
        """
        codes = self._encode(table)
        return self.learned_.log_likelihood(codes, k, proposal)

    def score_samples(self, table: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return `log_likelihood`, under scikit-learn's name."""
        return self.log_likelihood(table, k=k, proposal=proposal)

    def score(self, table: Any, y: Any = None) -> float:
        """Return the mean of `log_likelihood`, for model selection."""
        del y
        return float(self.log_likelihood(table).mean())

    def _encode(self, table: Any) -> Codes:
        check_is_fitted(self)
        if self.ledger_ is None:
            return self.learned_.encode(select(read_features(self, table, reset=False), list(self.encoding_.names)))
        unit = self.ledger_.budget.unit_outside(self.schema_)
        return self.learned_.encode(read_private_features(self, table, reset=False, aside=unit))

    @property
    def _n_features_out(self) -> int:
        return self.model_.config.latent_dim

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a directory: weights as safetensors, the rest as JSON.

        Raises:
            ArtifactError: The directory holds something that is not a model, or cannot be written.
        """
        check_is_fitted(self)
        has_names = hasattr(self, "feature_names_in_")
        persistence.save(path, self.learned_, self.get_params(), has_names=has_names, card=self.card())

    def card(self, evaluation: Mapping[str, Any] | None = None) -> str:
        """Return the model card in Markdown, as it stands beside a saved model.

        Source: Mitchell et al. 2019, Model cards for model reporting, https://arxiv.org/abs/1810.03993.

        Args:
            evaluation: What `synthvae evaluate --json` says of rows made by it, for the card to show.

        Raises:
            ConfigurationError: That is no evaluation.
        """
        check_is_fitted(self)
        statement = None if self.ledger_ is None else self.ledger_.statement()
        versions = self.learned_.provenance.versions
        return cards.write(self.learned_.describe(), versions, self.history_, statement, evaluation)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Read a model directory.

        Raises:
            ArtifactError: It is absent, damaged, or of a newer format.
        """
        found = persistence.load(path, device)
        with persistence.refusing(str(path)):
            self = cls(**found.parameters)
            self.learned_ = found.model
            if found.has_names:
                self.feature_names_in_ = np.array(found.model.encoding.names, dtype=object)
            self.n_features_in_ = len(found.model.encoding.names)
            self.card()
        return self

    def __sklearn_clone__(self) -> Self:
        """A copy that is not fitted, with the same callbacks: a tracker of experiments cannot be copied."""
        silent = type(self)(**{**self.get_params(deep=False), "callbacks": None})
        copied: Self = BaseEstimator.__sklearn_clone__(silent)
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
