"""The transformations of `appearance` for one image on the host, implemented with OpenCV.

Each takes an image uint8 (P, P, 3), RGB, and its parameters of theta, and returns an image of the
same shape; it may modify its input. Definitions: `handssl.transforms.appearance`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from itertools import accumulate, dropwhile, pairwise

import cv2
import numpy as np

from handssl.randomness import normal_field
from handssl.transforms.views import MEAN, STD

Image = np.ndarray
Change = Callable[[Image, Sequence[float]], Image]
_FULL_TURN = 360.0  # OpenCV represents the hue of float images in degrees
_UNBOUNDED = 1e9


def color_jitter(image: Image, parameters: Sequence[float]) -> Image:
    """Shift hue, scale saturation and value, offset value.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Hue in turns, log saturation factor, log value factor, value offset.
    """
    shift, log_saturation, log_value, offset = parameters
    saturation, value = math.exp(log_saturation), math.exp(log_value)
    # Float, not OpenCV's 8-bit HSV: as fast, and hue has no steps. Value keeps the range [0, 255].
    hsv = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV)
    # OpenCV's vectorised code is wrong for negative hues, but not for hues beyond a turn.
    turn = shift % 1.0 * _FULL_TURN
    change = np.array(
        ((1.0, 0.0, 0.0, turn), (0.0, saturation, 0.0, 0.0), (0.0, 0.0, value, offset * 255.0))
    )
    hsv = cv2.transform(hsv, change)
    if saturation > 1.0 or value + offset > 1.0:
        hsv = cv2.min(hsv, (_UNBOUNDED, 1.0, 255.0, 0.0))
    if offset < 0.0:
        hsv = cv2.max(hsv, (-_UNBOUNDED, 0.0, 0.0, 0.0))
    changed: Image = cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    return changed


def color_drop(image: Image, parameters: Sequence[float]) -> Image:
    """Return the grey image on three equal channels.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Empty sequence.
    """
    changed: Image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return changed


def blur(image: Image, parameters: Sequence[float]) -> Image:
    """Convolve with a Gaussian of sigma parameters[0] view sides, mirrored at the border.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Sigma in view sides.
    """
    side_px = image.shape[0]
    sigma_px = parameters[0] * side_px
    kernel = gaussian(sigma_px, most_px=max(1, math.ceil(3.0 * 2.0 / 128 * side_px)))
    if len(kernel) == 1:
        return image
    # The same mirroring at the border as in `appearance.blur`.
    changed: Image = cv2.sepFilter2D(
        image, cv2.CV_8U, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    return changed


def gaussian(sigma_px: float, *, most_px: int) -> np.ndarray:
    """Return a Gaussian kernel in multiples of 1/256 that sums to one, without zero ends.

    OpenCV filters 8-bit images with 8-bit weights: rounded individually, they would not sum to
    one, and the image would change its brightness.
    """
    radius_px = min(most_px, math.ceil(3.0 * sigma_px))
    side = [math.exp(-0.5 * (step / sigma_px) ** 2) for step in range(radius_px, 0, -1)]
    share = 256.0 / (1.0 + 2.0 * sum(side))
    # The running sum is rounded, so the next weight compensates the error of the last.
    sums = [0, *(round(total * share) for total in accumulate(side))]
    whole = list(dropwhile(operator.not_, (after - before for before, after in pairwise(sums))))
    return np.array([*whole, 256 - 2 * sums[-1], *reversed(whole)]) / 256.0


def sobel(image: Image, parameters: Sequence[float]) -> Image:
    """Return the gradient magnitude of the grey image on three equal channels, clipped.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Empty sequence.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)
    # Not cv2.magnitude: its last bit depends on the memory alignment of the image.
    magnitude = np.sqrt(across * across + down * down)
    changed: Image = cv2.cvtColor(cv2.convertScaleAbs(magnitude), cv2.COLOR_GRAY2RGB)
    return changed


def noise(image: Image, parameters: Sequence[float], sample_id: int, *, key: int) -> Image:
    """Add independent Gaussian noise of sigma parameters[0] to every channel of every pixel.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Sigma, for an image in [0, 1].
        sample_id: Sample id; with `key` it determines the noise.
        key: Key from `appearance.noise_key`.
    """
    field = normal_field(sample_id, image.size, key).reshape(image.shape)
    changed: Image = cv2.addWeighted(image, 1.0, field, 255.0 * parameters[0], 0.0, dtype=cv2.CV_8U)
    return changed


def cutout(image: Image, parameters: Sequence[float]) -> Image:
    """Cover a square of side parameters[0] view sides with one grey level.

    Args:
        image: RGB image, uint8 (P, P, 3).
        parameters: Side in view sides, centre x, centre y, grey.
    """
    side, x, y, grey = parameters
    rows, columns = (_covered(centre, side, image.shape[0]) for centre in (y, x))
    image[rows, columns] = round(grey * 255.0)
    return image


def _covered(centre: float, side: float, side_px: int) -> slice:
    """Return the pixels whose centres lie within half a side of the centre."""
    first = math.ceil((centre - side / 2) * side_px - 0.5)
    last = math.floor((centre + side / 2) * side_px - 0.5)
    return slice(max(first, 0), max(last + 1, 0))


def normalise(image: np.ndarray, out: np.ndarray) -> None:
    """Write an image uint8 (P, P, 3) to float32 (3, P, P), normalised as by `views.normalise`."""
    for plane, target, (scale, offset) in zip(cv2.split(image), out, _SCALES, strict=True):
        cv2.addWeighted(plane, scale, plane, 0.0, offset, dst=target, dtype=cv2.CV_32F)


def scale(image: np.ndarray, out: np.ndarray) -> None:
    """Write an image uint8 (P, P, 3) to float32 (3, P, P) in [0, 1]."""
    np.divide(image.transpose(2, 0, 1), np.float32(255.0), out=out)


_SCALES = tuple((1.0 / (255.0 * std), -mean / std) for mean, std in zip(MEAN, STD, strict=True))


CHANGES: dict[str, Change] = {
    "blur": blur,
    "color_drop": color_drop,
    "color_jitter": color_jitter,
    "cutout": cutout,
    "sobel": sobel,
}
