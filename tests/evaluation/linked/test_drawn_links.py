"""Histograms of links and times: shares of parents and of rows, against plain loops over the tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from seasons import Frames, database, tables

from synthvae.evaluation.linked.drawn_links import drawn_links
from synthvae.evaluation.linked.linked_rows import LinkedComparison
from synthvae.evaluation.linked.reading import read_synthetic
from synthvae.evaluation.report.column_charts import every_link
from synthvae.schema.database import Database


def compared(keys: Database, real: Frames, given: Frames) -> LinkedComparison:
    read = {"real": real, "synthetic": given}
    return LinkedComparison.from_tables(keys, {role: read_synthetic(keys, frames) for role, frames in read.items()})


def stays(patients: int, seed: int, *, born: Any = "1950-01-01", hours: bool = False) -> Frames:
    """Patients, each with three stays: at the age of 40 and 10 days, 20 days, or hours, later."""
    rng = np.random.default_rng(seed)
    births = pd.to_datetime(born) + pd.to_timedelta(rng.integers(0, 9000, patients), "D")
    first = births + pd.DateOffset(years=40)
    after = pd.to_timedelta(np.tile([0, 10, 30], patients), "h" if hours else "D")
    at = pd.Series(np.repeat(first, 3)).reset_index(drop=True) + after
    owner = np.repeat(np.arange(patients), 3)
    return {
        "patients": pd.DataFrame({"id": np.arange(patients), "born": births}),
        "stays": pd.DataFrame({"patient": owner, "admitted": at, "ward": rng.choice(["a", "b"], len(at))}),
    }


def clinic(frames: Frames) -> Database:
    return Database(
        tables=frames,
        primary_keys={"patients": "id"},
        foreign_keys=[("stays", "patient", "patients", "id")],
        order={"stays": "admitted"},
    )


def test_numbers_of_rows_are_those_of_a_plain_loop() -> None:
    real, given = tables(90, 0), tables(70, 1)
    found = drawn_links(compared(database(real), real, given), "games")
    assert found["column"].unique().tolist() == ["games: number of rows"]
    assert set(found["of"]) == {"parents"}
    for role, frames in (("real", real), ("synthetic", given)):
        owned = [int((frames["games"]["season"] == season).sum()) for season in frames["seasons"]["season"]]
        for label, share in found[["label", role]].itertuples(index=False, name=None):
            assert share == pytest.approx(np.mean(np.array(owned) == int(label)))


@pytest.mark.parametrize("unit", ["days", "hours"])
def test_times_are_between_rows_since_the_first_and_since_dates_of_ancestors(unit: str) -> None:
    real, given = stays(60, 0, hours=unit == "hours"), stays(50, 1, hours=unit == "hours")
    found = drawn_links(compared(clinic(real), real, given), "stays")
    titles = ["since the row before", "since the first row", "since patients.born"]
    units = [unit, unit, "years"]
    assert found["column"].unique().tolist() == [
        "stays: number of rows",
        *(f"admitted {title}, {own}" for title, own in zip(titles, units, strict=True)),
    ]
    parts = dict(list(found.groupby("column", sort=False)))
    between = parts[f"admitted since the row before, {unit}"]
    assert between[["label", "real"]].to_numpy().tolist() == [["10", 0.5], ["20", 0.5]]
    assert parts[f"admitted since the first row, {unit}"]["label"].tolist() == ["10", "30"]
    ages = parts["admitted since patients.born, years"]
    assert ages["low"].min() > 39.9
    assert ages["high"].max() < 40.2
    for part in parts.values():
        assert part[["real", "synthetic"]].sum().tolist() == pytest.approx([1, 1])


def test_numbers_of_ancestors_are_times_if_rows_are_near_them() -> None:
    real = tables(90, 0)
    real["players"]["debut"] = 1985 - np.arange(90) // 2
    real["seasons"]["year"] -= (real["seasons"]["player"] - 7) // 2
    found = drawn_links(compared(database(real), real, real), "seasons")
    assert "year since players.debut" in set(found["column"])
    assert not found["column"].str.contains("height").any()
    assert (found["score"] == 1).all()


def test_times_that_never_differ_are_not_drawn() -> None:
    real = tables(90, 0)
    assert (real["seasons"].groupby("player")["year"].diff().dropna() == 1).all()
    found = drawn_links(compared(database(real), real, real), "seasons")
    assert found["column"].unique().tolist() == ["seasons: number of rows", "year since the first row"]


def test_charts_state_what_their_shares_are_of() -> None:
    real, given = tables(90, 0), tables(70, 1)
    children, times = every_link(drawn_links(compared(database(real), real, given), "seasons"))
    assert children.title.startswith("seasons: number of rows")
    assert "synthetic parents" in children.sentence
    assert children.head == ("value", "training parents", "synthetic parents")
    assert children.layout["xaxis"]["title"]["text"] == "share of parents"  # bars are horizontal
    assert times.layout["xaxis"]["title"]["text"] == "share of rows"
