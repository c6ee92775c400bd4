"""Encoder and decoders of pixels, which are independent given z and y: Bernoulli or normal, dense or convolutional.

Source: Kingma and Welling 2014, Auto-Encoding Variational Bayes, appendix C, https://arxiv.org/abs/1312.6114.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from synthvae.codes import Slots
from synthvae.model.decoders import Frequencies, Marginals
from synthvae.model.draws import standard_normal
from synthvae.model.dropout import Dropout
from synthvae.model.rows import Rows

LOG_VARIANCES = (-9.0, 6.0)  # limits, relative to a variance of 1: that of a constant would tend to minus infinity
PACE = 10.0  # a parameter moves by a few units in a whole training, a log variance by up to nine
CHANNELS = 8  # units of width for each channel of the first convolution


class PixelNetwork(NamedTuple):
    """The architecture of encoder and decoder.

    Args:
        latent_dim: L.
        width: W, units of the layers next to z; the layers between them and the pixels have twice as many.
        dropout: Probability with which a hidden unit is dropped in training.
        image: Height and width (h, w) of images in row-major order, which have convolutions; None: no images.
        linear: Whether all maps are linear: with a normal likelihood, this is factor analysis.
    """

    latent_dim: int
    width: int
    dropout: float = 0.0
    image: tuple[int, int] | None = None
    linear: bool = False


class PixelEncoder(nn.Module):
    """The mean and log-variance of a diagonal normal, from pixels and condition.

    A linear map from the pixels bypasses the layers: rows with similar pixels have similar latents, even after training
    on few rows.

    Args:
        slots: Its V values; there are no digits.
        conditions: The number of conditions; 1: unconditional, as `transform` without labels needs.
        network: Its architecture.
    """

    def __init__(self, slots: Slots, conditions: int, network: PixelNetwork) -> None:
        super().__init__()
        width = network.width
        self.reader = None if network.linear else _reader(len(slots.values), network)
        self.straight = nn.Linear(len(slots.values), width, bias=False)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, width), freeze=False)
        self.block = None if network.linear else _block(network)
        self.head = nn.Linear(width, 2 * network.latent_dim)

    def forward(self, rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (B, L), for `rows` (B) and `labels` (B,); missing pixels are zero."""
        labels = labels if self.condition.num_embeddings > 1 else torch.zeros_like(labels)
        values = rows.values.masked_fill(rows.values.isnan(), 0.0)
        hidden = self.straight(values) + self.condition(labels)
        if self.reader is not None and self.block is not None:
            hidden = hidden + self.reader(values)
            hidden = hidden + self.block(hidden)
        mean, log_variance = self.head(hidden).to(hidden).chunk(2, dim=1)  # autocast computes it in a lower precision
        return mean, log_variance.clamp(-12.0, 6.0)


class PixelDecoder(nn.Module):
    """p(x | z, y) = product over pixels of p(x_v | z, y), the base class of the two likelihoods.

    A linear map to the pixels bypasses the layers, as in principal component analysis.

    Args:
        slots: Its V values, each with its scale; there are no digits.
        conditions: C.
        network: Its architecture.
    """

    scale: Tensor

    def __init__(self, slots: Slots, conditions: int, network: PixelNetwork) -> None:
        super().__init__()
        self.slots = slots
        self.start = nn.Linear(network.latent_dim, network.width)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, network.width), freeze=False)
        self.block = None if network.linear else _block(network)
        self.writer = None if network.linear else _writer(len(slots.values), network)
        self.straight = nn.Linear(network.width, len(slots.values), bias=False)
        self.bias = nn.Parameter(torch.zeros(len(slots.values)))
        self.register_buffer(
            "scale", torch.tensor([value.scale for value in slots.values], dtype=torch.float32), persistent=False
        )

    def outputs(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return the logit or the mean (B, V) of each pixel."""
        labels = labels if self.condition.num_embeddings > 1 else torch.zeros_like(labels)
        hidden = self.start(z) + self.condition(labels)
        if self.block is None or self.writer is None:
            return torch.as_tensor(self.straight(hidden) + self.bias)
        hidden = hidden + self.block(hidden)
        return torch.as_tensor(self.writer(hidden) + self.straight(hidden) + self.bias)

    def start_from(self, frequencies: Frequencies) -> None:
        """Do nothing: there are no digits whose frequencies it could start from."""

    def match(self, z: Tensor, label: int, generator: torch.Generator, marginals: Marginals) -> None:
        """Do nothing: there are no digits whose marginals could be matched."""

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p (V, B) of each pixel of `rows`, in nats, on the scale of the table."""
        raise NotImplementedError

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return E[x | z, y] (B, V)."""
        raise NotImplementedError

    @torch.no_grad()
    def sample(
        self, z: Tensor, label: int, generator: torch.Generator, *, stratified: bool = False, temperature: float = 1.0
    ) -> Rows:
        """Draw rows for latents (B, L), all of one condition."""
        del stratified  # z is stratified; the noise of each pixel is independent
        means = self.mean(z, torch.full((len(z),), label, device=z.device))
        pixels = self.draw_pixels(means, generator, temperature)
        return Rows(torch.empty(len(z), 0, dtype=torch.long, device=z.device), pixels)

    def draw_pixels(self, means: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Draw pixels (B, V) with these means; at temperature 0 they are the means."""
        raise NotImplementedError


class BernoulliDecoder(PixelDecoder):
    """log p(x | z, y) = sum over pixels of x log s + (1 - x) log(1 - s), x in [0, 1].

    For grey pixels this is the expected log probability of black or white ones, not a density; their draw is the grey s
    itself. `draw_pixels` therefore returns s, from which callers with black or white pixels draw Bernoulli variables.
    """

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return x log s + (1 - x) log(1 - s) (V, B), in nats."""
        return -binary_cross_entropy_with_logits(self.outputs(z, labels), rows.values, reduction="none").T

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return s (B, V)."""
        return torch.sigmoid(self.outputs(z, labels))

    def draw_pixels(self, means: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Return the means."""
        del generator, temperature
        return means


class GaussianDecoder(PixelDecoder):
    """x_v ~ N(mean(z, y), variance), with one learned variance for each column, or a fixed one for all.

    Args:
        slots: Its V values; the numbers of a row are divided by their `scale`.
        conditions: C.
        network: Its architecture.
        variance: The fixed variance of every number on the scale of the table, as in least squares; None: learned.
    """

    fixed: Tensor

    def __init__(self, slots: Slots, conditions: int, network: PixelNetwork, variance: float | None) -> None:
        super().__init__(slots, conditions, network)
        if variance is None:
            self.spread: Tensor = nn.Parameter(torch.zeros(len(slots.values)))
        else:
            self.register_buffer("spread", math.log(variance) - 2 * self.scale.log(), persistent=False)
        self.learned = variance is None
        # Layers that can memorise rows would lower the variance too early.
        self.pace = PACE if network.linear else 1.0

    @property
    def log_variance(self) -> Tensor:
        """The log variances (V,) of numbers divided by their scale."""
        return (self.pace * self.spread).clamp(*LOG_VARIANCES) if self.learned else self.spread

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return the log density (V, B) in nats, on the scale of the table."""
        squares = (rows.values - self.outputs(z, labels)).square() * (-self.log_variance).exp()
        return (-0.5 * (squares + self.log_variance + math.log(2 * math.pi)) - self.scale.log()).T

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return the means (B, V)."""
        return self.outputs(z, labels)

    def draw_pixels(self, means: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Add noise of the variances, `temperature` times its standard deviation."""
        normal = standard_normal(*means.shape, generator=generator)
        return means + temperature * normal * (0.5 * self.log_variance).exp()


def _block(network: PixelNetwork) -> nn.Module:
    width = network.width
    return nn.Sequential(nn.ReLU(), Dropout(network.dropout), nn.Linear(width, width), nn.ReLU())


def _reader(pixels: int, network: PixelNetwork) -> nn.Module:
    """Return layers from pixels (B, V) to (B, W)."""
    width = network.width
    if network.image is None:
        return nn.Sequential(nn.Linear(pixels, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
    channels, (height, breadth) = _channels(width), _quarter(network.image)
    return nn.Sequential(
        nn.Unflatten(1, (1, *network.image)),
        nn.Conv2d(1, channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * height * breadth, width),
    )


def _writer(pixels: int, network: PixelNetwork) -> nn.Module:
    """Return layers from (B, W) to pixels (B, V)."""
    width = network.width
    if network.image is None:
        return nn.Sequential(nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, pixels))
    channels, (height, breadth) = _channels(width), _quarter(network.image)
    return nn.Sequential(
        nn.ReLU(),
        nn.Linear(width, 2 * channels * height * breadth),
        nn.ReLU(),
        nn.Unflatten(1, (2 * channels, height, breadth)),
        nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),
        _Crop(*network.image),
    )


def _channels(width: int) -> int:
    return max(width // CHANNELS, 1)


def _quarter(image: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of an image after two convolutions of stride 2."""
    return -(-image[0] // 4), -(-image[1] // 4)


class _Crop(nn.Module):
    """Crops images (B, 1, ...) to their first rows and columns, and flattens them to (B, h w)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, : self.height, : self.width].flatten(1)
