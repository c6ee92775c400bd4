"""The work of each stage of a study."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from synthvae import filesystem
from synthvae.errors import TableError, listing, warn_user
from synthvae.estimators import augment as augmentation
from synthvae.generation import copies, stores
from synthvae.generation.given import parse_interval
from synthvae.privacy import Journal
from synthvae.recipe.holdout import hold_out, hold_out_privately
from synthvae.recipe.recipe import Recipe
from synthvae.recipe.records import StageRecord, digests, users_key
from synthvae.recipe.sections import Generation
from synthvae.schema.forms import resolved
from synthvae.schema.schema import Schema
from synthvae.schema.values import at_most
from synthvae.synthesizer import artifact, dataset_card, weighting
from synthvae.synthesizer.description import parameters_of
from synthvae.synthesizer.parameters import MEASURED
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert, export, files, rowwise

if TYPE_CHECKING:
    from synthvae.evaluation import Evaluation


TRAIN, HOLDOUT = "split/train.parquet", "split/holdout.parquet"
MODEL, SYNTHETIC, AUGMENTED, FIGURES = "model", "synthetic", "augmented.parquet", "evaluation.json"

Watch = Callable[[str], None]
"""Called with the name of each stage, and of each section of the evaluation, when it begins."""


@dataclass
class Study:
    """A recipe and the folders of its files.

    Args:
        recipe: The recipe.
        home: The folder of the recipe, to which its paths are relative.
        out: The output folder.
        verbose: Whether to show progress on stderr.
        watch: Called with the name of each section of the evaluation when it begins.
    """

    recipe: Recipe
    home: Path
    out: Path
    verbose: bool = False
    watch: Watch | None = None

    def files(self, *keys: str) -> dict[str, Path]:
        """Return the files that the recipe names, by their keys."""
        evaluation = self.recipe.evaluation
        named = {
            "input": self.recipe.input,
            "database": self.recipe.database if isinstance(self.recipe.database, str) else None,
            "schema": self.recipe.schema_ if isinstance(self.recipe.schema_, str) else None,
            "evaluation.synthetic": evaluation and evaluation.synthetic,
            "evaluation.holdout": evaluation and evaluation.holdout,
        }
        return {key: self.home / str(named[key]) for key in keys if named[key] is not None}

    @property
    def parts(self) -> tuple[str, str]:
        """Where training rows and the holdout are written."""
        return TRAIN, HOLDOUT

    @property
    def inputs(self) -> dict[str, Path]:
        """The files of the real rows, by their keys."""
        return self.files("input")

    @property
    def logs(self) -> list[str]:
        """The log folder, inside the output folder, if the recipe names one."""
        named = self.recipe.model.stated().get("log_dir") if self.recipe.model else None
        return [] if named is None or Path(named).is_absolute() else [str(named)]

    @functools.cached_property
    def key(self) -> bytes | None:
        """The key of hashes (HMAC); None without a privacy budget."""
        return None if self.recipe.privacy is None else users_key()

    @property
    def declared_schema(self) -> Path | Schema | None:
        """The declared schema, or its file; with the columns of the written forms that `read` states."""
        given, reading = self._given_schema, self.recipe.read_options
        if not reading.forms:  # as under a privacy budget
            return given
        return resolved(Schema.from_yaml(given) if isinstance(given, Path) else given, self.real, reading)

    @property
    def _given_schema(self) -> Path | Schema | None:
        if isinstance(self.recipe.schema_, dict):
            return Schema.from_dict(self.recipe.schema_)
        return None if self.recipe.schema_ in {None, MEASURED} else self.files("schema")["schema"]

    def read(self, key: str) -> pa.Table:
        """Read a table of the user, row by row under a privacy budget."""
        read = convert.read if self.recipe.privacy is None else rowwise.read
        path, options = self.files(key)[key], self.recipe.read_options
        if key == "input":
            return read(path, options=options)
        kind = files.format_of(path)
        taken = options.of_synthetic(kind) if key == "evaluation.synthetic" else options.taken_by(kind)
        return read(path, options=taken)

    @functools.cached_property
    def real(self) -> pa.Table:
        """The training rows.

        Raises:
            TableError: A column that the recipe names is missing.
        """
        return self._checked(convert.read(self.out / TRAIN) if self.recipe.split else self.read("input"))

    def _checked(self, table: pa.Table) -> pa.Table:
        absent = [name for name in self.recipe.columns if name not in table.column_names]
        if absent:
            raise TableError(
                f"The table lacks {listing(absent)}, which the recipe names. Choose among "
                f"{listing(table.column_names)}."
            )
        return table

    def split(self) -> dict[str, Any]:
        """Write training rows and holdout."""
        split = self.recipe.split
        assert split is not None
        table = self._checked(self.read("input"))
        if self.recipe.privacy is not None:
            parts = hold_out_privately(table, split.holdout, split.random_state, by=self.recipe.unit)
            what = "each unit by an independent random draw"  # the numbers of rows are private
        else:
            target = self.recipe.target
            parts = hold_out(table, split.holdout, split.random_state, by=self.recipe.unit, target=target)
            what = f"{parts[0].num_rows} training rows, {parts[1].num_rows} held out"
        (self.out / TRAIN).parent.mkdir(exist_ok=True)
        for name, part in zip((TRAIN, HOLDOUT), parts, strict=True):
            export.write(part, self.out / name)
        return {"what": what}

    def _synthesizer(self) -> Synthesizer:
        """Return a synthesizer with the parameters of the recipe; its seed is 0 unless stated, so that runs repeat."""
        recipe = self.recipe
        stated = {"random_state": 0, **(recipe.model.stated() if recipe.model else {})}
        if recipe.privacy is None:
            stated["unit"] = recipe.unit
        if stated.get("log_dir") is not None:
            stated["log_dir"] = self.out / stated["log_dir"]
        schema = MEASURED if recipe.schema_ == MEASURED else self.declared_schema
        privacy = None if recipe.privacy is None else recipe.privacy.stated()
        return Synthesizer(target=recipe.target, schema=schema, privacy=privacy, verbose=self.verbose, **stated)

    def fit(self, inputs: str) -> dict[str, Any]:
        """Fit and save the model; `inputs` (a hash) names the journal that a fit keeps until then."""
        synthesizer, place = self._synthesizer(), self.out / MODEL
        artifact.check_place(place)
        if synthesizer.privacy is not None:
            self.warn_of_another_budget()
        # The journal is named by its inputs, so that a fit of other inputs does not resume it.
        folder = self.out / f".{MODEL}.{inputs[:12]}.{'fit' if synthesizer.privacy is None else 'releases'}"
        with Journal.until_saved(folder):
            with _interruptible(synthesizer):
                synthesizer.set_params(journal=folder).fit(self.real)
            synthesizer.save(place)
        ledger, steps = synthesizer.ledger_, synthesizer.history_.best_step
        if ledger is None:
            return {"what": f"{self.real.num_rows} training rows, {steps} steps"}
        return {
            "what": f"epsilon {at_most(ledger.epsilon)} at delta {at_most(ledger.delta)}",
            "ledger": ledger.statement(),
        }

    def warn_of_another_budget(self) -> None:
        """Warn if a private fit was run in this folder before."""
        if StageRecord.read(self.out, "fit") is not None:
            warn_user(
                "Each private fit spends its budget anew, and there was one here before. Together the two models "
                "reveal more than one of them."
            )

    @property
    def device(self) -> str:
        """The device of the model."""
        return str(self.recipe.model.stated().get("device", "auto")) if self.recipe.model else "auto"

    def generate(self, *, again: bool) -> dict[str, Any]:
        """Write synthetic rows; `again` resumes an interrupted run of the same request."""
        assert self.recipe.generation is not None
        synthesizer = Synthesizer.load(self.out / MODEL, device=self.device).set_params(verbose=self.verbose)
        asked = {"random_state": 0, **self.recipe.generation.stated()}
        if asked.get("given") is not None:
            asked["given"] = {name: _condition(value) for name, value in asked["given"].items()}
        number = self.recipe.generation.copies
        self.clear_outdated(_datasets(self.recipe.generation))
        # A complete dataset is of an earlier run; complete copies may be of the one that was interrupted.
        resume = again and (number is not None or not (self.out / self._synthetic / stores.MANIFEST).exists())
        overwrite = number is not None or not resume
        manifest = synthesizer.generate(self.out / SYNTHETIC, resume=resume, overwrite=overwrite, **asked)
        if number is not None:
            return {"what": f"{number} x {manifest['rows']} rows"}
        files = len(manifest["parts"])
        return {"what": f"{manifest['rows']} rows in {files} file{'s' if files > 1 else ''}"}

    @property
    def _synthetic(self) -> str:
        """The folder of the synthetic rows that are evaluated: of several copies, the first."""
        return SYNTHETIC if self.recipe.generation is None else _datasets(self.recipe.generation)[0]

    def clear_outdated(self, datasets: Collection[str]) -> None:
        """Remove recorded files that the next run would not replace, and no others: they may be the user's.

        They are those of a dataset whose manifest is damaged, or that is none of the next ones.
        """
        record = StageRecord.read(self.out, "generate")
        if record is None:
            return
        there = digests(self.out, [SYNTHETIC], self.key)
        for folder, names in _by_dataset(name for name in there if name in record.outputs).items():
            manifest = f"{folder}/{stores.MANIFEST}"
            if folder not in datasets or there.get(manifest) != record.outputs.get(manifest):
                for name in names:
                    filesystem.Folder(self.out / SYNTHETIC).remove(name.removeprefix(f"{SYNTHETIC}/"))

    def augment(self) -> dict[str, Any]:
        """Write the training rows followed by synthetic rows of scarce classes."""
        assert self.recipe.augment is not None
        asked = {"random_state": 0, **self.recipe.augment.stated()}
        synthesizer = self._synthesizer()
        with _interruptible(synthesizer):
            made = augmentation.augment(self.real, synthesizer, **asked)
        export.write(made, self.out / AUGMENTED)
        new = int(pc.sum(made.column(self.recipe.augment.mark)).as_py() or 0)
        return {"what": f"{made.num_rows - new} real rows, {new} synthetic ones"}

    def _compared(self) -> dict[str, Any]:
        """Return the tables to compare; augmented classes are compared with the real rows of those classes."""
        found: dict[str, Any] = {"real": self.real, "holdout": None}
        evaluation = self.recipe.evaluation
        assert evaluation is not None
        weights = self.recipe.weights
        if weights is not None:  # synthetic rows represent the weighted table, and so must what they are compared with
            found["real"] = weighting.represented(self.real, weights, evaluation.random_state)
        if self.recipe.split:
            found["holdout"] = convert.read(self.out / HOLDOUT)
        elif evaluation.holdout:
            found["holdout"] = self.read("evaluation.holdout")
        if weights is not None and found["holdout"] is not None:
            found["holdout"] = weighting.represented(found["holdout"], weights, evaluation.random_state)
        if evaluation.synthetic:
            return {**found, "synthetic": self.read("evaluation.synthetic")}
        if self.recipe.augment is None:
            return {**found, "synthetic": convert.read(self.out / self._synthetic)}
        made = convert.read(self.out / AUGMENTED)
        made = made.filter(made.column(self.recipe.augment.mark)).drop_columns([self.recipe.augment.mark])
        found["synthetic"] = made
        return {name: rows and _of_classes(rows, made, str(self.recipe.target)) for name, rows in found.items()}

    @functools.cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of the synthetic rows, measured once."""
        from synthvae.evaluation import evaluate

        asked = self.recipe.evaluation
        assert asked is not None
        given = {name: value for name, value in asked.stated().items() if name not in {"synthetic", "holdout", "unit"}}
        fitted = StageRecord.read(self.out, "fit") if self.recipe.privacy else None
        return evaluate(
            **self._compared(),
            target=self.recipe.target,
            schema=self._schema_to_compare(),
            ledger=fitted.facts.get("ledger") if fitted else None,
            unit=self.recipe.unit,
            protection=self._protection,
            model=self._parameters,
            names=self.names(),
            watch=self.watch,
            **{**given, **self.recipe.times},
        )

    @property
    def _parameters(self) -> dict[str, str] | None:
        """The parameters of the model of the study, and results of its training."""
        if self.recipe.generation is None or not (self.out / MODEL).is_dir():
            return None
        synthesizer = Synthesizer.load(self.out / MODEL)
        return parameters_of(synthesizer.get_params(), Synthesizer().get_params(), synthesizer.learned_)

    @property
    def _protection(self) -> dict[str, Any] | None:
        """What the manifest of the synthetic rows states was protected."""
        place = self.out / self._synthetic / stores.MANIFEST
        if self.recipe.generation is None or not place.is_file():
            return None
        found: dict[str, Any] | None = json.loads(place.read_text(encoding="utf-8")).get("protection")
        return found

    def _schema_to_compare(self) -> Path | Schema | None:
        if self.recipe.schema_ == MEASURED:
            return Synthesizer.load(self.out / MODEL).schema_
        schema = self.declared_schema
        if schema is None or self.recipe.weights is None:
            return schema
        return weighting.without(
            schema if isinstance(schema, Schema) else Schema.from_yaml(schema), self.recipe.weights
        )

    def names(self) -> dict[str, str]:
        """Return what the tables are called in the report, by role."""
        files = self.files("input", "evaluation.synthetic", "evaluation.holdout")
        made = AUGMENTED if self.recipe.augment else self._synthetic
        names = {"real": files["input"].name, "synthetic": made}
        if self.recipe.split:
            names |= {"real": TRAIN, "holdout": HOLDOUT}
        named = {key.rpartition(".")[2]: path.name for key, path in files.items() if key != "input"}
        return {**names, **named}

    def evaluate(self) -> dict[str, Any]:
        """Measure and write the figures."""
        self.evaluation.to_json(self.out / FIGURES)
        count = len(self.evaluation.figures)
        return {"what": f"{count} figures"}

    def report(self) -> dict[str, Any]:
        """Write the reports that the recipe names."""
        report = self.recipe.report
        assert report is not None
        if report.html is not None:
            self.evaluation.to_html(self.out / report.html)
        if report.json_ is not None:
            filesystem.export(self.out / report.json_, (self.out / FIGURES).read_bytes())
        return {"what": " and ".join(name for name in (report.html, report.json_) if name)}


@contextmanager
def _interruptible(synthesizer: Synthesizer) -> Iterator[None]:
    """Let an interrupt end the run: `fit` alone would stop early and keep the weights so far."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training interrupted")
        yield
    if synthesizer.history_.stopped == "interrupted":
        raise KeyboardInterrupt


def _datasets(generation: Generation) -> list[str]:
    """The folders of the datasets that are generated, inside the output folder."""
    folder = f"{SYNTHETIC}/{dataset_card.DATA}" if generation.describe else SYNTHETIC
    if generation.copies is None:
        return [folder]
    return [f"{folder}/{copies.folder_of(copy + 1)}" for copy in range(generation.copies)]


def _by_dataset(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of files inside the output folder, by the folder of their dataset, which may be partitioned."""
    found: dict[str, list[str]] = {}
    for name in names:
        folder, (first, *rest) = SYNTHETIC, name.split("/")[1:]
        if first in {dataset_card.DATA, dataset_card.CARD, dataset_card.CROISSANT}:
            folder, first = f"{SYNTHETIC}/{dataset_card.DATA}", rest[0] if rest else ""
        if copies.is_folder(first):
            folder = f"{folder}/{first}"
        found.setdefault(folder, []).append(name)
    return found


def _of_classes(rows: pa.Table, made: pa.Table, target: str) -> pa.Table:
    """Return the rows of the classes that the synthetic rows have."""
    labels = pc.unique(made.column(target).cast(pa.string()))
    return rows.filter(pc.is_in(rows.column(target).cast(pa.string()), value_set=labels))


def _condition(value: Any) -> Any:
    """A condition of a recipe as `Synthesizer.generate` takes it: a text with two dots is an interval."""
    return (parse_interval(value) if isinstance(value, str) else None) or value
