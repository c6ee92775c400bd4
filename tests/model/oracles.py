"""Small decoders, and plain loops that say what they must compute."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder

Decoder = AutoregressiveDecoder | FactorizedDecoder
Array = npt.NDArray[np.float64]
LATENT, CONDITIONS, WIDTH, PRODUCTS = 2, 3, 7, 3
DIGITS = Slots((2, 4, 1, 3))
MIXED = Slots((2, 4, 1, 3), (Value(0), Value(2, 1, 3), Value(2), Value(4, 3, 0)), (None, 0, 1, None))
KNOTS = [float(np.float32(NormalDist().inv_cdf(k / 10))) for k in range(1, 10)]
COMPONENTS = 10


def build(name: str, slots: Slots = DIGITS, hidden: int = 5, spread: float = 0.7) -> Decoder:
    """A decoder with every parameter away from where it starts."""
    with torch.random.fork_rng():
        torch.manual_seed(len(slots.sizes) + hidden)
        decoder: Decoder
        if name != "factorized":
            pair, products = (hidden, hidden + 1 if hidden else 0), PRODUCTS if name == "products" else 0
            decoder = AutoregressiveDecoder(slots, CONDITIONS, LATENT, WIDTH, pair, 0.0, products=products)
        else:
            decoder = FactorizedDecoder(slots, CONDITIONS, LATENT, WIDTH, 0.0)
        with torch.no_grad():
            for parameter in decoder.parameters():
                parameter.add_(spread * torch.randn_like(parameter))
    return decoder.eval()


def only_digits(digits: Tensor) -> Rows:
    """Rows without values."""
    return Rows(digits, torch.empty(len(digits), 0, dtype=torch.float64))


def combinations(sizes: tuple[int, ...]) -> Tensor:
    """Every row of digits."""
    return torch.tensor(list(itertools.product(*map(range, sizes))), dtype=torch.int8)


def on_grid(slots: Slots, grid: Tensor) -> Rows:
    """Every row of digits, with each number of the grid where there is a value, and once with NaN where there is none.

    `slots` has one value.
    """
    (value,) = slots.values
    digits = combinations(slots.sizes)
    absent = torch.zeros(len(digits), dtype=torch.bool)
    if value.switch is not None:
        absent = digits[:, value.switch] != value.level
    pairs = [(row, grid[:1] * math.nan if gone else grid) for row, gone in zip(digits, absent, strict=True)]
    return Rows(
        torch.cat([row.expand(len(numbers), -1) for row, numbers in pairs]),
        torch.cat([numbers for _, numbers in pairs])[:, None],
    )


def some_rows(slots: Slots, count: int, seed: int = 0, unknown: float = 0.0) -> Rows:
    """Rows whose values are NaN where their switch says so, and a share of digits and values is unknown."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(0, np.array(slots.sizes, int), (count, len(slots.sizes)))
    values = 1.5 * rng.normal(size=(count, len(slots.values)))
    for v, value in enumerate(slots.values):
        if value.switch is not None:
            values[digits[:, value.switch] != value.level, v] = np.nan
    digits[rng.random(digits.shape) < unknown] = -1
    values[rng.random(values.shape) < unknown] = np.nan
    return Rows(torch.from_numpy(digits.astype(np.int8)), torch.from_numpy(values))


def latents(rows: int, seed: int = 0) -> Tensor:
    """Some z."""
    return torch.randn(rows, LATENT, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(module: torch.nn.Module) -> dict[str, Array]:
    """All parameters, as arrays."""
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def relu(values: Array) -> Array:
    """Positive parts."""
    return np.maximum(values, 0.0)


def log_softmax(logits: Array) -> Array:
    """Log probabilities of one row."""
    return np.asarray(logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()))


def mixture(outputs: Array) -> list[tuple[float, NormalDist]]:
    """The weights and normals that the outputs (3 M,) of a head mean."""
    logits, means, scales = outputs.reshape(3, COMPONENTS)
    normals = [NormalDist(mean, math.exp(min(max(s, -5.0), 2.0))) for mean, s in zip(means, scales, strict=True)]
    return list(zip(np.exp(log_softmax(logits)).tolist(), normals, strict=True))


def log_mixture(outputs: Array, number: float) -> float:
    """The log density of one number; 0 if it is absent."""
    if math.isnan(number):
        return 0.0
    logs = [
        math.log(share) - 0.5 * ((number - n.mean) / n.stdev) ** 2 - math.log(n.stdev) - 0.5 * math.log(2 * math.pi)
        for share, n in mixture(outputs)
    ]
    return max(logs) + math.log(sum(math.exp(log - max(logs)) for log in logs))


def value_vector(weight: Array, number: float) -> Array:
    """The vector of one number: a slope, and a change of it at each knot. Absent: zeros."""
    if math.isnan(number):
        return np.zeros(weight.shape[1])
    return np.asarray(number * weight[0] + sum(max(number - k, 0.0) * weight[i + 1] for i, k in enumerate(KNOTS)))


def _head(w: dict[str, Array], kind: str, i: int, known: Array, label: int) -> Array:
    gate = w[f"{kind}.read.gate"][i, 0] + w[f"{kind}.read.condition_gate"][i, label]
    hidden = relu(gate * known + w[f"{kind}.read.shift"][i, 0])
    direct = w[f"{kind}.linear.bias"][i, label] + hidden @ w[f"{kind}.linear.weight"][i]
    if f"{kind}.inner.weight" not in w:
        return np.asarray(direct)
    inner = relu(hidden @ w[f"{kind}.inner.weight"][i] + w[f"{kind}.inner.bias"][i, 0])
    return np.asarray(direct + inner @ w[f"{kind}.outer.weight"][i])


def _said(w: dict[str, Array], slots: Slots, digits: list[int], j: int) -> Array:
    """What the coarser digit of the same column says on digit j, if there is one and it is known."""
    for i, (fine, coarse) in enumerate(slots.pairs):
        if fine == j and digits[coarse] >= 0:
            return np.asarray(w["tables.weight"][i, digits[coarse]])
    return np.zeros(max(slots.sizes))


def _sum(vectors: list[Array], products: int) -> Array:
    """The sum of vectors, with the products of the factors of each pair of them in its last entries."""
    total = np.asarray(sum(vectors))
    if products:
        first = [vector[-2 * products : -products] for vector in vectors]
        pairs = [left * right for left, right in itertools.combinations(first, 2)]
        total[-products:] += np.sum(pairs, axis=0) if pairs else 0.0
    return total


def nade(decoder: Decoder, digits: list[int], values: list[float], z: Array, label: int) -> list[float]:
    """The recursion by hand: log p of each digit, then each value of one row."""
    w, slots = weights(decoder), decoder.slots
    vectors = [w["start.weight"] @ z + w["start.bias"] + w["condition.weight"][label]]
    products = decoder.products if isinstance(decoder, AutoregressiveDecoder) else 0
    of_digits, of_values = [0.0] * len(slots.sizes), [0.0] * len(slots.values)
    for j in range(len(slots.sizes) + 1):
        for v, value in enumerate(slots.values):
            if value.after == j:
                of_values[v] = log_mixture(_head(w, "values", v, _sum(vectors, products), label), values[v])
                vectors.append(value_vector(w["embedding.values.weight"][v], values[v]))
        if j < len(slots.sizes) and digits[j] >= 0:
            logits = _head(w, "digits", j, _sum(vectors, products), label) + _said(w, slots, digits, j)
            of_digits[j] = log_softmax(logits[: slots.sizes[j]])[digits[j]]
            vectors.append(w["embedding.digits.weight"][sum(slots.sizes[:j]) + digits[j]])
    return of_digits + of_values


def independent(decoder: Decoder, digits: list[int], values: list[float], z: Array, label: int) -> list[float]:
    """The textbook decoder by hand: log p of each digit, then each value of one row."""
    w, out = weights(decoder), []
    hidden = w["start.weight"] @ z + w["start.bias"] + w["condition.weight"][label]
    block = relu(w["block.1.weight"] @ relu(hidden) + w["block.1.bias"])
    hidden = relu(hidden + block)
    for j, size in enumerate(decoder.slots.sizes):
        logits = w["digits.bias"][j, label] + hidden @ w["digits.weight"][j] + _said(w, decoder.slots, digits, j)
        out.append(log_softmax(logits[:size])[digits[j]] if digits[j] >= 0 else 0.0)
    for v, number in enumerate(values):
        out.append(log_mixture(w["values.bias"][v, label] + hidden @ w["values.weight"][v], number))
    return out


ORACLES = {"autoregressive": nade, "products": nade, "factorized": independent}
