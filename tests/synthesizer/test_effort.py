"""How much a fit may cost: what is stated wins, "balanced" is what was there before, a budget allows nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_wine

from synthvae import PrivacyBudget, Schema, Synthesizer
from synthvae.errors import ConfigurationError
from synthvae.estimators import VAEImputer, VAEOutlierDetector, VAETransformer
from synthvae.relational import Database, DatabaseSynthesizer, SequenceSynthesizer
from synthvae.synthesizer.configuration import architecture
from synthvae.training import SMALL, TrainingConfig
from synthvae.training.config import EffortName, effort_of

EFFORTS: tuple[EffortName, ...] = ("fast", "balanced", "thorough")
ROWS = [1, 60, SMALL - 1, SMALL, 5_000, 30_000, 10**7]
QUICK: dict[str, Any] = {"max_steps": 3, "device": "cpu", "random_state": 0}


def weights_of(effort: EffortName, rows: int) -> int:
    """Entries of the matrices of a head of four outputs."""
    size = effort_of(effort, rows)
    return size.width * (size.hidden + 4) + size.hidden * 4


@pytest.mark.parametrize("rows", ROWS)
def test_more_effort_is_no_smaller_a_network_and_no_fewer_steps(rows: int) -> None:
    sizes = [weights_of(effort, rows) for effort in EFFORTS]
    schedules = [TrainingConfig(effort=effort).schedule(rows, "autoregressive") for effort in EFFORTS]
    assert sizes == sorted(sizes)
    assert [one.steps for one in schedules] == sorted(one.steps for one in schedules)
    assert schedules[0].steps < schedules[1].steps


@pytest.mark.parametrize("rows", ROWS)
def test_balanced_is_the_default_of_networks_and_training(rows: int) -> None:
    found = architecture(Synthesizer(), rows)
    assert (found.width, found.hidden, found.value_hidden, found.products) == (128, 32, 96, 0)
    assert TrainingConfig(effort="balanced") == TrainingConfig()


@pytest.mark.parametrize("effort", EFFORTS)
def test_what_is_stated_wins(effort: EffortName) -> None:
    for rows in ROWS:
        assert architecture(Synthesizer(effort=effort, width=10), rows).width == 10
        stated = TrainingConfig(effort=effort, max_steps=7, learning_rate=0.5, patience=3, batch_size=1)
        assert stated.schedule(rows, "autoregressive")[:4] == (7, 1, 0.5, 3)


@pytest.mark.parametrize("effort", ["thorough", "fast"])
def test_a_model_is_saved_with_its_effort(effort: EffortName, tmp_path: Path) -> None:
    wine = load_wine(as_frame=True).frame
    table = pd.concat([wine] * 13, ignore_index=True)  # no small table
    fitted = Synthesizer(target="target", effort=effort, **QUICK).fit(table)
    fitted.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    assert (loaded.effort, loaded.width) == (effort, None)
    assert json.loads((tmp_path / "model" / "synthvae.json").read_text())["parameters"]["effort"] == effort
    pd.testing.assert_frame_equal(loaded.sample(50, random_state=1), fitted.sample(50, random_state=1))
    assert loaded.model_.config.width == effort_of(effort, len(table)).width


def test_a_budget_allows_balanced_only() -> None:
    """The number of rows is not public, and a size that follows it would reveal it."""
    schema = Schema.model_validate({"columns": [{"name": "a", "kind": "categorical", "categories": ["x", "y"]}]})
    table = pd.DataFrame({"a": ["x", "y"] * 20})
    private = Synthesizer(schema=schema, privacy=PrivacyBudget(epsilon=1, delta=1e-6), effort="fast", random_state=0)
    with pytest.raises(ConfigurationError, match="`effort` must be \"balanced\" for a private fit, got 'fast'"):
        private.fit(table)


def _database() -> Database:
    parents = pd.DataFrame({"id": range(8), "sex": list("fm") * 4})
    children = pd.DataFrame({"parent": [*range(8)] * 2, "ill": list("yn") * 8})
    return Database(
        tables={"parents": parents, "children": children},
        primary_keys={"parents": "id"},
        foreign_keys=[("children", "parent", "parents", "id")],
    )


def test_linked_tables_under_a_budget_allow_balanced_only() -> None:
    budget = PrivacyBudget(epsilon=1, delta=1e-6, rows_of_tables={"children": 2})
    with pytest.raises(ConfigurationError, match="`effort` must be"):
        DatabaseSynthesizer(_database(), effort="thorough", privacy=budget).fit()


def test_linked_tables_are_saved_with_their_effort(tmp_path: Path) -> None:
    DatabaseSynthesizer(_database(), effort="fast", protect=0, **QUICK).fit().save(tmp_path / "model")
    assert DatabaseSynthesizer.load(tmp_path / "model").effort == "fast"


UNKNOWN: dict[str, Any] = {"effort": "slow"}
ESTIMATORS: list[Any] = [kind(**UNKNOWN) for kind in (Synthesizer, VAETransformer, VAEImputer, VAEOutlierDetector)]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_an_unknown_effort_is_refused(estimator: Any) -> None:
    wine = load_wine(as_frame=True).data
    with pytest.raises(
        ConfigurationError, match="`effort`: input should be 'fast', 'balanced' or 'thorough', got 'slow'"
    ):
        estimator.fit(wine)


def test_sequences_and_databases_refuse_an_unknown_effort() -> None:
    visits = pd.DataFrame({"patient": [0, 0, 1, 1], "sex": list("ffmm")})
    with pytest.raises(ConfigurationError, match="`effort`: input should be"):
        SequenceSynthesizer("patient", **UNKNOWN).fit(visits)
    with pytest.raises(ConfigurationError, match="`effort`: input should be"):
        DatabaseSynthesizer(_database(), **UNKNOWN).fit()


def test_a_thorough_fit_decays_weights_less_where_there_are_more_rows() -> None:
    """The weight decay stands for a prior, which weighs as much as a fixed number of rows."""
    rows = [10**k for k in range(2, 8)]
    decays = [TrainingConfig(effort="thorough").decay(count) for count in rows]
    assert decays == sorted(decays, reverse=True)
    assert decays[0] == 1.0
    assert decays[-2] == pytest.approx(10 * decays[-1])
    assert [TrainingConfig(effort="thorough", weight_decay=0.2).decay(count) for count in rows] == [0.2] * len(rows)
    assert {TrainingConfig().decay(count) for count in rows} == {0.01}
