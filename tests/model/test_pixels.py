"""Laws of pixels: likelihoods against torch.distributions, gradients against differences, evidence against a grid."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from synthvae.codes import Slots, Value
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.pixels import GaussianDecoder, PixelDecoder
from synthvae.model.priors import NormalPrior

SCALES = (0.5, 2.0, 1.0, 3.0)
SLOTS = Slots((), tuple(Value(0, scale=scale) for scale in SCALES))
CONDITIONS = 3
GRID = torch.linspace(-14, 14, 4001, dtype=torch.float64)[:, None]
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
LIKELIHOODS: dict[str, dict[str, Any]] = {
    "bernoulli": {"likelihood": "bernoulli"},
    "gaussian": {"likelihood": "gaussian"},
    "least squares": {"likelihood": "gaussian", "variance": 0.3},
}
each = pytest.mark.parametrize("name", LIKELIHOODS)
shaped = pytest.mark.parametrize("image", [None, (2, 2), (4, 1)])


def build(name: str, latent: int = 1, image: tuple[int, int] | None = None, prior: str = "class_normal") -> CVAE:
    """A tiny model with every parameter away from where it starts."""
    config = ModelConfig(prior=prior, latent_dim=latent, width=6, image_shape=image, **LIKELIHOODS[name])
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = CVAE(SLOTS, CONDITIONS, config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().eval()


def decoder_of(model: CVAE) -> PixelDecoder:
    assert isinstance(model.decoder, PixelDecoder)
    return model.decoder


def some(rows: int = 7, *, binary: bool = False) -> tuple[Rows, Tensor]:
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(rows, len(SCALES), generator=generator, dtype=torch.float64)
    labels = torch.randint(CONDITIONS, (rows,), generator=generator)
    return as_rows(values.round() if binary else values), labels


def as_rows(values: Tensor) -> Rows:
    return Rows(torch.empty(len(values), 0, dtype=torch.long), values)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@shaped
def test_bernoulli_is_that_of_torch(image: tuple[int, int] | None) -> None:
    decoder, (rows, labels), z = decoder_of(build("bernoulli", 2, image)), some(), normal(7, 2)
    shares, x = decoder.mean(z, labels), rows.values
    ours = decoder.log_prob(rows, z, labels)
    torch.testing.assert_close(ours.T, x * shares.log() + (1 - x) * (1 - shares).log())
    theirs = Bernoulli(shares, validate_args=False)  # which takes black and white only
    torch.testing.assert_close(ours.T, theirs.log_prob(x))  # type: ignore[no-untyped-call]


def test_probabilities_of_all_black_and_white_images_sum_to_one() -> None:
    decoder = decoder_of(build("bernoulli"))
    images = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(SCALES))), dtype=torch.float64)
    labels = torch.full((len(images),), 1)
    total = decoder.log_prob(as_rows(images), normal(1, 1).expand(len(images), -1), labels).sum(0).exp().sum()
    assert float(total.detach()) == pytest.approx(1.0)


@shaped
@pytest.mark.parametrize("name", ["gaussian", "least squares"])
def test_gaussian_is_that_of_torch_on_the_numbers_as_they_were(name: str, image: tuple[int, int] | None) -> None:
    decoder, (rows, labels), z = decoder_of(build(name, 2, image)), some(), normal(7, 2)
    assert isinstance(decoder, GaussianDecoder)
    scales = torch.tensor(SCALES, dtype=torch.float64)
    deviations = (0.5 * decoder.log_variance).exp() * scales
    theirs = Normal(decoder.mean(z, labels) * scales, deviations).log_prob(rows.values * scales)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(decoder.log_prob(rows, z, labels).T, theirs, rtol=1e-6, atol=1e-6)
    if name == "least squares":
        torch.testing.assert_close(deviations.square(), torch.full_like(scales, 0.3), rtol=1e-6, atol=1e-6)


def test_with_a_fixed_variance_the_best_mean_has_the_least_squared_error() -> None:
    decoder, (rows, labels), z = decoder_of(build("least squares")), some(), normal(7, 1)
    scales = torch.tensor(SCALES, dtype=torch.float64)
    errors = ((rows.values - decoder.mean(z, labels)) * scales).square()
    constant = -0.5 * math.log(2 * math.pi * 0.3)
    torch.testing.assert_close(decoder.log_prob(rows, z, labels).T, constant - errors / 0.6, rtol=1e-6, atol=1e-6)


@each
def test_draws_have_the_mean_and_the_spread_of_the_density(name: str) -> None:
    decoder = decoder_of(build(name)).float()
    z = torch.full((20_000, 1), 0.7)
    drawn = decoder.sample(z, 2, torch.Generator().manual_seed(0)).values
    means = decoder.mean(z[:1], torch.tensor([2]))[0].detach()
    torch.testing.assert_close(drawn.mean(0), means, rtol=0, atol=0.06)
    if isinstance(decoder, GaussianDecoder):
        torch.testing.assert_close(drawn.std(0), (0.5 * decoder.log_variance).exp().detach(), rtol=0.03, atol=0)
    else:
        assert torch.allclose(drawn, means)


@shaped
@each
def test_every_parameter_gets_a_gradient(name: str, image: tuple[int, int] | None) -> None:
    model, (rows, labels) = build(name, 2, image), some(60)
    terms = model.elbo(rows, labels, normal(60, 2))
    (terms.reconstruction - terms.kl.sum(1)).sum().backward()  # type: ignore[no-untyped-call]
    silent = [n for n, p in model.named_parameters() if p.numel() and (p.grad is None or not p.grad.abs().sum() > 0)]
    assert silent == []


@each
def test_the_reparameterised_gradient_is_that_of_differences(name: str) -> None:
    model, (rows, labels), noise = build(name, 2), some(), normal(7, 2)

    def bound() -> Tensor:
        terms = model.elbo(rows, labels, noise)
        return (terms.reconstruction - terms.kl.sum(1)).mean()

    bound().backward()  # type: ignore[no-untyped-call]
    parameters = dict(model.named_parameters())
    for parameter in (parameters["encoder.head.weight"], parameters["prior.mean"], decoder_of(model).start.weight):
        assert parameter.grad is not None
        step = normal(*parameter.shape, seed=5)
        with torch.no_grad():
            ahead = _moved(parameter, 1e-5 * step, bound)
            behind = _moved(parameter, -1e-5 * step, bound)
        assert float((parameter.grad * step).sum()) == pytest.approx(float(ahead - behind) / 2e-5, rel=1e-4, abs=1e-7)


def _moved(parameter: Tensor, step: Tensor, function: Any) -> Tensor:
    parameter += step
    value = function()
    parameter -= step
    return torch.as_tensor(value)


@each
def test_the_mean_of_reparameterised_gradients_is_that_of_the_score_function(name: str) -> None:
    """d/dm E_q[f(z)] by draws through z, and by draws of f(z) d log q / dm: two estimates of one number."""
    model, (rows, labels) = build(name), some(1)
    mean, log_variance = (t.detach() for t in model.encoder(rows, labels))
    z = mean + normal(40_000, 1) * (0.5 * log_variance).exp()
    copies, many = rows.take(torch.zeros(len(z), dtype=torch.long)), labels.expand(len(z))
    free = z.clone().requires_grad_()
    log_p = model.decoder.log_prob(copies, free, many).sum(0)
    (through,) = torch.autograd.grad(log_p.sum(), free)
    centred = log_p.detach() - log_p.detach().mean()
    score = (centred[:, None] * (z - mean) / log_variance.exp()).flatten()
    error = (through.flatten().var() / len(z) + score.var() / len(z)).sqrt()
    assert abs(float(through.mean() - score.mean())) < 4.5 * float(error)


@torch.no_grad()
def exact(model: CVAE, rows: Rows) -> Tensor:
    """log p(x) (B,), the class marginalised: the integral over z on a grid."""
    out = []
    for i in range(len(rows.values)):
        row, terms = rows.take(torch.full((len(GRID),), i)), []
        for label, share in enumerate(SHARES):
            y = torch.full((len(GRID),), label)
            terms.append(share.log() + model.decoder.log_prob(row, GRID, y).sum(0) + model.prior.log_prob(GRID, y))
        out.append(torch.stack(terms).logsumexp(0).logsumexp(0) + math.log(float(GRID[1] - GRID[0])))
    return torch.stack(out)


class Posterior(torch.nn.Module):
    """The posterior of z that a model should have, as a normal: no encoder can be nearer in mean and variance."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        super().__init__()
        self.mean, self.log_variance = mean, log_variance

    def forward(self, rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        del rows, labels
        return self.mean, self.log_variance


@each
def test_evidence_is_bounded_with_the_class_marginalised(name: str) -> None:
    model, (rows, _) = build(name), some()
    noise = normal(150, 1)
    bound = model.log_evidence(rows, SHARES.log(), torch.cat([noise, -noise]))
    assert bool((bound <= exact(model, rows) + 1e-6).all())


@each
def test_each_draw_weighs_as_importance_sampling_has_it(name: str) -> None:
    """The mean of exp(log p(x, z) - log q(z | x)) is p(x) itself, whatever q is."""
    model, (rows, _) = build(name), some(2)
    evidence = exact(model, rows)
    model.encoder = Posterior(torch.zeros(2, 1, dtype=torch.float64), torch.full((2, 1), 2.0, dtype=torch.float64))  # type: ignore[assignment]
    draws = torch.stack([model.log_evidence(rows, SHARES.log(), row[None]) for row in normal(300, 1)])
    torch.testing.assert_close(draws.logsumexp(0) - math.log(300), evidence, rtol=0, atol=0.3)


@each
def test_only_the_prior_is_told_the_class(name: str) -> None:
    model, (rows, labels), noise = build(name), some(), normal(7, 1)
    same, other = model.elbo(rows, labels, noise), model.elbo(rows, (labels + 1) % CONDITIONS, noise)
    assert torch.equal(same.z, other.z)
    assert torch.equal(same.reconstruction, other.reconstruction)
    assert torch.equal(model.posterior_mean(rows, labels), model.posterior_mean(rows, labels * 0))


@each
def test_without_a_learned_prior_both_are_told(name: str) -> None:
    model, (rows, labels) = build(name, prior="standard_normal"), some()
    assert not torch.allclose(model.posterior_mean(rows, labels), model.posterior_mean(rows, (labels + 1) % CONDITIONS))


@each
def test_the_matched_prior_is_the_aggregate_of_the_codes(name: str) -> None:
    model, (rows, labels) = build(name, 2), some(40)
    model.match_prior(rows, labels, torch.Generator().manual_seed(0))
    mean, log_variance = model.encoder(rows, labels)
    assert isinstance(model.prior, NormalPrior)
    for label in set(labels.tolist()):
        here = labels == label
        spread = log_variance[here].exp().mean(0) + mean[here].var(0, correction=0)
        doubt = 4 * (spread / (4 * here.sum())).sqrt()  # four draws of each code
        assert ((model.prior.mean[label] - mean[here].mean(0)).abs() <= doubt).all()


@pytest.mark.parametrize("image", [(8, 8), (28, 28), (5, 7), (1, 3), (6, 1)])
def test_images_of_any_shape(image: tuple[int, int]) -> None:
    slots = Slots((), (Value(0),) * math.prod(image))
    model = CVAE(slots, 2, ModelConfig(likelihood="bernoulli", latent_dim=3, width=8, image_shape=image))
    drawn = model.sample(1, 4, torch.Generator().manual_seed(0))
    assert drawn.values.shape == (4, math.prod(image))
    assert model.elbo(drawn, torch.ones(4, dtype=torch.long), torch.zeros(4, 3)).reconstruction.isfinite().all()


def test_convolutions_see_neighbours() -> None:
    """A pixel moves the first layer's outputs beside it, and no others."""
    model = CVAE(Slots((), (Value(0),) * 64), 1, ModelConfig(likelihood="bernoulli", width=8, image_shape=(8, 8)))
    assert not isinstance(model.encoder.reader, torch.Tensor)
    first = model.encoder.reader[:2]  # type: ignore[index]
    image = torch.zeros(1, 64)
    there = torch.nn.functional.one_hot(torch.tensor([63]), 64).float()
    moved = (first(image + there) - first(image)).abs().sum(1)[0] > 0
    assert moved.nonzero().tolist() == [[3, 3]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variance": 1.0}, "`variance` must be None unless .* got likelihood='auto'"),
        ({"variance": 1.0, "likelihood": "bernoulli"}, "`variance` must be None unless"),
        ({"variance": 0.0, "likelihood": "gaussian"}, "greater than 0"),
        ({"image_shape": (2, 2)}, "`image_shape` must be None without pixels, got likelihood='auto'"),
        ({"image_shape": (2, 0), "likelihood": "gaussian"}, "greater than 0"),
        ({"likelihood": "poisson"}, "'auto', 'bernoulli' or 'gaussian'"),
    ],
)
def test_contradictions_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**given)


def test_pixels_have_one_decoder_whatever_is_asked_for() -> None:
    assert ModelConfig(likelihood="bernoulli", decoder="autoregressive").decoder == "factorized"
    assert ModelConfig().decoder == "autoregressive"
