"""What all commands share: options, errors in one line, and how results are printed."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TextIO

import typer

from synthvae.cli.interrupts import EXIT_CODE, interruptible
from synthvae.cli.wording import in_shell
from synthvae.errors import SynthvaeError, escaped

P = ParamSpec("P")


if TYPE_CHECKING:
    Place = Any
else:
    Place = type("path or URL", (), {})  # help shows the name of the type


def place_of(text: str) -> Path | str:
    """Return a path, or the text of a URL, whose slashes a path would lose; `reads_tables` parses it.

    Parameters that it parses are annotated as `Place`, since typer makes paths of those that are annotated as paths.
    """
    return text if "://" in text or "::" in text else Path(text)


Table = Annotated[
    Place,
    typer.Argument(
        parser=place_of,
        metavar="TABLE",
        help="File (CSV, Parquet, Excel, Stata, SPSS, SAS, Feather, JSON lines), folder of CSV or Parquet files, or "
        "URL of a database (postgresql://, sqlite:///; with --query).",
        show_default=False,
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Directory of a fitted model.", show_default=False)]
Models = Annotated[
    list[Path], typer.Argument(metavar="MODEL", help="Directories of fitted models.", show_default=False)
]
Seed = Annotated[int | None, typer.Option(help="Random seed: the same seed gives the same result.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress, no warnings, and no summary.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A reviewed schema (YAML).")]
Config = Annotated[Path | None, typer.Option(help="Parameters of the model and of its training (YAML).")]
Effort = Annotated[
    str | None,
    typer.Option(
        metavar="fast|balanced|thorough",
        help="How much the fit may cost; default: balanced. thorough suits columns that depend on many others.",
        show_default=False,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help='Run on the Ray cluster at this address; "local" starts one on this machine.'),
]
Unit = Annotated[
    str | None,
    typer.Option(help="Column that identifies subjects, such as patients, who have several rows; default: each row."),
]
Protect = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Smallest number of subjects of a category, and at or beyond the ends of numbers and dates; 0: none is "
        "protected. Default: 5. Without effect under a privacy budget.",
        show_default=False,
    ),
]


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Turn errors into one line `error: ...` and exit code 1, interrupts into exit code 130, warnings into one line."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with warnings.catch_warnings(), interruptible() as interrupted:
            warnings.showwarning = _locate_warning
            if not kwargs.get("debug"):
                warnings.showwarning = functools.partial(_show_warning, kwargs)
            try:
                _refuse_urls(kwargs)
                command(*args, **kwargs)
            except KeyboardInterrupt as error:
                raise _interruption(str(error)) from error
            except (typer.Exit, typer.Abort, typer.BadParameter):
                raise
            except BrokenPipeError as error:  # the reader of the pipe has closed it
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from error
            except Exception as error:
                if interrupted.is_set():
                    raise _interruption() from error
                if kwargs.get("debug"):
                    _print_traceback(error)
                say(f"error: {in_shell(_one_line(error), kwargs)}", err=True)
                raise typer.Exit(1) from error

    return run


def _refuse_urls(given: Mapping[str, Any]) -> None:
    """Refuse URLs in place of paths before any work; texts, which may be URLs, are checked where they are used."""
    from synthvae.filesystem import local_path

    for name, value in given.items():
        for place in value if isinstance(value, list) else [value]:
            if isinstance(place, Path):
                local_path(place, f"`{name.replace('_', '-')}`")


def _interruption(message: str = "") -> typer.Exit:
    """Report an interrupt and return what ends the command."""
    say(f"error: {message or 'interrupted'}", err=True)
    return typer.Exit(EXIT_CODE)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SynthvaeError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    if isinstance(error, OSError):
        return text
    return f"{type(error).__name__}: {text} (unexpected error: `--debug` prints the traceback; please report it)"


def _show_warning(given: Mapping[str, Any], message: Warning | str, *_: Any) -> None:
    if not given.get("quiet"):
        say(f"warning: {in_shell(' '.join(str(message).split()), given)}", err=True)


def _locate_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning with the place that it is about, as Python does."""
    del file, line
    say(f"{filename}:{lineno}: {category.__name__}: {message}", err=True)


def _print_traceback(error: BaseException) -> None:
    """Print the traceback of an error and of its causes; messages, which may have text of files, are one line each."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        _print_traceback(cause)
        say("The error above led to this one:", err=True)
    say("Traceback (most recent call last):", err=True)
    for line in "".join(traceback.format_tb(error.__traceback__)).splitlines():
        say(line, err=True)
    for note in [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]:
        say(note, err=True)


def say(line: str, *, err: bool = False) -> None:
    """Print one line to stdout or stderr; characters that would end it, or steer a terminal, are escaped."""
    typer.echo(escaped(line), err=err)


def show(result: dict[str, Any], *, as_json: bool, quiet: bool = False) -> None:
    """Print a result as JSON, or unless `quiet` as text with one entry on each line."""
    if as_json:
        typer.echo(json.dumps(result, default=str))
    if as_json or quiet:
        return
    for line in _lines(result):
        say(line)


def _lines(result: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield one line for each entry; nested entries and lists follow, indented."""
    for name, value in result.items():
        title = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict) and any(isinstance(part, list) for part in value.values()):
            yield title
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield title
            yield from (f"{indent}  - {part}" for part in value)
        elif value is not None:
            yield f"{title} {', '.join(f'{k}: {v}' for k, v in value.items()) if isinstance(value, dict) else value}"


def seeded(synthesizer: Any) -> int | None:
    """Set a short seed if the user stated none, and return it. Private fits draw from the operating system."""
    from synthvae.random_state import as_seed

    if synthesizer.random_state is not None or synthesizer.privacy is not None:
        return None
    seed = as_seed(None)
    synthesizer.set_params(random_state=seed)
    return seed


def configured(config: Path | None, given: dict[str, Any], *, verbose: bool) -> Any:
    """Return a synthesizer with the parameters of a YAML file; those in `given` take precedence."""
    from synthvae import Synthesizer

    stated = {name: value for name, value in given.items() if value is not None}
    return Synthesizer(**{"verbose": verbose, **_read_config(config), **stated})


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from synthvae import Synthesizer
    from synthvae.recipe.reading import read_mapping, unknown_key

    parameters = read_mapping(path)
    known = list(Synthesizer().get_params())
    for name in parameters:
        if name not in known:
            raise unknown_key(name, known, str(path))
    return parameters
