"""The command line: `synthvae`, or `python -m synthvae`."""

from __future__ import annotations

import os
import sys

from synthvae.cli.interrupts import EXIT_CODE, leave_while_loading


def main() -> None:
    """Run the command line. After an interrupted command the process exits without waiting for threads."""
    leave_while_loading()
    from synthvae.cli.main import app

    try:
        app(prog_name="synthvae")
    except SystemExit as ended:
        if ended.code != EXIT_CODE:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_CODE)


if __name__ == "__main__":
    main()
