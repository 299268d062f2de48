"""Load custom transformations from their import paths, describe and apply them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Annotated, Any, cast

import torch
from pydantic import BeforeValidator, ValidationError

from handssl.config import explain
from handssl.errors import InputError
from handssl.transforms.custom import MEMBERS, OWN_PATH, CustomTransformation, CustomTransformConfig


def load_custom(path: str) -> CustomTransformation:
    """Return the object at an import path; a class is instantiated without arguments.

    Args:
        path: Import path as `package.module:attribute`.

    Raises:
        InputError: It cannot be imported, or lacks members of `CustomTransformation`.
    """
    if not re.match(OWN_PATH, path):
        raise InputError(f"transformation: expected package.module:attribute, got {path!r}")
    return _load(path)


@lru_cache(maxsize=64)
def _load(path: str) -> CustomTransformation:
    module, _, attribute = path.partition(":")
    try:
        found = getattr(import_module(module), attribute)
        found = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"transformation {path}: expected package.module:attribute that can be imported here "
            f"and on every worker, a class without arguments: {error}"
        ) from None
    return _require_members(found, path)


def _require_members(found: Any, path: str) -> CustomTransformation:
    missing = [name for name in MEMBERS if not hasattr(found, name)]
    if missing or not callable(found.apply):
        raise InputError(
            f"transformation {path}: expected an object with {', '.join(MEMBERS)}, got "
            f"{type(found).__name__} without {', '.join(missing) or 'an apply to call'}; "
            "see handssl.CustomTransformation"
        )
    return cast(CustomTransformation, found)


def own_path(transformation: Any) -> str:
    """Return the import path of an object or class at the top level of a module.

    Raises:
        InputError: Its module has no name for it.

    Example:
        >>> from handssl.transforms import appearance
        >>> own_path(appearance.cutout)
        'handssl.transforms.appearance:cutout'
    """
    module = getattr(transformation, "__module__", "")
    there = vars(sys.modules[module]) if module in sys.modules else {}
    names = [name for name, value in there.items() if value is transformation]
    if module == "__main__" or not names:
        raise InputError(
            "transformation: expected an object or a class at the top of a module that workers can "
            f"import, got {transformation!r} of {module or 'no module'}; give it a name in a "
            "separate file"
        )
    return f"{module}:{names[0]}"


def described(path: str) -> CustomTransformConfig:
    """Return the description of the transformation at an import path, for a configuration.

    Raises:
        InputError: It cannot be imported or is not a transformation; all mistakes are listed.
    """
    found = load_custom(path)
    values = {name: getattr(found, name) for name in MEMBERS if name != "apply"}
    try:
        return CustomTransformConfig.model_validate({"path": path, **values})
    except ValidationError as error:
        _, *mistakes = explain(error, CustomTransformConfig, path).splitlines()
        words = "; ".join(line.strip() for line in mistakes)
        raise InputError(f"transformation {path}: {words}") from None


def _resolved(value: Any) -> Any:
    if isinstance(value, (dict, CustomTransformConfig)):
        return value
    try:
        return described(value if isinstance(value, str) else own_path(value))
    except InputError as error:
        raise ValueError(str(error)) from None


CustomTransforms = tuple[
    Annotated[
        CustomTransformConfig,
        BeforeValidator(_resolved, json_schema_input_type=str | CustomTransformConfig),
    ],
    ...,
]
"""Accepts an import path or the object itself; stored as a full `CustomTransformConfig`."""


def apply_custom(
    images: torch.Tensor, theta: Mapping[str, torch.Tensor], custom: Sequence[CustomTransformConfig]
) -> torch.Tensor:
    """Apply the drawn custom transformations in the order of the configuration.

    Args:
        images: float (B, 3, P, P) in [0, 1].
        theta: From `draw_theta`; a sample whose first column is 0 is not changed.
        custom: Custom transformations of the configuration.
    """
    for one in custom:
        if one.name in theta:
            applied, parameters = theta[one.name][:, 0], theta[one.name][:, 1:]
            changed = load_custom(one.path).apply(images, parameters)
            images = torch.where(applied[:, None, None, None] > 0, changed, images)
    return images
