"""The distribution of any columns given any others, learned beside a model that draws whole rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from synthvae import progress
from synthvae.devices import find_device, one_thread, own_modes
from synthvae.encoding import TableEncoding
from synthvae.encoding.arrays import Floats
from synthvae.encoding.layout import Layout
from synthvae.encoding.limits import Allowed, real
from synthvae.encoding.rules.session import RowsUnderRules
from synthvae.errors import ConfigurationError, RequestError, brief, warn_user
from synthvae.model import ModelConfig, Rows
from synthvae.model.build import build_conditional
from synthvae.model.conditional import ConditionalConfig, ConditionalNetwork, Limit, cells_of, masked
from synthvae.model.conditional_draws import draw_rows
from synthvae.synthesizer import conditional_coding
from synthvae.synthesizer.conditional_coding import (
    Coded,
    Draws,
    codes_with_links,
    columns_of,
    encode,
    filled,
    layout_of,
    layout_of_one,
    links_of,
    numbers_of,
    without_missing,
)
from synthvae.synthesizer.conditional_rows import NO_FACTS, Drawn, Facts, Start
from synthvae.training.batches import SinglePart
from synthvae.training.conditional import train_conditional
from synthvae.training.config import TrainingConfig
from synthvae.training.history import History
from synthvae.training.loop import Progress

Cells = npt.NDArray[np.bool_]
"""Which cells (rows, columns) of a table."""

CONDITIONAL_TRAINING = ("max_steps", "batch_size", "learning_rate", "validation_fraction", "effort")
MAX_ROUNDS = 20  # in which rows that break a rule are drawn again
CHUNK_ROWS = 4096  # drawn at once, so that the matrices of a slot stay in a cache


def learn_conditional(  # noqa: PLR0917 (the inputs of a fit)
    encoding: TableEncoding,
    table: pa.Table,
    model: ModelConfig,
    parameters: Mapping[str, Any],
    seed: int,
    weights: npt.NDArray[np.float32] | None = None,
    *,
    at_random: bool = False,
) -> ConditionalModel:
    """Fit a network of any columns given any others to rows, with the parameters of a synthesizer.

    Args:
        encoding: The encoding of the table.
        table: Rows that obey its schema.
        model: The architecture of the model of whole rows; widths and dropout are the same.
        parameters: The parameters of the synthesizer.
        seed: The seed of all draws.
        weights: Weights (rows,) of the rows; None: all weigh the same.
        at_random: Whether values are missing at random, so that the network need not learn which ones are.

    Raises:
        ConfigurationError: The columns are pixels.
    """
    if model.pixels:
        raise ConfigurationError("`conditions` must be False with pixels, whose columns have no order. Remove it.")
    training = TrainingConfig(**{name: parameters[name] for name in CONDITIONAL_TRAINING})
    config = conditional_config(model)
    with progress.fitting(show=parameters["verbose"]) as report:
        return ConditionalModel.learn(
            encoding,
            table,
            config,
            training,
            seed,
            find_device(parameters["device"]),
            weights=weights,
            report=report,
            at_random=at_random,
        )


def conditional_config(model: ModelConfig) -> ConditionalConfig:
    """Return the architecture of the network of conditions beside that of a model of whole rows."""
    return ConditionalConfig(model.width, (model.hidden, model.value_hidden), model.dropout)


@dataclass(frozen=True)
class ConditionalModel:
    """A network that predicts any columns from any others, and the encoding of its table.

    Args:
        encoding: The encoding of the table; the classes of its target, if it has some, are a column like others.
        network: The fitted network, in evaluation mode.
        history: Its training history.
    """

    __repr__ = brief

    encoding: TableEncoding
    network: ConditionalNetwork
    history: History

    @classmethod
    def learn(  # noqa: PLR0917 (the inputs of a fit)
        cls,
        encoding: TableEncoding,
        table: pa.Table,
        config: ConditionalConfig,
        training: TrainingConfig,
        seed: int,
        device: torch.device,
        *,
        weights: npt.NDArray[np.float32] | None = None,
        report: Progress | None = None,
        at_random: bool = False,
    ) -> ConditionalModel:
        """Fit a network to the rows of a table; see `learn_conditional` and `train_conditional`."""
        network = build_conditional(layout_of(encoding).slots, config, seed).to(device)
        codes = codes_with_links(encoding, table, seed, weights)
        if at_random:
            codes = without_missing(encoding, table, codes)
        self = cls(encoding, network, History())
        history = train_conditional(network, SinglePart(codes), training, seed, report, self._links)
        return replace(self, history=history)

    @cached_property
    def _links(self) -> dict[int, list[int]]:
        """The cells whose numbers a cell may repeat; those of constant columns are always known."""
        linked = {name: links_of(column) for name, column in columns_of(self.encoding).items()}
        named = {name: [link.to for link in links if link.to in self.cells] for name, links in linked.items()}
        return {self.cells[name]: [self.cells[to] for to in others] for name, others in named.items() if others}

    @cached_property
    def layout(self) -> Layout:
        """The places of the columns among the slots."""
        return layout_of(self.encoding)

    @cached_property
    def cells(self) -> dict[str, int]:
        """The number of the cell of each column that is modelled; constant and generated columns have none."""
        owners = (self.layout.names[owner] for owner in self.layout.owners)
        return dict(zip(owners, cells_of(self.layout.slots), strict=True))

    def rows(self, table: pa.Table, unknown: Cells | None = None) -> Rows:
        """Return the rows of a table, whose values are known, but for those (rows, columns) that are `unknown`."""
        if unknown is None or not unknown.any():
            return as_rows(encode(self.encoding, table, None, linked=False), self.device)
        hidden = [
            pc.if_else(pa.array(unknown[:, place]), pa.scalar(None, column.type), column)
            for place, column in enumerate(table.columns)
        ]
        rows = self.rows(pa.Table.from_arrays(hidden, schema=table.schema))
        return masked(rows, ~self.wanted(table.column_names, unknown), self.network.slots)

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.network.parameters()).device

    def limit(self, name: str, allowed: Allowed) -> Limit:
        """Return what a column may be as limits of its digits and its value."""
        span, sizes = self.layout.spans[name], self.layout.digits[self.layout.names.index(name)]
        every = _combinations(sizes)
        states = layout_of_one(self.layout, name).join(every.astype(np.int8))[0]
        within = allowed.states[states].reshape(sizes)
        tables = {}
        for place in range(len(sizes)):
            finer = tuple(range(place + 1, len(sizes)))
            table = within.any(axis=finer).reshape(-1, sizes[place])
            tables[span.start + place] = torch.from_numpy(table).to(self.device)
        return Limit(tables, allowed.low, allowed.high)

    def wanted(self, names: Sequence[str], columns: Cells) -> Tensor:
        """Return wanted cells (rows, cells), given which of some columns (rows, columns) are."""
        found = np.zeros((len(columns), max(self.cells.values(), default=-1) + 1), bool)
        for place, name in enumerate(names):
            if name in self.cells:
                found[:, self.cells[name]] = columns[:, place]
        return torch.from_numpy(found).to(self.device)

    @own_modes()
    def draw(
        self,
        rows: Rows,
        wanted: Tensor,
        generator: torch.Generator,
        within: Mapping[str, Limit] | None = None,
        *,
        strata: int = 1,
        facts: Facts = NO_FACTS,
    ) -> Drawn:
        """Draw the wanted cells (B, cells) of rows (B, or one for all) given the others, in chunks; see `draw_rows`.

        Unknown cells that are not wanted have digits -1 and values NaN. Rows keep the rules of the encoding as far as
        the columns that are known leave a value.
        """
        size = max(CHUNK_ROWS // strata, 1) * strata
        limited = {self.cells[name]: limit for name, limit in (within or {}).items() if name in self.cells}
        digits, values, logs, numbers = [], [], [], []
        with one_thread():
            for start in range(0, max(len(wanted), 1), size):
                some = slice(start, start + size)
                given, cells = (rows.take(some), wanted[some]) if len(rows.digits) > 1 else (rows, wanted[:1])
                known = masked(given, ~cells, self.network.slots)
                rules = self._under_rules(known, wanted[some], facts.take(some), generator)
                drawn, log_weights = draw_rows(
                    self.network, known, wanted[some], generator, limited, strata=strata, rules=rules
                )
                digits.append(drawn.digits)
                values.append(drawn.values)
                logs.append(log_weights)
                numbers.append({} if rules is None else rules.numbers)
        whole = {name: np.concatenate([part[name] for part in numbers]) for name in numbers[0]}
        return Drawn(Rows(torch.cat(digits), torch.cat(values)), torch.cat(logs), whole)

    def _under_rules(
        self, known: Rows, wanted: Tensor, facts: Facts, generator: torch.Generator
    ) -> RowsUnderRules | None:
        """Rows (B) under the rules of the encoding, of which some cells are known; None without rules."""
        compiled, count = self.encoding.compiled_rules, len(wanted)
        if compiled is None:
            return None
        seed = int(torch.randint(1 << 62, (1,), generator=generator, device=generator.device))
        session = compiled.rows(self.layout, count, np.random.default_rng(seed))
        session.conditions = {name: ends for name, ends in facts.conditions.items() if name in compiled.views}
        digits, values = (np.broadcast_to(part.cpu().numpy(), (count, part.shape[1])) for part in known)
        free = wanted.cpu().numpy()
        for name in facts.numbers.keys() - compiled.views.keys():
            session.tell_computed(name, np.broadcast_to(facts.numbers[name], count))
        for cell, own in sorted(session.cells.items()):  # a column after those from which it is a distance
            valued = own.name in self.layout.valued_names
            scores = values[:, self.layout.valued_names.index(own.name)] if valued else None
            numbers = facts.numbers.get(own.name)
            session.tell_codes(cell, digits[:, self.layout.spans[own.name]], scores, free[:, cell], numbers)
        return session

    def facts_of(self, table: pa.Table) -> Facts:
        """Return the numbers of a table, as the rules of the encoding compare them."""
        compiled = self.encoding.compiled_rules
        if compiled is None:
            return NO_FACTS
        found = {name: view.numbers_of(table.column(name)) for name, view in compiled.views.items()}
        return Facts(found | compiled.rules.computed_numbers(table))

    def decode(self, rows: Rows, draws: Draws, known: Mapping[str, Floats] | None = None) -> pa.Table:
        """Return the table that rows stand for; see `conditional_coding.decode`."""
        digits, values = rows.digits.cpu().numpy().astype(np.int8), rows.values.cpu().numpy()
        return conditional_coding.decode(self.encoding, Coded(digits, values), draws, known)

    def fill(
        self,
        table: pa.Table,
        wanted: Cells,
        draws: Draws,
        within: Mapping[str, Limit] | None = None,
        *,
        unknown: Cells | None = None,
        strata: int = 1,
        declared: bool = True,
    ) -> pa.Table:
        """Return rows whose cells are drawn where they are wanted, given the others, which stay as they are.

        Args:
            table: Rows with all columns; wanted cells may have any value.
            wanted: Which cells (rows, columns of the table) to draw.
            draws: The seed of the draws.
            within: Limits of columns.
            unknown: Which values (rows, columns) stay as they are, but are unknown to the network.
            strata: Copies of each row, one after another, whose draws are stratified; see `draw_rows`.
            declared: Whether the rules were declared. Those that were found may have exceptions: a row that breaks one
                is neither drawn again nor warned of.
        """
        generator = torch.Generator(device=self.device).manual_seed(draws.seed)
        rows, cells = self.rows(table, unknown), self.wanted(table.column_names, wanted)
        start = Start(rows, cells, self.facts_of(table), within or {})
        known = numbers_of(self.encoding, table, table.column_names)

        def finish(drawn: Drawn) -> pa.Table:
            return filled(table, self.decode(drawn.rows, draws, {**known, **drawn.numbers}), wanted)

        if not declared:
            return finish(self._drawn(start, generator, strata))
        found, broken = self.kept(start, generator, finish, strata)
        if broken.any():
            warn_user(
                f"{int(broken.sum())} of {len(broken)} rows break a rule between columns: the values that they "
                "have leave none that keeps it"
            )
        return found

    def kept(
        self, start: Start, generator: torch.Generator, finish: Callable[[Drawn], pa.Table], strata: int = 1
    ) -> tuple[pa.Table, Cells]:
        """Draw rows, and those again that break a rule; return them, and which ones (rows,) still do.

        Args:
            start: What is known and wanted.
            generator: The generator of the draws.
            finish: Turns the codes of all rows into a table, row by row.
            strata: Copies of each row; see `draw_rows`.
        """
        drawn, rules = self._drawn(start, generator, strata), self.encoding.rules
        for last in (False,) * MAX_ROUNDS + (True,):
            table = finish(drawn)
            broken = np.zeros(table.num_rows, bool) if rules is None else rules.broken(table)
            broken &= start.wanted.any(1).cpu().numpy()
            if last or not broken.any():
                break
            places = np.flatnonzero(broken)
            drawn.put(places, self._drawn(start.take(places), generator))
        return table, broken

    def _drawn(self, start: Start, generator: torch.Generator, strata: int = 1) -> Drawn:
        return self.draw(start.rows, start.wanted, generator, start.within, strata=strata, facts=start.facts)

    @cached_property
    def real(self) -> dict[str, Limit]:
        """The limits of columns without missing and sentinel values; a column without any value has none."""
        found = {}
        for name in self.cells:
            with contextlib.suppress(RequestError):
                found[name] = self.limit(name, real(name, columns_of(self.encoding)[name]))._replace(yields=True)
        return found

    @own_modes()
    @torch.inference_mode()
    def log_likelihood(
        self, table: pa.Table, columns: Sequence[str], given: Sequence[str], *, densities: bool = True
    ) -> npt.NDArray[np.float64]:
        """Return log p (rows,) of some columns given others, in nats; without `densities`, that of digits alone."""
        predicted, known, names = self._predicted(table, {*columns, *given}), self.rows(table), table.column_names
        chosen = [self.wanted(names, np.array([[n in some for n in names]])) for some in (given, columns)]
        found = [torch.empty(0)]
        for start in range(0, table.num_rows, CHUNK_ROWS):
            some = slice(start, start + CHUNK_ROWS)
            batch = (known.take(some), predicted.take(some))
            count = len(batch[0].digits)
            parts = (masked(r, c.expand(count, -1), self.network.slots) for r, c in zip(batch, chosen, strict=True))
            slots = self.network.log_prob(*parts)
            found.append((slots if densities else slots[: self.layout.width]).sum(0).cpu())
        return np.asarray(torch.cat(found).numpy(), np.float64)

    def _predicted(self, table: pa.Table, there: Collection[str]) -> Rows:
        """Rows as they are predicted: with links in the columns whose linked columns are all there, as in training."""
        linked, plain = (encode(self.encoding, table, None, linked=linked) for linked in (True, False))
        columns = columns_of(self.encoding)
        kept = [all(link.to in there for link in links_of(columns[name])) for name in self.layout.names]
        slots = [kept[owner] for owner in self.layout.owners]
        j = self.layout.width
        digits, values = np.array(slots[:j], bool), np.array(slots[j:], bool)
        both = Coded(np.where(digits, linked.digits, plain.digits), np.where(values, linked.values, plain.values))
        return as_rows(both, self.device)

    @own_modes()
    @torch.inference_mode()
    def log_probabilities(
        self, table: pa.Table, name: str, given: Sequence[str], unknown: Cells | None = None
    ) -> npt.NDArray[np.float64]:
        """Return log p (rows, levels) of the states of a column given other columns of each row."""
        cells = self.wanted(table.column_names, np.array([[n in given for n in table.column_names]]))
        sizes = self.layout.digits[self.layout.names.index(name)]
        known = masked(self.rows(table, unknown), cells.expand(table.num_rows, -1), self.network.slots)
        every = _combinations(sizes)
        starts = range(0, max(table.num_rows, 1), CHUNK_ROWS)
        chunks = (known.take(slice(start, start + CHUNK_ROWS)) for start in starts)
        return np.concatenate([self._log_probabilities(chunk, name, every) for chunk in chunks])

    def _log_probabilities(self, known: Rows, name: str, every: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The same of some rows, for all combinations of digits (combinations, digits), in the order of states."""
        decoder, span = self.network.decoder, self.layout.spans[name]
        start = decoder.start(self.network.context(known)) + decoder.condition.weight[0]
        logs = []
        for digits in torch.from_numpy(every).to(self.device):
            sums, log_p, before = start, torch.zeros(len(start), device=self.device), known.digits.T.long().clone()
            for j, digit in zip(range(span.start, span.stop), digits.tolist(), strict=True):
                logits = decoder.digits.packed(0).outputs(j, sums, self.layout.sizes[j])
                more = decoder.tables.one(j, before)
                logits = logits if more is None else logits + more[: self.layout.sizes[j]]
                log_p = log_p + logits.log_softmax(0)[digit]
                before[j] = digit
                sums = sums + decoder.embedding.digits.rows_of(j, self.layout.sizes[j])[digit]
            logs.append(log_p)
        states = layout_of_one(self.layout, name).join(every.astype(np.int8))[0]
        found = np.full((len(start), self.layout.levels[self.layout.names.index(name)]), -np.inf)
        for state, log_p in zip(states.tolist(), logs, strict=True):
            found[:, state] = np.logaddexp(found[:, state], log_p.double().cpu().numpy())
        return found


def _combinations(sizes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """All combinations (combinations, digits) of digits with so many levels; one, of no digits, if there are none."""
    return np.indices(sizes).reshape(len(sizes), math.prod(sizes)).T


def as_rows(coded: Coded, device: torch.device) -> Rows:
    """Return coded rows on a device."""
    return Rows(torch.from_numpy(coded.digits).to(device), torch.from_numpy(coded.values).to(device))
