"""The facade: one object that learns a table, samples rows like it, and is saved."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae import __version__, artifact, card, dataset, inference, private, progress, tables
from synthvae.declared import refuse_undeclared
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import (
    ArtifactError,
    ConfigurationError,
    PrivacyError,
    RequestError,
    SchemaError,
    TableError,
    listing,
)
from synthvae.features import read_features, select
from synthvae.generation import Request
from synthvae.history import History
from synthvae.learned import LearnedTable, configure, find_device
from synthvae.model import CVAE, ModelConfig
from synthvae.privacy import Descending, Ledger, Plan, PrivacyBudget
from synthvae.reconstruction import Reconstruction, reconstruct
from synthvae.schema import Schema
from synthvae.seeds import Seed, as_seed
from synthvae.threads import one_thread
from synthvae.training import SMALL, TrainingConfig

BOUGHT = "private"  # in a schema's place: one is bought
LATENT_TRAINING = ("max_steps", "beta", "free_bits", "validation_fraction", "warm_up", "corruption")
TRAINING = (*LATENT_TRAINING, "batch_size", "learning_rate")
MODEL = ("decoder", "prior", "latent_dim", "width", "components", "posterior", "likelihood", "variance", "image_shape")


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
        journal: A folder in which a private fit keeps what it buys, until its model is saved: a fit that is broken off
            and repeated takes it up, and does not spend it twice. None keeps nothing.
        decoder: "autoregressive" (each column given those before it) or "factorized" (independent given z).
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
            without gaps, independent given z and the class, whatever `decoder` says.
        variance: Of a "gaussian" number; a fixed one means least squares. None: one for each column, learned.
        image_shape: Height and width of the image that the columns of these make, row by row: convolutions. None: none.
        latent_dim: Dimensions of z.
        beta: Weight of the KL term; None: 1, or 0.18 for grey pixels under a Bernoulli.
        free_bits: Nats of information for each latent dimension, all together, that the KL term leaves free, so that z
            stays informative.
        warm_up: Share of the steps over which the weight of the KL term rises from 0.
        corruption: Share of the cells that the encoder is not shown in training, others in each step, while whole rows
            are reconstructed: a denoising autoencoder.
        width: Units of encoder and decoder.
        dropout: Dropout in training; None: 0.1 below 2048 rows, otherwise 0.
        max_steps: Largest number of optimiser steps; None follows the rows: 1000 for 30,000, at most 1600 for fewer.
            Under a privacy budget the number of steps, 300.
        batch_size: Rows of a step; None: 512, or 64 below 2048 rows; under a privacy budget 4096, on average.
        learning_rate: Peak learning rate; None: 0.003, or 0.03 under a privacy budget.
        validation_fraction: Share of the rows held out for early stopping; None: a tenth; of less than 2048 rows a
            fifth, which is learned, too, in the end.
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...
        verbose: Whether to show progress on stderr.
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
        verbose: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.target = target
        self.schema = schema
        self.privacy = privacy
        self.strategy = strategy
        self.journal = journal
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
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, table: Any, y: Any = None) -> Self:
        """Learn a table.

        Args:
            table: A DataFrame, a `pyarrow.Table`, polars, an array, or the path of a CSV or Parquet file or folder.
            y: Ignored; here for scikit-learn.

        Raises:
            TableError: The table breaks its schema or cannot be learned; the message names the column.
            ConfigurationError: A parameter is outside its domain.
        """
        del y
        budget = PrivacyBudget.of(self.privacy)
        if budget is None:
            return self._fit(read_features(self, table, reset=True))
        self._refuse_prior_of_no_class()
        schema = self._declared_schema()
        read = read_features(self, table, reset=True, as_text=True, aside=_aside(budget, schema))
        return self._fit_privately(read, schema, budget)

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

    def _fit_privately(self, table: pa.Table, schema: Schema | None, budget: PrivacyBudget) -> Self:
        """Learn a table under a budget; nothing that is said or drawn on the way depends on its rows."""
        if self.likelihood != "auto":
            raise PrivacyError(
                f"a private fit learns bins, not pixels, however, likelihood={self.likelihood!r}: choose 'auto', or no "
                "`privacy`"
            )
        plan = self._plan()
        facts = {"plan": plan.model_dump(mode="json"), "target": self.target, "order": self.order}
        seed = None if self.random_state is None else as_seed(self.random_state)
        model = {**self._values(MODEL), "dropout": self.dropout or 0.0}
        with progress.fitting(show=self.verbose) as report:
            self.learned_ = private.learn(
                table,
                schema,
                self._target_among(table.column_names if schema is None else schema.names),
                budget,
                plan=plan,
                model=configure(ModelConfig, model),
                training=configure(TrainingConfig, self._values(LATENT_TRAINING)),
                journal=private.open_journal(self.journal, schema, budget, seed, **facts),
                device=find_device(self.device),
                progress=report,
                order=self.order,
            )
        return self._warned()

    def _declared_schema(self) -> Schema | None:
        """The schema of a private fit; None: it is to be bought."""
        return None if self.schema == BOUGHT else refuse_undeclared(self._given_schema())

    def _given_schema(self) -> Schema | None:
        if self.schema is None or isinstance(self.schema, Schema):
            return self.schema
        return Schema.from_yaml(Path(self.schema))

    def _target_among(self, names: Sequence[str]) -> str | None:
        if self.target is not None and str(self.target) not in names:
            raise SchemaError(f"the target must be a column of the schema, however, {self.target!r} is not: declare it")
        return None if self.target is None else str(self.target)

    def _fit(self, table: pa.Table, *, features: bool = False) -> Self:
        """Learn a table; one of `features` has no ids, classes of a single row, and codes that no class is told."""
        self._refuse_prior_of_no_class()
        dropout = (0.1 if table.num_rows < SMALL else 0.0) if self.dropout is None else self.dropout
        model = configure(ModelConfig, {**self._values(MODEL), "dropout": dropout, "told": not features})
        training = configure(TrainingConfig, self._values(TRAINING))
        device, seed = find_device(self.device), as_seed(self.random_state)
        schema, target = self._schema_of(table), self._target_in(table)
        if features:
            schema = inference.without_ids(schema)
        _warn_empty(table)
        with progress.fitting(show=self.verbose) as report:
            self.learned_ = LearnedTable.learn(
                table,
                schema,
                target,
                model,
                training,
                seed=seed,
                device=device,
                progress=report,
                min_class_rows=1 if features else 2,
                order=self.order,
            )
        return self._warned()

    def _warned(self) -> Self:
        if self.history_.stopped in ("interrupted", "diverged"):
            warnings.warn(
                f"training {self.history_.stopped}: the weights of step {self.history_.best_step} are kept",
                stacklevel=4,
            )
        if self.history_.collapsed and self.encoding_.layout.width > 1:
            warnings.warn(
                f"the posterior collapsed: z says {sum(self.history_.kl_per_dimension or [0.0]):.2g} nats of a row, in "
                f"{self.history_.active_units} active units of {self.latent_dim}: raise `free_bits` or lower `beta`",
                stacklevel=4,
            )
        return self

    def _refuse_prior_of_no_class(self) -> None:
        if self.prior == "class_normal" and self.target is None:
            raise ConfigurationError(
                'prior="class_normal" needs classes, however, there is no target: name one, or take "mixture"'
            )

    def _values(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Parameters by name, but for a learning rate that is left to how the model is trained."""
        left = {"learning_rate"} if self.learning_rate is None else set()
        return {name: getattr(self, name) for name in names if name not in left}

    def _plan(self) -> Plan:
        names = {"steps": "max_steps", "batch": "batch_size", "learning_rate": "learning_rate"}
        given = {field: getattr(self, name) for field, name in names.items() if getattr(self, name) is not None}
        return configure(Plan, {"strategy": self.strategy, "descent": configure(Descending, given)})

    def _target_in(self, table: pa.Table) -> str | None:
        if self.target is None:
            return None
        if str(self.target) not in table.column_names:
            raise TableError(
                f"the target must be a column of the table, however, {self.target!r} is not among "
                f"{listing(table.column_names)}"
            )
        return str(self.target)

    def _schema_of(self, table: pa.Table) -> Schema:
        target = self._target_in(table)
        if self.schema == BOUGHT:
            raise PrivacyError(f"schema={BOUGHT!r} is bought with a budget, however, `privacy` is None: grant one")
        schema = self._given_schema() or Schema.infer(table)
        if schema.inferred:
            inference.refuse_identifying(schema, table, target)
        self._target_among(schema.names)
        return schema

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
        return tables.to_pandas(self.learned_.sample(self.learned_.request(rows, self._own_seed(random_state))))

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
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write a Parquet dataset of synthetic rows and return its manifest. Memory does not grow with the rows.

        Args:
            out: The folder.
            rows: The number of rows, classes in the shares of training.
            rows_per_class: The number of rows of each class.
            classes: The number of rows of some classes.
            partition: Write a folder `TARGET=LABEL/` for each class.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace the dataset in the folder.
            workers: Threads that draw parts.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: Not exactly one of `rows`, `rows_per_class`, `classes` is given, or a class is unknown.
            DatasetError: The folder holds something else, or cannot be written.
        """
        check_is_fitted(self)
        wanted = self._wanted(rows, rows_per_class, classes)
        begun = dataset.seed_begun(out) if resume and random_state is None and self.random_state is None else None
        request = self.learned_.request(wanted, self._own_seed(random_state if begun is None else begun))
        if partition and not self.learned_.has_classes:
            raise RequestError("a dataset can be partitioned by a target of classes, however, the model has none")
        if partition and self.encoding_.target is not None:
            dataset.check_labels(self.encoding_.target.labels)
        if workers < 1:
            raise RequestError(f"`workers` must be at least 1, however, {workers=}")
        target = self.encoding_.target.name if self.encoding_.target else None
        with one_thread(), progress.generating(request.rows, show=self.verbose) as report:
            return dataset.write(
                out,
                lambda part: self.learned_.draw(request, part),
                request.parts,
                self._facts(request),
                partition_by=target if partition else None,
                resume=resume,
                overwrite=overwrite,
                workers=workers,
                progress=report,
            )

    def _wanted(
        self, rows: int | None, rows_per_class: int | None, classes: Mapping[Any, int] | None
    ) -> int | Mapping[Any, int]:
        given = {"rows": rows, "rows_per_class": rows_per_class, "classes": classes}
        named = sorted(name for name, value in given.items() if value is not None)
        if len(named) != 1:
            raise RequestError(f"exactly one of {', '.join(given)} must be given, however, {named} are")
        if rows_per_class is not None:
            return self.learned_.each_class(rows_per_class)
        return rows if classes is None else classes  # type: ignore[return-value]

    def _facts(self, request: Request) -> dict[str, Any]:
        """What a manifest says of a request."""
        target = self.encoding_.target
        classes = None
        if target is not None and target.classes is not None:
            classes = dict(zip(map(str, target.labels), request.counts, strict=True))
        return {
            "format": 1,
            "synthvae": __version__,
            "rows": request.rows,
            "target": target.name if target else None,
            "classes": classes,
            "seed": request.seed,
            "columns": {field.name: str(field.type) for field in self.encoding_.arrow_schema},
            "model_sha256": self.learned_.fingerprint,
            "ledger": None if self.ledger_ is None else self.ledger_.statement(),
        }

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
        return tables.to_pandas(self.learned_.like(codes, n, temperature, self._own_seed(random_state)))

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
        aside = _aside(self.ledger_.budget, self.schema_)
        return self.learned_.encode(read_features(self, table, reset=False, as_text=True, aside=aside))

    @property
    def _n_features_out(self) -> int:
        return self.model_.config.latent_dim

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a directory: weights as safetensors, the rest as JSON.

        Raises:
            ArtifactError: The directory holds something that is not a model, or cannot be written.
        """
        check_is_fitted(self)
        page = {
            "versions": {"synthvae": __version__, "torch": str(torch.__version__), "pyarrow": pa.__version__},
            "parameters": {
                name: _plain(value) for name, value in self.get_params().items() if name not in ("schema", "privacy")
            },
            "schema_given": self.schema is not None,
            "names_seen": hasattr(self, "feature_names_in_"),
            **self.learned_.page(),
        }
        statement = None if self.ledger_ is None else self.ledger_.statement()
        facts = {**self.learned_.describe(), "versions": page["versions"]}
        artifact.save(path, page, self.model_.state_dict(), card.write(facts, statement))

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Read a model directory.

        Raises:
            ArtifactError: It is absent, damaged, or of a newer format.
        """
        page, weights = artifact.load(path)
        learned = LearnedTable.from_page(page, weights, find_device(device), str(path))
        try:
            schema = learned.schema if page["schema_given"] else None
            budget = None if learned.ledger is None else learned.ledger.budget
            parameters = {name: _unlisted(value) for name, value in {**page["parameters"]}.items()}
            self = cls(**{**parameters, "schema": schema, "privacy": budget, "device": device})
            names_seen = page["names_seen"]
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{path} does not describe a model ({error}): restore it or fit again") from error
        self.learned_ = learned
        if names_seen:
            self.feature_names_in_ = np.array(learned.encoding.names, dtype=object)
        self.n_features_in_ = len(learned.encoding.names)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learned_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        mixed = self.likelihood == "auto"
        tags.input_tags.allow_nan = mixed
        tags.input_tags.string = True  # of numbers, too
        tags.input_tags.categorical = mixed
        return tags


def _plain(value: Any) -> Any:
    """A parameter as JSON has it; what JSON cannot have (a generator's state) is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, torch.device):
        return str(plain)
    if isinstance(plain, tuple):
        return [_plain(part) for part in plain]
    return plain if plain is None or isinstance(plain, (bool, int, float, str)) else None


def _unlisted(value: Any) -> Any:
    """A parameter as JSON had it: a tuple was a list there."""
    return tuple(value) if isinstance(value, list) else value


def _aside(budget: PrivacyBudget, schema: Schema | None) -> str | None:
    """The column that says whose row it is, unless it is learned like any other."""
    return None if schema and budget.unit in schema.names else budget.unit


def _warn_empty(table: pa.Table) -> None:
    for name in table.column_names:
        if table.column(name).null_count == table.num_rows:
            warnings.warn(
                f"column {name!r}: every value is missing, so every synthetic value will be: drop it if that is no use",
                stacklevel=4,
            )
