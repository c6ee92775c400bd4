"""Leave out of the reference what scikit-learn adds to every estimator."""

from __future__ import annotations

import re
from typing import Any

ADDED = re.compile(r"set_\w+_request|get_metadata_routing|set_output")


def skip(_app: Any, _what: str, name: str, _obj: Any, skipped: bool, _options: Any) -> bool:  # noqa: FBT001
    """Return whether a member is left out."""
    return skipped or bool(ADDED.fullmatch(name))


def setup(app: Any) -> dict[str, bool]:
    """Choose the members of classes."""
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
