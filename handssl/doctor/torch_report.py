"""Report of torch's version and devices; imported only in a separate process."""

from __future__ import annotations

from typing import Any


def report() -> dict[str, Any]:
    """Return versions, whether torchvision's operators are available, and every GPU."""
    import torch
    import torchvision

    count = torch.cuda.device_count()
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "operators": hasattr(torch.ops.torchvision, "nms"),
        "cuda": torch.version.cuda,
        "gpus": [_gpu(index) for index in range(count)],
    }


def _gpu(index: int) -> dict[str, Any]:
    import torch

    found = torch.cuda.get_device_properties(index)
    with torch.cuda.device(index):
        precise = torch.cuda.is_bf16_supported(including_emulation=False)
    return {
        "name": found.name,
        "bytes": found.total_memory,
        "capability": f"{found.major}.{found.minor}",
        "error": _error_of(index),
        "bf16": precise,
    }


def _error_of(index: int) -> str:
    """Compute something and return the error: a listed GPU may not work with this torch build."""
    import torch

    try:
        ones = torch.ones(4, 4, device=f"cuda:{index}")
        return "" if float((ones @ ones).sum()) == 64.0 else "4 x 4 ones give a wrong product"
    except RuntimeError as error:
        return str(error).splitlines()[0]
