"""Draws from the distribution of any columns given any others, within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from synthvae.model.conditional import ConditionalNetwork, Limit, cells_of
from synthvae.model.decoders import where_present
from synthvae.model.draws import ZERO_LOGIT, draw, standard_normal
from synthvae.model.restrictions import Guard, Places, RowRules
from synthvae.model.rows import Rows
from synthvae.model.values import PARAMETERS, draw_value, draw_value_between

MIN_UNIFORM = 1e-7  # so that normal deviates are finite


@torch.inference_mode()
def draw_rows(
    network: ConditionalNetwork,
    known: Rows,
    wanted: Tensor,
    generator: torch.Generator,
    limits: Mapping[int, Limit] | None = None,
    *,
    strata: int = 1,
    rules: RowRules | None = None,
) -> tuple[Rows, Tensor]:
    """Draw the wanted cells of rows given the known ones.

    With several `strata` the random numbers of the copies of a row are spread evenly, in a random order for each slot,
    so that the mean of the copies varies less than that of independent draws. Each copy alone is a draw as any other.

    Source: McKay, Beckman, Conover 1979, A comparison of three methods for selecting values of input variables,
    Technometrics 21(2) (Latin hypercube sampling).

    Args:
        network: The network, in evaluation mode.
        known: B rows, or one that all rows have in common; an unknown cell has digits -1 and a value NaN.
        wanted: Which cells (B, cells) to draw.
        generator: The generator of the draws.
        limits: Limits of cells by number; each draw is within them.
        strata: Copies of each row, one after another, with the same cells wanted.
        rules: The rules of the rows, which know the cells that are known.

    Returns:
        The rows with the wanted cells drawn, and the log probability (B,) that these draws had of being within the
        limits, in nats: each limited draw is from p(x_j | x_<j, limit), so that rows weigh as the product of
        p(limit | x_<j).
    """
    return _Draw(network, known, wanted, generator, limits or {}, strata, rules).run()


class _Draw:
    """One draw, slot by slot; see `draw_rows`."""

    def __init__(
        self,
        network: ConditionalNetwork,
        known: Rows,
        wanted: Tensor,
        generator: torch.Generator,
        limits: Mapping[int, Limit],
        strata: int,
        rules: RowRules | None,
    ) -> None:
        self.strata, self.guard = strata, Guard(network.slots, rules)
        self.weighed = frozenset() if rules is None else rules.weighed
        self.decoder, self.generator, self.limits = network.decoder, generator, limits
        self.cells = cells_of(network.slots)
        self.rows = {c: _rows(wanted[:, c]) for c in set(self.cells)}  # those in which a cell is drawn
        start = self.decoder.start(network.context(known)) + self.decoder.condition.weight[0]
        repeats = len(wanted) if len(known.digits) == 1 else 1
        self.sums = start.repeat(repeats, 1)
        self.digits, self.values = known.digits.T.long().repeat(1, repeats), known.values.T.repeat(1, repeats)
        self.log_weights = torch.zeros(len(wanted), device=self.sums.device)
        self.heads = self.decoder.digits.packed(0), self.decoder.values.packed(0)
        self.prefixes: dict[int, Tensor] = {}  # the number that the coarser digits of a limited cell make up

    def run(self) -> tuple[Rows, Tensor]:
        """Draw all slots in order."""
        slots = self.decoder.slots
        for is_value, i in slots.order:
            cell = self.cells[len(slots.sizes) + i if is_value else i]
            rows = self.rows[cell]
            if isinstance(rows, slice) or len(rows):
                self.sums[rows] += (self._value if is_value else self._digit)(i, cell, rows)
        return Rows(self.digits.T.contiguous(), self.values.T.contiguous()), self.log_weights

    def _uniform(self, count: int) -> Tensor:
        device = self.generator.device
        uniform = torch.rand(count, 1, generator=self.generator, device=device, dtype=torch.float32)
        if self.strata == 1:
            return uniform
        keys = torch.rand(count // self.strata, self.strata, generator=self.generator, device=device)
        spread = (keys.argsort(1).reshape(count, 1) + uniform) / self.strata
        return spread.clamp_max(1 - 2**-24)  # below 1 despite rounding

    def _normal(self, count: int) -> Tensor:
        if self.strata == 1:
            return standard_normal(count, generator=self.generator)
        return torch.as_tensor(torch.special.ndtri(self._uniform(count)[:, 0].clamp(MIN_UNIFORM, 1 - MIN_UNIFORM)))

    def _digit(self, i: int, cell: int, rows: Places) -> Tensor:
        """Draw a digit of some rows; return its vectors."""
        size = self.decoder.slots.sizes[i]
        logits = self.heads[0].outputs(i, self.sums[rows], size)
        more = self.decoder.tables.one(i, self.digits[:, rows])
        if more is not None:
            logits = logits + more[:size]
        left = self.guard.logits(i, logits, rows)
        if cell in self.weighed:
            self.log_weights[rows] += left.logsumexp(0) - logits.logsumexp(0)
        logits = left
        if cell in self.limits:
            prefix = self.prefixes.get(cell, torch.zeros(logits.shape[1], dtype=torch.long, device=logits.device))
            allowed = self.limits[cell].allowed[i][prefix]
            limited = torch.where(allowed.T, logits, logits.amin(0) + ZERO_LOGIT)
            if self.limits[cell].yields:
                possible = (allowed.T & (logits > logits.amax(0) + ZERO_LOGIT / 2)).any(0)
                limited = torch.where(possible, limited, logits)
            self.log_weights[rows] += limited.logsumexp(0) - logits.logsumexp(0)
            logits = limited
        drawn = draw(logits, self._uniform(logits.shape[1]))
        if cell in self.limits:
            self.prefixes[cell] = prefix * size + drawn
        self.digits[i, rows] = drawn
        self.guard.note_digit(i, drawn, rows)
        return self.decoder.embedding.digits.rows_of(i, size).index_select(0, drawn)

    def _value(self, i: int, cell: int, rows: Places) -> Tensor:
        """Draw a value of some rows; return its vectors."""
        outputs = self.heads[1].outputs(i, self.sums[rows], PARAMETERS)
        count = outputs.shape[1]
        uniform = self._uniform(count)
        value, limits = self.decoder.slots.values[i], self._limits(i, cell, rows, outputs)
        if limits is None:
            drawn = draw_value(outputs, uniform, self._normal(count))
        else:
            drawn, log_mass = draw_value_between(outputs, uniform, self._uniform(count)[:, 0], limits)
            is_there = True if value.switch is None else self.digits[value.switch, rows] == value.level
            if cell in self.limits or cell in self.weighed:
                self.log_weights[rows] += torch.where(torch.as_tensor(is_there), log_mass, 0.0)
        drawn = where_present(value, self.digits[:, rows], drawn)
        self.guard.note_value(i, drawn, rows)
        self.values[i, rows] = drawn
        return self.decoder.embedding.values.one(i, drawn)

    def _limits(self, i: int, cell: int, rows: Places, outputs: Tensor) -> tuple[Tensor, Tensor] | None:
        """The intervals that conditions and rules leave a value of some rows; None: any value."""
        limit, limits = self.limits.get(cell), self.guard.limits(i, rows, outputs.device)
        if limit is None or (limit.low, limit.high) == (-math.inf, math.inf):
            return limits
        if limits is None:
            limits = outputs.new_full((1, 1), -math.inf), outputs.new_full((1, 1), math.inf)
        return limits[0].clamp_min(limit.low), limits[1].clamp_max(limit.high)


def _rows(wanted: Tensor) -> Places:
    """The indices of wanted rows (B,); a slice if all are, which needs no copies."""
    return slice(None) if bool(wanted.all()) and len(wanted) else wanted.nonzero()[:, 0]
