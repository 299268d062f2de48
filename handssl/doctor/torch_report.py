"""What torch says of itself and of the devices. Imported in a process of its own only."""

from __future__ import annotations

from typing import Any


def report() -> dict[str, Any]:
    """Return versions, whether torchvision's operators are there, and every GPU."""
    import torch
    import torchvision

    count = torch.cuda.device_count()
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "operators": hasattr(torch.ops.torchvision, "nms"),
        "cuda": torch.version.cuda,
        "gpus": [_gpu(index) for index in range(count)],
        "threads": torch.get_num_threads(),
    }


def _gpu(index: int) -> dict[str, Any]:
    import torch

    found = torch.cuda.get_device_properties(index)
    return {
        "name": found.name,
        "bytes": found.total_memory,
        "capability": f"{found.major}.{found.minor}",
        "error": _error_of(index),
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
    }


def _error_of(index: int) -> str:
    """Compute something: a GPU can be listed and yet be of no use to this build of torch."""
    import torch

    try:
        ones = torch.ones(4, 4, device=f"cuda:{index}")
        return "" if float((ones @ ones).sum()) == 64.0 else "4 x 4 ones give a wrong product"
    except RuntimeError as error:
        return str(error).splitlines()[0]
