"""Fit a model to a table with the parameters of a synthesizer: privately or not, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae import progress
from synthvae.codes import Codes
from synthvae.devices import find_device, own_modes
from synthvae.encoding import Pixels, TableEncoding
from synthvae.encoding.rules import Rules
from synthvae.errors import ConfigurationError, TableError, listing, warn_user
from synthvae.model import ModelConfig
from synthvae.model.build import build
from synthvae.privacy import PrivacyBudget
from synthvae.random_state import as_seed
from synthvae.schema import drafts
from synthvae.schema.constraints.checking import refuse_broken
from synthvae.schema.protection import Protection
from synthvae.schema.repeated import warn_repeated_subjects
from synthvae.schema.schema import Schema
from synthvae.synthesizer import weighting
from synthvae.synthesizer.conditional_model import ConditionalModel, learn_conditional
from synthvae.synthesizer.configuration import (
    TRAINING,
    Parameters,
    architecture,
    bounded_columns,
    configure,
    declared_schema,
    dropped,
    given_schema,
    least_subjects,
    repairs_rows,
    values,
)
from synthvae.synthesizer.determined import with_determined
from synthvae.synthesizer.fit_warnings import warn_empty, warn_missing_labels, warn_of_stop, warn_of_training
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.local_backend import Backend
from synthvae.synthesizer.private_fitting import fit_privately
from synthvae.synthesizer.provenance import Provenance
from synthvae.synthesizer.roles import (
    Times,
    order_of,
    refuse_class_prior_without_classes,
    schema_of,
    target_in,
    unit_in,
)
from synthvae.synthesizer.sources import WAY_OUT, InMemory, OnDisk, TableSource
from synthvae.tables import selection, streaming
from synthvae.tables.features import read_features, read_private_features
from synthvae.tables.streaming import Stream
from synthvae.tables.subjects import units_of
from synthvae.training import SMALL, Parts, Trainer, TrainingConfig, train
from synthvae.training.callbacks import open_callbacks
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.config import SCHEDULES

if TYPE_CHECKING:
    pass

NOT_LEARNED_WITH = ("schema", "journal", "device", "verbose", "callbacks", "log_dir", "random_state")


class Estimator(Parameters, Protocol):
    """A synthesizer; reading a table sets the names and the number of its columns on it, as in scikit-learn."""

    n_features_in_: int


@dataclass(frozen=True)
class TrainingTask:
    """What is fitted to a table that is not private.

    Args:
        schema: The schema of the table.
        target: The column to condition on.
        min_class_rows: Smallest number of rows that each class must have.
        seed: Seed of all random draws.
        least: Smallest number of subjects of a value, see `synthvae.schema.protection`; 0: nothing is protected.
        unit: The column of subjects; None: each row is one.
        way_out: What can be done about rows that break a rule, besides what every error says.
        trainer: Trains the network: `training.train`, or the same elsewhere.
        checkpoint: Where the state of training is stored and resumed from.
        network: Fields of `ModelConfig` that are not parameters of a synthesizer.
    """

    schema: Schema
    target: str | None
    min_class_rows: int
    seed: int
    least: int = 0
    unit: str | None = None
    way_out: str = ""
    trainer: Trainer = train
    checkpoint: Checkpoint | None = None
    network: Mapping[str, Any] = field(default_factory=dict)


def fit(estimator: Estimator, table: Any, backend: Backend) -> FittedModel:
    """Fit a model to a table.

    Args:
        estimator: The parameters; `n_features_in_` and, for a table, `feature_names_in_` are set on it.
        table: Any table that `Synthesizer.fit` accepts.
        backend: Where the network is trained.
    """
    refuse_class_prior_without_classes(estimator)
    repairs_rows(estimator)  # refuses other values
    budget = PrivacyBudget.of(estimator.privacy)
    if budget is None:
        return _fit_openly(estimator, table, backend)
    schema = declared_schema(estimator)
    table = selection.without_privately(table, dropped(estimator))
    read = read_private_features(estimator, table, reset=True, aside=budget.unit_outside(schema))
    with TemporaryDirectory(prefix="synthvae-") as folder:
        return fit_privately(estimator, read, schema, budget, backend, Path(estimator.journal or folder))


def fit_features(
    parameters: Parameters, table: pa.Table, *, conditional_encoder: bool = True, ids: bool = False
) -> FittedModel:
    """Fit a model to the features of a scikit-learn estimator, of which a class may have a single row.

    Args:
        parameters: The parameters; `privacy` is ignored.
        table: The features, and the target if the parameters name one.
        conditional_encoder: Whether encoder and decoder are conditional on the class; otherwise the prior alone is.
        ids: Whether columns that number the rows are ids, of which new ones are generated, and not integers.
    """
    refuse_class_prior_without_classes(parameters)
    source = InMemory(*weighting.split(table, parameters.weights))
    table = source.sample
    if lost := [name for name in dropped(parameters) if name in table.column_names]:
        raise ConfigurationError(
            f"The schema of an estimator must keep all features, got {listing(lost)} under `drop`. Drop them from X."
        )
    schema = source.drafted(schema_of(parameters, table))
    target, seed = target_in(parameters, table), as_seed(parameters.random_state)
    if conditional_encoder:  # rows are generated
        warn_repeated_subjects(schema, table, target, new_keys=ids)
    schema = schema if ids else drafts.without_ids(schema, table)
    network = {"told": conditional_encoder}
    task = TrainingTask(schema, target, 1, seed, **_subjects(parameters, table), network=network)
    return _train(parameters, source, task)


@own_modes()
def fit_conditional_features(
    parameters: Parameters, table: pa.Table, weights: npt.NDArray[np.float32] | None = None
) -> ConditionalModel:
    """Fit the network of any columns given any others, and no model of whole rows, to the features of an estimator.

    Its values are taken to be missing at random.

    Args:
        parameters: The parameters, with neither target nor weights; `privacy` is ignored.
        table: The features.
        weights: Weights (rows,) of the rows; None: all weigh the same.

    Raises:
        TableError: A column cannot be modelled; the message names it.
    """
    source, seed = InMemory(table), as_seed(parameters.random_state)
    schema = with_determined(drafts.without_ids(schema_of(parameters, table), table), table)
    task = TrainingTask(schema, None, 1, seed, **_subjects(parameters, table))
    config = _architecture(parameters, source.rows)
    _, encoding, _, sample = _encoded(source, task, parameters, config)
    own = parameters.get_params(deep=False)
    fitted = learn_conditional(encoding, sample, config, own, seed, weights, at_random=True)
    warn_of_stop(fitted.history)
    return fitted


def _fit_openly(estimator: Estimator, table: Any, backend: Backend) -> FittedModel:
    """Fit a model to a table that is not private, in memory or on disk."""
    source = selection.without(streaming.large(table) or table, dropped(estimator))
    found = source if isinstance(source, Stream) else _in_memory(estimator, source)
    checkpoint = _checkpoint(estimator, found) if estimator.journal else None
    seed = as_seed(estimator.random_state) if checkpoint is None else checkpoint.seed
    with TemporaryDirectory(prefix="synthvae-") as folder:
        place = Path(folder) if checkpoint is None else checkpoint.folder
        source = found if isinstance(found, InMemory) else _surveyed(estimator, found, place, seed)
        schema = _schema_of(estimator, source)
        if repairs_rows(estimator):
            source = _repaired(source, schema, bounded_columns(estimator))
            schema = _schema_of(estimator, source)
        target = target_in(estimator, source.sample)
        times = Times.of(estimator)
        warn_missing_labels(target, source.missing, source.rows, event=times.event if times else None)
        warn_repeated_subjects(schema, source.sample, target)
        trainer, subjects = backend.trainer(place), _subjects(estimator, source.sample)
        task = TrainingTask(
            schema, target, 2, seed, **subjects, way_out=WAY_OUT, trainer=trainer, checkpoint=checkpoint
        )
        return _train(estimator, source, task)


def _schema_of(estimator: Estimator, source: TableSource) -> Schema:
    """The schema of a table, without its column of weights."""
    return weighting.without(source.drafted(schema_of(estimator, source.sample)), estimator.weights)


def _repaired(source: InMemory | OnDisk, schema: Schema, bounded: Sequence[str]) -> InMemory | OnDisk:
    """A table whose rows keep the rules of its schema; a warning says what was done to them."""
    if not schema.constraints and not bounded:
        return source
    repaired, done = source.repaired(schema, bounded)
    if done:
        warn_user(done)
    return repaired


def _subjects(parameters: Parameters, table: pa.Table) -> dict[str, Any]:
    """The fields of a `TrainingTask` on the subjects of a table."""
    return {"least": least_subjects(parameters), "unit": unit_in(parameters, table)}


def _in_memory(estimator: Estimator, table: Any) -> InMemory:
    source = InMemory(*weighting.split(read_features(estimator, table, reset=True), estimator.weights))
    weighting.drop_feature(estimator, estimator.weights)
    return source


def _surveyed(estimator: Estimator, stream: Stream, folder: Path, seed: int) -> OnDisk:
    schema = given_schema(estimator)
    source = OnDisk.open(
        stream,
        folder,
        seed,
        least=least_subjects(estimator),
        unit=estimator.unit,
        weighted_by=estimator.weights,
        sentinels={} if schema is None else {column.name: column.sentinels for column in schema.columns},
    )
    read_features(estimator, source.sample, reset=True)
    return source


def _checkpoint(parameters: Parameters, table: InMemory | Stream) -> Checkpoint:
    """The journal of a fit that is not private."""
    inputs = {name: value for name, value in parameters.get_params(deep=False).items() if name not in NOT_LEARNED_WITH}
    schema = given_schema(parameters)
    inputs |= {"table": table.identity, "schema": None if schema is None else schema.model_dump(mode="json")}
    inputs["schedules"] = SCHEDULES  # another version may have other ones
    seed = None if parameters.random_state is None else as_seed(parameters.random_state)
    return Checkpoint.open(parameters.journal or "", inputs, seed, as_seed(None))


@own_modes()
def _train(parameters: Parameters, source: TableSource, task: TrainingTask) -> FittedModel:
    """Fit a model to a table that is not private."""
    if parameters.conditions and parameters.weights is not None and isinstance(source, OnDisk):
        raise ConfigurationError("`conditions` must be False for a weighted table that is not in memory. Remove one.")
    config = _architecture(parameters, source.rows, **task.network)
    training = configure(TrainingConfig, values(parameters, TRAINING))
    warn_empty(source.missing, source.rows)
    with (
        progress.fitting(show=parameters.verbose) as report,
        open_callbacks(parameters.callbacks, parameters.log_dir) as callback,
    ):
        protection, encoding, codes, sample = _encoded(source, task, parameters, config)
        network = build(encoding.layout.slots, encoding.conditions, config, task.seed)
        network = network.to(find_device(parameters.device))
        history = task.trainer(
            network, codes, training, task.seed, report, callback=callback, checkpoint=task.checkpoint
        )
    provenance = Provenance.of(source.rows, source.missing, protection.summary, parameters.weights)
    conditional = None
    if parameters.conditions:
        weights = codes.weights if isinstance(codes, Codes) else None
        conditional = learn_conditional(encoding, sample, config, parameters.get_params(deep=False), task.seed, weights)
    fitted = FittedModel(protection.schema, encoding, network, history, provenance=provenance, conditional=conditional)
    warn_of_training(fitted, parameters)
    return fitted


def _architecture(parameters: Parameters, rows: int, **network: Any) -> ModelConfig:
    """The architecture of a model of so many rows, with fields that are not parameters of a synthesizer."""
    regularised = rows < SMALL and parameters.likelihood == "auto"
    dropout = (0.1 if regularised else 0.0) if parameters.dropout is None else parameters.dropout
    return architecture(parameters, rows, dropout=dropout, **network)


def _encoded(
    source: TableSource, task: TrainingTask, parameters: Parameters, config: ModelConfig
) -> tuple[Protection, TableEncoding, Codes | Parts, pa.Table]:
    """What is protected in a table, its encoding, its codes, and its rows, or a sample of them, as they are encoded.

    Raises:
        TableError: The table violates the schema, or the model cannot be conditioned on its target.
    """
    if source.rows < 2:
        raise TableError(f"A table must have at least 2 rows, got {source.rows}.")
    whole = source.sample.num_rows == source.rows  # rules of a larger table are judged when its rows are encoded
    checked = task.schema.check_values(source.sample)
    if whole:
        refuse_broken(checked, task.schema.constraints, task.schema, task.way_out)
    checked = checked.select(source.sample.column_names)  # in the order of the table
    source = source.with_sample(checked)
    least = task.min_class_rows if checked.num_rows == source.rows else 1
    pixels = None
    if config.likelihood != "auto":
        pixels = Pixels(config.likelihood, image=config.image_shape is not None)
    protection = source.protection(task.schema, task.target, 0 if pixels else task.least, task.unit)
    source, rules = source.protected(protection, task.seed), Rules.of(task.schema, checked)
    if rules is not None and protection.least:
        units = None if task.unit is None else units_of(checked.column(task.unit))
        rules = rules.protected(task.schema, (checked, source.sample), protection.least, units)
    encoding = TableEncoding.learn(
        source.sample,
        protection.schema,
        task.target,
        least,
        order_of(parameters),
        pixels=pixels,
        rules=rules,
    )
    codes = source.coded(encoding, task.schema, task.seed)
    if not isinstance(codes, Codes):
        encoding = encoding.counted(_sums((codes[part] for part in range(len(codes.sizes))), encoding.conditions))
        encoding.refuse_rare(task.min_class_rows)
    if parameters.weights is not None:
        parts = [codes] if isinstance(codes, Codes) else (codes[part] for part in range(len(codes.sizes)))
        encoding = encoding.weighed(_sums(parts, encoding.conditions, weighed=True))
    return protection, encoding, codes, source.sample


def _sums(parts: Iterable[Codes], conditions: int, *, weighed: bool = False) -> npt.NDArray[np.float64]:
    """The number of rows (conditions,) of each condition, or the sum of their weights."""
    sums = np.zeros(conditions)
    for codes in parts:
        known = codes.labels >= 0
        weights = codes.weights[known] if weighed and codes.weights is not None else None
        sums += np.bincount(codes.labels[known], weights, minlength=conditions)
    return sums
