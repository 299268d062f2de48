"""Resample views from stored crops: anti-alias filter, one or two warps, blur of the view.

Bilinear interpolation softens fine detail in fringes whose period and direction follow the map, so
a view shows a trace of |theta| that has nothing to do with its content. Two options remove it:

`resampling: double`: two warps that together are exactly the map of theta. The second turns by a
random phi and shifts by a random part of a pixel, the first does the rest: angle - phi, scale,
translation. The grid of pixels is the same after a quarter turn and after a shift by one pixel, so
with phi uniform over a quarter turn neither warp alone depends on the angle or the translation.
Scale remains in the first warp, which the second softens.

`view_blur_px`: a Gaussian blur of every view, which removes the frequencies of the fringes.

A crop with more pixels per box than the view is filtered before the first warp, for every theta by
the same amount, so that sharpness does not follow the drawn scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from handssl.randomness import uniforms
from handssl.transforms.appearance import gaussian_blur
from handssl.transforms.config import AugmentConfig, Border
from handssl.transforms.sampling import Draw, resampling_key
from handssl.transforms.warp import mask_disc, view_matrix, warp

# Beyond the circle around the view: half a pixel of shift along both axes, and one for the support
# of the interpolation, on either side.
_SPARE_PX = 4


@dataclass(frozen=True)
class Warp:
    """One resampling of a batch.

    Attributes:
        matrix: Map from output to input, (B, 2, 3), in sides of the output from both centres.
        side_px: Side of the output in pixels.
        context: Side of the input in sides of the output.
    """

    matrix: torch.Tensor
    side_px: int
    context: float


@dataclass(frozen=True)
class Resampling:
    """All filters and warps between stored crops and views.

    Attributes:
        warps: One or two, in order of application.
        border: Content outside the stored crop.
        antialias_px: Sigma of the Gaussian applied to stored crops, in their pixels; 0 for none.
        blur_px: Sigma of the Gaussian applied to views, in their pixels; 0 for none.
    """

    warps: tuple[Warp, ...]
    border: Border
    antialias_px: float = 0.0
    blur_px: float = 0.0

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the views, float (B, 3, P, P), of stored crops, float (B, 3, S, S)."""
        images = gaussian_blur(crops, self.antialias_px)
        for step in self.warps:
            images = warp(
                images,
                step.matrix,
                view_px=step.side_px,
                context=step.context,
                border=self.filled_by,
            )
        images = gaussian_blur(images, self.blur_px)
        return mask_disc(images) if self.border == "disc" else images

    @property
    def filled_by(self) -> Border:
        """Content outside the input of each warp; a disc is masked at the end."""
        return "reflect" if self.border == "disc" else self.border


def resampling(
    config: AugmentConfig,
    matrix: torch.Tensor,
    prewarp: torch.Tensor | None,
    *,
    reduction: float,
    view_px: int,
    context: float,
) -> Resampling:
    """Return the filters and warps of one view of a batch.

    Args:
        config: Border and blur.
        matrix: (B, 2, 3) from `view_matrix`, in box sides.
        prewarp: (B, 3) from `draw_prewarp` for two warps; None for one.
        reduction: From `greatest_reduction`.
        view_px: Side of the view in pixels.
        context: Side of the stored crop in box sides.
    """
    warps = (
        (Warp(matrix, view_px, context),)
        if prewarp is None
        else two_warps(matrix, prewarp, view_px=view_px, context=context)
    )
    return Resampling(warps, config.border, antialias_px(reduction), config.view_blur_px)


def draw_prewarp(ids: torch.Tensor, *, seed: int, epoch: int, view: Draw) -> torch.Tensor:
    """Draw the second of two warps for one view of a batch, from a stream of its own.

    Args:
        ids: int64 (B,), sample ids.
        seed: The trial's seed.
        epoch: Epoch, counted from 1.
        view: Draw of the view; views that differ in it have independent warps.

    Returns:
        float32 (B, 3): phi uniform over [-pi / 4, pi / 4), and a shift along x and y uniform over
        [-0.5, 0.5) pixels of the view.
    """
    centred = uniforms(ids, 3, resampling_key(seed, epoch, view)) - 0.5
    return torch.cat((centred[:, :1] * (math.pi / 2), centred[:, 1:]), dim=1)


def two_warps(
    matrix: torch.Tensor, prewarp: torch.Tensor, *, view_px: int, context: float
) -> tuple[Warp, Warp]:
    """Return two warps whose composition is `matrix`, by way of an image a little larger.

    The view's q shows r = R(-phi) q + e of the intermediate image, and r shows p = A R(phi)
    (r - e) + t of the stored crop: together p = A q + t.

    Args:
        matrix: (B, 2, 3), A and t.
        prewarp: (B, 3) from `draw_prewarp`.
        view_px: Side of the view in pixels.
        context: Side of the stored crop in box sides.
    """
    side_px = math.ceil(math.sqrt(2.0) * view_px) + _SPARE_PX
    side = side_px / view_px
    one = torch.ones_like(prewarp[:, :1])
    second = view_matrix(
        {
            "rotate": torch.cat((one, prewarp[:, :1]), dim=1),
            "translate": torch.cat((one, prewarp[:, 1:] / view_px), dim=1),
        },
        matrix,
    )
    turn = matrix[:, :, :2] @ second[:, :, :2].transpose(1, 2)
    centre = matrix[:, :, 2:] - turn @ second[:, :, 2:]
    # A warp counts in sides of its own output.
    first = torch.cat((turn, centre / side), dim=2)
    return Warp(first, side_px, context / side), Warp(second, view_px, side)


def greatest_reduction(
    config: AugmentConfig,
    composition: tuple[str, ...],
    *,
    crop_px: int,
    view_px: int,
    context: float,
) -> float:
    """Return the largest number of stored pixels along one pixel of a view, for any drawn scale.

    Example:
        >>> greatest_reduction(AugmentConfig(), (), crop_px=192, view_px=64, context=1.5)
        2.0
    """
    smallest = config.scale.log_factor.low if "scale" in composition else 0.0
    return crop_px / (context * view_px) * max(1.0, math.exp(-smallest))


def antialias_px(reduction: float) -> float:
    """Return the sigma of the filter before a reduction, in input pixels: (reduction - 1) / 2.

    Nothing is filtered up to a reduction of 1, and there is no jump there.

    Example:
        >>> antialias_px(0.8), antialias_px(2.0)
        (0.0, 0.5)

    Reference:
        `anti_aliasing_sigma` of scikit-image's `resize`.
    """
    return max(0.0, (reduction - 1.0) / 2.0)
