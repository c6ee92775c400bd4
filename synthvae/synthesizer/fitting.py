"""Fitting: from a table and the parameters of a synthesizer to a fitted model, private or not, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator

from synthvae import progress
from synthvae.codes import Codes
from synthvae.devices import find_device
from synthvae.encoding import Pixels, TableEncoding
from synthvae.errors import TableError, warn_user
from synthvae.model import ModelConfig
from synthvae.model.build import build
from synthvae.privacy import PrivacyBudget
from synthvae.privacy import fit as private_fit
from synthvae.random_state import as_seed
from synthvae.schema import drafts
from synthvae.schema.column import DRAFTS
from synthvae.schema.schema import Schema
from synthvae.synthesizer.backend import Backend
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.parameters import (
    LATENT_TRAINING,
    MODEL,
    TRAINING,
    Parameters,
    configure,
    declared_schema,
    given_schema,
    refuse_class_prior_without_classes,
    refuse_what_is_not_private,
    schema_of,
    spending_plan,
    target_among,
    target_in,
    values,
    warn_empty,
    warn_of_gaps,
)
from synthvae.synthesizer.provenance import Provenance
from synthvae.synthesizer.sources import InMemory, OnDisk, Source
from synthvae.tables import streaming
from synthvae.tables.features import read_features, read_private_features
from synthvae.tables.streaming import Stream
from synthvae.training import SMALL, Parts, Trainer, TrainingConfig, train
from synthvae.training.callbacks import open_callbacks, steps_only
from synthvae.training.checkpoint import Checkpoint

DRAFTED = (
    "THE SCHEMA WAS DRAFTED FROM THE DATA, then reviewed: what its categories and bounds tell of single rows is not "
    "covered by the privacy budget"
)
NOT_LEARNED_WITH = ("schema", "journal", "device", "verbose", "callbacks", "log_dir", "random_state")


class Estimator(Parameters, Protocol):
    """A synthesizer, on which reading a table leaves the names and the number of its columns, as in scikit-learn."""

    n_features_in_: int


@dataclass(frozen=True)
class Task:
    """What is learned of a source.

    Args:
        schema: The schema of the table.
        target: The column to condition on.
        min_class_rows: Rows that each class must have.
        seed: Of everything that is drawn.
        trainer: What trains the network: `training.train`, or what does the same elsewhere.
        checkpoint: Where the state of training is kept, and taken up.
    """

    schema: Schema
    target: str | None
    min_class_rows: int
    seed: int
    trainer: Trainer = train
    checkpoint: Checkpoint | None = None


def fit(estimator: Estimator, table: Any, backend: Backend) -> FittedModel:
    """Fit a model to a table as the parameters of an estimator say.

    Args:
        estimator: The parameters; it gets `n_features_in_` and, for a table, `feature_names_in_`.
        table: What `Synthesizer.fit` takes.
        backend: What trains: this process, or a cluster.
    """
    refuse_class_prior_without_classes(estimator)
    budget = PrivacyBudget.of(estimator.privacy)
    if budget is None:
        return _fit_openly(estimator, table, backend)
    schema = declared_schema(estimator)
    read = read_private_features(estimator, table, reset=True, aside=budget.unit_outside(schema))
    with TemporaryDirectory(prefix="synthvae-") as folder:
        return _fit_privately(estimator, read, schema, budget, backend, Path(estimator.journal or folder))


def fit_features(parameters: Parameters, table: pa.Table, *, conditional_encoder: bool = True) -> FittedModel:
    """Fit a model to features as scikit-learn has them: none is an id, and a class may have a single row.

    Args:
        parameters: The parameters; of a privacy budget nothing is known here.
        table: The features, and the target if the parameters name one.
        conditional_encoder: Whether encoder and decoder are conditional on the class, or the prior alone is.
    """
    refuse_class_prior_without_classes(parameters)
    source = InMemory(table)
    schema = drafts.without_ids(source.drafted(schema_of(parameters, table)))
    task = Task(schema, target_in(parameters, table), min_class_rows=1, seed=as_seed(parameters.random_state))
    return _learn(parameters, source, task, {"told": conditional_encoder})


def _fit_privately(  # noqa: PLR0917 (what a fit is given)
    parameters: Parameters,
    table: pa.Table,
    schema: Schema | None,
    budget: PrivacyBudget,
    backend: Backend,
    folder: Path,
) -> FittedModel:
    """Learn a table under a budget; nothing that is said or drawn on the way depends on its rows."""
    refuse_what_is_not_private(parameters)
    if schema is not None and schema.origin in DRAFTS:
        warn_user(DRAFTED)
    plan = spending_plan(parameters)
    facts = {"plan": plan.model_dump(mode="json"), "target": parameters.target, "order": parameters.order}
    facts["columns"] = table.column_names
    seed = None if parameters.random_state is None else as_seed(parameters.random_state)
    model = {**values(parameters, MODEL), "dropout": parameters.dropout or 0.0}
    with (
        progress.fitting(show=parameters.verbose) as report,
        open_callbacks(parameters.callbacks, parameters.log_dir) as callback,
    ):
        setup = private_fit.Setup(
            plan,
            configure(ModelConfig, model),
            configure(TrainingConfig, values(parameters, LATENT_TRAINING)),
            private_fit.open_journal(parameters.journal, schema, budget, seed, **facts),
            backend.descender(folder / ".private-rows"),
            steps_only(callback, report),
            parameters.order,
        )
        target = target_among(parameters, table.column_names if schema is None else schema.names)
        found = private_fit.learn(table, schema, target, budget, setup)
    network = found.network.to(find_device(parameters.device))
    return _warned(FittedModel(found.schema, found.encoding, network, found.history, found.ledger), parameters)


def _fit_openly(estimator: Estimator, table: Any, backend: Backend) -> FittedModel:
    """Learn a table that is not private, in memory or on disk."""
    found = streaming.large(table) or InMemory(read_features(estimator, table, reset=True))
    checkpoint = _checkpoint(estimator, found) if estimator.journal else None
    seed = as_seed(estimator.random_state) if checkpoint is None else checkpoint.seed
    with TemporaryDirectory(prefix="synthvae-") as folder:
        place = Path(folder) if checkpoint is None else checkpoint.folder
        source = found if isinstance(found, InMemory) else _surveyed(estimator, found, place, seed)
        schema, target = source.drafted(schema_of(estimator, source.sample)), target_in(estimator, source.sample)
        warn_of_gaps(target, source.missing, source.rows)
        return _learn(estimator, source, Task(schema, target, 2, seed, backend.trainer(place), checkpoint))


def _surveyed(estimator: BaseEstimator, stream: Stream, folder: Path, seed: int) -> OnDisk:
    source = OnDisk.open(stream, folder, seed)
    read_features(estimator, source.sample, reset=True)
    return source


def _checkpoint(parameters: Parameters, table: InMemory | Stream) -> Checkpoint:
    """The journal of a fit that is not private."""
    facts = {name: value for name, value in parameters.get_params(deep=False).items() if name not in NOT_LEARNED_WITH}
    schema = given_schema(parameters)
    facts |= {"table": table.identity, "schema": None if schema is None else schema.model_dump(mode="json")}
    seed = None if parameters.random_state is None else as_seed(parameters.random_state)
    return Checkpoint.open(parameters.journal or "", facts, seed, as_seed(None))


def _learn(parameters: Parameters, source: Source, task: Task, model: dict[str, Any] | None = None) -> FittedModel:
    """Learn a source that is not private; `model` are parameters of the network that no user gives."""
    guarded = source.rows < SMALL and parameters.likelihood == "auto"
    dropout = (0.1 if guarded else 0.0) if parameters.dropout is None else parameters.dropout
    config = configure(ModelConfig, {**values(parameters, MODEL), "dropout": dropout, **(model or {})})
    training = configure(TrainingConfig, values(parameters, TRAINING))
    warn_empty(source.missing, source.rows)
    with (
        progress.fitting(show=parameters.verbose) as report,
        open_callbacks(parameters.callbacks, parameters.log_dir) as callback,
    ):
        encoding, codes = _encoded(source, task, parameters, config)
        network = build(encoding.layout.slots, encoding.conditions, config, task.seed)
        network = network.to(find_device(parameters.device))
        history = task.trainer(
            network, codes, training, task.seed, report, callback=callback, checkpoint=task.checkpoint
        )
    provenance = Provenance.of(source.rows, source.missing)
    return _warned(FittedModel(task.schema, encoding, network, history, provenance=provenance), parameters)


def _encoded(
    source: Source, task: Task, parameters: Parameters, config: ModelConfig
) -> tuple[TableEncoding, Codes | Parts]:
    """The encoding of a source, and its codes.

    Raises:
        TableError: The table breaks the schema, or its target cannot be conditioned on.
    """
    if source.rows < 2:
        raise TableError(f"a table must have at least 2 rows, however, it has {source.rows}: add rows")
    sample = task.schema.check(source.sample).select(source.sample.column_names)  # rows keep the table's order
    least = task.min_class_rows if sample.num_rows == source.rows else 1
    pixels = None
    if config.likelihood != "auto":
        pixels = Pixels(config.likelihood, image=config.image_shape is not None)
    encoding = TableEncoding.learn(sample, task.schema, task.target, least, parameters.order, pixels=pixels)
    codes = source.coded(encoding, task.schema, task.seed)
    if not isinstance(codes, Codes):
        encoding = encoding.counted(_counts(codes, encoding))
        encoding.refuse_rare(task.min_class_rows)
    return encoding, codes


def _counts(parts: Parts, encoding: TableEncoding) -> npt.NDArray[np.float64]:
    """How many rows (conditions,) each condition has."""
    labels = (parts[part].labels for part in range(len(parts.sizes)))
    counts = [np.bincount(of[of >= 0], minlength=encoding.conditions) for of in labels]
    return np.asarray(np.sum(counts, axis=0), np.float64)


def _warned(fitted: FittedModel, parameters: Parameters) -> FittedModel:
    """The model, after warnings of what went wrong in its training."""
    history = fitted.history
    if history.stopped in ("interrupted", "diverged"):
        warn_user(f"training {history.stopped}: the weights of step {history.best_step} are kept")
    if history.collapsed and fitted.encoding.layout.width > 1:
        warn_user(
            f"the posterior collapsed: z says {sum(history.kl_per_dimension or [0.0]):.2g} nats of a row, in "
            f"{history.active_units} active units of {parameters.latent_dim}: raise `free_bits` or lower `beta`"
        )
    return fitted
