"""Draw the packages and their floors, as `tests/test_imports.py` states them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TABLES = {"tables", "schema", "encoding", "evaluation"}
TENSORS = {"model", "training"}
MEETING = {"generation", "privacy", "synthesizer"}
LEFT_OUT = {"__init__", "__main__", "_version"}
WIDTH, ROW, BOX, GAP, LEFT, TOP = 760, 46, 112, 12, 70, 40
FONT = 'font-family="system-ui, sans-serif" font-size="14"'
FILLS = {"tables": "#cfe3f2", "tensors": "#f9dcc4", "meeting": "#e5d5ef", "other": "#e6e6e6"}
LEGEND = {
    "tables": "tables (pandas, Arrow)",
    "tensors": "tensors (torch)",
    "meeting": "where both meet",
    "other": "neither",
}


def floors() -> list[set[str]]:
    """Return the floors, lowest first, of the packages that exist."""
    tree = ast.parse((ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8"))
    found = next(node.value for node in tree.body if isinstance(node, ast.Assign) and _is_floors(node))
    stated = [set(names) - LEFT_OUT for names in ast.literal_eval(found)]
    there = {path.stem for path in (ROOT / "synthvae").iterdir()}
    return [names & there for names in stated if names & there]


def _is_floors(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "FLOORS"


def side(name: str) -> str:
    """Return the kind of a package, which is its colour."""
    kinds = {"tables": TABLES, "tensors": TENSORS, "meeting": MEETING}
    return next((kind for kind, names in kinds.items() if name in names), "other")


def draw() -> str:
    """Return the picture as SVG, the highest floor on top."""
    levels = floors()
    height = TOP + ROW * len(levels) + 60
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" {FONT}>',
            "<title>The packages of synthvae and their floors</title>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="26" fill="#333">an import leads to a lower floor</text>',
            *(line for n, names in enumerate(levels) for line in _floor(n, names, len(levels))),
            *_legend(height - 34),
            "</svg>",
            "",
        ]
    )


def _floor(number: int, names: set[str], count: int) -> Iterator[str]:
    y = TOP + ROW * (count - 1 - number)
    yield f'<text x="24" y="{y + 24}" fill="#666">{number + 1}</text>'
    yield f'<line x1="{LEFT - 14}" y1="{y + ROW - 4}" x2="{WIDTH - 20}" y2="{y + ROW - 4}" stroke="#ddd"/>'
    for place, name in enumerate(sorted(names)):
        x = LEFT + place * (BOX + GAP)
        yield f'<rect x="{x}" y="{y + 4}" width="{BOX}" height="30" rx="5" fill="{FILLS[side(name)]}" stroke="#999"/>'
        yield f'<text x="{x + BOX / 2}" y="{y + 24}" text-anchor="middle" fill="#111">{name}</text>'


def _legend(y: int) -> Iterator[str]:
    for place, (kind, text) in enumerate(LEGEND.items()):
        x = LEFT + place * 170
        yield f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{FILLS[kind]}" stroke="#999"/>'
        yield f'<text x="{x + 20}" y="{y + 12}" fill="#333" font-size="12">{text}</text>'


def write(app: Any, config: Any) -> None:
    """Write the picture before Sphinx collects static files."""
    del config
    place = Path(app.srcdir, "_static", "architecture.svg")
    if not place.exists() or place.read_text(encoding="utf-8") != draw():
        place.write_text(draw(), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Draw at the beginning of a build."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
