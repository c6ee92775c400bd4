"""The estimator of one long table in which an entity has several rows, such as the visits of patients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
import pyarrow as pa

from synthvae._version import __version__
from synthvae.errors import ConfigurationError, PrivacyError, brief
from synthvae.generation import dataset, single_file
from synthvae.generation.drawing import useful_workers
from synthvae.generation.manifest import Manifest
from synthvae.generation.request import DatasetRequest
from synthvae.generation.workers import LOCAL, PartsBackend
from synthvae.random_state import Seed, as_seed
from synthvae.relational import saving
from synthvae.relational.database_synthesizer import DatabaseSynthesizer, with_index
from synthvae.relational.fitted_database import FittedDatabase, refuse_unfitted
from synthvae.relational.given_tables import read_given
from synthvae.relational.linked_draw import LinkedDraw
from synthvae.relational.long_tables import ENTITIES, ROWS, LongTable
from synthvae.schema.protection import LEAST
from synthvae.schema.schema import Schema
from synthvae.tables import convert
from synthvae.training.config import EffortName


class SequenceSynthesizer:
    """A generative model of one long table, from which new entities with all their rows are drawn.

    The table is modelled as two linked tables, as `DatabaseSynthesizer` models them: that of the entities, with the
    columns that are constant within each of them, and that of all other columns. Rows of an entity are drawn in the
    order of `time`, each given all earlier ones; synthetic rows are sorted by entity and time. Equal times stay equal
    in the real share, and rows without a time come last. A sequence may have one row or thousands.

    Args:
        entity: The column of entities, which get new ids.
        time: The column of a date or a number by which the rows of an entity are sorted; None: they have the order of
            the table.
        static: The columns that are constant within each entity, and stay so; None: all that are in the training table,
            if 20 rows or more repeat an entity.
        schema: What is known of columns, and their rules; what it does not name is inferred. Columns of its `drop` are
            left out.
        effort: How much the fit of each table may cost: "fast", "balanced" or "thorough", see `Synthesizer`.
        max_steps: Most steps of the training of each of the two models; None: by the number of rows.
        protect: Values that fewer entities have are replaced before training; 0: nothing is protected.
        privacy: Only None: differential privacy for sequences is not available yet.
        device: A torch device; "auto": a GPU if there is one.
        verbose: Whether progress is shown.
        random_state: The seed of the fit, and of draws that state none.

    Raises:
        ConfigurationError: `entity` and `time` are the same column, or not one column each.
        PrivacyError: `privacy` is not None.

    Example:
        >>> visits = pd.DataFrame({"patient": [*range(40), *range(40)], "day": [0] * 40 + [7] * 40})
        >>> visits["sex"] = visits["patient"].mod(2).map({0: "f", 1: "m"})
        >>> synthesizer = SequenceSynthesizer("patient", time="day", max_steps=20, random_state=0).fit(visits)
        >>> rows = synthesizer.sample(10)
        >>> rows["patient"].nunique(), rows.groupby("patient")["sex"].nunique().unique().tolist(), list(rows)
        (10, [1], ['patient', 'day', 'sex'])
    """

    learned_: FittedDatabase
    long_: LongTable

    def __init__(
        self,
        entity: str,
        *,
        time: str | None = None,
        static: Sequence[str] | None = None,
        schema: Schema | None = None,
        effort: EffortName = "balanced",
        max_steps: int | None = None,
        protect: int = LEAST,
        privacy: Any = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Seed = None,
    ) -> None:
        if not isinstance(entity, str) or not isinstance(time, (str, type(None))) or isinstance(static, str):
            raise ConfigurationError(
                "`entity` and `time` must be a column each, and `static` a list of columns, got "
                f"{entity!r}, {time!r} and {static!r}. An entity of several columns needs one that names it."
            )
        if entity == time or {entity, time} & set(static or ()):
            raise ConfigurationError(
                f"`entity`, `time` and `static` must be different columns, got {entity!r}, {time!r} and {static!r}. "
                "Correct the names."
            )
        if privacy is not None:
            raise PrivacyError(
                "`privacy` must be None for sequences, whose differential privacy is not available yet, got a "
                f"{type(privacy).__name__}. Aggregate the rows of each entity to one row, and fit a Synthesizer."
            )
        self.entity, self.time, self.static, self.schema = entity, time, static, schema
        self.effort, self.max_steps, self.protect, self.privacy = effort, max_steps, protect, privacy
        self.device, self.verbose, self.random_state = device, verbose, random_state

    def fit(self, table: Any) -> Self:
        """Fit the models of entities and of their rows.

        Args:
            table: A DataFrame, an Arrow table or the path of a file; its rows may have any order.

        Raises:
            TableError: A column is absent or cannot be modelled, or an entity is missing.
        """
        rows = convert.read(table)
        dropped = () if self.schema is None else self.schema.drop
        rows = rows.select([name for name in rows.column_names if name not in dropped])
        self.long_ = LongTable.learn(rows, self.entity, self.time, self.static)
        fitted = DatabaseSynthesizer(
            self.long_.database(self.schema),
            effort=self.effort,
            max_steps=self.max_steps,
            protect=self.protect,
            device=self.device,
            verbose=self.verbose,
            random_state=self.random_state,
        ).fit(self.long_.divide(rows))
        self.learned_ = fitted.learned_
        return self

    def sample(
        self,
        entities: int | None = None,
        *,
        scale: float | None = None,
        given: pd.DataFrame | Any = None,
        random_state: Seed = None,
    ) -> pd.DataFrame:
        """Return synthetic rows with the columns, their order and the dtypes of the training table.

        Args:
            entities: The number of entities.
            scale: Their number relative to that of the training table, in place of `entities`; None: 1.
            given: The first rows of entities, in all columns: they come back first and unchanged, with their index, and
                later rows go on from them.
            random_state: The seed of the draws; None: that of the estimator.

        Raises:
            RequestError: A number is negative, several of these are given, or given rows have other columns.
            TableError: A static column is not constant within each entity of the given rows.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        rows = None if given is None else convert.read(given)
        known = None if rows is None else read_given(self.learned_, self.long_.divide(rows))
        found = self._database.draw(scale, entities, known, self._seed(random_state)).sample(known)
        table = convert.to_pandas(self.long_.join(found[ENTITIES], found[ROWS]))
        return with_index(table, given.index if isinstance(given, pd.DataFrame) else None)

    def generate(
        self,
        out: str | os.PathLike[str],
        entities: int | None = None,
        *,
        scale: float | None = None,
        resume: bool = False,
        overwrite: bool = False,
        workers: int = 1,
        backend: PartsBackend | None = None,
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write the rows of `sample` to a Parquet dataset or one file; return the manifest.

        They are drawn and written in parts of whole entities, so that memory does not grow with their number. The same
        model, request and seed give the same bytes, regardless of the number of workers and of interruptions.

        Args:
            out: The folder, a URI of an object store, or a file that ends in .csv, .parquet or .xlsx.
            entities: As of `sample`.
            scale: As of `sample`.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace the dataset in the folder.
            workers: Largest number of processes.
            backend: Where parts are drawn, as of `DatabaseSynthesizer.generate`.
            random_state: As of `sample`.

        Raises:
            RequestError: A number is negative, or both are given.
            DatasetError: The place holds something else, or cannot be written.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        seed = dataset.seed_of_run(out, self.random_state, random_state, resume=resume)
        draw = self._database.draw(scale, entities, None, seed)
        request = DatasetRequest(JoinedDraw(draw, self.long_), draw.request.parts, self._metadata(draw))
        written = single_file.write(
            out,
            request,
            resume=resume,
            overwrite=overwrite,
            workers=useful_workers(workers, draw.request.parts),
            backend=backend or LOCAL,
        )
        return Manifest({**written, "rows": sum(part["rows"] for part in written["parts"])})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the models to a directory: weights and JSON, without training rows or real ids.

        Args:
            path: The directory, which may hold an earlier model.

        Raises:
            ArtifactError: The directory holds something else, or cannot be written.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        seed = self.random_state if isinstance(self.random_state, int) else None
        stated = {name: getattr(self, name) for name in saving.PARAMETERS}
        saving.save(path, self.learned_, stated | {"random_state": seed}, self.long_)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Load a directory that `save` wrote. No code is executed.

        Args:
            path: The directory.
            device: A torch device; "auto": a GPU if there is one.

        Raises:
            ArtifactError: It is absent, damaged, of a newer format, or another model.
        """
        parameters, learned, long = saving.load_long(path, device)
        self = cls(long.entity, time=long.time, static=long.static, device=device, **parameters)
        self.learned_, self.long_ = learned, long
        return self

    @property
    def _database(self) -> DatabaseSynthesizer:
        """The estimator of the two tables."""
        fitted = DatabaseSynthesizer(self.learned_.database, random_state=self.random_state)
        fitted.learned_ = self.learned_
        return fitted

    def _seed(self, random_state: Seed) -> int:
        return as_seed(self.random_state if random_state is None else random_state)

    def _metadata(self, draw: LinkedDraw) -> dict[str, Any]:
        """What determines the rows."""
        return {
            "format": 1,
            "synthvae": __version__,
            "seed": draw.request.seed,
            "entities": draw.request.roots[ENTITIES],
            "columns": {field.name: str(field.type) for field in self.long_.schema},
            "model_sha256": saving.fingerprint(draw.fitted),
        }


@dataclass(frozen=True)
class JoinedDraw:
    """The function that draws a part of a long table, by number.

    Args:
        draw: Draws the entities and their rows.
        long: How they are joined.
    """

    __repr__ = brief

    draw: LinkedDraw
    long: LongTable

    def __call__(self, part: int) -> pa.Table:
        """Return the rows of one part."""
        found = self.draw(part)
        return self.long.join(found[ENTITIES], found[ROWS])
