"""The former spelling `evaluate --json FILE` of `--json-file FILE`, for one release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from synthvae.cli.plain_flags import PlainCommand

JSON, JSON_FILE = "--json", "--json-file"


class JsonFileCommand(PlainCommand):
    """A command with tables as arguments, `--json` and `--json-file FILE`, that also takes the former `--json FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the word after `--json` is a file if it is none of a table, beside two tables."""
        return super().parse_args(ctx, self._renamed(ctx, args))

    def _renamed(self, ctx: Any, args: list[str]) -> list[str]:
        place = next((place for place, word in enumerate(args) if word.partition("=")[0] == JSON), None)
        if place is None:
            return args
        word, sign, file = args[place].partition("=")
        following = args[place + 1 : place + 2]
        if not sign and (not following or following[0].startswith("-") or not self._is_file(ctx, args, following[0])):
            return args
        typer.echo(f"warning: `{word} FILE` is deprecated. Use `{JSON_FILE} FILE` instead.", err=True)
        return [*args[:place], JSON_FILE, *([file] if sign else []), *args[place + 1 :]]

    def _is_file(self, ctx: Any, args: list[str], word: str) -> bool:
        """Whether a word is the file for the result: an argument beside two tables, and no table."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        return len(given["synthetic"]) == 2 and word.endswith(".json") and not _is_table(Path(word))


def _is_table(place: Path) -> bool:
    """Whether a file is anything but a former result, which may be replaced."""
    try:
        return "sections" not in json.loads(place.read_text(encoding="utf-8"))
    except OSError:
        return False
    except (ValueError, TypeError):
        return True
