"""Counter-based randomness: every number is a pure function of its key and counter.

There is no generator state. A draw is addressed by a key (its purpose: seed, epoch, view,
transformation, parameter name) and a counter (sample, index). Hence a number does not depend on
worker, rank, batch position, order of calls or which other options are enabled.

Names are imported on first use, so processes that only render or decode need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handssl.randomness.addresses import derive_key, numpy_generator, permutation
    from handssl.randomness.fields import normal_field, normal_fields
    from handssl.randomness.streams import (
        normals,
        philox,
        torch_generator,
        uniform_sets,
        uniforms,
    )

_HOME = {
    "derive_key": "addresses",
    "normal_field": "fields",
    "normal_fields": "fields",
    "normals": "streams",
    "numpy_generator": "addresses",
    "permutation": "addresses",
    "philox": "streams",
    "torch_generator": "streams",
    "uniform_sets": "streams",
    "uniforms": "streams",
}

__all__ = [
    "derive_key",
    "normal_field",
    "normal_fields",
    "normals",
    "numpy_generator",
    "permutation",
    "philox",
    "torch_generator",
    "uniform_sets",
    "uniforms",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'handssl.randomness' has no attribute {name!r}")
    return getattr(import_module(f"handssl.randomness.{_HOME[name]}"), name)
