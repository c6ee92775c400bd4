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
from synthvae.encoding.rules.session import RowsUnderRules
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.relational.across_tables import RowLimits
from synthvae.relational.child_encoding import ChildEncoding, nothing
from synthvae.relational.completion import CANDIDATES, choose_candidates, draw_given
from synthvae.relational.linked_rules import InnovationRules
from synthvae.relational.network import Before, SequenceNetwork
from synthvae.relational.sequences import Family, Places, Sequences, as_rows

CHUNK_SUBJECTS = 4096  # drawn at once
REDRAWN = 1  # the stream of random numbers of rows that break a rule
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
        codes: The codes of all rows, unknown but for given ones.
        numbers: The numbers (rows,) of the order column of given rows.
        hidden: Whether columns of given rows are unknown, such as the number of their rows in a child table.
    """

    there: npt.NDArray[np.bool_]
    codes: Codes
    numbers: Floats
    hidden: bool


@dataclass(frozen=True)
class DrawnRows:
    """The rows of a child table that were drawn.

    Args:
        codes: The codes of the columns other than the order column.
        numbers: The numbers (rows,) of the order column.
        ruled: The numbers (rows,) of columns that rules have determined; NaN: those of the codes.
    """

    codes: Codes
    numbers: Floats
    ruled: dict[str, Floats]


@dataclass(frozen=True)
class ChildDraw:
    """The draw of the rows of a child table.

    Args:
        network: The network, in evaluation mode.
        encoding: The encoding of the table.
        family: To which parents and subjects the rows belong.
        ancestors: The codes of each ancestor table, and the place (rows,) of each row's ancestor.
        bases: The numbers (rows,) of the anchors of the order column.
        seed: The seed of all draws.
        unique: Columns in which rows are to differ; None: rows may be equal.
        given: Rows that are given, the first ones of each parent; None: all are drawn.
        limits: What is known of rows before they are drawn, under rules; None without any.
    """

    network: SequenceNetwork
    encoding: ChildEncoding
    family: Family
    ancestors: tuple[tuple[Codes, Places], ...]
    bases: list[Floats]
    seed: int
    unique: Unique | None = None
    given: GivenRows | None = None
    limits: RowLimits | None = None

    @own_modes()
    def draw(self) -> DrawnRows:
        """Draw all rows."""
        slots, rows = self.network.slots.rows, len(self.family)
        digits = np.empty((rows, len(slots.sizes)), np.int8)
        values = np.empty((rows, len(slots.values)), np.float32)
        numbers = np.full(rows, np.nan) if self.given is None else self.given.numbers.copy()
        compiled = self.encoding.compiled_rules
        ruled = {name: np.full(rows, np.nan) for name in (compiled.views if compiled else ())}
        found = DrawnRows(Codes(digits, values, np.zeros(rows, np.int64)), numbers, ruled)
        with one_thread(), torch.inference_mode():
            for start in range(0, len(self.family.lengths), CHUNK_SUBJECTS):
                chosen = np.arange(start, min(start + CHUNK_SUBJECTS, len(self.family.lengths)))
                _Drawing(self, [self.seed, start]).run(chosen, found)
        return found

    @own_modes()
    def redraw(self, again: Places, found: DrawnRows, number: int) -> None:
        """Draw some rows of `found` again, but for the order column, given all rows before them.

        Args:
            again: Their places.
            found: All rows.
            number: How many times rows were drawn again before.
        """
        timeline = self.encoding.timeline
        rows = len(self.family)
        clock = nothing(rows) if timeline is None else timeline.clock_codes(found.numbers, self.bases, None)
        codes, lines = zip(*self.ancestors, strict=True)
        sequences = Sequences(self.family, found.codes, clock, (), tuple(codes), tuple(lines))
        subjects = np.unique(np.searchsorted(self.family.starts, again, side="right") - 1)
        with one_thread(), torch.inference_mode():
            drawing = _Drawing(self, [self.seed, number, REDRAWN])
            for start in range(0, len(subjects), CHUNK_SUBJECTS):
                drawing.redraw(subjects[start : start + CHUNK_SUBJECTS], sequences, again, found)


class _Drawing:
    """The draw of the rows of some subjects; see `ChildDraw`."""

    def __init__(self, draw: ChildDraw, seeds: list[int]) -> None:
        self.network, self.encoding, self.family = draw.network, draw.encoding, draw.family
        self.ancestors, self.bases, self.unique, self.given = draw.ancestors, draw.bases, draw.unique, draw.given
        self.limits = draw.limits
        self.device = next(draw.network.parameters()).device
        states = np.random.SeedSequence(seeds).generate_state(2, np.uint64).tolist()
        self.generator = torch.Generator(device=self.device).manual_seed(states[0] >> 1)
        self.rng = np.random.default_rng(states[1])

    def run(self, chosen: Places, found: DrawnRows) -> None:
        """Draw the rows of chosen subjects, the first row of each, then the second row of each, ..."""
        packed, _, sizes = self.family.packed(chosen)
        width, units = self.network.config.width, self.network.config.memory
        vectors = torch.zeros(len(chosen), width, device=self.device)
        memory = torch.zeros(len(chosen), units, device=self.device)
        last = torch.full((len(chosen), found.codes.values.shape[1]), math.nan, device=self.device)
        start = 0
        for size in sizes.tolist():
            rows = packed[start : start + size]
            before, start = Before(vectors[:size], memory[:size].contiguous(), last[:size]), start + size
            ancestors = tuple(as_rows(own, line[rows], self.device) for own, line in self.ancestors)
            places = torch.from_numpy(self.family.places[rows]).to(self.device)
            sums = self.network.sums(ancestors, places, before)
            clock, drawn = self._row(rows, sums, before.last, found)
            if self.unique is not None:
                clock, drawn = self._redrawn(rows, sums, before.last, found, (clock, drawn))
            vectors = self.network.vectors(drawn, clock)
            memory = self.network.memory(vectors[None], before.memory[None])[1][0]
            last = drawn.values.where(drawn.values.isfinite(), before.last)

    def _row(self, rows: Places, sums: Tensor, last: Tensor, found: DrawnRows) -> tuple[Rows, Rows]:
        """Draw some rows into `found`; return their codes: of the order column, and of the others."""
        clock = self._clock(rows, sums, found.numbers)
        return clock, self._rest(rows, sums, last, clock, found)

    def _rest(self, rows: Places, sums: Tensor, last: Tensor, clock: Rows, found: DrawnRows) -> Rows:
        """Draw the columns of some rows other than the order column into `found`; return their codes."""
        drawn = self._rows(rows, sums, last, clock, found)
        if self.given is not None and self.given.there[rows].any():
            self._put_given(rows, sums, last, clock, drawn)
            for numbers in found.ruled.values():
                numbers[rows[self.given.there[rows]]] = np.nan
        found.codes.digits[rows] = drawn.digits.cpu().numpy().astype(np.int8)
        found.codes.values[rows] = drawn.values.cpu().numpy()
        return drawn

    def _redrawn(
        self, rows: Places, sums: Tensor, last: Tensor, found: DrawnRows, drawn: tuple[Rows, Rows]
    ) -> tuple[Rows, Rows]:
        """Draw those rows again that are equal to an earlier one, a limited number of times."""
        assert self.unique is not None
        for _ in range(REDRAWS):
            repeated = self.unique.repeated(rows, found.codes, found.numbers)
            again = np.flatnonzero(repeated if self.given is None else repeated & ~self.given.there[rows])
            if not len(again):
                break
            places = torch.from_numpy(again).to(self.device)
            fresh = self._row(rows[again], sums[places], last[places], found)
            for old, new in zip(drawn, fresh, strict=True):
                old.digits[places], old.values[places] = new.digits, new.values
        self.unique.add(rows, found.codes, found.numbers)
        return drawn

    def _rows(self, rows: Places, sums: Tensor, last: Tensor, clock: Rows, found: DrawnRows) -> Rows:
        """Draw the columns other than the order column, and the numbers that rules determine into `found`."""
        if self.network.decoder is None:
            return as_rows(nothing(len(sums)), np.arange(len(sums)), self.device)
        session = self._session(rows, found.numbers[rows])
        rules = None if session is None else self._in_innovations(session, last)
        drawn = self.network.decoder.sample(self.network.row_context(sums, clock), 0, self.generator, rules=rules)
        for name, numbers in ({} if session is None else session.numbers).items():
            found.ruled[name][rows] = numbers
        return drawn._replace(values=self.network.innovations.inverse(drawn.values, last))

    def _session(self, rows: Places, order: Floats) -> RowsUnderRules | None:
        """Some rows that are to be drawn under the rules of the table, given their order column; None without any."""
        encoding, compiled = self.encoding.rows, self.encoding.compiled_rules
        if encoding is None or compiled is None:
            return None
        if self.limits is None:
            return compiled.rows(encoding.layout, len(rows), self.rng)
        limits, parts = self.limits.columns(rows, order), self.limits.parts(rows, order)
        return compiled.rows(encoding.layout, len(rows), self.rng, limits, parts)

    def _in_innovations(self, session: RowsUnderRules, last: Tensor) -> InnovationRules:
        """The rules of rows whose values are drawn as innovations."""
        slots = self.network.slots.rows
        predicted, scale = (part.double().cpu().numpy() for part in self.network.innovations.terms(last))
        values = {slots.cell_numbers[len(slots.sizes) + value]: value for value in range(len(slots.values))}
        return InnovationRules(session, values, predicted, scale)

    def redraw(self, chosen: Places, sequences: Sequences, again: Places, found: DrawnRows) -> None:
        """Draw some rows of chosen subjects again."""
        packed, batch = self.family.packed(chosen)[0], sequences.batch(chosen, self.device)
        here = np.flatnonzero(np.isin(packed, again))
        places = torch.from_numpy(here).to(self.device)
        sums = self.network.batch_sums(batch)[places]
        self._rest(packed[here], sums, batch.last[places], batch.clock.take(places), found)

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
        decoder, innovations = self.network.decoder, self.network.innovations
        assert isinstance(decoder, AutoregressiveDecoder)
        again = torch.arange(len(sums), device=self.device).repeat_interleave(CANDIDATES)
        context = self.network.row_context(sums, clock)[again]
        rows = known._replace(values=innovations(known.values, last)[0]).take(again)
        found, weights = draw_given(decoder, context, rows, self.generator)
        accepted = np.ones(len(again), bool)
        chosen = torch.from_numpy(choose_candidates(weights.cpu().numpy(), accepted, self.generator)).to(self.device)
        whole = found._replace(values=innovations.inverse(found.values, last[again])).take(chosen)
        values = torch.where(known.values.isfinite(), known.values, whole.values)  # as they are, without rounding
        return whole._replace(values=values)

    def _draw_order(self, rows: Places, context: Tensor, way: Places, starts: Floats, numbers: Floats) -> None:
        """Draw the order column of some rows into `numbers`, each in its way; -1: not at all."""
        timeline = self.encoding.timeline
        assert timeline is not None
        for number, decoder in enumerate(self.network.timings):
            here = np.flatnonzero(way == number)
            if len(here):
                assert isinstance(decoder, AutoregressiveDecoder)
                found = decoder.sample(context[torch.from_numpy(here).to(self.device)], 0, self.generator)
                digits, values = found.digits.cpu().numpy().astype(np.int8), found.values.cpu().numpy()
                coded = Codes(digits, values, np.zeros(len(here), np.int64))
                numbers[rows[here]] = timeline.drawn(number, coded, starts[here], self.rng)

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
        self._draw_order(rows, context, way, starts, numbers)
        ends = None if self.limits is None else self.limits.order(rows)
        if ends is not None:
            for _ in range(REDRAWS):
                outside = (numbers[rows] < ends[0]) | (numbers[rows] > ends[1])  # a comparison with NaN is false
                if not (outside & (way >= 0)).any():
                    break
                self._draw_order(rows, context, np.where(outside, way, -1), starts, numbers)
            within = np.fmin(np.fmax(numbers[rows], ends[0]), ends[1])
            numbers[rows] = np.where((way >= 0) & ~np.isnan(numbers[rows]), within, numbers[rows])
        codes = timeline.clock_codes(numbers[rows], [one[rows] for one in self.bases], None)
        return as_rows(codes, np.arange(len(rows)), self.device)
