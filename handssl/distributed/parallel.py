"""Data parallelism: average gradients over ranks, divide the rows of the global batch."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from handssl.distributed.collectives import gather, rank, world_size


def data_parallel(module: nn.Module) -> nn.Module:
    """Return a wrapper of a module that averages gradients over ranks in the backward pass.

    Buffers are not synchronised: with global BatchNorm statistics they are equal on every rank.

    Args:
        module: Module on the device of this rank; its parameters become those of rank 0.

    Returns:
        The wrapper; `module` itself if there is one rank.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> data_parallel(layer) is layer
        True
    """
    if world_size() == 1:
        return module
    # The older name is deprecated from torch 2.15 on, which introduced the newer one.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    return DistributedDataParallel(module, **options)


def accumulating(module: nn.Module) -> AbstractContextManager[Any]:
    """Accumulate gradients locally within this context; a later backward pass averages them.

    Args:
        module: Module returned by `data_parallel`.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def own_rows(rows: int) -> slice:
    """Return the rows of a global batch for this rank; ranks have contiguous parts, in rank order.

    Args:
        rows: Number of rows of the global batch; parts differ by at most one row.

    Example:
        >>> own_rows(10)
        slice(0, 10, None)
    """
    ranks, here = world_size(), rank()
    least, more = divmod(rows, ranks)
    first = here * least + min(here, more)
    return slice(first, first + least + (here < more))


def all_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensors of all ranks, (ranks, ...), equal shapes on each; without gradient."""
    return gather(tensor.detach()[None], [1] * world_size())
