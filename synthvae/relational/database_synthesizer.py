"""The estimator that fits a generative model to the tables of a database and samples synthetic ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae.errors import ConfigurationError, PrivacyError, RequestError
from synthvae.generation import dataset
from synthvae.generation.manifest import Manifest
from synthvae.generation.workers import PartsBackend
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.random_state import Seed, as_seed
from synthvae.relational import saving, writing
from synthvae.relational.fitted_database import FittedDatabase, refuse_unfitted
from synthvae.relational.given_tables import link_given, read_given
from synthvae.relational.learning import Options, learn_database
from synthvae.relational.linked_draw import LinkedDraw
from synthvae.relational.private_learning import learn_privately
from synthvae.schema.database import Database
from synthvae.schema.protection import LEAST
from synthvae.synthesizer import configuration
from synthvae.tables import convert
from synthvae.training.config import EffortName


class DatabaseSynthesizer:
    """A generative model of linked tables, from which new subjects with all their rows are drawn.

    The rows of a root table, such as patients, are modelled as those of a single table are, together with the number of
    their rows in each child table. The rows of a child table are drawn one after the other, each given the rows of its
    ancestors and all earlier rows of the same subject.

    Args:
        database: The tables, their keys and their order.
        effort: How much the fit of each table may cost: "fast", "balanced" or "thorough", see `Synthesizer`.
        max_steps: Most steps of the training of each table; None: by its number of rows.
        protect: Values that fewer subjects have are replaced before training; 0: nothing is protected.
        privacy: The privacy budget, with `rows_of_tables`: all that a fit reveals is differentially private, and the
            unit is a row of the root table with all its rows in the other tables. All columns must be declared in the
            schemas of the database. None: no privacy is promised. `protect` has then no effect.
        journal: Folder in which a private fit stores its releases, so that an interrupted fit that is repeated resumes
            and spends nothing twice. A fit without `privacy` has none.
        device: A torch device; "auto": a GPU if there is one.
        verbose: Whether progress is shown.
        random_state: The seed of the fit, and of draws that state none.

    Raises:
        PrivacyError: `privacy` is not a budget, or lacks `rows_of_tables`.
        ConfigurationError: `database` is not a Database, or `journal` is given without `privacy`.

    Example:
        >>> patients = pd.DataFrame({"id": range(40), "sex": ["f", "m"] * 20})
        >>> visits = pd.DataFrame({"patient": [*range(40), *range(20)], "day": [0] * 40 + [7] * 20})
        >>> database = Database(
        ...     tables={"patients": patients, "visits": visits},
        ...     primary_keys={"patients": "id"},
        ...     foreign_keys=[("visits", "patient", "patients", "id")],
        ...     order={"visits": "day"},
        ... )
        >>> tables = DatabaseSynthesizer(database, max_steps=20, random_state=0).fit().sample(subjects=10)
        >>> len(tables["patients"]), set(tables["visits"]["patient"]) <= set(tables["patients"]["id"])
        (10, True)
    """

    learned_: FittedDatabase

    def __init__(
        self,
        database: Database,
        *,
        effort: EffortName = "balanced",
        max_steps: int | None = None,
        protect: int = LEAST,
        privacy: PrivacyBudget | Mapping[str, Any] | None = None,
        journal: str | os.PathLike[str] | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Seed = None,
    ) -> None:
        if not isinstance(database, Database):
            raise ConfigurationError(f"`database` must be a Database, got a {type(database).__name__}.")
        budget = PrivacyBudget.of(privacy)
        if budget is not None and budget.rows_of_tables is None:
            raise PrivacyError(
                "`privacy` must have `rows_of_tables` for linked tables, got none. Declare for each child table the "
                "most rows of a subject that are used, such as {'visits': 40}."
            )
        if journal is not None and budget is None:
            raise ConfigurationError(
                f"`journal` must be None without `privacy`, since such fits of linked tables are not resumed, got "
                f"{journal}. Leave it out."
            )
        self.database, self.effort, self.max_steps = database, effort, max_steps
        self.protect, self.privacy, self.journal = protect, privacy, journal
        self.device, self.verbose, self.random_state = device, verbose, random_state

    def fit(self, tables: Mapping[str, Any] | None = None) -> Self:
        """Fit the models of all tables.

        Args:
            tables: The tables by name; None: those of the database.

        Raises:
            TableError: A key is broken, or a table cannot be modelled; the message names it.
            PrivacyError: What a private fit needs is not declared, or the budget does not suffice; or the journal is of
                another fit, or cannot be written. If something was spent before, the error says so and carries the
                `ledger`.
            KeyboardInterrupt: A private fit was interrupted. With a journal, the same fit goes on from there.
        """
        budget = PrivacyBudget.of(self.privacy)
        configuration.check_effort(self.effort, private=budget is not None)
        options = Options(
            as_seed(self.random_state),
            self.max_steps,
            self.protect,
            self.device,
            verbose=self.verbose,
            effort=self.effort,
        )
        if budget is None:
            self.learned_ = learn_database(self.database, tables, options)
        else:
            seeded = self.random_state is not None
            self.learned_ = learn_privately(self.database, tables, budget, options, self.journal, seeded=seeded)
        return self

    @property
    def ledger_(self) -> Ledger | None:
        """What the fit spent of its privacy budget; None if it had none."""
        refuse_unfitted(self)
        return self.learned_.ledger

    def sample(
        self,
        scale: float | None = None,
        *,
        subjects: int | None = None,
        given: Any = None,
        random_state: Seed = None,
    ) -> dict[str, pd.DataFrame]:
        """Return synthetic tables with the columns, their order and the dtypes of the training tables.

        Args:
            scale: The number of rows of each root table relative to that of the training table; None: 1.
            subjects: The number of rows of each root table, in place of `scale`.
            given: Rows of a root table with all its columns, or a mapping from tables to rows: their children are
                drawn, and they come back unchanged, with their order and index. Given rows of a child table come
                first, too, and are the first ones of their parents, which must be given: later rows go on from them.
            random_state: The seed of the draws; None: that of the estimator.

        Raises:
            RequestError: A number is negative or not whole, several of these are given, or given rows are not those of
                a table.
            TableError: The keys of given rows are broken, or a value cannot be encoded.
            FileNotFoundError: `given` names a file that does not exist.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        seed = as_seed(self.random_state if random_state is None else random_state)
        known = None if given is None else read_given(self.learned_, given)
        found = self.draw(scale, subjects, known, seed).sample(known)
        tables = {name: convert.to_pandas(table) for name, table in found.items()}
        return {name: with_index(table, _given_index(given, name, known or {})) for name, table in tables.items()}

    def generate(
        self,
        out: str | os.PathLike[str],
        scale: float | None = None,
        *,
        subjects: int | None = None,
        given: Any = None,
        resume: bool = False,
        overwrite: bool = False,
        workers: int = 1,
        backend: PartsBackend | None = None,
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write synthetic tables to a folder and return its manifest; the rows are those of `sample` with that seed.

        Each table has a folder of Parquet files, and `_database.yaml` beside them is read by `Database.from_yaml`. The
        subjects are drawn and written in parts, each with all rows of its subjects in all tables, so that memory does
        not grow with their number. The manifest is written last. The same model, request and seed give the same bytes,
        regardless of the number of workers and of interruptions.

        Args:
            out: The folder, or a URI of an object store that pyarrow supports: `s3://bucket/prefix`,
                `gs://bucket/prefix`.
            scale: As of `sample`.
            subjects: As of `sample`.
            given: As of `sample`.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace linked tables in the folder.
            workers: Largest number of processes that draw parts, each with the models in memory. Fewer are started if
                there are less than two parts for each.
            backend: Where parts are drawn. None: on this machine; `synthvae.cluster.RayBackend(address=...)`: on a Ray
                cluster.
            random_state: As of `sample`.

        Raises:
            RequestError: A number is negative, or both are given.
            DatasetError: The folder holds something else, another run writes to it, it cannot be written, or a worker
                was killed.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        seed = dataset.seed_of_run(out, self.random_state, random_state, resume=resume)
        draw = self.draw(scale, subjects, None if given is None else read_given(self.learned_, given), seed)
        how: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "workers": workers, "backend": backend}
        return Manifest(writing.write(out, draw, **how))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the models of all tables to a directory: weights and JSON, without training rows or real keys.

        Args:
            path: The directory, which may hold an earlier model.

        Raises:
            ArtifactError: The directory holds something else, or cannot be written.
            NotFittedError: There is no model yet.
        """
        refuse_unfitted(self)
        seed = self.random_state if isinstance(self.random_state, int) else None
        stated = {name: getattr(self, name) for name in saving.PARAMETERS}
        saving.save(path, self.learned_, stated | {"random_state": seed})

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Load a directory that `save` wrote. No code is executed.

        Args:
            path: The directory.
            device: A torch device; "auto": a GPU if there is one.

        Raises:
            ArtifactError: It is absent, damaged, or of a newer format.
        """
        parameters, learned = saving.load(path, device)
        budget = None if learned.ledger is None else learned.ledger.budget
        self = cls(learned.database, device=device, privacy=budget, **parameters)
        self.learned_ = learned
        return self

    def draw(
        self, scale: float | None, subjects: int | None, given: Mapping[str, pa.Table] | None, seed: int
    ) -> LinkedDraw:
        """Return the function that draws the parts of a request.

        Args:
            scale: As of `sample`.
            subjects: As of `sample`.
            given: The given tables as `given_tables.read_given` returns them.
            seed: The seed of all draws.

        Raises:
            RequestError: A number is negative, or several of these are given.
        """
        refuse_unfitted(self)
        if given is None:
            return LinkedDraw.divided(self.learned_, self._roots(scale, subjects), seed)
        if scale is not None or subjects is not None:
            raise RequestError(
                "Only one of `scale`, `subjects` and `given` must be given, got several. Leave them out."
            )
        known = link_given(self.learned_, given)
        roots = self.learned_.roots | {n: t.rows.num_rows for n, t in known.items() if n in self.learned_.roots}
        return LinkedDraw.divided(self.learned_, roots, seed, known)

    def _roots(self, scale: float | None, subjects: int | None) -> dict[str, int]:
        """The number of rows of each root table."""
        if scale is not None and subjects is not None:
            raise RequestError("Only one of `scale` and `subjects` must be given, got both. Leave one out.")
        if subjects is not None and (isinstance(subjects, bool) or not isinstance(subjects, (int, np.integer))):
            raise RequestError(f"The number of subjects must be a whole number, got {subjects!r}. Round it.")
        number = int(subjects) if subjects is not None else 1.0 if scale is None else scale
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < 1e12:
            raise RequestError(f"`scale` and `subjects` must be numbers of at least 0, got {number!r}.")
        roots = self.learned_.roots
        return {name: int(number) if subjects is not None else round(number * rows) for name, rows in roots.items()}


def _given_index(given: Any, name: str, known: Mapping[str, pa.Table]) -> pd.Index | None:
    """The index of the given rows of a table; None if they have none."""
    if name not in known:
        return None
    table = given[name] if isinstance(given, Mapping) else given
    return table.index if isinstance(table, pd.DataFrame) else None


def with_index(table: pd.DataFrame, index: pd.Index | None) -> pd.DataFrame:
    """Return a table whose first rows have an index; integers go on from its largest one, other labels are left out."""
    if index is None or index.equals(pd.RangeIndex(len(index))):
        return table
    more = len(table) - len(index)
    if more and not pd.api.types.is_integer_dtype(index.dtype):
        return table
    first = int(index.max()) + 1 if more and len(index) else 0
    return table.set_axis(index.append(pd.RangeIndex(first, first + more)) if more else index)
