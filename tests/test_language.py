"""Texts of the package are plain technical English, and public docstrings are complete."""

from __future__ import annotations

import importlib
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[1] / "synthvae"
FILES = sorted(PACKAGE.rglob("*.py"))
BANNED = {
    ", however,": "state the rule, `got ...`, and the way out as a sentence of its own",
    r"\bby heart\b": "memorised",
    r"\b(made rows|rows made)\b": "synthetic rows",
    r"\b(learned rows|rows learned)\b": "training rows",
    r"\b(bought|buys?)\b": "measured, budget spent on",
    r"\btold\b": "conditional on, given, reported",
    r"\bgaps\b": "missing values",
    r"\b(beside|among|between) marks\b|\bmarks (beside|among)\b": "sentinel values",
    r"\bis no number\b": "NaN",
    r"\blooks?\b": "validation",
    r"\bnobody\b": "say which rows or units",
    r"\bfacts?\b(?!:)": "metadata, fields",
}
KEYS = re.compile(r"[`'\"](facts|told)[`'\"]")  # of saved files, which keep them
HOMES = ["synthvae", *(f"synthvae.{name}" for name in ("cluster", "estimators", "evaluation", "plots", "privacy"))]
HOMES += ["synthvae.recipe", "synthvae.relational", "synthvae.schema", "synthvae.synthesizer"]
REMOTE = {"RayBackend", "connected", "on"}  # their examples would start a cluster


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings and comments of a file, with their lines; keys and names are no texts."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type in {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_texts_are_plain(path: Path) -> None:
    found = [
        f"{path.name}:{line}: {word.group()!r} (say: {say})"
        for line, text in texts(path)
        for banned, say in BANNED.items()
        if " " in text and (word := re.search(banned, KEYS.sub("", text), re.IGNORECASE))
    ]
    assert not found, "\n".join(found)


def public() -> Iterator[tuple[str, Any]]:
    """Public classes and functions, and the public methods of classes, by name."""
    for home in HOMES:
        module = importlib.import_module(home)
        for name in getattr(module, "__all__", [n for n, v in vars(module).items() if defined_in(v, home)]):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{home.removeprefix('synthvae.')}.{name}", value


def defined_in(value: Any, home: str) -> bool:
    return inspect.isfunction(value) and value.__module__ == home and not value.__name__.startswith("_")


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_docstring_has_arguments(name: str) -> None:
    document = inspect.getdoc(PUBLIC[name]) or ""
    parameters = [p for p in inspect.signature(PUBLIC[name]).parameters.values() if p.name not in {"self", "data"}]
    assert document, "no docstring"
    missing = [p.name for p in parameters if p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}]
    missing = [name for name in missing if not re.search(rf"(^|[\s,`*]){name}([,:` (]|$)", document, re.MULTILINE)]
    assert not missing, f"undocumented: {missing}"


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.rpartition(".")[2] not in REMOTE])
def test_a_public_docstring_has_an_example(name: str) -> None:
    """`test_docstrings` runs them."""
    assert ">>> " in inspect.getsource(PUBLIC[name])
