"""Former names of a column's fields give the same column as the current ones, with a warning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from synthvae import Column, Schema
from synthvae.errors import SchemaError

DOSE = Column(name="dose", kind="integer", sentinels=["N", -9])
SITE = Column(name="site", kind="categorical", categories=["a", "b"], other_category="b")
FORMER = """\
columns:
- {name: dose, kind: integer, marks: [N, -9]}
- {name: again, kind: integer, marks: [N, -9]}
- {name: site, kind: categorical, categories: [a, b], other: b}
"""


@pytest.mark.parametrize(
    ("column", "former", "fields"),
    [
        (DOSE, "marks", {"name": "dose", "kind": "integer", "marks": ["N", -9]}),
        (SITE, "other", {"name": "site", "kind": "categorical", "categories": ["a", "b"], "other": "b"}),
    ],
)
def test_a_former_name_is_a_deprecated_alias(column: Column, former: str, fields: dict[str, Any]) -> None:
    current = {"marks": "sentinels", "other": "other_category"}[former]
    with pytest.warns(DeprecationWarning, match=f"`{former}` is now called `{current}`") as found:
        assert Column(**fields) == column
    assert [Path(warning.filename) for warning in found] == [Path(__file__)]
    with pytest.warns(DeprecationWarning, match=current):
        assert Schema(columns=[fields])[column.name] == column
    with pytest.warns(DeprecationWarning, match=current):
        assert getattr(column, former) == getattr(column, current)
    with pytest.warns(DeprecationWarning, match=current):
        assert Schema(columns=[column]).declare(column.name, **{former: fields[former]})[column.name] == column


@pytest.mark.parametrize("column", [DOSE, SITE], ids=lambda column: column.name)
def test_two_names_of_one_field_are_refused(column: Column) -> None:
    fields = column.model_dump() | {"marks": [], "other": None}
    with pytest.raises(SchemaError, match=f"Column '{column.name}': `marks` is the former name of `sentinels`; both"):
        Column(**fields)
    with pytest.raises(SchemaError, match="both are given"):
        Schema.from_dict({"columns": [fields]})


def test_a_file_with_former_names_is_read_with_one_visible_warning_for_each(tmp_path: Path) -> None:
    place = tmp_path / "schema.yaml"
    place.write_text(FORMER, encoding="utf-8")
    with pytest.warns(FutureWarning, match="is now called") as found:
        schema = Schema.from_yaml(place)
    assert [str(warning.message).split()[1] for warning in found] == ["`marks`", "`other`"]
    assert str(place) in str(found[0].message)
    assert (schema["dose"], schema["site"]) == (DOSE, SITE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Schema.from_yaml(schema.to_yaml()) == schema


def test_a_saved_document_with_former_names_is_read_without_a_warning() -> None:
    former = {
        "columns": [
            {"name": "dose", "kind": "integer", "marks": ["N", -9]},
            {"name": "site", "kind": "categorical", "categories": ["a", "b"], "other": "b"},
        ]
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Schema.from_dict(former) == Schema(columns=[DOSE, SITE])


@pytest.mark.parametrize("document", [None, [], "columns", {"columns": {"name": "x"}}, {"columns": [1, None]}, {}])
def test_a_document_that_describes_no_schema_is_refused(document: Any) -> None:
    with pytest.raises(SchemaError):
        Schema.from_dict(document)
