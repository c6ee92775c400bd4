"""Disclosure: copies and near copies are flagged, unseen rows are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits, load_wine, make_classification

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.copies import disclosure
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.disclosure.risk import Guesses, auc, excess, half_interval, share_interval, wilson
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.risk_metrics import COPIES

NAMES = ["copies", "nearness", "dcr_share", "nndr_share"]


def people(rows: int, seed: int) -> pd.DataFrame:
    """Rows of one distribution, whatever the seed: numbers, categories that hang on them, and gaps."""
    x, y = make_classification(6_000, 8, n_informative=6, random_state=0)
    drawn = np.random.default_rng(seed).choice(len(x), rows, replace=False)
    table = pd.DataFrame(x[drawn].round(3)).add_prefix("x")
    table["class"] = np.where(y[drawn], "ill", "well")
    table["ward"] = np.array(["a", "b", "c"])[(x[drawn, 0] > 0).astype(int) + (x[drawn, 1] > 1)]
    table.loc[x[drawn, 2] > 2, "x3"] = None
    return table


def thirds(seed: int, rows: int = 3_000) -> list[pd.DataFrame]:
    table = people(rows, seed)
    return [table[part::3].reset_index(drop=True) for part in range(3)]


def measured(real: pd.DataFrame, made: pd.DataFrame, holdout: pd.DataFrame | None = None, seed: int = 0) -> Section:
    return disclosure(Comparison.from_tables(real, made.reset_index(drop=True), holdout=holdout), seed)


def flagged(section: Section) -> list[str]:
    return [figure.metric.name for figure in section.figures if figure.flagged]


def alarms(hits: int, trials: int, real: float, rows: int) -> bool:
    return Figure(COPIES, hits / trials, share_interval(hits, trials, real, rows), real).flagged


def test_a_copy_is_flagged_by_every_figure() -> None:
    real, holdout, _ = thirds(0)
    section = measured(real, real, holdout)
    assert flagged(section) == NAMES
    assert [section[name].value for name in NAMES] == [1, 1, 1, 1]
    assert flagged(measured(real, real)) == ["copies", "nearness"]


@pytest.mark.parametrize("seed", range(5))
def test_unseen_rows_are_not_flagged(seed: int) -> None:
    real, holdout, fresh = thirds(seed)
    assert flagged(measured(real, fresh, holdout, seed)) == []
    assert flagged(measured(real, fresh, seed=seed)) == []


@pytest.mark.parametrize("kept", [True, False])
def test_ten_planted_rows_among_a_thousand_are_found(kept: bool) -> None:  # noqa: FBT001
    real, holdout, fresh = thirds(1)
    given_holdout = holdout if kept else None
    section = measured(real, pd.concat([fresh[:990], real[:10]]), given_holdout)
    assert flagged(section) == ["copies", "nearness"]
    assert section["copies"].value == 0.01
    near = real[:10].assign(x0=real["x0"][:10] + 0.01, x5=real["x5"][:10] - 0.01)
    section = measured(real, pd.concat([fresh[:990], near]), given_holdout)
    assert flagged(section) == ["nearness"]
    assert section["copies"].value == 0


def test_a_small_holdout_has_a_note() -> None:
    real, holdout, made = thirds(3, 900)
    assert not measured(real, made, holdout).notes
    assert "The holdout has 100 rows and training has 300" in measured(real, made, holdout[:100]).notes[0]


def test_ten_planted_digits_are_found_among_few_real_rows() -> None:
    digits = pd.DataFrame(load_digits().data).add_prefix("p").sample(frac=1, random_state=0).reset_index(drop=True)
    real, holdout, fresh = digits[:400], digits[400:800].reset_index(drop=True), digits[800:]
    made = pd.concat([fresh[:900], real[:10]])
    assert flagged(measured(real, made, holdout)) == ["copies", "nearness"]
    assert flagged(measured(real, fresh[:900], holdout)) == []


def test_natural_duplicates_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    weights = np.r_[np.full(30, 0.01), np.full(700, 0.001)]
    real, holdout, fresh = (
        pd.DataFrame({"a": [f"k{k}" for k in rng.choice(730, 2_000, p=weights)], "b": "same"}) for _ in range(3)
    )
    section = measured(real, fresh, holdout)
    assert section["copies"].value > 0.8
    assert section["copies"].real == pytest.approx(section["copies"].value, abs=0.03)
    assert flagged(section) == []


def test_copies_are_the_rows_that_a_merge_finds() -> None:
    real, holdout, fresh = (t[["ward", "class"]].assign(x=t["x0"].round(1) + 0.0) for t in thirds(2))
    found = measured(real, fresh, holdout)["copies"]
    texts = set(map(tuple, real.astype(str).to_numpy().tolist()))
    for rows, value in ((fresh, found.value), (holdout, found.real)):
        assert value == np.mean([tuple(row) in texts for row in rows.astype(str).to_numpy().tolist()])


def test_zero_is_zero_whatever_its_sign() -> None:
    real = pd.DataFrame({"a": [0.0, 1.5, 2.5], "b": [None, 0.5, 1.5]})
    assert measured(real, real.assign(a=[-0.0, 1.5, 2.5]))["copies"].value == 1


def test_shares_are_those_of_all_distances() -> None:
    wine: pd.DataFrame = load_wine(as_frame=True).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    real, holdout, made = wine[:60], wine[60:120].reset_index(drop=True), wine[120:].reset_index(drop=True)
    comparison = Comparison.from_tables(real, made, holdout=holdout)
    assert comparison.holdout is not None
    a, b, s = as_points([comparison.real, comparison.holdout, comparison.synthetic])
    to_learned, to_others = (np.sort(cdist(s, points), axis=1)[:, :2] for points in (a, b))
    section = disclosure(comparison, 0)
    assert section["dcr_share"].value == pytest.approx(np.mean(to_learned[:, 0] < to_others[:, 0]))
    ratios = [d[:, 0] / d[:, 1] for d in (to_learned, to_others)]
    assert section["nndr_share"].value == pytest.approx(np.mean(ratios[0] < ratios[1]))
    nearest = section.details["nearest"]
    median = nearest[(nearest["rows"] == "synthetic") & (nearest["quantile"] == 0.5)]["distance"].item()
    assert median == pytest.approx(np.median(to_learned[:, 0]), abs=1e-5)


def test_ties_count_one_half() -> None:
    """Learned rows and others that are the same rows are equally near, also where they repeat."""
    real, _, fresh = thirds(5, 900)
    same = real.copy()
    same[same.select_dtypes("float").columns] += 1e-9  # no row has the hash of another
    section = measured(real, fresh, same)
    assert section["dcr_share"].value == section["nndr_share"].value == 0.5
    twice, both = (pd.concat([rows, rows], ignore_index=True) for rows in (real, same))
    assert measured(twice, real, both)["nndr_share"].value == 0.5


def test_the_same_seed_gives_the_same_section_and_details() -> None:
    real, holdout, fresh = thirds(3)
    one, two = (measured(real, fresh, holdout, 7) for _ in range(2))
    assert one.to_dict() == two.to_dict()
    assert list(one.details["nearest"]) == ["rows", "quantile", "distance"]
    assert set(one.details["nearest"]["rows"]) == {"synthetic", "fresh real"}
    assert list(one.details["drawn_distances"]) == ["rows", "distance"]
    assert one.details["drawn_distances"]["rows"].value_counts().max() <= 1_000
    assert "drawn_distances" not in one.to_dict()["details"]


TINY: list[tuple[pd.DataFrame, pd.DataFrame | None]] = [
    (pd.DataFrame({"a": [1.5, 2.5]}), None),
    (pd.DataFrame({"a": ["x", "x", "y"], "b": [1.5, 1.5, 1.5]}), None),
    (pd.DataFrame({"a": [1.5, 2.5] * 30}), pd.DataFrame({"a": [3.5, 4.5]})),
    (pd.DataFrame({"a": [1.5] * 30, "b": ["x"] * 30}), pd.DataFrame({"a": [1.5] * 30, "b": ["x"] * 30})),
    (pd.DataFrame({"a": [None, None, 1.5], "b": [None, "x", None]}), None),
]


@pytest.mark.parametrize(("table", "holdout"), TINY)
def test_small_and_constant_tables_degrade(table: pd.DataFrame, holdout: pd.DataFrame | None) -> None:
    section = measured(table, table, holdout)
    assert {"copies", "nearness"} <= {figure.metric.name for figure in section.figures}
    if holdout is None or len(holdout) < 20:
        assert len(section.figures) == 2
        assert len(section.notes) == 1
        assert section.notes[0].endswith(".")


@given(st.integers(1, 400), st.floats(0, 1))
def test_wilson_is_that_of_scipy(trials: int, share: float) -> None:
    hits = round(share * trials)
    centre, error = wilson(hits, trials)
    ends = stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    assert (centre - error, centre + error) == pytest.approx((ends.low, ends.high), abs=1e-9)


@given(st.floats(0.01, 0.95), st.floats(0.01, 0.95), st.floats(0, 0.1), st.floats(0, 0.1))
def test_the_error_of_the_risk_is_propagated(hit: float, usual: float, first: float, second: float) -> None:
    value, (low, high) = excess((hit, first), (usual, second))
    assert 0 <= low <= value <= high <= 1

    def risk(a: float, b: float) -> float:
        return (a - b) / (1 - b)

    step = 1e-6
    slopes = [(risk(hit + step, usual) - risk(hit, usual)) / step, (risk(hit, usual + step) - risk(hit, usual)) / step]
    error = np.hypot(slopes[0] * first, slopes[1] * second)
    assert low == pytest.approx(np.clip(risk(hit, usual) - error, 0, 1), abs=1e-3)
    assert high == pytest.approx(np.clip(risk(hit, usual) + error, 0, 1), abs=1e-3)


@given(st.integers(0, 200), st.integers(200, 5_000), st.floats(0, 1), st.integers(20, 5_000))
def test_the_interval_of_a_share_holds_the_exact_one(hits: int, trials: int, real: float, rows: int) -> None:
    low, high = share_interval(hits, trials, real, rows)
    ends = stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert 0 <= low <= ends.low <= ends.high <= high <= 1


def test_one_natural_duplicate_is_not_flagged_and_ten_are() -> None:
    assert not alarms(1, 1_000, 0.0, 1_000)
    assert not alarms(12, 10_000, 0.0, 100)
    assert alarms(10, 1_000, 0.0, 300)


@pytest.mark.slow
def test_unseen_rows_rarely_exceed_the_real_share() -> None:
    rng = np.random.default_rng(0)
    for share in (0.002, 0.01, 0.1, 0.6):
        made, real = rng.binomial(1_000, share, 200), rng.binomial(1_000, share, 200) / 1_000
        assert np.mean([alarms(int(m), 1_000, r, 1_000) for m, r in zip(made, real, strict=True)]) <= 0.01


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_the_auc_counts_pairs(members: list[int], others: list[int]) -> None:
    a, b = np.array(members, float), np.array(others, float)
    value, (low, high) = auc(a, b)
    assert value == pytest.approx(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
    assert 0 <= low <= value <= high <= 1


def test_the_interval_of_the_auc_is_as_wide_as_repetitions_say() -> None:
    rng = np.random.default_rng(0)
    found = [auc(rng.normal(0.5, 1, 150), rng.normal(0, 1, 90)) for _ in range(400)]
    true = stats.norm.cdf(0.5 / np.sqrt(2))
    assert np.mean([low <= true <= high for _, (low, high) in found]) >= 0.93
    assert np.mean([high - low for _, (low, high) in found]) == pytest.approx(
        2 * stats.norm.ppf(0.975) * np.std([value for value, _ in found]), rel=0.1
    )


def test_clusters_widen_as_if_there_were_fewer_guesses() -> None:
    rng = np.random.default_rng(0)
    alone = (rng.random(500) < 0.3).astype(float)
    together = Guesses(np.repeat(alone, 4), np.repeat(np.arange(500), 4))
    assert together.design_effect == pytest.approx(4)
    assert Guesses(alone, np.arange(500)).design_effect == 1
    assert Guesses(np.ones(9), np.arange(9)).design_effect == 1


@pytest.mark.parametrize("clusters", [1, 2, 3, 12, 200])
def test_the_interval_of_a_share_covers_one_half_however_few_real_rows_are_nearest(clusters: int) -> None:
    """All synthetic rows with the same nearest real row are closer to training rows, or none, with equal chances."""
    rng = np.random.default_rng(clusters)
    hub = np.repeat(np.arange(clusters), 1000 // clusters)
    found = [half_interval(Guesses(side[hub], hub)) for side in (rng.random((400, clusters)) < 0.5).astype(float)]
    assert np.mean([low <= 0.5 <= high for low, high in found]) >= 0.92
    one_sided = half_interval(Guesses(np.ones(len(hub)), hub))
    assert one_sided == pytest.approx(half_interval(Guesses(np.ones(clusters), np.arange(clusters))))


def test_the_section_has_all_keys_of_the_report() -> None:
    real, holdout, fresh = thirds(4)
    found: dict[str, Any] = measured(real, fresh, holdout).to_dict()
    assert list(found["figures"]) == NAMES
    for figure in found["figures"].values():
        low, high = figure["interval"]
        assert low <= figure["value"] <= high
        assert None not in (figure["real"], figure["independent"])


def test_central_rows_are_near_everybody_without_disclosure() -> None:
    """A generator that knows a narrow middle alone is near to learned rows, and as near to fresh ones."""
    rng = np.random.default_rng(0)
    real, holdout = (pd.DataFrame(rng.normal(size=(1500, 3)), columns=list("abc")) for _ in range(2))
    middle = pd.DataFrame(rng.normal(scale=0.2, size=(1500, 3)), columns=list("abc"))
    found = disclosure(Comparison.from_tables(real, middle, holdout=holdout), 0)["nearness"]
    assert not found.flagged
    planted = pd.concat([middle[:1485], real[:15]], ignore_index=True)
    assert disclosure(Comparison.from_tables(real, planted, holdout=holdout), 0)["nearness"].flagged
