"""Backends that make views: batched tensors on any device, or OpenCV on the host.

The backend is not part of a trial's identity: both make the same views within small tolerances.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from handssl.errors import InputError
from handssl.transforms.config import AugmentConfig
from handssl.transforms.names import refuse_flips
from handssl.transforms.opencv import OpenCvViewMaker
from handssl.transforms.views import ViewMaker

Backend = Literal["auto", "tensor", "opencv"]
_MAKERS: dict[str, type[ViewMaker]] = {"tensor": ViewMaker, "opencv": OpenCvViewMaker}


def choose_backend(device: torch.device | str) -> Literal["tensor", "opencv"]:
    """Return the faster backend for crops on a device (`handssl bench augment`).

    Example:
        >>> choose_backend("cpu"), choose_backend("cuda")
        ('opencv', 'tensor')
    """
    return "opencv" if torch.device(device).type == "cpu" else "tensor"


def make_views(
    config: AugmentConfig,
    composition: tuple[str, ...],
    *,
    seed: int,
    view_px: int,
    context: float,
    device: torch.device | str = "cpu",
    backend: Backend = "auto",
) -> ViewMaker:
    """Return a view maker for stored crops with the requested backend.

    Args:
        config: Ranges and probabilities.
        composition: The enabled transformations.
        seed: The trial's seed.
        view_px: Side of a view in pixels.
        context: Side of a stored crop in box sides.
        device: Device of the crops; determines the choice of `auto`.
        backend: `auto`, `tensor` or `opencv`.

    Raises:
        InputError: The backend is unknown or does not support the enabled quirks, or the
            composition contains a flip.
    """
    if backend not in get_args(Backend):
        raise InputError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}.")
    refuse_flips(composition)
    quirks = config.quirks.on
    if quirks and backend == "opencv":
        raise InputError(
            f"The OpenCV backend has no quirks, got {', '.join(quirks)}: choose tensor or auto."
        )
    if backend == "auto":
        backend = "tensor" if quirks else choose_backend(device)
    maker = _MAKERS[backend]
    return maker(config, composition, seed, view_px, context)
