"""Deviations of the published code from its paper: one switch each, all off by default.

Tensor backend only. Not reproduced, because a packed crop lacks the required data: sobel, cut-out
and blur before the crop, boxes clamped or cut at the border of the source image, offsets in pixels
of the source image, rotation about the mean joint, cut-out centred on a joint with its axes swapped
(here the centre is uniform, so a swap changes nothing). Drawn differently: factors of saturation
and value are uniform in their logarithm. Equal without a switch: the window of the blur, a tenth of
the side. Targets in raw units and modulo 360 degrees are an option of the relative objective
(`RelativeConfig.targets`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812

from handssl.config import Config
from handssl.randomness import normal_fields
from handssl.transforms.appearance import LUMA, hsv_to_rgb, of_floats, rgb_to_hsv

PUBLISHED_ORDER = ("sobel", "cutout", "blur", "color_jitter", "noise", "color_drop")


class Quirks(Config):
    """Switches of `AugmentConfig.preset("paper_code")`.

    Attributes:
        integer_degrees: Angles are rounded down to whole degrees, for both image and target.
        published_order: Appearance changes in the order sobel, cutout, blur, color_jitter, noise,
            color_drop, all of them after the warp.
        multiplied_hue: Hue is multiplied by 0.505 + 0.99 hue_turns, in [0.01, 1], instead of
            shifted: it can only decrease, towards red.
        swapped_channels: color_jitter, color_drop and sobel swap red and blue.
        wrapping_sobel: Sobel is the sum of both signed derivatives modulo 256 grey levels.
        wrapping_noise: Negative noise is dropped; levels beyond 255 wrap around to 0.
    """

    integer_degrees: bool = False
    published_order: bool = False
    multiplied_hue: bool = False
    swapped_channels: bool = False
    wrapping_sobel: bool = False
    wrapping_noise: bool = False

    @property
    def on(self) -> tuple[str, ...]:
        """Return the names of the switches that are on."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))


def whole_degrees(rotate: torch.Tensor) -> torch.Tensor:
    """Round the angles (column 1, radians) of a draw (B, 2) down to whole degrees."""
    return torch.cat((rotate[:, :1], torch.deg2rad(torch.floor(torch.rad2deg(rotate[:, 1:])))), 1)


def color_jitter(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Multiply hue, saturation and value, offset value.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: (B, 4), as defined by `ColorJitter`; hue_turns in [-0.5, 0.5] gives the factor.
    """
    hue, saturation, value = rgb_to_hsv(images)
    turns, log_saturation, log_value, offset = (t[:, None, None] for t in theta.unbind(1))
    saturation = (saturation * torch.exp(log_saturation)).clamp(0.0, 1.0)
    value = (value * torch.exp(log_value) + offset).clamp(0.0, 1.0)
    return hsv_to_rgb(hue * (0.505 + 0.99 * turns), saturation, value)


@of_floats
def sobel(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Return the sum of both derivatives of the grey image, modulo 256 levels.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: No parameters, (B, 0).
    """
    red, green, blue = images.unbind(1)
    grey = torch.round(255.0 * (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue))
    g = F.pad(grey[:, None], (1, 1, 1, 1), mode="reflect")
    rows = g[..., :-2, :] + 2.0 * g[..., 1:-1, :] + g[..., 2:, :]
    columns = g[..., :-2] + 2.0 * g[..., 1:-1] + g[..., 2:]
    total = rows[..., 2:] - rows[..., :-2] + columns[..., 2:, :] - columns[..., :-2, :]
    return (torch.remainder(total, 256.0) / 255.0).expand_as(images)


@of_floats
def noise(
    images: torch.Tensor, theta: torch.Tensor, ids: torch.Tensor, *, key: int
) -> torch.Tensor:
    """Add the positive part of Gaussian noise in whole levels, modulo 256 levels.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: Sigma, (B, 1).
        ids: int64 (B,), sample ids.
        key: Key from `appearance.noise_key`.
    """
    batch, channels, height, width = images.shape
    field = normal_fields(ids, math.prod(images.shape[1:]), key)
    field = field.reshape(batch, height, width, channels).permute(0, 3, 1, 2)
    added = torch.round(255.0 * theta[:, :, None, None] * field).clamp(min=0.0)
    return torch.remainder(torch.round(255.0 * images) + added, 256.0) / 255.0
