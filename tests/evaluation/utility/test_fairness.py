"""Fairness: a loss in one group is measured, and groups that are too small are reported."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.results import Section
from synthvae.evaluation.utility.fairness import LEAST_ROWS, Grouping, fairness


def cancer() -> pd.DataFrame:
    """Breast cancer, of women whom a coin assigns to a site: half to "a", a quarter each to "b" and "c"."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 4, 20, 30]]
    site = np.random.default_rng(0).choice(["a", "b", "c"], len(frame), p=[0.5, 0.25, 0.25])
    return frame.assign(site=site).sample(frac=1, random_state=0, ignore_index=True)


def measured(comparison: Comparison, group: str = "site") -> Section:
    section = fairness(comparison, group, 0)
    json.dumps(section.to_dict(), allow_nan=False)
    return section


def test_a_copy_is_fair() -> None:
    frame = cancer()
    section = measured(Comparison.from_tables(frame[:400], frame[:400], holdout=frame[400:], target="target"))
    assert [figure.metric.name for figure in section.figures] == ["group_share", "group_fidelity", "group_utility"]
    assert [figure.value for figure in section.figures] == pytest.approx([0, 0, 0])
    assert all((figure.real or 0) > 0 for figure in section.figures)
    groups = section.details["groups"]
    assert list(groups) == ["group", "rows_real", "rows_synthetic", "shape", "tstr", "trtr"]
    assert groups["group"].tolist()[0] == "a"
    assert groups["rows_real"].tolist() == groups["rows_synthetic"].tolist()
    assert groups["rows_real"].sum() == 400
    assert (groups["shape"] == 1).all()
    assert groups["tstr"].tolist() == groups["trtr"].tolist()
    assert measured(
        Comparison.from_tables(frame[:400], frame[:400], holdout=frame[400:], target="target")
    ).to_dict() == (section.to_dict())


def test_a_lost_relationship_in_one_group_is_measured() -> None:
    frame = cancer()
    real, spoiled = frame[:400], frame[:400].copy()
    hit = (spoiled["site"] == "b").to_numpy()
    spoiled.loc[hit, "target"] = 1 - spoiled.loc[hit, "target"]
    spoiled.loc[hit, ["mean radius", "mean texture"]] += 3
    section = measured(Comparison.from_tables(real, spoiled, holdout=frame[400:], target="target"))
    groups = section.details["groups"].set_index("group")
    assert groups["shape"].idxmin() == "b"
    assert (groups["trtr"] - groups["tstr"]).idxmax() == "b"
    assert section["group_fidelity"].value == pytest.approx(groups["shape"].max() - groups["shape"].min())
    losses = groups["trtr"] - groups["tstr"]
    assert section["group_utility"].value == pytest.approx(losses.max() - losses.min())
    for name in ("group_fidelity", "group_utility"):
        assert section[name].value > 2 * (section[name].real or 0)
    assert section["group_share"].value == 0


def test_shares_are_counted() -> None:
    frame = cancer()
    made = pd.concat([frame[frame["site"] != "b"], frame[frame["site"] == "b"][:40]])
    section = measured(Comparison.from_tables(frame, made))
    before, after = (rows["site"].value_counts(normalize=True) for rows in (frame, made))
    value, ends = section["group_share"].value, section["group_share"].interval
    assert value == pytest.approx((before - after).abs().max())
    assert ends is not None
    assert 0 < ends[0] < value < ends[1]
    assert "no target besides the group" in section.notes[0]
    assert section.details["groups"][["tstr", "trtr"]].isna().all(axis=None)


@given(st.lists(st.integers(-3, 9) | st.none(), min_size=1, max_size=60))
def test_each_row_with_a_number_is_in_one_quarter(values: list[int | None]) -> None:
    rows = pd.DataFrame({"age": pd.Series(values, dtype="float64")})
    grouping = Grouping.from_values(rows["age"])
    found = [place for part in grouping.split(rows).values() for place in part.index]
    assert sorted(found) == np.flatnonzero(rows["age"].notna()).tolist()
    assert len(grouping.labels) <= 4


def test_numeric_groups_are_real_quartiles() -> None:
    frame = cancer()
    section = measured(Comparison.from_tables(frame, frame[:300], target="target"), "mean radius")
    assert section.details["groups"]["rows_real"].between(140, 145).all()
    assert section.details["groups"]["group"].iloc[0].startswith("up to 11.7")


def test_small_missing_and_many_groups_have_notes() -> None:
    frame = cancer()
    frame.loc[:4, "site"] = "rare"
    frame.loc[5:9, "site"] = None
    section = measured(Comparison.from_tables(frame, frame))
    assert section.details["groups"]["group"].tolist() == list(frame["site"].value_counts().index[:3])
    assert "['rare']" in section.notes[0]
    assert "5 training rows" in section.notes[1]
    ward = pd.DataFrame(
        {"ward": np.repeat([f"w{k}" for k in range(15)], LEAST_ROWS), "x": np.arange(15.0 * LEAST_ROWS)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        section = measured(Comparison.from_tables(ward, ward), "ward")
    assert len(section.details["groups"]) == 12
    assert "Only the 12 largest" in section.notes[0]


def test_what_cannot_be_measured_has_a_note() -> None:
    frame = cancer()
    for column, group, said in (("one", "other", "not a column"), ("site", "site", "less than two groups")):
        section = measured(
            Comparison.from_tables(frame.assign(**{column: "one"}), frame.assign(**{column: "one"})), group
        )
        assert section.figures == ()
        assert said in section.notes[-1]
    section = measured(Comparison.from_tables(frame, frame, target="site"))
    assert [figure.metric.name for figure in section.figures] == ["group_share", "group_fidelity"]
    one = frame[(frame["site"] != "c") | (frame["target"] == 1)]
    section = measured(Comparison.from_tables(one, one, target="target"))
    assert any("one class only: ['c']" in note for note in section.notes)
    assert section.details["groups"].set_index("group")["tstr"].isna().to_dict() == {"a": False, "b": False, "c": True}
