"""Drawing the rows of a child table, row by row for all subjects at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.devices import one_thread, own_modes
from synthvae.encoding.arrays import Floats
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.relational.child_encoding import ChildEncoding, nothing
from synthvae.relational.completion import CANDIDATES, choose_candidates, draw_given
from synthvae.relational.network import Before, SequenceNetwork
from synthvae.relational.sequences import Family, Places, as_rows

CHUNK_SUBJECTS = 4096  # drawn at once
REDRAWS = 8  # of rows that are equal to an earlier one; those that still are are left out


@dataclass
class Unique:
    """Columns in which no two rows of a scope are to be equal, and the rows so far.

    Args:
        scopes: The scope (rows,) of each row, such as its parent.
        digits: The places of the columns' digits.
        values: The places of their values.
        timed: Whether the order column is among them.
    """

    scopes: Places
    digits: list[int]
    values: list[int]
    timed: bool
    seen: set[bytes] = field(default_factory=set)

    def _keys(self, rows: Places, codes: Codes, numbers: Floats) -> list[bytes]:
        times = numbers[rows][:, None][:, : int(self.timed)]
        chosen = (self.scopes[rows][:, None], codes.digits[rows][:, self.digits], codes.values[rows][:, self.values])
        parts = [times, *(part.astype(np.float64) for part in chosen)]
        return [row.tobytes() for row in np.concatenate(parts, 1)]

    def repeated(self, rows: Places, codes: Codes, numbers: Floats) -> npt.NDArray[np.bool_]:
        """Return which rows (n,) are equal to an earlier one."""
        return np.array([key in self.seen for key in self._keys(rows, codes, numbers)], bool)

    def add(self, rows: Places, codes: Codes, numbers: Floats) -> None:
        """Remember rows."""
        self.seen.update(self._keys(rows, codes, numbers))


@dataclass(frozen=True)
class GivenRows:
    """Rows that are given, among those that are drawn.

    Args:
        there: Which rows (rows,) are given.
        codes: The codes of all rows, those of given ones known.
        numbers: The numbers (rows,) of the order column of given rows.
        hidden: The columns that are not given, such as the number of rows in a child table.
    """

    there: npt.NDArray[np.bool_]
    codes: Codes
    numbers: Floats
    hidden: tuple[str, ...]


@own_modes()
def draw_children(  # noqa: PLR0917 (what a draw depends on)
    network: SequenceNetwork,
    encoding: ChildEncoding,
    family: Family,
    ancestors: tuple[tuple[Codes, Places], ...],
    bases: list[Floats],
    seed: int,
    unique: Unique | None = None,
    given: GivenRows | None = None,
) -> tuple[Codes, Floats]:
    """Draw the rows of a child table.

    Args:
        network: The network, in evaluation mode.
        encoding: The encoding of the table.
        family: To which parents and subjects the rows belong.
        ancestors: The codes of each ancestor table, and the place (rows,) of each row's ancestor.
        bases: The numbers (rows,) of the anchors of the order column.
        seed: The seed of all draws.
        unique: Columns in which rows are to differ; None: rows may be equal.
        given: Rows that are given, the first ones of each parent; None: all are drawn.

    Returns:
        The codes of the columns other than the order column, and the numbers (rows,) of that one.
    """
    slots, rows = network.slots.rows, len(family)
    codes = Codes(
        np.empty((rows, len(slots.sizes)), np.int8),
        np.empty((rows, len(slots.values)), np.float32),
        np.zeros(rows, np.int64),
    )
    numbers = np.full(rows, np.nan) if given is None else given.numbers.copy()
    device = next(network.parameters()).device
    with one_thread(), torch.inference_mode():
        for start in range(0, len(family.lengths), CHUNK_SUBJECTS):
            chosen = np.arange(start, min(start + CHUNK_SUBJECTS, len(family.lengths)))
            states = np.random.SeedSequence([seed, start]).generate_state(2, np.uint64).tolist()
            generator = torch.Generator(device=device).manual_seed(states[0] >> 1)
            drawing = _Drawing(network, encoding, family, ancestors, bases, generator, states[1], unique, given)
            drawing.run(chosen, codes, numbers)
    return codes, numbers


class _Drawing:
    """The draw of the rows of some subjects; see `draw_children`."""

    def __init__(  # noqa: PLR0917 (what a draw depends on)
        self,
        network: SequenceNetwork,
        encoding: ChildEncoding,
        family: Family,
        ancestors: tuple[tuple[Codes, Places], ...],
        bases: list[Floats],
        generator: torch.Generator,
        seed: int,
        unique: Unique | None,
        given: GivenRows | None,
    ) -> None:
        self.network, self.encoding, self.family = network, encoding, family
        self.ancestors, self.bases, self.generator = ancestors, bases, generator
        self.device, self.rng, self.unique, self.given = generator.device, np.random.default_rng(seed), unique, given

    def run(self, chosen: Places, codes: Codes, numbers: Floats) -> None:
        """Draw the rows of chosen subjects, the first row of each, then the second row of each, ..."""
        packed, _, sizes = self.family.packed(chosen)
        width, units = self.network.config.width, self.network.config.memory
        vectors = torch.zeros(len(chosen), width, device=self.device)
        memory = torch.zeros(len(chosen), units, device=self.device)
        last = torch.full((len(chosen), codes.values.shape[1]), math.nan, device=self.device)
        start = 0
        for size in sizes.tolist():
            rows = packed[start : start + size]
            before, start = Before(vectors[:size], memory[:size].contiguous(), last[:size]), start + size
            ancestors = tuple(as_rows(own, line[rows], self.device) for own, line in self.ancestors)
            places = torch.from_numpy(self.family.places[rows]).to(self.device)
            sums = self.network.sums(ancestors, places, before)
            clock, drawn = self._row(rows, sums, before.last, codes, numbers)
            if self.unique is not None:
                clock, drawn = self._redrawn(rows, sums, before.last, codes, numbers, (clock, drawn))
            vectors = self.network.vectors(drawn, clock)
            memory = self.network.memory(vectors[None], before.memory[None])[1][0]
            last = drawn.values.where(drawn.values.isfinite(), before.last)

    def _row(self, rows: Places, sums: Tensor, last: Tensor, codes: Codes, numbers: Floats) -> tuple[Rows, Rows]:
        """Draw some rows into `codes` and `numbers`; return their codes: of the order column, and of the others."""
        clock = self._clock(rows, sums, numbers)
        drawn = self._rows(sums, last, clock)
        if self.given is not None and self.given.there[rows].any():
            self._put_given(rows, sums, last, clock, drawn)
        codes.digits[rows] = drawn.digits.cpu().numpy().astype(np.int8)
        codes.values[rows] = drawn.values.cpu().numpy()
        return clock, drawn

    def _redrawn(  # noqa: PLR0917 (what a draw depends on)
        self, rows: Places, sums: Tensor, last: Tensor, codes: Codes, numbers: Floats, found: tuple[Rows, Rows]
    ) -> tuple[Rows, Rows]:
        """Draw those rows again that are equal to an earlier one, a limited number of times."""
        assert self.unique is not None
        for _ in range(REDRAWS):
            repeated = self.unique.repeated(rows, codes, numbers)
            again = np.flatnonzero(repeated if self.given is None else repeated & ~self.given.there[rows])
            if not len(again):
                break
            places = torch.from_numpy(again).to(self.device)
            fresh = self._row(rows[again], sums[places], last[places], codes, numbers)
            for old, new in zip(found, fresh, strict=True):
                old.digits[places], old.values[places] = new.digits, new.values
        self.unique.add(rows, codes, numbers)
        return found

    def _rows(self, sums: Tensor, last: Tensor, clock: Rows) -> Rows:
        """Draw the columns other than the order column."""
        if self.network.decoder is None:
            return as_rows(nothing(len(sums)), np.arange(len(sums)), self.device)
        drawn = self.network.decoder.sample(self.network.row_context(sums, clock), 0, self.generator)
        return drawn._replace(values=self.network.innovations.inverse(drawn.values, last))

    def _put_given(self, rows: Places, sums: Tensor, last: Tensor, clock: Rows, drawn: Rows) -> None:
        """Replace given rows among drawn ones, in place; their hidden columns are drawn given the others."""
        assert self.given is not None
        here = torch.from_numpy(np.flatnonzero(self.given.there[rows])).to(self.device)
        known = as_rows(self.given.codes, rows[self.given.there[rows]], self.device)
        if self.given.hidden:
            known = self._completed(known, sums[here], last[here], clock.take(here))
        drawn.digits[here], drawn.values[here] = known.digits.to(drawn.digits), known.values.to(drawn.values)

    def _completed(self, known: Rows, sums: Tensor, last: Tensor, clock: Rows) -> Rows:
        """Given rows with their hidden columns drawn."""
        assert self.given is not None
        assert self.encoding.rows is not None
        decoder, innovations = self.network.decoder, self.network.innovations
        assert isinstance(decoder, AutoregressiveDecoder)
        again = torch.arange(len(sums), device=self.device).repeat_interleave(CANDIDATES)
        context = self.network.row_context(sums, clock)[again]
        labels, before = torch.zeros_like(again), last[again]
        rows = known._replace(values=innovations(known.values, last)[0]).take(again)
        layout = self.encoding.rows.layout
        found, weights = draw_given(decoder, context, labels, rows, layout, self.given.hidden, self.generator)
        accepted = np.ones(len(again), bool)
        chosen = torch.from_numpy(choose_candidates(weights.cpu().numpy(), accepted, self.generator)).to(self.device)
        whole = found._replace(values=innovations.inverse(found.values, before)).take(chosen)
        values = torch.where(known.values.isfinite(), known.values, whole.values)  # as they are, without rounding
        return whole._replace(values=values)

    def _clock(self, rows: Places, sums: Tensor, numbers: Floats) -> Rows:
        """Draw the order column of some rows into `numbers`; return its codes."""
        timeline = self.encoding.timeline
        if timeline is None:
            return as_rows(nothing(len(rows)), np.arange(len(rows)), self.device)
        base = self.bases[0][rows]
        first = self.family.places[rows, 0] == 0
        way = timeline.way(base, first)
        if self.given is not None:
            way[self.given.there[rows]] = -1  # known already
        starts = np.where(first, base, numbers[np.maximum(rows - 1, 0)])  # rows of a subject are together
        context = self.network.timing_context(sums)
        for number, decoder in enumerate(self.network.timings):
            here = np.flatnonzero(way == number)
            if len(here):
                assert isinstance(decoder, AutoregressiveDecoder)
                found = decoder.sample(context[torch.from_numpy(here).to(self.device)], 0, self.generator)
                digits, values = found.digits.cpu().numpy().astype(np.int8), found.values.cpu().numpy()
                coded = Codes(digits, values, np.zeros(len(here), np.int64))
                numbers[rows[here]] = timeline.drawn(number, coded, starts[here], self.rng)
        codes = timeline.clock_codes(numbers[rows], [one[rows] for one in self.bases], None)
        return as_rows(codes, np.arange(len(rows)), self.device)
