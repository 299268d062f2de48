"""Rows of all ranks, sums over all ranks, and the mean over the global batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist


def rank() -> int:
    """Return the number of this process, from 0; 0 without a process group."""
    return dist.get_rank() if _is_on() else 0


def world_size() -> int:
    """Return the number of processes; 1 without a process group.

    Example:
        >>> world_size(), rank()
        (1, 0)
    """
    return dist.get_world_size() if _is_on() else 1


def row_counts(rows: int, device: torch.device) -> list[int]:
    """Return how many rows each rank holds, in rank order.

    Args:
        rows: Rows of this rank, 0 or more.
        device: Where the collective runs: that of the rows.
    """
    if world_size() == 1:
        return [rows]
    own = torch.full((1,), rows, device=device)
    counts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(counts, own)
    return [int(count) for count in torch.cat(counts).tolist()]


def gather(tensor: torch.Tensor, counts: Sequence[int] | None = None) -> torch.Tensor:
    """Return the rows of all ranks in rank order.

    Backward, a rank receives for its own rows the sum over ranks of the gradients that each rank
    has for them: every rank's loss depends on every row.

    Args:
        tensor: (n, ...), n may differ between ranks, the other sizes and the type may not.
        counts: From `row_counts`, if known; saves a collective and a wait for the device.

    Returns:
        (sum of n, ...); `tensor` itself where there is one rank.

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
    """Return the sum of a tensor over ranks, the same on each; no gradient goes through it."""
    if world_size() == 1:
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def global_mean(values: torch.Tensor, count: torch.Tensor | None = None) -> torch.Tensor:
    """Return this rank's share of a mean over the global batch.

    W x (sum of own values) / (count over all W ranks): the mean of it over ranks is the mean over
    all values, whatever each rank's part. One rank: the plain mean.

    Args:
        values: Any shape.
        count: Scalar, how many of this rank's values count, the others being 0; default: all.

    Returns:
        Scalar; 0 where nothing counts.

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
    """All ranks' rows forward; backward the sum over ranks, of which a rank takes its own rows."""

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
