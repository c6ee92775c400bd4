"""The VAE's relatives by option: autoencoders, denoising ones, other priors; and how collapse is seen."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.datasets import load_digits, load_wine

from synthvae import Synthesizer
from synthvae.codes import Slots, Value
from synthvae.encoding import Codes
from synthvae.errors import ConfigurationError, RequestError
from synthvae.estimators import VAETransformer
from synthvae.model import CVAE, ModelConfig, Rows, activity, corrupted
from synthvae.training import TrainingConfig, train
from synthvae.training.history import History, Record

QUICK: dict[str, Any] = {"max_steps": 30, "width": 16, "latent_dim": 3, "components": 4, "random_state": 0}
SLOTS = Slots((3, 3, 2), (Value(2, 0, 1), Value(3)), (None, 0, None))
KINDS = [{"prior": "mixture"}, {"prior": "vamp"}, {"posterior": "point"}, {"corruption": 0.3}]
kinds = pytest.mark.parametrize("options", KINDS, ids=str)


@pytest.fixture(scope="module")
def wine() -> pd.DataFrame:
    return pd.DataFrame(load_wine(as_frame=True).frame)


def rows(count: int) -> Rows:
    generator = torch.Generator().manual_seed(0)
    digits = torch.randint(2, (count, 3), generator=generator, dtype=torch.int8)
    return Rows(digits, torch.randn(count, 2, generator=generator))


def twins(count: int = 400) -> tuple[Codes, Slots]:
    """Four digits that are one another's copies: a code of one row is worth log 4 nats, seen through any of them."""
    first = np.random.default_rng(0).integers(0, 4, count)
    digits = np.stack([first] * 4, 1).astype(np.int8)
    return Codes(digits, np.empty((count, 0), np.float32), np.zeros(count, np.int64)), Slots((4,) * 4)


def learned(model: dict[str, Any], training: dict[str, Any]) -> tuple[CVAE, History]:
    codes, slots = twins()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CVAE(slots, 1, ModelConfig(latent_dim=2, width=16, decoder="factorized", **model))
    return network, train(network, codes, TrainingConfig(**{"max_steps": 200, **training}), 0)


@given(share=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_what_is_not_hidden_stays(share: float, seed: int) -> None:
    given_rows = rows(50)
    seen = corrupted(given_rows, SLOTS, share, torch.Generator().manual_seed(seed))
    for found, whole in zip(seen, given_rows, strict=True):
        hidden = found.isnan() if found.is_floating_point() else found == -1
        assert torch.equal(found[~hidden], whole[~hidden])


def test_cells_are_hidden_whole_and_in_the_share_asked_for() -> None:
    """Digits 0 and 1 and value 0 are one column; digit 2 and value 1 are columns of their own."""
    seen = corrupted(rows(40_000), SLOTS, 0.3, torch.Generator().manual_seed(0))
    digits, values = seen.digits == -1, seen.values.isnan()
    assert torch.equal(digits[:, 0], digits[:, 1])
    assert torch.equal(digits[:, 0], values[:, 0])
    hidden = torch.stack([digits[:, 0], digits[:, 2], values[:, 1]]).double()
    torch.testing.assert_close(hidden.mean(1), torch.full((3,), 0.3).double(), atol=0.02, rtol=0)
    assert torch.corrcoef(hidden).fill_diagonal_(0).abs().max() < 0.03


@pytest.mark.slow
def test_a_denoising_autoencoder_says_what_it_does_not_see() -> None:
    """Shown one copy of a digit, it says the others; one that always saw all says them less well."""
    chances = []
    for corruption in (0.0, 0.6):
        model, _ = learned({"posterior": "point"}, {"corruption": corruption, "validation_fraction": 0})
        codes, _ = twins()
        whole = Rows(torch.from_numpy(codes.digits), torch.from_numpy(codes.values))
        labels, shown = torch.from_numpy(codes.labels), whole.digits.clone()
        shown[:, 1:] = -1
        with torch.no_grad():
            terms = model.elbo(whole, labels, torch.zeros(len(labels), 2), Rows(shown, whole.values))
        chances.append(float(terms.reconstruction.mean()) / 4)
    assert chances[0] < chances[1] - 0.2
    assert math.log(0.75) < chances[1]


@pytest.mark.slow
def test_pixels_are_denoised() -> None:
    """What learned with half of the pixels hidden says more of a row of which half is hidden."""
    X = load_digits().data[:600] / 16
    hidden = np.random.default_rng(0).random(X.shape) < 0.5
    errors = []
    for corruption in (0.0, 0.5):
        vae = VAETransformer(8, likelihood="bernoulli", corruption=corruption, max_steps=300, random_state=0).fit(X)
        errors.append(np.square(vae.reconstruct(np.where(hidden, 0.0, X)) - X).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_hidden_pixels_are_no_gaps(likelihood: str) -> None:
    """A hidden pixel is unknown to the encoder; no bound becomes no number for that."""
    X = load_digits().data[:100] / 16
    vae = VAETransformer(2, likelihood=likelihood, corruption=0.5, max_steps=5, random_state=0).fit(X)
    assert np.isfinite(vae.score_samples(X)).all()


@pytest.mark.slow
def test_an_autoencoder_has_codes_without_spread_and_draws_from_their_density() -> None:
    model, history = learned({"posterior": "point", "components": 8}, {})
    codes, _ = twins()
    whole = Rows(torch.from_numpy(codes.digits), torch.from_numpy(codes.values))
    labels = torch.from_numpy(codes.labels)
    terms = model.elbo(whole, labels, torch.randn(len(labels), 2))
    assert torch.equal(terms.z, terms.mean)
    assert not terms.kl.any()
    assert not model.drift(terms, labels).any()
    assert history.kl_per_dimension is None
    assert history.active_units
    assert not history.collapsed
    drawn = model.sample(0, 1000, torch.Generator().manual_seed(0)).digits
    assert float((drawn == drawn[:, :1]).all(1).double().mean()) > 0.8
    shares = torch.bincount(drawn[:, 0].long(), minlength=4) / 1000
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.1, rtol=0)


@pytest.mark.slow
def test_a_collapsed_posterior_is_seen_and_a_healthy_one_is_not() -> None:
    _, collapsed = learned({}, {"beta": 100.0, "free_bits": 0.0, "warm_up": 0.0, "validation_fraction": 0})
    _, healthy = learned({}, {})
    assert collapsed.collapsed
    assert collapsed.active_units == 0
    assert not healthy.collapsed
    assert healthy.active_units == 2
    assert sum(healthy.kl_per_dimension or []) > 0.5


def test_activity_is_that_of_the_encoder() -> None:
    model, _ = learned({}, {"max_steps": 20})
    codes, _ = twins()
    whole = Rows(torch.from_numpy(codes.digits), torch.from_numpy(codes.values))
    labels, state = torch.from_numpy(codes.labels), torch.get_rng_state()
    found = activity(model, whole, labels)
    with torch.no_grad():
        terms = model.elbo(whole, labels, torch.zeros(len(labels), 2))
    assert found.kl is not None
    torch.testing.assert_close(found.kl, terms.kl.mean(0))
    torch.testing.assert_close(found.variance, terms.mean.var(0, correction=0))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fit_warns_of_collapse_and_names_the_way_out(wine: pd.DataFrame) -> None:
    options: dict[str, Any] = {"decoder": "factorized", "max_steps": 80, "width": 32, "random_state": 0}
    with pytest.warns(UserWarning, match=r"the posterior collapsed.*0 active units of 8\. Raise `free_bits`"):
        Synthesizer(target="target", beta=100.0, free_bits=0.0, **options).fit(wine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Synthesizer(target="target", **options).fit(wine)


@pytest.mark.parametrize("steps", [0.0, 1.0])
def test_the_weight_of_kl_rises_over_the_share_of_steps_asked_for(steps: float) -> None:
    """At the first step, the loss has all of KL without warm-up, and next to nothing with a long one."""
    _, history = learned({}, {"warm_up": steps, "max_steps": 20, "free_bits": 0.0, "validation_fraction": 0})
    first = history.records[0]
    assert (abs(first.loss + first.reconstruction) > 0.5 * first.kl) == (steps == 0)


def test_history_is_a_table_in_nats() -> None:
    history = History([Record(50, 5.0, -4.0, 1.5, None), Record(100, 4.0, -3.0, 2.0, -5.5)])
    table = history.table()
    assert list(table.columns) == ["step", "loss", "reconstruction", "kl", "elbo", "held_out"]
    assert table["elbo"].tolist() == [-5.5, -5.0]
    assert table["held_out"].isna().tolist() == [True, False]
    assert History().table().empty


@pytest.mark.slow
@kinds
def test_every_kind_is_saved_and_samples_the_classes_asked_for(
    wine: pd.DataFrame, options: dict[str, Any], tmp_path: Path
) -> None:
    synthesizer = Synthesizer(target="target", **QUICK, **options).fit(wine)
    synthesizer.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    asked = {0: 7, 2: 5}
    assert synthesizer.sample(asked)["target"].value_counts().to_dict() == asked
    pd.testing.assert_frame_equal(again.sample(asked), synthesizer.sample(asked))
    assert again.history_ == synthesizer.history_
    assert again.get_params()["components"] == 4


@kinds
def test_a_transformer_of_every_kind_is_never_told_y(wine: pd.DataFrame, options: dict[str, Any]) -> None:
    X, y = wine.drop(columns="target"), wine["target"]
    transformer = VAETransformer(**QUICK, **options).fit(X, y)
    assert transformer.synthesizer_.model_.network_conditions == 1
    assert transformer.synthesizer_.model_.conditions == 3
    assert transformer.transform(X).shape == (len(X), 3)
    assert transformer.inverse_transform(transformer.transform(X)).shape == X.shape
    assert len(transformer.sample(4, y=2)) == 4
    assert np.isfinite(transformer.score_samples(X, k=20, proposal="prior")).all()


@pytest.mark.parametrize(("prior", "y", "found"), [(None, True, 3), (None, False, 1), ("standard_normal", True, 1)])
def test_the_prior_of_a_transformer_follows_y_unless_named(
    wine: pd.DataFrame, prior: str | None, found: int, *, y: bool
) -> None:
    given_y = wine["target"] if y else None
    named: dict[str, Any] = {} if prior is None else {"prior": prior}
    transformer = VAETransformer(**QUICK, **named).fit(wine.drop(columns="target"), given_y)
    assert transformer.synthesizer_.model_.conditions == found


@pytest.fixture(scope="module")
def fitted(wine: pd.DataFrame) -> Synthesizer:
    return Synthesizer(target="target", **QUICK, prior="mixture").fit(wine)


@pytest.mark.slow
def test_bounds_of_a_table_grow_with_draws(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    bounds = [fitted.log_likelihood(wine, k=k).mean() for k in (1, 4, 16, 128)]
    assert bounds == sorted(bounds)
    assert np.allclose(fitted.log_likelihood(wine, k=4)[3:5], fitted.log_likelihood(wine.iloc[3:5], k=4))
    naive = fitted.log_likelihood(wine, k=500, proposal="prior").mean()
    assert naive == pytest.approx(bounds[-1], abs=1.0)


@pytest.mark.parametrize(
    ("proposal", "k", "error"),
    [("posterior", 1, 1e-9), ("posterior", 8, 1e-9), pytest.param("prior", 2000, 0.5, marks=pytest.mark.slow)],
)
def test_score_samples_marginalises_the_target(
    fitted: Synthesizer, wine: pd.DataFrame, proposal: str, k: int, error: float
) -> None:
    """log p(x) = log sum_y p(y) p(x | y), whatever class a row has."""
    rows, shares = wine[::20], fitted.encoding_.frequencies
    given_class = [fitted.log_likelihood(rows.assign(target=label), k=k, proposal=proposal) for label in range(3)]
    scores = fitted.score_samples(rows, k=k, proposal=proposal)
    assert scores == pytest.approx(logsumexp(given_class, axis=0, b=shares[:, None]), abs=error)
    assert np.array_equal(scores, fitted.score_samples(rows.assign(target=0), k=k, proposal=proposal))


def test_score_samples_without_a_target_is_the_likelihood(wine: pd.DataFrame) -> None:
    synthesizer = Synthesizer(**QUICK).fit(wine)
    np.testing.assert_allclose(synthesizer.score_samples(wine, k=4), synthesizer.log_likelihood(wine, k=4))


def test_evidence_bounds_grow_with_draws(wine: pd.DataFrame) -> None:
    X, y = wine.drop(columns="target"), wine["target"]
    transformer = VAETransformer(**QUICK).fit(X, y)
    bounds = [transformer.score_samples(X, k=k).mean() for k in (1, 8, 128)]
    assert bounds == sorted(bounds)
    naive = transformer.score_samples(X, k=500, proposal="prior").mean()
    assert naive == pytest.approx(bounds[-1], abs=1.0)


@pytest.mark.parametrize(("given_k", "proposal", "message"), [
    (0, "posterior", "`k` must be an integer of at least 1, got 0"),
    (2.5, "posterior", "got 2.5"),
    (1, "uniform", "`proposal` must be one of .*got 'uniform'"),
])  # fmt: skip
def test_bounds_that_cannot_be_are_refused(
    fitted: Synthesizer, wine: pd.DataFrame, given_k: Any, proposal: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        fitted.score_samples(wine, k=given_k, proposal=proposal)


def test_an_autoencoder_refuses_a_bound(wine: pd.DataFrame) -> None:
    synthesizer = Synthesizer(**QUICK, posterior="point").fit(wine)
    with pytest.raises(RequestError, match='proposal="prior"'):
        synthesizer.score(wine)


@pytest.mark.parametrize(("options", "message"), [
    ({"prior": "class_normal"}, 'prior="class_normal" needs a target, got target=None'),
    ({"posterior": "point", "prior": "vamp"}, '"standard_normal" or "mixture"'),
    ({"prior": "flow"}, "prior"),
    ({"components": 0}, "components"),
    ({"corruption": 1.0}, "corruption"),
    ({"warm_up": 1.5}, "warm_up"),
])  # fmt: skip
def test_options_that_cannot_be_are_refused(wine: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Synthesizer(**{**QUICK, **options}).fit(wine)
    assert len(str(caught.value).splitlines()) == 1
