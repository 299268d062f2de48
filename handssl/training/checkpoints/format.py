"""The file format: a safetensors file that carries a digest of itself.

Layout (little-endian): header length, uint64; header, JSON; the bytes of the tensors. The header
starts with its metadata: `sha256`, `version` of this format, and `state`, the nested values
without their tensors. The digest is over the whole file with zeros in its own place, so any flipped
or missing byte shows. Any reader of safetensors can read the weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
import torch

from handssl.errors import DataError
from handssl.training.checkpoints.tree import flatten, restore

VERSION = 2
_START = b'{"__metadata__":{"sha256":"'
_LENGTH_BYTES = 8
_DIGEST_AT = _LENGTH_BYTES + len(_START)
_NO_DIGEST = b"0" * 64
_DIGEST = slice(_DIGEST_AT, _DIGEST_AT + len(_NO_DIGEST))
_OLD_START = b"PK\x03\x04"  # format 1 was a zip file
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class DamagedError(DataError):
    """A checkpoint is not as it was written."""


@dataclass(frozen=True)
class Encoded:
    """A checkpoint ready to be written.

    Attributes:
        header: Length and JSON, the digest still zeros.
        tensors: In the order of their bytes.
    """

    header: bytes
    tensors: tuple[torch.Tensor, ...]

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return len(self.header) + sum(tensor.nbytes for tensor in self.tensors)

    def write(self, file: BinaryIO) -> None:
        """Write everything, one tensor at a time, and last the digest into its place.

        Args:
            file: At position 0, seekable.
        """
        digest = hashlib.sha256(self.header)
        file.write(self.header)
        for tensor in self.tensors:
            content = _content(tensor)
            digest.update(content)
            file.write(content)
        file.seek(_DIGEST.start)
        file.write(digest.hexdigest().encode())


def encode(state: Any) -> Encoded:
    """Lay out a checkpoint.

    Args:
        state: Nested values as `flatten` takes them; tensors on any device.

    Raises:
        TypeError: A value or the dtype of a tensor cannot be kept.
    """
    text, tensors = flatten(state)
    # Wide numbers first: each then starts at a multiple of its width.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    metadata = {"sha256": _NO_DIGEST.decode(), "version": str(VERSION), "state": text}
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        header[name] = _entry(name, tensors[name], begin, end)
    content = json.dumps(header, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)
    length = len(content).to_bytes(_LENGTH_BYTES, "little")
    return Encoded(length + content, tuple(tensors[name] for name in names))


def read(path: Path) -> Any:
    """Read a checkpoint after its digest was found right.

    Args:
        path: The file.

    Returns:
        What `encode` was given, tensors on the CPU.

    Raises:
        DamagedError: The content is not as written.
        DataError: The file cannot be opened, or is of another version of the format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: expected to read a checkpoint, cannot ({error.strerror})"
        ) from None
    if content.startswith(_OLD_START):
        raise other_version(path, "1")
    if reason := _damage(content):
        raise DamagedError(f"{path}: expected a checkpoint of handssl, cannot read it ({reason})")
    metadata = _metadata(content)
    if metadata["version"] != str(VERSION):
        raise other_version(path, metadata["version"])
    return restore(metadata["state"], safetensors.torch.load(content))


def other_version(path: Path, version: str) -> DataError:
    """Return the error for a checkpoint of another version of handssl.

    Args:
        path: The file.
        version: Of its format.
    """
    return DataError(
        f"{path}: expected a checkpoint of format {VERSION}, found format {version}; continue with "
        "the version of handssl that wrote it, or remove the file to start again"
    )


def _damage(content: bytes) -> str:
    if len(content) < _DIGEST.stop:
        return f"only {len(content)} bytes are left"
    if content[_LENGTH_BYTES:_DIGEST_AT] != _START:
        return "it does not start as one"
    digest = hashlib.sha256(content[: _DIGEST.start] + _NO_DIGEST)
    digest.update(memoryview(content)[_DIGEST.stop :])
    if digest.hexdigest().encode() != content[_DIGEST]:
        return "its content does not fit its SHA-256"
    return ""


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    return dict(header["__metadata__"])


def _entry(name: str, tensor: torch.Tensor, begin: int, end: int) -> dict[str, Any]:
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
        raise TypeError(f"{name}: cannot keep a tensor of {tensor.dtype}, {tensor.layout}")
    shape = list(tensor.shape)
    return {"dtype": _DTYPES[tensor.dtype], "shape": shape, "data_offsets": [begin, end]}


def _content(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())
