"""Processes that learn private rows together do what one does: the same sums, one process' noise, the same releases."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from synthvae.cluster import private
from synthvae.codes import Slots
from synthvae.errors import PrivacyError
from synthvae.model import CVAE, ModelConfig
from synthvae.privacy import Descending, Event, Journal, Ledger, PrivacyBudget, mechanisms
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.dpsgd.trainer import SharedOptimizer, Spending, descend
from synthvae.privacy.journal import SharedJournal
from synthvae.privacy.ledger import RecordedEvent
from synthvae.synthesizer.local_backend import Local
from synthvae.training.history import History

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shared")]

SLOTS = Slots((3, 5, 2), (), (None, 0, None))
ROWS, STEPS, SIZE, CLIP, CAP = 90, 4, 2, 0.5, 8
NOBODY = 1e-9  # a sampling rate: what is released is noise


def rows() -> PrivateRows:
    """Rows of units that have up to three."""
    rng = np.random.default_rng(0)
    digits = np.stack([rng.integers(-1, size, ROWS) for size in SLOTS.sizes], 1).astype(np.int8)
    return PrivateRows.of(digits, rng.integers(0, 2, ROWS), rng.integers(0, ROWS // 2, ROWS), CAP)


def model() -> CVAE:
    """A decoder that starts the same everywhere."""
    torch.manual_seed(0)
    return CVAE(SLOTS, 2, ModelConfig(width=8, hidden=0, value_hidden=0, latent_dim=1))


def spending(rate: float = 1.0, noise: float = 1.0) -> Spending:
    """What a few steps cost."""
    event = Event(
        name="gradients",
        mechanism="Poisson-sampled Gaussian",
        noise_multiplier=noise,
        sensitivity=CLIP,
        sampling_rate=rate,
        times=STEPS,
    )
    ledger = Ledger(budget=PrivacyBudget(epsilon=100.0, delta=1e-5, unit="patient", rows_per_unit=CAP), events=(event,))
    return Spending(RecordedEvent(event, ledger), Descending(steps=STEPS, clip=CLIP), ROWS, CAP)


def learned(given: PrivateRows, spent: Spending, journal: Journal, *, quiet: bool, **options: Any) -> list[np.ndarray]:
    """The weights that a descent ends with; `quiet`: with no noise."""
    if quiet:
        mechanisms._normal = lambda count: torch.zeros(count, dtype=torch.float64)
    trained = model()
    descend(trained, given, spent, journal, **options)
    return [parameter.detach().numpy() for parameter in trained.decoder.parameters()]


def process(rank: int, place: Path) -> None:
    """One of several processes: what it ends with, three times, is left in files."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place / 'meeting'}", rank=rank, world_size=SIZE)

    def run(name: str, kept: str, rate: float, *, quiet: bool) -> None:
        journal = SharedJournal(place / kept, 0, 0)
        share = rows().share(rank, SIZE)
        found = learned(share, spending(rate), journal, quiet=quiet, optimizer=SharedOptimizer)
        np.savez(place / f"{name}-{rank}.npz", *found, passed=journal.passed)
        dist.barrier()

    run("noisy", "releases", NOBODY, quiet=False)
    if rank == 0:
        shutil.copytree(place / "releases", place / "half")
        for path in sorted((place / "half").iterdir())[STEPS // 2 :]:
            path.unlink()
    run("again", "half", NOBODY, quiet=False)
    run("quiet", "sums", 1.0, quiet=True)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What several processes left."""
    folder: Path = tmp_path_factory.mktemp("together")
    for name in ("releases", "sums"):
        (folder / name).mkdir()
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=process, args=(rank, folder), daemon=True) for rank in range(SIZE)]
    for one in started:
        one.start()
    for one in started:
        one.join()
        assert one.exitcode == 0
    return folder


def ended(place: Path, name: str) -> list[list[np.ndarray]]:
    """The weights that each process ended with."""
    files = [np.load(place / f"{name}-{rank}.npz") for rank in range(SIZE)]
    assert [int(file["passed"]) for file in files] == [STEPS] * SIZE
    return [[file[name] for name in file.files if name != "passed"] for file in files]


def kept(folder: Path) -> list[bytes]:
    """What is in a journal."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_without_noise_two_learn_what_one_learns(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "_normal", mechanisms._normal)  # put back after the test
    alone = learned(rows(), spending(), Journal(None, 0), quiet=True)
    for one in ended(place, "quiet"):
        for mine, expected in zip(one, alone, strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)


def test_the_noise_of_two_is_that_of_one(place: Path) -> None:
    for mine, other in zip(*ended(place, "noisy"), strict=True):
        np.testing.assert_array_equal(mine, other)
    journal = Journal(place / "releases", 0)
    noise = torch.cat([part.flatten() for _ in range(STEPS) for part in journal.keep(list)]).double()
    assert len(noise) > 1000
    assert float(noise.std()) == pytest.approx(CLIP, rel=0.1)


def test_stored_releases_are_not_drawn_again(place: Path) -> None:
    first, again = kept(place / "releases"), kept(place / "half")
    assert [a == b for a, b in zip(first, again, strict=True)] == [step < STEPS // 2 for step in range(STEPS)]
    assert len(ended(place, "again")) == SIZE


def test_shares_have_each_unit_once_with_all_its_rows(tmp_path: Path) -> None:
    whole, shares = rows(), [rows().share(rank, 3) for rank in range(3)]
    assert sum(len(share.labels) for share in shares) == ROWS
    assert sum(len(np.unique(share.units)) for share in shares) == len(np.unique(whole.units))
    together = np.concatenate([share.digits for share in shares])
    assert sorted(map(tuple, together)) == sorted(map(tuple, whole.digits))
    shares[0].save(tmp_path / "rows")
    for mine, found in zip(vars(shares[0]).values(), vars(PrivateRows.load(tmp_path / "rows")).values(), strict=True):
        np.testing.assert_array_equal(mine, found)


@pytest.mark.parametrize("journal", ["kept", None])
def test_rows_lie_where_nobody_else_sees_them_and_only_while_they_are_learned(
    journal: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases are stored, whether or not there is a journal."""
    seen: list[str] = []

    def learn(_: Any, __: CVAE, folder: Path, job: Any, workers: int) -> History:
        seen.extend(path.name for path in folder.glob("rows-*"))
        assert (folder.stat().st_mode & 0o777, Path(job["journal"]).is_dir()) == (0o700, True)
        assert workers == 3
        return History()

    monkeypatch.setattr(private, "train_on_cluster", learn)
    kept = Journal(tmp_path / journal if journal else None, 0)
    together = private.PrivateDataParallelTrainer(3, tmp_path / "rows")
    together(model(), rows(), spending(), kept)
    assert sorted(seen) == [f"rows-{rank}.safetensors" for rank in range(3)]
    assert (kept.passed, together.folder.exists()) == (STEPS, False)


def test_rows_that_a_killed_cluster_left_are_removed_by_whoever_goes_on(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    Local().descender(tmp_path / "rows")
    assert not list(tmp_path.iterdir())


def test_a_release_does_not_overwrite_that_of_another_process(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, 0), Journal(tmp_path, 0)

    def overtaken() -> list[torch.Tensor]:
        second.keep(lambda: [torch.zeros(1)])
        return [torch.ones(1)]

    with pytest.raises(PrivacyError, match="stored by another process"):
        first.keep(overtaken)
    assert float(Journal(tmp_path, 0).keep(list)[0]) == 0
