"""Laws of the network of any columns given any others."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.build import build_conditional
from synthvae.model.conditional import (
    ConditionalConfig,
    ConditionalNetwork,
    Limit,
    cells_of,
    masked,
    random_choice,
)
from synthvae.model.conditional_draws import draw_rows

SIZES = (3, 2, 4)
SLOTS = Slots(SIZES, (Value(3, switch=1, level=1),), (None, None, None))
ROWS = 60_000


def network(slots: Slots = SLOTS) -> ConditionalNetwork:
    """A network with random, not small, weights."""
    made = build_conditional(slots, ConditionalConfig(width=8, hidden=(4, 4)), 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def rows_of(*digits: list[int]) -> Rows:
    """Rows without a value."""
    return Rows(torch.tensor(digits), torch.full((len(digits), 1), math.nan))


def unknown(count: int = 1) -> Rows:
    """Rows of which nothing is known."""
    return rows_of(*[[-1] * len(SIZES)] * count)


def wanted(*cells: int, count: int = ROWS) -> torch.Tensor:
    """A mask with the same cells of all rows."""
    found = torch.zeros(count, max(cells_of(SLOTS)) + 1, dtype=torch.bool)
    found[:, list(cells)] = True
    return found


@pytest.mark.parametrize("known", [[-1, -1, -1], [2, -1, -1], [-1, -1, 3]])
def test_probabilities_of_the_wanted_digits_sum_to_one(known: list[int]) -> None:
    free = [j for j, digit in enumerate(known) if digit < 0]
    every = list(itertools.product(*(range(SIZES[j]) for j in free)))
    asked = torch.full((len(every), len(SIZES)), -1)
    asked[:, free] = torch.tensor(every)
    found = network().log_prob(rows_of(*[known] * len(every)), Rows(asked, torch.full((len(every), 1), math.nan)))
    assert float(found.detach().sum(0).exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_drawn_frequencies_are_the_probabilities() -> None:
    made = network()
    drawn, logs = draw_rows(made, rows_of([-1, -1, 2]), wanted(0, 1), torch.Generator().manual_seed(0))
    every = list(itertools.product(range(3), range(2)))
    asked = rows_of(*[[a, b, -1] for a, b in every])
    p = made.log_prob(rows_of(*[[-1, -1, 2]] * len(every)), asked).sum(0).exp()
    for (a, b), share in zip(every, p.tolist(), strict=True):
        seen = ((drawn.digits[:, 0] == a) & (drawn.digits[:, 1] == b)).float().mean().item()
        assert seen == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / ROWS) + 1e-4)
    assert (drawn.digits[:, 2] == 2).all()
    assert not logs.any()


def test_one_known_row_for_all_rows_is_that_row_repeated() -> None:
    made, cells = network(), wanted(0, 2, count=50)
    one, _ = draw_rows(made, rows_of([-1, 1, -1]), cells, torch.Generator().manual_seed(3))
    many, _ = draw_rows(made, rows_of(*[[-1, 1, -1]] * 50), cells, torch.Generator().manual_seed(3))
    assert torch.equal(one.digits, many.digits)


def test_weights_of_limited_draws_are_the_probability_of_the_limits() -> None:
    made = network()
    first, third = torch.tensor([[True, False, True]]), torch.tensor([[False, True, True, False]])
    limits = {0: Limit({0: first}), 2: Limit({2: third})}
    drawn, logs = draw_rows(made, unknown(), wanted(0, 2), torch.Generator().manual_seed(0), limits)
    assert set(drawn.digits[:, 0].tolist()) == {0, 2}
    assert set(drawn.digits[:, 2].tolist()) == {1, 2}
    inside = list(itertools.product([0, 2], [1, 2]))
    p = made.log_prob(unknown(4), rows_of(*[[a, -1, c] for a, c in inside])).sum(0).exp()
    assert float(logs.exp().mean()) == pytest.approx(float(p.sum()), rel=0.02)
    weights = logs.exp() / logs.exp().sum()
    for (a, c), share in zip(inside, (p / p.sum()).tolist(), strict=True):
        seen = float(weights[(drawn.digits[:, 0] == a) & (drawn.digits[:, 2] == c)].sum())
        assert seen == pytest.approx(share, abs=0.01)


def test_limits_of_a_column_of_two_digits_have_the_probability_of_its_states() -> None:
    slots = Slots((3, 4), (), (None, 0))
    made, generator = network(slots), torch.Generator().manual_seed(0)
    nothing, cells = Rows(torch.full((1, 2), -1), torch.empty(1, 0)), torch.ones(ROWS, 1, dtype=torch.bool)
    within = torch.zeros(3, 4, dtype=torch.bool)
    within[0, 3], within[2, 1], within[2, 2] = True, True, True
    limit = Limit({0: within.any(1)[None], 1: within})
    drawn, logs = draw_rows(made, nothing, cells, generator, {0: limit})
    assert within[drawn.digits[:, 0], drawn.digits[:, 1]].all()
    free, _ = draw_rows(made, nothing, cells, generator)
    inside = within[free.digits[:, 0], free.digits[:, 1]]
    assert float(logs.exp().mean()) == pytest.approx(float(inside.float().mean()), abs=0.01)


@given(low=st.floats(-2.0, 1.0), width=st.floats(0.0, 2.0))
def test_values_lie_within_limits(low: float, width: float) -> None:
    allowed = {1: torch.tensor([[False, True]])}
    limit = {1: Limit(allowed, low, low + width)}
    drawn, _ = draw_rows(network(), unknown(), wanted(1, count=200), torch.Generator().manual_seed(0), limit)
    assert (drawn.digits[:, 1] == 1).all()
    edges = torch.tensor([low, low + width], dtype=torch.float32)
    assert ((drawn.values >= edges[0]) & (drawn.values <= edges[1])).all()


def test_weights_of_limited_values_are_those_of_rejection() -> None:
    made, allowed = network(), {1: torch.tensor([[False, True]])}
    free, _ = draw_rows(made, unknown(), wanted(1), torch.Generator().manual_seed(0))
    _, logs = draw_rows(made, unknown(), wanted(1), torch.Generator().manual_seed(1), {1: Limit(allowed, -0.5, 0.25)})
    inside = (free.values >= -0.5) & (free.values <= 0.25)  # NaN is not
    assert float(logs.exp().mean()) == pytest.approx(float(inside.float().mean()), abs=0.01)


def test_choices_are_disjoint_and_want_something() -> None:
    choice = random_choice(2000, 5, torch.Generator().manual_seed(0))
    assert not (choice.known & choice.wanted).any()
    assert choice.wanted.any(1).all()
    alone = (choice.wanted.sum(1) == 1) & (choice.known.sum(1) == 4)
    assert alone.any()
    assert (~choice.known & ~choice.wanted).any()


def test_masks_hide_whole_columns() -> None:
    slots = Slots((3, 4, 2), (Value(3, switch=2, level=1),), (None, 0, None))
    assert cells_of(slots) == (0, 0, 1, 1)
    rows = Rows(torch.tensor([[2, 3, 1]]), torch.tensor([[0.5]]))
    first = masked(rows, torch.tensor([[True, False]]), slots)
    assert first.digits.tolist() == [[2, 3, -1]]
    assert first.values.isnan().all()
