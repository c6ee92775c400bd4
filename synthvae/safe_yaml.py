"""A page of YAML as plain values: nothing is expanded, executed or guessed. The only reader of YAML.

A page may come from a stranger. It is walked through as a stream of events first, which takes no memory, so that what
is built afterwards is known to be small and flat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 50  # brackets or indents inside each other
LONGEST_NUMBER = 400  # characters; a double has fewer

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same loader, ten times as fast where libyaml is there


class PlainLoader(_Safe):  # type: ignore[misc]
    """YAML 1.1 as plain values; no number is longer than can be reckoned with."""

    def short_int(self, node: yaml.ScalarNode) -> Any:
        """A whole number."""
        return self.construct_yaml_int(_short(node))

    def short_float(self, node: yaml.ScalarNode) -> Any:
        """A number."""
        return self.construct_yaml_float(_short(node))


class ExponentLoader(PlainLoader):
    """The same, but 1e-5 is a number, as people who write it mean."""


PlainLoader.add_constructor("tag:yaml.org,2002:int", PlainLoader.short_int)
PlainLoader.add_constructor("tag:yaml.org,2002:float", PlainLoader.short_float)
ExponentLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _short(node: yaml.ScalarNode) -> yaml.ScalarNode:
    if len(node.value) > LONGEST_NUMBER:
        raise ValueError(f"a number has {len(node.value)} characters, more than {LONGEST_NUMBER}")
    return node


def read(path: Path, largest: int) -> str:
    """Return the text of a file of at most so many bytes.

    Raises:
        ValueError: It is longer, not UTF-8, or may not be read; the message goes on from the name of the page.
        FileNotFoundError: There is no such file.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"must be a file that can be read, however, it cannot ({error.strerror}): check it") from error
    if len(content) > largest:
        raise ValueError(f"must have at most {largest:,} bytes, however, it has more: shorten it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be text in UTF-8, however, {error}: save it so") from error


def load(text: str, most: int, loader: type[PlainLoader] = PlainLoader) -> Any:
    """Return what a page of YAML says.

    An alias (`*name`) is refused, since a few lines of them can stand for billions of values; so is a key that is there
    twice, of which YAML would silently take the last.

    Args:
        text: The page.
        most: The number of values, keys and brackets that it may have.
        loader: Which YAML it is.

    Raises:
        ValueError: It is no such page; the message goes on from its name.
    """
    try:
        _refuse_tricks(text, most, loader)
        opened = loader(text)
        node = opened.get_single_node()
        _refuse_twice(node)
        return None if node is None else opened.construct_document(node)
    except _TrickError:
        raise
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"must be YAML, however, {' '.join(str(error).split())}: mend it") from error


def dump(page: Any) -> str:
    """Return the YAML that says what a page does, letters as they are if they are read again so."""
    text: str = yaml.safe_dump(page, sort_keys=False, allow_unicode=True, width=120)
    if _says(text, page):
        return text
    return str(yaml.safe_dump(page, sort_keys=False, width=120))  # a name holds what YAML takes for the end of a line


def _says(text: str, page: Any) -> bool:
    try:
        return bool(yaml.load(text, Loader=PlainLoader) == page)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError:
        return False


class _TrickError(ValueError):
    """It is YAML, but none that a person writes."""


def _too_deep() -> _TrickError:
    return _TrickError(f"must be a flat page, however, it is more than {DEEPEST} levels deep: flatten it")


def _events(text: str, loader: type[PlainLoader]) -> Iterator[yaml.Event]:
    """The events of a page. Scanners from PyYAML 6.0.4 on refuse deep nesting themselves, before the first event."""
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):
            raise _too_deep() from error
        raise


def _refuse_tricks(text: str, most: int, loader: type[PlainLoader]) -> None:
    depth = 0
    for count, event in enumerate(_events(text, loader)):
        if isinstance(event, yaml.AliasEvent):
            raise _TrickError(
                f"must say each value where it stands, however, it has the alias *{event.anchor}: write the value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _too_deep()
        if count > most:
            raise _TrickError(f"must have at most {most:,} values, however, it has more: shorten it")


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _refuse_twice(page: yaml.Node | None) -> None:
    for mapping in _mappings(page):
        seen: set[tuple[str, str]] = set()
        for name in ((key.tag, key.value) for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)):
            if name in seen:
                raise _TrickError(f"must have each key once, however, {name[1]!r} is there twice: keep one")
            seen.add(name)
