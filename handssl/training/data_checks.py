"""Checks that transformations and packed data fit each other, before the first epoch."""

from __future__ import annotations

import math

import torch

from handssl.data.manifest import Manifest, packing_call
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
    """Check that views have the pixels of the network's input and stay within the stored crop.

    Raises:
        InputError: The store has fewer pixels per box than a view, or the ranges of the composition
            need a larger crop.
    """
    _require_pixels(config.encoder.input_px, store.manifest)
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


def _require_pixels(input_px: int, manifest: Manifest) -> None:
    """Refuse a view of more pixels than the stored crop has for its area.

    Such a view would be an enlargement, whose missing detail the network is asked for.
    """
    context = manifest.context
    enough = math.ceil(round(input_px * context, 6))
    if manifest.crop_px >= enough:
        return
    held = math.floor(manifest.crop_px / context)
    if manifest.dataset == "procedural":
        advice = f"set data.crop_px: {enough} and data.image_px: {enough}"
    else:
        wanted = manifest.cropping._replace(crop_px=enough)
        advice = f"pack it again with {packing_call(manifest.dataset, wanted)}"
    raise InputError(
        f"expected a store with at least the {input_px} pixels per box that the network takes "
        f"(encoder.input_px), found {held} ({manifest.crop_px} px for {context:g} box sides) in "
        f"{manifest.dataset} {manifest.fingerprint[:12]}; {advice}, or set encoder.input_px: {held}"
    )
