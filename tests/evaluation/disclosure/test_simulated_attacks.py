"""Attacks: memorised rows are flagged, unseen rows are not."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_breast_cancer, load_wine, make_classification

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure import attribute_inference, linkability, singling_out
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.disclosure.risk import AttackResult, Guesses
from synthvae.evaluation.disclosure.simulated_attacks import COLUMNS, attacks
from synthvae.evaluation.results import Section

NAMES = ["singling_out", "linkability", "inference", "membership"]


def people(rows: int, seed: int) -> list[pd.DataFrame]:
    """Three tables of one distribution: numbers, categories, a date, and gaps."""
    x, y = make_classification(6_000, 6, n_informative=5, n_redundant=1, random_state=0)
    drawn = np.random.default_rng(seed).choice(len(x), 3 * rows, replace=False)
    table = pd.DataFrame(x[drawn].round(2)).add_prefix("x")
    table["class"] = np.where(y[drawn], "ill", "well")
    table["ward"] = np.array(["a", "b", "c"])[(x[drawn, 0] > 0).astype(int) + (x[drawn, 1] > 1)]
    table["seen"] = pd.Timestamp("2020-01-01") + pd.to_timedelta((100 * x[drawn, 3]).round(), unit="D")
    table.loc[x[drawn, 2] > 2, "x4"] = None
    return [table[part::3].reset_index(drop=True) for part in range(3)]


def attacked(real: pd.DataFrame, made: pd.DataFrame, holdout: pd.DataFrame | None, seed: int = 0) -> Section:
    return attacks(Comparison.from_tables(real, made.reset_index(drop=True), holdout=holdout), seed)


def flagged(section: Section) -> list[str]:
    return [figure.metric.name for figure in section.figures if figure.flagged]


def outcome(section: Section, attack: str) -> pd.Series[float]:
    table = section.details["attacks"]
    return table[(table["attack"] == attack) & (table["column"] == "")].iloc[0]


def test_a_copy_is_flagged_by_every_attack() -> None:
    real, holdout, _ = people(1_000, 0)
    section = attacked(real, real, holdout)
    assert flagged(section) == NAMES
    assert all(section[name].value > 0.9 for name in NAMES)
    assert outcome(section, "singling_out")["success"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_unseen_rows_are_not_flagged(seed: int) -> None:
    real, holdout, fresh = people(1_000, seed)
    assert flagged(attacked(real, fresh, holdout, seed)) == []


@pytest.mark.slow
def test_the_interval_of_a_risk_has_its_level() -> None:
    above = []
    for seed in range(20):
        real, holdout, fresh = people(200, seed)
        comparison = Comparison.from_tables(real, fresh, holdout=holdout)
        assert comparison.holdout is not None
        above += [
            attribute_inference.inference(comparison, comparison.holdout, np.random.default_rng(seed))[0].risk[1][0]
        ]
    assert np.mean(np.array(above) > 0) <= 0.1


def test_breast_cancer_copied_and_unseen() -> None:
    table = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    real, holdout, fresh = (table[part::3].reset_index(drop=True) for part in range(3))
    assert flagged(attacked(real, real, holdout)) == NAMES
    section = attacked(real, fresh, holdout)
    assert flagged(section) == []
    assert len(section.details["attacks"]) == 2 + 1 + attribute_inference.SECRETS


def test_partial_copies_disclose_the_other_values() -> None:
    """Each synthetic row is a real one, of which one value in five is another's."""
    real, holdout, _ = people(800, 1)
    rng = np.random.default_rng(0)
    made = real.copy()
    for name in made:
        made[name] = made[name].mask(rng.random(len(made)) < 0.2, made[name].sample(frac=1, random_state=1).to_numpy())
    assert {"inference", "membership"} <= set(flagged(attacked(real, made, holdout)))


def test_common_knowledge_is_no_risk() -> None:
    """A column that follows from the others is guessed of everybody, learned or not."""
    tables = [table.assign(twin=table["ward"]) for table in people(800, 2)]
    section = attacked(tables[0], tables[2], tables[1])
    found = section.details["attacks"].set_index("column").loc["twin"]
    assert found["success"] > 0.95
    assert found["control"] > 0.95
    assert found["naive"] < 0.6
    assert found["low"] == 0


def test_details_are_complete_and_reproducible() -> None:
    real, holdout, fresh = people(300, 3)
    one, two = (attacked(real, fresh, holdout, 5) for _ in range(2))
    assert one.to_dict() == two.to_dict()
    table = one.details["attacks"]
    assert list(table) == COLUMNS
    assert table["attack"].unique().tolist() == NAMES[:3]
    assert set(table.loc[table["attack"] == "inference", "column"]) == {"", *real}
    assert ((table[COLUMNS[3:]] >= 0) & (table[COLUMNS[3:]] <= 1)).all(axis=None)
    for figure in one.figures:
        assert figure.metric.limits
        if figure.metric.name != "membership":
            assert figure.value == outcome(one, figure.metric.name)["risk"]


def test_without_a_control_group_no_attack_runs() -> None:
    real, holdout, fresh = people(100, 4)
    for few in (None, holdout[:19]):
        section = attacked(real, fresh, few)
        assert section.figures == ()
        assert len(section.notes) == 1
        assert "control group" in section.notes[0]


@pytest.mark.parametrize(("table", "absent"), [
    (pd.DataFrame({"a": ["x"] * 40}), 3),
    (pd.DataFrame({"a": ["x"] * 40, "b": [1.5] * 40}), 2),
    (pd.DataFrame({"a": [1.5, 2.5] * 20}), 3),
    (pd.DataFrame({"a": [None, 2.5] * 20, "b": ["x", None] * 20}), 1),
])  # fmt: skip
def test_narrow_and_constant_tables_degrade(table: pd.DataFrame, absent: int) -> None:
    section = attacked(table, table, table)
    assert sum("was not run" in note for note in section.notes) == absent
    assert len(section.figures) == 4 - absent
    assert flagged(section) == []
    assert attacked(table, table[:2], table).figures


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_predicates_hold_for_one_synthetic_row(seed: int) -> None:
    frame = people(60, 5)[0][["x0", "x4", "ward"]]
    comparison = Comparison.from_tables(frame, frame)
    rows = singling_out._filled(comparison.synthetic)
    numeric = np.array([name in comparison.numeric for name in comparison.real])
    rng = np.random.default_rng(seed)
    several = islice(singling_out._multivariate(rows, numeric, rng), 30)
    found = [*singling_out._univariate(rows, numeric, rng), *several]
    assert len(found) > 20
    for predicate in found:
        holds = np.ones(len(rows), bool)
        for column, low, high in predicate:
            holds &= (low <= rows[:, column]) & (rows[:, column] <= high)
        assert holds.sum() == 1


def test_the_nearest_row_without_the_secret_is_that_of_plain_distances() -> None:
    real, holdout, made = people(120, 6)
    comparison = Comparison.from_tables(real, made, holdout=holdout)
    secrets = ["x0", "ward", "x4"]
    places = attribute_inference._nearest(comparison.synthetic, comparison.real, secrets)
    for column, name in enumerate(secrets):
        points = as_points([t.drop(columns=name) for t in (comparison.synthetic, comparison.real)])
        distances = cdist(points[1], points[0])
        chosen = distances[np.arange(len(real)), places[:, column]]
        np.testing.assert_allclose(chosen, distances.min(axis=1), atol=1e-3)


def test_numbers_are_right_within_five_per_cent() -> None:
    truth = np.array([100.0, 100.0, -100.0, 0.0, 0.0, np.nan, np.nan, 3.0])
    guess = np.array([104.9, 105.1, -95.1, 0.0, 0.1, np.nan, 3.0, np.nan])
    expected = [True, False, True, True, False, True, False, False]
    assert attribute_inference._close(guess, truth, None).tolist() == expected
    assert attribute_inference._close(np.array([20.0, 26.0]), np.array([0.0, 20.0]), 100.0).tolist() == [False, False]
    assert attribute_inference._close(np.array([5.0, 15.0]), np.array([0.0, 20.0]), 100.0).tolist() == [True, True]


def test_halves_are_linked_by_a_row_near_to_both() -> None:
    first, second = np.array([[1, 2, 8], [3, 4, 8], [7, 4, 8]]), np.array([[2, 9, 1], [5, 6, 0], [7, 6, 5]])
    assert linkability._linked(first, second).tolist() == [[False, True, True], [False] * 3, [True] * 3]


def test_random_links_have_the_rate_of_chance() -> None:
    rng = np.random.default_rng(0)
    hits = linkability._at_random(1_000, 20_000, rng)
    assert hits.mean(axis=0) == pytest.approx([1 - (1 - 1 / 1_000) ** (k * k) for k in range(1, 11)], abs=0.01)


def test_wine_discloses_as_much_as_was_planted() -> None:
    """A table of copies is at higher risk than one of which half are, by each attack."""
    wine = load_wine(as_frame=True).frame.sample(frac=1, random_state=1).reset_index(drop=True)
    real, holdout, fresh = (wine[part::3].reset_index(drop=True) for part in range(3))
    made = [pd.concat([real[:copied], fresh[copied:]]) for copied in (30, 59)]
    sections = [attacked(real, table, holdout) for table in made]
    for name in NAMES:
        assert sections[0][name].value < sections[1][name].value


def test_risk_has_a_direction() -> None:
    right, wrong = (Guesses(np.full(50, value), np.arange(50)) for value in (1.0, 0.0))
    risks = [AttackResult("a", learned, control, wrong).risk for learned, control in ((right, wrong), (wrong, right))]
    assert risks[0][0] > 0.8
    assert risks[1] == (0.0, (0.0, risks[1][1][1]))
