"""Drawing rows that keep the rules between their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.arrays import Floats, States
from synthvae.errors import RequestError, brief, warn_user
from synthvae.model import Rows
from synthvae.model.restrictions import RowRules
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.comparable import frame_of

MAX_ROUNDS = 50  # in which rows that break a rule are drawn again
MANY_AGAIN = 0.1  # rows that are drawn again for each row, of which a message is given

Places = npt.NDArray[np.int64]
Sampler = Callable[[int, Places, RowRules], Rows]
"""Draws rows of a condition, for the places of rows, under rules."""


@dataclass(frozen=True)
class RuledRows:
    """The codes of rows, and those of their numbers that rules have determined.

    Args:
        codes: The codes.
        numbers: Numbers (rows,) by column; NaN: that of the code.
    """

    __repr__ = brief

    codes: Codes
    numbers: dict[str, Floats]


def draw_rows(
    encoding: TableEncoding,
    labels: States,
    chunks: Callable[[int], list[int]],
    sampler: Sampler,
    rng: np.random.Generator,
) -> RuledRows:
    """Draw rows of conditions `labels` (rows,), in chunks, each column within what the rules leave of it.

    Args:
        encoding: The encoding of the table, with rules.
        labels: The conditions.
        chunks: Divides a number of rows.
        sampler: Draws the rows of a chunk.
        rng: Draws the numbers in bins.
    """
    rules, layout = encoding.compiled_rules, encoding.layout
    assert rules is not None
    digits = np.empty((len(labels), layout.width), np.int8)
    values = np.empty((len(labels), len(layout.valued_names)), np.float32)
    numbers: dict[str, Floats] = {name: np.full(len(labels), np.nan) for name in rules.views}
    for label, places in _chunked(labels, chunks):
        session = rules.rows(layout, len(places), rng)
        if encoding.target is not None and encoding.target.name in rules.views and encoding.target.classes is not None:
            session.tell(encoding.target.name, np.full(len(places), label), np.ones(len(places), bool))
        drawn = sampler(label, places, session)
        digits[places], values[places] = drawn.digits.cpu().numpy(), drawn.values.cpu().numpy()
        for name, own in session.numbers.items():
            numbers[name][places] = own
    return RuledRows(Codes(digits, values, labels), numbers)


def _chunked(labels: States, chunks: Callable[[int], list[int]]) -> Iterator[tuple[int, Places]]:
    """The places of rows of one condition, chunk by chunk."""
    for label in np.unique(labels).tolist():
        own = np.flatnonzero(labels == label)
        for places in np.split(own, np.cumsum(chunks(len(own)))[:-1]):
            if len(places):
                yield label, places


def decode_kept(
    encoding: TableEncoding,
    rows: int,
    draw: Callable[[Places], RuledRows],
    decode: Callable[[RuledRows, Places], pa.Table],
) -> pa.Table:
    """Draw and decode rows, and those again that break a rule, until none does.

    What the columns before leave of a column keeps nearly all rules. The rest are rules on computed columns, and rows
    in which no value was left.

    Args:
        encoding: The encoding of the table, with rules.
        rows: The number of rows.
        draw: Draws the rows in some places.
        decode: Decodes these.

    Raises:
        RequestError: Some rows break a rule in each of `MAX_ROUNDS` rounds.
    """
    rules = encoding.rules
    assert rules is not None
    places = np.arange(rows)
    table = drawn = decode(draw(places), places)
    again, broken = 0, places[rules.broken(drawn)]
    for _ in range(MAX_ROUNDS):
        if not len(broken):
            _tell(again, rows)
            return table
        again, places = again + len(broken), broken
        drawn = decode(draw(places), places)
        table = replaced(table, places, drawn)
        broken = places[rules.broken(drawn)]
    found = [r for r in rules.constraints if not isinstance(r, Unique)]
    worst = max(found, key=lambda rule: int((~rule.holds(frame_of(table, rules, rule.touches), rules)).sum()))
    raise RequestError(
        f"Rows that keep the rule `{worst}` must be likely enough to be drawn, got {len(broken)} of {rows} "
        f"rows that break a rule after {MAX_ROUNDS} rounds. Train longer, or remove the rule."
    )


def replaced(table: pa.Table, places: Places, rows: pa.Table) -> pa.Table:
    """Return a table with other rows in some places."""
    which = np.arange(table.num_rows)
    which[places] = table.num_rows + np.arange(len(places))
    return pa.concat_tables([table, rows]).unify_dictionaries().take(which).combine_chunks()


def _tell(again: int, rows: int) -> None:
    if again > MANY_AGAIN * rows:
        warn_user(
            f"rules were kept by drawing again: {rows / (rows + again):.1%} of the rows drawn kept them. Rules on "
            "computed columns are kept in this way"
        )
