"""Private fits of linked tables: what is spent, what is declared, what is refused, and what no row may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae.errors import PrivacyError, TableError
from synthvae.privacy import PrivacyBudget, mechanisms
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.relational.private_planning import link_privately, plan_privately, read_privately

Frames = dict[str, pd.DataFrame]
CAPS = {"visits": 4, "labs": 6}
SCHEMAS: dict[str, Any] = {
    "patients": {
        "columns": [
            {"name": "born", "kind": "date", "bounds": ("1940-01-01", "1990-12-31"), "nullable": False},
            {"name": "sex", "kind": "categorical", "categories": ["f", "m"], "nullable": False},
        ]
    },
    "visits": {
        "columns": [
            {"name": "day", "kind": "integer", "bounds": (0, 900), "nullable": False},
            {"name": "ward", "kind": "categorical", "categories": ["a", "b", "c"]},
            {"name": "weight", "kind": "continuous", "bounds": (40, 140), "decimals": 1},
        ]
    },
    "labs": {
        "columns": [
            {"name": "code", "kind": "categorical", "categories": ["k", "na"], "nullable": False},
            {"name": "value", "kind": "continuous", "bounds": (-5, 5), "decimals": 2},
        ]
    },
}
NO_CATEGORIES = {"name": "code", "kind": "categorical"}


def tables(subjects: int = 60, seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 10_000, subjects), "D")
    patients = pd.DataFrame({"id": [f"P-{i:04d}" for i in range(subjects)], "born": born})
    patients["sex"] = rng.choice(["f", "m"], subjects)
    counts = rng.integers(0, 7, subjects)
    owner = np.repeat(np.arange(subjects), counts)
    visits = pd.DataFrame({"visit": np.arange(len(owner)) + 1000, "patient": patients["id"].to_numpy()[owner]})
    visits["day"] = np.concatenate([np.sort(rng.integers(0, 800, n)) for n in counts])
    visits["ward"] = rng.choice(list("abc"), subjects)[owner]
    visits["weight"] = (70 + rng.normal(0, 9, len(owner))).round(1)
    at = np.repeat(np.arange(len(owner)), rng.integers(0, 4, len(owner)))
    labs = pd.DataFrame({"visit": visits["visit"].to_numpy()[at], "patient": visits["patient"].to_numpy()[at]})
    labs["code"], labs["value"] = rng.choice(["k", "na"], len(at)), rng.normal(0, 1, len(at)).round(2)
    labs["number"] = labs.groupby("visit").cumcount() + 1
    return {"patients": patients, "visits": visits.sample(frac=1, random_state=0), "labs": labs}


def database(frames: Frames, **changes: Any) -> Database:
    fields: dict[str, Any] = {
        "tables": frames,
        "primary_keys": {"patients": "id", "visits": "visit", "labs": ("visit", "number")},
        "foreign_keys": [
            ("visits", "patient", "patients", "id"),
            ("labs", "visit", "visits", "visit"),
            ("labs", "patient", "patients", "id"),
        ],
        "order": {"visits": "day"},
        "schemas": SCHEMAS,
    }
    return Database(**{**fields, **changes})


def budget(**changes: Any) -> PrivacyBudget:
    return PrivacyBudget(**{"epsilon": 3.0, "delta": 1e-4, "rows": 60, "rows_of_tables": CAPS, **changes})


def fitted(frames: Frames, **changes: Any) -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(frames), max_steps=4, random_state=0, privacy=budget(**changes)).fit()


@pytest.mark.slow
def test_tables_are_whole_and_the_ledger_has_all_events(tmp_path: Path) -> None:
    frames = tables()
    rare = frames["visits"].assign(ward=["secret", *frames["visits"]["ward"][1:]])
    synthesizer = fitted({**frames, "visits": rare})
    ledger = synthesizer.ledger_
    assert ledger is not None
    assert ledger.epsilon <= 3
    named = [event.name for event in ledger.events]
    assert {"gradients of visits", "gradients of labs", "marginals of visits", "interval bisections of labs"} <= {
        *named
    }
    found = synthesizer.sample(subjects=80)
    assert list(found) == list(frames)
    assert all(list(found[name].columns) == list(frames[name].columns) for name in frames)
    assert found["visits"]["patient"].isin(found["patients"]["id"]).all()
    assert found["labs"]["visit"].isin(found["visits"]["visit"]).all()
    assert not {*found["patients"]["id"]} & {*frames["patients"]["id"]}
    assert not found["visits"].isin(["secret", "(as before)"]).any().any()
    ordered = found["visits"].groupby("patient")["day"].diff().dropna()
    assert (ordered >= 0).all()
    synthesizer.save(tmp_path / "model")
    loaded = DatabaseSynthesizer.load(tmp_path / "model")
    assert loaded.ledger_ == ledger
    assert loaded.privacy == synthesizer.privacy
    for name, table in loaded.sample(subjects=9, random_state=4).items():
        pd.testing.assert_frame_equal(table, synthesizer.sample(subjects=9, random_state=4)[name])
    manifest = synthesizer.generate(tmp_path / "out", subjects=5)
    assert manifest["ledger"] == ledger.statement()
    saved = b"".join(path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file())
    assert b"secret" not in saved
    assert not any(subject.encode() in saved for subject in frames["patients"]["id"])
    assert "at most 4 of 'visits', 6 of 'labs' used" in json.dumps(manifest["ledger"])


@pytest.mark.slow
def test_noise_does_not_follow_the_seed_and_the_number_of_subjects_is_noisy() -> None:
    frames = tables(30)
    first, second = (fitted(frames, rows=None, delta=1e-5) for _ in range(2))
    weights = [dict(s.learned_.tables["visits"].model.network.state_dict()) for s in (first, second)]  # type: ignore[union-attr]
    assert any(not weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert first.ledger_ is not None
    assert first.ledger_.events[0].name == "number of rows"
    assert first.ledger_.epsilon <= 3


def test_each_subject_counts_once_in_each_release(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[int]] = {}
    plain = mechanisms.noisy_counts

    def watched(recorded: Any, counts: Any, times: int = 1) -> Any:
        seen.setdefault(recorded.event.name, []).append(int(counts.sum()))
        return plain(recorded, counts, times)

    monkeypatch.setattr(mechanisms, "noisy_counts", watched)
    frames = tables(40)
    frames = {name: frames[name] for name in ("patients", "visits")}
    keys = database(frames, primary_keys={"patients": "id"}, foreign_keys=[("visits", "patient", "patients", "id")],
                    schemas={name: SCHEMAS[name] for name in frames})  # fmt: skip
    schemas = keys.schemas
    dropped = schemas["visits"].model_copy(update={"drop": ("visit",)})
    keys = keys.model_copy(update={"schemas": {**schemas, "visits": dropped}})
    one = budget(rows=40, rows_of_tables={"visits": 4})
    DatabaseSynthesizer(keys, max_steps=5, random_state=0, privacy=one).fit()
    assert len(seen["marginals of visits"]) > 2
    assert all(total <= 40 for name, totals in seen.items() if "visits" in name for total in totals)


def used(frames: Frames) -> dict[str, pd.DataFrame]:
    """The rows that a fit would use, by their keys."""
    keys = database(frames)
    read = read_privately(keys, None)
    linked = link_privately(keys, read, plan_privately(keys, read, budget()), CAPS)
    return {name: table.rows.to_pandas() for name, table in linked.items()}


def test_rows_beyond_the_caps_are_left_out_with_their_own_rows() -> None:
    frames = tables()
    found = used(frames)
    order = frames["visits"].sort_values(["patient", "day"], kind="stable")
    first = order.groupby("patient").head(4)
    assert {*found["visits"]["visit"]} == {*first["visit"]}
    assert found["labs"]["visit"].isin(found["visits"]["visit"]).all()
    assert found["labs"].groupby("patient").size().max() <= 6
    left = frames["labs"][frames["labs"]["visit"].isin(first["visit"])]
    assert len(found["labs"]) == np.minimum(left.groupby("patient").size(), 6).sum()


def test_a_subject_does_not_change_the_rows_of_another() -> None:
    frames = tables()
    whole = used(frames)
    for patient in frames["patients"]["id"][:5]:
        keys = {"patients": "id", "visits": "patient", "labs": "patient"}
        fewer = used({name: frames[name][frames[name][key] != patient] for name, key in keys.items()})
        for name, key in keys.items():
            expected = whole[name][whole[name][key] != patient].reset_index(drop=True)
            pd.testing.assert_frame_equal(fewer[name], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemas": {**SCHEMAS, "labs": {"columns": SCHEMAS["labs"]["columns"][:1]}}}, "got none for .*value"),
        ({"order": {"visits": "weight"}}, "must have whole numbers or dates"),
        ({"schemas": {**SCHEMAS, "labs": {**SCHEMAS["labs"], "inferred": True}}}, "got an inferred one"),
        ({"order": {"labs": "number"}}, "order column 'number' must be declared"),
        ({"schemas": {name: SCHEMAS[name] for name in ("patients", "visits")}}, "Table 'labs': columns must be"),
        ({"schemas": {**SCHEMAS, "labs": {"columns": [NO_CATEGORIES, SCHEMAS["labs"]["columns"][1]]}}}, "`categories`"),
        ({"foreign_keys": [("visits", "patient", "patients", "id")]}, "one root table"),
    ],
)  # fmt: skip
def test_what_is_not_declared_is_refused(changes: dict[str, Any], message: str) -> None:
    frames = tables(10)
    with pytest.raises(PrivacyError, match=message):
        DatabaseSynthesizer(database(frames, **changes), privacy=budget(rows=10), max_steps=1).fit()


@pytest.mark.parametrize("name", ["patients", "labs"])
def test_reviewed_drafts_are_warned_of(name: str) -> None:
    frames = tables(10)
    keys = database(frames, schemas={**SCHEMAS, name: {**SCHEMAS[name], "origin": "reviewed draft"}})
    read = read_privately(keys, None)
    with pytest.warns(UserWarning, match=f"table '{name}': ") as caught:
        plan_privately(keys, read, budget())
    assert len(caught) == 1


def test_broken_keys_are_refused_without_a_number() -> None:
    frames = tables(10)
    with pytest.raises(PrivacyError, match="keys that are whole and unique") as caught:
        DatabaseSynthesizer(database({**frames, "patients": frames["patients"][1:]}), privacy=budget()).fit()
    assert not any(character.isdigit() for character in str(caught.value))


def test_budgets_without_caps_and_caps_of_other_tables_are_refused() -> None:
    keys = database(tables(10))
    with pytest.raises(PrivacyError, match="must have `rows_of_tables`"):
        DatabaseSynthesizer(keys, privacy={"epsilon": 1.0, "delta": 1e-6})
    with pytest.raises(PrivacyError, match="for each child table"):
        DatabaseSynthesizer(keys, privacy=budget(rows_of_tables={"visits": 3})).fit()
    with pytest.raises(PrivacyError, match="must not be given with"):
        budget(unit="patient")
    with pytest.raises(PrivacyError, match="rows_of_tables"):
        budget(rows_of_tables={"visits": 0})


def test_links_of_text_and_numbers_are_refused_without_a_word_on_rows() -> None:
    frames = tables()
    frames["visits"] = frames["visits"].assign(patient=frames["visits"]["patient"].str[2:].astype(int))
    with pytest.raises(TableError, match=r"must be of one type, got int64 for visits\.patient and .*patients\.id"):
        fitted(frames)
    as_categories = {
        name: frame.astype({"patient": "category"}) for name, frame in tables().items() if "patient" in frame
    }
    assert fitted({**tables(), **as_categories}).ledger_ is not None
