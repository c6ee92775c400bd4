"""Vectors of digits and values."""

from __future__ import annotations

import torch

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.embeddings import SlotEmbedding


def test_the_total_is_the_sum_of_the_vectors_and_unknown_slots_add_nothing() -> None:
    torch.manual_seed(0)
    embedding = SlotEmbedding(Slots((3, 2, 4), (Value(after=1), Value(after=3))), 5).double()
    digits = torch.tensor([[0, 1, 3], [2, -1, 0], [-1, -1, -1]], dtype=torch.int8)
    values = torch.tensor([[0.5, -9.0], [torch.nan, 0.0], [torch.nan, torch.nan]]).double()
    rows = Rows(digits, values)
    torch.testing.assert_close(embedding.total(rows), torch.cat(embedding(rows)).sum(0))
    assert not embedding.total(rows)[2].any()
