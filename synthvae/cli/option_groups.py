"""Groups of options that several commands share: a command takes one parameter in their place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Command = Callable[..., None]


def in_place_of(
    parameter: str, options: Mapping[str, Any], build: Callable[..., Any], defaults: Mapping[str, Any] | None = None
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command some options in place of one parameter.

    Args:
        parameter: The parameter.
        options: The annotations of the options, by the names of their values.
        build: Makes the value of the parameter of the options that are given, by name.
        defaults: Defaults of options; those of the others are None.
    """
    known = defaults or {}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> None:
            given = {name: value for name in options if (value := kwargs.pop(name)) is not None}
            command(*args, **{parameter: build(**given)}, **kwargs)

        own, kind = inspect.signature(command, eval_str=True), inspect.Parameter.POSITIONAL_OR_KEYWORD
        new = [inspect.Parameter(name, kind, default=known.get(name), annotation=of) for name, of in options.items()]
        parameters = [one for old in own.parameters.values() for one in (new if old.name == parameter else [old])]
        signature = own.replace(parameters=parameters)
        vars(run).update(__signature__=signature)
        run.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        return run

    return decorate
