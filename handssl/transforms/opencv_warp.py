"""The warps and filters of `resampling` for one stored 8-bit image on the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
import torch

from handssl.transforms.appearance import gaussian_radius_px
from handssl.transforms.config import Border
from handssl.transforms.opencv_appearance import gaussian
from handssl.transforms.resampling import Resampling

_BORDER = {"reflect": cv2.BORDER_REFLECT, "black": cv2.BORDER_CONSTANT}
_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def pixel_matrices(
    matrix: torch.Tensor, *, view_px: int, crop_px: int, context: float
) -> np.ndarray:
    """Return the maps from view pixels to crop pixels, both in coordinates of pixel centres.

    Args:
        matrix: (B, 2, 3) from `view_matrix`.
        view_px: Side of the view in pixels.
        crop_px: Side of the stored crop in pixels.
        context: Side of the stored crop in box sides.

    Returns:
        float64 (B, 2, 3).
    """
    boxes = matrix.double().numpy()
    turn = boxes[:, :, :2] * (crop_px / context / view_px)
    # The centres of view and crop are half a side minus half a pixel from their first pixels.
    offset = boxes[:, :, 2] * (crop_px / context) + (crop_px - 1) / 2
    offset = offset - turn.sum(2) * ((view_px - 1) / 2)
    return np.concatenate((turn, offset[:, :, None]), axis=2)


@dataclass(frozen=True)
class PixelResampling:
    """A `Resampling` in pixels, applied to one image of the batch at a time.

    Attributes:
        matrices: For each warp float64 (B, 2, 3), from `pixel_matrices`.
        sides_px: For each warp the side of its output in pixels.
        border: Content outside the input of each warp.
        disc: Whether the view is masked to the inscribed disc.
        antialias_px: Sigma of the blur of the crop; 0 for none.
        blur_px: Sigma of the blur of the view; 0 for none.
    """

    matrices: tuple[np.ndarray, ...]
    sides_px: tuple[int, ...]
    border: Border
    disc: bool
    antialias_px: float
    blur_px: float

    @classmethod
    def of(cls, whole: Resampling, crop_px: int) -> Self:
        """Return the same filters and warps for crops of a side in pixels."""
        sides_px = tuple(step.side_px for step in whole.warps)
        matrices = tuple(
            pixel_matrices(step.matrix, view_px=after, crop_px=before, context=step.context)
            for step, before, after in zip(
                whole.warps, (crop_px, *sides_px), sides_px, strict=False
            )
        )
        disc = whole.border == "disc"
        return cls(matrices, sides_px, whole.filled_by, disc, whole.antialias_px, whole.blur_px)

    def __call__(self, crop: np.ndarray, row: int) -> np.ndarray:
        """Return the view uint8 (P, P, 3) of a stored crop.

        Args:
            crop: RGB crop, uint8 (3, S, S).
            row: Its position in the batch.
        """
        pixels = crop.transpose(1, 2, 0)
        if not pixels.flags.c_contiguous:
            pixels = cv2.merge((crop[0], crop[1], crop[2]))
        # A fourth channel makes OpenCV's warp 2.7 times as fast (measured): it moves whole words.
        # It is added after `merge`, which bypasses the cache: merging four channels would undo the
        # gain.
        words = _blurred(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), self.antialias_px)
        for matrices, side_px in zip(self.matrices, self.sides_px, strict=True):
            size, border = (side_px, side_px), _BORDER[self.border]
            words = cv2.warpAffine(words, matrices[row], size, flags=_LINEAR, borderMode=border)
        image: np.ndarray = _blurred(cv2.cvtColor(words, cv2.COLOR_RGBA2RGB), self.blur_px)
        return cv2.bitwise_and(image, _disc(len(image)), dst=image) if self.disc else image


def _blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Convolve with a Gaussian as `appearance.gaussian_blur` does."""
    radius_px = gaussian_radius_px(sigma_px, len(image))
    if radius_px == 0:
        return image
    kernel = gaussian(sigma_px, most_px=radius_px)
    blurred: np.ndarray = cv2.sepFilter2D(
        image, cv2.CV_8U, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    return blurred


@lru_cache(maxsize=8)
def _disc(view_px: int) -> np.ndarray:
    axis = (np.arange(view_px) + 0.5) / view_px - 0.5
    inside = axis[:, None] ** 2 + axis[None, :] ** 2 <= 0.25
    return np.repeat(inside[:, :, None] * np.uint8(255), 3, axis=2)
