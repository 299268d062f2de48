"""Gather rows of all ranks, sum over ranks, and average over the global batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist


def rank() -> int:
    """Return the rank of this process, from 0; 0 without a process group."""
    return dist.get_rank() if _is_on() else 0


def world_size() -> int:
    """Return the number of processes; 1 without a process group.

    Example:
        >>> world_size(), rank()
        (1, 0)
    """
    return dist.get_world_size() if _is_on() else 1


def row_counts(rows: int, device: torch.device) -> list[int]:
    """Return the number of rows of each rank, in rank order.

    Args:
        rows: Number of rows of this rank, 0 or more.
        device: Device of the rows, on which the collective runs.
    """
    if world_size() == 1:
        return [rows]
    own = torch.full((1,), rows, device=device)
    counts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(counts, own)
    return [int(count) for count in torch.cat(counts).tolist()]


def gather(tensor: torch.Tensor, counts: Sequence[int] | None = None) -> torch.Tensor:
    """Return the rows of all ranks in rank order.

    In the backward pass the gradient of a rank's own rows is the sum of the gradients of all ranks:
    every rank's loss depends on every row.

    Args:
        tensor: (n, ...), n may differ between ranks, the other sizes and the type may not.
        counts: From `row_counts`, if known; saves a collective and a synchronisation.

    Returns:
        (sum of n, ...); `tensor` itself if there is one rank.

    Example:
        >>> gather(torch.tensor([[1.0], [2.0]])).shape
        torch.Size([2, 1])
    """
    if world_size() == 1:
        return tensor
    if counts is None:
        counts = row_counts(len(tensor), tensor.device)
    return _Gather.apply(tensor, tuple(counts))  # type: ignore[no-any-return]


@torch.no_grad()
def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over ranks, equal on each; without gradient."""
    if world_size() == 1:
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def global_mean(values: torch.Tensor, count: torch.Tensor | None = None) -> torch.Tensor:
    """Return this rank's share of a mean over the global batch.

    W x (sum of own values) / (count over all W ranks): its mean over ranks is the mean over all
    values, for any distribution over ranks. With one rank it is the plain mean.

    Args:
        values: Values of this rank, any shape.
        count: Scalar, number of this rank's values that count, the others being 0; default: all.

    Returns:
        Scalar; 0 if nothing counts.

    Example:
        >>> float(global_mean(torch.tensor([1.0, 3.0])))
        2.0
    """
    if count is None:
        if world_size() == 1:
            return values.mean()
        count = torch.full((), values.numel(), device=values.device)
    total = sum_over_ranks(count).clamp(min=1)
    return values.sum() * world_size() / total


class _Gather(torch.autograd.Function):
    """Rows of all ranks; the backward pass sums over ranks and returns a rank's own rows."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, counts: tuple[int, ...]) -> torch.Tensor:
        ctx.counts = counts
        most = max(counts)
        # Equal shapes, because not every backend gathers unequal ones.
        padded = tensor.new_zeros((most, *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:rows] for part, rows in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        start = sum(ctx.counts[: rank()])
        return sum_over_ranks(gradient)[start : start + ctx.counts[rank()]], None


def _is_on() -> bool:
    return dist.is_available() and dist.is_initialized()
