"""Fidelity: laws of each metric, plain loops as oracles, and the whole section on real tables."""

from __future__ import annotations

import json
import warnings
from dataclasses import astuple
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_breast_cancer, load_wine

from synthvae.evaluation import Comparison
from synthvae.evaluation.comparison import shuffle_columns
from synthvae.evaluation.fidelity import pairs, section
from synthvae.evaluation.fidelity.column_shapes import adherence, histograms, similarities, wasserstein
from synthvae.evaluation.fidelity.detection import detection_auc
from synthvae.evaluation.fidelity.section import fidelity
from synthvae.evaluation.fidelity.support import of_points
from synthvae.evaluation.metrics import SECTIONS
from synthvae.schema.column import Column

SEEDS = st.integers(0, 2**32 - 1)
Points = npt.NDArray[np.float64]
KINDS = {
    "number": Column(name="number", kind="continuous"),
    "count": Column(name="count", kind="integer"),
    "group": Column(name="group", kind="categorical"),
    "side": Column(name="side", kind="categorical"),
}


def rows(rng: np.random.Generator, n: int, holes: float) -> pd.DataFrame:
    """Rows whose columns go together, with holes."""
    group = rng.integers(0, 4, n)
    frame = {
        "number": rng.normal(size=n) + group,
        "count": rng.poisson(group + 1.0).astype(np.float64),
        "group": pd.Categorical(np.array(list("abcd"))[group], list("abcd")),
        "side": pd.Categorical(rng.choice(["left", "right"], n), ["left", "right", "never"]),
    }
    return pd.DataFrame(frame).mask(rng.random((n, len(frame))) < holes)


def compared(real: pd.DataFrame, synthetic: pd.DataFrame) -> Comparison:
    return Comparison(real, synthetic, None, KINDS)


def trends(comparison: Comparison) -> pd.DataFrame:
    return pairs.similarities(comparison, list(combinations(comparison.kinds, 2)), np.random.default_rng(0))


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    rng = np.random.default_rng(draw(SEEDS))
    sizes, holes = [draw(st.integers(3, 60)) for _ in range(2)], draw(st.sampled_from([0.0, 0.3]))
    return compared(rows(rng, sizes[0], holes), rows(rng, sizes[1], holes))


@settings(max_examples=30, deadline=None)
@given(comparisons(), SEEDS)
def test_a_table_is_like_itself_in_any_order(comparison: Comparison, seed: int) -> None:
    moved = comparison.against(comparison.synthetic.sample(frac=1, random_state=seed))
    for measure, best in ((similarities, 1), (adherence, 1), (lambda c: trends(c)["score"], 1), (wasserstein, 0)):
        found = measure(comparison)
        np.testing.assert_allclose(found, measure(moved), atol=1e-12)
        assert measure(comparison.against(comparison.real)).dropna().to_numpy() == pytest.approx(best)
        assert found.dropna().between(-1e-12, 1 + 1e-12 if best else np.inf).all()


def test_disjoint_tables_share_nothing() -> None:
    real = rows(np.random.default_rng(0), 80, 0.1).query("group != 'd'")
    other = real.assign(number=real["number"] + 100, count=real["count"] - 100)
    other["group"] = pd.Categorical(["d"] * len(real), list("abcd"))
    other["side"] = pd.Categorical(["never"] * len(real), real["side"].cat.categories)
    assert similarities(compared(real, other)).tolist() == [0, 0, 0, 0]
    assert adherence(compared(real, other)).tolist() == [0, 0, 0, 0]
    assert trends(compared(real, other)).query("kind != 'numbers'")["score"].max() < 0.05  # missing beside missing


def test_similarity_decreases_with_the_shift() -> None:
    """Wasserstein: the shift in standard deviations; KS of uniform values: the share of the range."""
    number = pd.Series(np.arange(1024) / 1024)
    real, moved = (pd.DataFrame({"number": n}) for n in (number, number + 0.25))
    comparison = Comparison(real, moved, None, {"number": KINDS["number"]})
    assert wasserstein(comparison)["number"] == pytest.approx(0.25 / number.std(ddof=0))
    assert similarities(comparison)["number"] == adherence(comparison)["number"] == pytest.approx(0.75)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(3, 40), st.sampled_from([0.0, 0.2, 0.6]), st.sampled_from([0.0, 1e6]))
def test_correlations_are_those_of_pandas(seed: int, n: int, holes: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + offset, columns=list("abcd"))
    frame = frame.assign(constant=0.1).mask(rng.random((n, 5)) < holes)
    found = pairs.correlations(frame)
    assert np.isnan(found[4]).all()
    np.testing.assert_allclose(found[:4, :4], frame[list("abcd")].corr(min_periods=2), atol=1e-7)


def test_a_correlation_needs_values_that_differ_where_both_are_known() -> None:
    rng = np.random.default_rng(0)
    step, late = np.r_[rng.normal(size=20), np.full(20, 1e6 / 3)], np.r_[np.full(20, np.nan), rng.normal(size=20)]
    assert np.isnan(pairs.correlations(pd.DataFrame({"step": step, "late": late}))[[0, 1], [1, 0]]).all()
    # The mean of 0.1 thirteen times is not 0.1.
    assert np.isnan(pairs.correlations(pd.DataFrame({"same": 0.1, "other": np.arange(13.0)}))[0]).all()


@settings(max_examples=20, deadline=None)
@given(comparisons())
def test_joint_tables_of_many_cells_are_counted_alike(comparison: Comparison) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "MOST_JOINT", 1)
        found = trends(comparison)
    np.testing.assert_allclose(found["score"], trends(comparison)["score"], atol=1e-12)


def test_associations_have_closed_forms() -> None:
    rng = np.random.default_rng(0)
    group, side = rng.integers(0, 3, 300), np.repeat([0, 1], 150)
    assert pairs.cramers_v(group, (group + 1) % 3) == pytest.approx(1)
    assert pairs.cramers_v(np.tile([0, 1, 2], 100), side) == pytest.approx(0)
    binary = rng.integers(0, 2, 300) | side
    assert pairs.cramers_v(binary, side) == pytest.approx(abs(np.corrcoef(binary, side)[0, 1]))  # phi
    values = rng.normal(size=300) + side
    assert pairs.correlation_ratio(side, values) == pytest.approx(abs(np.corrcoef(values, side)[0, 1]))
    assert pairs.correlation_ratio(group, group.astype(np.float64)) == pytest.approx(1)
    for undefined in (pairs.cramers_v, pairs.correlation_ratio):
        assert np.isnan([undefined(np.zeros(9), np.arange(9)), undefined(np.arange(0), np.arange(0))]).all()
    assert np.isnan(pairs.correlation_ratio(np.arange(9), np.zeros(9)))


def _plain_support(real: Points, made: Points, k: int) -> list[float]:
    """Alaa's and Naeem's formulas, level by level."""
    gaps, own = cdist(real, made), np.sort(cdist(real, real))[:, 1:]
    levels, far = np.linspace(0, 1, 30), cdist([real.mean(0)], real)
    alphas = [np.mean(cdist([real.mean(0)], made) <= np.quantile(far, q) + 1e-9) for q in levels]
    closest = cdist([made.mean(0)], made[gaps.argmin(1)])[0]
    near = gaps.min(1) <= own[:, 0]
    betas = [np.mean(near & (closest <= np.quantile(closest, q) + 1e-9)) for q in levels]
    inside = gaps <= own[:, [k - 1]]
    areas = [float(1 - np.abs(levels - shares).sum() / levels.sum()) for shares in (alphas, betas)]
    return [*areas, inside.sum() / (k * len(made)), inside.any(1).mean()]


@pytest.mark.parametrize("n", [2, 4, 60])
def test_support_is_that_of_the_plain_formulas(n: int) -> None:
    rng = np.random.default_rng(n)
    real, made = rng.normal(size=(n, 3)), rng.normal(0.3, 0.8, size=(n, 3))
    assert astuple(of_points(real, made)) == pytest.approx(_plain_support(real, made, min(5, n - 1)))


def test_support_distinguishes_unseen_crowded_and_distant_rows() -> None:
    rng = np.random.default_rng(1)
    real, new = rng.normal(size=(2, 3000, 4))
    fresh, copied = of_points(real, new), of_points(real, real)
    assert (fresh.alpha_precision, fresh.density) == pytest.approx((1, 1), abs=0.04)
    assert fresh.coverage == pytest.approx(1 - 0.5**5, abs=0.02)  # each of the nearest 2k is as likely of either kind
    assert fresh.beta_recall == pytest.approx(0.5, abs=0.05)
    assert (copied.alpha_precision, copied.beta_recall, copied.coverage) == pytest.approx((1, 1, 1), abs=0.02)
    crowd = of_points(real, new * 0.2)
    assert crowd.density > fresh.density
    assert max(crowd.coverage, crowd.alpha_precision) < 0.4
    strange = of_points(real, new + 100)
    assert (strange.density, strange.coverage, strange.beta_recall) == (0, 0, 0)


def halves(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    shuffled = frame.sample(frac=1, random_state=0, ignore_index=True)
    return shuffled[::2].reset_index(drop=True), shuffled[1::2].reset_index(drop=True)


@pytest.fixture(scope="module")
def cancer() -> Comparison:
    """Breast cancer: real rows, columns shuffled each by itself as synthetic ones, and a holdout."""
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 2, 4, 6, 30]]
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    real, held = halves(frame)
    return Comparison.from_tables(
        real, shuffle_columns(real, 300, np.random.default_rng(0)), holdout=held, target="target"
    )


def test_classifier_separates_other_rows_but_not_halves(cancer: Comparison) -> None:
    assert cancer.holdout is not None
    assert detection_auc(cancer.real, cancer.holdout, 0) == pytest.approx(0.5, abs=0.1)
    assert detection_auc(cancer.real, cancer.synthetic, 0) > 0.9
    assert detection_auc(cancer.real, cancer.real.assign(**{"mean radius": np.nan}), 0) == pytest.approx(1)
    empty = pd.DataFrame({"empty": [np.nan] * 40})
    assert detection_auc(empty, empty, 0) == 0.5
    assert np.isnan(detection_auc(cancer.real[:20], cancer.real, 0))
    rare = cancer.real.assign(rare=np.where(np.arange(len(cancer.real)) == 0, 1.0, np.nan))
    fresh = cancer.holdout.assign(rare=np.nan)
    assert detection_auc(rare, fresh, 0) == pytest.approx(0.5, abs=0.1)  # one model sees no value of the column


@pytest.fixture(scope="module")
def found(cancer: Comparison) -> Any:
    return fidelity(cancer, 0)


def test_shuffled_columns_have_the_shape_but_not_the_trend(found: Any) -> None:
    assert [figure.metric for figure in found.figures] == list(SECTIONS["fidelity"])
    assert found.notes == ()
    for figure in found.figures:
        assert None not in {figure.real, figure.independent}
        # What is measured here are shuffled columns, drawn by another seed.
        assert figure.value == pytest.approx(figure.independent, abs=0.12), figure.metric.name
    assert found["shape"].value > found["shape"].real - 0.01
    assert found["trend"].value < found["trend"].real - 0.1
    assert found["coverage"].value < found["coverage"].real - 0.2
    assert found["c2st_holdout"].real == found["c2st_real"].real < 0.6
    assert found["c2st_holdout"].value > 0.9


def test_details_are_those_of_the_figures(found: Any) -> None:
    columns, related = found.details["columns"], found.details["pairs"]
    for name, table in (("shape", columns), ("trend", related)):
        assert table[["score", "real"]].mean().tolist() == pytest.approx([found[name].value, found[name].real])
    assert columns["adherence"].mean() == pytest.approx(found["adherence"].value)
    assert related["score"].is_monotonic_increasing
    assert related["correlation_real"].notna().equals(related["kind"] == "numbers")
    plane = found.details["drawn_plane"].groupby("rows")[["x", "y"]]
    assert plane.size().to_dict() == {"real": 285, "synthetic": 300}
    assert plane.mean().loc["real"].to_numpy() == pytest.approx(0, abs=1e-6)
    assert len(found.details["drawn_associations"]) == 15
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["details"].keys() == {"columns", "pairs"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_section(cancer: Comparison, found: Any) -> None:
    again = fidelity(cancer, 0)
    assert again.figures == found.figures
    for name, table in again.details.items():
        pd.testing.assert_frame_equal(table, found.details[name])


def test_histograms_are_shares_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "money": np.exp(rng.normal(0, 3, 400)),
            "children": rng.integers(0, 5, 400),
            "born": pd.Timestamp("1890-01-01") + pd.to_timedelta(rng.integers(0, 60_000, 400), "D"),
            "seen": pd.Timestamp("2024-05-01") + pd.to_timedelta(rng.integers(0, 80_000, 400), "s"),
            "code": [f"c{i}" for i in rng.integers(0, 40, 400)],
            "constant": 3.5,
        }
    ).mask(rng.random((400, 6)) < [0.1, 0, 0, 0, 0.1, 0])
    shown = histograms(Comparison.from_tables(*halves(frame)))
    assert shown.groupby("column")[["real", "synthetic"]].sum().to_numpy() == pytest.approx(1)
    bins = shown[shown["label"] != "missing"].groupby("column").size()
    assert bins.max() <= 30
    assert bins[["code", "constant"]].tolist() == [21, 1]
    assert set(shown.loc[shown["label"] == "missing", "column"]) == {"money", "code"}
    assert shown.query("column == 'children'")["label"].tolist() == ["0", "1", "2", "3", "4"]
    assert shown.query("column == 'born'")["label"].str.fullmatch(r"\d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d").all()
    assert shown.query("column == 'seen'")["label"].str.contains("2024-05-01T").all()
    money = shown.query("column == 'money' and label != 'missing'")
    assert money["high"].max() < frame["money"].max()  # an outlier does not squash the others
    assert (money["low"].iloc[1:].to_numpy() == money["high"].iloc[:-1].to_numpy()).all()


def test_a_frequent_number_is_apart_from_the_bins_of_the_others() -> None:
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(2000) < 0.9, 0, np.round(np.exp(rng.normal(8, 1, 2000))))
    comparison = Comparison.from_tables(*halves(pd.DataFrame({"gain": gain.astype(int)})))
    shown = histograms(comparison)
    apart = shown[shown["low"].isna()]
    assert apart["label"].tolist() == ["0"]
    assert apart["real"].iloc[0] == pytest.approx((comparison.real["gain"] == 0).mean())
    assert shown[["real", "synthetic"]].sum().to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("zeros", [0.0, 0.2])
def test_bins_of_a_long_tail_have_equal_ratios(zeros: float) -> None:
    rng = np.random.default_rng(0)
    dose = np.where(rng.random(600) < zeros, 0.0, np.exp(rng.normal(0, 2, 600)))
    shown = histograms(Comparison.from_tables(*halves(pd.DataFrame({"dose": dose}))))
    bins = shown[shown["low"].notna()]
    assert shown["logarithmic"].all()
    ratios = (bins["high"] / bins["low"]).to_numpy()
    np.testing.assert_allclose(ratios, ratios[0])
    assert shown["low"].isna().sum() == (zeros > 0)
    assert shown[["real", "synthetic"]].sum().to_numpy() == pytest.approx(1)


def test_bins_of_equal_width_are_not_logarithmic() -> None:
    frame = pd.DataFrame({"age": np.random.default_rng(0).normal(50, 10, 400), "grade": [1, 2, 3, 4] * 100})
    shown = histograms(Comparison.from_tables(*halves(frame)))
    assert not shown["logarithmic"].any()
    assert shown.query("column == 'grade'")["label"].tolist() == ["1", "2", "3", "4"]
    assert shown.query("column == 'grade'")["low"].isna().all()


def wide(n: int, columns: int) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(n, columns)).round(3)).rename(columns=str)


@pytest.mark.parametrize(("real", "synthetic", "absent", "notes"), [
    (wide(2, 2), wide(2, 2), {"c2st_real"}, ["at least 30 rows"]),
    (wide(60, 1), wide(50, 1), {"trend"}, ["only one column"]),
    (wide(60, 2).assign(**{"1": 7.5}), wide(60, 2), {"trend"}, ["constant in the real table", "no pair of columns"]),
    (wide(60, 3).assign(**{"1": None}), wide(60, 3), set(), ["Columns without any value"]),
    (wide(60, 3), wide(60, 3).assign(**{"1": None}), set(), ["Columns without any value"]),
    (wide(60, 2) * np.nan, wide(60, 2), {"shape", "trend", "adherence"}, ["no real column has a value"]),
    (wide(40, 101), wide(40, 101), set(), ["Of 5050 pairs of columns, a random sample of 5000 was compared"]),
], ids=["two rows", "one column", "constant", "empty", "empty synthetic", "all empty", "wide"])  # fmt: skip
def test_absent_figures_have_a_note(
    real: pd.DataFrame, synthetic: pd.DataFrame, absent: set[str], notes: list[str]
) -> None:
    kinds = {name: Column(name=name, kind="continuous") for name in real.columns.tolist()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fidelity(Comparison(real.astype(np.float64), synthetic.astype(np.float64), None, kinds), 0)
    names = {figure.metric.name for figure in found.figures}
    few = {"triples"} if real.shape[1] < 3 else set()
    assert names == {metric.name for metric in SECTIONS["fidelity"]} - absent - few - {"c2st_holdout"}
    for part in ["There is no holdout", *notes]:
        assert any(part in note and note.endswith(".") for note in found.notes), found.notes
    assert found.details["pairs"]["score"].notna().all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_large_tables_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = load_wine(as_frame=True).frame.iloc[:, :4]
    whole = fidelity(Comparison.from_tables(*halves(frame)), 0)
    monkeypatch.setattr(section, "LEAST_ROWS", 60)
    monkeypatch.setattr(section, "MOST_CELLS", 100)
    found = fidelity(Comparison.from_tables(*halves(frame)), 0)
    assert any("random sample of 60 rows" in note for note in found.notes)
    assert found["adherence"].value == whole["adherence"].value
    assert found["shape"].value == pytest.approx(whole["shape"].value, abs=0.1)
