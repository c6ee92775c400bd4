"""The shell: `synthvae`, or `python -m synthvae`."""

from __future__ import annotations

from synthvae.interrupts import leave_while_loading


def main() -> None:
    """Run the shell."""
    leave_while_loading()
    from synthvae.cli import app

    app(prog_name="synthvae")


if __name__ == "__main__":
    main()
