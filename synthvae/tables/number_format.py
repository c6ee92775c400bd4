"""Formats of numbers in text columns, so that generated numbers have the same format."""

from __future__ import annotations

import math
from collections.abc import Iterable

STYLES = ("repr", "short")  # besides a fixed number of decimals: "0", "1", ...


def is_number(text: str) -> bool:
    """Whether a text is a finite decimal number without spaces or underscores."""
    try:
        return math.isfinite(float(text)) and text.strip() == text and "_" not in text
    except ValueError:
        return False


def write(value: float, style: str) -> str:
    """Format a number with fixed decimals, or as short as possible with ("repr") or without ("short") a ".0"."""
    if style == "repr":
        return repr(value)
    if style == "short":
        return repr(value).removesuffix(".0")
    return f"{value:.{style}f}"


def find_style(texts: Iterable[str]) -> str | None:
    """Return the format of all numbers in `texts`; None if they have more than one."""
    known = list(texts)
    places = {len(text.partition(".")[2]) for text in known}
    fixed = [str(digits) for digits in places] if len(places) == 1 else []
    for style in (*fixed, *STYLES):
        if all(write(float(text), style) == text for text in known):
            return style
    return None
