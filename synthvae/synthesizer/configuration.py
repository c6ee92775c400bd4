"""From the parameters of a synthesizer to checked configurations, a schema and a target."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_integer_dtype
from pydantic import ValidationError

from synthvae import filesystem
from synthvae.encoding import Order
from synthvae.encoding.order import Leading
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError, explain, listing, warn_user
from synthvae.model import ModelConfig
from synthvae.privacy import Descending, Plan, PrivacyBudget
from synthvae.random_state import Seed
from synthvae.schema import decisions
from synthvae.schema.column import EVENTS, NUMERIC
from synthvae.schema.domain import refuse_undeclared
from synthvae.schema.problems import suggestion
from synthvae.schema.schema import Schema
from synthvae.synthesizer.parameters import MEASURED
from synthvae.training import TrainingConfig
from synthvae.training.callbacks import Callbacks
from synthvae.training.config import EffortName, effort_of

# Parameters that are fields of a configuration of the same name.
LATENT_TRAINING = ("max_steps", "beta", "free_bits", "validation_fraction", "warm_up", "corruption")
TRAINING = (*LATENT_TRAINING, "batch_size", "learning_rate", "effort", "precision")
MODEL = ("decoder", "prior", "latent_dim", "components", "posterior", "likelihood", "variance", "image_shape")

Config = TypeVar("Config", TrainingConfig, ModelConfig, Descending, Plan)


def configure(kind: type[Config], parameters: Mapping[str, Any]) -> Config:
    """Return a validated configuration.

    Raises:
        ConfigurationError: A parameter is outside its domain.
    """
    try:
        return kind(**parameters)
    except ValidationError as error:
        raise ConfigurationError(explain(error, parameters)) from error


class Parameters(Protocol):
    """The parameters of a `Synthesizer` that a fit uses; `synthvae.synthesizer.parameters` documents them."""

    target: str | None
    conditions: bool
    schema: Schema | str | os.PathLike[str] | None
    privacy: PrivacyBudget | Mapping[str, Any] | None
    unit: str | None
    protect: int
    weights: str | None
    strategy: str
    journal: str | os.PathLike[str] | None
    prior: str
    order: str | Sequence[str]
    likelihood: str
    latent_dim: int
    width: int | None
    effort: EffortName
    dropout: float | None
    learning_rate: float | None
    device: str
    precision: str
    verbose: bool
    callbacks: Callbacks
    log_dir: str | os.PathLike[str] | None
    random_state: Seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 (scikit-learn's)
        """Return all parameters by name."""


def declared_schema(parameters: Parameters) -> Schema | None:
    """The declared schema of a private fit; None if it is to be measured.

    Raises:
        PrivacyError: The schema is not fully declared.
    """
    return None if parameters.schema == MEASURED else refuse_undeclared(given_schema(parameters))


def given_schema(parameters: Parameters) -> Schema | None:
    """The schema that was passed, which may be partial, loaded if it is a path; None if it is to be inferred."""
    if parameters.schema is None or isinstance(parameters.schema, Schema):
        return parameters.schema
    return Schema.from_yaml(filesystem.local_path(parameters.schema, "A schema"))


def dropped(parameters: Parameters) -> tuple[str, ...]:
    """The columns of the table that the schema leaves out."""
    schema = None if parameters.schema == MEASURED else given_schema(parameters)
    return () if schema is None else schema.drop


def schema_of(parameters: Parameters, table: pa.Table) -> Schema:
    """The schema of a table that is not private; columns that the one that was passed does not name are inferred.

    Raises:
        TableError: The target is not in the table, or columns that are inferred appear to hold names or ids.
        SchemaError: The target is not in the schema.
        PrivacyError: The schema is to be measured, and there is no privacy budget.
    """
    target = target_in(parameters, table)
    if parameters.schema == MEASURED:
        raise PrivacyError(f"schema={MEASURED!r} needs a privacy budget, and `privacy` is None. Pass a PrivacyBudget.")
    unit = unit_in(parameters, table)
    if unit is not None and unit == target:
        raise ConfigurationError(f"`unit` must be another column than the target, got {unit!r}. Choose one.")
    schema = decisions.complete(given_schema(parameters), table, target, unit)
    target_among(parameters, schema.names)
    if (times := Times.of(parameters)) is not None:
        times.check(schema)
    return schema


def target_among(parameters: Parameters, names: Sequence[str]) -> str | None:
    """The name of the target among those of a schema; None if there is no target.

    Raises:
        SchemaError: The schema has no such column.
    """
    target = conditioned_on(parameters)
    if target is not None and str(target) not in names:
        raise SchemaError(f"The target {target!r} is not a column of the schema. Declare it.")
    return None if target is None else str(target)


def target_in(parameters: Parameters, table: pa.Table) -> str | None:
    """The name of the target among those of a table; None if there is no target.

    Raises:
        TableError: The table has no such column.
    """
    return _column_in(table, conditioned_on(parameters), "event" if parameters.target is None else "target")


def conditioned_on(parameters: Parameters) -> str | None:
    """The column to condition on: the target; without one, the event of a time to an event."""
    times = Times.of(parameters)
    return times.event if parameters.target is None and times is not None else parameters.target


def order_of(parameters: Parameters) -> Order:
    """The order in which columns are modelled: the event and its time first, so that others are drawn given both."""
    times, order = Times.of(parameters), parameters.order
    if times is None:
        return order
    first = (times.event, times.duration)
    if isinstance(order, str):
        return Leading(first, order)
    implied = [name for name in first if name not in order and name != conditioned_on(parameters)]
    return Leading(first, [*implied, *order])


@dataclass(frozen=True)
class Times:
    """The columns of a time to an event.

    Args:
        duration: The time until the event, or until the end of the observation.
        event: Whether the event was observed, or which one of several.
    """

    duration: str
    event: str

    @classmethod
    def of(cls, parameters: Parameters) -> Self | None:
        """Return the columns that parameters name, or else those of their schema; None if there are none.

        Raises:
            ConfigurationError: Only one is given, or one is no name, or both, or the duration and the target, are the
                same, or one has the weights, or the schema declares another one.
        """
        if not hasattr(parameters, "duration"):  # of an estimator for scikit-learn, which has no times
            return None
        given = (getattr(parameters, name) for name in ("duration", "event"))
        duration, event = _with_declared(parameters, *given)
        if duration is None and event is None:
            return None
        if duration is None or event is None:
            alone = "duration" if event is None else "event"
            raise ConfigurationError(
                f"`duration` and `event` must be given together, got `{alone}` alone. Name both columns or neither."
            )
        for name, value in (("duration", duration), ("event", event)):
            if not isinstance(value, Hashable):
                raise ConfigurationError(f"`{name}` must be the name of one column, got {value!r:.60}. Name one.")
        weights = getattr(parameters, "weights", None)
        if weights is not None and weights in (duration, event):
            raise ConfigurationError(
                f"`weights` must be another column than the duration and the event, got {weights!r}. Weights are not "
                "modelled; name the column of the weights."
            )
        if duration in (event, parameters.target):
            raise ConfigurationError(
                f"`duration` must be another column than the event and the target, got {duration!r}. Name the column "
                "of the time."
            )
        return cls(str(duration), str(event))

    def check(self, schema: Schema) -> None:
        """Refuse columns that cannot be a time and an event.

        Raises:
            TableError: A column is absent or has another kind, or a time may be negative.
        """
        for name, what, kinds in (("duration", self.duration, NUMERIC), ("event", self.event, EVENTS)):
            if what not in schema.names:
                raise TableError(f"The {name} {what!r} must be a column, and the table has {listing(schema.names)}.")
            if schema[what].kind not in kinds:
                raise TableError(
                    f"The {name} {what!r} must have a kind of {listing(kinds)}, got {schema[what].kind!r}. Name "
                    "another column, or declare its kind."
                )
        low = min((float(end) for end in schema[self.duration].bounds or ()), default=0.0)  # type: ignore[arg-type]
        if low < 0:
            raise TableError(
                f"The duration {self.duration!r} must not be negative, got {low:g}. Drop such rows, or declare its "
                "bounds."
            )


def _with_declared(parameters: Parameters, duration: Any, event: Any) -> tuple[Any, Any]:
    """The duration and the event, and where none are named, those of the schema.

    Raises:
        ConfigurationError: The schema declares others than those that are named.
    """
    schema = None if parameters.schema == MEASURED else given_schema(parameters)
    if schema is None or schema.duration is None:
        return duration, event
    declared = (schema.duration.name, schema.duration.event)
    if any(name not in (None, known) for name, known in zip((duration, event), declared, strict=True)):
        raise ConfigurationError(
            f"`duration` and `event` must be those of the schema, {declared[0]!r} and {declared[1]!r}, got "
            f"{duration!r} and {event!r}. Leave them out, or correct the schema."
        )
    return declared


def unit_in(parameters: Parameters, table: pa.Table) -> str | None:
    """The name of the column of subjects; None if each row is one.

    Raises:
        TableError: The table has no such column.
    """
    return _column_in(table, parameters.unit, "unit")


def _column_in(table: pa.Table, name: Any, what: str) -> str | None:
    if name is None:
        return None
    if str(name) not in table.column_names:
        raise TableError(
            f"The {what} {name!r} is not a column of the table, which has {listing(table.column_names)}."
            f"{suggestion([str(name)], table.column_names) or ' Choose one.'}"
        )
    return str(name)


def least_subjects(parameters: Parameters) -> int:
    """The smallest number of subjects of a value; 0: none is protected.

    Raises:
        ConfigurationError: It is not a whole number of at least 0.
    """
    least = parameters.protect
    if isinstance(least, bool) or not isinstance(least, (int, np.integer)) or least < 0:
        raise ConfigurationError(f"`protect` must be a whole number of at least 0, got {least!r}. 0 turns it off.")
    return int(least)


def refuse_class_prior_without_classes(parameters: Parameters) -> None:
    """Refuse prior="class_normal" without a target.

    Raises:
        ConfigurationError: That is the case.
    """
    if parameters.prior == "class_normal" and conditioned_on(parameters) is None:
        raise ConfigurationError(
            'prior="class_normal" needs a target, got target=None. Name the target, or choose prior="mixture".'
        )


def refuse_unsupported_in_private_fit(parameters: Parameters) -> None:
    """Refuse parameters that a private fit does not support.

    Raises:
        ConfigurationError, PrivacyError: There is one.
    """
    budget = PrivacyBudget.of(parameters.privacy)
    if budget is not None and parameters.unit not in (None, budget.unit):
        raise PrivacyError(
            f"`unit` must be that of the privacy budget, {budget.unit!r}, got {parameters.unit!r}. State it in "
            "`privacy` alone."
        )
    if parameters.conditions:
        raise PrivacyError(
            "`conditions` must be False for a private fit, whose budget pays for the model of whole rows. Remove it; "
            "rows can be requested by class."
        )
    if parameters.likelihood != "auto":
        raise PrivacyError(
            f'`likelihood` must be "auto" for a private fit, which models bins and not pixels, got '
            f"{parameters.likelihood!r}."
        )
    check_effort(parameters.effort, private=True)
    if parameters.precision != "float32":
        raise ConfigurationError(
            f'`precision` must be "float32" for a private fit, which clips and adds noise in it, got '
            f"{parameters.precision!r}."
        )


def values(parameters: Parameters, names: tuple[str, ...]) -> dict[str, Any]:
    """Parameters by name."""
    return {name: getattr(parameters, name) for name in names}


def check_effort(effort: EffortName, *, private: bool) -> None:
    """Refuse an unknown effort, or any but "balanced" for a private fit.

    Raises:
        ConfigurationError: That is the case.
    """
    configure(TrainingConfig, {"effort": effort})
    if private and effort != "balanced":
        raise ConfigurationError(
            f'`effort` must be "balanced" for a private fit, got {effort!r}: it follows the number of rows, which is '
            "not public. State `max_steps` and `width` instead."
        )


def architecture(parameters: Parameters, rows: int, **network: Any) -> ModelConfig:
    """Return the architecture of a model of a table of so many rows.

    Args:
        parameters: The parameters; those that are stated win over the effort.
        rows: The number of rows; under a privacy budget, where it is not public, any: the effort is "balanced".
        **network: Further fields of the architecture.

    Raises:
        ConfigurationError: A parameter is outside its domain.
    """
    check_effort(parameters.effort, private=False)
    effort = effort_of(parameters.effort, rows)
    size = {"width": effort.width, "hidden": effort.hidden, "value_hidden": effort.value_hidden}
    size |= {} if parameters.width is None else {"width": parameters.width}
    stated = {**values(parameters, MODEL), **size, **network}
    config = configure(ModelConfig, stated)  # refuses a width of another type
    return configure(ModelConfig, {**stated, "products": min(effort.products, config.width // 3)})


def spending_plan(parameters: Parameters) -> Plan:
    """How the privacy budget is to be spent."""
    names = {"steps": "max_steps", "batch": "batch_size", "learning_rate": "learning_rate"}
    given = {field: getattr(parameters, name) for field, name in names.items()}
    stated = {field: value for field, value in given.items() if value is not None}
    return configure(Plan, {"strategy": parameters.strategy, "descent": configure(Descending, stated)})


def warn_missing_labels(target: str | None, missing: Mapping[str, int], rows: int, *, event: str | None = None) -> None:
    """Warn of rows without a label, or without the event that is conditioned on; it may be a mistake."""
    if target is None or not 0 < missing[target] < rows:
        return
    if target == event:
        warn_user(
            f"event {event!r}: {missing[target]} of {rows} rows have no value. They are used in training, with the "
            "event marginalised, and every synthetic row has one; drop them if that is not intended."
        )
    else:
        warn_user(
            f"target {target!r}: {missing[target]} of {rows} rows have no label. They are used in training, with their "
            "class marginalised; drop them if that is not intended."
        )


def warn_empty(missing: Mapping[str, int], rows: int) -> None:
    """Warn of columns without any value."""
    for name, count in missing.items():
        if count == rows:
            warn_user(
                f"column {name!r}: every value is missing, so every synthetic value will be missing. Drop the column "
                "if that is not intended."
            )


def warn_of_separate_target(y: Any) -> None:
    """Warn of labels beside the table, which pipelines pass to every step and which a synthesizer does not learn."""
    if y is not None:
        warn_user(
            "`y` is not used, and synthetic rows will not have it: a Synthesizer learns the columns of its table. Join "
            '`y` to the table (`table.assign(y=y)`) and name the column (`target="y"`), or use VAETransformer, whose '
            "latent variables depend on `y`."
        )


def warn_of_index(table: Any) -> None:
    """Warn of an index that is data, which synthetic rows do not have."""
    if not isinstance(table, pd.DataFrame):
        return
    names = [name for name in table.index.names if name is not None]
    if names or not is_integer_dtype(table.index.dtype):
        warn_user(
            f"the index {' '.join(map(repr, names)) or f'of type {table.index.dtype}'} is not learned: synthetic rows "
            "are numbered from 0. Make it a column with `reset_index()`, or drop it with `reset_index(drop=True)`"
        )
