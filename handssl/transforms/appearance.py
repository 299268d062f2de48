"""Transformations that change pixel values.

They are color_jitter, color_drop, blur, sobel, noise and cutout.

Each takes images float (B, 3, P, P) in [0, 1], RGB, and its columns of theta (B, k), and returns
images of the same shape in [0, 1]. None synchronises with the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812

from handssl.errors import InputError
from handssl.randomness import derive_key, normal_fields
from handssl.transforms.device_constants import constant

LUMA = (0.299, 0.587, 0.114)
_EPS = 1e-8
_Rest = ParamSpec("_Rest")
_Result = TypeVar("_Result")


def of_floats(
    change: Callable[Concatenate[torch.Tensor, _Rest], _Result],
) -> Callable[Concatenate[torch.Tensor, _Rest], _Result]:
    """Refuse integer images, on which differences would wrap and weights be rounded to 0."""

    @wraps(change)
    def checked(images: torch.Tensor, /, *args: _Rest.args, **kwargs: _Rest.kwargs) -> _Result:
        if not images.is_floating_point():
            raise InputError(
                f"images: expected floating point in [0, 1], got {images.dtype}; "
                "convert them, e.g. images.float() / 255"
            )
        return change(images, *args, **kwargs)

    return checked


def color_jitter(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Shift hue, scale saturation and value, offset value.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: Parameters, (B, 4), as defined by `ColorJitter`.
    """
    hue, saturation, value = rgb_to_hsv(images)
    shift, log_saturation, log_value, offset = (t[:, None, None] for t in theta.unbind(1))
    saturation = (saturation * torch.exp(log_saturation)).clamp(0.0, 1.0)
    value = (value * torch.exp(log_value) + offset).clamp(0.0, 1.0)
    return hsv_to_rgb(hue + shift, saturation, value)


@of_floats
def color_drop(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Return the grey image on three equal channels.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: No parameters, (B, 0).
    """
    red, green, blue = images.unbind(1)
    grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey[:, None].expand_as(images)


@of_floats
def rgb_to_hsv(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue in turns [0, 1), saturation and value in [0, 1], each (B, P, P)."""
    red, green, blue = images.unbind(1)
    value, least = images.amax(1), images.amin(1)
    chroma = value - least
    scale = 1.0 / (chroma + _EPS)
    # Six sectors; a grey pixel has chroma 0 and gets hue 0.
    hue = torch.where(
        value == red,
        (green - blue) * scale,
        torch.where(value == green, 2.0 + (blue - red) * scale, 4.0 + (red - green) * scale),
    )
    return torch.remainder(hue / 6.0, 1.0), chroma / (value + _EPS), value


def hsv_to_rgb(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return RGB (B, 3, P, P) from hue in turns (any real), saturation and value (B, P, P)."""
    chroma = value * saturation
    channels = []
    for sectors in (5.0, 3.0, 1.0):
        position = torch.remainder(sectors + 6.0 * hue, 6.0)
        channels.append(value - chroma * torch.minimum(position, 4.0 - position).clamp(0.0, 1.0))
    return torch.stack(channels, dim=1)


@of_floats
def blur(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Convolve with a Gaussian of sigma theta_0 view sides, mirrored at the border.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: Parameters, (B, 1).
    """
    side_px = images.shape[-1]
    # Three times the largest documented sigma (2 px at 128 px); beyond it the weights vanish.
    radius_px = max(1, math.ceil(3.0 * 2.0 / 128 * side_px))
    return _gaussian(images, theta * side_px + _EPS, radius_px)


def gaussian_blur(images: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Convolve all images with one Gaussian, mirrored at the border; sigma 0 returns them.

    Args:
        images: Images, (B, C, P, P).
        sigma_px: Sigma in pixels, at least 0.
    """
    radius_px = gaussian_radius_px(sigma_px, images.shape[-1])
    if radius_px == 0:
        return images
    sigma = torch.full((len(images), 1), sigma_px, dtype=images.dtype, device=images.device)
    return _gaussian(images, sigma, radius_px)


def gaussian_radius_px(sigma_px: float, side_px: int) -> int:
    """Return three sigma in whole pixels, as far as an image can be mirrored."""
    return min(math.ceil(3.0 * sigma_px), side_px - 1)


def _gaussian(images: torch.Tensor, sigma_px: torch.Tensor, radius_px: int) -> torch.Tensor:
    """Convolve each image with a Gaussian of its own sigma (B, 1)."""
    steps = torch.arange(-radius_px, radius_px + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (steps / sigma_px) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    return _convolve_axis(_convolve_axis(images, weights, 3), weights, 2)


def _convolve_axis(images: torch.Tensor, weights: torch.Tensor, axis: int) -> torch.Tensor:
    """Convolve each image with its own 1-D kernel, as a grouped convolution over the batch."""
    batch, channels, height, width = images.shape
    radius = weights.shape[1] // 2
    pad = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
    padded = F.pad(images, pad, mode="reflect")
    rows = padded.transpose(0, 1)  # channels become the batch, each image a group
    shape = (batch, 1, 1, -1) if axis == 3 else (batch, 1, -1, 1)
    out = F.conv2d(rows, weights.reshape(shape), groups=batch)
    return out.transpose(0, 1).reshape(batch, channels, height, width)


@of_floats
def sobel(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Return the gradient magnitude of the grey image on three equal channels, clipped at 1.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: No parameters, (B, 0).
    """
    luma = constant(LUMA, images)[None, :, None, None]
    grey = F.pad((images * luma).sum(1, keepdim=True), (1, 1, 1, 1), mode="reflect")
    smooth, slope = constant((0.25, 0.5, 0.25), images), constant((-1.0, 0.0, 1.0), images)
    across = F.conv2d(grey, torch.outer(smooth, slope)[None, None])
    down = F.conv2d(grey, torch.outer(slope, smooth)[None, None])
    return torch.sqrt(across**2 + down**2 + _EPS).clamp(max=1.0).expand_as(images)


@of_floats
def noise(
    images: torch.Tensor, theta: torch.Tensor, ids: torch.Tensor, *, key: int
) -> torch.Tensor:
    """Add independent Gaussian noise of sigma theta_0 to every channel of every pixel.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: Parameters, (B, 1).
        ids: int64 (B,), sample ids; with `key` they determine the noise.
        key: Key from `noise_key`.
    """
    batch, channels, height, width = images.shape
    field = normal_fields(ids, images[0].numel(), key).reshape(batch, height, width, channels)
    field = field.permute(0, 3, 1, 2)  # drawn in the channels-last layout of images on the host
    return (images + theta[:, :, None, None] * field).clamp(0.0, 1.0)


def noise_key(seed: int, epoch: int, view: int) -> int:
    """Return the key of the noise field of one view."""
    return derive_key("noise", seed, epoch, view)


@of_floats
def cutout(images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Cover a square of side theta_0 view sides centred on (theta_1, theta_2) with grey theta_3.

    Args:
        images: RGB images in [0, 1], (B, 3, P, P).
        theta: Parameters, (B, 4), all in [0, 1].
    """
    side_px = images.shape[-1]
    centres = (torch.arange(side_px, dtype=images.dtype, device=images.device) + 0.5) / side_px
    side, x, y, grey = (t[:, None] for t in theta.unbind(1))
    covered_x = (centres - x).abs() <= side / 2
    covered_y = (centres - y).abs() <= side / 2
    covered = (covered_y[:, :, None] & covered_x[:, None, :])[:, None]
    return torch.where(covered, grey[:, :, None, None], images)
