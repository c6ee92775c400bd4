"""Let sphinx-gallery run copies of the examples, so that what they write stays in the build folder."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

EXAMPLES = Path(__file__).parents[2] / "examples"
COPIES = Path(__file__).parents[1] / "_build" / "examples"
LEFT_OUT = {"gallery.py"}  # it draws the pictures of these pages
HEADER = """Examples
========

Short scripts, one idea each, on data that scikit-learn bundles or that they make up. They need no network. The pages
below show each script and what it printed when this site was built; the scripts stand in the folder ``examples`` of the
repository.
"""


def copies() -> None:
    """Copy the examples, with the title that sphinx-gallery wants."""
    COPIES.mkdir(parents=True, exist_ok=True)
    _write(COPIES / "GALLERY_HEADER.rst", HEADER)
    for path in sorted(EXAMPLES.glob("*.py")):
        if path.name not in LEFT_OUT:
            _write(COPIES / path.name, titled(path))


def titled(path: Path) -> str:
    """Return a script whose docstring has a title: the name of the file, in words."""
    text = path.read_text(encoding="utf-8")
    document = ast.get_docstring(ast.parse(text), clean=False) or ""
    title = path.stem.replace("_", " ").capitalize()
    marked = re.sub(r":\n\n    ", "::\n\n    ", document)  # an indented block is code
    return text.replace(document, f"{title}\n{'=' * len(title)}\n\n{marked}", 1)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def pictures(_: Any, block_variables: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Show the picture that a script wrote into its folder, which has the script's name."""
    picture = Path(block_variables["src_file"]).with_suffix(".png")
    if not picture.exists():
        return ""
    place = Path(next(block_variables["image_path_iterator"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.replace(place)
    return str(figure_rst([str(place)], gallery_conf["src_dir"]))


def configure(app: Any, config: Any) -> None:
    """Copy the examples and say what sphinx-gallery does with them."""
    del app
    copies()
    config.sphinx_gallery_conf = {
        "examples_dirs": [str(COPIES)],
        "gallery_dirs": ["examples"],
        "filename_pattern": r"\.py$",
        "image_scrapers": (pictures,),
        "reset_modules": (),
        "download_all_examples": False,
        "show_memory": False,
        "show_signature": False,
        "min_reported_time": 0,
        "write_computation_times": False,
        "abort_on_example_error": False,
        "only_warn_on_example_error": False,
        "remove_config_comments": True,
        "within_subsection_order": "FileNameSortKey",
    }


def setup(app: Any) -> dict[str, bool]:
    """Configure sphinx-gallery before it looks."""
    app.connect("config-inited", configure, priority=5)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
