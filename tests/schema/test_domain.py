"""What a person has to declare before a private fit, and how what is lacking is told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from test_coercion import AGE, CODED, DAY, DOSE, INF, SEEN, SEX, SITE, SMOKER, STAGE

from synthvae import Column, Schema
from synthvae.errors import PrivacyError
from synthvae.schema.domain import refuse_undeclared


def _refused(**facts: Any) -> str:
    with pytest.raises(PrivacyError) as refused:
        refuse_undeclared(Schema(columns=[AGE, Column(name="odd", **facts)]))
    return str(refused.value)


MOMENTS = tuple(dt.datetime(2020, 1, 1, 0, 0, 0, microsecond) for microsecond in (1, 2))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("facts", "rule", "way_out"),
    [
        ({"kind": "categorical"}, "`categories` must be declared", "synthvae schema TABLE --declare"),
        ({"kind": "integer"}, "`bounds` must be declared", "synthvae schema TABLE --declare"),
        ({"kind": "continuous"}, "`bounds` must be declared", "review it"),
        ({"kind": "date"}, "`bounds` must be declared", "review it"),
        ({"kind": "datetime"}, "`bounds` must be declared", "review it"),
        ({"kind": "continuous", "bounds": (0, INF)}, "`bounds` must be finite", "Declare the possible values"),
        ({"kind": "integer", "bounds": (-INF, 5)}, "`bounds` must be finite", "Declare the possible values"),
        ({"kind": "integer", "bounds": (0, 2**53 + 1)}, "within ±2**53", "Narrow them"),
        ({"kind": "integer", "bounds": (0.2, 0.8)}, "a value between them", "Widen them"),
        ({"kind": "continuous", "bounds": (0.12, 0.18), "decimals": 1}, "a value between them", "Widen them"),
        ({"kind": "datetime", "bounds": MOMENTS}, "a value between them", "Widen them"),
        ({"kind": "categorical", "categories": (), "nullable": False}, "must have a category", "Declare one"),
    ],
)
def test_what_is_not_declared_is_refused_with_rule_column_and_way_out(
    facts: dict[str, Any], rule: str, way_out: str
) -> None:
    message = _refused(**facts)
    assert message.startswith("Column 'odd': ")
    stated, _, advice = message.partition(". ")
    assert rule in stated
    assert way_out in advice


def test_an_inferred_schema_is_refused_with_the_way_out() -> None:
    with pytest.raises(PrivacyError, match=r"requires a declared schema, got an inferred one.*--declare.*delete"):
        refuse_undeclared(Schema(columns=[AGE], inferred=True))


def test_what_is_declared_is_not_refused() -> None:
    columns = (AGE, DOSE, CODED, SEX, STAGE, SITE, SMOKER, DAY, SEEN, Column(name="x", kind="id"))
    declared = [column.model_copy(update={"name": f"x{place}"}) for place, column in enumerate(columns)]
    refuse_undeclared(Schema(columns=declared))


def test_categories_that_no_type_holds_are_refused() -> None:
    column = Column(name="x", kind="categorical", categories=[-1, 2**63])
    with pytest.raises(PrivacyError, match=r"one below 0 and one of 2\*\*63 or more\. Declare them"):
        refuse_undeclared(Schema(columns=[column]))
