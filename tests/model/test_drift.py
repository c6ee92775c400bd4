"""Laws of the aggregate posterior: what all codes together are, what is drift, and what is information."""

from __future__ import annotations

import math

import pytest
import torch
from oracles import some_rows
from torch import Tensor
from torch.distributions import Normal

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.config import PriorName
from synthvae.model.priors import NormalPrior, log_aggregate

MIXED = Slots((2, 3), (Value(0), Value(2, 1, 2)))
CONDITIONS = 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> float:
    """The log density of one z (L,), dimension by dimension."""
    out = 0.0
    for x, m, v in zip(z.tolist(), mean.tolist(), log_variance.tolist(), strict=True):
        out -= 0.5 * ((x - m) ** 2 / math.exp(v) + v + math.log(2 * math.pi))
    return out


def plain_aggregate(z: Tensor, mean: Tensor, log_variance: Tensor, labels: Tensor) -> Tensor:
    """The mixture of the posteriors of each row's class, row by row."""
    found = []
    for i, label in enumerate(labels.tolist()):
        same = [j for j, other in enumerate(labels.tolist()) if other == label]
        densities = [math.exp(log_normal(z[i], mean[j], log_variance[j])) for j in same]
        found.append(math.log(sum(densities) / len(same)))
    return torch.tensor(found, dtype=torch.float64)


def posteriors(rows: int, latent: int = 2, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draws z, means, log variances and labels."""
    mean, log_variance = spread * normal(rows, latent, seed=1), normal(rows, latent, seed=2) - 1
    labels = torch.arange(rows) % CONDITIONS
    return mean + normal(rows, latent, seed=3) * (0.5 * log_variance).exp(), mean, log_variance, labels


@pytest.mark.parametrize(("rows", "latent"), [(1, 1), (2, 3), (17, 2), (40, 5)])
def test_the_aggregate_is_that_of_a_plain_loop(rows: int, latent: int) -> None:
    given = posteriors(rows, latent)
    torch.testing.assert_close(log_aggregate(*given), plain_aggregate(*given))


@pytest.mark.parametrize("spread", [0.0, 1.0, 50.0])
def test_information_is_at_most_the_log_of_the_rows_of_a_class(spread: float) -> None:
    """Draw by draw, since a row's own posterior is a part of the aggregate; codes far apart reach it."""
    z, mean, log_variance, labels = posteriors(60, 3, spread)
    own: Tensor = Normal(mean, (0.5 * log_variance).exp()).log_prob(z).sum(1)  # type: ignore[no-untyped-call]
    information = own - log_aggregate(z, mean, log_variance, labels)
    assert float(information.max()) <= math.log(20) + 1e-9
    assert spread < 50 or float(information.min()) > math.log(20) - 1e-3


def test_single_precision_does_not_overstate_information() -> None:
    """Even of the narrowest posteriors that an encoder states."""
    z, mean, _, labels = posteriors(60, 8, 2.0)
    narrow = torch.full_like(mean, -12.0)
    z = mean + normal(60, 8, seed=3) * (0.5 * narrow).exp()
    exact = log_aggregate(z, mean, narrow, labels)
    single = log_aggregate(z.float(), mean.float(), narrow.float(), labels)
    torch.testing.assert_close(single.double(), exact, atol=0.05, rtol=0)


def test_equal_posteriors_are_their_own_aggregate() -> None:
    mean, log_variance, labels = torch.full((9, 2), 0.4).double(), torch.zeros(9, 2).double(), torch.zeros(9).long()
    z = normal(9, 2)
    expected = torch.tensor([log_normal(row, mean[0], log_variance[0]) for row in z], dtype=torch.float64)
    torch.testing.assert_close(log_aggregate(z, mean, log_variance, labels), expected)


def test_classes_are_no_part_of_each_other() -> None:
    z, mean, log_variance, labels = posteriors(30)
    moved = torch.where((labels == 2)[:, None], mean + 5, mean)
    before, after = (log_aggregate(z, m, log_variance, labels) for m in (mean, moved))
    assert torch.equal(before[labels != 2], after[labels != 2])
    assert (before[labels == 2] != after[labels == 2]).all()


def build(prior: PriorName) -> tuple[CVAE, Rows, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = CVAE(MIXED, CONDITIONS, ModelConfig(prior=prior, latent_dim=2, width=6, hidden=4, value_hidden=4))
    return model.double(), some_rows(MIXED, 12), torch.arange(12) % CONDITIONS


@pytest.mark.parametrize("prior", ["standard_normal", "class_normal"])
@torch.no_grad()
def test_drift_and_information_are_the_divergence_on_average(prior: PriorName) -> None:
    model, rows, labels = build(prior)
    mean, log_variance = model.encoder(rows, model.network_labels(labels))
    totals = []
    for seed in range(400):
        noise = normal(12, 2, seed=seed)
        z = mean + noise * (0.5 * log_variance).exp()
        own = torch.tensor([log_normal(*row) for row in zip(z, mean, log_variance, strict=True)]).double()
        information = own - plain_aggregate(z, mean, log_variance, labels)
        terms = model.elbo(rows, labels, noise)
        totals.append(model.drift(terms, labels) + information)
    found = torch.stack(totals)
    error = 4.5 * found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - terms.kl.sum(1)).abs() < error + 1e-9).all()


def test_there_is_no_drift_where_all_codes_are_the_prior() -> None:
    prior, labels = NormalPrior(CONDITIONS, 2, learned=True).double(), torch.arange(6) % CONDITIONS
    mean, log_variance = prior.mean[labels], prior.log_variance[labels]
    z = prior.draw(normal(6, 2), labels)
    drift = log_aggregate(z, mean, log_variance, labels) - prior.log_prob(z, labels)
    assert float(drift.detach().abs().max()) < 1e-12


def test_the_aggregate_has_the_gradient_of_finite_differences() -> None:
    z, mean, log_variance, labels = posteriors(7)
    inputs = [tensor.requires_grad_() for tensor in (z, mean, log_variance)]
    assert torch.autograd.gradcheck(lambda z, mean, log_variance: log_aggregate(z, mean, log_variance, labels), inputs)
