"""How numbers are written in text columns, so that they are written again in the same way."""

from __future__ import annotations

import math
from collections.abc import Iterable

STYLES = ("repr", "short")  # beside fixed digits after the point: "0", "1", ...


def is_number(text: str) -> bool:
    """Whether a text is a finite decimal number without ornaments."""
    try:
        return math.isfinite(float(text)) and text.strip() == text and "_" not in text
    except ValueError:
        return False


def write(value: float, style: str) -> str:
    """Write a number: with so many digits after the point, or as short as can be, with ("repr") or without a ".0"."""
    if style == "repr":
        return repr(value)
    if style == "short":
        return repr(value).removesuffix(".0")
    return f"{value:.{style}f}"


def find_style(texts: Iterable[str]) -> str | None:
    """The one style in which all numbers in `texts` are written; None if there is none."""
    known = list(texts)
    places = {len(text.partition(".")[2]) for text in known}
    fixed = [str(digits) for digits in places] if len(places) == 1 else []
    for style in (*fixed, *STYLES):
        if all(write(float(text), style) == text for text in known):
            return style
    return None
