"""The parameters of a synthesizer, checked, and what they mean for a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa
from pydantic import ValidationError

from synthvae.encoding import Order
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError, explain, listing, warn_user
from synthvae.model import ModelConfig
from synthvae.privacy import Descending, Plan, PrivacyBudget
from synthvae.random_state import Seed
from synthvae.schema import drafts
from synthvae.schema.domain import refuse_undeclared
from synthvae.schema.schema import Schema
from synthvae.training import TrainingConfig
from synthvae.training.callbacks import Callbacks

MEASURED = "private"  # in a schema's place: it is measured with a part of the privacy budget
LATENT_TRAINING = ("max_steps", "beta", "free_bits", "validation_fraction", "warm_up", "corruption")
TRAINING = (*LATENT_TRAINING, "batch_size", "learning_rate", "precision")
MODEL = ("decoder", "prior", "latent_dim", "width", "components", "posterior", "likelihood", "variance", "image_shape")

Config = TypeVar("Config", TrainingConfig, ModelConfig, Descending, Plan)


def configure(kind: type[Config], parameters: Mapping[str, Any]) -> Config:
    """Return a configuration of checked parameters.

    Raises:
        ConfigurationError: A parameter is outside its domain.
    """
    try:
        return kind(**parameters)
    except ValidationError as error:
        raise ConfigurationError(explain(error, parameters)) from error


class Parameters(Protocol):
    """The parameters of a `Synthesizer` that a fit reads: it says what each means."""

    target: str | None
    schema: Schema | str | os.PathLike[str] | None
    privacy: PrivacyBudget | Mapping[str, Any] | None
    strategy: str
    journal: str | os.PathLike[str] | None
    prior: str
    order: Order
    likelihood: str
    latent_dim: int
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
    """The schema of a private fit; None: it is measured.

    Raises:
        PrivacyError: It leaves something to the data.
    """
    return None if parameters.schema == MEASURED else refuse_undeclared(given_schema(parameters))


def given_schema(parameters: Parameters) -> Schema | None:
    """The schema, read from its file if it is a path; None: it is to be inferred."""
    if parameters.schema is None or isinstance(parameters.schema, Schema):
        return parameters.schema
    return Schema.from_yaml(Path(parameters.schema))


def schema_of(parameters: Parameters, table: pa.Table) -> Schema:
    """The schema of a table that is not private, inferred if none is given.

    Raises:
        TableError: The target is not in the table, or a column looks like names or ids.
        SchemaError: The target is not in the schema.
    """
    target = target_in(parameters, table)
    if parameters.schema == MEASURED:
        raise PrivacyError(f"schema={MEASURED!r} is bought with a budget, however, `privacy` is None: grant one")
    schema = given_schema(parameters) or Schema.infer(table)
    if schema.inferred:
        drafts.refuse_identifying(schema, table, target)
    target_among(parameters, schema.names)
    return schema


def target_among(parameters: Parameters, names: Sequence[str]) -> str | None:
    """The target as a column of a schema; None: there is none.

    Raises:
        SchemaError: The schema has no such column.
    """
    target = parameters.target
    if target is not None and str(target) not in names:
        raise SchemaError(f"the target must be a column of the schema, however, {target!r} is not: declare it")
    return None if target is None else str(target)


def target_in(parameters: Parameters, table: pa.Table) -> str | None:
    """The target as a column of a table; None: there is none.

    Raises:
        TableError: The table has no such column.
    """
    if parameters.target is None:
        return None
    if str(parameters.target) not in table.column_names:
        raise TableError(
            f"the target must be a column of the table, however, {parameters.target!r} is not among "
            f"{listing(table.column_names)}"
        )
    return str(parameters.target)


def refuse_class_prior_without_classes(parameters: Parameters) -> None:
    """Refuse a normal for each class where there is none."""
    if parameters.prior == "class_normal" and parameters.target is None:
        raise ConfigurationError(
            'prior="class_normal" needs classes, however, there is no target: name one, or take "mixture"'
        )


def refuse_what_is_not_private(parameters: Parameters) -> None:
    """Refuse parameters that a private fit cannot heed."""
    if parameters.likelihood != "auto":
        raise PrivacyError(
            f"a private fit learns bins, not pixels, however, likelihood={parameters.likelihood!r}: choose 'auto', or "
            "no `privacy`"
        )
    if parameters.precision != "float32":
        raise ConfigurationError(
            f"a private fit clips and adds noise in single precision, however, precision={parameters.precision!r}: "
            'take "float32", or no `privacy`'
        )


def values(parameters: Parameters, names: tuple[str, ...]) -> dict[str, Any]:
    """Parameters by name, but for a learning rate that is left to how the model is trained."""
    left = {"learning_rate"} if parameters.learning_rate is None else set()
    return {name: getattr(parameters, name) for name in names if name not in left}


def spending_plan(parameters: Parameters) -> Plan:
    """How the privacy budget is to be spent."""
    names = {"steps": "max_steps", "batch": "batch_size", "learning_rate": "learning_rate"}
    given = {field: getattr(parameters, name) for field, name in names.items()}
    stated = {field: value for field, value in given.items() if value is not None}
    return configure(Plan, {"strategy": parameters.strategy, "descent": configure(Descending, stated)})


def warn_of_gaps(target: str | None, missing: Mapping[str, int], rows: int) -> None:
    """Tell of rows without a label, which may be a mistake."""
    if target is not None and 0 < missing[target] < rows:
        warn_user(
            f"target {target!r}: {missing[target]} of {rows} rows have no label: they are learned, their class being "
            "marginalised; drop them if that is not meant"
        )


def warn_empty(missing: Mapping[str, int], rows: int) -> None:
    """Tell of columns that have no value."""
    for name, count in missing.items():
        if count == rows:
            warn_user(
                f"column {name!r}: every value is missing, so every synthetic value will be: drop it if that is no use"
            )
