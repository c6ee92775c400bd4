"""The work of each stage of a study of linked tables, or of a long table whose entities have several rows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from synthvae import filesystem
from synthvae.errors import ConfigurationError, TableError, listing
from synthvae.generation import stores
from synthvae.privacy import Journal
from synthvae.recipe.linked_holdout import hold_out_subjects
from synthvae.recipe.records import StageRecord
from synthvae.recipe.study import FIGURES, HOLDOUT, MODEL, SYNTHETIC, Study
from synthvae.relational import DatabaseSynthesizer, SequenceSynthesizer, writing
from synthvae.relational.fitted_database import FittedChild, FittedDatabase
from synthvae.relational.long_tables import LongTable
from synthvae.schema import linkage
from synthvae.schema.database import Database, beside
from synthvae.schema.schema import Schema
from synthvae.schema.values import at_most
from synthvae.synthesizer import artifact
from synthvae.tables import convert, export

if TYPE_CHECKING:
    from synthvae.evaluation import DatabaseEvaluation

TRAIN_TABLES, HOLDOUT_TABLES, KEYS = "split/train", "split/holdout", "_database.yaml"


@dataclass
class DatabaseStudy:
    """A study of linked tables.

    Args:
        study: The recipe and its folders.
    """

    study: Study

    @property
    def parts(self) -> tuple[str, str]:
        """Where the tables of training subjects and those of the holdout are written."""
        return TRAIN_TABLES, HOLDOUT_TABLES

    @functools.cached_property
    def database(self) -> Database:
        """The real tables.

        Raises:
            ConfigurationError: A table has no file.
        """
        given = self.study.recipe.database
        if isinstance(given, dict):
            found = beside(Database.from_dict(given), self.study.home)
        else:
            found = Database.from_yaml(self.study.home / str(given))
        if absent := [name for name, place in found.tables.items() if not isinstance(place, (str, Path))]:
            raise ConfigurationError(f"`database` must name a file for each table, got none for {listing(absent)}.")
        return found

    @property
    def inputs(self) -> dict[str, Path]:
        """The file of the keys, and those of the tables."""
        tables = {f"database: tables: {name}": Path(place) for name, place in self.database.tables.items()}
        return {**self.study.files("database"), **tables}

    @functools.cached_property
    def training(self) -> Database:
        """The tables that the model is fitted to."""
        return Database.from_yaml(self.study.out / TRAIN_TABLES / KEYS) if self.study.recipe.split else self.database

    def split(self) -> dict[str, Any]:
        """Write the rows of training subjects and those of the holdout."""
        recipe = self.study.recipe
        assert recipe.split is not None
        tables = linkage.read(self.database)
        share, seed, private = recipe.split.holdout, recipe.split.random_state, recipe.privacy is not None
        parts = hold_out_subjects(self.database, tables, share, seed, private=private)
        for folder, part in zip(self.parts, parts, strict=True):
            self._write(self.study.out / folder, part)
        if recipe.privacy is not None:
            return {"what": "each subject by an independent random draw"}  # their numbers are private
        root = next(name for name in self.database.modelled if name not in self.database.parents)
        train, held = (part[root].num_rows for part in parts)
        return {"what": f"{train} training subjects, {held} held out"}

    def _write(self, folder: Path, tables: Mapping[str, pa.Table]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        files = {name: f"{writing.folder_of(name)}.parquet" for name in tables}
        for name, table in tables.items():
            export.write(table, folder / files[name])
        self.database.model_copy(update={"tables": files}).to_yaml(folder / KEYS)

    def fit(self, inputs: str) -> dict[str, Any]:
        """Fit and save the models; `inputs` (a hash) names the journal that a private fit keeps until then."""
        recipe, folder = self.study.recipe, self.study.out / f".{MODEL}.{inputs[:12]}.releases"
        privacy = None if recipe.privacy is None else recipe.privacy.stated()
        artifact.check_place(self.study.out / MODEL)
        if privacy is not None:
            self.study.warn_of_another_budget()
        journal = None if privacy is None else folder
        synthesizer = DatabaseSynthesizer(self.training, privacy=privacy, journal=journal, **_parameters(self.study))
        with nullcontext() if journal is None else Journal.until_saved(journal):
            _refuse_interrupted(synthesizer.fit().learned_)
            synthesizer.save(self.study.out / MODEL)
        ledger = synthesizer.ledger_
        if ledger is None:
            return {"what": _subjects(synthesizer.learned_)}
        stated = f"epsilon {at_most(ledger.epsilon)} at delta {at_most(ledger.delta)}"
        return {"what": stated, "ledger": ledger.statement()}

    def generate(self, *, again: bool) -> dict[str, Any]:
        """Write synthetic tables; `again` resumes an interrupted run of the same request."""
        synthesizer = DatabaseSynthesizer.load(self.study.out / MODEL, device=self.study.device)
        manifest = synthesizer.generate(self.study.out / SYNTHETIC, **_request(self.study, again=again))
        rows = (f"{table['rows']} of {name}" for name, table in manifest["tables"].items())
        return {"what": f"rows: {', '.join(rows)}"}

    @functools.cached_property
    def evaluation(self) -> DatabaseEvaluation:
        """The evaluation of the synthetic tables, measured once."""
        given = self.study.files("evaluation.synthetic", "evaluation.holdout")
        synthetic = given.get("evaluation.synthetic", self.study.out / SYNTHETIC)
        holdout = given.get("evaluation.holdout")
        if self.study.recipe.split:
            holdout = self.study.out / HOLDOUT_TABLES / KEYS
        names = {"real": TRAIN_TABLES if self.study.recipe.split else self._shown, "synthetic": synthetic.name}
        names |= {} if holdout is None else {"holdout": HOLDOUT_TABLES if self.study.recipe.split else holdout.name}
        return _evaluated(self.study, self.training, synthetic, holdout, names)

    @property
    def _shown(self) -> str:
        """What the real tables are called in the report."""
        given = self.study.recipe.database
        return Path(given).name if isinstance(given, str) else "the tables of the recipe"

    def evaluate(self) -> dict[str, Any]:
        """Measure and write the figures."""
        return _written(self.study, self.evaluation)

    def report(self) -> dict[str, Any]:
        """Write the reports that the recipe names."""
        return _reported(self.study, self.evaluation)


@dataclass
class LongStudy:
    """A study of a long table whose entities have several rows.

    Args:
        study: The recipe and its folders.
    """

    study: Study

    @property
    def parts(self) -> tuple[str, str]:
        """Where training rows and the holdout are written."""
        return self.study.parts

    @property
    def inputs(self) -> dict[str, Path]:
        """The file of the real rows."""
        return self.study.inputs

    def split(self) -> dict[str, Any]:
        """Write the rows of training entities and those of the holdout."""
        return self.study.split()

    @functools.cached_property
    def _schema(self) -> Schema | None:
        given = self.study.declared_schema
        return Schema.from_yaml(given) if isinstance(given, Path) else given

    def fit(self, inputs: str) -> dict[str, Any]:
        """Fit and save the model."""
        del inputs
        recipe, place = self.study.recipe, self.study.out / MODEL
        artifact.check_place(place)
        named: dict[str, Any] = {"time": recipe.time, "static": recipe.static, "schema": self._schema}
        assert recipe.entity is not None
        synthesizer = SequenceSynthesizer(recipe.entity, **named, **_parameters(self.study)).fit(self.study.real)
        _refuse_interrupted(synthesizer.learned_)
        synthesizer.save(place)
        return {"what": f"{self.study.real.num_rows} training rows of {_subjects(synthesizer.learned_)}"}

    def generate(self, *, again: bool) -> dict[str, Any]:
        """Write synthetic rows; `again` resumes an interrupted run of the same request."""
        synthesizer = SequenceSynthesizer.load(self.study.out / MODEL, device=self.study.device)
        asked = _request(self.study, again=again)
        entities = asked.pop("subjects", None)
        manifest = synthesizer.generate(self.study.out / SYNTHETIC, entities, **asked)
        return {"what": f"{manifest['rows']} rows of {manifest['entities']} entities"}

    @functools.cached_property
    def evaluation(self) -> DatabaseEvaluation:
        """The evaluation of the synthetic rows, as tables of entities and of their rows, measured once."""
        recipe, given = self.study.recipe, self.study.files("evaluation.synthetic", "evaluation.holdout")
        assert recipe.entity is not None
        real = self._without_dropped(self.study.real)
        long = LongTable.learn(real, recipe.entity, recipe.time, recipe.static)
        names = self.study.names()
        tables = {"synthetic": convert.read(self.study.out / SYNTHETIC) if recipe.generation else None, "holdout": None}
        tables |= {key.rpartition(".")[2]: self.study.read(key) for key in given}
        if recipe.split:
            tables["holdout"] = convert.read(self.study.out / HOLDOUT)
        divided = {role: None if table is None else self._divided(long, table) for role, table in tables.items()}
        database = long.database(self._schema).model_copy(update={"tables": long.divide(real)})
        return _evaluated(self.study, database, divided["synthetic"], divided["holdout"], names)

    def _divided(self, long: LongTable, table: pa.Table) -> dict[str, pa.Table]:
        """The tables of entities and of their rows.

        Raises:
            TableError: The table lacks a column.
        """
        names = long.schema.names
        if absent := [name for name in names if name not in table.column_names]:
            raise TableError(f"Tables must have the columns of the training table, got none named {listing(absent)}.")
        return long.divide(table.select(names))

    def _without_dropped(self, table: pa.Table) -> pa.Table:
        dropped = () if self._schema is None else self._schema.drop
        return table.select([name for name in table.column_names if name not in dropped])

    def evaluate(self) -> dict[str, Any]:
        """Measure and write the figures."""
        return _written(self.study, self.evaluation)

    def report(self) -> dict[str, Any]:
        """Write the reports that the recipe names."""
        return _reported(self.study, self.evaluation)


def _parameters(study: Study) -> dict[str, Any]:
    """The parameters of both estimators; the seed is 0 unless stated, so that runs repeat."""
    stated = {} if study.recipe.model is None else study.recipe.model.stated()
    return {"random_state": 0, **stated, "verbose": study.verbose}


def _refuse_interrupted(fitted: FittedDatabase) -> None:
    """Let an interrupt end the run: `fit` alone stops early and keeps the weights so far.

    Raises:
        KeyboardInterrupt: The training of a table was interrupted.
    """
    for table in fitted.tables.values():
        model = table.model if isinstance(table.model, FittedChild) else table.model.model
        if model is not None and model.history.stopped == "interrupted":
            raise KeyboardInterrupt


def _subjects(fitted: FittedDatabase) -> str:
    return " and ".join(f"{rows} {name}" for name, rows in fitted.roots.items())


def _request(study: Study, *, again: bool) -> dict[str, Any]:
    """The parameters of both methods `generate`, after outdated files are removed."""
    assert study.recipe.generation is not None
    study.clear_outdated([SYNTHETIC])
    resume = again and not (study.out / SYNTHETIC / stores.MANIFEST).exists()  # one that is whole is of an earlier run
    return {"random_state": 0, **study.recipe.generation.stated(), "resume": resume, "overwrite": not resume}


def _evaluated(
    study: Study, real: Database, synthetic: Any, holdout: Any, names: Mapping[str, str]
) -> DatabaseEvaluation:
    """The evaluation of synthetic tables."""
    from synthvae.evaluation import evaluate_database

    asked = study.recipe.evaluation
    assert asked is not None
    fitted = StageRecord.read(study.out, "fit") if study.recipe.privacy else None
    return evaluate_database(
        real,
        synthetic,
        holdout=holdout,
        attacks=asked.attacks,
        ledger=fitted.facts.get("ledger") if fitted else None,
        names=names,
        random_state=asked.random_state,
        watch=study.watch,
    )


def _written(study: Study, evaluation: DatabaseEvaluation) -> dict[str, Any]:
    evaluation.to_json(study.out / FIGURES)
    return {"what": f"{len(evaluation.figures)} figures"}


def _reported(study: Study, evaluation: DatabaseEvaluation) -> dict[str, Any]:
    report = study.recipe.report
    assert report is not None
    if report.html is not None:
        evaluation.to_html(study.out / report.html)
    if report.json_ is not None:
        filesystem.export(study.out / report.json_, (study.out / FIGURES).read_bytes())
    return {"what": " and ".join(name for name in (report.html, report.json_) if name)}
