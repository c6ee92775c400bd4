"""Laws of draws within what rules leave."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.decoders import AutoregressiveDecoder, FactorizedDecoder
from synthvae.model.restrictions import Guard, NormalDraws, Restriction
from synthvae.model.values import COMPONENTS, PARAMETERS, draw_value_between

SLOTS = Slots((4, 3, 5), (Value(3),), (None, 0, None))


class Recorded:
    """Rules that leave some combinations of the first column, and values above one that depends on them."""

    cells: tuple[int, ...] = (0, 2)
    weighed: tuple[int, ...] = ()

    def __init__(self, rows: int) -> None:
        self.left = np.random.default_rng(0).random((rows, 4, 3)) < 0.4
        self.left[:, 1, 1] = True
        self.digits: Any = None
        self.values: Any = None

    def restrict(self, cell: int) -> Restriction | None:
        if cell == 0:
            return Restriction(self.left)
        low = np.where(self.digits[0] > 1, 0.5, -np.inf)[None]
        return Restriction(np.ones((len(self.left),), bool), low, np.full_like(low, np.inf))

    def record(self, cell: int, digits: Any, values: Any, rows: Any) -> None:
        assert rows == slice(None)
        if cell == 0:
            self.digits = digits
        else:
            self.values = values


@pytest.mark.parametrize("kind", ["autoregressive", "factorized"])
def test_decoders_draw_what_is_left_and_tell_what_they_drew(kind: str) -> None:
    torch.manual_seed(0)
    decoder: AutoregressiveDecoder | FactorizedDecoder
    if kind == "factorized":
        decoder = FactorizedDecoder(SLOTS, 1, 2, 8, 0.0)
    else:
        decoder = AutoregressiveDecoder(SLOTS, 1, 2, 8, (4, 4), 0.0)
    rules, rows = Recorded(500), 500
    drawn: Rows = decoder.sample(torch.randn(rows, 2), 0, torch.Generator().manual_seed(0), rules=rules)
    digits = drawn.digits.numpy()
    assert rules.left[np.arange(rows), digits[:, 0], digits[:, 1]].all()
    np.testing.assert_array_equal(rules.digits, digits[:, :2].T)
    np.testing.assert_array_equal(rules.values, drawn.values[:, 0].numpy())
    assert (drawn.values[:, 0].numpy()[digits[:, 0] > 1] >= 0.5).all()
    assert (drawn.values[:, 0].numpy()[digits[:, 0] <= 1] < 0.5).any()


def test_rows_without_rules_are_the_same_as_with_rules_that_forbid_nothing() -> None:
    class Open(Recorded):
        cells = ()

    torch.manual_seed(0)
    decoder = AutoregressiveDecoder(SLOTS, 1, 2, 8, (4, 4), 0.0)
    z = torch.randn(50, 2)
    pair: list[Recorded | None] = [None, Open(50)]
    free, ruled = (
        decoder.sample(z, 0, torch.Generator().manual_seed(0), stratified=True, rules=rules) for rules in pair
    )
    assert torch.equal(free.digits, ruled.digits)
    assert torch.equal(free.values, ruled.values)


def test_values_in_several_intervals_have_the_density_of_the_mixture_there() -> None:
    rows = 20_000
    outputs = torch.zeros(PARAMETERS, rows)
    outputs[:COMPONENTS] = -1e4
    outputs[0], outputs[COMPONENTS], outputs[2 * COMPONENTS] = 0.0, 0.3, math.log(0.8)
    generator = torch.Generator().manual_seed(0)
    uniform, share = torch.rand(rows, 1, generator=generator), torch.rand(rows, generator=generator)
    low, high = torch.tensor([[-math.inf], [0.5], [3.0]]), torch.tensor([[-0.5], [1.0], [2.0]])  # the last is empty
    values, log_mass = draw_value_between(outputs, uniform, share, (low, high))
    law = norm(0.3, 0.8)
    masses = law.cdf(-0.5), law.cdf(1.0) - law.cdf(0.5)
    assert float(log_mass[0]) == pytest.approx(math.log(sum(masses)), abs=1e-4)

    def cdf(at: Any) -> Any:
        below = np.minimum(law.cdf(at), masses[0])
        return (below + np.clip(law.cdf(at) - law.cdf(0.5), 0, masses[1])) / sum(masses)

    assert kstest(values.numpy(), cdf).pvalue > 0.01


class Between(Recorded):
    """Rules that leave the values in two intervals, and nothing else to know."""

    cells: tuple[int, ...] = (0,)

    def restrict(self, cell: int) -> Restriction | None:
        del cell
        low, high = (np.tile(np.array(ends)[:, None], len(self.left)) for ends in ([-np.inf, 1.5], [-1.0, 2.0]))
        return Restriction(np.ones((len(self.left),), bool), low, high)


def test_values_that_are_drawn_anew_have_the_density_within_the_limits() -> None:
    rows, generator = 20_000, torch.Generator().manual_seed(0)
    outputs = torch.zeros(PARAMETERS, rows)
    outputs[:COMPONENTS] = -1e4
    outputs[:2], outputs[COMPONENTS], outputs[COMPONENTS + 1] = torch.tensor([[0.0], [math.log(3)]]), -0.5, 1.0
    draws = NormalDraws(torch.rand(rows, 1, generator=generator), torch.randn(rows, generator=generator))
    guard = Guard(Slots((), (Value(0),)), Between(rows))
    values = guard.draw_value(0, outputs, draws, generator).double().numpy()
    assert (((values <= -1) | (values >= 1.5)) & (values <= 2)).all()

    def below(at: Any) -> Any:
        return 0.25 * norm(-0.5, 1).cdf(at) + 0.75 * norm(1, 1).cdf(at)

    def cdf(at: Any) -> Any:
        mass = below(-1), below(2) - below(1.5)
        return (np.minimum(below(at), mass[0]) + np.clip(below(at) - below(1.5), 0, mass[1])) / sum(mass)

    assert kstest(values, cdf).pvalue > 0.01
