"""The facade: one object that learns a table, samples rows like it, and is saved."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae import __version__, artifact, card, inference, private, progress
from synthvae.declared import refuse_undeclared
from synthvae.errors import (
    ArtifactError,
    ConfigurationError,
    PrivacyError,
    SchemaError,
    TableError,
    listing,
)
from synthvae.features import read_features
from synthvae.fitted import Fitted, aside
from synthvae.learned import LearnedTable, configure, find_device
from synthvae.model import ModelConfig
from synthvae.privacy import Descending, Ledger, Plan, PrivacyBudget
from synthvae.schema import Schema
from synthvae.seeds import Seed, as_seed
from synthvae.training import SMALL, TrainingConfig

BOUGHT = "private"  # in a schema's place: one is bought
LATENT_TRAINING = ("max_steps", "beta", "free_bits", "validation_fraction", "warm_up", "corruption")
TRAINING = (*LATENT_TRAINING, "batch_size", "learning_rate")
MODEL = ("decoder", "prior", "latent_dim", "width", "components", "posterior", "likelihood", "variance", "image_shape")


class Synthesizer(Fitted):
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
            read = read_features(self, table, reset=True)
            self._warn_of_gaps(read)
            return self._fit(read)
        self._refuse_prior_of_no_class()
        schema = self._declared_schema()
        read = read_features(self, table, reset=True, as_text=True, aside=aside(budget, schema))
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

    def _fit(self, table: pa.Table, *, features: bool = False, told: bool = True) -> Self:
        """Learn a table; one of `features` has no ids, and classes of a single row; codes may not be `told` a class."""
        self._refuse_prior_of_no_class()
        guarded = table.num_rows < SMALL and self.likelihood == "auto"
        dropout = (0.1 if guarded else 0.0) if self.dropout is None else self.dropout
        model = configure(ModelConfig, {**self._values(MODEL), "dropout": dropout, "told": told})
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

    def _warn_of_gaps(self, table: pa.Table) -> None:
        """Tell of rows without a label, which may be a mistake."""
        target = self._target_in(table)
        if target is not None and 0 < table.column(target).null_count < table.num_rows:
            warnings.warn(
                f"target {target!r}: {table.column(target).null_count} of {table.num_rows} rows have no label: they "
                "are learned, their class being marginalised; drop them if that is not meant",
                stacklevel=3,
            )

    def _schema_of(self, table: pa.Table) -> Schema:
        target = self._target_in(table)
        if self.schema == BOUGHT:
            raise PrivacyError(f"schema={BOUGHT!r} is bought with a budget, however, `privacy` is None: grant one")
        schema = self._given_schema() or Schema.infer(table)
        if schema.inferred:
            inference.refuse_identifying(schema, table, target)
        self._target_among(schema.names)
        return schema

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


def _warn_empty(table: pa.Table) -> None:
    for name in table.column_names:
        if table.column(name).null_count == table.num_rows:
            warnings.warn(
                f"column {name!r}: every value is missing, so every synthetic value will be: drop it if that is no use",
                stacklevel=4,
            )
