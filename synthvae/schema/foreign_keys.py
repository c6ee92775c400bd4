"""Foreign keys: columns of a child table that name a row of a parent table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, StrictStr

from synthvae.schema.values import plain_items


def names_of(given: Any) -> Any:
    """Return the names of a key, of which a single one may be given as a text."""
    return (given,) if isinstance(given, str) else plain_items(given)


Names = Annotated[tuple[StrictStr, ...], BeforeValidator(names_of), Field(min_length=1)]


class ForeignKey(NamedTuple):
    """Columns of a child table that name a row of a parent table.

    Args:
        child: The child table.
        columns: Its columns.
        parent: The parent table.
        parent_columns: The columns of the parent that they repeat, in the same order.

    Example:
        >>> print(ForeignKey("visits", ("patient",), "patients", ("id",)))
        visits(patient) -> patients(id)
    """

    child: StrictStr
    columns: Names
    parent: StrictStr
    parent_columns: Names

    def __str__(self) -> str:
        return f"{self.child}({', '.join(self.columns)}) -> {self.parent}({', '.join(self.parent_columns)})"


def find_cycle(links: Sequence[tuple[str, str]]) -> list[str]:
    """Return the tables of a cycle of links, the first one repeated at the end; [] if there is none.

    Example:
        >>> find_cycle([("a", "b"), ("b", "c"), ("c", "a")])
        ['a', 'b', 'c', 'a']
    """
    after: dict[str, list[str]] = {}
    for child, parent in links:
        after.setdefault(child, []).append(parent)
    left = dict(after)
    while free := [name for name, others in left.items() if not set(others) & left.keys()]:
        left = {name: others for name, others in left.items() if name not in free}
    if not left:
        return []
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(name for name in after[path[-1]] if name in left))
    return path[path.index(path[-1]) :]
