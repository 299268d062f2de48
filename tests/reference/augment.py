"""Naive pixel loops for the transformations; plain Python, one image at a time."""

from __future__ import annotations

import colorsys
import math

import numpy as np


def color_jitter(image, theta):
    """HSV change of an image (3, P, P) in [0, 1], pixel by pixel with the standard library."""
    hue_turns, log_saturation, log_value, offset = theta
    out = np.empty_like(image)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            h, s, v = colorsys.rgb_to_hsv(*image[:, y, x])
            s = min(1.0, max(0.0, s * math.exp(log_saturation)))
            v = min(1.0, max(0.0, v * math.exp(log_value) + offset))
            out[:, y, x] = colorsys.hsv_to_rgb((h + hue_turns) % 1.0, s, v)
    return out


def _mirror(index, size):
    """Mirror at the border without repeating the border pixel."""
    while index < 0 or index >= size:
        index = -index if index < 0 else 2 * (size - 1) - index
    return index


def blur(image, sigma_px, radius_px):
    """Gaussian convolution as a double sum over a square neighbourhood."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    span = range(-radius_px, radius_px + 1)
    weight = {
        (dy, dx): math.exp(-0.5 * (dx * dx + dy * dy) / sigma_px**2) for dy in span for dx in span
    }
    norm = sum(weight.values())
    for y in range(height):
        for x in range(width):
            for (dy, dx), w in weight.items():
                out[:, y, x] += w / norm * image[:, _mirror(y + dy, height), _mirror(x + dx, width)]
    return out


def sobel(image):
    """Magnitude of Sobel gradients (an eighth of the usual integers' sum) of the luma."""
    grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    height, width = grey.shape
    out = np.empty_like(grey)
    kernel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    for y in range(height):
        for x in range(width):
            across = down = 0.0
            for i in range(3):
                for j in range(3):
                    value = grey[_mirror(y + i - 1, height), _mirror(x + j - 1, width)]
                    across += kernel[i][j] * value / 4
                    down += kernel[j][i] * value / 4
            out[y, x] = min(1.0, math.hypot(across, down))
    return np.stack([out] * 3)


def cutout(image, theta):
    """Cover the pixels whose centres lie in the square."""
    side, centre_x, centre_y, grey = theta
    out = image.copy()
    size = image.shape[1]
    for y in range(size):
        for x in range(size):
            px, py = (x + 0.5) / size, (y + 0.5) / size
            if abs(px - centre_x) <= side / 2 and abs(py - centre_y) <= side / 2:
                out[:, y, x] = grey
    return out


def warp(crop, view_px, context, offset, angle_rad):
    """Bilinear resampling of a crop (3, S, S): the view's q shows p = offset + R(-angle) q."""
    size = crop.shape[1]
    out = np.zeros((3, view_px, view_px))
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    for j in range(view_px):
        for i in range(view_px):
            qx, qy = (i + 0.5) / view_px - 0.5, (j + 0.5) / view_px - 0.5
            px = offset[0] + cos * qx + sin * qy
            py = offset[1] - sin * qx + cos * qy
            u, v = (px / context + 0.5) * size - 0.5, (py / context + 0.5) * size - 0.5
            out[:, j, i] = _bilinear(crop, u, v)
    return out


def _bilinear(crop, u, v):
    x, y = math.floor(u), math.floor(v)
    fx, fy = u - x, v - y
    total = np.zeros(3)
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            if 0 <= y + dy < crop.shape[1] and 0 <= x + dx < crop.shape[2]:
                total += wy * wx * crop[:, y + dy, x + dx]
    return total


def moved_point(point, offset, angle_rad):
    """Where a point of the crop (box sides) appears in the view."""
    dx, dy = point[0] - offset[0], point[1] - offset[1]
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return cos * dx - sin * dy, sin * dx + cos * dy


def color_drop(image):
    """Grey level on three channels, pixel by pixel."""
    out = np.empty_like(image)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            red, green, blue = image[:, y, x]
            out[:, y, x] = 0.299 * red + 0.587 * green + 0.114 * blue
    return out
