"""Estimates of log p(x) from log weights of draws."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def importance_bound(log_weights: Iterable[Tensor], k: int) -> Tensor:
    """Return log of the mean weight of `k` draws, averaged over as many groups of k draws as there are.

    With weights p(x, z) / q(z | x), z ~ q, it is the evidence lower bound for k = 1, a tighter bound for each larger k
    (on average over draws), and log p(x) in the limit. With weights p(x | z), z ~ p, it is the naive estimate: it is
    a bound, too, but one that needs draws in the number of exp(KL(p(z | x) || p(z))) to be near log p(x). One draw at
    a time is held, not k.

    Args:
        log_weights: The log weight (B,) of one draw after the other, for each row; a multiple of k of them.
        k: Draws of a group.

    Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders, equation 8 and theorem 1,
    https://arxiv.org/abs/1509.00519.
    """
    bounds: list[Tensor] = []
    for i, weight in enumerate(log_weights):
        if i % k == 0:
            bounds.append(weight)
        else:
            bounds[-1] = torch.logaddexp(bounds[-1], weight)
    return torch.stack(bounds).mean(0) - torch.log(torch.tensor(k, dtype=torch.float64)).to(bounds[0])
