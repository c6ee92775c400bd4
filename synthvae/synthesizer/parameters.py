"""What was asked of a synthesizer: its parameters, checked, and what they mean for a table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import ValidationError

from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError, explain, listing
from synthvae.model import ModelConfig
from synthvae.privacy import Descending, Plan, PrivacyBudget
from synthvae.schema import drafts
from synthvae.schema.domain import refuse_undeclared
from synthvae.schema.schema import Schema
from synthvae.training import TrainingConfig

BOUGHT = "private"  # in a schema's place: one is bought
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
        raise ConfigurationError(explain(error)) from error


class Asked:
    """The readings of a synthesizer's parameters, which are its attributes."""

    target: str | None
    schema: Schema | str | os.PathLike[str] | None
    privacy: PrivacyBudget | Mapping[str, Any] | None
    strategy: str
    prior: str
    learning_rate: float | None
    precision: str

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

    def _refuse_prior_of_no_class(self) -> None:
        if self.prior == "class_normal" and self.target is None:
            raise ConfigurationError(
                'prior="class_normal" needs classes, however, there is no target: name one, or take "mixture"'
            )

    def _refuse_reduced_precision(self) -> None:
        if self.precision != "float32":
            raise ConfigurationError(
                f"a private fit clips and adds noise in single precision, however, precision={self.precision!r}: take "
                '"float32", or no `privacy`'
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
            drafts.refuse_identifying(schema, table, target)
        self._target_among(schema.names)
        return schema


def warn_of_gaps(target: str | None, missing: Mapping[str, int], rows: int) -> None:
    """Tell of rows without a label, which may be a mistake."""
    if target is not None and 0 < missing[target] < rows:
        warnings.warn(
            f"target {target!r}: {missing[target]} of {rows} rows have no label: they are learned, their class being "
            "marginalised; drop them if that is not meant",
            stacklevel=5,
        )


def warn_empty(missing: Mapping[str, int], rows: int) -> None:
    """Tell of columns that have no value."""
    for name, count in missing.items():
        if count == rows:
            warnings.warn(
                f"column {name!r}: every value is missing, so every synthetic value will be: drop it if that is no use",
                stacklevel=5,
            )
