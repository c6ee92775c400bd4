"""Check that the pages of a built site load nothing from the network: python docs/offline.py docs/_build/html."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# What a browser loads by itself. Links that a reader clicks on may lead anywhere.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\ssrc\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|author|license))[^>]*?\shref\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"')\s]+)"""
    r"""|url\(\s*["']?((?:https?:)?//[^"')\s]+)""",
    re.IGNORECASE,
)


def loaded(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each address in the network that a page or style sheet loads, with its file."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".html", ".css"}):
        for match in LOADED.finditer(path.read_text(encoding="utf-8")):
            yield path, next(group for group in match.groups() if group)


def main() -> None:
    """Print what is loaded, and fail if anything is."""
    found = list(loaded(Path(sys.argv[1])))
    for path, address in found:
        print(f"{path}: {address}", file=sys.stderr)
    if found:
        sys.exit("The pages must work without a network. Ship these files in docs/_static.")


if __name__ == "__main__":
    main()
