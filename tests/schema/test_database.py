"""Keys of linked tables: what is refused, and that metadata come back as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synthvae.errors import SchemaError, TableError
from synthvae.relational import Database, ForeignKey
from synthvae.schema import link_evidence, linkage

TABLES = {
    "patients": pd.DataFrame({"patient_id": [1, 2, 3], "sex": ["f", "m", "f"]}),
    "visits": pd.DataFrame({"visit_id": [10, 11, 12, 13], "patient_id": [1, 1, 2, 3], "day": [0, 7, 0, 0]}),
    "labs": pd.DataFrame({"visit_id": [10, 10, 12], "code": ["na", "k", "na"]}),
    "codes": pd.DataFrame({"code": ["na", "k"], "name": ["sodium", "potassium"]}),
}
FIELDS: dict[str, Any] = {
    "primary_keys": {"patients": "patient_id", "visits": "visit_id", "codes": "code"},
    "foreign_keys": [
        ("visits", "patient_id", "patients", "patient_id"),
        ("labs", "visit_id", "visits", "visit_id"),
        ("labs", "code", "codes", "code"),
    ],
    "order": {"visits": "day"},
    "public": ["codes"],
}


def database(**changes: Any) -> Database:
    return Database(**{"tables": list(TABLES), **FIELDS, **changes})


def test_parents_and_ancestors_follow_the_links() -> None:
    found = database()
    assert {name: key.parent for name, key in found.parents.items()} == {"visits": "patients", "labs": "visits"}
    assert found.ancestors("labs") == ["visits", "patients"]
    assert found.modelled == ["patients", "visits", "labs"]


def test_metadata_come_back_from_yaml(tmp_path: Path) -> None:
    given = database(schemas={"labs": {"drop": ["note"]}})
    assert Database.from_yaml(given.to_yaml()) == given
    given.to_yaml(tmp_path / "database.yaml")
    assert Database.from_yaml(tmp_path / "database.yaml") == given


def test_paths_in_a_file_are_beside_it(tmp_path: Path) -> None:
    TABLES["patients"].to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "db.yaml").write_text("tables: {patients: p.csv}\nprimary_keys: {patients: patient_id}\n", "utf-8")
    assert linkage.read(Database.from_yaml(tmp_path / "db.yaml"))["patients"].num_rows == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": []}, "`tables` must name at least one table"),
        ({"public": ["kodes"]}, r"`public` must name tables among .*, got \['kodes'\]"),
        ({"order": {"visit": "day"}}, "`order` must name tables"),
        ({"foreign_keys": [("labs", ["a", "b"], "visits", "a")]}, "as many columns of the child as of the parent"),
        ({"foreign_keys": [("visits", "v", "visits", "w")]}, "must not form a cycle, got visits -> visits"),
        (
            {"foreign_keys": [("visits", "v", "labs", "w"), ("labs", "v", "visits", "w")]},
            "must not form a cycle, got visits -> labs -> visits",
        ),
        ({"foreign_keys": [("codes", "v", "visits", "w")]}, "`public` tables must refer to public tables alone"),
        ({"foreign_keys": [("codes", "v")]}, "foreign_keys"),
        ({"keys": {}}, "`keys` is not a known key"),
        ({"schemas": {"labs": 3}}, "`schemas` must be Schema objects"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        database(**changes)


def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("- patients\n", "utf-8")
    with pytest.raises(SchemaError, match="A database must be a mapping"):
        Database.from_yaml(tmp_path / "db.yaml")
    with pytest.raises(FileNotFoundError):
        Database.from_yaml(tmp_path / "absent.yaml")


def replaced(table: str, **columns: Any) -> dict[str, pd.DataFrame]:
    return {**TABLES, table: TABLES[table].assign(**columns)}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"patients": TABLES["patients"]}, r"must have all tables of the database, got none named \['visits'"),
        ({**TABLES, "other": TABLES["codes"]}, r"must be those of the database, got \['other'\]"),
        ({**TABLES, "visits": TABLES["visits"].drop(columns="day")}, r"'visits' must have .* none named \['day'\]"),
        (replaced("patients", patient_id=[1, 1, 2]), "'patients' must be unique, got 1 of 3 rows"),
        (replaced("patients", patient_id=[1, None, 3]), "'patients' must be present, got 1 of 3 rows"),
        (replaced("visits", patient_id=[1, 9, 9, 3]), "must be one of 'patients', got 2 of 4 rows with another"),
        (replaced("visits", patient_id=[1, None, 2, 3]), "must be present, since .* got 1 of 4 rows without one"),
        (
            replaced("visits", patient_id=["1", "2", "2", "3"]),
            "must have the type of 'patients', got .*string and int64",
        ),
    ],
)
def test_broken_keys_are_told_with_counts(tables: dict[str, pd.DataFrame], message: str) -> None:
    with pytest.raises(TableError, match=message):
        linkage.read(database(), tables)


def test_keys_of_several_columns_are_matched() -> None:
    events = pd.DataFrame({"who": ["a", "a", "b"], "number": [1, 2, 1]})
    notes = pd.DataFrame({"who": ["b", "a", "a", None], "event": [1, 2, 3, 1]})
    key = ForeignKey("notes", ("who", "event"), "events", ("who", "number"))
    declared = Database(tables=["events", "notes"], foreign_keys=[key])
    tables = {
        name: linkage.read(Database(tables=[name]), {name: t})[name]
        for name, t in (("events", events), ("notes", notes))
    }
    assert link_evidence.parent_rows(declared.foreign_keys[0], tables).tolist() == [
        2,
        1,
        link_evidence.ORPHAN,
        link_evidence.MISSING,
    ]


def test_links_are_drafted_with_evidence() -> None:
    drafted = Database.infer(TABLES)
    assert set(map(str, drafted.foreign_keys)) == {
        "visits(patient_id) -> patients(patient_id)",
        "labs(visit_id) -> visits(visit_id)",
        "labs(code) -> codes(code)",
    }
    assert {str(one) for one in link_evidence.evidence(TABLES)} >= {
        "visits(patient_id) -> patients(patient_id): 100.0% of 4 keys are keys of 'patients'"
    }


def test_metadata_of_sdv_are_read(tmp_path: Path) -> None:
    metadata = {
        "tables": {
            "patients": {"primary_key": "id", "columns": {"id": {"sdtype": "id"}, "sex": {"sdtype": "categorical"}}},
            "visits": {
                "sequence_index": "day",
                "columns": {
                    "patient": {"sdtype": "id"},
                    "day": {"sdtype": "numerical", "computer_representation": "Int64"},
                },
            },
        },
        "relationships": [
            {
                "parent_table_name": "patients",
                "parent_primary_key": "id",
                "child_table_name": "visits",
                "child_foreign_key": "patient",
            }
        ],
    }
    (tmp_path / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    found = Database.from_sdv(tmp_path / "metadata.json")
    assert found.foreign_keys == (ForeignKey("visits", ("patient",), "patients", ("id",)),)
    assert found.order == {"visits": "day"}
    assert found.schemas["patients"].names == ["sex"]
    with pytest.raises(SchemaError, match="must have `tables`"):
        Database.from_sdv({"columns": {}})
