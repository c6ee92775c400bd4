"""The former spelling `evaluate --json FILE` of `--json-file FILE`, for one release."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

JSON, JSON_FILE = "--json", "--json-file"


class JsonFileCommand(TyperCommand):
    """A command with two arguments, `--json` and `--json-file FILE`, that also takes the former `--json FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the word after `--json` is a file if it is one argument too many."""
        return super().parse_args(ctx, self._renamed(ctx, args))

    def _renamed(self, ctx: Any, args: list[str]) -> list[str]:
        place = next((place for place, word in enumerate(args) if word.partition("=")[0] == JSON), None)
        if place is None:
            return args
        word, sign, file = args[place].partition("=")
        following = args[place + 1 : place + 2]
        if not sign and (not following or following[0].startswith("-") or not self._is_extra(ctx, args)):
            return args
        typer.echo(f"warning: `{word} FILE` is deprecated. Use `{JSON_FILE} FILE` instead.", err=True)
        return [*args[:place], JSON_FILE, *([file] if sign else []), *args[place + 1 :]]

    def _is_extra(self, ctx: Any, args: list[str]) -> bool:
        """Whether there is one argument more than the command takes."""
        from_words = self.make_parser(ctx).parse_args(args=list(args))
        return len(from_words[1]) == 1
