"""Reader of saved evaluations: the JSON that `Evaluation.to_json` and `synthvae evaluate --json` write.

Every consumer of that JSON (the model card, the thresholds of a recipe) reads it through `SavedEvaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synthvae.errors import ConfigurationError, explain
from synthvae.evaluation.metrics import Better


class _SavedModel(BaseModel):
    """Unknown keys are ignored, since later releases may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
                f"An evaluation must be a document written by `synthvae evaluate --json`. {explain(error, document)} "
                "Evaluate the rows again."
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


def load(path: Path) -> Any:
    """Return the content of a JSON file, to be validated by `SavedEvaluation.from_dict`.

    Raises:
        ConfigurationError: The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise ConfigurationError(
            f"An evaluation must be a JSON file; {path} cannot be read ({reason}). Write one with "
            "`synthvae evaluate --json`."
        ) from error
