"""Make views of a batch: draw theta, warp, then change appearance in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from handssl.transforms import appearance, quirks
from handssl.transforms.config import AugmentConfig
from handssl.transforms.custom_loading import apply_custom
from handssl.transforms.device_constants import constant
from handssl.transforms.resampling import (
    Resampling,
    draw_prewarp,
    greatest_reduction,
    resampling,
)
from handssl.transforms.sampling import Draw, Theta, draw_theta, number_of
from handssl.transforms.warp import view_matrix

# Order of application after the geometric warp, independent of the order in a study.
APPEARANCE_ORDER = ("color_jitter", "color_drop", "blur", "sobel", "noise", "cutout")
_NO_QUIRKS = quirks.Quirks()
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class View:
    """One view of a batch.

    Attributes:
        images: float32 (B, 3, P, P), normalised by the usual ImageNet mean and standard deviation.
        theta: Drawn parameters from `draw_theta`.
        matrix: Map from view to stored crop in box sides, (B, 2, 3).
    """

    images: torch.Tensor
    theta: Theta
    matrix: torch.Tensor


@dataclass(frozen=True)
class ViewMaker:
    """View maker for the stored crops of one trial.

    Attributes:
        config: Ranges and probabilities.
        composition: The enabled transformations.
        seed: The trial's seed.
        view_px: Side of a view in pixels.
        context: Side of a stored crop in box sides.
    """

    config: AugmentConfig
    composition: tuple[str, ...]
    seed: int
    view_px: int
    context: float

    def __call__(self, crops: torch.Tensor, ids: torch.Tensor, *, epoch: int, view: Draw) -> View:
        """Make one view of a batch in an epoch.

        Args:
            crops: uint8 (B, 3, S, S).
            ids: int64 (B,), sample ids.
            epoch: Epoch, counted from 1.
            view: Draw number, or one for each transformation of the composition.
        """
        theta = draw_theta(
            self.config, self.composition, ids, seed=self.seed, epoch=epoch, view=view
        )
        if self.config.quirks.integer_degrees and "rotate" in theta:
            theta["rotate"] = quirks.whole_degrees(theta["rotate"])
        matrix = view_matrix(theta, crops.new_empty(len(crops), dtype=torch.float32))
        # Without noise the key is not used, and a mapping has no number for it.
        number = number_of(view, "noise") if "noise" in theta else 0
        key = appearance.noise_key(self.seed, epoch, number)
        double = self.config.resampling == "double"
        prewarp = draw_prewarp(ids, seed=self.seed, epoch=epoch, view=view) if double else None
        images = self.render(crops, theta, matrix, ids, key=key, prewarp=prewarp)
        return View(images, theta, matrix)

    def render(
        self,
        crops: torch.Tensor,
        theta: Theta,
        matrix: torch.Tensor,
        ids: torch.Tensor,
        *,
        key: int,
        prewarp: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Render the images of a view from drawn parameters; backends override this method.

        Args:
            crops: uint8 (B, 3, S, S).
            theta: From `draw_theta`.
            matrix: (B, 2, 3) from `view_matrix`.
            ids: int64 (B,), sample ids.
            key: Key of the noise field.
            prewarp: (B, 3) from `draw_prewarp` for two resamplings; None for one.

        Returns:
            float32 (B, 3, view_px, view_px), normalised.
        """
        images = self.resampling(matrix, prewarp, crops.shape[-1])(crops.to(torch.float32) / 255.0)
        images = change_appearance(images, theta, ids, key=key, switches=self.config.quirks)
        return normalise(apply_custom(images, theta, self.config.custom))

    def resampling(
        self, matrix: torch.Tensor, prewarp: torch.Tensor | None, crop_px: int
    ) -> Resampling:
        """Return the filters and warps between crops of a side in pixels and a view."""
        view_px, context = self.view_px, self.context
        reduction = greatest_reduction(
            self.config, self.composition, crop_px=crop_px, view_px=view_px, context=context
        )
        return resampling(
            self.config, matrix, prewarp, reduction=reduction, view_px=view_px, context=context
        )


def plain_view(crops: torch.Tensor, *, view_px: int, context: float) -> torch.Tensor:
    """Return the untransformed, normalised view of stored crops, used by probes."""
    maker = ViewMaker(AugmentConfig(), (), 0, view_px, context)
    matrix = view_matrix({}, crops.new_empty(len(crops), dtype=torch.float32))
    images = crops.to(torch.float32) / 255.0
    return normalise(maker.resampling(matrix, None, crops.shape[-1])(images))


def change_appearance(
    images: torch.Tensor,
    theta: Theta,
    ids: torch.Tensor,
    *,
    key: int,
    switches: quirks.Quirks = _NO_QUIRKS,
) -> torch.Tensor:
    """Apply the drawn appearance transformations in the fixed order.

    Args:
        images: float (B, 3, P, P) in [0, 1].
        theta: From `draw_theta`; a sample whose first column is 0 is not changed.
        ids: int64 (B,), sample ids.
        key: Key of the noise field.
        switches: Enabled deviations of the published code.
    """
    for name in quirks.PUBLISHED_ORDER if switches.published_order else APPEARANCE_ORDER:
        if name in theta:
            applied, parameters = theta[name][:, 0], theta[name][:, 1:]
            changed = _change(name, images, parameters, ids, key, switches)
            images = torch.where(applied[:, None, None, None] > 0, changed, images)
    return images


def _change(
    name: str,
    images: torch.Tensor,
    parameters: torch.Tensor,
    ids: torch.Tensor,
    key: int,
    switches: quirks.Quirks,
) -> torch.Tensor:
    if name == "noise":
        add = quirks.noise if switches.wrapping_noise else appearance.noise
        return add(images, parameters, ids, key=key)
    change = _CHANGES[name]
    if name == "sobel" and switches.wrapping_sobel:
        change = quirks.sobel
    elif name == "color_jitter" and switches.multiplied_hue:
        change = quirks.color_jitter
    if switches.swapped_channels and name in ("color_jitter", "color_drop", "sobel"):
        return change(images.flip(1), parameters).flip(1)
    return change(images, parameters)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Subtract the mean and divide by the standard deviation of each channel."""
    mean, std = (constant(values, images)[None, :, None, None] for values in (MEAN, STD))
    return (images - mean) / std


def denormalise(views: torch.Tensor) -> torch.Tensor:
    """Undo `normalise`: return images in [0, 1]."""
    mean, std = (constant(values, views)[None, :, None, None] for values in (MEAN, STD))
    return (views * std + mean).clamp(0.0, 1.0)


_CHANGES = {
    "color_jitter": appearance.color_jitter,
    "color_drop": appearance.color_drop,
    "blur": appearance.blur,
    "sobel": appearance.sobel,
    "cutout": appearance.cutout,
}
