"""The stages of a study: their inputs, outputs and order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthvae.errors import ConfigurationError
from synthvae.recipe.study import AUGMENTED, FIGURES, HOLDOUT, MODEL, SYNTHETIC, TRAIN, Study
from synthvae.synthesizer.parameters import MEASURED

Summary = dict[str, Any]


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
    recipe = study.recipe
    found: list[Stage] = []
    if recipe.split is not None:
        found.append(_split(study))
    if recipe.generation is not None:
        found += [_fit(study), _generate(study)]
    if recipe.augment is not None:
        found.append(_augment(study))
    if recipe.evaluation is not None:
        found += _evaluate(study)
    return found


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


def _split(study: Study) -> Stage:
    recipe = study.recipe
    assert recipe.split is not None
    common = {"private": recipe.privacy is not None, "unit": recipe.unit, "target": recipe.target}
    reads = {"split": recipe.split.model_dump(), **_reading(study), **common}
    return Stage("split", reads, study.files("input"), (), (TRAIN, HOLDOUT), lambda *_: study.split())


def _fit(study: Study) -> Stage:
    privacy = None if study.recipe.privacy is None else study.recipe.privacy.model_dump()
    reads = {**_fitted(study), "privacy": privacy}
    return Stage("fit", reads, _rows(study), _before(study), (MODEL,), lambda inputs, _: study.fit(inputs))


def _generate(study: Study) -> Stage:
    assert study.recipe.generation is not None
    reads = study.recipe.generation.model_dump(mode="json", exclude={"workers"})  # bytes do not depend on it
    return Stage("generate", reads, {}, ("fit",), (SYNTHETIC,), lambda _, again: study.generate(again=again))


def _augment(study: Study) -> Stage:
    assert study.recipe.augment is not None
    reads = {**_fitted(study), "augment": study.recipe.augment.model_dump(mode="json")}
    return Stage("augment", reads, _rows(study), _before(study), (AUGMENTED,), lambda *_: study.augment())


def _evaluate(study: Study) -> list[Stage]:
    """Return the stage that measures and, if reports are asked for, the one that writes them."""
    recipe = study.recipe
    assert recipe.evaluation is not None
    common = {"target": recipe.target, "schema": recipe.stated_schema, **_reading(study), **recipe.times}
    reads = {"evaluation": recipe.evaluation.model_dump(exclude={"synthetic", "holdout"}), **common}
    sources = {**_rows(study), **study.files("evaluation.synthetic", "evaluation.holdout")}
    makers = ("fit", "generate") if recipe.generation else ("augment",) if recipe.augment else ()
    after = (*_before(study), *makers)
    found = [Stage("evaluate", reads, sources, after, (FIGURES,), lambda *_: study.evaluate())]
    named = [recipe.report.html, recipe.report.json_] if recipe.report else []
    makes = tuple(name for name in named if name)
    if makes:
        again = {**reads, "report": named}
        found.append(Stage("report", again, sources, (*after, "evaluate"), makes, lambda *_: study.report()))
    return found


def _fitted(study: Study) -> Summary:
    """Return the part of the recipe that a fit depends on."""
    recipe = study.recipe
    model = {} if recipe.model is None else recipe.model.model_dump(exclude_unset=True, exclude={"log_dir"})
    return {"target": recipe.target, "schema": recipe.stated_schema, "model": model, **_reading(study)}


def _reading(study: Study) -> Summary:
    """Return the part of the recipe that says how tables are written; `read` only if given, as in earlier records."""
    recipe = study.recipe
    return {"encoding": recipe.encoding, **({} if recipe.read_ is None else {"read": recipe.read_.stated()})}


def _rows(study: Study) -> dict[str, Path]:
    """Return the user's files that a fit depends on: the schema, and the table unless it is split."""
    schema = {} if study.recipe.schema_ == MEASURED else study.files("schema")
    return schema if study.recipe.split else {**schema, **study.files("input")}


def _before(study: Study) -> tuple[str, ...]:
    return ("split",) if study.recipe.split else ()
