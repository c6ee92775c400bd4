"""A snapshot of training holds all of its state: a restored one continues alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from synthvae.training.checkpoint import Checkpoint, Snapshot
from synthvae.training.history import Record
from synthvae.training.state import TrainingState


def fresh(seed: int) -> TrainingState:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return TrainingState(list(model.parameters()), torch.optim.AdamW(model.parameters(), lr=0.1))


def step(state: TrainingState, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for parameter in state.parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    state.optimizer.step()
    state.done, state.loss = number, float(number)
    state.recent.append((torch.tensor(1.0 * number), torch.tensor(-2.0), torch.tensor(0.5)))
    torch._foreach_lerp_(state.average, [parameter.detach() for parameter in state.parameters], 0.5)


@pytest.fixture
def trained() -> TrainingState:
    state = fresh(0)
    for number in (1, 2, 3):
        step(state, number)
    state.best, state.best_bound = state.values(), -1.5
    state.history.records.append(Record(3, 1.0, -2.0, 0.5, None))
    state.history.best_step = 3
    return state


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    assert found.values == expected.values
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name


def test_a_restored_state_is_the_same_and_continues_alike(trained: TrainingState, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, 0)
    checkpoint.save(trained.snapshot())
    loaded = checkpoint.load(checkpoint.latest)
    assert loaded is not None
    other = fresh(1)
    other.restore(loaded)
    assert_same(other.snapshot(), trained.snapshot())
    step(trained, 4)
    step(other, 4)
    assert_same(other.snapshot(), trained.snapshot())


def test_every_attribute_of_the_state_is_in_the_snapshot(trained: TrainingState) -> None:
    """So that none that is added later is lost on resuming."""
    snapshot = trained.snapshot()
    found = {name.partition(".")[0] for name in snapshot.tensors} | snapshot.values.keys()
    names = {"parameters": "parameter"}
    assert found == {names.get(field.name, field.name) for field in dataclasses.fields(TrainingState)}


def test_the_average_is_loaded_only_inside_the_context(trained: TrainingState) -> None:
    live: list[Tensor] = trained.values()
    with trained.averaged():
        assert all(torch.equal(a, b) for a, b in zip(trained.values(), trained.average, strict=True))
        assert not torch.equal(trained.values()[0], live[0])
    assert all(torch.equal(a, b) for a, b in zip(trained.values(), live, strict=True))
