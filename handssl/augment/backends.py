"""Which arithmetic makes the views: batched tensors on any device, or OpenCV on the host.

The backend is no part of a trial's identity: both make the same views within small tolerances.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from handssl.augment.config import AugmentConfig
from handssl.augment.names import refuse_flips
from handssl.augment.opencv import OpenCvViewMaker
from handssl.augment.views import ViewMaker
from handssl.errors import InputError

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
    """Return what makes views of stored crops, with the backend asked for.

    Args:
        config: Ranges and probabilities.
        composition: The transformations that are on.
        seed: The trial's seed.
        view_px: Side of a view in pixels.
        context: Side of a stored crop in box sides.
        device: Where the crops lie; decides for `auto`.
        backend: `auto`, `tensor` or `opencv`.

    Raises:
        InputError: There is no such backend, it has no quirks and some are on, or the
            composition names a flip.
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
