"""A checkpoint read with struct and loops alone, one number at a time."""

from __future__ import annotations

import hashlib
import json
import struct

CODES = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "U8": "B", "BOOL": "?"}


def numbers(raw, dtype):
    """Numbers of a run of bytes; bfloat16 is the upper half of a float32."""
    if dtype == "BF16":
        pairs = [raw[i : i + 2] for i in range(0, len(raw), 2)]
        return [struct.unpack("<f", b"\0\0" + pair)[0] for pair in pairs]
    width = struct.calcsize("<" + CODES[dtype])
    return [struct.unpack_from("<" + CODES[dtype], raw, i)[0] for i in range(0, len(raw), width)]


def read(path):
    """Return {name: (shape, numbers)} and the nested values, tensors as their names."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__")
    digest = metadata["sha256"].encode()
    assert raw.count(digest) == 1
    assert hashlib.sha256(raw.replace(digest, b"0" * 64)).hexdigest() == metadata["sha256"]
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = (tuple(entry["shape"]), numbers(raw[begin:end], entry["dtype"]))
    return tensors, plain(json.loads(metadata["state"]))


def plain(node):
    """Undo the marks of dicts, tuples and tensors."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "dict" in node:
        return {key: plain(value) for key, value in node["dict"]}
    if "tuple" in node:
        return tuple(plain(item) for item in node["tuple"])
    return node["tensor"]
