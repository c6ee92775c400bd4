"""The estimator that fits a generative model to a table, samples synthetic rows, and is saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae.codes import Codes
from synthvae.encoding import TableEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.generation.drawing import Drawing
from synthvae.generation.given import Given
from synthvae.generation.workers import Each, PartsBackend, choose_backend
from synthvae.model import CVAE
from synthvae.notebook import html_table
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.privacy import fit as private_fit
from synthvae.random_state import Seed, as_seed
from synthvae.schema.protection import LEAST
from synthvae.schema.schema import Schema
from synthvae.synthesizer import card as cards
from synthvae.synthesizer import configuration, dataset_writing, fit_warnings, fitting, persistence, roles
from synthvae.synthesizer.any_columns import AnyColumns, is_table
from synthvae.synthesizer.conditional_drawing import GivenDrawing
from synthvae.synthesizer.configuration import BrokenRows
from synthvae.synthesizer.dataset_writing import Execution, Output, WantedRows
from synthvae.synthesizer.description import lines_of
from synthvae.synthesizer.estimate import Estimate, estimate
from synthvae.synthesizer.fitted_model import FittedModel, PerClass, wanted_rows
from synthvae.synthesizer.local_backend import Backend, Local
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.reconstruction import Reconstruction, reconstruct
from synthvae.tables import convert
from synthvae.tables.features import read_features, read_private_features, select
from synthvae.tables.selection import without, without_privately
from synthvae.training.callbacks import Callbacks
from synthvae.training.config import EffortName
from synthvae.training.history import History


@documented()
class Synthesizer(AnyColumns, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A conditional VAE that is fitted to a table and generates synthetic rows with the same columns.

    Most users need the first parameters only. Those on privacy, on training and on callbacks follow; the options of the
    model come last.

    Args:
        {target, duration, event, conditions, schema, privacy, unit, broken_rows, protect, weights}
        {effort, max_steps, device, verbose, random_state}
        {strategy, journal}
        {batch_size, learning_rate, validation_fraction, precision}
        {callbacks, log_dir}
        {latent_dim, width, dropout, decoder, order}
        {prior, components, posterior, likelihood, variance, image_shape}
        {beta, free_bits, warm_up, corruption}

    Attributes:
        learned_: The `FittedModel`.
        schema_, encoding_, model_, history_: Its schema, column encodings, network and training history.
        ledger_: The privacy that was spent: `epsilon`, `delta`, `events`; None without differential privacy.
        n_features_in_, feature_names_in_: Number and names of the columns. A unit column that is not in the schema is
            not counted.

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
        duration: str | None = None,
        event: str | None = None,
        conditions: bool = False,
        schema: Schema | str | os.PathLike[str] | None = None,
        privacy: PrivacyBudget | Mapping[str, Any] | None = None,
        unit: str | None = None,
        broken_rows: BrokenRows = "refuse",
        protect: int = LEAST,
        weights: str | None = None,
        effort: EffortName = "balanced",
        max_steps: int | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Seed = None,
        strategy: str = "auto",
        journal: str | os.PathLike[str] | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        precision: str = "float32",
        callbacks: Callbacks = None,
        log_dir: str | os.PathLike[str] | None = None,
        latent_dim: int = 8,
        width: int | None = None,
        dropout: float | None = None,
        decoder: str = "autoregressive",
        order: str | Sequence[str] = "auto",
        prior: str = "standard_normal",
        components: int | None = None,
        posterior: str = "normal",
        likelihood: str = "auto",
        variance: float | None = None,
        image_shape: tuple[int, int] | None = None,
        beta: float | None = None,
        free_bits: float = 0.2,
        warm_up: float = 0.1,
        corruption: float = 0.0,
    ) -> None:
        self.target, self.duration, self.event = target, duration, event
        self.conditions, self.schema, self.privacy = conditions, schema, privacy
        self.unit, self.broken_rows = unit, broken_rows
        self.protect, self.weights = protect, weights
        self.effort, self.max_steps = effort, max_steps
        self.device, self.verbose, self.random_state = device, verbose, random_state
        self.strategy, self.journal = strategy, journal
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.validation_fraction, self.precision = validation_fraction, precision
        self.callbacks, self.log_dir = callbacks, log_dir
        self.latent_dim, self.width, self.dropout = latent_dim, width, dropout
        self.decoder, self.order = decoder, order
        self.prior, self.components, self.posterior = prior, components, posterior
        self.likelihood, self.variance, self.image_shape = likelihood, variance, image_shape
        self.beta, self.free_bits, self.warm_up, self.corruption = beta, free_bits, warm_up, corruption

    def fit(self, table: Any, y: Any = None, *, backend: Backend | None = None) -> Self:
        """Fit the model to a table.

        Args:
            table: A pandas or polars DataFrame, a `pyarrow.Table`, an array, the path of a CSV or Parquet file or
                folder, or a `pyarrow.dataset`. A table on disk of more than 256 MiB is not loaded as a whole. It is
                read twice in batches (CSV once more, for its types), and its codes, about one byte per category and
                five per number, are written to `journal`, or to a temporary folder (set by `TMPDIR`), from which the
                model is trained. A private fit needs all rows in memory.
            y: Not used, with a warning: the target is a column of the table, named by `target`.
            backend: Where the model is trained. None: in this process; `synthvae.cluster.RayBackend`: on a Ray cluster.

        Raises:
            TableError: The table violates its schema or a model cannot be fitted to it; the message names the column.
            ConfigurationError: A parameter is outside its domain.
        """
        fit_warnings.warn_of_separate_target(y)
        fit_warnings.warn_of_index(table)
        self.learned_ = fitting.fit(self, table, backend or Local())
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Fit the model to a table and return its posterior means (rows, latent_dim).

        Args:
            X: The table, under the name that scikit-learn gives it.
            y: Ignored: in a pipeline it is the target of the steps that follow.
            **fit_params: See `fit`.
        """
        del y
        return self.fit(X, **fit_params).transform(X)

    def plan(self, rows: int, columns: Sequence[str] | None = None) -> Ledger:
        """Return how a fit to a table of about `rows` rows would spend the privacy budget. No table is needed.

        Args:
            rows: Approximate number of rows.
            columns: Names of the columns; needed with schema="private".

        Raises:
            PrivacyError: There is no budget, it is too small, or the schema leaves something to be inferred.
        """
        budget = PrivacyBudget.of(self.privacy)
        if budget is None:
            raise PrivacyError("`privacy` must be a privacy budget for a plan, got None. State epsilon and delta.")
        schema = configuration.declared_schema(self) or columns
        if schema is None:
            raise PrivacyError('`columns` must name the columns for a plan with schema="private", got None.')
        target = roles.target_among(self, schema.names if isinstance(schema, Schema) else schema)
        plan, order = configuration.spending_plan(self), roles.order_of(self)
        return private_fit.dry_run(schema, target, budget, plan=plan, rows=rows, order=order)

    def estimate(self, table: Any, columns: int | None = None) -> Estimate:
        """Estimate the time and memory that `fit` takes on this machine, from a few steps on a sample.

        They are no upper limits. Training that stops early takes less time than that of all steps, which is stated.

        Args:
            table: A table as for `fit`, or a number of rows.
            columns: The number of columns, with a number of rows: half numbers, half categories.

        Raises:
            PrivacyError: There is a privacy budget, which would have to cover what the estimate shows of the table.
            RequestError: A number of rows is given without a number of columns.

        Example:
            >>> Synthesizer().estimate(100_000, columns=4).steps
            1824
        """
        return estimate(self, table, columns)

    @property
    def schema_(self) -> Schema:
        """The schema of the table."""
        return self.learned_.schema

    @property
    def encoding_(self) -> TableEncoding:
        """The encodings of the columns."""
        return self.learned_.encoding

    @property
    def model_(self) -> CVAE:
        """The fitted network."""
        return self.learned_.model

    @property
    def history_(self) -> History:
        """The training history."""
        return self.learned_.history

    @property
    def ledger_(self) -> Ledger | None:
        """The privacy that was spent; None without differential privacy."""
        return self.learned_.ledger

    def sample(
        self,
        rows: int | PerClass | None = None,
        random_state: Seed = None,
        *,
        given: Given | pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Return synthetic rows with the columns, their order and the dtypes of the training table.

        Args:
            rows: The number of rows, with the class shares of the training rows; or a mapping from class to number of
                rows, or a Series such as `value_counts()` returns.
            random_state: Seed of the draws. None: that of the estimator.
            given: Conditions on any columns, see `synthvae.generation.given`: `{"sex": "Female", "age": (60, None)}`;
                or a table: a row is drawn for each of its rows, whose present values it has. They need conditions=True.

        Raises:
            RequestError: A class or a column is unknown, a number is negative, or no value meets a condition.
            ConfigurationError: There are conditions, and they have not been learned.
        """
        check_is_fitted(self)
        if given is not None:
            return self._sample_given(rows, given, self._own_seed(random_state))
        return convert.to_pandas(self.learned_.sample(self.learned_.request(rows, self._own_seed(random_state))))

    def _own_seed(self, random_state: Seed) -> int:
        return as_seed(self.random_state if random_state is None else random_state)

    def generate(
        self,
        out: str | os.PathLike[str],
        *,
        rows: int | None = None,
        rows_per_class: int | None = None,
        classes: PerClass | None = None,
        given: Given | pd.DataFrame | None = None,
        copies: int | None = None,
        describe: bool = False,
        partition: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        escape_formulas: bool = False,
        workers: int = 1,
        backend: PartsBackend | None = None,
        each: Each | None = None,
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write synthetic rows to a Parquet dataset or one file; return the manifest. Memory does not grow with them.

        On one type of processor and with the same versions of the libraries, the same model, request and seed give the
        same bytes, regardless of the number of workers and of interruptions.

        Args:
            out: The folder, or a URI of an object store that pyarrow supports: `s3://bucket/prefix`,
                `gs://bucket/prefix`. A name that ends in .csv, .parquet or .xlsx is one file.
            rows: The number of rows, with the class shares of the training rows.
            rows_per_class: The number of rows of each class.
            classes: A mapping or Series from class to number of rows.
            given: Conditions on any columns as of `sample`; with a table of conditions, the numbers of rows are None.
            copies: Write so many datasets `copy_1/`, `copy_2/`, ... whose analyses `synthvae.evaluation.pool` combines.
                Their rows are independent: draws are not stratified, and with `rows`, classes are drawn at random in
                their shares. None: one dataset.
            describe: Write the rows, or the copies, to `data/` in the folder, and beside it `README.md`, a dataset card
                as Hugging Face reads it, and `croissant.json`, their Croissant metadata.
            partition: Write a folder `TARGET=LABEL/` for each class.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace the dataset in the folder.
            escape_formulas: In a CSV file, put ' before text that spreadsheets would evaluate as a formula.
            workers: Largest number of processes that draw parts, each with the model in memory. Fewer are started if
                there are less than two parts for each.
            backend: Where parts are drawn. None: on this machine; `synthvae.cluster.RayBackend(address=...)`: on a Ray
                cluster.
            each: Deprecated; use `backend`.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: Not exactly one of `rows`, `rows_per_class`, `classes` is given, a class is unknown, or copies
                are to be written to one file.
            DatasetError: The folder holds something else, another run writes to it, it cannot be written, or a worker
                was killed.
        """
        check_is_fitted(self)
        asked = (rows, rows_per_class, classes)
        alone = is_table(given) and asked == (None, None, None)
        counts = None if alone else wanted_rows(self.learned_, *asked)
        wanted = WantedRows(counts, partial(self._drawing, counts, given), (self.random_state, random_state))
        output = Output(out, copies, describe, partition, resume, overwrite, escape_formulas)
        execution = Execution(workers, choose_backend(backend, each), self.verbose)
        return dataset_writing.write(self.learned_, wanted, output, execution)

    def _drawing(
        self, rows: int | PerClass | None, given: Given | pd.DataFrame | None, seed: int
    ) -> Drawing | GivenDrawing:
        if given is not None:
            return self._given_drawing(rows, given, seed)
        assert rows is not None
        return Drawing(self.model_, self.encoding_, self.learned_.request(rows, seed))

    def transform(self, table: Any) -> npt.NDArray[np.float64]:
        """Return the posterior means (rows, latent_dim) of q(z | x, y) for the rows of a table.

        Args:
            table: The rows, with their target if there is one.

        Raises:
            TableError: A column is absent or unknown, or a category did not occur in the training rows.
        """
        codes = self._encode(table)
        return self.learned_.posterior_mean(codes)

    def sample_like(self, table: Any, n: int = 1, temperature: float = 1.0, random_state: Seed = None) -> pd.DataFrame:
        """Return n synthetic rows for each row of a table, drawn from its posterior, in the order of the table.

        Each synthetic row has the class of the row that it is drawn for.

        Args:
            table: The rows, with their target if there is one.
            n: The number of synthetic rows per row.
            temperature: Scale of the standard deviation of z and of the randomness of x: 1 draws z from q(z | x, y) and
                x from p(x | z, y); 0 takes the posterior mean and the most probable values.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: n or the temperature is negative.
        """
        codes = self._encode(table)
        return convert.to_pandas(self.learned_.sample_like(codes, n, temperature, self._own_seed(random_state)))

    def reconstruct(self, table: Any, draws: int = 64, random_state: Seed = None) -> Reconstruction:
        """Return the mean, and the standard deviation or probabilities, of every cell of rows under their posterior.

        Args:
            table: The rows, with their target if there is one.
            draws: The number of draws per row from which they are estimated.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: There are fewer than 2 draws.
        """
        codes = self._encode(table)
        return reconstruct(self.learned_, codes, draws, self._own_seed(random_state))

    def log_likelihood(
        self,
        table: Any,
        *,
        k: int = 1,
        proposal: str = "posterior",
        columns: Sequence[str] | None = None,
        given: Sequence[str] = (),
    ) -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x | y) in nats, where x are the columns other than the target y.

        Categories contribute their probability, continuous numbers the density of their normal scores, pixels the
        density of the numbers themselves. The draws of z are the same for every row and call.

        Args:
            table: The rows, with their target if there is one.
            k: 1 for the evidence lower bound (averaged over 16 draws); more for the importance-weighted bound of k
                draws, which is tighter for larger k (Burda, Grosse, Salakhutdinov 2016,
                https://arxiv.org/abs/1509.00519).
            proposal: Distribution from which z is drawn: "posterior", or "prior" for the naive estimate, the log of the
                mean of p(x | z_s) over k draws z_s ~ p(z | y), which needs a very large k if z is informative.
            columns: Some columns: log p of these given those of `given`, by the network of conditions, and no bound.
            given: The columns that are known; all others are marginalised.

        Raises:
            RequestError: k is less than 1, there is no such proposal or column, or the model is an autoencoder and the
                proposal is "posterior".
            ConfigurationError: Columns are named, and conditions have not been learned.
        """
        if columns is not None:
            if (k, proposal) != (1, "posterior"):
                raise RequestError("`k` and `proposal` must not be given with `columns`, whose density is no bound.")
            return self._log_likelihood_of(table, columns, given)
        if given:
            raise RequestError(f"`given` needs `columns`, whose density it conditions, got {list(given)!r} alone.")
        codes = self._encode(table)
        return self.learned_.log_likelihood(codes, k, proposal)

    def score_samples(self, table: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x) in nats, with the target y marginalised: log sum_y p(y) p(x | y).

        That is what scikit-learn's density estimators return under this name. Without a target it equals
        `log_likelihood`, whose parameters and errors it has.
        """
        codes = self._encode(table)
        return self.learned_.log_evidence(codes, k, proposal)

    def score(self, table: Any, y: Any = None) -> float:
        """Return the mean of `log_likelihood`, the objective of training, for model selection."""
        del y
        return float(self.log_likelihood(table).mean())

    def _encode(self, table: Any) -> Codes:
        check_is_fitted(self)
        drop = self.schema_.drop
        if self.ledger_ is None:
            read = read_features(self, without(table, drop), reset=False, aside=self.weights)
            return self.learned_.encode(select(read, list(self.encoding_.names)))
        unit = self.ledger_.budget.unit_outside(self.schema_)
        return self.learned_.encode(
            read_private_features(self, without_privately(table, drop), reset=False, aside=unit)
        )

    @property
    def _n_features_out(self) -> int:
        return self.model_.config.latent_dim

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a directory: weights as safetensors, the rest as JSON.

        Args:
            path: The directory; a model that it holds is replaced.

        Raises:
            ArtifactError: The directory holds something that is not a model, or cannot be written.
        """
        check_is_fitted(self)
        has_names = hasattr(self, "feature_names_in_")
        persistence.save(path, self.learned_, self.get_params(), has_names=has_names, card=self.card())

    def card(self, evaluation: Mapping[str, Any] | None = None) -> str:
        """Return the model card in Markdown, which `save` writes beside the model.

        Source: Mitchell et al. 2019, Model cards for model reporting, https://arxiv.org/abs/1810.03993.

        Args:
            evaluation: The output of `synthvae evaluate --json-file` on rows of this model, to include in the card.

        Raises:
            ConfigurationError: It is not an evaluation of this model.
        """
        check_is_fitted(self)
        statement = None if self.ledger_ is None else self.ledger_.statement()
        versions = self.learned_.provenance.versions
        return cards.render(self.learned_.describe(), versions, self.history_, statement, evaluation)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Load a model from a directory. Loading never executes code.

        Args:
            path: The directory.
            device: As of the constructor.

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

    def _repr_html_(self) -> str:
        if not hasattr(self, "learned_"):
            return html_table("Synthesizer, not fitted", [(repr(self),)])
        return html_table("Synthesizer", lines_of(self.learned_).items())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What notebooks show in place of scikit-learn's diagram."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy with the same callbacks: trackers of experiments often cannot be copied."""
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
        tags.input_tags.string = True  # columns of numbers may be strings
        tags.input_tags.categorical = mixed
        return tags
