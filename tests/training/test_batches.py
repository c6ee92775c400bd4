"""Batches of rows with weights."""

from __future__ import annotations

import numpy as np
import torch

from synthvae.codes import Codes
from synthvae.training.batches import Batches, LabelledRows, SinglePart, repeats
from synthvae.training.distributed import ProcessGroup


def test_repeats_are_exact_up_to_one() -> None:
    times = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 3
    drawn = torch.bincount(repeats(times, torch.Generator().manual_seed(1)), minlength=500)
    assert ((drawn >= times.floor()) & (drawn <= times.ceil())).all()
    assert abs(float(drawn.sum() - times.sum())) < 1
    draws = [torch.bincount(repeats(times, torch.Generator().manual_seed(s)), minlength=500) for s in range(400)]
    mean = torch.stack(draws).float().mean(0)
    assert torch.allclose(mean, times, atol=0.12)


def test_rows_are_in_batches_as_often_as_they_weigh_whatever_the_sum_of_weights() -> None:
    rows, rng = 400, np.random.default_rng(0)
    weights = rng.choice([1e-6, 3e-6], rows).astype(np.float32)
    codes = Codes(
        np.arange(rows)[:, None].astype(np.int16), np.empty((rows, 0), np.float32), np.zeros(rows, int), weights
    )
    first = LabelledRows.from_codes(codes, torch.device("cpu"))
    batches = Batches(first, SinglePart(codes), 50, 1, torch.Generator().manual_seed(0), ProcessGroup())
    seen = torch.cat([batches.next().rows.digits[:, 0] for _ in range(400)]).long()
    counts = torch.bincount(seen, minlength=rows).double().numpy()
    heavy = weights > 2e-6
    assert abs(counts[heavy].mean() / counts[~heavy].mean() - 3) < 0.1
