"""The command line: parse options, call the library, print. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help and completion respond at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from synthvae._version import __version__
from synthvae.cli import evaluate, fit, generate, impute, run
from synthvae.cli import help as helping
from synthvae.cli.plain_flags import PlainGroup

app = typer.Typer(
    cls=PlainGroup,
    help="Fit a conditional VAE to a table and write synthetic rows of each class.",
    epilog=helping.epilog(helping.FIRST_STEPS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=helping.HELP,
)
COMMANDS = {
    helping.USE: (generate.demo, fit.schema, fit.fit, generate.generate, generate.augment, impute.impute, run.run),
    helping.CHECK: (evaluate.evaluate, fit.info, fit.audit),
}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"synthvae {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


helping.add(app, COMMANDS)
