"""The columns that parameters of a synthesizer name by their role: the target, the time and the event, the subject."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

from synthvae.encoding import Order
from synthvae.encoding.order import Leading
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError, TableError, listing
from synthvae.schema import decisions
from synthvae.schema.column import EVENTS, NUMERIC
from synthvae.schema.problems import suggestion
from synthvae.schema.schema import Schema
from synthvae.synthesizer.configuration import Parameters, given_schema
from synthvae.synthesizer.parameters import MEASURED


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


def refuse_class_prior_without_classes(parameters: Parameters) -> None:
    """Refuse prior="class_normal" without a target.

    Raises:
        ConfigurationError: That is the case.
    """
    if parameters.prior == "class_normal" and conditioned_on(parameters) is None:
        raise ConfigurationError(
            'prior="class_normal" needs a target, got target=None. Name the target, or choose prior="mixture".'
        )
