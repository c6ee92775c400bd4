"""Numbers of columns that depend on those of other columns: repeated ones, and distances from another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa

from synthvae.encoding.arrays import Floats, States
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.protocol import CodedColumn, LinkableEncoding
from synthvae.encoding.relative import RelativeEncoding, draw_numbers, numbers_of


@dataclass(frozen=True)
class DependentNumbers:
    """The columns of a table whose numbers depend on those of columns before them.

    Args:
        columns: The encodings of all columns, in the order in which they are modelled.
    """

    columns: Mapping[str, StoredEncoding]

    @cached_property
    def linkable(self) -> dict[str, LinkableEncoding]:
        """The encodings whose numbers may be repeated."""
        linkable = {name: encoding.linkable for name, encoding in self.columns.items()}
        return {name: encoding for name, encoding in linkable.items() if encoding is not None}

    @cached_property
    def relative(self) -> dict[str, RelativeEncoding]:
        """The columns that are modelled as a distance from another one."""
        return {name: encoding for name, encoding in self.columns.items() if isinstance(encoding, RelativeEncoding)}

    def distances(self, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """Return the distances (rows,) of columns from others; missing where one of both is."""
        found = {}
        for name, encoding in self.relative.items():
            base = self.columns[encoding.base]
            found[name] = encoding.distances(table.column(name), numbers_of(base, table.column(encoding.base)))
        return found

    def mark_links(self, states: Mapping[str, States], table: pa.Table) -> None:
        """Set the states of numbers that repeat another column's, in place."""
        linked = {name: encoding for name, encoding in self.linkable.items() if encoding.links}
        needed = {link.to for encoding in linked.values() for link in encoding.links} | set(linked)
        numbers = {n: e.numbers_of(table.column(n)) for n, e in self.linkable.items() if n in needed}
        for name, encoding in linked.items():
            encoding.mark_links(states[name], numbers, numbers[name])

    def draw(
        self, coded: Mapping[str, CodedColumn], known: Mapping[str, Floats]
    ) -> tuple[dict[str, CodedColumn], dict[str, Floats]]:
        """Draw the numbers of all columns that depend on others or that others depend on.

        Args:
            coded: The drawn codes of all columns.
            known: Numbers (rows,) of columns, in place of drawn ones; NaN: these.

        Returns:
            The codes with these numbers, and the numbers (rows,) by column.
        """
        numbers = dict[str, Floats]()
        for name, encoding in self.linkable.items():  # a column after those that it may repeat
            numbers[name] = _numbers(known.get(name), partial(encoding.draw_numbers, coded[name], numbers))
        for name, relative in self.relative.items():
            base = relative.base
            if base not in numbers:
                numbers[base] = _numbers(known.get(base), partial(draw_numbers, self.columns[base], coded[base]))
            numbers[name] = _numbers(known.get(name), partial(relative.draw_numbers, coded[name], numbers[base]))
        own = {**known, **numbers}
        return {n: column.with_numbers(own[n]) if n in own else column for n, column in coded.items()}, numbers


def _numbers(known: Floats | None, draw: Callable[[], Floats]) -> Floats:
    """The numbers (rows,) of a column: known ones, and drawn ones where these are NaN."""
    if known is None:
        return draw()
    return np.where(np.isnan(known), draw(), known) if np.isnan(known).any() else known
