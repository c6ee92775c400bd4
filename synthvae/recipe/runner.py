"""Run a recipe: each stage once, and again only if its inputs changed or its outputs are damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.errors import ConfigurationError, DatasetError, SynthvaeError, listing
from synthvae.recipe.recipe import Recipe
from synthvae.recipe.records import FOLDER, StageRecord, begin, content, digest, digests, link_on_the_way
from synthvae.recipe.stages import Stage, check_sources, stages
from synthvae.recipe.study import FIGURES, Study, Watch

Done = Literal["ran", "kept", "would run", "would be kept"]


@dataclass(frozen=True)
class Step:
    """The result of a stage.

    Args:
        stage: Its name.
        done: Whether it ran, or its outputs were kept.
        why: The reason why it ran or would run.
        what: A summary of its outputs.
        where: The files and folders that it wrote.
    """

    stage: str
    done: Done
    why: str
    what: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Args:
        out: The output folder.
        steps: Its stages, in their order.
        failures: The thresholds that were not met, one sentence each.

    Example:
        >>> Outcome(Path("study"), ()).as_dict()
        {'out': 'study', 'steps': (), 'failures': ()}
    """

    out: Path
    steps: tuple[Step, ...]
    failures: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a dict that JSON can represent."""
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
    """Run the stages of a recipe that are not up to date.

    A stage is up to date if the hash of its inputs (its part of the recipe, its files, the outputs of earlier stages,
    the version of synthvae) is the recorded one, and its outputs still have the bytes that it wrote.

    Args:
        path: The recipe.
        out: The output folder. None: the one of the recipe, or its file name followed by -run.
        force: Stages that run even if they are up to date.
        until: The last stage to run. None: all run.
        dry_run: Report which stages would run; nothing is written.
        verbose: Whether to show progress on stderr.
        watch: Called with the name of each stage, and of each section of the evaluation, when it begins.

    Raises:
        ConfigurationError: The recipe is invalid, contradicts itself, or names a file that does not exist; or there is
            no such stage, or no such metric.
        DatasetError: The output folder has other content, or cannot be written.
        SynthvaeError: A stage failed.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> load_wine(as_frame=True).frame.to_csv("wine.csv", index=False)
        >>> lines = ["input: wine.csv", "model: {max_steps: 20}", "generation: {rows: 50}"]
        >>> count = Path("wine.yaml").write_text(chr(10).join(lines))
        >>> [step.stage for step in run(Path("wine.yaml")).steps]
        ['fit', 'generate']
    """
    recipe = Recipe.read(path)
    place = filesystem.local_path(out or recipe.out or f"{path.stem}-run", "The output folder of a recipe")
    study = Study(recipe, path.parent, place, verbose, watch)
    asked = stages(study)
    _check_stages([*force, *([until] if until else [])], asked)
    check_sources(study, path)
    _check_out(place)
    _refuse_links(place, [*(name for stage in asked for name in stage.makes), *study.logs])
    steps = tuple(_steps(study, _until(asked, until), force, dry_run=dry_run))
    finished = not dry_run and "evaluate" in {step.stage for step in steps}
    return Outcome(place, steps, _failures(recipe, place) if finished else ())


def _steps(study: Study, asked: list[Stage], force: Collection[str], *, dry_run: bool) -> Iterator[Step]:
    would: set[str] = set()
    for stage in asked:
        inputs = _inputs(stage, study)
        record = StageRecord.read(study.out, stage.name)
        why = "its inputs will change" if would & set(stage.after) else _why(stage, study, record, inputs, force)
        if dry_run:
            would |= {stage.name} if why else set()
            yield Step(stage.name, "would run" if why else "would be kept", why, "", stage.makes)
        elif why:
            yield Step(stage.name, "ran", why, _made(study, stage, inputs).facts["what"], stage.makes)
        else:
            assert record is not None
            yield Step(stage.name, "kept", "", str(record.facts.get("what", "")), stage.makes)


def _why(stage: Stage, study: Study, record: StageRecord | None, inputs: str, force: Collection[str]) -> str:
    """Return why a stage has to run; empty if it is up to date."""
    if stage.name in force:
        return "forced"
    if record is None:
        return "not run yet"
    if record.inputs != inputs:
        return "its inputs changed"
    return "" if digests(study.out, stage.makes, study.key) == record.outputs else "its outputs are damaged"


def _made(study: Study, stage: Stage, inputs: str) -> StageRecord:
    """Run a stage and record it."""
    if study.watch is not None:
        study.watch(stage.name)
    try:
        study.out.mkdir(parents=True, exist_ok=True)
        _refuse_links(study.out, stage.makes)
        again = begin(study.out, stage.name, inputs)
        summary = stage.do(inputs, again)
        record = StageRecord(inputs, digests(study.out, stage.makes, study.key), summary)
        record.write(study.out, stage.name)
    except SynthvaeError:
        raise
    except OSError as error:
        raise _unwritable(study.out, error) from error
    return record


def _inputs(stage: Stage, study: Study) -> str:
    """Return one hash of all inputs of a stage."""
    before = {name: record.outputs for name in stage.after if (record := StageRecord.read(study.out, name))}
    sources = {key: content(path) for key, path in stage.sources.items()}
    inputs = {"stage": stage.name, "synthvae": __version__, "page": stage.reads, "files": sources, "before": before}
    return digest(inputs, study.key)


def _check_stages(names: Collection[str], asked: list[Stage]) -> None:
    known = [stage.name for stage in asked]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"unknown stage {name!r}. The stages of this recipe are {listing(known)}.")


def _until(asked: list[Stage], until: str | None) -> list[Stage]:
    last = [stage.name for stage in asked].index(until) if until else len(asked)
    return asked[: last + 1]


def _check_out(out: Path) -> None:
    """Refuse a bad output folder before the work instead of after it."""
    try:
        filesystem.refuse_link(out)
        is_file = out.exists() and not out.is_dir()
        foreign = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    except OSError as error:
        raise _unwritable(out, error) from error
    if is_file:
        raise DatasetError(f"The output must be a folder, got the file {out}. Choose another with --out.")
    if foreign and FOLDER not in foreign:
        raise DatasetError(
            f"The output folder must be empty or of an earlier run, but {out} contains {foreign[0]!r}. "
            "Choose another with --out."
        )


def _refuse_links(out: Path, makes: Collection[str]) -> None:
    """Refuse a link in the place of an output, or of a folder above it, which would be written elsewhere."""
    link = link_on_the_way(out, makes)
    if link is not None:
        raise DatasetError(
            f"The outputs must be inside the output folder, but {out} contains the link {link!r}. Remove the link, or "
            "choose another folder with --out."
        )


def _unwritable(out: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"The output folder {out} cannot be written ({error.strerror or error}). Choose another with --out."
    )


def _failures(recipe: Recipe, out: Path) -> tuple[str, ...]:
    """Return the thresholds of the report that are not met."""
    if recipe.report is None or not (recipe.report.fail_under or recipe.report.fail_over):
        return ()
    from synthvae.evaluation.saved import SavedDatabaseEvaluation, SavedEvaluation, load
    from synthvae.evaluation.thresholds import failures

    written = load(out / FIGURES)
    saved = SavedDatabaseEvaluation.model_validate(written) if recipe.is_linked else SavedEvaluation.from_dict(written)
    return tuple(failures(saved.figures, recipe.report.fail_under, recipe.report.fail_over))
