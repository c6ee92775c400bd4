"""From the parameters of a synthesizer to checked configurations and the schema that was passed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from pydantic import ValidationError

from synthvae import filesystem
from synthvae.errors import ConfigurationError, PrivacyError, explain
from synthvae.model import ModelConfig
from synthvae.privacy import Descending, Plan, PrivacyBudget
from synthvae.random_state import Seed
from synthvae.schema.domain import refuse_undeclared
from synthvae.schema.schema import Schema
from synthvae.synthesizer.parameters import MEASURED
from synthvae.training import TrainingConfig
from synthvae.training.callbacks import Callbacks
from synthvae.training.config import EffortName, effort_of

# Parameters that are fields of a configuration of the same name.
LATENT_TRAINING = ("max_steps", "beta", "free_bits", "validation_fraction", "warm_up", "corruption")
TRAINING = (*LATENT_TRAINING, "batch_size", "learning_rate", "effort", "precision")
MODEL = ("decoder", "prior", "latent_dim", "components", "posterior", "likelihood", "variance", "image_shape")

BrokenRows = Literal["refuse", "repair"]

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
    broken_rows: BrokenRows
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


def least_subjects(parameters: Parameters) -> int:
    """The smallest number of subjects of a value; 0: none is protected.

    Raises:
        ConfigurationError: It is not a whole number of at least 0.
    """
    least = parameters.protect
    if isinstance(least, bool) or not isinstance(least, (int, np.integer)) or least < 0:
        raise ConfigurationError(f"`protect` must be a whole number of at least 0, got {least!r}. 0 turns it off.")
    return int(least)


def repairs_rows(parameters: Parameters) -> bool:
    """Whether rows that break a rule of the schema are repaired.

    Raises:
        ConfigurationError: `broken_rows` has no such value.
    """
    if parameters.broken_rows not in get_args(BrokenRows):
        raise ConfigurationError(
            f'`broken_rows` must be "refuse" or "repair", got {parameters.broken_rows!r:.60}. Choose one of them.'
        )
    return parameters.broken_rows == "repair"


def bounded_columns(parameters: Parameters) -> tuple[str, ...]:
    """The columns whose bounds the schema declares."""
    schema = given_schema(parameters)
    columns = () if schema is None else schema.columns
    return tuple(c.name for c in columns if c.bounds is not None and c.name != parameters.weights)


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
