"""Checks that transformations and packed data fit each other, before the first epoch."""

from __future__ import annotations

import math

import torch

from handssl.data.store import PackedSplit
from handssl.errors import InputError
from handssl.training.config import PretrainConfig
from handssl.transforms import composition_name, reach_boxes
from handssl.transforms.custom_check import require_sound


def require_sound_custom(config: PretrainConfig, device: torch.device) -> None:
    """Check the custom transformations of a composition on a few images.

    Raises:
        InputError: One of them is invalid, see `require_sound`.
    """
    for one in config.augmentation.custom:
        if one.name in config.composition:
            require_sound(one, view_px=config.encoder.input_px, device=device)


def require_reach(config: PretrainConfig, store: PackedSplit) -> None:
    """Check that no view reaches beyond the stored crop.

    Raises:
        InputError: The ranges of the composition need a larger crop.
    """
    context, crop_px = store.manifest.context, store.manifest.crop_px
    reach = reach_boxes(config.augmentation, config.composition, view_px=config.encoder.input_px)
    if reach > context:
        enough = math.ceil(reach * 20) / 20
        raise InputError(
            f"expected transformations that stay within the stored crop of {context:g} box sides, "
            f"the ranges of {composition_name(config.composition)} reach {reach:.3f}; narrow the "
            f"ranges, or pack the data with --context {enough:g} --crop-px "
            f"{math.ceil(crop_px * enough / context)}, which keeps the resolution"
        )
