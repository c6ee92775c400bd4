"""Read YAML and JSON from untrusted sources as plain values. The only reader of YAML in the package.

The text is first parsed as a stream of events, which takes little memory, so that the values that are constructed
afterwards are known to be few and not deeply nested. Error messages continue the name of the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from synthvae.errors import escaped

MAX_DEPTH = 50  # of nested mappings and lists
MAX_NUMBER_LENGTH = 400  # characters; a double has fewer

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same loader, ten times as fast if libyaml is available


class PlainLoader(_Safe):  # type: ignore[misc]
    """YAML 1.1 as plain values; numbers have a maximum length, since parsing takes time quadratic in it."""

    def short_int(self, node: yaml.ScalarNode) -> Any:
        """Construct a whole number."""
        return self.construct_yaml_int(_short(node))

    def short_float(self, node: yaml.ScalarNode) -> Any:
        """Construct a floating-point number."""
        return self.construct_yaml_float(_short(node))


class ExponentLoader(PlainLoader):
    """A `PlainLoader` that reads 1e-5 as a number, which YAML 1.1 reads as text."""


PlainLoader.add_constructor("tag:yaml.org,2002:int", PlainLoader.short_int)
PlainLoader.add_constructor("tag:yaml.org,2002:float", PlainLoader.short_float)
ExponentLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _short(node: yaml.ScalarNode) -> yaml.ScalarNode:
    if len(node.value) > MAX_NUMBER_LENGTH:
        raise ValueError(f"numbers must have at most {MAX_NUMBER_LENGTH} characters, got {len(node.value)}")
    return node


def read(path: Path, largest: int) -> str:
    """Return the text of a file of at most `largest` bytes.

    Raises:
        ValueError: The file is larger, not UTF-8, or cannot be read.
        FileNotFoundError: There is no such file.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"must be a file that can be read ({error.strerror}).") from error
    if len(content) > largest:
        raise ValueError(f"must have at most {largest:,} bytes, got more. Shorten it.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be text in UTF-8 ({error}). Save it as UTF-8.") from error


def load(text: str, most: int, loader: type[PlainLoader] = PlainLoader) -> Any:
    """Return the value of a YAML document.

    Aliases (`*name`) are errors, since a few lines of them can expand to billions of values; so are duplicate keys, of
    which YAML would silently use the last.

    Args:
        text: The document.
        most: Maximum number of values, keys and collections.
        loader: The dialect of YAML.

    Raises:
        ValueError: The text is not such a document.

    Example:
        >>> load("columns: [a, b]", most=100)
        {'columns': ['a', 'b']}
    """
    try:
        _check_events(text, most, loader)
        opened = loader(text)
        node = opened.get_single_node()
        _check_duplicates(node)
        return None if node is None else opened.construct_document(node)
    except _UnsafeError:
        raise
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"must be YAML ({' '.join(str(error).split())}).") from error


def load_json(text: str | bytes) -> Any:
    """Return the value of a JSON document.

    Duplicate keys, of which Python would silently use the last, are errors, and so are NaN and infinities, which JSON
    does not have.

    Raises:
        ValueError: The text is not such a document.
        RecursionError: It is nested too deeply.

    Example:
        >>> load_json('{"format": 1}')
        {'format': 1}
    """
    return json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"keys must be distinct, got a duplicate of {twice[:100]!r}")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"numbers must be finite, got {name}")


def dump(document: Any) -> str:
    """Return a document as YAML; non-ASCII characters are escaped if one cannot be read again, or steers a terminal."""
    text = _written(document, allow_unicode=True)
    if all(line == escaped(line) for line in text.split("\n")) and _is_read_as(text, document):
        return text
    return _written(document, allow_unicode=False)  # a text contains a Unicode line break, say


def _written(document: Any, *, allow_unicode: bool) -> str:
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=allow_unicode, width=120))


def _is_read_as(text: str, document: Any) -> bool:
    try:
        return bool(yaml.load(text, Loader=PlainLoader) == document)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError:
        return False


class _Dumper(yaml.SafeDumper):
    """Writes text with line breaks on one line, with escapes, so that no line of a document is a text's own."""


def _one_line(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if escaped(text) != text else None)


_Dumper.add_representer(str, _one_line)


class _UnsafeError(ValueError):
    """The text is YAML, but unsafe to construct."""


def _too_deep() -> _UnsafeError:
    return _UnsafeError(f"must have at most {MAX_DEPTH} nested levels, got more. Flatten it.")


def _events(text: str, loader: type[PlainLoader]) -> Iterator[yaml.Event]:
    """The events of a document. PyYAML from 6.0.4 on limits nesting itself, before the first event."""
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):
            raise _too_deep() from error
        raise


def _check_events(text: str, most: int, loader: type[PlainLoader]) -> None:
    depth = 0
    for count, event in enumerate(_events(text, loader)):
        if isinstance(event, yaml.AliasEvent):
            raise _UnsafeError(f"must not have aliases, got *{event.anchor}. Repeat the value instead.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _too_deep()
        if count > most:
            raise _UnsafeError(f"must have at most {most:,} values, got more. Shorten it.")


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _check_duplicates(document: yaml.Node | None) -> None:
    for mapping in _mappings(document):
        seen: set[tuple[str, str]] = set()
        for name in ((key.tag, key.value) for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)):
            if name in seen:
                raise _UnsafeError(f"must have distinct keys, got a duplicate of {name[1]!r}. Remove one.")
            seen.add(name)
