"""Naive byte arithmetic of the quirks; plain Python, one image at a time."""

from __future__ import annotations

import colorsys

import numpy as np

from tests.reference.augment import _mirror


def sobel(image):
    """Sum of both Sobel derivatives of the grey levels, written into bytes; image in [0, 1]."""
    grey = np.rint(255.0 * (0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]))
    height, width = grey.shape
    kernel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    out = np.empty_like(grey)
    for y in range(height):
        for x in range(width):
            total = 0
            for i in range(3):
                for j in range(3):
                    level = int(grey[_mirror(y + i - 1, height), _mirror(x + j - 1, width)])
                    total += (kernel[i][j] + kernel[j][i]) * level
            out[y, x] = total % 256
    return np.stack([out] * 3) / 255.0


def color_jitter(image, factor, saturation, value, offset):
    """Hue, saturation and value multiplied, value offset, pixel by pixel; image in [0, 1]."""
    out = np.empty_like(image)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            h, s, v = colorsys.rgb_to_hsv(*image[:, y, x])
            s, v = min(1.0, s * saturation), min(1.0, max(0.0, v * value + offset))
            out[:, y, x] = colorsys.hsv_to_rgb(h * factor, s, v)
    return out


def noise(image, field, sigma):
    """Positive whole levels of noise added byte by byte; image in [0, 1]."""
    out = np.empty_like(image)
    for index, value in np.ndenumerate(image):
        added = max(0, round(255.0 * sigma * float(field[index])))
        out[index] = (round(255.0 * float(value)) + added) % 256 / 255.0
    return out
