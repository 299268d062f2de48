"""Checkpoints: written whole or not at all, checked when read, read without executing anything.

A file is what `torch.save` wrote of tensors and plain values, followed by the SHA-256 of it. The
last few are kept: where the newest is damaged the one before is used, and that is said.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from torch import nn

from handssl.errors import DataError

_LOG = logging.getLogger(__name__)
_DIGEST_BYTES = 32
_STEM = "checkpoint-"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        folder: Where they lie; made when the first is saved.
        keep: How many are kept.
    """

    folder: Path
    keep: int = 2

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a checkpoint and forget the oldest; a full disk leaves those that are there.

        Args:
            state: Tensors and plain values.
            step: Updates made so far; names the file.

        Raises:
            DataError: It cannot be written.
        """
        path = self.folder / f"{_STEM}{step:09d}.pt"
        content = io.BytesIO()
        torch.save(state, content)
        data = content.getbuffer()
        try:
            with replacing(path) as file:
                file.write(data)
                file.write(hashlib.sha256(data).digest())
        except OSError as error:
            raise DataError(
                f"{path}: expected room for {len(data) / 1e6:.0f} MB, cannot write it "
                f"({error.strerror}); free space and run the same command again: "
                f"{self._there()}"
            ) from None
        for old in self._files()[: -self.keep]:
            old.unlink(missing_ok=True)

    def latest(self) -> dict[str, Any] | None:
        """Return the newest state that is whole; None where there is none yet.

        What a killed run left half-written is removed, a damaged file is put aside as `.damaged`.

        Raises:
            DataError: There are checkpoints, and all are damaged.
        """
        for orphan in self.folder.glob("*.partial"):
            orphan.unlink(missing_ok=True)
        files = self._files()
        for path in reversed(files):
            try:
                return _read(path)
            except DataError as error:
                path.rename(path.with_suffix(".damaged"))
                _LOG.warning("%s; the checkpoint before it is used", error)
        if files:
            raise DataError(
                f"{self.folder}: expected a checkpoint that is whole, all {len(files)} are damaged "
                "and were put aside as *.damaged; run the same command again to start anew"
            )
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_STEM}?????????.pt"))

    def _there(self) -> str:
        files = self._files()
        return f"it goes on from {files[-1].name}" if files else "it begins anew"


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights as safetensors, whole or not at all.

    Args:
        module: Whose state is written under torch's names.
        path: Final name.

    Raises:
        DataError: They cannot be written.
    """
    weights = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    try:
        with replacing(path) as file:
            file.write(safetensors.torch.save(weights))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); free space and run the same command "
            "again"
        ) from None


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


def _read(path: Path) -> dict[str, Any]:
    """Return a checkpoint; only tensors and plain values are accepted."""
    content = path.read_bytes()
    data, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise DataError(f"{path}: expected a whole checkpoint, found {len(content)} damaged bytes")
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: expected tensors and plain values ({reason})") from None
    return dict(state)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name; it is durable before it gets its own.

    Args:
        path: Final name; what was there before stays until the rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    _make_durable(path.parent)


def _make_durable(folder: Path) -> None:
    """Let the disk know of a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
