"""Laws of prior, posterior and bound: closed forms against torch's own, bounds against integrals on a grid."""

from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from oracles import combinations, on_grid, only_digits, some_rows
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.config import DecoderName, PriorName
from synthvae.model.priors import NormalPrior, VampPrior

SIZES = (2, 3, 2)
DIGITS = Slots(SIZES)
MIXED = Slots(SIZES, (Value(0), Value(2, 1, 2)), (None, 0, None))
CONDITIONS = 3
GRID = torch.linspace(-14, 14, 4001, dtype=torch.float64)[:, None]
DECODERS: tuple[DecoderName, ...] = ("autoregressive", "factorized")
PRIORS: tuple[PriorName, ...] = get_args(PriorName)
kinds = pytest.mark.parametrize(("decoder", "prior"), list(itertools.product(DECODERS, PRIORS)))


def build(decoder: DecoderName, prior: PriorName, latent: int = 1, slots: Slots = DIGITS, spread: float = 0.5) -> CVAE:
    """A tiny model with every parameter away from where it starts."""
    config = ModelConfig(decoder=decoder, prior=prior, latent_dim=latent, width=6, hidden=4, value_hidden=5)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = CVAE(slots, CONDITIONS, config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(spread * torch.randn_like(parameter))
            if isinstance(model.prior, VampPrior):  # posteriors that the grid covers
                model.encoder.head.weight.mul_(0.2)
                model.encoder.head.bias.mul_(0.2)
    return model.double().eval()


def rows(slots: Slots = DIGITS, count: int = 8) -> tuple[Rows, Tensor]:
    labels = np.random.default_rng(1).integers(0, CONDITIONS, count)
    return some_rows(slots, count), torch.from_numpy(labels)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def exact(model: CVAE, rows: Rows, labels: Tensor) -> Tensor:
    """log p(x | y) (B,) of a model with one latent dimension: the integral over z on a grid."""
    out = []
    for i, label in enumerate(labels):
        y, row = label.expand(len(GRID)), rows.take(torch.full((len(GRID),), i))
        likelihood = model.decoder.log_prob(row, GRID, model.network_labels(y)).sum(0)
        joint = likelihood + model.prior.log_prob(GRID, y)
        out.append(joint.logsumexp(0) + math.log(float(GRID[1] - GRID[0])))
    return torch.stack(out)


@torch.no_grad()
def log_weights(model: CVAE, rows: Rows, labels: Tensor, noise: Tensor) -> Tensor:
    """log p(x, z | y) - log q(z | x, y) (S, B), z drawn with `noise` (S, 1)."""
    mean, log_variance = model.encoder(rows, model.network_labels(labels))
    posterior: Any = Normal(mean, (0.5 * log_variance).exp())
    z = mean + noise[:, None] * posterior.scale  # (S, B, 1)
    entropy = posterior.log_prob(z).sum(2)
    again, z = rows.take(torch.arange(len(labels)).repeat(len(noise))), z.flatten(0, 1)
    labels = labels.repeat(len(noise))
    joint = model.decoder.log_prob(again, z, model.network_labels(labels)).sum(0)
    weights: Tensor = (joint + model.prior.log_prob(z, labels)).view(len(noise), -1) - entropy
    return weights


def prior_of(*, learned: bool) -> NormalPrior:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = NormalPrior(CONDITIONS, 2, learned=learned)
        if learned:
            torch.nn.init.normal_(prior.log_variance)
    return prior.double()


def distribution(prior: NormalPrior, labels: Tensor) -> Any:  # torch's distributions are half typed
    return Normal(prior.mean[labels].detach(), (0.5 * prior.log_variance[labels]).exp().detach())


either = pytest.mark.parametrize("learned", [False, True])


@either
def test_kl_is_the_closed_form_and_never_negative(*, learned: bool) -> None:
    prior, labels = prior_of(learned=learned), torch.arange(60) % CONDITIONS
    mean, log_variance = 2 * normal(60, 2), 2 * normal(60, 2, seed=1)
    found = prior.kl(mean, log_variance, labels).detach()
    torch.testing.assert_close(
        found, kl_divergence(Normal(mean, (0.5 * log_variance).exp()), distribution(prior, labels))
    )
    assert (found >= 0).all()


@either
def test_kl_of_the_prior_from_itself_is_nothing(*, learned: bool) -> None:
    prior, labels = prior_of(learned=learned), torch.arange(CONDITIONS)
    found = prior.kl(prior.mean[labels], prior.log_variance[labels], labels)
    assert float(found.detach().abs().max()) < 1e-12


@either
def test_kl_is_what_draws_say(*, learned: bool) -> None:
    prior, labels = prior_of(learned=learned), torch.tensor([1])
    mean, log_variance = normal(1, 2, seed=2), normal(1, 2, seed=3)
    posterior: Any = Normal(mean, (0.5 * log_variance).exp())
    z = mean + normal(200_000, 2, seed=4) * posterior.scale
    terms = posterior.log_prob(z).sum(1) - prior.log_prob(z, labels.expand(len(z))).detach()
    error = float(terms.std()) / len(terms) ** 0.5
    assert abs(float(prior.kl(mean, log_variance, labels).detach().sum() - terms.mean())) < 4.5 * error


@either
def test_the_prior_is_torchs_normal(*, learned: bool) -> None:
    prior, labels = prior_of(learned=learned), torch.arange(30) % CONDITIONS
    z = normal(30, 2)
    expected = distribution(prior, labels).log_prob(z).sum(1)
    torch.testing.assert_close(prior.log_prob(z, labels).detach(), expected)


@either
def test_draws_of_the_prior_have_its_moments(*, learned: bool) -> None:
    prior = prior_of(learned=learned)
    labels = torch.full((100_000,), 2)
    drawn, stated = prior.draw(normal(100_000, 2), labels).detach(), distribution(prior, labels[:1])
    torch.testing.assert_close(drawn.mean(0), stated.mean[0], atol=0.03, rtol=0.02)
    torch.testing.assert_close(drawn.std(0), stated.stddev[0], atol=0.0, rtol=0.02)


@kinds
def test_every_parameter_gets_a_gradient(decoder: DecoderName, prior: PriorName) -> None:
    model = build(decoder, prior, latent=2, slots=MIXED)
    seen, labels = rows(MIXED, count=64)
    terms = model.elbo(seen, labels, normal(64, 2))
    torch.autograd.backward(-(terms.reconstruction - terms.kl.sum(1)).mean())
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@kinds
def test_the_gradient_is_that_of_finite_differences(decoder: DecoderName, prior: PriorName) -> None:
    model = build(decoder, prior, latent=2, slots=MIXED)
    seen, labels = rows(MIXED)
    noise, step = normal(len(labels), 2), 1e-5

    def bound() -> Tensor:
        terms = model.elbo(seen, labels, noise)
        return (terms.reconstruction - terms.kl.sum(1) - 0.7 * model.drift(terms, labels)).mean()

    torch.autograd.backward(bound())
    for parameter in model.parameters():
        assert parameter.grad is not None
        direction = normal(*parameter.shape, seed=7)
        slope = float((parameter.grad * direction).sum())
        with torch.no_grad():
            ends = [float(bound()) for move in (step, -2 * step) if parameter.add_(move * direction) is not None]
            parameter.add_(step * direction)
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@kinds
def test_the_probabilities_of_all_rows_sum_to_one(decoder: DecoderName, prior: PriorName) -> None:
    model, everything = build(decoder, prior), only_digits(combinations(SIZES))
    for label in range(CONDITIONS):
        total = exact(model, everything, torch.full((len(everything.digits),), label)).exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-9)


@kinds
def test_each_bound_is_tighter_and_none_is_passed(decoder: DecoderName, prior: PriorName) -> None:
    """By Jensen's inequality, on the same draws: ELBO < importance-weighted bound of 5 < of 50 draws <= log p."""
    model = build(decoder, prior, slots=MIXED)
    seen, labels = rows(MIXED)
    weights = log_weights(model, seen, labels, normal(20_000, 1, seed=5))
    bounds = [(weights.view(-1, k, len(labels)).logsumexp(1) - math.log(k)) for k in (1, 5, 50)]
    elbo, few, many = (bound.mean(0) for bound in bounds)
    error = 4.5 * bounds[2].std(0) / len(bounds[2]) ** 0.5
    assert (elbo < few).all()
    assert (few < many).all()
    assert (many <= exact(model, seen, labels) + error).all()


@kinds
def test_the_elbo_is_the_mean_log_weight(decoder: DecoderName, prior: PriorName) -> None:
    """Its KL is in closed form, the weights' is drawn: they agree on average, and neither passes the truth."""
    model = build(decoder, prior, slots=MIXED)
    seen, labels = rows(MIXED)
    noise = midpoints(500)
    found = model.log_likelihood(seen, labels, noise)
    expected = log_weights(model, seen, labels, noise).mean(0)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    assert (found <= exact(model, seen, labels) + 1e-3).all()


def midpoints(count: int) -> Tensor:
    """Draws (count, 1) that integrate nearly exactly: one from the middle of each quantile, of variance 1."""
    uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    standard: Any = Normal(torch.zeros(1).double(), torch.ones(1).double())
    draws: Tensor = standard.icdf(uniform[:, None])
    return draws / draws.square().mean().sqrt()


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_evidence_is_bounded_by_the_integral(decoder: DecoderName) -> None:
    model, seen = build(decoder, "class_normal"), only_digits(combinations(SIZES))
    count = len(seen.digits)
    frequencies = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    by_class = [exact(model, seen, torch.full((count,), c)) + frequencies[c] for c in range(CONDITIONS)]
    truth = torch.stack(by_class).logsumexp(0)
    found = model.log_evidence(seen, frequencies, midpoints(500))
    assert float(truth.exp().sum()) == pytest.approx(1.0, abs=1e-9)
    assert (found <= truth + 1e-3).all()
    conditional = [model.log_likelihood(seen, torch.full((count,), c), midpoints(500)) for c in range(3)]
    mixed = (torch.stack(conditional) + frequencies[:, None]).amax(0)
    assert (found >= mixed - 1e-3).all()  # one class alone is a part of the evidence


@kinds
def test_samples_follow_the_integrated_distribution(decoder: DecoderName, prior: PriorName) -> None:
    model, everything, draws = build(decoder, prior), only_digits(combinations(SIZES)), 100_000
    single = build(decoder, prior).float()
    drawn = single.sample(1, draws, torch.Generator().manual_seed(0)).digits.numpy()
    place = np.ravel_multi_index(tuple(drawn.T), SIZES)
    counts = torch.from_numpy(np.bincount(place, minlength=len(everything.digits)))
    expected = draws * exact(model, everything, torch.ones(len(counts), dtype=torch.long)).exp()
    statistic, freedom = float(((counts - expected).square() / expected).sum()), len(counts) - 1
    assert statistic < freedom + 4.5 * (2 * freedom) ** 0.5


@kinds
def test_sampled_values_follow_the_integrated_density(decoder: DecoderName, prior: PriorName) -> None:
    """Kolmogorov and Smirnov's distance from the density, summed over z, digits and a grid of values."""
    slots, draws, step = Slots((2,), (Value(1, 0, 1),)), 20_000, 0.01
    seen = on_grid(slots, torch.arange(-20, 20, step, dtype=torch.float64))
    model, single = build(decoder, prior, slots=slots), build(decoder, prior, slots=slots).float()
    labels, density = torch.ones(len(seen.values), dtype=torch.long), torch.zeros(len(seen.values)).double()
    latents = torch.linspace(-9, 9, 121, dtype=torch.float64)
    for z in latents[:, None]:
        likelihood = model.decoder.log_prob(seen, z.expand(len(labels), 1), model.network_labels(labels)).sum(0)
        density += (likelihood + model.prior.log_prob(z[None], labels[:1])).detach().exp() * 18 / 120
    drawn = single.sample(1, draws, torch.Generator().manual_seed(3)).values[:, 0].double()
    here, numbers = ~seen.values[:, 0].isnan(), drawn[drawn.isfinite()]
    share = density[here].sum() * step
    assert float(share + density[~here].sum()) == pytest.approx(1.0, abs=1e-3)
    assert len(numbers) / draws == pytest.approx(float(share), abs=4.5 * 0.5 / draws**0.5)
    ends = seen.values[here, 0] + step / 2
    below = density[here].cumsum(0) * step / share
    inside = ends.abs() < 5  # further out, values are held at a limit
    found = torch.searchsorted(numbers.sort().values, ends) / len(numbers)
    assert float((found - below)[inside].abs().max()) * len(numbers) ** 0.5 < 1.95


def test_only_the_prior_is_told_the_class_of_a_class_normal_model() -> None:
    model, (seen, labels) = build("autoregressive", "class_normal", slots=MIXED), rows(MIXED)
    other = (labels + 1) % CONDITIONS
    assert torch.equal(model.posterior_mean(seen, labels), model.posterior_mean(seen, other))
    bounds = [model.log_likelihood(seen, told, normal(2, 1)) for told in (labels, other)]
    assert not torch.equal(*bounds)


@kinds
def test_a_row_does_not_depend_on_the_rows_beside_it(decoder: DecoderName, prior: PriorName) -> None:
    model, (seen, labels) = build(decoder, prior, latent=2, slots=MIXED), rows(MIXED)
    together = model.log_likelihood(seen, labels, normal(3, 2))
    each = [slice(i, i + 1) for i in range(len(labels))]
    alone = [model.log_likelihood(seen.take(row), labels[row], normal(3, 2)) for row in each]
    torch.testing.assert_close(together, torch.cat(alone))


@kinds
@pytest.mark.parametrize(("slots", "spread"), [(DIGITS, 0.5), (MIXED, 0.2)])
def test_matched_marginals_are_those_seen(decoder: DecoderName, prior: PriorName, slots: Slots, spread: float) -> None:
    """With many rows seen, what is drawn has their frequencies, digit by digit and class by class."""
    model = build(decoder, prior, slots=slots, spread=spread).float()
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CONDITIONS).repeat(20_000)
    seen = torch.rand(len(SIZES), model.network_conditions, max(SIZES), generator=generator) + 0.2
    seen *= torch.arange(max(SIZES)) < torch.tensor(SIZES)[:, None, None]
    seen /= seen.sum(2, keepdim=True)
    model.match_marginals(seen, labels, generator)
    for told in range(model.network_conditions):
        asked = [told] if model.network_conditions > 1 else list(range(CONDITIONS))
        drawn = torch.cat([model.sample(label, 30_000 // len(asked), generator).digits for label in asked])
        for j, size in enumerate(SIZES):
            share = torch.bincount(drawn[:, j], minlength=size) / len(drawn)
            assert torch.allclose(share, seen[j, told, :size], atol=0.015)


@kinds
def test_matched_means_are_those_seen(decoder: DecoderName, prior: PriorName, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many rows seen, drawn values have their means within each class, also where a digit switches them on.

    Some of a random network are beyond the limit of drawn values, which moves their means by up to 0.05.
    """
    monkeypatch.setattr("synthvae.model.cvae.ERRORS_OF_MEAN", 1000.0)
    model = build(decoder, prior, slots=MIXED, spread=0.2).float()
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CONDITIONS).repeat(20_000)
    frequencies = torch.rand(len(SIZES), model.network_conditions, max(SIZES), generator=generator) + 0.2
    frequencies *= torch.arange(max(SIZES)) < torch.tensor(SIZES)[:, None, None]
    frequencies /= frequencies.sum(2, keepdim=True)
    means = torch.linspace(-0.4, 0.4, 2 * model.network_conditions).view(2, -1)
    model.match_marginals(frequencies, labels, generator, means=means)
    for label in range(model.network_conditions):
        asked = [label] if model.network_conditions > 1 else list(range(CONDITIONS))
        drawn = torch.cat([model.sample(label, 30_000 // len(asked), generator).values for label in asked])
        assert drawn.nanmean(0).tolist() == pytest.approx(means[:, label].tolist(), abs=0.08)


def test_marginals_of_few_rows_are_trusted_little() -> None:
    """A class of one row keeps ten of eleven parts of the model's own marginals."""
    found = []
    for rows in (1, 10_000):
        model = build("autoregressive", "standard_normal").float()
        generator, labels = torch.Generator().manual_seed(0), torch.arange(CONDITIONS).repeat(rows)
        before = torch.bincount(model.sample(0, 20_000, generator).digits[:, 0], minlength=SIZES[0]) / 20_000
        seen = torch.zeros(len(SIZES), CONDITIONS, max(SIZES))
        seen[:, :, 0] = 1
        model.match_marginals(seen, labels, generator)
        after = torch.bincount(model.sample(0, 20_000, generator).digits[:, 0], minlength=SIZES[0]) / 20_000
        found.append(float((after[0] - before[0]) / (1 - before[0])))
    assert found == pytest.approx([1 / 11, 1.0], abs=0.02)
