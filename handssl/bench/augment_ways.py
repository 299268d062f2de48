"""Alternative implementations of views: albumentations, torchvision v2, bare OpenCV calls.

Each is the fastest formulation we know: one affine warp, one colour pass, no intermediate copies.
albumentations has no gradient image, so it uses the bare OpenCV calls; neither it nor torchvision
has draws that depend on the sample.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch

from handssl.transforms import AugmentConfig, View, opencv, opencv_appearance, opencv_warp

Way = Callable[[], int]
Images = Sequence[np.ndarray]
_SCALES = (0.8, 1.25)


def albumentations_way(images: Images, composition: Sequence[str], view_px: int) -> Way:
    """Return albumentations with one Affine, uint8 until normalisation.

    Args:
        images: uint8 (S, S, 3) each.
        composition: The enabled transformations.
        view_px: Side of a view in pixels.
    """
    # It checks a server for its newest version on import; benchmarks must not need a network.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A  # noqa: N812  the customary name
    from albumentations.pytorch import ToTensorV2

    config = AugmentConfig()
    moves, turn = config.translate.x_boxes, config.rotate.angle_rad
    share = moves.high * view_px / images[0].shape[0]
    affine = A.Affine(
        translate_percent=(-share, share) if "translate" in composition else (0.0, 0.0),
        rotate=(math.degrees(turn.low), math.degrees(turn.high)) if "rotate" in composition else 0,
        scale=_SCALES if "scale" in composition else 1.0,
        border_mode=cv2.BORDER_REFLECT,
        p=1.0,
    )
    made = {
        "color_jitter": A.HueSaturationValue(18, 60, 40, p=1.0),
        "blur": A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5),
        "sobel": A.Lambda(image=_gradient, p=0.5),
        "noise": A.GaussNoise(std_range=(0.02, 25 / 255), p=0.5),
        "cutout": A.CoarseDropout(
            num_holes_range=(1, 1), hole_height_range=(0.1, 0.4), hole_width_range=(0.1, 0.4), p=0.5
        ),
        "color_drop": A.ToGray(p=0.5),
    }
    changes = [made[name] for name in made if name in composition]
    make = A.Compose(
        [affine, A.CenterCrop(view_px, view_px), *changes, A.Normalize(), ToTensorV2()]
    )

    def run() -> int:
        return len(torch.stack([make(image=image)["image"] for image in images]))

    return run


def torchvision_way(images: Images, composition: Sequence[str], view_px: int) -> Way:
    """Return torchvision's transforms v2 with one RandomAffine, uint8 until the noise.

    Args:
        images: uint8 (S, S, 3) each.
        composition: The enabled transformations.
        view_px: Side of a view in pixels.
    """
    from torchvision.transforms import v2

    share = 0.15 * view_px / images[0].shape[0] if "translate" in composition else 0.0
    affine = v2.RandomAffine(
        degrees=45.0 if "rotate" in composition else 0.0,
        translate=(share, share),
        scale=_SCALES if "scale" in composition else None,
        interpolation=v2.InterpolationMode.BILINEAR,
    )
    bytes_in = {
        "color_jitter": v2.ColorJitter(brightness=0.4, saturation=0.7, hue=0.1),
        "blur": v2.RandomApply([v2.GaussianBlur(13, (0.1, 2.0))], p=0.5),
        "sobel": v2.RandomApply([v2.Lambda(_gradient_planes)], p=0.5),
        "color_drop": v2.RandomGrayscale(0.5),
    }
    floats_in = {
        "noise": v2.RandomApply([v2.GaussianNoise(sigma=0.06)], p=0.5),
        "cutout": v2.RandomErasing(0.5, scale=(0.01, 0.16), ratio=(1.0, 1.0)),
    }
    make = v2.Compose(
        [
            affine,
            v2.CenterCrop(view_px),
            *(bytes_in[name] for name in bytes_in if name in composition),
            v2.ToDtype(torch.float32, scale=True),
            *(floats_in[name] for name in floats_in if name in composition),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    planes = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]

    def run() -> int:
        return len(torch.stack([make(image) for image in planes]))

    return run


def floor_way(images: Images, view: View, *, view_px: int, context: float) -> Way:
    """Return the bare OpenCV calls for the same drawn changes, without overhead.

    Noise comes from OpenCV's generator; clipping of colours and all bookkeeping are omitted.

    Args:
        images: uint8 (S, S, 3) each.
        view: View with the matrices and changes.
        view_px: Side of a view in pixels.
        context: Side of the stored crop in box sides.
    """
    matrices = opencv_warp.pixel_matrices(
        view.matrix, view_px=view_px, crop_px=images[0].shape[0], context=context
    )
    drawn = opencv.drawn_changes(view.theta, len(images))
    calls = [[_bare(name, values, view_px) for name, values in changes] for changes in drawn]
    out = np.empty((len(images), 3, view_px, view_px), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    words = [cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) for image in images]

    def run() -> int:
        for image, matrix, changes, target in zip(words, matrices, calls, out, strict=True):
            made = cv2.warpAffine(
                image, matrix, (view_px, view_px), flags=flags, borderMode=cv2.BORDER_REFLECT
            )
            made = cv2.cvtColor(made, cv2.COLOR_RGBA2RGB)
            for change in changes:
                made = change(made)
            opencv_appearance.normalise(made, target)
        return len(images)

    return run


def _bare(name: str, values: Sequence[float], view_px: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the bare calls of one change, with as much as possible prepared in advance."""
    if name == "color_jitter":
        return _bare_color(values)
    if name == "blur":
        kernel = opencv_appearance.gaussian(values[0] * view_px, most_px=6)
        return lambda image: cv2.sepFilter2D(image, cv2.CV_8U, kernel, kernel)
    if name == "noise":
        field = np.empty((view_px, view_px, 3), np.float32)
        sigma = 255.0 * values[0]
        return lambda image: cv2.addWeighted(
            image, 1.0, cv2.randn(field, 0.0, 1.0), sigma, 0.0, dtype=cv2.CV_8U
        )
    return lambda image: opencv_appearance.CHANGES[name](image, values)


def _bare_color(values: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    shift, log_saturation, log_value, offset = values
    change = np.diag((1.0, math.exp(log_saturation), math.exp(log_value), 0.0))[:3]
    change[:, 3] = (shift % 1.0 * 360.0, 0.0, offset * 255.0)

    def run(image: np.ndarray) -> np.ndarray:
        hsv = cv2.transform(cv2.cvtColor(np.float32(image), cv2.COLOR_RGB2HSV), change)
        changed: np.ndarray = cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
        return changed

    return run


def _gradient(image: np.ndarray, **_: object) -> np.ndarray:
    return opencv_appearance.sobel(image, ())


def _gradient_planes(image: torch.Tensor) -> torch.Tensor:
    changed = opencv_appearance.sobel(image.permute(1, 2, 0).numpy(), ())
    return torch.from_numpy(changed.transpose(2, 0, 1))
