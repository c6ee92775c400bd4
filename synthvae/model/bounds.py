"""Bounds on log p(x) from the log weights of draws."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def importance_bound(log_weights: Iterable[Tensor], k: int) -> Tensor:
    """Return the log of the mean weight of `k` draws, averaged over all groups of k draws.

    With weights p(x, z) / q(z | x), z ~ q, this is the evidence lower bound for k = 1, a tighter bound for each larger
    k (on average over draws), and log p(x) in the limit. With weights p(x | z), z ~ p, it is the naive estimate: a
    bound, too, but one that needs about exp(KL(p(z | x) || p(z))) draws to be near log p(x). One draw at a time is in
    memory, not k.

    Args:
        log_weights: The log weights (B,) of one draw after the other, a multiple of k of them.
        k: Draws of a group.

    Returns:
        The bounds (B,) in nats.

    Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders, equation 8 and theorem 1,
    https://arxiv.org/abs/1509.00519.

    Example:
        >>> import torch
        >>> from synthvae.model.bounds import importance_bound
        >>> importance_bound([torch.zeros(2), torch.zeros(2)], k=2)
        tensor([0., 0.])
    """
    bounds: list[Tensor] = []
    for i, weight in enumerate(log_weights):
        if i % k == 0:
            bounds.append(weight)
        else:
            bounds[-1] = torch.logaddexp(bounds[-1], weight)
    return torch.stack(bounds).mean(0) - torch.log(torch.tensor(k, dtype=torch.float64)).to(bounds[0])
