"""Compare the packages of this environment with a constraints file, or write them into it.

    python pins.py check FILE
    python pins.py write FILE

Constraints name packages and versions alone, no addresses. Left out: synthvae itself, and setuptools, of which each
Python brings its own.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

OWN = {"synthvae", "setuptools"}


def canonical(name: str) -> str:
    """The name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """The version of each package; `+cpu` and the like say where it was built."""
    found = {canonical(d.metadata["Name"]): d.version.partition("+")[0] for d in metadata.distributions()}
    return {name: version for name, version in sorted(found.items()) if name not in OWN}


def pinned(text: str) -> dict[str, str]:
    """The version of each package that a constraints file pins."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {canonical(name): version for name, mark, version in (line.partition("==") for line in lines) if mark}


def main() -> None:
    """Check or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "write"])
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    text = given.file.read_text(encoding="utf-8") if given.file.exists() else ""
    if given.action == "write":
        comments = [line for line in text.splitlines() if line.startswith("#")]
        pins = [f"{name}=={version}" for name, version in installed().items()]
        given.file.write_text("\n".join([*comments, *pins, ""]), encoding="utf-8")
        return
    pins_there = pinned(text)
    wrong = [f"{name}=={version}" for name, version in installed().items() if pins_there.get(name) != version]
    if wrong:
        sys.exit(f"{given.file} must pin what is installed. It does not pin {', '.join(wrong)}. Run `make pin`.")


if __name__ == "__main__":
    main()
