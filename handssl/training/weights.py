"""Save and load weights as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import safetensors.torch
from torch import nn

from handssl.errors import DataError
from handssl.runtime.fencing import Fence
from handssl.training.checkpoints.writing import write_whole


def save_weights(module: nn.Module, path: Path, *, fence: Fence | None = None) -> None:
    """Write a module's weights as safetensors, atomically.

    Args:
        module: Module whose state dict is written, with torch's names.
        path: Final path.
        fence: Fence around the trial's folder.

    Raises:
        DataError: The disk is full or the path is not writable.
        TakenOverError: Another process claimed the folder; nothing was written.
    """
    weights = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    content = safetensors.torch.save(weights)
    write_whole(path, lambda file: _write(file, content), size_bytes=len(content), fence=fence)


def load_weights(module: nn.Module, path: Path) -> None:
    """Load weights written by `save_weights` into a module.

    Args:
        module: Module with the same architecture.
        path: The file.

    Raises:
        DataError: The file is missing or damaged, or belongs to another architecture.
    """
    try:
        safetensors.torch.load_model(module, path)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: expected weights of this encoder, found others ({reason})"
        ) from None


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)
