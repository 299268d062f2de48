"""Helpers for implementations that serve numpy and torch: conversion, shapes, namespace.

The functions of this package use operations with equal names in both libraries; a result has the
kind, dtype and device of the first argument.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.errors import InputError
from handssl.pose.skeleton import JOINT_COUNT, JOINT_NAMES

Array = TypeVar("Array", NDArray[Any], torch.Tensor)


def namespace(array: Any) -> Any:
    """Return the library an array belongs to: `torch` or `numpy`."""
    return torch if isinstance(array, torch.Tensor) else np


def as_floats(name: str, values: Any, *tail: int, like: Any = None) -> Any:
    """Return values as a floating array whose last axes have the given sizes.

    Args:
        name: Name of the argument for the message.
        values: Array, tensor or nested lists; integers become float64.
        tail: Sizes of the last axes.
        like: Array that determines kind, dtype and device of the result; default: `values`.

    Returns:
        float32 or float64 of shape (..., *tail); the same object if no conversion was needed.

    Raises:
        InputError: The values are not real numbers, or have a wrong shape.

    Example:
        >>> as_floats("uv", [[1, 2], [3, 4]], 2).dtype
        dtype('float64')
        >>> as_floats("uv", [1.0, 2.0, 3.0], 2)
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: uv: expected shape (..., 2), got (3,)
    """
    array = _as_real(name, values)
    if tuple(array.shape[array.ndim - len(tail) :]) != tail or array.ndim < len(tail):
        expected = ", ".join(["...", *map(str, tail)])
        raise InputError(f"{name}: expected shape ({expected}), got {tuple(array.shape)}")
    return array if like is None else as_kind(array, like)


def _as_real(name: str, values: Any) -> Any:
    try:
        array = values if isinstance(values, torch.Tensor) else np.asarray(values)
    except ValueError:
        raise InputError(f"{name}: expected an array, got lists of unequal lengths") from None
    xp = namespace(array)
    if array.dtype in (xp.float32, xp.float64):
        return array
    if array.dtype in (xp.int64, xp.int32):
        return xp.asarray(array, dtype=xp.float64)
    raise InputError(
        f"{name}: expected float32 or float64 numbers, got {array.dtype}; convert them"
    )


def as_kind(array: Any, like: Any) -> Any:
    """Return an array in the kind (numpy or torch), dtype and device of another."""
    if isinstance(like, torch.Tensor):
        return torch.as_tensor(array, dtype=like.dtype, device=like.device)
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
    return np.asarray(array, dtype=like.dtype)


def check_batches(**batches: tuple[int, ...]) -> None:
    """Reject arguments whose leading axes do not broadcast.

    Args:
        batches: Leading axes of each argument, by name.

    Raises:
        InputError: The message names every argument with its axes.

    Example:
        >>> check_batches(uv=(5,), camera=())
        >>> check_batches(uv=(5,), camera=(4,))
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: expected leading axes that agree, got uv (5,), camera (4,)
    """
    try:
        np.broadcast_shapes(*(tuple(batch) for batch in batches.values()))
    except ValueError:
        got = ", ".join(f"{name} {tuple(batch)}" for name, batch in batches.items())
        raise InputError(f"expected leading axes that agree, got {got}") from None


def check_joints(root: int, bone: tuple[int, int]) -> None:
    """Reject invalid indices of root and bone.

    Raises:
        InputError: An index is outside [0, 21), or both ends of the bone are the same joint.
    """
    valid = all(0 <= joint < JOINT_COUNT for joint in (root, *bone))
    if not valid or len(bone) != 2 or bone[0] == bone[1]:
        raise InputError(
            f"expected a root and two different joints of a bone, each from 0 ({JOINT_NAMES[0]}) "
            f"to {JOINT_COUNT - 1} ({JOINT_NAMES[-1]}), got root {root}, bone {bone}"
        )
