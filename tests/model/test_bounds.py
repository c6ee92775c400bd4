"""Laws of bounds on log p(x), on a linear Gaussian model, whose log p(x) is known in closed form."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.bounds import importance_bound

VALUES, LATENT, COUNT = 4, 2, 60
NOISE = 0.7  # standard deviation of x given z


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOADINGS, SHIFT = normal(VALUES, LATENT, seed=1), normal(VALUES, seed=2)


class LinearDecoder(nn.Module):
    """p(x | z) = N(x; W z + b, s^2): factor analysis with one variance."""

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        del labels
        deviation = (rows.values - z @ LOADINGS.T - SHIFT) / NOISE
        return (-0.5 * (deviation.square() + math.log(2 * math.pi)) - math.log(NOISE)).T


class LinearEncoder(nn.Module):
    """The best diagonal posterior, or one that lies somewhat beside it."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        del labels
        precision = torch.eye(LATENT).double() + LOADINGS.T @ LOADINGS / NOISE**2
        mean = (rows.values - SHIFT) @ LOADINGS @ torch.linalg.inv(precision) / NOISE**2
        return mean + self.offset, (-precision.diag().log()).expand_as(mean)


class Linear(NamedTuple):
    model: CVAE
    rows: Rows
    labels: Tensor

    @property
    def log_evidence(self) -> Tensor:
        covariance = LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(VALUES).double()
        known: Any = MultivariateNormal(SHIFT, covariance)  # torch's distributions are half typed
        return torch.as_tensor(known.log_prob(self.rows.values))


def linear(offset: float = 0.0) -> Linear:
    model = CVAE(Slots((), (Value(0),) * VALUES), 1, ModelConfig(latent_dim=LATENT, width=4)).double().eval()
    model.encoder = LinearEncoder(offset)  # type: ignore[assignment]
    model.decoder = LinearDecoder()  # type: ignore[assignment]
    values = normal(COUNT, LATENT, seed=3) @ LOADINGS.T + SHIFT + NOISE * normal(COUNT, VALUES, seed=4)
    return Linear(model, Rows(torch.empty(COUNT, 0, dtype=torch.int8), values), torch.zeros(COUNT, dtype=torch.long))


@pytest.mark.slow
def test_one_draw_is_the_elbo() -> None:
    """Its KL drawn, not in closed form: on average the same, and exactly what one log weight is."""
    case = linear(0.2)
    noise = normal(4000, LATENT)
    elbo = case.model.log_likelihood(*case[1:], noise)
    drawn = case.model.importance_bound(*case[1:], noise, 1)
    torch.testing.assert_close(drawn, elbo, atol=0.1, rtol=0)
    torch.testing.assert_close(case.model.log_evidence(case.rows, torch.zeros(1).double(), noise), drawn)


@pytest.mark.slow
def test_bounds_grow_with_draws_to_the_evidence() -> None:
    """ELBO <= IW(2) <= IW(10) <= IW(100) <= log p(x) on average over draws, and IW(4000) is log p(x)."""
    case = linear(0.3)
    noise = normal(4000, LATENT)
    bounds = [case.model.importance_bound(*case[1:], noise, k) for k in (1, 2, 10, 100, 4000)]
    truth = case.log_evidence
    for looser, tighter in itertools.pairwise(bounds):
        assert float(tighter.mean() - looser.mean()) > 0
    assert (bounds[2] < truth + 0.02).all()
    torch.testing.assert_close(bounds[-1], truth, atol=0.05, rtol=0)


def test_the_elbo_of_the_best_posterior_lacks_its_divergence_from_the_true_one() -> None:
    """log p - ELBO = KL(q || p(z | x)), here the share of the true precision that is off the diagonal."""
    case = linear()
    precision = torch.eye(LATENT).double() + LOADINGS.T @ LOADINGS / NOISE**2
    lacking = 0.5 * float(precision.diag().log().sum() - torch.logdet(precision))
    elbo = case.model.importance_bound(*case[1:], normal(5000, LATENT), 1)
    assert float((case.log_evidence - elbo).mean()) == pytest.approx(lacking, abs=0.04)


@pytest.mark.slow
def test_the_naive_estimate_comes_to_the_evidence_with_many_draws() -> None:
    case = linear()
    noise = (normal(12_000, LATENT), torch.empty(12_000, 0))
    labels = case.labels.expand(12_000, -1)
    few, many = (case.model.naive_estimate(case.rows, labels, noise, k) for k in (20, 12_000))
    assert float(few.mean()) < float(many.mean())
    torch.testing.assert_close(many.mean(), case.log_evidence.mean(), atol=0.1, rtol=0)


def test_the_posterior_needs_fewer_draws_than_the_prior() -> None:
    case, noise = linear(0.1), normal(200, LATENT)
    naive = case.model.naive_estimate(case.rows, case.labels.expand(200, -1), (noise, torch.empty(200, 0)), 50)
    assert float(case.model.importance_bound(*case[1:], noise, 50).mean()) > float(naive.mean())


@pytest.mark.parametrize(("k", "groups"), [(1, 12), (3, 4), (12, 1)])
def test_the_bound_is_that_of_groups(k: int, groups: int) -> None:
    weights = normal(12, 5) * 40
    expected = (weights.view(groups, k, 5).logsumexp(1) - math.log(k)).mean(0)
    torch.testing.assert_close(importance_bound(iter(weights), k), expected)
