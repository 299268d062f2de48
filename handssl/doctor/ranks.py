"""Processes of the all-reduce check; imported only in a separate process."""

from __future__ import annotations

import time
from typing import Any

from handssl.distributed.together import together
from handssl.errors import DataError

_EXPECTED = 3.0


def summed(backend: str, timeout_s: float) -> dict[str, Any]:
    """Sum 1 and 2 over two processes.

    Args:
        backend: gloo or nccl.
        timeout_s: Timeout of the whole call, seconds.

    Raises:
        RanksError: A process failed or did not finish in time.
        DataError: A sum is wrong.
    """
    start_s = time.perf_counter()
    sums = together(own_share, 2, backend, backend=backend, timeout_s=timeout_s)
    if sums != [_EXPECTED, _EXPECTED]:
        raise DataError(f"expected the sum {_EXPECTED:g} in both processes, found {sums}")
    return {"seconds": time.perf_counter() - start_s}


def own_share(backend: str) -> float:
    """Return the sum over ranks of rank + 1."""
    import torch

    from handssl.distributed import rank, sum_over_ranks

    device = torch.device("cuda", rank()) if backend == "nccl" else torch.device("cpu")
    return float(sum_over_ranks(torch.tensor([rank() + 1.0], device=device)))
