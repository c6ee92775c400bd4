"""Reader of saved evaluations: the JSON that `Evaluation.to_json` and `synthvae evaluate --json-file` write.

Every consumer of that JSON (the model card, the thresholds of a recipe) reads it through `SavedEvaluation`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator

from synthvae import filesystem, safe_yaml
from synthvae.errors import ConfigurationError, explain
from synthvae.evaluation.metric import Better


class _SavedModel(BaseModel):
    """Unknown keys are ignored, since later releases may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


MAX_TEXT = 2_000  # characters of a text of a ledger
MAX_EVENTS = 10_000

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[StrictStr, Field(max_length=MAX_TEXT)]


class PrivacyStatement(_SavedModel):
    """`Ledger.statement()` as it is read from a file: anybody may have written it, so that all values are checked."""

    epsilon: Annotated[Number, Field(ge=0)]
    delta: Annotated[Number, Field(ge=0, lt=1)]
    unit: Text
    budget: Annotated[Number, Field(gt=0)] | None = None
    adjacency: Text | None = None
    accountant: Text | None = None
    events: Annotated[tuple[Text, ...], Field(max_length=MAX_EVENTS)] | None = None


def checked_statement(given: Any) -> dict[str, Any]:
    """Return the privacy statement of a manifest or of a caller, without keys that are not known.

    Raises:
        ConfigurationError: It is none: a number is not finite or out of its range, or a value has another type.

    Example:
        >>> checked_statement({"epsilon": 1.0, "delta": 1e-5, "unit": "one row"})["epsilon"]
        1.0
    """
    try:
        known = PrivacyStatement.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(
            f"A privacy ledger must have epsilon, delta and unit, all of them valid. {explain(error, given)}"
        ) from error
    fields = known.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in fields.items() if value is not None}


class SavedFigure(_SavedModel):
    """A figure, see `synthvae.evaluation.results.Figure`."""

    value: float | None
    interval: tuple[float | None, float | None] | None = None
    real: float | None = None
    independent: float | None = None
    better: Better
    flagged: bool = False


class SavedSection(_SavedModel):
    """A section: its figures by name, and what could not be measured."""

    figures: dict[str, SavedFigure] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class SavedAnswer(_SavedModel):
    """An answer of the verdict."""

    question: str
    answer: str
    reasons: tuple[str, ...] = ()


class SavedEvaluation(_SavedModel):
    """An evaluation as read from JSON, see `synthvae.evaluation.assessment.Evaluation`."""

    rows: dict[str, int]
    target: str | None = None
    seed: int
    verdict: dict[str, SavedAnswer] = Field(default_factory=dict)
    sections: dict[str, SavedSection]
    ledger: dict[str, Any] | None = None

    @field_validator("ledger")
    @classmethod
    def _checked_ledger(cls, ledger: dict[str, Any] | None) -> dict[str, Any] | None:
        if ledger is not None:
            checked_statement(ledger)
        return ledger

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Validate the data of `Evaluation.to_dict`.

        Raises:
            ConfigurationError: The document is not an evaluation.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise ConfigurationError(
                "An evaluation must be a document written by `synthvae evaluate --json-file`. "
                f"{explain(error, document)} Evaluate the rows again."
            ) from error

    @property
    def figures(self) -> dict[str, SavedFigure]:
        """All figures by the name of their metric."""
        return {name: figure for section in self.sections.values() for name, figure in section.figures.items()}

    def check_model(self, columns: Collection[str], statement: Mapping[str, Any] | None) -> None:
        """Check that the evaluation can be of rows of a given model.

        Args:
            columns: Names of the model's columns.
            statement: `Ledger.statement()` of the model; None for a model without one.

        Raises:
            ConfigurationError: The evaluation's target or ledger is not that of the model.
        """
        if self.target is not None and self.target not in columns:
            raise ConfigurationError(
                f"The evaluation must be of rows of this model, got the target {self.target!r}, which is not a column "
                "of the model. Evaluate rows that this model generated."
            )
        if self.ledger is not None and self.ledger != statement:
            raise ConfigurationError(
                "The evaluation must be of rows of this model, got a different privacy ledger. Evaluate rows that this "
                "model generated."
            )


class SavedTable(_SavedModel):
    """One of linked tables: its sections by name."""

    sections: dict[str, SavedSection] = Field(default_factory=dict)


class SavedDatabaseEvaluation(_SavedModel):
    """An evaluation of linked tables as read from JSON, see `DatabaseEvaluation.to_dict`."""

    tables: dict[str, SavedTable]

    @property
    def figures(self) -> dict[str, SavedFigure]:
        """All figures by their table and the name of their metric, such as "visits.lag"."""
        sections = [(name, section) for name, table in self.tables.items() for section in table.sections.values()]
        return {f"{name}.{metric}": figure for name, own in sections for metric, figure in own.figures.items()}


def load(path: Path) -> Any:
    """Return the content of a JSON file, to be validated by `SavedEvaluation.from_dict`.

    Raises:
        ConfigurationError: The file cannot be read, or is not JSON.
    """
    place = filesystem.local_path(path, "An evaluation")
    try:
        return safe_yaml.load_json(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise ConfigurationError(
            f"An evaluation must be a JSON file; {path} cannot be read ({reason}). Write one with "
            "`synthvae evaluate --json-file`."
        ) from error
