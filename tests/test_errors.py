"""An error of pydantic becomes one line with the key, the rule and the value."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from synthvae.errors import STEERING, escaped, explain


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    share: int | float = Field(gt=0)
    name: str = "x"

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError("must be short" if name.islower() else "`name` must be short.")
        return name


class Outer(BaseModel):
    parts: list[Inner]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"share": -1}, "`parts.0.share`: input should be greater than 0, got -1."),
        ({"share": "much"}, "`parts.0.share`: input should be a valid integer.*, got 'much'."),
        ({"share": "m" * 500}, "got 'm{50,60}."),
        ({}, "`parts.0.share` is missing. Add it."),
        ({"share": 1, "shape": 2}, "`parts.0.shape` is not a known key. Remove it."),
        ({"share": 1, "name": "long"}, "`parts.0.name`: must be short"),
        ({"share": 1, "name": "LONG"}, "`name` must be short."),
    ],
)
def test_a_mistake_is_one_line_with_key_rule_and_value(part: dict[str, Any], message: str) -> None:
    document = {"parts": [part]}
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(document)
    found = explain(refused.value, document)
    assert "\n" not in found
    with pytest.raises(ValueError, match=message):
        raise ValueError(found)


@given(st.text(st.characters() | st.sampled_from("\x1b\n\r\u202e\u2028\ue000\ud800\u200d")))
def test_escaped_text_is_one_line_that_steers_nothing(text: str) -> None:
    found = escaped(text)
    assert not [letter for letter in found if unicodedata.category(letter) in STEERING]
    assert len(found.splitlines()) <= 1
    assert (found == text) == (not any(unicodedata.category(letter) in STEERING for letter in text))
