"""The site: what it must hold, and what its built pages must not ask of the network."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = DOCS / "_build" / "html"
LOADED = runpy.run_path(str(DOCS / "offline.py"))["loaded"]
PACKAGES = ["cluster", "estimators", "evaluation", "privacy", "recipe", "relational", "schema", "synthesizer"]
CONSTANTS = {"synthvae.cluster.LOCAL", "synthvae.evaluation.METRICS"}  # described in words


def documented() -> set[str]:
    """The full names that the reference lists."""
    pages = (DOCS / "reference" / "python").glob("*.md")
    listed = re.compile(r"^   (synthvae\.[\w.]+)$", re.MULTILINE)
    return {name for page in pages for name in listed.findall(page.read_text(encoding="utf-8"))}


def module_of(name: str) -> ModuleType:
    return importlib.import_module(name.rpartition(".")[0])


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(package: str) -> None:
    names = {f"synthvae.{package}.{name}" for name in importlib.import_module(f"synthvae.{package}").__all__}
    assert not names - documented() - CONSTANTS


def test_the_reference_has_every_exception() -> None:
    errors = importlib.import_module("synthvae.errors")
    names = {
        name for name, kind in vars(errors).items() if name.endswith("Error") and kind.__module__ == errors.__name__
    }
    assert {name.rpartition(".")[2] for name in documented() if name.startswith("synthvae.errors.")} == names
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+Error)` \|", page, re.MULTILINE)) == names - {"SynthvaeError"}


@pytest.mark.parametrize("name", sorted(documented()))
def test_what_the_reference_lists_exists(name: str) -> None:
    assert hasattr(module_of(name), name.rpartition(".")[2])


def test_addresses_that_a_page_loads_are_found(tmp_path: Path) -> None:
    loads = {
        "script.html": '<script defer src="https://a.example/x.js"></script>',
        "font.html": '<link rel="stylesheet" href="//a.example/x.css"/>',
        "picture.html": "<img alt='' src='http://a.example/badge.svg'>",
        "style.css": '@import "https://a.example/x.css"; a { background: url(https://a.example/x.png) }',
    }
    harmless = {
        "link.html": '<a href="https://a.example">a</a> <link rel="canonical" href="https://a.example/">',
        "local.html": '<script src="_static/x.js"></script> <img src="data:image/png;base64,AA==">',
    }
    for name, text in {**loads, **harmless}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {path.name for path, _ in LOADED(tmp_path)} == set(loads)


@pytest.mark.skipif(not SITE.exists(), reason="the site is not built: `make docs`")
def test_built_pages_load_nothing_from_the_network() -> None:
    assert not list(LOADED(SITE))
