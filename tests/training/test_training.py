"""Laws of the training loop, and what a fit refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from synthvae import Synthesizer
from synthvae.codes import Slots, Value
from synthvae.encoding import Codes
from synthvae.errors import ConfigurationError, TableError
from synthvae.model import CVAE, MATCHING_ROWS, ModelConfig, Rows, activity
from synthvae.model.frequencies import Sums
from synthvae.training import TrainingConfig, train
from synthvae.training.batches import class_weights
from synthvae.training.optimizer import rate_share
from synthvae.training.split import held_out
from synthvae.training.trainer import ElboDescent

SIZES = (3, 4, 2)
DIGITS = Slots(SIZES)
MIXED = Slots(SIZES, (Value(1, 0, 2), Value(3)))
SEED = 5
HARMFUL = TrainingConfig(max_steps=400, patience=1000, validation_fraction=0.3, learning_rate=0.02, batch_size=32)


def codes(rows: int = 90, seed: int = 0) -> Codes:
    """Rows whose digits and values hang together, in two classes of unlike size."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, rows)
    digits = np.stack([first, (first + rng.integers(0, 2, rows)) % 4, rng.integers(0, 2, rows)], 1)
    labels = (rng.random(rows) < 0.3).astype(np.int64)
    switched = np.where(first == 2, rng.normal(size=rows), np.nan)
    values = np.stack([switched, np.where(digits[:, 2] == 1, 1.5, -1.5) + 0.3 * rng.normal(size=rows)], 1)
    return Codes(digits.astype(np.int8), values.astype(np.float32), labels)


def noise_only(rows: int = 60) -> Codes:
    """Rows in which there is nothing to learn, so that learning on harms."""
    rng = np.random.default_rng(1)
    return digits_only(np.stack([rng.integers(0, size, rows) for size in SIZES], 1), np.zeros(rows, np.int64))


def digits_only(digits: Any, labels: Any) -> Codes:
    return Codes(digits.astype(np.int8), np.empty((len(labels), 0), np.float32), labels)


def build(dropout: float = 0.0, width: int = 16, slots: Slots = MIXED) -> CVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ModelConfig(latent_dim=2, width=width, hidden=8, value_hidden=8, dropout=dropout)
        return CVAE(slots, 2, config)


def weights(model: CVAE) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def finite(model: CVAE) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def as_rows(table: Codes) -> Rows:
    return Rows(torch.from_numpy(table.digits), torch.from_numpy(table.values))


@torch.no_grad()
def bound(model: CVAE, table: Codes, fraction: float) -> float:
    """The held-out ELBO in nats per row, measured anew."""
    held = held_out(table.labels, fraction, np.random.default_rng(SEED))
    rows, labels = as_rows(table).take(held), torch.from_numpy(table.labels)[held]
    noise = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0))
    terms = model.elbo(rows, labels, noise)
    return float(terms.reconstruction.mean() - terms.kl.sum(1).mean())


def stop_at(step: int) -> Callable[[int, int, float], None]:
    def progress(done: int, _last: int, _loss: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (build(dropout=0.2) for _ in range(3))
    config = TrainingConfig(max_steps=40)
    histories = [train(m, codes(), config, seed) for m, seed in ((first, SEED), (again, SEED), (other, SEED + 1))]
    assert same(weights(first), weights(again))
    assert histories[0] == histories[1]
    assert not same(weights(first), weights(other))


@pytest.mark.parametrize("progress", [None, stop_at(3)])
def test_the_global_generators_stay_as_they_are(progress: Any) -> None:
    torch.manual_seed(11)
    before, numbers = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    train(build(dropout=0.2), codes(), TrainingConfig(max_steps=10), SEED, progress)
    assert torch.equal(before, torch.get_rng_state())
    assert str(np.random.get_state()) == numbers  # noqa: NPY002


def test_the_global_state_does_not_reach_the_weights() -> None:
    first, again = build(dropout=0.2), build(dropout=0.2)
    torch.manual_seed(1)
    train(first, codes(), TrainingConfig(max_steps=10), SEED)
    torch.manual_seed(2)
    train(again, codes(), TrainingConfig(max_steps=10), SEED)
    assert same(weights(first), weights(again))


@pytest.mark.parametrize("progress", [None, stop_at(3)])
@pytest.mark.parametrize("batch", [8, 512])
def test_the_number_of_threads_is_restored(batch: int, progress: Any) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(build(), codes(1000), TrainingConfig(max_steps=5, batch_size=batch), SEED, progress)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def entropies(table: Codes) -> float:
    """The sum of the digits' entropies, the least that independent digits need, in nats per row."""
    shares = [np.bincount(table.digits[:, j], minlength=size) / len(table) for j, size in enumerate(SIZES)]
    return -sum(float((share * np.log(share)).sum()) for share in shares)


@pytest.mark.slow
def test_it_learns_what_digits_say_of_each_other() -> None:
    """Its bound passes what independent digits could reach at best, the sum of their entropies."""
    model, table = build(slots=DIGITS), codes(2000)
    table = digits_only(table.digits, table.labels)
    train(model, table, TrainingConfig(max_steps=300), SEED)
    assert bound(model, table, 0.1) > 0.1 - entropies(table)


@pytest.mark.slow
def test_it_learns_what_digits_and_values_say_of_each_other() -> None:
    """Its bound passes that of digits and values apart: entropies, a standard normal, and two heaps of 0.3."""
    model, table = build(), codes(2000)
    train(model, table, TrainingConfig(max_steps=400), SEED)
    normal = 0.5 * math.log(2 * math.pi * math.e)
    heaps = normal + math.log(0.3) + math.log(2)
    assert bound(model, table, 0.1) > 0.3 - entropies(table) - normal / 3 - heaps


def information_and_drift(free_bits: float) -> tuple[float, float]:
    """What z says of x, and how far the codes are from the prior, of a model trained so."""
    model, table = build(), codes(1500)
    train(model, table, TrainingConfig(max_steps=300, free_bits=free_bits, validation_fraction=0), SEED)
    rows, labels = as_rows(table), torch.from_numpy(table.labels)
    noise = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        terms = model.elbo(rows, labels, noise)
    drift = float(model.drift(terms, labels).mean())
    return float(terms.kl.sum(1).mean()) - drift, drift


@pytest.mark.slow
def test_free_bits_leave_room_for_information_and_none_for_drift() -> None:
    little, much = information_and_drift(0.0), information_and_drift(0.5)
    assert little[0] < 0.1
    assert much[0] == pytest.approx(1.0, abs=0.3)
    assert max(abs(little[1]), abs(much[1])) < 0.15


@pytest.mark.parametrize("patience", [2, 1000])
def test_the_best_weights_are_kept_not_the_last(patience: int) -> None:
    model, table = build(width=64, slots=DIGITS), noise_only()
    history = train(model, table, HARMFUL.model_copy(update={"patience": patience}), SEED)
    looks = {record.step: record.validation or 0.0 for record in history.records}
    best = max(looks.values())
    assert looks[history.best_step] == best
    assert bound(model, table, 0.3) > best - 0.05  # matching the marginals may move it a little
    assert bound(model, table, 0.3) > looks[max(looks)] + 0.01
    assert history.stopped == ("early" if patience == 2 else "finished")
    assert (history.records[-1].step == 400) == (patience == 1000)
    assert not model.training


def test_early_stopping_waits_for_patience() -> None:
    history = train(build(width=64, slots=DIGITS), noise_only(), HARMFUL.model_copy(update={"patience": 60}), SEED)
    assert history.stopped == "early"
    assert 60 <= history.records[-1].step - history.best_step < 80  # to the next look


def test_ctrl_c_keeps_the_best_weights() -> None:
    model, table = build(width=64, slots=DIGITS), noise_only()
    history = train(model, table, HARMFUL, SEED, stop_at(321))
    assert history.stopped == "interrupted"
    assert max(record.step for record in history.records) == 320
    assert bound(model, table, 0.3) > max(r.validation or -math.inf for r in history.records) - 0.05
    assert not model.training


@pytest.mark.parametrize("rows", [400, 3000])
@pytest.mark.parametrize("when", ["match_marginals", "match_prior", "activity"])
def test_ctrl_c_after_the_last_step_keeps_the_best_weights(
    rows: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; what is left to do then takes fewer rows."""
    calls: list[tuple[Any, ...]] = []
    place = "synthvae.training.trainer.activity" if when == "activity" else f"synthvae.model.CVAE.{when}"
    module, _, name = place.rpartition(".")
    original = getattr(CVAE, name) if module.endswith("CVAE") else activity

    def interrupted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(place, interrupted)
    model = build()
    history = train(model, codes(rows), TrainingConfig(max_steps=30), SEED)
    assert (history.stopped, history.refitted, history.best_step > 0) == ("interrupted", False, True)
    assert history.active_units is not None
    assert len(calls) == 2
    assert not model.training
    assert finite(model)
    assert name != "match_marginals" or calls[-1][4] < MATCHING_ROWS


def test_ctrl_c_before_the_first_look_leaves_a_model() -> None:
    model = build()
    history = train(model, codes(), TrainingConfig(max_steps=400), SEED, stop_at(1))
    assert (history.stopped, history.records) == ("interrupted", [])
    assert finite(model)
    assert not model.training


def test_other_errors_are_not_swallowed() -> None:
    def progress(*_: Any) -> None:
        raise RuntimeError("mine")

    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="mine"):
        train(build(), codes(), TrainingConfig(max_steps=5), SEED, progress)
    assert torch.get_num_threads() == threads


def test_weights_that_are_no_numbers_are_never_the_best() -> None:
    """A run that diverges after a good look must end with the good weights."""
    model, table = build(), codes()

    def poison(done: int, _last: int, _loss: float) -> None:
        if done == 150:
            with torch.no_grad():
                next(iter(model.parameters())).fill_(math.nan)

    train(model, table, TrainingConfig(max_steps=200, validation_fraction=0.2, patience=1000), SEED, poison)
    assert finite(model)


def test_without_held_out_rows_the_end_is_kept() -> None:
    model = build()
    history = train(model, codes(), TrainingConfig(max_steps=40, validation_fraction=0, patience=1), SEED)
    assert (history.best_step, history.stopped) == (40, "finished")
    assert all(record.validation is None for record in history.records)
    assert finite(model)


def test_classes_too_small_to_hold_out_are_trained_to_the_end() -> None:
    table = digits_only(np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    model = build(slots=DIGITS)
    history = train(model, table, TrainingConfig(max_steps=30, patience=1), SEED)
    assert (history.best_step, history.stopped) == (30, "finished")
    assert finite(model)


def test_what_is_unknown_can_be_learned_from() -> None:
    table = codes()
    table.digits[::3, 1] = -1
    table.digits[:, 2] = -1
    table.values[::4, 1] = np.nan
    table.values[:, 0] = np.nan
    model = build()
    train(model, table, TrainingConfig(max_steps=20), SEED)
    assert finite(model)


def test_looks_are_counted_in_steps_and_the_last_step_is_looked_at() -> None:
    done: list[int] = []
    config = TrainingConfig(max_steps=33, patience=99)
    history = train(build(), codes(), config, SEED, lambda step, *_: done.append(step))
    steps = [record.step for record in history.records]
    assert done == [*range(1, 34), *range(1, history.best_step + 1)]  # a small table is learned again
    assert steps == sorted(set(steps))
    assert steps[-1] == 33
    assert all(math.isfinite(r.loss) and r.kl >= 0 and math.isfinite(r.reconstruction) for r in history.records)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0, 0.999), st.integers(0, 9))
def test_held_out_takes_its_share_and_leaves_each_class_a_row(labels: list[int], fraction: float, seed: int) -> None:
    held = held_out(np.array(labels), fraction, np.random.default_rng(seed)).numpy()
    for label in set(labels):
        rows = np.array(labels) == label
        assert held[rows].sum() == math.floor(fraction * rows.sum())
        assert (~held[rows]).any()


def test_held_out_rows_are_chosen_by_chance() -> None:
    labels = np.zeros(10, np.int64)
    times = sum(held_out(labels, 0.5, np.random.default_rng(seed)).numpy().astype(int) for seed in range(2000))
    assert np.abs(np.asarray(times) - 1000).max() < 150


@pytest.mark.parametrize("steps", [20, 100, 1000, 5000])
def test_the_schedule_warms_up_peaks_and_ends_near_two_percent(steps: int) -> None:
    rise = TrainingConfig(max_steps=steps).schedule(1000, "autoregressive").rise
    rates = np.array([rate_share(step, steps, rise) for step in range(1, steps + 1)])
    peak = int(rates.argmax())
    assert rates[peak] == pytest.approx(1.0)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert peak + 1 == rise <= max(steps / 10, 1)
    assert rates[-1] == pytest.approx(0.02)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_schedules_learn_at_all(steps: int) -> None:
    rise = TrainingConfig(max_steps=steps).schedule(1000, "autoregressive").rise
    assert all(0 < rate_share(step, steps, rise) <= 1 for step in range(1, steps + 1))


def frequencies(table: Codes) -> Tensor:
    return sums(table).logs(Slots(SIZES)).exp()


def sums(table: Codes) -> Sums:
    digits, labels = torch.from_numpy(table.digits), torch.from_numpy(table.labels)
    return Sums.from_rows(digits, torch.from_numpy(table.values), labels, 2, Slots(SIZES))


def test_sums_of_parts_are_those_of_all_rows() -> None:
    table = codes(1000)
    whole = sums(table)
    parts = [sums(Codes(table.digits[i::3], table.values[i::3], table.labels[i::3])) for i in range(3)]
    added = parts[0] + parts[1] + parts[2]
    for name in ("levels", "pairs", "known", "totals", "squares"):
        torch.testing.assert_close(getattr(added, name), getattr(whole, name), rtol=1e-4, atol=1e-3)


def test_log_frequencies_are_normalised_and_leave_no_level_out() -> None:
    table = codes()
    table.digits[table.digits[:, 1] == 3, 1] = 0  # a level that never occurs
    found = frequencies(table)
    for j, size in enumerate(SIZES):
        torch.testing.assert_close(found[j, :, :size].sum(1), torch.ones(2), atol=1e-5, rtol=0)
        assert (found[j, :, :size] > 1e-4).all()
        assert (found[j, :, size:] < 1e-6).all()


def test_log_frequencies_are_the_shares_of_many_rows() -> None:
    table = codes(50_000)
    found = frequencies(table)
    for label in (0, 1):
        for j, size in enumerate(SIZES):
            shares = np.bincount(table.digits[table.labels == label, j], minlength=size) / (table.labels == label).sum()
            np.testing.assert_allclose(found[j, label, :size], shares, atol=1e-3)


def test_log_frequencies_know_nothing_of_unknown_digits() -> None:
    table = codes()
    rows = table.digits[:, 0] != 0
    hidden = np.where(rows[:, None], table.digits, -1).astype(np.int8)
    expected = frequencies(digits_only(table.digits[rows], table.labels[rows]))
    torch.testing.assert_close(frequencies(digits_only(hidden, table.labels)), expected)


@pytest.mark.parametrize("part", ["digits", "values"])
def test_the_held_out_rows_do_not_reach_the_weights(part: str) -> None:
    table, other = codes(), codes()
    getattr(other, part)[held_out(table.labels, 0.2, np.random.default_rng(SEED)).numpy()] = 0
    config = TrainingConfig(max_steps=10, validation_fraction=0.2)
    first, second = (train(build(), each, config, SEED).records[0] for each in (table, other))
    assert (first.loss, first.kl) == (second.loss, second.kl)
    assert first.validation != second.validation


BAD: dict[str, list[Any]] = {
    "decoder": ["x", None, 3],
    "prior": ["x"],
    "latent_dim": [0, -1, "many", 1.5],
    "width": [0],
    "dropout": [1.0, -0.1],
    "max_steps": [0, -3],
    "batch_size": [0],
    "learning_rate": [0, -1.0, math.nan],
    "beta": [-1.0, math.nan],
    "free_bits": [-1.0],
    "validation_fraction": [1.0, -0.1],
    "device": ["nope", "cpu:x", ""],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_parameter_is_refused_by_name_in_one_line(name: str, value: Any, wine: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Synthesizer(**{"target": "target", "max_steps": 2, name: value}).fit(wine)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_absent_is_refused_by_name(wine: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        Synthesizer(target="target", max_steps=2, device="cuda").fit(wine)


def test_an_absent_target_is_refused_by_name(wine: pd.DataFrame) -> None:
    with pytest.raises(TableError, match=r"nobody.*alcohol"):
        Synthesizer(target="nobody", max_steps=2).fit(wine)


def test_a_refused_fit_leaves_no_half_fitted_object(wine: pd.DataFrame) -> None:
    synthesizer = Synthesizer(target="target", latent_dim=0)
    with pytest.raises(ConfigurationError):
        synthesizer.fit(wine)
    assert not [name for name in vars(synthesizer) if name.endswith("_") and not name.startswith(("n_", "feature_"))]


def test_a_fit_leaves_the_global_generator_as_it_was(wine: pd.DataFrame) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Synthesizer(target="target", max_steps=2, width=8, device="cpu", random_state=0).fit(wine).sample(3)
    assert torch.equal(before, torch.get_rng_state())


def test_an_interrupted_fit_is_a_fit_and_says_so(wine: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.progress.fitting", lambda **_: nullcontext(stop_at(5)))
    synthesizer = Synthesizer(target="target", max_steps=50, width=8, device="cpu", random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        synthesizer.fit(wine)
    assert synthesizer.history_.stopped == "interrupted"
    assert len(synthesizer.sample(5)) == 5


def test_a_table_of_constants_can_be_learned() -> None:
    frame = pd.DataFrame({"y": ["a", "b"] * 20, "one": [1] * 40})
    synthesizer = Synthesizer(target="y", max_steps=3, width=8, device="cpu", random_state=0).fit(frame)
    sample = synthesizer.sample({"a": 2, "b": 1})
    assert sample["one"].tolist() == [1, 1, 1]
    assert sorted(sample["y"]) == ["a", "a", "b"]


def test_fine_digits_start_from_their_frequencies_beside_each_coarse_digit() -> None:
    rng = np.random.default_rng(3)
    coarse, fine = rng.integers(0, 3, 4000), rng.integers(0, 4, 4000)
    fine[coarse == 1] = 2  # a pattern of its own
    digits = torch.from_numpy(np.stack([coarse, fine], 1).astype(np.int8))
    slots, nothing = Slots((3, 4), (), (None, 0)), torch.empty(4000, 0)
    ratios = Sums.from_rows(digits, nothing, torch.zeros(4000, dtype=torch.long), 1, slots).ratios(slots)
    assert ratios.shape == (1, 4, 4)
    overall = np.bincount(fine, minlength=4) / 4000
    for level in range(3):
        inside = np.bincount(fine[coarse == level], minlength=4) / (coarse == level).sum()
        np.testing.assert_allclose(ratios[0, level].exp().numpy() * overall, inside, atol=2e-3)


def test_rows_of_scarce_classes_are_seen_more_often() -> None:
    weights = class_weights(torch.tensor([950, 49, 1, 0]))  # nobody is of the last class
    assert weights[0] == 1.0
    assert float(weights[1]) == pytest.approx(math.sqrt(0.5 * 1000 / (4 * 49)))
    assert weights[2] == 8.0
    assert (class_weights(torch.tensor([50, 50])) == 1.0).all()


def test_a_small_table_is_learned_again_with_all_of_its_rows() -> None:
    table, plain = codes(400), TrainingConfig(max_steps=60)
    history = train(build(), table, plain, SEED)
    assert history.refitted
    assert history.held_out_elbo is not None
    assert history.best_step == 60  # still learning: as many steps on all rows are a run without held-out rows
    first, second = build(), build()
    train(first, table, plain, SEED)
    train(second, table, TrainingConfig(max_steps=60, validation_fraction=0.0), SEED)
    for found, expected in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    assert not train(build(), codes(3000), TrainingConfig(max_steps=5), SEED).refitted
    assert not train(build(), table, TrainingConfig(max_steps=5, validation_fraction=0.0), SEED).refitted


@pytest.mark.parametrize("fault", ["interrupted", "diverged"])
def test_a_second_run_that_ends_badly_leaves_the_first(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, config = codes(400), TrainingConfig(max_steps=30)
    model, once = build(), build()
    runs: list[Any] = []
    step = ElboDescent.step

    def failing(self: Any, number: int) -> None:
        if self not in runs:
            runs.append(self)
        step(self, number)
        if len(runs) == 2 and number == 3:
            if fault == "interrupted":
                raise KeyboardInterrupt
            self.state.loss = math.nan

    monkeypatch.setattr(ElboDescent, "step", failing)
    history = train(model, table, config, SEED)
    assert (history.stopped, history.refitted) == (fault, False)
    monkeypatch.setattr(ElboDescent, "step", step)
    monkeypatch.setattr(ElboDescent, "is_small", False)
    train(once, table, config, SEED)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), once.parameters(), strict=True))
    assert not model.training
