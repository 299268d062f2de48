"""Light of a scene and the shading of surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import draw
from handssl.data.procedural.scene.colours import blackbody

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_WRAP = 0.2  # light that scatters below the skin reaches a little beyond the terminator
_GROUND = np.array([0.75, 0.68, 0.6], dtype=np.float32)  # what comes from below is warmer


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
    """Draw a light, more often from the camera's side and from above than from behind the hand."""
    direction = rng.normal(size=3) * (1.0, 1.0, 0.6) + (0.0, -0.5, -0.9)
    return Light(
        direction=direction / np.linalg.norm(direction),
        colour=blackbody(draw("colour_temperature", rng)),
        ambient=float(rng.uniform(0.25, 0.65)),
    )


def shade(normals: Image, albedo: Image, gloss: Image, light: Light) -> Image:
    """Shade points: wrapped Lambert, light from above and below, and a highlight.

    Args:
        normals: Normals in the camera frame, (N, 3), of any length.
        albedo: Linear RGB, (N, 3).
        gloss: Strength of the highlight, (N,).
        light: The light.

    Returns:
        Linear RGB, float32 (N, 3).
    """
    unit = normals / np.sqrt(np.einsum("nk,nk->n", normals, normals) + 1e-12)[:, None]
    half = light.direction - (0.0, 0.0, 1.0)
    half = (half / (np.linalg.norm(half) + 1e-9)).astype(np.float32)
    key = ((unit @ light.direction.astype(np.float32) + _WRAP) / (1.0 + _WRAP)).clip(0.0, 1.0)
    down = (0.5 + 0.5 * unit[:, 1])[:, None]
    around = np.float32(light.ambient) * (1.0 + (_GROUND - 1.0) * down)
    # The 18th power by squaring: a general power of a large array takes ten times as long.
    second = (unit @ half).clip(0.0, 1.0) ** 2
    highlight = gloss * ((second * second) ** 2) ** 2 * second
    reach = around + np.float32(1.1 - light.ambient) * key[:, None]
    colour = (albedo * reach + highlight[:, None]) * light.colour.astype(np.float32)
    return np.asarray(colour, dtype=np.float32)
