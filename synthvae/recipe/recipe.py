"""The page of a recipe: what a study is, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from synthvae.privacy import PrivacyBudget
from synthvae.recipe.reading import read_page, refusal
from synthvae.recipe.sections import Augmenting, Evaluating, Generation, Model, Part, Privacy, Report, Split
from synthvae.synthesizer.parameters import MEASURED


class Recipe(Part):
    """A study on one page: from a table to the report of its synthetic rows.

    Args:
        input: The real rows: a CSV or Parquet file or a folder of either, relative to this file.
        encoding: Character encoding of CSV files.
        schema: The schema of the rows: a reviewed file, relative to this one, or "private" to buy it with a part of the
            privacy budget. None: it is inferred.
        target: The column to condition on, and to predict.
        split: Which rows are held out. None: all are learned.
        model: The parameters of `Synthesizer`.
        privacy: The fields of `PrivacyBudget`. None: nothing is promised.
        generation: How many rows are made.
        augment: Which classes get more rows, in the place of `generation`.
        evaluation: What is measured. None: nothing is.
        report: What is written of it, and which figures must be reached.
        out: The output folder, relative to the folder in which the command runs. None: the name of this file, and -run.
    """

    input: str
    encoding: str = "utf-8"
    schema_: Annotated[str | None, Field(alias="schema")] = None
    target: str | None = None
    split: Split | None = None
    model: Model | None = None
    privacy: Privacy | None = None
    generation: Generation | None = None
    augment: Augmenting | None = None
    evaluation: Evaluating | None = None
    report: Report | None = None
    out: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, page: Any) -> Any:
        """A section without keys is there, with its defaults: `privacy:` alone is a mistake, not the lack of it."""
        if not isinstance(page, Mapping):
            return page
        sections = ("split", "model", "privacy", "generation", "augment", "evaluation", "report")
        return {name: {} if value is None and name in sections else value for name, value in page.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for fact in self._contradictions():
            raise ValueError(fact)
        if self.privacy is not None:
            PrivacyBudget(**self.privacy.given())
        return self

    def _contradictions(self) -> Iterator[str]:
        yield from self._contradictory_sources()
        yield from self._contradictory_promises()
        if self.report is not None and self.evaluation is None:
            yield "`report` needs figures, however, there is no `evaluation`: add `evaluation: {}`, or drop `report`"
        if self.split is not None and self.evaluation is not None and self.evaluation.holdout is not None:
            yield "rows are held out once, however, `split` and `evaluation.holdout` both do it: drop one"
        if self.evaluation is not None and (self.evaluation.duration is None) != (self.evaluation.event is None):
            yield "`evaluation.duration` and `event` belong together, however, one is there alone: add the other"

    def _contradictory_sources(self) -> Iterator[str]:
        made = [name for name in ("generation", "augment") if getattr(self, name) is not None]
        if self.only_evaluates:
            learns = [name for name in ("model", "privacy", *made) if getattr(self, name) is not None]
            if learns:
                yield (
                    "rows come from one place, however, `evaluation.synthetic` names some and "
                    f"`{learns[0]}` makes others: drop one"
                )
        elif len(made) != 1:
            yield (
                "synthetic rows must come from exactly one of `generation`, `augment` and `evaluation.synthetic`, "
                f"however, there is {'none' if not made else 'more than one'}: keep one"
            )
        if self.augment is not None and self.target is None:
            yield "`augment` needs a target of classes, however, there is none: name it as `target`"

    def _contradictory_promises(self) -> Iterator[str]:
        if self.privacy is None:
            if self.schema_ == MEASURED:
                yield "`schema: private` is bought with a budget, however, there is no `privacy`: grant one"
            return
        if self.augment is not None:
            yield (
                "`augment` writes real rows and counts them exactly, which no budget covers, however, there is "
                "`privacy`: use `generation`"
            )
        if self.schema_ is None:
            yield (
                "`privacy` needs a schema that a person declared, however, there is none: name it as `schema` (see "
                "`synthvae schema --declare`), or buy it with `schema: private`"
            )
        unit = self.privacy.given().get("unit")
        if self.split is not None and self.split.by not in {None, unit}:
            yield (
                f"rows of one unit must not be on both sides, however, `split.by` is {self.split.by!r} and "
                f"`privacy.unit` {unit!r}: let `by` be the unit"
            )

    @property
    def only_evaluates(self) -> bool:
        """Whether the synthetic rows are there already."""
        return self.evaluation is not None and self.evaluation.synthetic is not None

    @property
    def columns(self) -> list[str]:
        """The columns that the page names, which the table must have."""
        named = [self.target, self.split and self.split.by, self.privacy and self.privacy.given().get("unit")]
        evaluation = self.evaluation
        named += [evaluation.group, evaluation.duration, evaluation.event] if evaluation else []
        return list(dict.fromkeys(name for name in named if name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recipe.

        Raises:
            ConfigurationError: It is no YAML, has an unknown key, a value of another type, or contradicts itself.
            FileNotFoundError: There is no such file.
        """
        page = read_page(path)
        try:
            return cls.model_validate(page)
        except ValidationError as error:
            raise refusal(error, page, cls, str(path)) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe, for editors that complete and check while one types."""
    schema = Recipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A synthvae recipe"}
