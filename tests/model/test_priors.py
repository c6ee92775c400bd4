"""Laws of priors: densities integrate to one, draws follow them, divergences are those of draws, and EM climbs."""

from __future__ import annotations

import copy
import math
import pickle
from typing import get_args

import numpy as np
import pytest
import torch
from oracles import some_rows
from scipy import stats
from sklearn.mixture import GaussianMixture
from torch import Tensor

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig
from synthvae.model.config import PriorName
from synthvae.model.encoder import Encoder
from synthvae.model.mixtures import fit_mixture, log_normal
from synthvae.model.priors import GaussianMixturePrior, MixturePrior, Prior

MIXED = Slots((2, 3), (Value(0), Value(2, 1, 2)))
CONDITIONS = 3
PRIORS: tuple[PriorName, ...] = get_args(PriorName)
MIXTURES: tuple[PriorName, ...] = ("mixture", "vamp")
priors = pytest.mark.parametrize("prior", PRIORS)
both = pytest.mark.parametrize("conditional", [True, False])


def build(prior: PriorName, latent: int = 1, *, conditional: bool = True) -> CVAE:
    """A tiny model with every parameter of prior and encoder away from where it starts."""
    config = ModelConfig(
        prior=prior, latent_dim=latent, width=5, hidden=4, value_hidden=4, components=4, conditional=conditional
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = CVAE(MIXED, CONDITIONS, config)
        with torch.no_grad():
            for parameter in [*model.prior.parameters(), *model.encoder.parameters()]:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().eval()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(prior: Prior, label: int, count: int, latent: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    uniform = torch.rand(count, prior.choices, generator=generator, dtype=torch.float64)
    return prior.draw(normal(count, latent), torch.full((count,), label), uniform).detach()


@both
@priors
def test_the_density_integrates_to_one(prior: PriorName, *, conditional: bool) -> None:
    grid = torch.linspace(-60, 60, 24_001, dtype=torch.float64)[:, None]
    for label in range(CONDITIONS):
        log_density = build(prior, conditional=conditional).prior.log_prob(grid, torch.full((len(grid),), label))
        assert float(log_density.detach().exp().sum() * (grid[1] - grid[0])) == pytest.approx(1.0, abs=1e-6)


@both
@priors
def test_draws_follow_the_density(prior: PriorName, *, conditional: bool) -> None:
    """Kolmogorov and Smirnov's distance from the density, summed over a grid."""
    model = build(prior, conditional=conditional)
    grid = torch.linspace(-60, 60, 24_001, dtype=torch.float64)
    for label in range(CONDITIONS):
        density = model.prior.log_prob(grid[:, None], torch.full((len(grid),), label)).detach().exp()
        reached = (density.cumsum(0) * (grid[1] - grid[0])).numpy()
        sample = drawn(model.prior, label, 5000)[:, 0].numpy()
        assert stats.kstest(sample, lambda x, to=reached: np.interp(x, grid.numpy(), to)).pvalue > 1e-4


@both
@pytest.mark.parametrize("prior", MIXTURES)
@torch.no_grad()
def test_a_mixture_is_the_sum_of_its_components(prior: PriorName, *, conditional: bool) -> None:
    model = build(prior, 2, conditional=conditional)
    assert isinstance(model.prior, MixturePrior)
    z, labels = normal(30, 2), torch.arange(30) % CONDITIONS
    found = model.prior.log_prob(z, labels)
    means, log_variances = (part.expand(30, -1, -1) for part in model.prior.components(labels))
    for row in range(30):
        weights = model.prior.logits[labels[row]].softmax(0)
        inside = [log_normal(z[row], means[row, k], log_variances[row, k]).sum().exp() for k in range(4)]
        assert float(found[row]) == pytest.approx(math.log(sum(w * d for w, d in zip(weights, inside, strict=True))))


def test_a_vamp_prior_is_made_of_posteriors() -> None:
    """A pseudo-input that is the sum of a row's vectors has that row's posterior."""
    model, rows = build("vamp", 2), some_rows(MIXED, 4)
    assert isinstance(model.encoder, Encoder)
    model.prior.start_from(model.encoder.embedding.total(rows))  # type: ignore[operator]
    labels = torch.full((4,), 1)
    assert isinstance(model.prior, MixturePrior)
    for found, expected in zip(model.prior.components(labels[:1]), model.encoder(rows, labels), strict=True):
        torch.testing.assert_close(found[0], expected)


@priors
def test_the_divergence_is_that_of_draws(prior: PriorName) -> None:
    """In all, and, in dimensions, of the marginals: those of a normal are independent and add up."""
    model, count = build(prior, 2), 100_000
    labels = torch.full((count,), 1)
    mean, log_variance = (normal(1, 2, seed=seed).expand(count, -1) for seed in (5, 6))
    z = mean + normal(count, 2, seed=7) * (0.5 * log_variance).exp()
    terms = (log_normal(z, mean, log_variance).sum(1) - model.prior.log_prob(z, labels)).detach()
    error = 4.5 * float(terms.std()) / count**0.5
    found = model.prior.kl(mean, log_variance, labels, z).detach()
    assert found.sum(1).mean() == pytest.approx(float(terms.mean()), abs=error)
    by_dimension = model.prior.kl_by_dimension(mean, log_variance, labels, z).detach()
    assert by_dimension.shape == (count, 2)
    assert (by_dimension.mean(0) > -0.02).all()
    if prior not in MIXTURES:
        torch.testing.assert_close(by_dimension, found)


def test_marginals_of_a_mixture_are_those_of_its_dimensions() -> None:
    model = build("mixture", 2)
    z, wide = normal(20, 2), torch.linspace(-40, 40, 8001, dtype=torch.float64)
    labels, nothing = torch.arange(20) % CONDITIONS, torch.zeros(20, 2, dtype=torch.float64)
    log_marginal = log_normal(z, nothing, nothing) - model.prior.kl_by_dimension(nothing, nothing, labels, z)
    plane = torch.stack([z[3, 0].expand(len(wide)), wide], 1)
    integral = model.prior.log_prob(plane, labels[3].expand(len(wide))).detach().exp().sum() * (wide[1] - wide[0])
    assert float(log_marginal[3, 0].detach().exp()) == pytest.approx(float(integral), rel=1e-6)


@priors
def test_copies_have_a_prior_of_their_own(prior: PriorName) -> None:
    """As pickles, as deep copies, and as weights that are saved: nothing is held twice, nothing is shared."""
    model, z, labels = build(prior, 2), normal(9, 2), torch.arange(9) % CONDITIONS
    expected = model.prior.log_prob(z, labels).detach().clone()
    empty = CVAE(MIXED, CONDITIONS, model.config).double().eval()
    empty.load_state_dict(model.state_dict())
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), empty]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    for other in others:
        torch.testing.assert_close(other.prior.log_prob(z, labels).detach(), expected)


@pytest.mark.parametrize("prior", MIXTURES)
def test_classes_part_in_a_mixture_by_weights_alone(prior: PriorName) -> None:
    """Neither encoder nor decoder is conditional: the weights of a class separate its rows."""
    model = build(prior, 2, conditional=False)
    assert model.network_conditions == 1
    with torch.no_grad():
        model.prior.logits.copy_(50 * torch.eye(CONDITIONS, 4))  # type: ignore[operator]
    assert isinstance(model.prior, MixturePrior)
    means = model.prior.components(torch.zeros(1, dtype=torch.long))[0][0].detach()
    for label in range(CONDITIONS):
        torch.testing.assert_close(drawn(model.prior, label, 40_000, 2).mean(0), means[label], atol=0.1, rtol=0)


def test_stratified_draws_of_a_mixture_are_draws() -> None:
    model = build("mixture", 2).float()
    generator = torch.Generator().manual_seed(0)
    plain, spread = (model.sample(1, 20_000, generator, stratified=s).digits.double().mean(0) for s in (False, True))
    torch.testing.assert_close(plain, spread, atol=0.02, rtol=0)


def test_a_mixture_is_fitted_to_points() -> None:
    """Two heaps, of which one condition has the first alone, and the other both."""
    labels = torch.arange(4000) % 2
    second = (normal(4000, seed=8) > 0) & (labels == 1)
    points = normal(4000, 2, seed=9) * torch.tensor([0.1, 2.0]) + torch.where(second, 7.0, -3.0)[:, None]
    log_weights, mean, log_variance, _ = fit_mixture(points, labels, (2, 2), torch.Generator().manual_seed(0))
    order = mean[:, 0].argsort()
    torch.testing.assert_close(mean[order], torch.tensor([[-3.0, -3.0], [7.0, 7.0]]).double(), atol=0.2, rtol=0)
    torch.testing.assert_close(log_variance.exp().sqrt()[0], torch.tensor([0.1, 2.0]).double(), atol=0.1, rtol=0)
    shares = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).double()
    torch.testing.assert_close(log_weights[:, order].exp(), shares, atol=0.03, rtol=0)


def test_a_fitted_mixture_is_that_of_sklearn() -> None:
    """Of many points: the same density, whatever covariances; and `log_prob` is that of what `draw` draws."""
    heaps = [
        normal(3000, 3, seed=s) @ (torch.eye(3) + (s + 1) / 3 * torch.ones(3, 3).tril(-1)).double() + 6 * s
        for s in range(2)
    ]
    points, labels = torch.cat(heaps), torch.zeros(6000, dtype=torch.long)
    prior = GaussianMixturePrior(1, 2, 3).double()
    prior.fit(points, labels, torch.Generator().manual_seed(0))
    oracle = GaussianMixture(2, random_state=0).fit(points)
    own, other = prior.log_prob(points, labels).detach(), torch.tensor(oracle.score_samples(points))
    torch.testing.assert_close(own, other, atol=0.1, rtol=0)
    uniform = torch.rand(6000, 1, generator=torch.Generator().manual_seed(4)).double()
    drawn = prior.draw(normal(6000, 3, seed=3), labels, uniform).detach()
    torch.testing.assert_close(drawn.T.cov(), points.T.cov(), atol=0.3, rtol=0)
    spreads = prior.components(labels)[1].exp()[0].sort(0).values.detach()
    torch.testing.assert_close(spreads, torch.stack([heap.var(0) for heap in heaps]).sort(0).values, atol=0.05, rtol=0)


@pytest.mark.parametrize("points", [torch.zeros(5, 2), torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0], [1e6]])])
def test_a_mixture_of_few_points_is_a_density(points: Tensor) -> None:
    labels = torch.zeros(len(points), dtype=torch.long)
    parts = fit_mixture(points, labels, (3, 4), torch.Generator().manual_seed(0))
    assert all(part.isfinite().all() for part in parts)
    torch.testing.assert_close(parts[0].exp().sum(1), torch.ones(3).double())


def test_a_point_with_a_prior_is_refused() -> None:
    with pytest.raises(ValueError, match='must be "standard_normal" or "mixture"'):
        ModelConfig(posterior="point", prior="vamp")
