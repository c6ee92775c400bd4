"""A page of a recipe, or of parameters, and its keys by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synthvae import pages
from synthvae.errors import ConfigurationError, listing

LARGEST = 1 << 20  # bytes; nobody reviews a longer page
MOST = 50_000  # values


def read_page(path: Path) -> dict[str, Any]:
    """Return a YAML file that holds values by name; 1e-5 is a number there.

    Raises:
        ConfigurationError: It cannot be read, is too long, no YAML, no mapping, or has aliases or a key twice.
        FileNotFoundError: There is no such file.
    """
    try:
        page = pages.load(pages.read(path, LARGEST), MOST, pages.ExponentLoader)
    except ValueError as error:
        raise ConfigurationError(f"{path} {error}") from error
    if not isinstance(page, dict):
        found = "empty" if page is None else f"a {type(page).__name__}"
        raise ConfigurationError(f"{path} must hold values by name, however, it is {found}: write `key: value` lines")
    return page


def unknown(name: object, known: Iterable[str], where: str) -> ConfigurationError:
    """Return the refusal of a name that is not among the known ones: it names the nearest of these.

    Args:
        name: The name that is there.
        known: Those that may be.
        where: What the message begins with: the file, and the section inside it.
    """
    among = list(known)
    near = difflib.get_close_matches(str(name)[:100], among, 3) or among
    shown = f"{name!r}"[:100]
    return ConfigurationError(f"{where}: a key must be known, however, {shown} is not: try {listing(near, len(near))}")
