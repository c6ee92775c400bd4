"""Calibration of a decoder by held-out rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from sklearn.datasets import load_breast_cancer, load_wine

from synthvae import Synthesizer
from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.calibration import SPREAD, Calibration, Outputs, calibration, changed_mixtures, gain, log_likelihood
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.values import COMPONENTS, PARAMETERS
from synthvae.relational import SequenceSynthesizer
from synthvae.relational.descent import SequenceDescent
from synthvae.training.trainer import ElboDescent

SLOTS = Slots((3, 4, 2), values=(Value(0), Value(3, switch=2, level=1)), coarser=(None, 0, None))


def random_rows(count: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    digits = torch.stack([torch.randint(size, (count,), generator=generator) for size in SLOTS.sizes], 1)
    values = torch.randn(count, 2, generator=generator)
    values[digits[:, 2] != 1, 1] = math.nan
    return Rows(digits, values)


def decoder(conditions: int, hidden: tuple[int, int]) -> AutoregressiveDecoder:
    torch.manual_seed(0)
    made = AutoregressiveDecoder(SLOTS, conditions, 2, 8, hidden, 0.0).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return made


@pytest.mark.parametrize("conditions", [1, 3])
@pytest.mark.parametrize("hidden", [(0, 0), (5, 6)])
def test_a_calibrated_decoder_has_the_changed_outputs(conditions: int, hidden: tuple[int, int]) -> None:
    made, rows = decoder(conditions, hidden), random_rows(50, 1)
    z, labels = torch.randn(50, 2), torch.arange(50) % conditions
    change = Calibration(torch.tensor([0.5, 1.2, 0.9]), torch.tensor([0.7, 1.5]), torch.tensor([0.3, -0.2]))
    with torch.no_grad():
        before = made.outputs(rows, z, labels)
        made.calibrate(change)
        after = made.outputs(rows, z, labels)
    for j, size in enumerate(SLOTS.sizes):
        torch.testing.assert_close(after.digits[j, :, :size], change.digits[j] * before.digits[j, :, :size])
    torch.testing.assert_close(
        after.values, changed_mixtures(before.values, change.components, change.log_scales), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), true=st.floats(0.2, 2.0), count=st.integers(1, 300), levels=st.integers(2, 6))
def test_factors_of_logits_are_those_of_a_search(seed: int, true: float, count: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    logits, weights = rng.normal(0, 2, (count, levels)), rng.uniform(0.5, 2, count)
    drawn = (true * logits + rng.gumbel(size=logits.shape)).argmax(1)
    drawn[rng.random(count) < 0.1] = -1

    def loss(factor: float) -> float:
        logs = factor * logits - logsumexp(factor * logits, axis=1, keepdims=True)
        known = drawn >= 0
        return float(-(weights * logs[np.arange(count), drawn])[known].sum() + 0.5 * ((factor - 1) / SPREAD) ** 2)

    best = minimize_scalar(loss, bounds=(0.05, 5), method="bounded", options={"xatol": 1e-6}).x
    outputs = Outputs(torch.from_numpy(logits).float()[None], torch.empty(0, count, PARAMETERS))
    rows = Rows(torch.from_numpy(drawn)[:, None], torch.empty(count, 0))
    found = calibration(outputs, rows, torch.from_numpy(weights).float(), (levels,))
    assert float(found.digits[0]) == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize("wide", [-0.7, 0.0, 0.8])
def test_densities_get_the_width_that_values_have(wide: float) -> None:
    rng = np.random.default_rng(0)
    count = 2000
    outputs = np.concatenate([rng.normal(0, 1, (count, 2 * COMPONENTS)), np.full((count, COMPONENTS), -1.0)], 1)
    logits, means = outputs[:, :COMPONENTS], outputs[:, COMPONENTS : 2 * COMPONENTS]
    picked = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    values = means[np.arange(count), picked] + math.exp(-1.0 + wide) * rng.normal(size=count)
    values[::7] = math.nan

    def loss(numbers: np.ndarray) -> float:
        known = np.isfinite(values)
        shares = math.exp(numbers[0]) * logits
        shares = shares - logsumexp(shares, axis=1, keepdims=True)
        deviation = (values[:, None] - means) * math.exp(1.0 - numbers[1])
        logs = logsumexp(shares - 0.5 * deviation**2 + 1.0 - numbers[1] - 0.5 * math.log(2 * math.pi), axis=1)
        return float(-logs[known].sum() + 0.5 * ((numbers / SPREAD) ** 2).sum())

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4}).x
    rows = Rows(torch.empty(count, 0, dtype=torch.long), torch.from_numpy(values).float()[:, None])
    given_outputs = Outputs(torch.empty(0, count, 1), torch.from_numpy(outputs).float()[None])
    found = calibration(given_outputs, rows, torch.ones(count), ())
    assert float(found.log_scales[0]) == pytest.approx(best[1], abs=0.01)
    assert float(found.components[0]) == pytest.approx(math.exp(best[0]), abs=0.01)
    assert float(found.log_scales[0]) == pytest.approx(wide, abs=0.1)


def test_no_row_means_no_change() -> None:
    rows = Rows(torch.full((4, 3), -1), torch.full((4, 2), math.nan))
    outputs = Outputs(torch.randn(3, 4, 4), torch.randn(2, 4, PARAMETERS))
    found = calibration(outputs, rows, torch.ones(4), SLOTS.sizes)
    assert torch.equal(found.digits, torch.ones(3))
    assert torch.equal(found.components, torch.ones(2))
    assert torch.equal(found.log_scales, torch.zeros(2))
    assert torch.equal(log_likelihood(outputs, rows), torch.zeros(5, 4))


def test_the_gain_is_that_of_a_changed_decoder() -> None:
    made, rows, z = decoder(1, (5, 6)), random_rows(50, 1), torch.randn(50, 2)
    labels, weights = torch.zeros(50, dtype=torch.long), torch.rand(50)
    with torch.no_grad():
        before = made.outputs(rows, z, labels)
        change = calibration(before, rows, weights, SLOTS.sizes)
        made.calibrate(change)
        after = made.outputs(rows, z, labels)
    expected = (log_likelihood(after, rows) - log_likelihood(before, rows)).sum(0)
    assert gain(change, before, rows, weights) == pytest.approx(float((expected * weights).sum() / weights.sum()), 1e-3)
    assert gain(change, before, rows, weights) > 0


def test_decoders_stay_that_rows_gain_little_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.model.calibration.LEAST_GAIN", math.inf)
    model = CVAE(SLOTS, conditions=1, config=ModelConfig(latent_dim=2, width=4))
    rows, generator = random_rows(50, 1), torch.Generator().manual_seed(0)
    assert model.calibration(rows, torch.zeros(50, dtype=torch.long), torch.ones(50), generator) is None
    monkeypatch.setattr("synthvae.model.calibration.LEAST_GAIN", -math.inf)
    assert model.calibration(rows, torch.zeros(50, dtype=torch.long), torch.ones(50), generator) is not None


def test_rows_never_seen_are_more_probable_when_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    table = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0).iloc[:, -12:]
    known, unseen = table[:300], table[300:]
    monkeypatch.setattr(ElboDescent, "is_small", False)

    def fitted() -> float:
        synthesizer = Synthesizer(target="target", random_state=0).fit(known)
        return float(synthesizer.log_likelihood(unseen).mean())

    calibrated = fitted()
    monkeypatch.setattr(ElboDescent, "_calibrate", lambda _descent: None)
    assert calibrated > fitted()


def test_conditions_of_unseen_rows_are_more_probable_when_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    table = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    known, unseen = table[:110], table[110:]
    names = list(known.columns[:-1])

    def fitted() -> float:
        synthesizer = Synthesizer(target="target", random_state=0, conditions=True).fit(known)
        found = [
            synthesizer.log_likelihood(unseen, columns=[name], given=[other for other in names if other != name]).mean()
            for name in names[:4]
        ]
        return float(np.mean(found))

    calibrated = fitted()
    monkeypatch.setattr("synthvae.model.calibration.LEAST_GAIN", np.inf)
    assert calibrated > fitted() + 0.05


def test_rows_of_unseen_subjects_are_more_probable_when_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(150, 4)).cumsum(1)
    rows = {"patient": np.repeat(np.arange(150), 4), "day": np.tile(np.arange(4) * 7, 150), "value": steps.ravel()}
    bounds: list[float] = []
    histories = []
    calibrations = SequenceDescent.calibrations

    def recorded(descent: SequenceDescent) -> object:
        bounds.append(descent.bound())
        histories.append(descent.history)
        return calibrations(descent)

    monkeypatch.setattr(SequenceDescent, "calibrations", recorded)
    monkeypatch.setattr("synthvae.model.calibration.LEAST_GAIN", 0.0)
    monkeypatch.setattr(SequenceDescent, "is_small", False)
    SequenceSynthesizer("patient", time="day", random_state=0, max_steps=150).fit(pd.DataFrame(rows))
    assert bounds
    for before, history in zip(bounds, histories, strict=True):
        assert history.held_out_elbo is not None
        assert history.held_out_elbo > before
