"""Colours of skin and of surfaces as linear RGB.

Reference:
    Skin: K. Xiao et al., "Characterising the variations in ethnic skin colours", Skin Research and
    Technology 23(1), 2017; J. de Rigal et al., "The effect of age on skin color and color
    heterogeneity in four ethnic groups", Skin Research and Technology 16(2), 2010; E. Monk, the
    Monk skin tone scale, 2019.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import TABLE, Chance, draw

Floats = NDArray[np.float64]

# Mean a* and b* at a lightness L*: tone 8 of the Monk scale (30.6); forehead and cheek of African
# Americans (46); mean of forearm, forehead and cheek of four groups (59.3); forearm, light (70).
SKIN_LAB = np.array([(30.6, 11.6, 13.3), (46.0, 14.5, 19.5), (59.3, 9.8, 15.8), (70.0, 5.6, 14.0)])


def draw_skin(rng: np.random.Generator) -> Floats:
    """Draw a skin colour as CIE L*, a*, b* under D65, (3,)."""
    lightness = draw("skin_lightness", rng)
    chroma = [np.interp(lightness, SKIN_LAB[:, 0], SKIN_LAB[:, column]) for column in (1, 2)]
    return np.array([lightness, *(c + draw("skin_chroma_noise", rng) for c in chroma)])


def linear_rgb(lab: Floats) -> Floats:
    """Convert CIE L*a*b* (..., 3) under D65 to linear RGB in [0, 1].

    Example:
        >>> linear_rgb(np.array([100.0, 0.0, 0.0])).round(2)
        array([1., 1., 1.])
    """
    pixels = np.asarray(lab, dtype=np.float32).reshape(1, -1, 3)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_Lab2LRGB).reshape(np.shape(lab))
    return np.asarray(rgb.clip(0.0, 1.0), dtype=np.float64)


def draw_surfaces(rng: np.random.Generator, count: int) -> Floats:
    """Draw albedos of walls, cloths and objects, linear RGB, (N, 3); many are as warm as skin."""
    warm = rng.random(count) < _warm_share()
    hue = np.where(warm, rng.uniform(35.0, 80.0, count), rng.uniform(0.0, 360.0, count))
    cool = np.abs(rng.normal(0.0, 22.0, count))
    chroma = np.where(warm, rng.uniform(8.0, 35.0, count), cool)
    angle, lightness = np.deg2rad(hue), rng.uniform(8.0, 95.0, count)
    return linear_rgb(np.stack((lightness, chroma * np.cos(angle), chroma * np.sin(angle)), axis=1))


def _warm_share() -> float:
    warm = TABLE["warm"].distribution
    assert isinstance(warm, Chance)  # noqa: S101
    return warm.p


def blackbody(kelvin: float) -> Floats:
    """Return the linear RGB of light of a colour temperature, with green 1, (3,).

    Planck's law at 610, 550 and 465 nm relative to 6,500 K.
    """
    metres = np.array([610e-9, 550e-9, 465e-9])
    exponent = 0.014388 / metres
    spectrum = (np.exp(exponent / 6500.0) - 1.0) / (np.exp(exponent / kelvin) - 1.0)
    return np.asarray(spectrum / spectrum[1])
