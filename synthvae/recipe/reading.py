"""A page of YAML as plain values, and its keys by name: nothing is expanded, executed or guessed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from synthvae.errors import ConfigurationError, listing

LARGEST = 1 << 20  # bytes; nobody reviews a longer page
DEEPEST = 50  # brackets or indents inside each other


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-5 is a number, as people who write it mean."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_page(path: Path) -> dict[str, Any]:
    """Return a YAML file that holds values by name.

    An alias (`*name`) is refused, since a few lines of them can stand for billions of values; so is a key that is there
    twice, of which YAML would silently take the last.

    Raises:
        ConfigurationError: It is too long, no YAML, no mapping, or has aliases or a key twice.
        FileNotFoundError: There is no such file.
    """
    try:
        text = _text(path)
        _refuse_tricks(text, path)
        page = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{path} must be YAML, however, {' '.join(str(error).split())}: mend it") from error
    if not isinstance(page, dict):
        found = "empty" if page is None else f"a {type(page).__name__}"
        raise ConfigurationError(f"{path} must hold values by name, however, it is {found}: write `key: value` lines")
    return page


def unknown(name: object, known: Iterable[str], where: str) -> ConfigurationError:
    """Return the refusal of a name that is not among the known ones: it names the nearest of these.

    Args:
        name: The name that is there.
        known: Those that may be.
        where: What the message begins with: the file, and the section inside it.
    """
    among = list(known)
    near = difflib.get_close_matches(str(name), among, 3) or among
    return ConfigurationError(f"{where}: a key must be known, however, {name!r} is not: try {listing(near, len(near))}")


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigurationError(f"{path} must have at most {LARGEST} bytes, however, it has more: name files in it")
    return content.decode("utf-8")


def _refuse_tricks(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigurationError(
                f"{path} must say each value where it stands, however, it has the alias *{event.anchor}: "
                "write the value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ConfigurationError(f"{path} must be a flat page, however, it is more than {DEEPEST} levels deep")
    for mapping in _mappings(yaml.compose(text, Loader=yaml.SafeLoader)):
        _refuse_twice(mapping, path)


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _refuse_twice(mapping: yaml.MappingNode, path: Path) -> None:
    keys = [(key.tag, key.value) for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)]
    twice = [name for place, (tag, name) in enumerate(keys) if (tag, name) in keys[:place]]
    if twice:
        raise ConfigurationError(f"{path} must have each key once, however, {twice[0]!r} is there twice: keep one")
