"""Players, their seasons and the games of each: tables whose rows depend on their parent and on the row before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synthvae.schema.database import Database

Frames = dict[str, pd.DataFrame]
LINKS = [("seasons", "player", "players", "id"), ("games", "season", "seasons", "season")]


def tables(players: int, seed: int) -> Frames:
    """Draw players with one to seven seasons, of which each has up to two games."""
    rng = np.random.default_rng(seed)
    skill, side = rng.normal(0, 1, players), rng.choice(["left", "right"], players, p=[0.3, 0.7])
    born = pd.Timestamp("1960-01-01") + pd.to_timedelta(rng.integers(0, 9000, players), "D")
    frames: Frames = {
        "players": pd.DataFrame({"id": np.arange(players) + 7, "born": born, "height": (180 + 6 * skill).round(1)})
    }
    frames["players"]["side"] = side
    counts = rng.integers(1, 8, players)
    owner = np.repeat(np.arange(players), counts)
    number = np.concatenate([np.arange(n) for n in counts])
    team = rng.choice(list("abcd"), players)[owner]
    moved = (rng.random(len(owner)) < 0.15) & (number > 0)
    for place in np.flatnonzero(moved):
        team[place : place + counts[owner[place]] - number[place]] = rng.choice(list("abcd"))
    seasons = pd.DataFrame({"season": rng.permutation(len(owner)), "player": owner + 7, "year": 1985 + number})
    seasons["team"] = team
    seasons["score"] = (50 + 10 * skill[owner] + 5 * (side[owner] == "left") + rng.normal(0, 3, len(owner))).round(1)
    frames["seasons"] = seasons
    played = rng.integers(0, 3, len(owner))
    at = np.repeat(np.arange(len(owner)), played)
    frames["games"] = pd.DataFrame({"season": seasons["season"].to_numpy()[at], "won": rng.random(len(at)) < 0.5})
    frames["games"]["points"] = (seasons["score"].to_numpy()[at] / 5 + rng.normal(0, 1, len(at))).round(2)
    return frames


def database(frames: Frames, **changes: Any) -> Database:
    """The keys of these tables."""
    fields: dict[str, Any] = {
        "tables": frames,
        "primary_keys": {"players": "id", "seasons": "season"},
        "foreign_keys": LINKS,
        "order": {"seasons": "year"},
    }
    return Database(**{**fields, **changes})


def dealt(frames: Frames, seed: int) -> Frames:
    """The same rows; those of seasons belong to players at random."""
    owner = np.random.default_rng(seed).permutation(frames["seasons"]["player"].to_numpy())
    return {**frames, "seasons": frames["seasons"].assign(player=owner)}


def renumbered(frames: Frames) -> Frames:
    """The same rows with other keys, in another order."""
    found = {name: table.sample(frac=1, random_state=1).reset_index(drop=True) for name, table in frames.items()}
    found["players"] = found["players"].assign(id=found["players"]["id"] + 100_000)
    found["seasons"] = found["seasons"].assign(
        player=found["seasons"]["player"] + 100_000, season=found["seasons"]["season"] + 5_000
    )
    found["games"] = found["games"].assign(season=found["games"]["season"] + 5_000)
    return found
