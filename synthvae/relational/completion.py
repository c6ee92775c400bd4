"""Rows of which some columns are known, such as given parents: the others are drawn given these."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from synthvae.codes import Codes, Slots
from synthvae.devices import one_thread, own_modes
from synthvae.encoding.arrays import Mask, Scores, States
from synthvae.encoding.layout import Layout
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder
from synthvae.model.restrictions import Restriction
from synthvae.relational.fitted_database import FittedRoot, only_dates
from synthvae.relational.relative_dates import Surroundings, from_differences, to_differences
from synthvae.relational.sequences import Places, as_rows
from synthvae.synthesizer.fitted_model import FittedModel

CANDIDATES = 32  # draws of z and of the unknown columns for each row, of which one is chosen
ROUNDS = 8  # in which rows without an accepted candidate are drawn again

Accept = Callable[[Codes, np.ndarray], Mask]
"""Which rows are accepted, given their codes and the places of the rows that they are drawn for."""


def complete_rows(model: FittedModel, codes: Codes, unknown: Collection[str], seed: int, accept: Accept) -> Codes:
    """Draw columns of rows given the other columns, by sampling importance resampling.

    Candidates have z from the prior, and the unknown columns from the decoder in its order. One of them is chosen in
    proportion to the likelihood of the known columns, which is the weight of likelihood weighting.

    Source: Rubin 1987, A noniterative sampling/importance resampling alternative to the data augmentation algorithm,
    JASA 82; Fung and Chang 1990, Weighing and integrating evidence, UAI, for the weights.

    Args:
        model: The model of the table, without a target.
        codes: The rows.
        unknown: The columns to be drawn, whose codes may be any.
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
        drawn, weights = _candidates(model, codes, again, unknown, generator)
        found = Codes(drawn.digits.cpu().numpy().astype(np.int8), drawn.values.cpu().numpy(), codes.labels[again])
        accepted = accept(found, again)
        chosen = choose_candidates(weights.cpu().numpy(), accepted, generator)
        digits[waiting], values[waiting] = found.digits[chosen], found.values[chosen]
        waiting = waiting[~accepted[chosen]]
    return Codes(digits, values, codes.labels)


def complete_root(
    root: FittedRoot,
    given: pa.Table,
    least: Mapping[str, Places],
    types: Mapping[str, pa.DataType],
    seed: int,
) -> tuple[pa.Table, Codes]:
    """Return given rows of a root table with what is modelled beside their columns, and their codes.

    Args:
        root: The model of the table.
        given: The rows.
        least: The smallest numbers (rows,) of columns that are drawn.
        types: The types of their columns, and of those that they carry for their children.
        seed: The seed of the draws.

    Raises:
        TableError: A value cannot be encoded.
    """
    model, encodings = root.model, only_dates(root.encodings)
    assert model is not None
    hidden = [name for name in model.encoding.names if name not in given.column_names]
    whole = {n: given.column(n).combine_chunks() for n in model.encoding.names if n not in hidden}
    whole |= {n: pa.nulls(given.num_rows, types.get(n, pa.int64())) for n in hidden}
    table = to_differences(pa.table(whole), root.dates, Surroundings(), encodings).select(model.encoding.names)
    rng = np.random.default_rng(seed)

    def accept(found: Codes, places: States) -> Mask:
        if not any(numbers.any() for numbers in least.values()):
            return np.ones(len(places), bool)
        drawn = model.encoding.decode(found, rng)
        enough = [drawn.column(name).to_numpy() >= numbers[places] for name, numbers in least.items()]
        return np.asarray(np.logical_and.reduce(enough))

    codes = complete_rows(model, model.encode(table), hidden, seed, accept)
    drawn = model.encoding.decode(codes, rng, seed=seed)
    dates = [date for date in root.dates if date.name in hidden]
    columns = whole | {name: drawn.column(name).combine_chunks() for name in hidden}
    return pa.table(from_differences(columns, dates, Surroundings(), encodings, types, rng)), codes


@own_modes()
def _candidates(
    model: FittedModel, codes: Codes, places: States, unknown: Collection[str], generator: torch.Generator
) -> tuple[Rows, Tensor]:
    """Rows (N) with their unknown columns drawn, and the log weights (N,) of these."""
    network = model.model
    rows = as_rows(codes, places, model.device)
    labels = torch.zeros(len(places), dtype=torch.long, device=model.device)
    with one_thread(), torch.inference_mode():
        z = network.draw_prior(0, len(places), generator)
        assert isinstance(network.decoder, (AutoregressiveDecoder, FactorizedDecoder))
        return draw_given(network.decoder, z, labels, rows, model.encoding.layout, unknown, generator)


def draw_given(  # noqa: PLR0917 (what a draw depends on)
    decoder: AutoregressiveDecoder | FactorizedDecoder,
    z: Tensor,
    labels: Tensor,
    rows: Rows,
    layout: Layout,
    unknown: Collection[str],
    generator: torch.Generator,
) -> tuple[Rows, Tensor]:
    """Return rows whose unknown columns are drawn slot by slot, and the log likelihood (N,) of the known ones.

    Args:
        decoder: The decoder of the rows.
        z: Its latents or contexts (N, L).
        labels: Zeros (N,).
        rows: The rows.
        layout: Their columns.
        unknown: The columns to be drawn.
        generator: The generator of the draws.
    """
    known = KnownCells(layout.slots, rows, {layout.names.index(name) for name in unknown}, layout)
    drawn = decoder.sample(z, 0, generator, rules=known)
    digits, values = rows.digits.long().clone(), rows.values.clone()
    digits[:, known.free_digits], values[:, known.free_values] = (
        drawn.digits[:, known.free_digits],
        drawn.values[:, known.free_values],
    )
    found = Rows(digits, values)
    logs = decoder.log_prob(found, z, labels)
    logs = logs.masked_fill(known.free[:, None].to(logs.device), 0.0)
    return found, torch.nan_to_num(logs, nan=0.0).sum(0)


class KnownCells:
    """The known columns of rows, as rules under which a decoder draws them as they are; see `RowRules`.

    Args:
        slots: The digits and values of a row.
        rows: The rows.
        unknown: The numbers of the columns that are drawn.
        layout: The columns.
    """

    weighed: frozenset[int] = frozenset()

    def __init__(self, slots: Slots, rows: Rows, unknown: Collection[int], layout: Layout) -> None:
        self.slots, self.rows = slots, rows
        count = len(slots.sizes)
        self.free = torch.tensor([owner in unknown for owner in layout.owners], dtype=torch.bool)
        self.free_digits, self.free_values = self.free[:count], self.free[count:]
        numbers = slots.cell_numbers
        self.digits: dict[int, list[int]] = {}
        self.values = {numbers[count + v]: v for v in range(len(slots.values)) if not self.free_values[v]}
        for digit in range(count):
            if not self.free_digits[digit]:
                self.digits.setdefault(numbers[digit], []).append(digit)
        self.cells = self.digits.keys() | self.values.keys()

    def restrict(self, cell: int) -> Restriction:
        """Return the known digits and value of a cell as all that is allowed; anything where they are unknown."""
        rows = len(self.rows.digits)
        allowed: Mask = np.ones((rows,), bool)
        for digit in self.digits.get(cell, ()):
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
