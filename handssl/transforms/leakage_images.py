"""Random isotropic and homogeneous crops for the leak test, packed like real ones.

Whatever a read-out predicts about theta from a view of them, it learns from view artefacts.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.crops import crop_sample
from handssl.data.sample import Sample
from handssl.errors import InputError
from handssl.randomness import numpy_generator

Images = Literal["constant", "isotropic", "noise", "sharp"]
Bytes = NDArray[np.uint8]

# Source pixels per crop pixel, as for hands of 80 to 160 px in images of 224 px.
_SCALES = (0.75, 1.5)
_GREY, _CONTRAST = 128.0, 40.0
_SOFT_PX = 1.0  # blur of a lens; without it the image would contain the noise tested separately


def crops_without_cues(
    images: Images, count: int, *, crop_px: int, source_share: float = 1.0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return stored crops of random images, and a mask of the pixels that the source covers.

    Args:
        images: `constant`: one grey level each; `isotropic`: Gaussian, amplitude 1 / frequency in
            every direction, slightly soft; `noise`: independent source pixels; all three cropped
            by the packing warp at subpixel offsets and at random scales. `sharp`: independent crop
            pixels, as after a crop at whole pixels.
        count: Number of crops.
        crop_px: Side of a stored crop in pixels.
        source_share: Share of a crop, from a random side of it, that its source covers, in
            (0, 1]. Packing fills the rest by reflection.
        seed: Seed of the images.

    Returns:
        uint8 (count, 3, crop_px, crop_px) and bool (count, 1, crop_px, crop_px).

    Raises:
        InputError: The kind of images is unknown, or the share is not in (0, 1].

    Example:
        >>> crops, real = crops_without_cues("noise", 2, crop_px=32, source_share=0.5)
        >>> crops.shape, float(real.float().mean())
        (torch.Size([2, 3, 32, 32]), 0.5)
    """
    if images not in get_args(Images):
        raise InputError(f"images must be one of {', '.join(get_args(Images))}, got {images!r}.")
    if not 0.0 < source_share <= 1.0:
        raise InputError(f"source_share must lie in (0, 1], got {source_share:g}.")
    crops = np.empty((count, crop_px, crop_px), dtype=np.uint8)
    real = np.zeros((count, crop_px, crop_px), dtype=bool)
    for row in range(count):
        rng = numpy_generator("leak", seed, images, row)
        crops[row] = _crop(images, crop_px, source_share, rng)
        real[row, :, : round(source_share * crop_px)] = True
        turns = int(rng.integers(4))  # the source ends on any of the four sides
        crops[row], real[row] = np.rot90(crops[row], turns), np.rot90(real[row], turns)
    grey = torch.from_numpy(crops)[:, None]
    return grey.expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(real)[:, None]


def _crop(images: Images, crop_px: int, source_share: float, rng: np.random.Generator) -> Bytes:
    """Pack a square of a source image that ends on the right."""
    scale = 1.0 if images == "sharp" else math.exp(rng.uniform(*np.log(_SCALES)))
    side_px = crop_px * scale
    first = 2.0 + (0.0 if images == "sharp" else rng.uniform())
    height_px = math.ceil(first + side_px) + 3
    # The crop covers [first - 1/2, first - 1/2 + side) in coordinates of pixel centres.
    width_px = height_px if source_share == 1.0 else round(first + source_share * side_px)
    source = _source(images, height_px, rng)[:, :width_px]
    centre = first + (side_px - 1) / 2
    sample = Sample(
        np.repeat(source[:, :, None], 3, axis=2), 0, 0, "leak", box=(centre, centre, side_px)
    )
    crop: Bytes = crop_sample(sample, crop_px, 1.0)[0][:, :, 0]
    return crop


def _source(images: Images, side_px: int, rng: np.random.Generator) -> Bytes:
    if images == "constant":
        return np.full((side_px, side_px), rng.integers(256), dtype=np.uint8)
    field = rng.standard_normal((side_px, side_px), dtype=np.float32)
    if images == "isotropic":
        field = _isotropic(rng, side_px)
    return np.clip(np.round(_GREY + _CONTRAST * field), 0, 255).astype(np.uint8)


def _isotropic(rng: np.random.Generator, side_px: int) -> NDArray[np.float32]:
    """Return a Gaussian field of unit variance whose spectrum is the same in all directions."""
    # A torus a third larger than the image, so that opposite sides are independent.
    torus_px = 1 << math.ceil(math.log2(side_px * 4 / 3))
    white = torch.from_numpy(rng.standard_normal((torus_px, torus_px), dtype=np.float32))
    field = torch.fft.irfft2(torch.fft.rfft2(white) * _amplitude(torus_px))
    cut = field[:side_px, :side_px]
    unit: NDArray[np.float32] = (cut / field.std()).numpy()
    return unit


def _amplitude(side_px: int) -> torch.Tensor:
    """Return 1 / frequency, softened; 0 for the mean and for the corners beyond the circle."""
    down, across = torch.fft.fftfreq(side_px), torch.fft.rfftfreq(side_px)
    radius = torch.sqrt(down[:, None] ** 2 + across[None, :] ** 2)
    soft = torch.exp(-2.0 * (math.pi * _SOFT_PX * radius) ** 2)
    kept = (radius > 0) & (radius <= 0.5)
    return torch.where(kept, soft / radius.clamp(min=1.0 / side_px), torch.zeros(()))
