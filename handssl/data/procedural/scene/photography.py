"""From radiance to a photograph: lens, exposure, white balance, tone curve, noise and JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import draw
from handssl.data.procedural.scene.light import Light

Image = NDArray[np.float32]

METERED = 0.2  # mean luminance after automatic exposure
_STEPS = 4096


def develop(
    rng: np.random.Generator, image: Image, light: Light, metered: float = METERED
) -> NDArray[np.uint8]:
    """Take a photograph of a scene.

    Args:
        rng: Source of randomness.
        image: Linear radiance, float32 (H, W, 3).
        light: The light, whose colour the camera removes in part.
        metered: Mean luminance that the automatic exposure aims at.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = image.shape[:2]
    sharpness_px = draw("lens_blur", rng) / 100.0 * max(height, width)
    image = cv2.GaussianBlur(image, (0, 0), max(sharpness_px, 0.15))
    balance = light.colour ** -draw("white_balance", rng)
    exposure = metered * 2.0 ** draw("exposure", rng) / (float(image[..., 1].mean()) + 1e-3)
    image = image * (exposure * balance).astype(np.float32)
    toned = _tone(draw("gamma", rng))[(image * _STEPS).clip(0, _STEPS - 1).astype(np.int16)]
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    toned += np.float32(draw("grain", rng)) * noise
    eight_bits = cv2.convertScaleAbs(toned.clip(0.0, 1.0), alpha=255.0)
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(draw("jpeg_quality", rng))]
    _, encoded = cv2.imencode(".jpg", eight_bits[..., ::-1], quality)
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _tone(gamma: float) -> Image:
    """Return a table of a soft shoulder, the sRGB curve and a power, over [0, 1)."""
    linear = np.arange(_STEPS) / _STEPS
    soft = linear * (1.0 + linear / 1.6) / (1.0 + linear)  # 1 stays below the clip of highlights
    soft = soft / soft[-1]
    curve = np.where(soft < 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
    return np.asarray(curve**gamma, dtype=np.float32)
