"""Commands whose help names no type for flags: `--help`, and not `--help <bool>`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class PlainCommand(TyperCommand):
    """A command that names no type for its flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with those that typer and click add."""
        return _without_types(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands that names no type for its flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with those that typer and click add."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters
