"""Rows of which some columns are known, such as given parents: the others are drawn given these."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from synthvae.codes import Codes, Slots
from synthvae.devices import one_thread, own_modes
from synthvae.encoding.arrays import Mask, Scores, States
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder
from synthvae.model.restrictions import Restriction
from synthvae.relational.sequences import as_rows
from synthvae.synthesizer.fitted_model import FittedModel

CANDIDATES = 32  # draws of z and of the unknown columns for each row, of which one is chosen
ROUNDS = 8  # in which rows without an accepted candidate are drawn again


Accept = Callable[[Codes, np.ndarray], Mask]
"""Which rows are accepted, given their codes and the places of the rows that they are drawn for."""


def complete_rows(model: FittedModel, codes: Codes, seed: int, accept: Accept) -> Codes:
    """Draw the unknown cells of rows given the others, by sampling importance resampling.

    Candidates have z from the prior, and the unknown cells from the decoder in its order. One of them is chosen in
    proportion to the likelihood of the known cells, which is the weight of likelihood weighting.

    Source: Rubin 1987, A noniterative sampling/importance resampling alternative to the data augmentation algorithm,
    JASA 82; Fung and Chang 1990, Weighing and integrating evidence, UAI, for the weights.

    Args:
        model: The model of the table, without a target.
        codes: The rows; unknown cells have digits -1 and values NaN.
        seed: The seed of the draws.
        accept: Chooses among candidates; a row without an accepted one in `ROUNDS` rounds gets any.
    """
    if not model.encoding.layout.slots.order:  # all columns are constant
        return codes
    digits, values = codes.digits.copy(), codes.values.copy()
    generator = torch.Generator(device=model.device).manual_seed(seed)
    waiting = np.arange(len(codes))
    for _ in range(ROUNDS):
        if not len(waiting):
            break
        again = np.repeat(waiting, CANDIDATES)
        drawn, weights = _candidates(model, as_rows(codes, again, model.device), generator)
        found = Codes(drawn.digits.cpu().numpy().astype(np.int8), drawn.values.cpu().numpy(), codes.labels[again])
        accepted = accept(found, again)
        chosen = choose_candidates(weights.cpu().numpy(), accepted, generator)
        digits[waiting], values[waiting] = found.digits[chosen], found.values[chosen]
        waiting = waiting[~accepted[chosen]]
    return Codes(digits, values, codes.labels)


@own_modes()
def _candidates(model: FittedModel, rows: Rows, generator: torch.Generator) -> tuple[Rows, Tensor]:
    """Rows (N) with their unknown cells drawn, and the log weights (N,) of these."""
    network = model.model
    with one_thread(), torch.inference_mode():
        z = network.draw_prior(0, len(rows.digits), generator)
        assert isinstance(network.decoder, (AutoregressiveDecoder, FactorizedDecoder))
        return draw_given(network.decoder, z, rows, generator)


def draw_given(
    decoder: AutoregressiveDecoder | FactorizedDecoder, z: Tensor, rows: Rows, generator: torch.Generator
) -> tuple[Rows, Tensor]:
    """Return rows whose unknown cells are drawn slot by slot, and the log likelihood (N,) of the known ones.

    Args:
        decoder: The decoder of the rows.
        z: Its latents or contexts (N, L).
        rows: The rows; unknown cells have digits -1 and values NaN.
        generator: The generator of the draws.
    """
    drawn = decoder.sample(z, 0, generator, rules=KnownCells(decoder.slots, rows))
    digits, values = rows.digits >= 0, rows.values.isfinite()
    found = Rows(torch.where(digits, rows.digits.long(), drawn.digits), torch.where(values, rows.values, drawn.values))
    logs = decoder.log_prob(found, z, torch.zeros(len(z), dtype=torch.long, device=z.device))
    known = torch.cat([digits.T, values.T])
    return found, logs.masked_fill(~known, 0.0).sum(0)


class KnownCells:
    """The known cells of rows, as rules under which a decoder draws them as they are; see `RowRules`.

    Args:
        slots: The digits and values of a row.
        rows: The rows; unknown cells have digits -1 and values NaN.
    """

    weighed: frozenset[int] = frozenset()

    def __init__(self, slots: Slots, rows: Rows) -> None:
        self.slots, self.rows = slots, rows
        numbers, count = slots.cell_numbers, len(slots.sizes)
        self.cells = frozenset(numbers)
        self.digits = {cell: [j for j in range(count) if numbers[j] == cell] for cell in self.cells}
        self.values = {numbers[count + value]: value for value in range(len(slots.values))}

    def restrict(self, cell: int) -> Restriction:
        """Return the known digits and value of a cell as all that is allowed; anything where they are unknown."""
        rows = len(self.rows.digits)
        allowed: Mask = np.ones((rows,), bool)
        for digit in self.digits[cell]:
            own = self.rows.digits[:, digit].cpu().numpy()
            one = (np.arange(self.slots.sizes[digit]) == own[:, None]) | (own < 0)[:, None]
            allowed = np.asarray(allowed[..., None] & one.reshape(rows, *([1] * (allowed.ndim - 1)), -1))
        if cell not in self.values:
            return Restriction(allowed)
        numbers = self.rows.values[:, self.values[cell]].cpu().numpy().astype(np.float64)[None]
        return Restriction(allowed, numbers, numbers)

    def record(self, cell: int, digits: States, values: Scores | None, rows: slice | States) -> None:
        """Take no note: cells are known, or are drawn without rules."""


def choose_candidates(weights: Scores, accepted: Mask, generator: torch.Generator) -> States:
    """Return the place (rows,) of one of `CANDIDATES` for each row, by weight (rows * CANDIDATES,) if accepted."""
    logs = np.where(accepted, weights, -math.inf).reshape(-1, CANDIDATES).astype(np.float64)
    logs = np.where(np.isinf(logs).all(axis=1, keepdims=True), 0.0, logs)
    noise = torch.rand(logs.shape, generator=generator, device=generator.device, dtype=torch.float64)
    gumbel = -np.log(-np.log(noise.cpu().numpy().clip(1e-300, 1 - 1e-16)))
    return np.asarray((logs + gumbel).argmax(1) + np.arange(len(logs)) * CANDIDATES)
