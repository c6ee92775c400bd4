"""Every draw of a fit is what its ledger says, and mutants of the code that draws are found out, each by name."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from bugs import recorded
from guards import FAR, Draw, moved, refuse_what_is_not_in_the_ledger, watched
from test_fit import SCHEMA, few_drawn_rows, quick, table
from test_sensitivity import texts

import synthvae
from synthvae import Synthesizer
from synthvae.errors import PrivacyError
from synthvae.privacy import Event, Ledger, PrivacyBudget, mechanisms
from synthvae.privacy.allocation import PAIRS, SCORES, SINGLES
from synthvae.privacy.counts import binning, histograms, schema_discovery
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.counts.schema_discovery import FREQUENT_VALUES, SHORT_RANGES, VALUE_TYPES, SchemaEvents
from synthvae.privacy.curator import Curator
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.ledger import RecordedEvent

__all__ = ["few_drawn_rows"]  # a fixture

PATIENTS = {"epsilon": 20.0, "delta": 1e-6, "unit": "patient", "rows_per_unit": 3}
GRADIENTS = {"strategy": "gradients", "batch_size": 80, "privacy": {"epsilon": 20.0, "delta": 1e-5, "rows": 400}}
TABLES = {"strategy": "tables"}
DISCOVERY = {"strategy": "tables", "schema": "private", "privacy": PATIENTS}
WAYS: dict[str, dict[str, Any]] = {"gradients": GRADIENTS, "tables": TABLES, "discovery": DISCOVERY}


def patients(rows: int) -> pd.DataFrame:
    """Rows of patients with up to three, beside many numbers and values that many share."""
    rng = np.random.default_rng(1)
    frame = table(rows).assign(patient=np.arange(rows) // 3)
    more = {f"n{i}": rng.normal(size=rows).round(2) for i in range(4)}
    return frame.assign(**more, **{f"c{i}": rng.choice(list("abcdefgh"), rows) for i in range(12)})


def fitted(way: str) -> tuple[Ledger, list[Draw]]:
    frame = patients(6000) if way == "discovery" else table()
    with watched() as draws:
        synthesizer = quick(**WAYS[way]).fit(frame)
    assert synthesizer.ledger_ is not None
    return synthesizer.ledger_, draws


def guarded(way: str) -> None:
    refuse_what_is_not_in_the_ledger(*fitted(way))


@pytest.mark.parametrize("way", list(WAYS))
def test_every_draw_is_in_the_ledger_as_it_is(way: str) -> None:
    ledger, draws = fitted(way)
    refuse_what_is_not_in_the_ledger(ledger, draws)
    often = {e.name: sum(draw.times for draw in draws if draw.event == e) for e in ledger.events}
    at_most = {HALVES, SHORT_RANGES}  # where what is asked may be less than what was recorded
    if way == "discovery":  # the target might have been a number like any other
        at_most |= {SINGLES, SCORES, PAIRS}
    assert all(often[event.name] == event.times for event in ledger.events if event.name not in at_most)
    assert often[HALVES] > 0


@pytest.mark.slow
def test_cells_are_those_of_the_schema() -> None:
    """Each table has a cell for each state of its columns within each class."""
    _, draws = fitted("tables")
    cells = {draw.event.name: [len(draw.exact)] for draw in draws if draw.event.name != HALVES}
    assert cells["number of rows"] == [1]
    assert cells["rows of each class"] == [2]
    assert cells[SCORES] == [10]
    assert sum(cells[SINGLES]) > 2 * (2 + 10 + 6 + 2 + 10)


# Mutants: what a programmer may do by mistake, and every guard but one did not see.


def quieter(recorded: RecordedEvent, factor: float) -> RecordedEvent:
    """An event with less noise than was recorded, which is taken from as if it were that one."""
    less = recorded.event.model_copy(update={"noise_multiplier": factor * recorded.event.noise_multiplier})
    mutant = RecordedEvent(less, recorded.ledger.model_copy(update={"events": (less,)}))
    recorded.take()
    return mutant


def bins_recorded_for_the_first_halving_only(patch: pytest.MonkeyPatch) -> None:
    right = binning.halvings
    patch.setattr(binning, "halvings", lambda ledger, _: right(ledger, 1))


def released_values_whose_noise_forgets_rows_per_unit(patch: pytest.MonkeyPatch) -> None:
    right = Curator.frequent_values

    def frequent(self: Curator, given: RecordedEvent, exact: Callable[[], Any], least: int) -> Any:
        return right(self, quieter(given, 1 / self.ledger.budget.rows_per_unit), exact, least)

    patch.setattr(Curator, "frequent_values", frequent)


def where_values_lie_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    right = schema_discovery.schema_events

    def schema_events(*given: Any) -> tuple[Event, ...]:
        held, valued, ended = right(*given)
        return held, valued.model_copy(update={"times": valued.times - 4}), ended

    patch.setattr(schema_discovery, "schema_events", schema_events)


def the_same_noise_in_every_step(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mechanisms, "_normal", functools.lru_cache(mechanisms._normal))


def one_noise_for_two_neighbouring_cells(patch: pytest.MonkeyPatch) -> None:
    right = mechanisms._discrete_gaussian
    patch.setattr(
        mechanisms, "_discrete_gaussian", lambda scale, count: np.repeat(right(scale, count // 2 + 1), 2)[:count]
    )


def the_noise_of_the_first_half_again_in_the_second(patch: pytest.MonkeyPatch) -> None:
    right = mechanisms._discrete_gaussian
    patch.setattr(
        mechanisms, "_discrete_gaussian", lambda scale, count: np.tile(right(scale, -(-count // 2)), 2)[:count]
    )


def one_noise_for_two_neighbouring_numbers(patch: pytest.MonkeyPatch) -> None:
    right = mechanisms._normal
    patch.setattr(mechanisms, "_normal", lambda count: right(count // 2 + 1).repeat_interleave(2)[:count])


def four_fifths_of_the_noise_at_a_rate_of_a_fifth(patch: pytest.MonkeyPatch) -> None:
    right = mechanisms.noisy_sums

    def noisy_sums(given: RecordedEvent, sums: Any) -> Any:
        return right(quieter(given, 0.8) if abs(given.event.sampling_rate - 0.2) < 0.01 else given, sums)

    patch.setattr(mechanisms, "noisy_sums", noisy_sums)


def values_that_become_one_key_overwrite(patch: pytest.MonkeyPatch) -> None:
    """The counts of texts that are no UTF-8, all of which are read alike, are not added up."""

    def by_value(values: Any) -> dict[Any, int]:
        return {
            one["values"].as_py().decode(errors="replace"): one["counts"].as_py()
            for one in values.cast("large_binary").value_counts()
            if one["values"].is_valid
        }

    patch.setattr(histograms, "by_value", by_value)


MUTANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (bins_recorded_for_the_first_halving_only, "tables", "recorded for 1 releases"),
    (released_values_whose_noise_forgets_rows_per_unit, "discovery", r"in no ledger|of the noise recorded"),
    (where_values_lie_is_not_recorded, "discovery", r"recorded for \d+ releases"),
    (the_same_noise_in_every_step, "gradients", "releases have one noise"),
    (one_noise_for_two_neighbouring_cells, "discovery", "neighbouring cells have"),
    (the_noise_of_the_first_half_again_in_the_second, "discovery", "cells have one noise"),
    (one_noise_for_two_neighbouring_numbers, "gradients", "neighbouring cells have"),
    (four_fifths_of_the_noise_at_a_rate_of_a_fifth, "gradients", "0.80 of the noise recorded"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("mutant", "way", "found"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mutant_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], way: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, PrivacyError), match=found):
        guarded(way)


def test_counts_that_overwrite_each_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The eighth: one row of a value that becomes the key of others."""
    values_that_become_one_key_overwrite(monkeypatch)
    rows: list[bytes | None] = [*[b"\xff"] * 40, b"a"]
    assert moved(*(histograms.by_value(pa.chunked_array([texts(some)])) for some in (rows, [*rows, b"\xfe"]))) > 1
    monkeypatch.undo()
    assert moved(*(histograms.by_value(pa.chunked_array([texts(some)])) for some in (rows, [*rows, b"\xfe"]))) == 1


DRAWN = """
import random, sys
sys.path[:0] = {path!r}
import numpy as np, torch
from bugs import counted, descended, recorded
from synthvae.privacy import mechanisms
{mutant}
random.seed(0); np.random.seed(0); torch.manual_seed(0)
print(mechanisms.noisy_counts(recorded(counted(50.0)), np.zeros(20, np.int64)).tolist())
print(mechanisms.noisy_sums(recorded(descended(1.0, 1.0, 1)), [torch.zeros(20)])[0].tolist())
print((mechanisms.uniform(20) < 0.5).tolist())
"""
SEEDED = """
known = np.random.default_rng(0)
mechanisms._discrete_gaussian = lambda scale, count: known.normal(0, scale, count).round().astype(np.int64)
mechanisms._normal = lambda count: torch.from_numpy(known.normal(size=count))
"""


def drawn(mutant: str = "") -> list[str]:
    """What a new process draws."""
    code = DRAWN.format(path=[str(Path(__file__).parent)], mutant=mutant)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.slow
def test_noise_follows_no_seed_in_any_process() -> None:
    assert all(first != second for first, second in zip(drawn(), drawn(), strict=True))


@pytest.mark.slow
def test_noise_of_a_known_seed_is_found() -> None:
    """The guard can fail: noise of a generator that each process starts alike."""
    assert drawn(SEEDED)[:2] == drawn(SEEDED)[:2]


# No draw without its event.


def test_what_was_not_recorded_is_not_drawn() -> None:
    event = Event.of_counts("counts", 1, 5.0, times=2)
    ledger = Ledger(budget=PrivacyBudget(epsilon=9.0, delta=1e-5))
    with pytest.raises(PrivacyError, match="in no ledger"):
        RecordedEvent(event, ledger)
    known = RecordedEvent(event, ledger.record(event))
    mechanisms.noisy_counts(known, np.zeros(3, np.int64), 2)
    with pytest.raises(PrivacyError, match="recorded for 2 releases, got a request for 1 more"):
        mechanisms.noisy_counts(known, np.zeros(3, np.int64))
    with pytest.raises(PrivacyError, match="must be Poisson-sampled Gaussian here, got discrete Gaussian"):
        mechanisms.noisy_sums(RecordedEvent(event, ledger.record(event)), [torch.zeros(3)])


SAMPLERS = {"_discrete_gaussian", "_discrete_laplace", "_normal", "_drawn"}
NOISY = {"noisy_counts", "noisy_sums"}
RECORDERS = {"ledger.py", "curator.py", "attacks.py", "private.py"}  # of them the last gives other processes an event


def names(file: Path) -> set[str]:
    tree = ast.walk(ast.parse(file.read_text()))
    return {node.id for node in tree if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)
    }


@pytest.mark.slow
def test_there_is_no_other_way_to_draw() -> None:
    """Samplers are asked by `mechanisms` alone, noise by the curator and the optimiser, events made to draw by few."""
    package = Path(synthvae.__file__).parent
    uses = {file.relative_to(package).as_posix(): names(file) for file in package.rglob("*.py")}
    assert {file for file, used in uses.items() if used & SAMPLERS and file.startswith("privacy")} == {
        "privacy/mechanisms.py"
    }
    assert {file for file, used in uses.items() if used & NOISY} == {"privacy/curator.py", "privacy/dpsgd/trainer.py"}
    assert {file for file, used in uses.items() if "opendp" in file or "then_gaussian" in used} == {
        "privacy/mechanisms.py"
    }
    makers = {file.rsplit("/", 1)[-1] for file, used in uses.items() if "RecordedEvent" in used}
    calls = {"RecordedEvent("}
    assert {f.name for f in package.rglob("*.py") if calls & {c for c in calls if c in f.read_text()}} <= RECORDERS
    assert makers


def test_more_rows_of_a_unit_than_the_noise_hides_are_refused() -> None:
    digits, labels = np.zeros((5, 1), np.int8), np.zeros(5, np.int64)
    units = np.array([4, 4, 7, 7, 9])
    assert len(PrivateRows.of(digits, labels, units, 2).units) == 5
    with pytest.raises(PrivacyError, match="A unit must have at most 1 rows"):
        PrivateRows.of(digits, labels, units, 1)
    with pytest.raises(PrivacyError, match="A unit must have at most 2 rows"):
        PrivateRows.of(digits, labels, np.array([4, 4, 4, 7, 9]), 2)


def samples(rows: PrivateRows, rate: float, times: int) -> list[set[int]]:
    """Which rows are in each of some samples; a row's first digit is its number."""
    drawn = rows.samples(rate, times, micro=7)
    return [{int(row) for part, _ in sample for row in part.digits[:, 0]} for sample in drawn]


def test_samples_take_units_whole_and_each_step_anew() -> None:
    """Each unit by a coin of its own in each step, as often as the rate says, with others as often as chance has it."""
    units, steps, rate = np.repeat(np.arange(40), 3), 2000, 0.3
    rows = PrivateRows.of(np.arange(120, dtype=np.int8)[:, None], np.zeros(120, np.int64), units, 3)
    drawn = samples(rows, rate, steps)
    taken = np.array([[3 * unit in sample for unit in range(40)] for sample in drawn])
    whole = [{3 * unit + row for unit in np.flatnonzero(one) for row in range(3)} for one in taken]
    assert drawn == whole
    spread = (rate * (1 - rate)) ** 0.5
    scores = (taken - rate) / spread
    assert abs(scores.mean()) < FAR / scores.size**0.5
    assert np.abs(scores.T @ scores / steps - np.eye(40)).max() < FAR / steps**0.5 * 2  # other units
    assert abs((scores[1:] * scores[:-1]).mean()) < FAR / scores[1:].size ** 0.5  # the same units, one step later
    assert len({frozenset(sample) for sample in drawn}) > 0.9 * steps


@pytest.mark.slow
def test_a_fit_that_forgets_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthvae.privacy.fit, "_some_of_each", lambda given, _: given)
    with pytest.raises(PrivacyError, match="A unit must have at most 3 rows"):
        quick(privacy=PATIENTS, strategy="gradients").fit(table().assign(patient=np.arange(400) // 4))


# A plan and a fit go one way, and refusals say what they spent.


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradients", "tables"])
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("schema", ["declared", "private"])
def test_a_budget_is_spent(strategy: str, epsilon: float, schema: str) -> None:
    from synthvae.privacy.accounting import spent

    budget = {"epsilon": epsilon, "delta": 1e-6}
    synthesizer = quick(strategy=strategy, privacy=budget, schema=SCHEMA if schema == "declared" else "private")
    for declared in (None, 30_000):
        synthesizer.set_params(privacy={**budget, "rows": declared})
        ledger = synthesizer.plan(30_000, SCHEMA.names)
        assert 0.95 * epsilon <= spent(ledger.events, 1e-6, epsilon) <= ledger.epsilon <= epsilon


def test_a_refused_fit_says_what_it_spent(tmp_path: Path) -> None:
    lonely = pd.DataFrame({"x": [0, 1] * 500, "y": [f"n{i}" for i in range(1000)]})
    seldom = {"epsilon": 2.0, "delta": 1e-8}  # noise lifts one of the values above the threshold once in 10^6 fits
    synthesizer = Synthesizer(target="y", schema="private", privacy=seldom, journal=tmp_path / "journal")
    with pytest.raises(
        PrivacyError, match=r"without a value above the threshold.*\(epsilon 2 of 2 was spent\)"
    ) as refused:
        synthesizer.fit(lonely)
    assert [event.name for event in refused.value.ledger.events][:2] == ["number of rows", VALUE_TYPES]
    kept = (tmp_path / "journal" / "ledger.json").read_text()
    assert '"epsilon": 2.0' in kept
    assert FREQUENT_VALUES in kept


def test_a_refusal_after_the_number_of_rows_spent_that_alone() -> None:
    with pytest.raises(PrivacyError, match=r"delta must be less.*\(epsilon 0.4 of 20 was spent\)") as refused:
        quick(privacy={"epsilon": 20.0, "delta": 0.5}).fit(table())
    assert refused.value.ledger is not None


@pytest.mark.slow
def test_a_refusal_before_any_release_spent_nothing() -> None:
    for budget in ({"epsilon": 1e-6, "delta": 1e-9}, {"epsilon": 1.0, "delta": 0.5, "rows": 400}):
        with pytest.raises(PrivacyError) as refused:
            quick(privacy=budget).fit(table())
        assert refused.value.ledger is None
        assert "was spent" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [ZeroDivisionError, OSError, KeyboardInterrupt])
def test_interrupted_and_failing_fits_say_what_they_spent(
    ending: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(*_: object) -> None:
        raise ending

    monkeypatch.setattr(synthvae.privacy.fit, "_synthetic", drawn)
    with pytest.raises(ending) as failed:
        quick().fit(table())
    assert failed.value.__notes__ == ["epsilon 20 of 20 was spent"]


def test_schema_events_are_as_noisy_as_recorded() -> None:
    budget = PrivacyBudget(**PATIENTS)
    events = SchemaEvents.record(Curator(Ledger(budget=budget)), 5)
    assert {event.event.sensitivity for event in (events.types, events.values, events.ranges)} == {3.0}
    assert recorded(events.types.event, "patient", 3).left == 5
