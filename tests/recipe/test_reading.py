"""A page of YAML is plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthvae.recipe.reading import read_mapping


@pytest.mark.parametrize(("text", "value"), [("1e-5", 1e-5), ("2E+3", 2000.0), ("1.5e3", 1500.0), ("-3e2", -300.0)])
def test_numbers_with_an_exponent_are_numbers(tmp_path: Path, text: str, value: float) -> None:
    page = tmp_path / "page.yaml"
    page.write_text(f"delta: {text}\nname: e5\n", encoding="utf-8")
    assert read_mapping(page) == {"delta": value, "name": "e5"}
