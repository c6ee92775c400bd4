"""Which class encodes a column of which kind."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from synthvae import Column
from synthvae.encoding import kinds
from synthvae.schema.column import Kind


def test_every_kind_is_learned_and_declared() -> None:
    assert set(kinds.LEARNED) == set(kinds.DECLARED) == set(get_args(Kind))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_encoding_is_restored_as_the_class_that_was_saved(kind: Kind) -> None:
    dates = ("2020-01-01", "2021-01-01") if kind in ("date", "datetime") else (0, 9)
    if kind == "fake":
        pytest.importorskip("faker")
    own: dict[str, dict[str, Any]] = {"categorical": {"categories": ("a",)}, "fake": {"provider": "name"}}
    own |= {"boolean": {}, "id": {}, "duration": {"event": "y", "bounds": (0, 9)}}
    facts = own.get(kind, {"bounds": dates})
    encoding = kinds.declare(Column(name="x", kind=kind, **facts))
    saved = encoding.model_dump(mode="json")
    assert TypeAdapter(kinds.StoredEncoding).validate_python(saved) == encoding
    assert type(TypeAdapter(kinds.StoredEncoding).validate_python(saved)) is kinds.DECLARED[kind]
