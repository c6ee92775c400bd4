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
    LINKED,
    LINKED_AMOUNTS,
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
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema
from synthvae.synthesizer.parameters import MEASURED
from synthvae.tables import ReadOptions

LONG = ("schema", "entity")  # keys of one table that linked tables do not have


class Recipe(RecipeSection):
    """A study: from a table to the report on its synthetic rows.

    Args:
        input: The real rows: a CSV, Parquet, Excel, Stata, SPSS, SAS, Feather or JSON lines file, or a folder of CSV or
            Parquet files, relative to this file. Linked tables have `database` instead.
        database: Linked tables: the YAML file of a `Database`, relative to this file; or its `tables`, with paths
            relative to this file, `primary_keys`, `foreign_keys`, `order` and other fields themselves.
        entity: The column of entities of a long table, such as patients, of which each has several rows.
        time: The column by which the rows of an entity are sorted. None: they have the order of the table.
        static: The columns that are constant within each entity. None: all that are in the table.
        encoding: Character encoding of CSV files.
        read: How the real tables are written in their files. None: as synthvae finds it.
        schema: The schema of the table, which may be partial unless there is a privacy budget: a reviewed file,
            relative to this one; its `columns`, `drop` and `constraints` themselves; or "private" to measure it with a
            part of the privacy budget. None: it is inferred.
        target: The column to condition on, and to predict.
        split: Which rows are held out. None: all are used for training.
        model: The parameters of `Synthesizer`; linked tables and long ones have `max_steps`, `protect`, `device` and
            `random_state` alone.
        privacy: The fields of `PrivacyBudget`. None: no differential privacy.
        generation: How many synthetic rows, or subjects of linked tables, are generated.
        augment: Which classes get more rows, instead of `generation`.
        evaluation: What is measured. None: nothing.
        report: Which reports are written, and which thresholds must be met.
        out: The output folder, relative to the working directory. None: the name of this file followed by -run.

    Example:
        >>> Recipe(input="table.csv", target="y", generation={"rows": 100}).columns
        ['y']
    """

    input: str | None = None
    database: str | dict[str, Any] | None = None
    entity: str | None = None
    time: str | None = None
    static: list[str] | None = None
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
        if isinstance(self.database, dict):
            Database.from_dict(self.database)
        return self

    def _contradictions(self) -> Iterator[str]:
        yield from self._source_contradictions()
        yield from self._linked_contradictions()
        yield from self._privacy_contradictions()
        if self.report is not None and self.evaluation is None:
            yield "`report` needs `evaluation`. Add `evaluation: {}`, or drop `report`."
        if self.split is not None and self.evaluation is not None and self.evaluation.holdout is not None:
            yield "`split` and `evaluation.holdout` both hold rows out. Drop one."
        if self.evaluation is not None and (self.evaluation.duration is None) != (self.evaluation.event is None):
            yield "`evaluation.duration` and `evaluation.event` must be given together. Add the other."

    def _linked_contradictions(self) -> Iterator[str]:
        if (self.input is None) == (self.database is None):
            both = "neither" if self.input is None else "both"
            yield f"exactly one of `input` and `database` must be given, got {both}"
        if self.entity is None and (alone := [n for n in ("time", "static") if getattr(self, n) is not None]):
            yield f"`{alone[0]}` is of a long table with an `entity`. Add `entity`, or drop `{alone[0]}`."
        amounts = [] if self.generation is None else [n for n in self.generation.stated() if n in LINKED_AMOUNTS]
        if not self.is_linked:
            if amounts:
                yield f"`generation.{amounts[0]}` is of linked tables. Name `database` or `entity`, or state `rows`."
            return
        kind = "`entity`" if self.database is None else "`database`"
        others = ["target", "augment", *(("privacy",) if self.database is None else LONG)]
        stated = [f"`{name}`" for name in others if getattr(self, name.replace("schema", "schema_")) is not None]
        stated += ["`encoding`"] * (self.database is not None and self.encoding != "utf-8")
        stated += ["`read`"] * (self.database is not None and self.read_ is not None)
        for section, known in LINKED.items():
            given = getattr(self, section)
            unknown = [] if given is None else [name for name in given.stated() if name not in known]
            stated += [f"`{section}.{name}`" for name in unknown]
        if stated:
            yield f"a recipe with {kind} must not have {' and '.join(stated)}. Remove them."
        if self.privacy is not None and self.privacy.stated().get("rows_of_tables") is None:
            yield "`privacy` of linked tables needs `rows_of_tables`, the most rows of a subject in each child table."

    def _source_contradictions(self) -> Iterator[str]:
        evaluation = self.evaluation
        tables = (
            self.input,
            *self._named_databases,
            evaluation and evaluation.synthetic,
            evaluation and evaluation.holdout,
        )
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
        if self.schema_ is None and self.database is None:
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
    def _named_databases(self) -> list[str]:
        """The file of the linked tables, or the files of those that the recipe names itself."""
        if not isinstance(self.database, dict):
            return [] if self.database is None else [self.database]
        tables = self.database.get("tables")
        return [path for path in tables.values() if isinstance(path, str)] if isinstance(tables, dict) else []

    @property
    def is_linked(self) -> bool:
        """Whether the recipe is about linked tables, or about a long table of entities."""
        return self.database is not None or self.entity is not None

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
        """The column of units: of the privacy budget, or the first that `split`, `model` and `evaluation` name.

        Those of a long table are its entities.
        """
        if self.entity is not None:
            return self.entity
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
        named += [*self.times.values(), self.time, *(self.static or ())]
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
    dialect = "https://json-schema.org/draft/2020-12/schema"
    one_source = [{"required": ["input"]}, {"required": ["database"]}]
    return {"$schema": dialect, **schema, "oneOf": one_source, "title": "A synthvae recipe"}
