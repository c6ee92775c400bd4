"""The stages of a study: their inputs, outputs and order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from synthvae.errors import ConfigurationError
from synthvae.recipe.linked_studies import DatabaseStudy, LongStudy
from synthvae.recipe.sections import LINKED_AMOUNTS
from synthvae.recipe.study import AUGMENTED, FIGURES, MODEL, SYNTHETIC, Study
from synthvae.synthesizer.parameters import MEASURED

Summary = dict[str, Any]


class Work(Protocol):
    """The work of the stages of a study: of one table, of linked ones, or of a long one."""

    @property
    def parts(self) -> tuple[str, str]:
        """Where training rows and the holdout are written."""

    @property
    def inputs(self) -> Mapping[str, Path]:
        """The files of the real rows, by their keys."""

    def split(self) -> Summary:
        """Write training rows and holdout."""

    def fit(self, inputs: str) -> Summary:
        """Fit and save the model, given the hash of its inputs."""

    def generate(self, *, again: bool) -> Summary:
        """Write synthetic rows; `again` resumes an interrupted run."""

    def evaluate(self) -> Summary:
        """Measure and write the figures."""

    def report(self) -> Summary:
        """Write the reports that the recipe names."""


@dataclass(frozen=True)
class Stage:
    """One step of a study.

    Args:
        name: Its name.
        reads: The part of the recipe that it depends on.
        sources: The user's files that it reads, by their key in the recipe.
        after: The stages whose outputs it reads.
        makes: Its outputs: files and folders inside the output folder.
        do: Writes them, given the hash of its inputs and whether it was interrupted before; returns a summary for its
            record.
    """

    name: str
    reads: Mapping[str, Any]
    sources: Mapping[str, Path]
    after: tuple[str, ...]
    makes: tuple[str, ...]
    do: Callable[[str, bool], Summary]


def stages(study: Study) -> list[Stage]:
    """Return the stages that the recipe asks for, in their order."""
    recipe, work = study.recipe, _work(study)
    found: list[Stage] = []
    if recipe.split is not None:
        found.append(_split(study, work))
    if recipe.generation is not None:
        found += [_fit(study, work), _generate(study, work)]
    if recipe.augment is not None:
        found.append(_augment(study, work))
    if recipe.evaluation is not None:
        found += _evaluate(study, work)
    return found


def _work(study: Study) -> Work:
    if study.recipe.database is not None:
        return DatabaseStudy(study)
    return study if study.recipe.entity is None else LongStudy(study)


def check_sources(study: Study, path: Path) -> None:
    """Refuse a recipe that names files that do not exist.

    Args:
        study: The study of the recipe.
        path: The file of the recipe.

    Raises:
        ConfigurationError: A file does not exist or cannot be accessed.
    """
    for stage in stages(study):
        for key, source in stage.sources.items():
            try:
                source.stat()
            except OSError as error:
                raise ConfigurationError(
                    f"{path}: `{key}`: {source} cannot be opened ({error.strerror}). Paths are relative to the recipe."
                ) from error


def _split(study: Study, work: Work) -> Stage:
    recipe = study.recipe
    assert recipe.split is not None
    common = {"private": recipe.privacy is not None, "unit": recipe.unit, "target": recipe.target}
    reads = {"split": recipe.split.model_dump(), **_reading(study), **common, **_linked(study)}
    return Stage("split", reads, work.inputs, (), work.parts, lambda *_: work.split())


def _fit(study: Study, work: Work) -> Stage:
    privacy = None if study.recipe.privacy is None else study.recipe.privacy.model_dump()
    reads = {**_fitted(study), "privacy": privacy}
    return Stage("fit", reads, _rows(study, work), _before(study), (MODEL,), lambda inputs, _: work.fit(inputs))


def _generate(study: Study, work: Work) -> Stage:
    assert study.recipe.generation is not None
    others = set() if study.recipe.is_linked else {*LINKED_AMOUNTS}
    # The bytes do not depend on the number of workers.
    reads = study.recipe.generation.model_dump(mode="json", exclude={"workers"} | others)
    return Stage("generate", reads, {}, ("fit",), (SYNTHETIC,), lambda _, again: work.generate(again=again))


def _augment(study: Study, work: Work) -> Stage:
    assert study.recipe.augment is not None
    reads = {**_fitted(study), "augment": study.recipe.augment.model_dump(mode="json")}
    return Stage("augment", reads, _rows(study, work), _before(study), (AUGMENTED,), lambda *_: study.augment())


def _evaluate(study: Study, work: Work) -> list[Stage]:
    """Return the stage that measures and, if reports are asked for, the one that writes them."""
    recipe = study.recipe
    assert recipe.evaluation is not None
    common = {"target": recipe.target, "schema": recipe.stated_schema, **_reading(study), **recipe.times}
    common |= _linked(study)
    reads = {"evaluation": recipe.evaluation.model_dump(exclude={"synthetic", "holdout"}), **common}
    sources = {**_rows(study, work), **study.files("evaluation.synthetic", "evaluation.holdout")}
    makers = ("fit", "generate") if recipe.generation else ("augment",) if recipe.augment else ()
    after = (*_before(study), *makers)
    found = [Stage("evaluate", reads, sources, after, (FIGURES,), lambda *_: work.evaluate())]
    named = [recipe.report.html, recipe.report.json_] if recipe.report else []
    makes = tuple(name for name in named if name)
    if makes:
        again = {**reads, "report": named}
        found.append(Stage("report", again, sources, (*after, "evaluate"), makes, lambda *_: work.report()))
    return found


def _fitted(study: Study) -> Summary:
    """Return the part of the recipe that a fit depends on."""
    recipe = study.recipe
    model = {} if recipe.model is None else recipe.model.model_dump(exclude_unset=True, exclude={"log_dir"})
    return {
        "target": recipe.target,
        "schema": recipe.stated_schema,
        "model": model,
        **_reading(study),
        **_linked(study),
    }


def _linked(study: Study) -> Summary:
    """Return the part of the recipe that says how rows are linked; nothing for single tables, as in earlier records."""
    recipe = study.recipe
    keys = {"database": recipe.database, "entity": recipe.entity, "time": recipe.time, "static": recipe.static}
    return {name: value for name, value in keys.items() if value is not None}


def _reading(study: Study) -> Summary:
    """Return the part of the recipe that says how tables are written; `read` only if given, as in earlier records."""
    recipe = study.recipe
    return {"encoding": recipe.encoding, **({} if recipe.read_ is None else {"read": recipe.read_.stated()})}


def _rows(study: Study, work: Work) -> dict[str, Path]:
    """Return the user's files that a fit depends on: the schema, and the table unless it is split."""
    schema = {} if study.recipe.schema_ == MEASURED else study.files("schema")
    return schema if study.recipe.split else {**schema, **work.inputs}


def _before(study: Study) -> tuple[str, ...]:
    return ("split",) if study.recipe.split else ()
