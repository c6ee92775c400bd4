"""Data-parallel training on a Ray cluster, with differential privacy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthvae.cluster.jobs import Job, train_on_cluster
from synthvae.model import CVAE
from synthvae.training.history import History
from synthvae.training.loop import Progress

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.poisson import PrivateRows
    from synthvae.privacy.dpsgd.trainer import Spending
    from synthvae.privacy.journal import Journal


@dataclass(frozen=True)
class PrivateDataParallelTrainer:
    """Differentially private training by several processes, with the interface of `privacy.dpsgd.trainer.descend`.

    Each process has the rows of every n-th unit and draws a Poisson sample of them, so that all samples together are
    one of all rows. The sum of all clipped gradients gets the noise of one process, and costs as much budget.

    Args:
        workers: The number of processes.
        folder: A folder that all nodes share, for the rows during training.
    """

    workers: int
    folder: Path

    def __call__(
        self, model: CVAE, rows: PrivateRows, spending: Spending, journal: Journal, progress: Progress | None = None
    ) -> History:
        """Train the model's decoder in place; see `descend`. Progress is reported after training.

        Raises:
            ClusterError: Processes failed repeatedly.
        """
        releases = journal.folder or self.folder / "releases"  # of which a process that was replaced makes use
        job = {
            "event": spending.event.model_dump(mode="json"),
            "ledger": spending.recorded.ledger.model_dump(mode="json"),
            "settings": spending.settings.model_dump(mode="json"),
            "rows": spending.rows,
            "rows_per_unit": spending.rows_per_unit,
            "journal": str(releases.resolve()),
            "seed": journal.seed,
            "passed": journal.passed if journal.folder else 0,
        }
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # private rows: for this user alone
        releases.mkdir(parents=True, exist_ok=True)
        try:
            for rank in range(self.workers):
                rows.share(rank, self.workers).save(self.folder / _name(rank))
            history = train_on_cluster(_train_process, model, self.folder, job, self.workers)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)  # no private rows stay on disk
        journal.passed += spending.event.times
        for step in range(1, spending.event.times + 1) if progress else ():
            progress(step, spending.event.times, float("nan"))  # type: ignore[misc]
        return history


def _name(rank: int) -> str:
    return f"rows-{rank}.safetensors"


def _train_process(model: CVAE, folder: Path, job: Job) -> History:
    import torch.distributed as dist

    from synthvae.privacy import Descending, Event, Ledger
    from synthvae.privacy.dpsgd.poisson import PrivateRows
    from synthvae.privacy.dpsgd.trainer import SharedOptimizer, Spending, descend
    from synthvae.privacy.journal import SharedJournal
    from synthvae.privacy.ledger import RecordedEvent

    rows = PrivateRows.load(folder / _name(dist.get_rank()))
    recorded = RecordedEvent(Event(**job["event"]), Ledger(**job["ledger"]))
    spending = Spending(recorded, Descending(**job["settings"]), job["rows"], job["rows_per_unit"])
    journal = SharedJournal(Path(job["journal"]), job["seed"], job["passed"])
    return descend(model, rows, spending, journal, optimizer=SharedOptimizer)
