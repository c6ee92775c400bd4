"""The process groups that training runs in: this process alone, or several with synchronous steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


class ProcessGroup:
    """A group of this process alone."""

    rank: int = 0
    size: int = 1

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return tensor

    def min(self, number: int) -> int:
        """Return the smallest of the numbers of all processes."""
        return number

    def average(self, gradients: Sequence[Tensor], numbers: Tensor) -> Tensor:
        """Set gradients to their means over all processes, and return the means of `numbers`."""
        del gradients
        return numbers

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Set tensors to those of the first process."""


class TorchProcessGroup(ProcessGroup):
    """Torch's default process group: synchronous data-parallel SGD.

    Each process computes the gradient of its part of the batch; all take the mean, and so the same step.

    Source: Li et al. 2020, PyTorch Distributed, section 2.2, https://arxiv.org/abs/2006.15704 (without buckets: the
    models are small).
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        added = tensor.clone()
        dist.all_reduce(added)
        return added

    def min(self, number: int) -> int:
        """Return the smallest of the numbers of all processes."""
        found = torch.tensor(number)
        dist.all_reduce(found, dist.ReduceOp.MIN)
        return int(found)

    def average(self, gradients: Sequence[Tensor], numbers: Tensor) -> Tensor:
        """Set gradients to their means over all processes, and return the means of `numbers`, in one exchange."""
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), numbers.to(gradients[0].dtype)])
        dist.all_reduce(flat)
        flat /= self.size
        parts = flat.split([*(gradient.numel() for gradient in gradients), len(numbers)])
        for gradient, part in zip(gradients, parts, strict=False):
            gradient.copy_(part.view_as(gradient))
        means: Tensor = parts[-1]
        return means

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Set tensors to those of the first process."""
        for tensor in tensors:
            dist.broadcast(tensor, 0)
