"""Convert nested values to JSON and named tensors, and back without loss."""

from __future__ import annotations

import json
from typing import Any

import torch

_TENSOR, _STRIDE, _TUPLE, _DICT = "tensor", "stride", "tuple", "dict"


def flatten(value: Any) -> tuple[str, dict[str, torch.Tensor]]:
    """Extract the tensors from a nested value.

    Args:
        value: Dicts with str or int keys, lists, tuples, tensors, str, bool, int, float, None.

    Returns:
        JSON with a reference for each tensor, and the tensors by the path of their keys.

    Raises:
        TypeError: A value has another type, or a tensor is sparse.

    Example:
        >>> text, tensors = flatten({"step": 3, "model": {"bias": torch.zeros(2)}})
        >>> list(tensors)
        ['model.bias']
        >>> restore(text, tensors)["model"]["bias"]
        tensor([0., 0.])
    """
    tensors: dict[str, torch.Tensor] = {}
    # Python writes floats with enough digits to restore them, including infinities and NaN.
    return json.dumps(_take(value, "", tensors), separators=(",", ":")), tensors


def restore(text: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Restore a nested value from the result of `flatten`.

    Args:
        text: JSON from `flatten`.
        tensors: Tensors by the same names.
    """
    return _put(json.loads(text), tensors)


def _take(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = _free_name(path, tensors)
        tensors[name] = value
        return {_TENSOR: name, **_order_in_memory(value, path)}
    if isinstance(value, dict):
        return {_DICT: [[_key(k), _take(v, _join(path, k), tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [_take(item, _join(path, i), tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: expected tensors and plain values, got {type(value).__name__}")


def _put(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, list):
        return [_put(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    if _DICT in node:
        return {key: _put(value, tensors) for key, value in node[_DICT]}
    if _TUPLE in node:
        return tuple(_put(item, tensors) for item in node[_TUPLE])
    tensor = tensors[node[_TENSOR]]
    if _STRIDE not in node:
        return tensor
    ordered = torch.empty_strided(tensor.shape, node[_STRIDE], dtype=tensor.dtype)
    return ordered.copy_(tensor)


def _key(key: Any) -> str | int:
    if type(key) in (str, int):
        return key  # type: ignore[no-any-return]
    raise TypeError(f"expected keys of type str or int, got {key!r}")


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _free_name(path: str, tensors: dict[str, torch.Tensor]) -> str:
    """Return the path, numbered if two differ only by a dot in a key or by the key's type."""
    name, number = path, 1
    while name in tensors or name == "__metadata__":
        number += 1
        name = f"{path}#{number}"
    return name


def _order_in_memory(tensor: torch.Tensor, path: str) -> dict[str, list[int]]:
    """Return the strides if they are not row-major: they affect the summation order of kernels."""
    if tensor.layout != torch.strided:
        raise TypeError(f"{path}: expected a dense tensor, got {tensor.layout}")
    stride = torch.empty_like(tensor, device="meta").stride()
    by_rows = torch.empty(tensor.shape, device="meta").stride()
    return {} if stride == by_rows else {_STRIDE: list(stride)}
