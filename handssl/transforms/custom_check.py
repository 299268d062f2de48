"""Validate a custom transformation on a few images before a trial is trained with it."""

from __future__ import annotations

import torch

from handssl.errors import InputError
from handssl.transforms.custom import CustomTransformConfig
from handssl.transforms.custom_loading import described, load_custom

_IMAGES = 4
_ROUNDING = 1e-5
# Algorithms may depend on the batch size; the encoder receives float32 images.
_ALIKE = 1e-3


def require_sound(
    custom: CustomTransformConfig, *, view_px: int, device: torch.device | str = "cpu"
) -> None:
    """Check on a small batch that a custom transformation satisfies its protocol.

    Args:
        custom: Description in the configuration.
        view_px: Side of the images in pixels.
        device: Device on which views are made.

    Raises:
        InputError: It cannot be imported here, differs from the configuration, or its images have
            another shape, leave [0, 1], are not finite, differ for equal arguments, overwrite the
            input, or depend on the rest of the batch.
    """
    _require_unchanged(custom)
    images, theta = _probe(custom, view_px, device)
    given = images.clone()
    first = _applied(custom, images, theta)
    _require_images(custom, first, given)
    if not torch.equal(images, given):
        raise _refusal(custom, "unchanged input images", "modified ones", "copy them")
    if not torch.equal(first, _applied(custom, given.clone(), theta)):
        how = "draw nothing in apply, theta contains all random values"
        raise _refusal(custom, "equal images for equal arguments", "different ones", how)
    single = torch.cat(
        [_applied(custom, given[i : i + 1], theta[i : i + 1]) for i in range(_IMAGES)]
    )
    if not torch.allclose(single, first, rtol=0.0, atol=_ALIKE):
        how = "use no statistics of the batch"
        raise _refusal(custom, "images that depend only on their row", "others if alone", how)


def _require_unchanged(custom: CustomTransformConfig) -> None:
    now = described(custom.path)
    if now != custom:
        changed = [
            name
            for name in CustomTransformConfig.model_fields
            if getattr(now, name) != getattr(custom, name)
        ]
        raise InputError(
            f"transformation {custom.path}: expected the values of the configuration, got "
            f"different {', '.join(changed)}; rename the changed transformation, or load the study "
            "again"
        )


def _probe(
    custom: CustomTransformConfig, view_px: int, device: torch.device | str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and theta: lower ends of the ranges, upper ends, and random values."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((_IMAGES, 3, view_px, view_px), generator=generator)
    share = torch.rand((_IMAGES, len(custom.ranges)), generator=generator)
    share[0], share[1] = 0.0, 1.0
    low = torch.tensor([low for low, _ in custom.ranges])
    width = torch.tensor([high - low for low, high in custom.ranges])
    return images.to(device), (low + width * share).to(device)


def _applied(
    custom: CustomTransformConfig, images: torch.Tensor, theta: torch.Tensor
) -> torch.Tensor:
    try:
        with torch.no_grad():
            return load_custom(custom.path).apply(images, theta)
    except Exception as error:  # a user's code may raise anything
        words = f"{type(error).__name__}: {error}"
        shapes = f"images {tuple(images.shape)} and theta {tuple(theta.shape)}"
        raise _refusal(custom, f"an apply that takes {shapes}", words, "correct it") from error


def _require_images(custom: CustomTransformConfig, found: object, given: torch.Tensor) -> None:
    wanted = (given.shape, given.dtype, given.device)
    if not isinstance(found, torch.Tensor) or (found.shape, found.dtype, found.device) != wanted:
        raise _refusal(custom, f"images {_words(given)}", _words(found), "return images as given")
    if not bool(torch.isfinite(found).all()):
        raise _refusal(custom, "finite images", "NaN or infinite values", "guard the arithmetic")
    low, high = float(found.min()), float(found.max())
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise _refusal(custom, "images in [0, 1]", f"[{low:.4g}, {high:.4g}]", "clamp them")


def _words(found: object) -> str:
    if isinstance(found, torch.Tensor):
        return f"{tuple(found.shape)} {found.dtype} on {found.device}"
    return type(found).__name__


def _refusal(custom: CustomTransformConfig, expected: str, got: str, todo: str) -> InputError:
    return InputError(f"transformation {custom.path}: expected {expected}, got {got}; {todo}")
