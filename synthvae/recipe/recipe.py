"""`Recipe`: a study, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from synthvae.filesystem import scheme_of
from synthvae.privacy import PrivacyBudget
from synthvae.recipe.reading import invalid, read_mapping
from synthvae.recipe.sections import (
    Augmenting,
    Evaluating,
    Generation,
    Model,
    Privacy,
    Reading,
    RecipeSection,
    Report,
    Split,
)
from synthvae.schema.schema import Schema
from synthvae.synthesizer.parameters import MEASURED
from synthvae.tables import ReadOptions


class Recipe(RecipeSection):
    """A study: from a table to the report on its synthetic rows.

    Args:
        input: The real rows: a CSV, Parquet, Excel, Stata, SPSS, SAS, Feather or JSON lines file, or a folder of CSV or
            Parquet files, relative to this file.
        encoding: Character encoding of CSV files.
        read: How the real tables are written in their files. None: as synthvae finds it.
        schema: The schema of the table, which may be partial unless there is a privacy budget: a reviewed file,
            relative to this one; its `columns`, `drop` and `constraints` themselves; or "private" to measure it with a
            part of the privacy budget. None: it is inferred.
        target: The column to condition on, and to predict.
        split: Which rows are held out. None: all are used for training.
        model: The parameters of `Synthesizer`.
        privacy: The fields of `PrivacyBudget`. None: no differential privacy.
        generation: How many synthetic rows are generated.
        augment: Which classes get more rows, instead of `generation`.
        evaluation: What is measured. None: nothing.
        report: Which reports are written, and which thresholds must be met.
        out: The output folder, relative to the working directory. None: the name of this file followed by -run.

    Example:
        >>> Recipe(input="table.csv", target="y", generation={"rows": 100}).columns
        ['y']
    """

    input: str
    encoding: str = "utf-8"
    read_: Annotated[Reading | None, Field(alias="read")] = None
    schema_: Annotated[str | dict[str, Any] | None, Field(alias="schema")] = None
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
    def _empty_sections(cls, given: Any) -> Any:
        """Take a section without keys as one with its defaults: `privacy:` alone is an error, not its absence."""
        if not isinstance(given, Mapping):
            return given
        sections = ("split", "model", "privacy", "generation", "augment", "evaluation", "report")
        return {name: {} if value is None and name in sections else value for name, value in given.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for message in self._contradictions():
            raise ValueError(message)
        reading = self.read_options  # validates them
        if self.privacy is not None:
            PrivacyBudget(**self.privacy.stated())
            reading.check_private()
        if isinstance(self.schema_, dict):
            Schema.from_dict(self.schema_)
        return self

    def _contradictions(self) -> Iterator[str]:
        yield from self._source_contradictions()
        yield from self._privacy_contradictions()
        if self.report is not None and self.evaluation is None:
            yield "`report` needs `evaluation`. Add `evaluation: {}`, or drop `report`."
        if self.split is not None and self.evaluation is not None and self.evaluation.holdout is not None:
            yield "`split` and `evaluation.holdout` both hold rows out. Drop one."
        if self.evaluation is not None and (self.evaluation.duration is None) != (self.evaluation.event is None):
            yield "`evaluation.duration` and `evaluation.event` must be given together. Add the other."

    def _source_contradictions(self) -> Iterator[str]:
        evaluation = self.evaluation
        tables = (self.input, evaluation and evaluation.synthetic, evaluation and evaluation.holdout)
        if any(
            place and ("://" in place or scheme_of(place)) for place in tables
        ):  # a URL may have a password, so it is not shown
            yield (
                "The tables of a recipe must be files, got a URL. Write the rows of the query to Parquet first "
                "(`synthvae.tables.read(url, query=...)`)."
            )
        places = {"out": self.out, "schema": self.schema_, "model.log_dir": getattr(self.model, "log_dir", None)}
        for key, place in places.items():
            if isinstance(place, str) and scheme_of(place) is not None:
                yield f"`{key}` must be a path, got a URL with the scheme {scheme_of(place)!r}. Pass a path."
        made = [name for name in ("generation", "augment") if getattr(self, name) is not None]
        if self.only_evaluates:
            learns = [name for name in ("model", "privacy", *made) if getattr(self, name) is not None]
            if learns:
                yield (
                    f"`evaluation.synthetic` names synthetic rows and `{learns[0]}` would generate others. Drop one."
                )
        elif len(made) != 1:
            yield (
                "exactly one of `generation`, `augment` and `evaluation.synthetic` must be given, "
                f"got {' and '.join(made) or 'none'}"
            )
        if self.augment is not None and self.weights is not None:
            yield "`augment` writes real rows with synthetic ones, which have no `model.weights`. Use `generation`."
        if self.augment is not None and self.target is None:
            yield "`augment` needs classes. Name their column as `target`."

    def _privacy_contradictions(self) -> Iterator[str]:
        if self.privacy is None:
            if self.schema_ == MEASURED:
                yield "`schema: private` is measured with a privacy budget. Add `privacy`."
            return
        if self.augment is not None:
            yield (
                "`augment` writes real rows and counts them exactly, which no privacy budget covers. Use `generation`."
            )
        if self.schema_ is None:
            yield (
                "`privacy` needs a declared schema. Name its file as `schema` (see `synthvae schema --declare`), or "
                "measure it with `schema: private`."
            )
        unit = self.privacy.stated().get("unit")
        split = self.split and (self.split.unit or self.split.by)
        if split not in {None, unit}:
            key = "unit" if self.split and self.split.unit else "by"
            yield (
                f"`split.{key}` must be the privacy unit {unit!r}, got {split!r}: rows of one unit must be on one side"
            )

    @property
    def read_options(self) -> ReadOptions:
        """How the real tables are written in their files."""
        return ReadOptions(encoding=self.encoding, **(self.read_.stated() if self.read_ else {}))

    @property
    def only_evaluates(self) -> bool:
        """Whether the synthetic rows exist already."""
        return self.evaluation is not None and self.evaluation.synthetic is not None

    @property
    def stated_schema(self) -> Any:
        """The schema as values of JSON, on which stages depend."""
        return Schema.from_dict(self.schema_).to_dict() if isinstance(self.schema_, dict) else self.schema_

    @property
    def unit(self) -> str | None:
        """The column of units: of the privacy budget, or the first that `split`, `model` and `evaluation` name."""
        if self.privacy is not None:
            return self.privacy.stated().get("unit")
        stated = [self.split.unit or self.split.by] if self.split else []
        stated += [self.model.stated().get("unit")] if self.model else []
        stated += [self.evaluation.unit] if self.evaluation else []
        return next((unit for unit in stated if unit), None)

    @property
    def weights(self) -> str | None:
        """The column of survey weights."""
        return None if self.model is None else self.model.stated().get("weights")

    @property
    def times(self) -> dict[str, str]:
        """The columns of the time to an event, those of `evaluation` or else of `model`; empty if none are named."""
        evaluation, model = self.evaluation, {} if self.model is None else self.model.stated()
        named = {} if evaluation is None else {"duration": evaluation.duration, "event": evaluation.event}
        found = {name: named.get(name) or model.get(name) for name in ("duration", "event")}
        return {name: column for name, column in found.items() if column}

    @property
    def columns(self) -> list[str]:
        """The columns that the recipe names, which the table must have."""
        named = [self.target, self.unit]
        evaluation = self.evaluation
        named.append(self.weights)
        named += [evaluation.group] if evaluation else []
        named += self.times.values()
        return list(dict.fromkeys(name for name in named if name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recipe.

        Raises:
            ConfigurationError: The file is no YAML, has an unknown key or a wrong value, or contradicts itself.
            FileNotFoundError: There is no such file.
        """
        given = read_mapping(path)
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise invalid(error, given, cls, str(path)) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of recipes, for editors that complete and check keys.

    Example:
        >>> json_schema()["title"]
        'A synthvae recipe'
    """
    schema = Recipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A synthvae recipe"}
