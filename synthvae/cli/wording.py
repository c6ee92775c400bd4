"""Messages of the library in the words of the shell: options in place of parameters, lists without brackets."""

from __future__ import annotations

import re
from collections.abc import Collection

OPTIONS = {
    "random_state": "--seed",
    "classes": "--class",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            "epsilon", "delta", "unit", "rows_per_unit", "protect", "rows", "rows_per_class", "given", "partition",
            "resume", "overwrite", "workers", "conditions", "log_dir", "target", "draws", "indicator", "schema",
            "duration", "event", "group", "weights", "broken_rows", "subjects", "scale", "copies", "describe",
        )
    },
}  # fmt: skip
NAMED = re.compile(rf"`({'|'.join(OPTIONS)})`")
SET = re.compile(rf"`?\b({'|'.join(OPTIONS)})=(True|False|None)\b`?")
TEXT = re.compile(rf"`?\b({'|'.join(OPTIONS)})=\"([\w-]+)\"`?")
QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
LIST = re.compile(rf"\[({QUOTED}(?:, {QUOTED})*(?:, \.\.\. \([\d,]+ in all\))?)\]")
ARGUMENTS = {"schema": "schema_file", "random_state": "seed"}  # where a command has another name


def in_shell(message: str, parameters: Collection[str]) -> str:
    """Return a message with the options of a command in place of parameters of the library.

    Args:
        message: The message.
        parameters: The parameters of the command; those of the library that it does not have stay as they are.

    >>> in_shell('Declare a schema, or pass schema="private".', ["schema_file"])
    'Declare a schema, or pass `--schema private`.'
    >>> in_shell("Pass `rows`, or partition=False; choose among ['age', 'sex'].", ["rows", "partition"])
    "Pass `--rows`, or no `--partition`; choose among 'age', 'sex'."
    """

    def named(match: re.Match[str]) -> str:
        return f"`{OPTIONS[match[1]]}`" if _is_known(match[1], parameters) else match[0]

    def as_flag(match: re.Match[str]) -> str:
        if not _is_known(match[1], parameters):
            return match[0]
        return f"`{OPTIONS[match[1]]}`" if match[2] == "True" else f"no `{OPTIONS[match[1]]}`"

    def with_text(match: re.Match[str]) -> str:
        return f"`{OPTIONS[match[1]]} {match[2]}`" if _is_known(match[1], parameters) else match[0]

    return LIST.sub(r"\1", NAMED.sub(named, SET.sub(as_flag, TEXT.sub(with_text, message))))


def _is_known(name: str, parameters: Collection[str]) -> bool:
    return ARGUMENTS.get(name, name) in parameters
