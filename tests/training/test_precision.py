"""Training in bfloat16: the networks alone are, the model is as good, and as reproducible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from synthvae import PrivacyBudget, Synthesizer
from synthvae.errors import ConfigurationError
from synthvae.model.encoder import Encoder
from synthvae.training import checkpoint
from synthvae.training.batches import LabelledRows
from synthvae.training.history import Record

SMALL: dict[str, Any] = {"target": "target", "device": "cpu", "max_steps": 8, "width": 16, "random_state": 0}


@pytest.mark.parametrize("parameters", [{}, {"decoder": "factorized"}, {"likelihood": "gaussian", "prior": "mixture"}])
def test_densities_and_divergences_are_not_reduced(parameters: dict[str, Any], wine: pd.DataFrame) -> None:
    fitted = Synthesizer(**SMALL, **parameters).fit(wine)
    model, batch = fitted.model_, LabelledRows.from_codes(fitted.learned_.encode(_table(wine)), torch.device("cpu"))
    noise = torch.randn(len(batch), model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    whole = model.elbo(batch.rows, batch.labels, noise)
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.elbo(batch.rows, batch.labels, noise)
        kl = model.prior.kl(terms.mean, terms.log_variance, batch.labels, terms.z)
        drift = model.drift(terms, batch.labels)
    assert {part.dtype for part in (*terms, drift)} == {torch.float32}
    assert not torch.equal(terms.reconstruction, whole.reconstruction)
    torch.testing.assert_close(terms.reconstruction, whole.reconstruction, rtol=0.05, atol=0.5)
    assert torch.equal(kl, model.prior.kl(terms.mean, terms.log_variance, batch.labels, terms.z))
    assert torch.equal(drift, model.drift(terms, batch.labels))


def _table(frame: pd.DataFrame) -> Any:
    from synthvae.tables import convert

    return convert.read(frame)


@pytest.mark.slow
def test_a_model_learned_with_few_digits_is_as_good() -> None:
    frame = load_breast_cancer(as_frame=True).frame
    parameters = {**SMALL, "max_steps": 60}
    whole, reduced = (Synthesizer(**parameters, precision=p).fit(frame) for p in ("float32", "bfloat16"))
    assert reduced.learned_.fingerprint != whole.learned_.fingerprint
    assert (
        reduced.learned_.fingerprint == Synthesizer(**parameters, precision="bfloat16").fit(frame).learned_.fingerprint
    )
    assert {parameter.dtype for parameter in reduced.model_.parameters()} == {torch.float32}
    start = whole.history_.records[0].validation
    found = [synthesizer.history_.held_out_elbo for synthesizer in (whole, reduced)]
    assert start is not None
    assert found[0] is not None
    assert found[1] is not None
    assert found[0] > start
    assert abs(found[1] - found[0]) < 0.1 * (found[0] - start)


def test_vectors_that_are_summed_are_not_reduced(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    batch = LabelledRows.from_codes(fitted.learned_.encode(_table(wine)), torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(fitted.model_.encoder, Encoder)
        vectors = fitted.model_.encoder.embedding(batch.rows)
    assert {part.dtype for part in vectors} == {torch.float32}


class Killed(BaseException):
    """What nobody catches."""


def _killed(record: Record) -> None:
    if record.step >= 3:
        raise Killed


def test_a_fit_that_was_killed_is_taken_up(wine: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    parameters = {**SMALL, "precision": "bfloat16"}
    with pytest.raises(Killed):
        Synthesizer(**parameters, journal=tmp_path, callbacks=_killed).fit(wine)
    assert list(tmp_path.glob("*.safetensors"))
    resumed = Synthesizer(**parameters, journal=tmp_path).fit(wine)
    assert resumed.learned_.fingerprint == Synthesizer(**parameters).fit(wine).learned_.fingerprint


def test_what_cannot_be_done_is_refused(wine: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match=r"`precision`: .*'bfloat16'"):
        Synthesizer(**SMALL, precision="float16").fit(wine)
    budget = PrivacyBudget(epsilon=1.0, delta=1e-5)
    with pytest.raises(ConfigurationError, match=r"for a private fit.*'bfloat16'"):
        Synthesizer(**SMALL, precision="bfloat16", privacy=budget, schema="private").fit(wine)
