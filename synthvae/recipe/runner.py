"""Run a recipe: each stage once, again only when what it reads has changed or what it made is damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from synthvae._version import __version__
from synthvae.errors import ConfigurationError, DatasetError, SynthvaeError, listing
from synthvae.recipe.recipe import Recipe
from synthvae.recipe.records import FOLDER, Record, begin, content, digest, digests
from synthvae.recipe.stages import Stage, check_sources, stages
from synthvae.recipe.study import FIGURES, Study, Watch

Done = Literal["ran", "kept", "would run", "would be kept"]


@dataclass(frozen=True)
class Step:
    """What became of a stage.

    Args:
        stage: Its name.
        done: Whether it ran or was kept.
        why: Why it ran, or had to.
        what: What it made, in words.
        where: The files and folders that it made.
    """

    stage: str
    done: Done
    why: str
    what: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Args:
        out: The output folder.
        steps: Its stages, in their order.
        failures: The figures that were not reached, one sentence each.
    """

    out: Path
    steps: tuple[Step, ...]
    failures: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "out": str(self.out)}


def run(
    path: Path,
    out: Path | None = None,
    *,
    force: Collection[str] = (),
    until: str | None = None,
    dry_run: bool = False,
    verbose: bool = False,
    watch: Watch | None = None,
) -> Outcome:
    """Run a recipe, as far as that has not been done.

    A stage is kept if the hash of all that it reads (its part of the page, its files, what the stages before it made,
    the version of synthvae) is the recorded one, and its files still have the bytes that it wrote.

    Args:
        path: The recipe.
        out: The output folder; None: the one that it names, or its own name and -run.
        force: Stages that run in any case.
        until: The last stage that runs; None: all do.
        dry_run: Only say which stages would run; nothing is written.
        verbose: Whether to show progress on stderr.
        watch: Called with the name of each stage that begins, and of each section that is measured.

    Raises:
        ConfigurationError: The recipe is no such page, contradicts itself, or names a file that is not there; there is
            no such stage, or no such figure.
        DatasetError: The output folder holds something else, or cannot be written.
        SynthvaeError: What a stage raises.
    """
    recipe = Recipe.read(path)
    place = out or Path(recipe.out or f"{path.stem}-run")
    study = Study(recipe, path.parent, place, verbose, watch)
    asked = stages(study)
    _check_stages([*force, *([until] if until else [])], asked)
    check_sources(study, path)
    _check_out(place)
    steps = tuple(_steps(study, _until(asked, until), force, dry_run=dry_run))
    finished = not dry_run and "evaluate" in {step.stage for step in steps}
    return Outcome(place, steps, _failures(recipe, place) if finished else ())


def _steps(study: Study, asked: list[Stage], force: Collection[str], *, dry_run: bool) -> Iterator[Step]:
    would: set[str] = set()
    for stage in asked:
        inputs = _inputs(stage, study)
        record = Record.read(study.out, stage.name)
        why = "what it reads changes" if would & set(stage.after) else _why(stage, study, record, inputs, force)
        if dry_run:
            would |= {stage.name} if why else set()
            yield Step(stage.name, "would run" if why else "would be kept", why, "", stage.makes)
        elif why:
            yield Step(stage.name, "ran", why, _made(study, stage, inputs).facts["what"], stage.makes)
        else:
            assert record is not None
            yield Step(stage.name, "kept", "", str(record.facts.get("what", "")), stage.makes)


def _why(stage: Stage, study: Study, record: Record | None, inputs: str, force: Collection[str]) -> str:
    """Why a stage has to run; empty if it need not."""
    if stage.name in force:
        return "it was asked for"
    if record is None:
        return "it is not done"
    if record.inputs != inputs:
        return "what it reads changed"
    return "" if digests(study.out, stage.makes, study.key) == record.outputs else "what it made is damaged"


def _made(study: Study, stage: Stage, inputs: str) -> Record:
    """Run a stage and record it."""
    if study.watch is not None:
        study.watch(stage.name)
    try:
        study.out.mkdir(parents=True, exist_ok=True)
        again = begin(study.out, stage.name, inputs)
        facts = stage.do(inputs, again)
        record = Record(inputs, digests(study.out, stage.makes, study.key), facts)
        record.write(study.out, stage.name)
    except SynthvaeError:
        raise
    except OSError as error:
        raise _unwritable(study.out, error) from error
    return record


def _inputs(stage: Stage, study: Study) -> str:
    """One hash for all that a stage reads."""
    before = {name: record.outputs for name in stage.after if (record := Record.read(study.out, name))}
    sources = {key: content(path) for key, path in stage.sources.items()}
    facts = {"stage": stage.name, "synthvae": __version__, "page": stage.reads, "files": sources, "before": before}
    return digest(facts, study.key)


def _check_stages(names: Collection[str], asked: list[Stage]) -> None:
    known = [stage.name for stage in asked]
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"a stage must be one of the recipe's, however, {name!r} is not: try one of {listing(known)}"
            )


def _until(asked: list[Stage], until: str | None) -> list[Stage]:
    last = [stage.name for stage in asked].index(until) if until else len(asked)
    return asked[: last + 1]


def _check_out(out: Path) -> None:
    """Refuse an output folder that is none, or not ours, before an hour of work rather than after."""
    try:
        is_file = out.exists() and not out.is_dir()
        foreign = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    except OSError as error:
        raise _unwritable(out, error) from error
    if is_file:
        raise DatasetError(f"the output must be a folder, however, {out} is a file: choose another with --out")
    if foreign and FOLDER not in foreign:
        raise DatasetError(
            f"the output must be a folder of its own, however, {out} holds {foreign[0]!r}, which is of no run: choose "
            "another with --out"
        )


def _unwritable(out: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"the output folder must be writable, however, {out} is not ({error.strerror or error}): choose another with "
        "--out"
    )


def _failures(recipe: Recipe, out: Path) -> tuple[str, ...]:
    """The figures that the report must reach and does not."""
    if recipe.report is None or not (recipe.report.fail_under or recipe.report.fail_over):
        return ()
    from synthvae.evaluation.saved import SavedEvaluation, load
    from synthvae.evaluation.thresholds import failures

    figures = SavedEvaluation.from_dict(load(out / FIGURES)).figures
    return tuple(failures(figures, recipe.report.fail_under, recipe.report.fail_over))
