"""The audit refutes each of the classic bugs, and does not refute the code that is right.

Noise comes from the operating system and has no seed. Audits of code that is right have a confidence of 1 - 1e-5, which
bounds the chance that one refutes it. How far above its claim the bound on each bug lies, and how much it varies,
`tests/benchmarks/audit_bench.py` shows: five standard deviations and more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bugs import (
    BUGS,
    COUNTS,
    DELTA,
    DESCENT,
    DISCOVERED,
    EPOCHS,
    HALVED,
    NOISE_BUGS,
    SURE,
    Bug,
    NoiseBug,
    counted,
    descended,
    ledger,
    recorded,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import binom
from torch import Tensor

from synthvae.codes import Slots
from synthvae.errors import PrivacyError
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.pixels import PixelDecoder
from synthvae.privacy import Ledger, mechanisms
from synthvae.privacy.audit.audit import audit
from synthvae.privacy.audit.bounds import from_errors, from_guesses, p_value, trade_off
from synthvae.privacy.dpsgd.ghost_clipping import GhostClipping
from synthvae.privacy.dpsgd.trainer import PrivateDescent, Spending
from synthvae.privacy.plan import Descending

SLOTS = Slots((3, 4, 2))


# The code that is right.


@pytest.mark.slow
@pytest.mark.parametrize(
    "spent",
    [COUNTS, DESCENT, EPOCHS, ledger(counted(4.0), counted(2.5, 2), descended(3.0, 0.2, 30)), DISCOVERED, HALVED],
    ids=["counts", "descent", "epochs", "all", "discovery", "halves"],
)
def test_right_code_is_not_refuted(spent: Ledger) -> None:
    report = audit(spent, canaries=2000, confidence=SURE)
    assert not report.refuted, report
    assert report.upper == spent.epsilon


def test_units_of_many_rows_are_audited_with_all_of_them() -> None:
    spent = ledger(counted(1.0, 1, 3.0), descended(2.0, 0.2, 20), unit="patient", rows=3)
    report = audit(spent, canaries=4000, confidence=SURE)
    assert not report.refuted, report
    assert report.lower > report.upper / 3  # more than could be found of one row of three


def test_a_release_is_bounded_within_a_factor_of_two() -> None:
    report = audit(ledger(counted(1.0)), canaries=8000, confidence=SURE)
    assert report.upper / 2 <= report.lower <= report.upper


def test_a_descent_is_bounded_within_a_factor_of_two() -> None:
    report = audit(ledger(descended(1.0, 0.2, 40)), canaries=4000, confidence=SURE)
    assert report.upper / 2 <= report.lower <= report.upper


# Bugs.


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.put_in(monkeypatch)
    report = audit(bug.ledger, canaries=bug.canaries)
    by = {finding.method for finding in report.findings if finding.refuted}
    assert "errors" in by, report
    assert "guesses" in by or not bug.guessed, report


@pytest.mark.slow
@pytest.mark.parametrize("bug", NOISE_BUGS, ids=lambda bug: bug.name)
def test_a_bug_of_the_noise_is_caught(bug: NoiseBug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.put_in(monkeypatch)
    report = audit(bug.ledger, canaries=600, confidence=SURE)
    assert bug.check in {check.check for check in report.noise if check.refuted}, report
    assert report.refuted


# What one row does to the sum of all.


def model(dropout: float = 0.0) -> CVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CVAE(SLOTS, 2, ModelConfig(latent_dim=2, width=8, hidden=4, dropout=dropout))


def data(count: int, seed: int = 0) -> tuple[Rows, Tensor]:
    rng = np.random.default_rng(seed)
    digits = np.stack([rng.integers(0, size, count) for size in SLOTS.sizes], 1)
    return Rows(torch.from_numpy(digits.astype(np.int8)), torch.empty(count, 0)), torch.from_numpy(
        rng.integers(0, 2, count)
    )


@settings(max_examples=40, deadline=None)
@given(
    broken=st.lists(st.booleans(), min_size=1, max_size=12),
    number=st.sampled_from([math.nan, math.inf, -math.inf]),
    clip=st.sampled_from([0.1, 1.0, 50.0]),
)
def test_a_row_whose_gradient_is_no_number_moves_no_other(broken: list[bool], number: float, clip: float) -> None:
    decoder = model().decoder
    assert not isinstance(decoder, PixelDecoder)
    ghost = GhostClipping(decoder, (decoder.start, decoder.tables))
    rows, labels = data(len(broken))
    bad = torch.tensor(broken)
    marked = Rows(
        rows.digits, bad[:, None].float()
    )  # what is broken is known by a value, which the decoder has none of

    def losses(part: Rows, conditions: Tensor) -> Tensor:
        loss = -decoder.log_prob(part._replace(values=part.values[:, :0]), torch.zeros(len(conditions), 2), conditions)
        return loss.sum(0) * torch.where(part.values[:, 0] > 0, number, 1.0)

    sums, _ = ghost.clipped_sums(losses, marked, labels, clip)
    alone, _ = ghost.clipped_sums(losses, marked.take(~bad), labels[~bad], clip)
    for total, expected in zip(sums, alone, strict=True):
        torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-6)
    length = torch.cat([total.flatten() for total in sums]).norm()
    assert length <= clip * int((~bad).sum()) * (1 + 1e-5)


def released(rows: Rows, labels: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """What private descent would release of a sample, summed, were there no noise."""
    monkeypatch.setattr(mechanisms, "_normal", lambda count: torch.zeros(count, dtype=torch.float64))
    run = PrivateDescent(
        model(),
        iter([iter([(rows, labels)])]),
        Spending(recorded(descended(1.0, 1.0, 1)), Descending(steps=1, clip=0.5), len(labels), 1),
    )
    run.run(None)
    gradients = [parameter.grad for parameter in run.parameters if parameter.grad is not None]
    return len(labels) * torch.cat([gradient.flatten() for gradient in gradients])


def test_what_a_row_adds_to_the_noisy_sum_is_as_long_as_the_clipping_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        total = released(*data(1, seed), monkeypatch)
        assert 0.49 < total.norm() < 0.5 * (1 + 1e-5)


def test_dropout_is_refused() -> None:
    """It follows the seed: a row's place would settle what those after it are clipped from."""
    with pytest.raises(PrivacyError, match="`dropout` must be 0"):
        PrivateDescent(model(0.5), iter(()), Spending(recorded(descended(1.0, 1.0, 1)), Descending(steps=1), 1, 1))


# The bounds.


def test_the_p_value_is_binomial_without_delta() -> None:
    assert p_value(100, 50, 40, 1.0, 0.0) == pytest.approx(binom.sf(39, 50, 1 / (1 + math.exp(-1))))


@pytest.mark.parametrize(("right", "delta"), [(5, 0.01), (9, 1e-3), (0, 0.1), (12, 0.02)])
def test_the_p_value_is_that_of_a_plain_loop(right: int, delta: float) -> None:
    canaries, guesses, epsilon = 20, 12, 0.7
    chance = 1 / (1 + math.exp(-epsilon))
    alpha = total = 0.0
    for i in range(1, right + 1):
        total += binom.pmf(right - i, guesses, chance)
        alpha = max(alpha, total / i)
    expected = min(1.0, binom.sf(right - 1, guesses, chance) + alpha * delta * 2 * canaries)
    assert p_value(canaries, guesses, right, epsilon, delta) == pytest.approx(expected)


def test_the_trade_off_function_of_a_normal_mechanism_is_known() -> None:
    alarms = np.array([1e-4, 0.01, 0.1, 0.5, 0.9])
    known = ndtr(ndtri(1 - alarms) - 1 / 1.5)
    found = trade_off((descended(1.5, 1.0, 1),), alarms)
    assert (found <= known + 1e-9).all()
    np.testing.assert_allclose(found, known, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["errors", "guesses"])
def test_bounds_of_the_mechanism_claimed_are_seldom_too_high(bound: str) -> None:
    event, significance, rng = descended(2.0, 1.0, 1), 0.1, np.random.default_rng(0)
    claimed = ledger(event).epsilon
    wrong = 0
    for _ in range(30):
        present = rng.random(600) < 0.5
        scores = 2 * rng.normal(size=600) + present
        found = (
            from_errors(scores, present, [event], DELTA, significance)
            if bound == "errors"
            else from_guesses(scores, present, DELTA, significance)
        )
        wrong += found > claimed
    assert wrong <= 3


def test_guesses_at_random_prove_nothing() -> None:
    rng = np.random.default_rng(0)
    scores, present = rng.normal(size=1000), rng.random(1000) < 0.5
    assert from_errors(scores, present, COUNTS.events, DELTA, 0.01) == 0.0
    assert from_guesses(scores, present, DELTA, 0.01) < 0.1


# The report.


def test_the_report_says_what_was_found() -> None:
    report = audit(ledger(counted(3.0)), canaries=400)
    found = report.to_dict()
    assert found["lower"] == max(finding["lower"] for finding in found["findings"])
    assert (found["canaries"], found["delta"], found["refuted"]) == (400, DELTA, report.refuted)
    assert f"and {report.upper:.3f} (ledger), delta 1e-05" in str(report)
    assert len(str(report).splitlines()) == 1 + len(report.findings) + len({c.check for c in report.noise}) + 1
    assert str(report).splitlines()[-1].startswith("not audited: how rows are read")


@pytest.mark.parametrize(
    ("spent", "options"),
    [(ledger(), {}), (COUNTS, {"canaries": 10}), (COUNTS, {"confidence": 1.0})],
    ids=["nothing", "few", "sure"],
)
def test_an_audit_of_nothing_is_refused(spent: Ledger, options: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError, match="An audit needs"):
        audit(spent, **options)
