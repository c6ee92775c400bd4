"""Summaries of fitted models for people: aligned lines of plain words, wrapped to the terminal, without raw numbers."""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthvae.errors import escaped

WIDEST, NARROWEST = 100, 60  # characters of a line


def of_fit(synthesizer: Any, place: Path, seconds: float, seed: int | None) -> dict[str, str]:
    """Return the lines about a new model, by their names.

    Args:
        synthesizer: The synthesizer.
        place: The directory that it was saved to.
        seconds: The time that the fit took.
        seed: The seed that was drawn for it; None: the user stated one, or there is none.
    """
    rows = synthesizer.learned_.provenance.rows or 1000
    drawn = {} if seed is None else {"seed": f"{seed} (--seed {seed} repeats the fit)"}
    return {
        **of_model(synthesizer, place),
        "time": f"{seconds:.1f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes",
        **drawn,
        "next": f"synthvae generate {shlex.quote(str(place))} --rows {rows} -o synthetic",
    }


def of_model(synthesizer: Any, place: Path) -> dict[str, str]:
    """Return the lines about a model, by their names."""
    from synthvae.synthesizer.description import lines_of

    lines = lines_of(synthesizer.learned_)
    model = f"{place} ({size(place)}, {lines.pop('weights')} weights)"
    return {"model": model, **lines, "effort": synthesizer.effort}


def details(synthesizer: Any) -> Iterator[str]:
    """Yield the lists of a longer description: columns, protection, and what a privacy budget was spent on."""
    from synthvae.schema.protection import sentences

    summary, ledger = synthesizer.learned_.describe(), synthesizer.ledger_
    kinds: dict[str, list[str]] = {}
    for name, kind in summary["columns"].items():
        kinds.setdefault(kind, []).append(name)
    yield "columns:"
    for kind, names in kinds.items():
        yield from wrapped(f"  - {kind}: ", ", ".join(names))
    if summary.get("missing"):
        yield "missing values:"
        shares = (f"{name}: {share:.1%}" for name, share in summary["missing"].items())
        yield from wrapped("  - ", ", ".join(shares))
    if summary.get("protection"):
        yield "protection:"
        for line in sentences(summary["protection"]):
            yield from wrapped("  - ", line)
    if ledger is not None:
        yield "privacy budget spent on:"
        for line in ledger.statement()["events"]:
            yield from wrapped("  - ", line)


def aligned(lines: Mapping[str, str]) -> Iterator[str]:
    """Yield lines with their names in a column of their own; long ones are wrapped, commands are not."""
    width = max(map(len, lines)) + 2
    for name, text in lines.items():
        if name == "next":
            yield name.ljust(width) + text
        else:
            yield from wrapped(name.ljust(width), text)


def compared(tables: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield one line for each name, with the texts of all tables beside each other."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    first = max(map(len, names)) + 2
    width = max((_width() - first) // len(tables), 20)
    for name in names:
        cells = [textwrap.wrap(escaped(table.get(name, "none")), width - 2) or [""] for table in tables]
        for line in range(max(map(len, cells))):
            texts = [(cell[line] if line < len(cell) else "").ljust(width) for cell in cells]
            yield ((name if line == 0 else "").ljust(first) + "".join(texts)).rstrip()


def differences(synthesizers: Sequence[Any]) -> Iterator[str]:
    """Yield what sets several models apart: columns that not all have, and parameters with different values."""
    kinds = [synthesizer.learned_.describe()["columns"] for synthesizer in synthesizers]
    names = list(dict.fromkeys(name for columns in kinds for name in columns))
    unlike = [name for name in names if len({columns.get(name, "none") for columns in kinds}) > 1]
    if unlike:
        yield from ("", "columns that differ:")
        for name in unlike:
            yield f"  - {name}: {' / '.join(columns.get(name, 'none') for columns in kinds)}"
    parameters = [synthesizer.get_params(deep=False) for synthesizer in synthesizers]
    changed = [name for name in parameters[0] if name not in NOT_COMPARED and not _same(name, parameters)]
    if changed:
        yield from ("", "parameters that differ:")
        for name in changed:
            yield f"  - {name}: {' / '.join(_value(one[name]) for one in parameters)}"


NOT_COMPARED = {
    "schema",
    "privacy",
    "journal",
    "device",
    "verbose",
    "callbacks",
    "log_dir",
}  # stated above, or elsewhere


def _same(name: str, parameters: Sequence[Mapping[str, Any]]) -> bool:
    return len({_value(one[name]) for one in parameters}) == 1


def _value(value: Any) -> str:
    return "default" if value is None else str(value)


def too_short(synthesizer: Any) -> str | None:
    """Return a warning if a limit on the steps ended training while the held-out loss still fell; None otherwise."""
    history, limit = synthesizer.history_, synthesizer.max_steps
    measured = history.records and history.records[-1].validation is not None
    last = history.records[-1].step if history.records else 0
    if limit is None or not measured or history.stopped != "finished" or history.best_step < last:
        return None
    return (
        f"training ended at step {last:,}, the most that `max_steps` allows, while the held-out loss still fell: more "
        "steps will give better rows"
    )


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def wrapped(start: str, text: str) -> list[str]:
    """Return text as lines of at most the width of the terminal, indented as the start of the first one."""
    wrap = textwrap.TextWrapper(_width(), initial_indent=start, subsequent_indent=" " * len(start))
    wrap.break_long_words = wrap.break_on_hyphens = False
    return wrap.wrap(escaped(text)) or [start.rstrip()]


def size(place: Path) -> str:
    """Return the size of the files of a model in words."""
    size = float(sum(path.stat().st_size for path in place.iterdir() if path.is_file()))
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
