"""The shell: `synthvae`, or `python -m synthvae`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the shell; an interrupt while it is loaded ends it in one line, too."""
    try:
        from synthvae.cli import app

        app(prog_name="synthvae")
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)  # noqa: T201 (typer may not be there yet)
        sys.exit(130)


if __name__ == "__main__":
    main()
