"""What `synthvae evaluate --json` said of synthetic rows, read again: its page is checked here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synthvae.errors import ConfigurationError


class _Page(BaseModel):
    """What is not asked for is left alone: later releases may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Reached(_Page):
    """A figure, as `synthvae.evaluation.results.Figure.as_dict` has it."""

    value: float | None
    interval: tuple[float | None, float | None] | None = None
    real: float | None = None
    independent: float | None = None
    better: Literal["higher", "lower", "half"]
    flagged: bool = False


class Part(_Page):
    """A section: its figures by name, and what could not be measured."""

    figures: dict[str, Reached] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Said(_Page):
    """An answer of the verdict."""

    question: str
    answer: str
    reasons: tuple[str, ...] = ()


class Measured(_Page):
    """An evaluation, as `synthvae.evaluation.assessment.Evaluation.as_dict` has it."""

    rows: dict[str, int]
    target: str | None = None
    seed: int
    verdict: dict[str, Said] = Field(default_factory=dict)
    sections: dict[str, Part]
    ledger: dict[str, Any] | None = None

    @classmethod
    def read(cls, page: Mapping[str, Any]) -> Self:
        """Return what a page says.

        Raises:
            ConfigurationError: It is no page of an evaluation.
        """
        try:
            return cls.model_validate(page)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "page"
            raise ConfigurationError(
                f"an evaluation must be a page of `synthvae evaluate --json`, however, its {where!r} is not as there "
                f"({first['msg']}): evaluate again"
            ) from error

    def refuse_other(self, columns: Collection[str], statement: Mapping[str, Any] | None) -> None:
        """Refuse what was measured on rows of another model, as far as its target and its ledger tell.

        Raises:
            ConfigurationError: They are not those of a model with such columns and such a ledger.
        """
        if self.target is not None and self.target not in columns:
            raise ConfigurationError(
                f"an evaluation must be of rows that this model made, however, its target {self.target!r} is no column "
                "of the model: evaluate rows of this one"
            )
        if self.ledger is not None and self.ledger != statement:
            raise ConfigurationError(
                "an evaluation must be of rows that this model made, however, its privacy ledger is another: evaluate "
                "rows of this one"
            )


def load(path: Path) -> Any:
    """Return what a file of JSON holds.

    Raises:
        ConfigurationError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise ConfigurationError(
            f"an evaluation must be a file of JSON, however, {path} cannot be read ({reason}): write one by "
            "`synthvae evaluate --json`"
        ) from error
