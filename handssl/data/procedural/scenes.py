"""Draw lights and backgrounds, and develop rendered images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Light:
    """One distant light and an ambient share.

    Attributes:
        direction: Unit vector from the hand to the light in the camera frame, (3,).
        colour: Factor on each channel, (3,).
        ambient: Share of the light that reaches every point, 0 to 1.
    """

    direction: Floats
    colour: Floats
    ambient: float


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a light, more often from the camera's side than from behind the hand."""
    direction = rng.normal(size=3) * (1.0, 1.0, 0.6) + (0.0, -0.4, -0.9)
    return Light(
        direction=direction / np.linalg.norm(direction),
        colour=1.0 + rng.normal(0.0, 0.08, 3),
        ambient=float(rng.uniform(0.25, 0.6)),
    )


def draw_background(rng: np.random.Generator, image_px: int) -> Image:
    """Draw a background with a dead-leaves model: gradient, leaves, noise and blur.

    Discs and boxes of power-law sizes are drawn over a gradient, then low-frequency shading and
    grain are added, and the image is blurred to a random degree.

    Args:
        rng: Source of randomness.
        image_px: Side of the image in pixels.

    Returns:
        float32 (image_px, image_px, 3), RGB in [0, 1].
    """
    side = image_px // 2  # a blurred image needs no full resolution
    saturation = rng.uniform(0.1, 0.6)
    canvas = _gradient(rng, side, saturation)
    for _ in range(rng.integers(10, 40)):
        _drop_leaf(rng, canvas, saturation)
    shading = cv2.resize(
        rng.normal(0.0, 0.12, (5, 5)).astype(np.float32),
        (side, side),
        interpolation=cv2.INTER_CUBIC,
    )
    canvas *= 1.0 + shading[..., None]
    canvas += np.float32(0.03) * rng.standard_normal((side, side, 1), dtype=np.float32)
    blurred = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 2.2) * side / 56)
    full = cv2.resize(blurred, (image_px, image_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full.clip(0.0, 1.0), dtype=np.float32)


def _colour(rng: np.random.Generator, saturation: float) -> Floats:
    colour = rng.uniform(0.05, 0.95, 3)
    return np.asarray(colour.mean() + saturation * (colour - colour.mean()))


def _gradient(rng: np.random.Generator, side: int, saturation: float) -> Image:
    angle, steps = rng.uniform(0.0, 2.0 * np.pi), np.linspace(0.0, 1.0, side)
    ramp = np.cos(angle) * steps[None, :] + np.sin(angle) * steps[:, None]
    ramp = (ramp - ramp.min()) / (np.ptp(ramp) + 1e-9)
    start, end = _colour(rng, saturation), _colour(rng, saturation)
    return np.asarray(start + (end - start) * ramp[..., None], dtype=np.float32)


def _drop_leaf(rng: np.random.Generator, canvas: Image, saturation: float) -> None:
    side = len(canvas)
    colour = _colour(rng, saturation).tolist()
    radius = min(0.5, 0.04 / rng.random() ** 0.7) * side
    x, y = rng.uniform(0.0, side, 2)
    if rng.random() < 0.5:
        cv2.circle(canvas, (int(x), int(y)), int(radius) + 1, colour, -1, cv2.LINE_AA)
    else:
        size = (2.0 * radius * rng.uniform(0.3, 1.0), 2.0 * radius)
        box = cv2.boxPoints(((x, y), size, rng.uniform(0.0, 180.0)))
        cv2.fillConvexPoly(canvas, box.astype(np.int32), colour, cv2.LINE_AA)


def develop(rng: np.random.Generator, image: Image) -> NDArray[np.uint8]:
    """Convert radiance to a photograph: slight blur, exposure, sensor noise, eight bits."""
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 0.7))
    level = rng.uniform(0.005, 0.025)
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    soft *= np.float32(rng.uniform(0.75, 1.15))
    soft += np.float32(level) * grain
    return np.asarray(cv2.convertScaleAbs(soft.clip(0.0, 1.0), alpha=255.0), dtype=np.uint8)
