"""A synthesizer from the options of a command and a page of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def configured(config: Path | None, given: dict[str, Any], *, verbose: bool) -> Any:
    """A synthesizer with the parameters of a page, those `given` in their place."""
    from synthvae import Synthesizer

    stated = {name: value for name, value in given.items() if value is not None}
    return Synthesizer(**{"verbose": verbose, **_read_config(config), **stated})


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from synthvae import Synthesizer
    from synthvae.recipe.reading import read_page, unknown

    page = read_page(path)
    known = list(Synthesizer().get_params())
    for name in page:
        if name not in known:
            raise unknown(name, known, str(path))
    return page
