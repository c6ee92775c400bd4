"""The audit of linked tables does not refute the code that is right, and refutes what was broken on purpose.

Noise has no seed: audits of code that is right have a confidence of 1 - 1e-5, as in `test_audit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from test_private_database import budget

from synthvae.errors import PrivacyError
from synthvae.privacy import Event, Ledger
from synthvae.privacy.allocation import GRADIENTS
from synthvae.privacy.audit.audit import Audit
from synthvae.privacy.audit.audit import audit as attacked
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.curator import named
from synthvae.privacy.dpsgd import subject_clipping
from synthvae.relational import Database, DatabaseSynthesizer, auditing, private_counts
from synthvae.relational.private_counts import MARGINALS
from synthvae.relational.private_descent import PrivateSequenceDescent

SURE = 1 - 1e-5
Patch = Callable[[pytest.MonkeyPatch], None]


def counted(name: str, noise: float, times: int = 1) -> Event:
    return Event.of_counts(name, 1, noise, times=times)


def descended(name: str, noise: float, rate: float, times: int) -> Event:
    return Event(
        name=name, mechanism="Poisson-sampled Gaussian", noise_multiplier=noise, sensitivity=1.0, sampling_rate=rate,
        times=times,
    )  # fmt: skip


def ledger(*events: Event, caps: dict[str, int] | None = None) -> Ledger:
    most = budget(epsilon=1000.0, rows_of_tables=caps or {"visits": 4, "labs": 30})
    spent = Ledger(budget=most)
    for event in events:
        spent = spent.record(event)
    return spent


COUNTS = counted(named(MARGINALS, "visits"), 1.2, 2)
STEPS = descended(named(GRADIENTS, "labs"), 1.2, 0.3, 12)
BINS = counted(named(HALVES, "visits"), 1.5, 3)
ROOT = (counted(named("rows of each class", "patients"), 2.0), descended(named(GRADIENTS, "patients"), 1.5, 0.2, 10))


def audited(spent: Ledger, canaries: int = 1500, confidence: float = SURE) -> Audit:
    return attacked(spent, canaries=canaries, confidence=confidence, attacks=auditing._attacks)


@pytest.mark.slow
def test_right_code_is_not_refuted_and_bounds_are_near() -> None:
    report = audited(ledger(COUNTS, STEPS, BINS, *ROOT))
    assert not report.refuted, report
    found = {finding.audited for finding in report.findings}
    assert found == {
        "noisy counts", "noisy counts of subjects", "gradients of patients", "gradients of labs", "all together",
        "bins of one column, interval bisections of visits",
    }  # fmt: skip
    for one in (COUNTS, STEPS):
        alone = audited(ledger(one), canaries=4000)
        assert alone.upper / 4 <= alone.lower <= alone.upper


def clipped_by_row(patch: pytest.MonkeyPatch) -> None:
    """Each row of a subject is clipped, not all of them together."""
    right = subject_clipping.SubjectClipping.clipped_sums

    def sums(self: Any, losses: Any, subjects: torch.Tensor, count: int, clip: float) -> Any:
        del subjects, count
        rows = len(losses())
        return right(self, losses, torch.arange(rows), rows, clip)

    patch.setattr(subject_clipping.SubjectClipping, "clipped_sums", sums)


def not_clipped(patch: pytest.MonkeyPatch) -> None:
    right = subject_clipping.SubjectClipping.clipped_sums
    patch.setattr(
        subject_clipping.SubjectClipping,
        "clipped_sums",
        lambda self, losses, subjects, count, _: right(self, losses, subjects, count, math.inf),
    )


def sampled_too_often(patch: pytest.MonkeyPatch) -> None:
    """Every subject is in the sample of every step."""

    def sample(self: PrivateSequenceDescent) -> Any:
        yield np.arange(len(self.sequences.family.lengths))

    patch.setattr(PrivateSequenceDescent, "_sample", sample)


def every(units: Any, limit: int) -> Any:
    del limit
    return np.arange(len(units))


def all_rows_are_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(private_counts, "some_of_each", every)


def all_rows_are_halved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(auditing, "some_of_each", every)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("put_in", "event"),
    [
        (clipped_by_row, STEPS),
        (not_clipped, STEPS),
        (sampled_too_often, STEPS),
        (all_rows_are_counted, COUNTS),
        (all_rows_are_halved, BINS),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_bug_is_caught(put_in: Patch, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(monkeypatch)
    report = audited(ledger(event), canaries=1000, confidence=0.95)
    assert report.refuted, report


def test_gradients_of_a_canary_are_one_norm_however_many_rows_it_has() -> None:
    """Without noise the sum of a canary's rows is the clipping norm, and 0 where it is absent."""
    quiet = descended(named(GRADIENTS, "visits"), 1e-6, 1.0, 1)
    present = np.arange(300) % 3 > 0
    endless = Ledger(budget=budget(epsilon=1e9)).model_copy(update={"events": (quiet,)})
    for rows in (1, 7):
        found = auditing.follow(quiet, endless, present, rows=rows)
        np.testing.assert_allclose(found, present[None].astype(float), atol=1e-4)


def test_counts_of_a_canary_are_one_row_however_many_it_has() -> None:
    quiet = counted(named(MARGINALS, "visits"), 1e-3)
    endless = Ledger(budget=budget(epsilon=1e9)).model_copy(update={"events": (quiet,)})
    present = np.arange(100) % 3 > 0
    attack = auditing.of_counts_of_subjects([quiet], endless, present, 9)
    assert ((attack.scores > 0) == present).all()
    assert not attack.noise[0][1].any()


def test_what_has_no_ledger_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(30), "x": [0, 1, 2] * 10})
    database = Database(tables={"a": frame}, primary_keys={"a": "id"}, foreign_keys=[])
    synthesizer = DatabaseSynthesizer(database, max_steps=1, random_state=0)
    with pytest.raises(NotFittedError):
        auditing.audit(synthesizer)
    synthesizer.fit().save(tmp_path / "model")
    for given in (synthesizer, tmp_path / "model"):
        with pytest.raises(PrivacyError, match="got one that was fitted without `privacy`"):
            auditing.audit(given)
    with pytest.raises(PrivacyError, match=r"Pass the model to `synthvae.relational.auditing.audit`"):
        attacked(ledger(COUNTS))
