"""HTML of objects in notebooks: a title and a small table, with everything escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from synthvae.errors import escaped

MOST_ROWS = 20
MOST_TEXT = 600  # characters of a cell


def html_table(title: str, rows: Iterable[Sequence[object]], heading: Sequence[str] = (), note: str = "") -> str:
    """Return a table as HTML: its first rows, and how many there are.

    Args:
        title: What the table is about.
        rows: The cells of each row.
        heading: The names of the columns; none for rows of names and values.
        note: A sentence below the table.

    >>> html_table("Model", [("rows", 178)])
    '<div><b>Model</b><table><tr><td>rows</td><td>178</td></tr></table></div>'
    """
    every = list(rows)
    head = f"<tr>{''.join(f'<th>{_cell(name)}</th>' for name in heading)}</tr>" if heading else ""
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in every[:MOST_ROWS])
    more = f"{len(every) - MOST_ROWS:,} more rows. " if len(every) > MOST_ROWS else ""
    below = f"<small>{_cell(more + note)}</small>" if more or note else ""
    return f"<div><b>{_cell(title)}</b><table>{head}{body}</table>{below}</div>"


def _cell(value: object) -> str:
    text = escaped(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value)
    return html.escape(text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}...")
