"""The likelihood p(x | z, y) of digits and values: autoregressive or factorized."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from synthvae.codes import Slots, Value
from synthvae.model.calibration import Calibration, Outputs, log_likelihood
from synthvae.model.draws import Uniforms, draw, match_marginal, padding, standard_normal, tempered
from synthvae.model.dropout import Dropout
from synthvae.model.embeddings import FineTables, RunningSum, SlotEmbedding, SlotOrder, running_sums, with_products
from synthvae.model.fused import AllHeads, Batch, Packed
from synthvae.model.heads import Heads
from synthvae.model.layers import SlotLinear, is_observed
from synthvae.model.restrictions import Guard, NormalDraws, RowRules
from synthvae.model.rows import Rows
from synthvae.model.values import COMPONENTS, PARAMETERS, initial_bias, mean_shift


class Frequencies(NamedTuple):
    """Frequencies and moments of the training rows, from which the biases of a decoder start.

    Args:
        logs: Log frequencies (J, C, K) of levels within conditions.
        ratios: For each pair of a fine and a coarse digit, log p(fine | coarse) - log p(fine), (F, K, K).
        moments: Means and standard deviations (V, C) of values within conditions; None: those of a standard normal.
    """

    logs: Tensor
    ratios: Tensor
    moments: tuple[Tensor, Tensor] | None = None


class Marginals(NamedTuple):
    """The marginals of one condition to which a decoder is matched.

    Args:
        frequencies: Frequencies (J, K) of the levels.
        trust: How far to move towards them, 0 to 1.
        means: Means (V,) of the values; None: values are not matched.
        reach: How far the mean of a value is moved at most, see `mean_shift`.
    """

    frequencies: Tensor
    trust: float
    means: Tensor | None = None
    reach: float = 0.0

    def matched(self, digit: int, logits: Tensor, bias: Tensor) -> Tensor:
        """Move `bias` (K,) of a digit, in place, and return its `logits` (levels, B) moved as far."""
        size = len(logits)
        shift = match_marginal(logits, self.frequencies[digit, :size], self.trust)
        bias[:size] += shift
        return logits + shift[:, None]

    def moved(self, value: int, outputs: Tensor, present: Tensor, bias: Tensor) -> Tensor:
        """Move `bias` (3 M,) of a value, in place, and return its `outputs` (3 M, B) moved as far.

        Args:
            value: The value.
            outputs: The parameters of its mixtures.
            present: The rows (B,) that have the value.
            bias: The biases of its head, for this condition.
        """
        if self.means is None or not present.any():
            return outputs
        shift = (self.trust * mean_shift(outputs[:, present], self.means[value], self.reach)).to(outputs)
        bias += shift
        return outputs + shift[:, None]


def where_present(value: Value, digits: Tensor, numbers: Tensor) -> Tensor:
    """Return the drawn `numbers` (B,) of a value, NaN where its switch among `digits` (J, B) is off."""
    return numbers if value.switch is None else numbers.masked_fill_(~is_present(value, digits), math.nan)


def is_present(value: Value, digits: Tensor) -> Tensor:
    """Return which rows (B,) have a value, by its switch among `digits` (J, B)."""
    if value.switch is None:
        return torch.ones(digits.shape[1], dtype=torch.bool, device=digits.device)
    return digits[value.switch] == value.level


def up_to_last_digit(order: SlotOrder) -> SlotOrder:
    """Return the slots of `order` without the values after the last digit, which no frequency depends on."""
    return order[: max((place + 1 for place, (is_value, _) in enumerate(order) if not is_value), default=0)]


class AutoregressiveDecoder(nn.Module):
    """p(x | z, y) = product over j of p(x_j | z, y, x_<j), with one running sum for all slots.

    The sum starts with a linear map of z and the condition; each digit and value that is present adds its vector.

    Source: Uria, Murray, Larochelle 2014, NADE, https://arxiv.org/abs/1310.1757, and 2013, RNADE,
    https://arxiv.org/abs/1306.0186, for values; the gates of the heads are ours.

    Args:
        slots: The digits and values, and their order.
        conditions: C.
        latent_dim: L.
        width: W, length of the running sum.
        hidden: H, units of the hidden layer of each head: of digits, of values.
        dropout: Probability with which a unit is dropped in training.
        products: F, entries of the running sum for products of factors; see `with_products`.
    """

    mask: Tensor

    def __init__(
        self,
        slots: Slots,
        conditions: int,
        latent_dim: int,
        width: int,
        hidden: tuple[int, int],
        dropout: float,
        *,
        products: int = 0,
    ) -> None:
        super().__init__()
        self.slots, self.products = slots, products
        self.start = nn.Linear(latent_dim, width)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, width), freeze=False)
        self.embedding = SlotEmbedding(slots, width)
        self.tables = FineTables(slots)
        widest = max(slots.sizes, default=1)
        self.digits = Heads(len(slots.sizes), conditions, width, hidden[0], widest, dropout)
        self.values = Heads(len(slots.values), conditions, width, hidden[1], PARAMETERS, dropout)
        with torch.no_grad():
            self.values.bias.copy_(initial_bias().expand_as(self.values.bias))
        self.register_buffer("mask", padding(slots.sizes), persistent=False)

    def start_from(self, frequencies: Frequencies) -> None:
        """Set the biases to the frequencies of the digits and the moments of the values."""
        with torch.no_grad():
            self.digits.bias.copy_(frequencies.logs)
            self.tables.weight.copy_(frequencies.ratios)
            if frequencies.moments is not None:
                self.values.bias.copy_(initial_bias(*frequencies.moments))

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p (J + V, B) of each digit, then each value of `rows`, given the slots before it, in nats."""
        return log_likelihood(self.outputs(rows, z, labels), rows)

    def outputs(self, rows: Rows, z: Tensor, labels: Tensor) -> Outputs:
        """Return the outputs of all heads for `rows` (B), given the slots before each."""
        start = self.start(z) + self.condition(labels)  # (B, W)
        fused = z.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and not is_observed(self)
        digits, values = (self._outputs if fused else self._outputs_by_layer)(rows, start, labels)
        return Outputs(self.tables(digits, rows.digits), values)

    @torch.no_grad()
    def calibrate(self, change: Calibration) -> None:
        """Change the outputs of all heads, in place."""
        factors = change.digits[:, None, None]
        for parameter in self.digits.last_layer:
            parameter.mul_(factors)
        self.tables.weight.mul_(factors[self.tables.fine])
        for parameter in self.values.last_layer:
            parameter[..., :COMPONENTS] *= change.components[:, None, None]
        self.values.bias[..., 2 * COMPONENTS :] += change.log_scales[:, None, None]

    def _outputs_by_layer(self, rows: Rows, start: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs (J, B, K) of digits and (V, B, 3 M) of values, each layer for all slots at once."""
        if self.products:
            digits, values = running_sums(self.slots.order, start, self.embedding(rows), self.products)
        else:
            digits, values = RunningSum.apply(self.slots.order, start, *self.embedding(rows))
        return self.digits(digits, labels) + self.mask[:, None], self.values(values, labels)

    def _outputs(self, rows: Rows, start: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same, slot by slot."""
        embedding = self.embedding
        member = nn.functional.one_hot(labels.long(), self.condition.num_embeddings).T.to(start.dtype).contiguous()
        kept = self.digits.dropped(*start.shape), self.values.dropped(*start.shape)
        places, features = embedding.digits.places(rows.digits), embedding.values.features(rows.values.T)
        batch = Batch(self.slots.order, member, places, features, kept, self.products)
        digits = Packed.of(self.digits, embedding.digits.table(), self.mask)
        values = Packed.of(self.values, embedding.values.weight)
        outputs: tuple[Tensor, Tensor] = AllHeads.apply(batch, start, *digits, *values)
        return outputs

    @torch.no_grad()
    def sample(
        self,
        z: Tensor,
        label: int,
        generator: torch.Generator,
        *,
        stratified: bool = False,
        temperature: float = 1.0,
        rules: RowRules | None = None,
    ) -> Rows:
        """Draw rows for latents (B, L), all of one condition, one slot after the other, that keep `rules`."""
        uniforms = Uniforms(len(self.slots.order), len(z), generator, stratified=stratified, temperature=temperature)
        return self._draw(z, label, generator, uniforms, rules=rules)

    @torch.no_grad()
    def match(self, z: Tensor, label: int, generator: torch.Generator, marginals: Marginals) -> None:
        """Move the biases of a condition, slot by slot, until drawn rows have `marginals`."""
        uniforms = Uniforms(len(self.slots.order), len(z), generator, stratified=True)
        self._draw(z, label, generator, uniforms, marginals)

    def _draw(
        self,
        z: Tensor,
        label: int,
        generator: torch.Generator,
        uniforms: Uniforms,
        marginals: Marginals | None = None,
        rules: RowRules | None = None,
    ) -> Rows:
        sums = self.start(z) + self.condition.weight[label]
        normal = standard_normal(len(self.slots.values), len(z), generator=generator)
        digits = torch.empty(len(self.slots.sizes), len(z), dtype=torch.long, device=z.device)
        values = torch.empty(len(self.slots.values), len(z), device=z.device, dtype=z.dtype)
        digit_heads, value_heads = self.digits.packed(label), self.values.packed(label)
        digits_only = marginals is not None and marginals.means is None
        order = up_to_last_digit(self.slots.order) if digits_only else self.slots.order
        guard = Guard(self.slots, rules)
        for place, (is_value, i) in enumerate(order):
            if is_value:
                outputs = value_heads.outputs(i, sums, PARAMETERS)
                if marginals is not None:
                    present = is_present(self.slots.values[i], digits)
                    outputs = marginals.moved(i, outputs, present, self.values.bias[i, label])
                draws = NormalDraws(uniforms.numbers[place], normal[i])
                numbers = guard.draw_value(i, outputs, draws, generator, uniforms.temperature)
                values[i] = where_present(self.slots.values[i], digits, numbers)
                guard.note_value(i, values[i])
                sums += with_products(self.embedding.values.one(i, values[i]), sums, self.products)
                continue
            size = self.slots.sizes[i]
            logits = digit_heads.outputs(i, sums, size)
            added = self.tables.one(i, digits)
            if added is not None:
                logits = logits + added[:size]
            if marginals is not None:
                logits = marginals.matched(i, logits, self.digits.bias[i, label])
            logits = guard.logits(i, tempered(logits, uniforms.temperature))
            digits[i] = draw(logits, uniforms.numbers[place], stratified=uniforms.stratified)
            guard.note_digit(i, digits[i])
            drawn = self.embedding.digits.rows_of(i, size).index_select(0, digits[i])
            sums += with_products(drawn, sums, self.products)
        return Rows(digits.T, values.T)


class FactorizedDecoder(nn.Module):
    """p(x | z, y) = product over columns of p(column | z, y): the textbook decoder, all heads at once.

    Args:
        slots: The digits and values.
        conditions: C.
        latent_dim: L.
        width: W, units of its residual block.
        dropout: Probability with which a unit is dropped in training.
    """

    mask: Tensor

    def __init__(self, slots: Slots, conditions: int, latent_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.slots = slots
        j, v, k = len(slots.sizes), len(slots.values), max(slots.sizes, default=1)
        self.start = nn.Linear(latent_dim, width)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, width), freeze=False)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), Dropout(dropout))
        self.tables = FineTables(slots)
        self.digits = SlotLinear(j, conditions, (width, k), 1 / math.sqrt(width))
        self.values = SlotLinear(v, conditions, (width, PARAMETERS), 0.1 / math.sqrt(width))
        with torch.no_grad():
            self.values.bias.copy_(initial_bias().expand_as(self.values.bias))
        self.register_buffer("mask", padding(slots.sizes)[:, None, :], persistent=False)

    def start_from(self, frequencies: Frequencies) -> None:
        """Set the biases to the frequencies of the digits and the moments of the values."""
        with torch.no_grad():
            self.digits.bias.copy_(frequencies.logs)
            self.tables.weight.copy_(frequencies.ratios)
            if frequencies.moments is not None:
                self.values.bias.copy_(initial_bias(*frequencies.moments))

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p (J + V, B) of each digit, then each value of `rows`, in nats."""
        hidden = self._hidden(z, labels)
        logits = self.digits(hidden.expand(len(self.slots.sizes), -1, -1), labels) + self.mask
        mixtures = self.values(hidden.expand(len(self.slots.values), -1, -1), labels)
        return log_likelihood(Outputs(self.tables(logits, rows.digits), mixtures), rows)

    def _hidden(self, z: Tensor, labels: Tensor) -> Tensor:
        hidden = self.start(z) + self.condition(labels)
        return torch.relu(hidden + self.block(hidden))

    @torch.no_grad()
    def sample(
        self,
        z: Tensor,
        label: int,
        generator: torch.Generator,
        *,
        stratified: bool = False,
        temperature: float = 1.0,
        rules: RowRules | None = None,
    ) -> Rows:
        """Draw rows for latents (B, L), all of one condition, that keep `rules`."""
        slots, guard = self.slots, Guard(self.slots, rules)
        uniforms = Uniforms(len(slots.order), len(z), generator, stratified=stratified, temperature=temperature)
        hidden = self._hidden(z, torch.full((len(z),), label, device=z.device))
        normal = standard_normal(len(slots.values), len(z), generator=generator)
        digits = torch.empty(len(slots.sizes), len(hidden), dtype=torch.long, device=hidden.device)
        values = torch.empty(len(slots.values), len(z), device=z.device, dtype=z.dtype)
        for is_value, i in slots.order:
            if is_value:
                mixtures = self._mixtures(i, hidden, label)
                draws = NormalDraws(uniforms.numbers[len(digits) + i], normal[i])
                numbers = guard.draw_value(i, mixtures, draws, generator, uniforms.temperature)
                values[i] = where_present(slots.values[i], digits, numbers)
                guard.note_value(i, values[i])
            else:
                self._draw_digit(i, digits, hidden, label, uniforms, guard=guard)
        return Rows(digits.T, values.T.contiguous())

    @torch.no_grad()
    def match(self, z: Tensor, label: int, generator: torch.Generator, marginals: Marginals) -> None:
        """Move the biases of a condition until drawn rows have `marginals`."""
        hidden = self._hidden(z, torch.full((len(z),), label, device=z.device))
        uniforms = Uniforms(len(self.slots.sizes), len(z), generator, stratified=False)
        digits = torch.empty(len(self.slots.sizes), len(hidden), dtype=torch.long, device=hidden.device)
        for j in range(len(digits)):
            self._draw_digit(j, digits, hidden, label, uniforms, marginals)
        for i, value in enumerate(self.slots.values):
            outputs = self._mixtures(i, hidden, label)
            marginals.moved(i, outputs, is_present(value, digits), self.values.bias[i, label])

    def _mixtures(self, i: int, hidden: Tensor, label: int) -> Tensor:
        """The outputs (3 M, B) of a value, for rows with `hidden` (B, W)."""
        return torch.addmm(self.values.bias[i, label, :, None], self.values.weight[i].T, hidden.T)

    def _draw_digit(
        self,
        j: int,
        digits: Tensor,
        hidden: Tensor,
        label: int,
        uniforms: Uniforms,
        marginals: Marginals | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Draw one of the `digits` (J, B) of rows with `hidden` (B, W), after matching it to its marginal if given."""
        size = self.slots.sizes[j]
        logits = torch.addmm(self.digits.bias[j, label, :size, None], self.digits.weight[j, :, :size].T, hidden.T)
        added = self.tables.one(j, digits)
        if added is not None:
            logits = logits + added[:size]
        if marginals is not None:
            logits = marginals.matched(j, logits, self.digits.bias[j, label])
        logits = tempered(logits, uniforms.temperature)
        logits = logits if guard is None else guard.logits(j, logits)
        digits[j] = draw(logits, uniforms.numbers[j], stratified=uniforms.stratified)
        if guard is not None:
            guard.note_digit(j, digits[j])
