"""Data parallelism: gradients averaged over ranks, rows of the global batch divided among them."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from handssl.distributed.collectives import gather, rank, world_size


def data_parallel(module: nn.Module) -> nn.Module:
    """Return what calls a module and averages the gradients over ranks in its backward pass.

    Buffers are left alone: with global BatchNorm statistics they are the same on every rank.

    Args:
        module: On the device of this rank; parameters become those of rank 0.

    Returns:
        `module` itself where there is one rank.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> data_parallel(layer) is layer
        True
    """
    if world_size() == 1:
        return module
    # The older name warns from torch 2.15 on, which has the newer.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    return DistributedDataParallel(module, **options)


def accumulating(module: nn.Module) -> AbstractContextManager[Any]:
    """Within it, backward passes leave gradients on their rank, to be averaged by a later one.

    Args:
        module: From `data_parallel`.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def own_rows(rows: int) -> slice:
    """Return which rows of a global batch this rank holds; ranks hold runs, in rank order.

    Args:
        rows: Of the global batch; shares differ by one at most.

    Example:
        >>> own_rows(10)
        slice(0, 10, None)
    """
    ranks, own = world_size(), rank()
    least, more = divmod(rows, ranks)
    first = own * least + min(own, more)
    return slice(first, first + least + (own < more))


def all_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return (ranks, ...): a tensor of every rank, the same shape on each; no gradient."""
    return gather(tensor.detach()[None], [1] * world_size())
