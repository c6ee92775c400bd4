"""Evaluation of linked tables: real subjects are good, rows of other parents are not, and copies are seen."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from seasons import Frames, database, dealt, renumbered, tables

from synthvae.errors import TableError
from synthvae.evaluation import DatabaseEvaluation, evaluate_database
from synthvae.evaluation.linked.integrity import integrity
from synthvae.evaluation.linked.linked_rows import LinkedComparison
from synthvae.evaluation.linked.reading import read_synthetic
from synthvae.evaluation.linked.row_rules import row_rules
from synthvae.evaluation.linked.sequences import References, sequences
from synthvae.evaluation.linked.whole_subjects import subject_disclosure, subjects
from synthvae.evaluation.results import Section
from synthvae.schema.database import Database

PLAYERS = 240
GRADES = ("poor", "fair", "good")


def compared(real: Frames, given: Frames, held: Frames | None = None, **changes: Any) -> LinkedComparison:
    keys = database(real, **changes)
    read = {"real": real, "synthetic": given, **({} if held is None else {"holdout": held})}
    return LinkedComparison.from_tables(keys, {role: read_synthetic(keys, frames) for role, frames in read.items()})


def lone(real: Frames, given: Frames, name: str, **changes: Any) -> Section:
    found = integrity(compared(real, given, **changes), name)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def frames() -> tuple[Frames, Frames, Frames]:
    return tables(PLAYERS, 0), tables(PLAYERS, 1), tables(PLAYERS, 2)


def test_rows_of_other_parents_are_further_from_real_ones(frames: tuple[Frames, Frames, Frames]) -> None:
    real, held, fresh = frames
    found = []
    for given in (fresh, dealt(fresh, 0)):
        comparison = compared(real, given, held)
        references = References.from_comparison(comparison, "players", 0)
        found.append({f.metric.name: f for f in sequences(comparison, "seasons", references, 0).figures})
    good, bad = found
    for name in ("lag", "subject_share", "transitions", "row_c2st"):
        assert bad[name].value > good[name].value + 0.2
        assert bad[name].value == pytest.approx(bad[name].independent, abs=0.1)
        assert good[name].value == pytest.approx(good[name].real, abs=0.1)
    assert bad["cross"].value > good["cross"].value + 0.02
    assert bad["children"] == good["children"]
    assert bad["time_steps"].value > 0.3


def test_copies_are_seen_whatever_their_keys_and_their_order(frames: tuple[Frames, Frames, Frames]) -> None:
    real, held, fresh = frames
    other = {**real, "players": fresh["players"].assign(id=real["players"]["id"])}  # copied seasons of other players
    for given, copies in ((renumbered(real), (1, 1)), (other, (0, 1)), (fresh, (0, 0))):
        comparison = compared(real, given, held)
        references = References.from_comparison(comparison, "players", 0)
        found = subjects(comparison, "players", references, 0)
        assert (found["subject_copies"].value, found["sequence_copies"].value) == copies
        assert found["sequence_copies"].flagged == (copies[1] == 1)
        nearness = subject_disclosure(comparison, "players", 0, attacked=False)[0]
        assert nearness["dcr_share"].flagged == (copies[1] == 1)


def test_a_share_of_copied_subjects_is_that_share(frames: tuple[Frames, Frames, Frames]) -> None:
    real, _, fresh = frames
    ids = real["players"]["id"]
    some = ids[ids % 4 == 0]
    few = {"players": real["players"][ids.isin(some)], "seasons": real["seasons"][real["seasons"]["player"].isin(some)]}
    few["games"] = real["games"][real["games"]["season"].isin(few["seasons"]["season"])]
    few, rest = renumbered(few), fresh
    mixed = {name: pd.concat([rest[name], few[name]], ignore_index=True) for name in real}
    comparison = compared(real, mixed)
    figure = subjects(comparison, "players", References.from_comparison(comparison, "players", 0), 0)["subject_copies"]
    assert figure.value == pytest.approx(len(some) / (len(some) + PLAYERS))
    assert figure.flagged


def test_broken_keys_are_counted(frames: tuple[Frames, Frames, Frames]) -> None:
    real, _, fresh = frames
    player, season = (fresh["seasons"][name].to_numpy(np.float64).copy() for name in ("player", "season"))
    player[:10] = 999_999
    season[20:25], season[30] = season[25], np.nan
    seasons = fresh["seasons"].assign(player=player, season=season)
    given = {**fresh, "seasons": seasons}
    found = lone(real, given, "seasons")
    assert found["orphans"].value == pytest.approx(10 / len(seasons))
    assert found["repeated_keys"].value == pytest.approx(6 / len(seasons))
    assert found["orphans"].real == found["repeated_keys"].real == 0
    games = lone(real, given, "games")
    assert games["orphans"].value == pytest.approx((~fresh["games"]["season"].isin(seasons["season"])).mean())
    comparison = compared(real, given)
    assert len(comparison.sides["synthetic"]["seasons"]) == len(seasons) - 10


def test_rows_out_of_order_and_repeated_rows_are_counted(frames: tuple[Frames, Frames, Frames]) -> None:
    real, _, fresh = frames
    backwards = fresh["seasons"].sort_values(["player", "year"], ascending=[True, False])
    assert lone(real, {**fresh, "seasons": backwards}, "seasons")["ordered"].value == 0
    equal = backwards.assign(year=backwards.groupby("player")["year"].transform("first"))
    found = lone(real, {**fresh, "seasons": equal}, "seasons", unique={"seasons": "year"})
    assert found["repeated"].value == pytest.approx(1 - equal["player"].nunique() / len(equal))
    assert (found["repeated"].real, found["ordered"].value) == (0, 1)


def test_rules_hold_between_a_row_and_its_ancestors(frames: tuple[Frames, Frames, Frames]) -> None:
    real, _, fresh = ({**one, "seasons": with_dates(one)} for one in frames)
    late = fresh["players"].assign(born=fresh["players"]["born"] + pd.Timedelta(days=9000))
    kept, broken = (
        row_rules(compared(real, {**fresh, "players": players}), "seasons", 0) for players in (fresh["players"], late)
    )
    assert kept is not None
    assert broken is not None
    assert kept["worst_rule"].value == 1
    assert broken["worst_rule"].value < 0.9
    assert "players.born" in broken.details["rules"]["rule"].str.cat()


def with_dates(frames: Frames) -> pd.DataFrame:
    """Seasons with a day in the years after the birth."""
    seasons, rng = frames["seasons"], np.random.default_rng(0)
    born = frames["players"].set_index("id")["born"].loc[seasons["player"]].to_numpy()
    day = pd.Series(born, index=seasons.index) + pd.to_timedelta(rng.integers(0, 5000, len(seasons)), "D")
    return seasons.assign(day=day)


def test_tables_of_another_database_are_refused(frames: tuple[Frames, Frames, Frames], tmp_path: Path) -> None:
    real = frames[0]
    with pytest.raises(TableError, match=r"got none named .*games"):
        evaluate_database(database(real), {name: real[name] for name in ("players", "seasons")})
    with pytest.raises(TableError, match=r"columns of its keys, got none named .*player"):
        evaluate_database(database(real), {**real, "seasons": real["seasons"].drop(columns="player")})
    with pytest.raises(TableError, match=r"got none named .*players"):
        evaluate_database(database(real), tmp_path)
    nothing = {**real, "games": real["games"].iloc[:0]}
    with pytest.raises(TableError, match="Table 'games': The synthetic table must have at least 2 rows"):
        evaluate_database(database(real), nothing)


def test_tables_are_read_from_a_folder_or_a_yaml_file(frames: tuple[Frames, Frames, Frames], tmp_path: Path) -> None:
    real = frames[0]
    for name, table in real.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    keys = database(real)
    paths = {name: f"{name}.csv" for name in real}
    keys.model_copy(update={"tables": paths}).to_yaml(tmp_path / "keys.yaml")
    ways: list[Any] = [tmp_path, tmp_path / "keys.yaml", Database.from_yaml(tmp_path / "keys.yaml"), paths_in(tmp_path)]
    read = [read_synthetic(keys, way) for way in ways]
    assert all(found["games"].equals(read[0]["games"]) for found in read)


def paths_in(folder: Path) -> dict[str, str]:
    return {path.stem: str(path) for path in folder.glob("*.csv")}


def test_a_parent_of_keys_alone_has_links(frames: tuple[Frames, Frames, Frames]) -> None:
    keys_only = {**frames[0], "players": frames[0]["players"][["id"]]}
    comparison = compared(keys_only, keys_only)
    found = sequences(comparison, "seasons", References.from_comparison(comparison, "players", 0), 0)
    assert "players" not in comparison.tables
    assert found["lag"].value == 0
    with pytest.raises(KeyError):
        found["cross"]


@cache
def evaluated(kind: str) -> DatabaseEvaluation:
    real, held, fresh = (tables(PLAYERS, seed) for seed in (0, 1, 2))
    given = {"fresh": fresh, "dealt": dealt(fresh, 0), "copies": renumbered(real)}[kind]
    return evaluate_database(database(real), given, holdout=held, random_state=3, attacks=kind == "copies")


@pytest.mark.slow
def test_the_verdict_knows_the_links() -> None:
    good, bad = evaluated("fresh").verdict.use, evaluated("dealt").verdict.use
    assert GRADES.index(bad.grade) < GRADES.index(good.grade)
    poor = {aspect.title for aspect in bad.aspects if aspect.grade == "poor"}
    assert {"sequences of 'seasons'", "dependence on parents of 'seasons'", "detectability of 'seasons'"} <= poor
    assert not any("columns" in title for title in poor)
    assert all(a.grade == "good" for a in good.aspects if a.name not in {"columns", "pairs"}), str(evaluated("fresh"))


@pytest.mark.slow
def test_the_verdict_knows_copies() -> None:
    assert evaluated("fresh").verdict.share.grade == "fair"
    found = evaluated("copies")
    assert found.verdict.share.grade == "poor"
    assert found.figures["players.membership"].flagged
    assert "copies of training subjects" in " ".join(found.verdict.share.reasons)


@pytest.mark.slow
def test_results_are_json_text_and_html(tmp_path: Path) -> None:
    found = evaluated("dealt")
    found.to_json(tmp_path / "found.json")
    document = json.loads((tmp_path / "found.json").read_text("utf-8"))
    stated = document["tables"]["seasons"]["sections"]["sequences"]["figures"]["lag"]["value"]
    assert stated == found.figures["seasons.lag"].value
    assert document["tables"]["games"]["rows"]["synthetic"] == len(tables(PLAYERS, 2)["games"])
    found.to_html(tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text("utf-8")
    assert "seasons, sequences: do rows depend on their parent" in page
    ids = [part.split('"')[0] for part in page.split('<section id="')[1:]]
    assert len(ids) == len(set(ids)) > 10
    assert "sequences of seasons lag" in str(found)
    assert "players: Column shapes" in found._repr_html_()


def test_rows_of_some_subjects_keep_their_ancestors(frames: tuple[Frames, Frames, Frames]) -> None:
    comparison = compared(frames[0], frames[2])
    side = comparison.sides["real"]
    chosen = np.random.default_rng(0).random(PLAYERS) < 0.5
    half = comparison.of_subjects(side, "players", chosen)
    assert half["games"].subjects.max() < chosen.sum()
    for name, column in (("seasons", "height"), ("games", "height"), ("games", "born")):
        places, whole = (comparison.lines(name, part)["players"] for part in (half, side))
        kept = chosen[side[name].subjects]
        expected = side["players"].frame[column].to_numpy()[whole[kept]]
        np.testing.assert_array_equal(half["players"].frame[column].to_numpy()[places], expected)
        pd.testing.assert_frame_equal(half[name].frame, side[name].frame[kept].reset_index(drop=True))
