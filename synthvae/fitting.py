"""How a synthesizer learns: the ways of a table, private or not, in memory or on disk, to what is learned of it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyarrow as pa

from synthvae import inference, private, progress, streams
from synthvae.asked import LATENT_TRAINING, MODEL, TRAINING, Asked, configure, warn_empty, warn_of_gaps
from synthvae.checkpoint import Checkpoint
from synthvae.crew import Crew
from synthvae.device import find_device
from synthvae.encoding import Order
from synthvae.errors import PrivacyError
from synthvae.features import read_features, read_private_features
from synthvae.fitted import aside
from synthvae.kept import Kept
from synthvae.learned import LearnedTable
from synthvae.model import ModelConfig
from synthvae.privacy import PrivacyBudget
from synthvae.schema import DRAFTS, Schema
from synthvae.seeds import as_seed
from synthvae.source import InMemory, OnDisk, Source
from synthvae.streams import Stream
from synthvae.training import SMALL, Trainer, TrainingConfig, train
from synthvae.watching import Callbacks, unseen, watching

DRAFTED = (
    "THE SCHEMA WAS DRAFTED FROM THE DATA, then reviewed: what its categories and bounds tell of single rows is not "
    "covered by the privacy budget"
)
NOT_LEARNED_WITH = ("schema", "journal", "device", "verbose", "callbacks", "log_dir", "random_state")


class Fitting(Asked, Kept):
    """The half of a synthesizer that learns."""

    journal: str | os.PathLike[str] | None
    order: Order
    likelihood: str
    latent_dim: int
    dropout: float | None
    device: str
    callbacks: Callbacks
    log_dir: str | os.PathLike[str] | None

    def _fit_by(self, crew: Crew, table: Any) -> Self:
        """Learn a table, here or on other machines."""
        budget = PrivacyBudget.of(self.privacy)
        if budget is None:
            return self._fit_openly(crew, table)
        self._refuse_prior_of_no_class()
        schema = self._declared_schema()
        read = read_private_features(self, table, reset=True, aside=aside(budget, schema))
        with TemporaryDirectory(prefix="synthvae-") as folder:
            return self._fit_privately(crew, read, schema, budget, Path(self.journal or folder))

    def _fit_privately(
        self, crew: Crew, table: pa.Table, schema: Schema | None, budget: PrivacyBudget, folder: Path
    ) -> Self:
        """Learn a table under a budget; nothing that is said or drawn on the way depends on its rows."""
        if self.likelihood != "auto":
            raise PrivacyError(
                f"a private fit learns bins, not pixels, however, likelihood={self.likelihood!r}: choose 'auto', or no "
                "`privacy`"
            )
        self._refuse_reduced_precision()
        if schema is not None and schema.origin in DRAFTS:
            warnings.warn(DRAFTED, stacklevel=4)
        plan = self._plan()
        facts = {"plan": plan.model_dump(mode="json"), "target": self.target, "order": self.order}
        facts["columns"] = table.column_names
        seed = None if self.random_state is None else as_seed(self.random_state)
        model = {**self._values(MODEL), "dropout": self.dropout or 0.0}
        with progress.fitting(show=self.verbose) as report, watching(self.callbacks, self.log_dir) as callback:
            self.learned_ = private.learn(
                table,
                schema,
                self._target_among(table.column_names if schema is None else schema.names),
                budget,
                plan=plan,
                model=configure(ModelConfig, model),
                training=configure(TrainingConfig, self._values(LATENT_TRAINING)),
                journal=private.open_journal(self.journal, schema, budget, seed, **facts),
                device=find_device(self.device),
                descender=crew.descender(folder / ".private-rows"),
                progress=unseen(callback, report),
                order=self.order,
            )
        return self._warned()

    def _fit_openly(self, crew: Crew, table: Any) -> Self:
        """Learn a table that is not private, in memory or on disk."""
        found = streams.large(table) or InMemory(read_features(self, table, reset=True))
        checkpoint = self._checkpoint(found) if self.journal else None
        seed = as_seed(self.random_state) if checkpoint is None else checkpoint.seed
        with TemporaryDirectory(prefix="synthvae-") as folder:
            place = Path(folder) if checkpoint is None else checkpoint.folder
            source = found if isinstance(found, InMemory) else self._surveyed(found, place, seed)
            return self._fit(source, checkpoint, seed=seed, trainer=crew.trainer(place))

    def _surveyed(self, stream: Stream, folder: Path, seed: int) -> OnDisk:
        source = OnDisk.open(stream, folder, seed)
        read_features(self, source.sample, reset=True)
        return source

    def _checkpoint(self, table: InMemory | Stream) -> Checkpoint:
        """The journal of a fit that is not private."""
        facts = {name: value for name, value in self.get_params(deep=False).items() if name not in NOT_LEARNED_WITH}
        schema = self._given_schema()
        facts |= {"table": table.identity, "schema": None if schema is None else schema.model_dump(mode="json")}
        seed = None if self.random_state is None else as_seed(self.random_state)
        return Checkpoint.open(self.journal or "", facts, seed, as_seed(None))

    def _fit(
        self,
        source: Source,
        checkpoint: Checkpoint | None = None,
        *,
        seed: int | None = None,
        trainer: Trainer = train,
        features: bool = False,
        told: bool = True,
    ) -> Self:
        """Learn a table; one of `features` has no ids, and classes of a single row; codes may not be `told` a class."""
        self._refuse_prior_of_no_class()
        if seed is None:
            seed = as_seed(self.random_state)
        guarded = source.rows < SMALL and self.likelihood == "auto"
        dropout = (0.1 if guarded else 0.0) if self.dropout is None else self.dropout
        model = configure(ModelConfig, {**self._values(MODEL), "dropout": dropout, "told": told})
        training = configure(TrainingConfig, self._values(TRAINING))
        schema, target = source.drafted(self._schema_of(source.sample)), self._target_in(source.sample)
        if features:
            schema = inference.without_ids(schema)
        else:
            warn_of_gaps(target, source.missing, source.rows)
        warn_empty(source.missing, source.rows)
        with progress.fitting(show=self.verbose) as report, watching(self.callbacks, self.log_dir) as callback:
            self.learned_ = LearnedTable.learn(
                source,
                schema,
                target,
                model,
                training,
                seed=seed,
                device=find_device(self.device),
                checkpoint=checkpoint,
                trainer=trainer,
                progress=report,
                callback=callback,
                min_class_rows=1 if features else 2,
                order=self.order,
            )
        return self._warned()

    def _warned(self) -> Self:
        if self.history_.stopped in ("interrupted", "diverged"):
            warnings.warn(
                f"training {self.history_.stopped}: the weights of step {self.history_.best_step} are kept",
                stacklevel=4,
            )
        if self.history_.collapsed and self.encoding_.layout.width > 1:
            warnings.warn(
                f"the posterior collapsed: z says {sum(self.history_.kl_per_dimension or [0.0]):.2g} nats of a row, in "
                f"{self.history_.active_units} active units of {self.latent_dim}: raise `free_bits` or lower `beta`",
                stacklevel=4,
            )
        return self
