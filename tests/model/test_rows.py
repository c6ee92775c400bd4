"""Laws of digits and values in one order: their vectors, and the sums of what stands before each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DIGITS, MIXED, some_rows, value_vector, weights
from torch import Tensor

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.embeddings import RunningSum, SlotEmbedding, SlotOrder

SLOTS = [
    DIGITS,
    MIXED,
    Slots((), (Value(0), Value(0))),
    Slots((3,), (Value(1, 0, 1),)),
    Slots((2, 2), (Value(0), Value(0), Value(2))),
]
each = pytest.mark.parametrize("slots", SLOTS)


def apply(order: SlotOrder, *tensors: Tensor) -> Any:
    return RunningSum.apply(order, *tensors)  # type: ignore[no-untyped-call]


def plain(order: SlotOrder, start: Tensor, digits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The sums before each slot, one slot after the other."""
    before: dict[tuple[bool, int], Tensor] = {}
    known = start
    for is_value, i in order:
        before[is_value, i] = known
        known = known + (values[i] if is_value else digits[i])
    empty = start.new_empty(0, *start.shape)
    of_digits = [before[False, j] for j in range(len(digits))]
    of_values = [before[True, v] for v in range(len(values))]
    return torch.stack(of_digits) if of_digits else empty, torch.stack(of_values) if of_values else empty


def tensors(slots: Slots, rows: int = 2, width: int = 3) -> list[Tensor]:
    """Start, vectors of digits and vectors of values, with gradients."""
    generator = torch.Generator().manual_seed(1)
    shapes = [(rows, width), (len(slots.sizes), rows, width), (len(slots.values), rows, width)]
    return [torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


@each
def test_the_running_sum_is_that_of_a_plain_loop(slots: Slots) -> None:
    found, expected = apply(slots.order, *tensors(slots)), plain(slots.order, *tensors(slots))
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right)


@each
def test_the_running_sum_has_the_gradient_of_a_plain_loop(slots: Slots) -> None:
    ours, plains = tensors(slots), tensors(slots)
    for inputs, sums in ((ours, apply(slots.order, *ours)), (plains, plain(slots.order, *plains))):
        torch.autograd.backward(sum((part * (k + 1.3)).sin().sum() for k, part in enumerate(sums)))
        assert inputs[0].grad is not None
    for mine, theirs in zip(ours, plains, strict=True):
        expected = torch.zeros_like(mine) if theirs.grad is None else theirs.grad  # nothing stands after the last
        torch.testing.assert_close(mine.grad, expected)


@each
def test_the_running_sum_has_the_gradient_of_finite_differences(slots: Slots) -> None:
    assert torch.autograd.gradcheck(lambda *inputs: apply(slots.order, *inputs), tensors(slots))


@each
def test_vectors_and_their_total_are_those_of_a_plain_loop(slots: Slots) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedding = SlotEmbedding(slots, 4).double()
    rows, w = some_rows(slots, 30, unknown=0.2), weights(embedding)
    total = embedding.total(rows).detach().numpy()
    for row, (digits, values) in enumerate(zip(rows.digits.tolist(), rows.values.tolist(), strict=True)):
        expected = np.zeros(4)
        for j, digit in enumerate(digits):
            expected += w["digits.weight"][sum(slots.sizes[:j]) + digit] if digit >= 0 else 0.0
        for v, number in enumerate(values):
            expected += value_vector(w["values.weight"][v], number)
        np.testing.assert_allclose(total[row], expected, rtol=0, atol=1e-12)


def test_rows_are_taken_together() -> None:
    rows = some_rows(MIXED, 10)
    for picked in (torch.tensor([3, 3, 0]), torch.arange(10) % 3 == 0, slice(2, 5)):
        taken = rows.take(picked)
        assert isinstance(taken, Rows)
        assert torch.equal(taken.digits, rows.digits[picked])
        assert torch.equal(taken.values.nan_to_num(9.0), rows.values[picked].nan_to_num(9.0))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=5))
def test_the_order_has_each_slot_once_and_values_where_they_say(digits: int, afters: list[int]) -> None:
    afters = sorted(min(after, digits) for after in afters)
    order = Slots((2,) * digits, tuple(map(Value, afters))).order
    expected: list[tuple[bool, int]] = []
    for j in range(digits + 1):
        expected += [(True, v) for v, after in enumerate(afters) if after == j]
        expected += [(False, j)] if j < digits else []
    assert list(order) == expected
