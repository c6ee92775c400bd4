"""Write the reference of the command line and of recipes from the code, as Markdown that pages include."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from synthvae.cli.main import app as commands
from synthvae.recipe import json_schema

FOLDER = "reference/generated"


def cli() -> Iterator[str]:
    """Yield the lines of every command: what it does, its arguments and its options."""
    for name, command in get_command(commands).commands.items():  # type: ignore[attr-defined]
        context = command.make_context(f"synthvae {name}", [], resilient_parsing=True)
        usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
        yield from (f"## synthvae {name}", "", inspect.cleandoc(command.help or ""), "", "```text", usage, "```", "")
        for kind in ("argument", "option"):
            records = (parameter.get_help_record(context) for parameter in command.params if _is(parameter, kind))
            yield from _table(kind, records)


def _is(parameter: Any, kind: str) -> bool:
    return bool(parameter.param_type_name == kind)


def _table(title: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    found = [f"| `{left}` | {_cell(right)} |" for left, right in rows]
    if found:
        yield from (f"| {title} | |", "| --- | --- |", *found, "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def recipe() -> Iterator[str]:
    """Yield the lines of every section of a recipe and its keys."""
    schema = json_schema()
    yield from _section("Top level", schema, schema["$defs"])
    for key, value in schema["properties"].items():
        name = _reference(value)
        if name is not None:
            yield from _section(f"`{key}:`", schema["$defs"][name], schema["$defs"])


def _reference(value: Mapping[str, Any]) -> str | None:
    """The section that a key holds, if it holds one."""
    found = [part["$ref"] for part in [value, *value.get("anyOf", [])] if "$ref" in part]
    return found[0].rpartition("/")[2] if found else None


def _section(title: str, section: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[str]:
    required = section.get("required", [])
    yield from (f"## {title}", "", section.get("description", ""), "")
    yield from ("| key | takes | default | |", "| --- | --- | --- | --- |")
    for name, value in section["properties"].items():
        default = "required" if name in required else _default(value)
        yield f"| `{name}` | {_cell(_type(value, sections))} | {default} | {_cell(value.get('description', ''))} |"
    yield ""


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "" if default in (None, {}) else f"`{default}`"


def _type(value: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "anyOf" in value:
        parts = [_type(part, sections) for part in value["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "$ref" in value:
        return "a section (below)"
    if "const" in value or "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    inside = value.get("items") or value.get("additionalProperties")
    within = f" of {_type(inside, sections)}" if isinstance(inside, Mapping) and inside else ""
    return {"array": "list", "object": "mapping"}.get(value.get("type", "any"), value.get("type", "any")) + within


def write(app: Any) -> None:
    """Write the pages; Sphinx reads one again only if it has changed."""
    folder = Path(app.srcdir, FOLDER)
    folder.mkdir(exist_ok=True, parents=True)
    for name, lines in {"cli": cli(), "recipe": recipe()}.items():
        text, path = "\n".join(lines) + "\n", folder / f"{name}.inc.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx reads its own."""
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
