"""Checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from torch import nn

from handssl.errors import DataError


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name, flush it to disk, then rename it.

    Args:
        state: Tensors and plain values.
        path: Final name; what was there before stays until the rename.
    """
    with _replacing(path) as file:
        torch.save(state, file)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights as safetensors, whole or not at all.

    Args:
        module: Whose state is written under torch's names.
        path: Final name.
    """
    weights = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    with _replacing(path) as file:
        file.write(safetensors.torch.save(weights))


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module with weights that `save_weights` wrote.

    Args:
        module: Of the same architecture.
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


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        DataError: The file is damaged or holds anything else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: expected a checkpoint of handssl, cannot read it ({reason}); "
            "remove the file to start this trial again"
        ) from None
    return dict(state)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
