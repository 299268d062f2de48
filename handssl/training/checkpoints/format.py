"""Checkpoint format: a safetensors file that contains its own digest.

Layout (little-endian): header length, uint64; header, JSON; the bytes of the tensors. The header
starts with its metadata: `sha256`, `version` of this format, and `state`, the nested values
without their tensors. The digest is over the whole file with zeros in place of the digest, so any
changed or missing byte is detected. Any safetensors reader can read the weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.training.checkpoints.tree import flatten

VERSION = 2
START = b'{"__metadata__":{"sha256":"'
LENGTH_BYTES = 8
NO_DIGEST = b"0" * 64
DIGEST = slice(LENGTH_BYTES + len(START), LENGTH_BYTES + len(START) + len(NO_DIGEST))
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


@dataclass(frozen=True)
class Encoded:
    """A checkpoint ready to be written.

    Attributes:
        header: Header length and JSON, with zeros as digest.
        tensors: Tensors in the order in which they are written.
    """

    header: bytes
    tensors: tuple[torch.Tensor, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the whole file in bytes."""
        return len(self.header) + sum(tensor.nbytes for tensor in self.tensors)

    def write(self, file: BinaryIO) -> None:
        """Write everything, one tensor at a time, and finally the digest.

        Args:
            file: Seekable file at position 0.
        """
        digest = hashlib.sha256(self.header)
        file.write(self.header)
        for tensor in self.tensors:
            content = _content(tensor)
            digest.update(content)
            file.write(content)
        file.seek(DIGEST.start)
        file.write(digest.hexdigest().encode())


def encode(state: Any) -> Encoded:
    """Encode a checkpoint.

    Args:
        state: Nested values for `flatten`; tensors on any device.

    Raises:
        TypeError: The type of a value or the dtype of a tensor is not supported.
    """
    text, tensors = flatten(state)
    # Wide types first: each then starts at a multiple of its width.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    metadata = {"sha256": NO_DIGEST.decode(), "version": str(VERSION), "state": text}
    table = _table({name: tensors[name] for name in names})
    content = json.dumps({"__metadata__": metadata, **table}, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)
    length = len(content).to_bytes(LENGTH_BYTES, "little")
    return Encoded(length + content, tuple(tensors[name] for name in names))


def _table(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    table, end = {}, 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise TypeError(f"{name}: cannot store a tensor of {tensor.dtype}")
        begin, end = end, end + tensor.nbytes
        dtype, shape = _DTYPES[tensor.dtype], list(tensor.shape)
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return table


def _content(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    bytes_of: NDArray[np.uint8] = flat.view(torch.uint8).numpy()
    return bytes_of.data
