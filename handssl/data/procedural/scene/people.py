"""Skin in the background: faces and limbs, lit like the hand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import chosen
from handssl.data.procedural.scene.colours import draw_skin, draw_surfaces, linear_rgb
from handssl.data.procedural.scene.light import Light, shade

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


def add_people(rng: np.random.Generator, canvas: Image, light: Light, skin: Floats) -> None:
    """Draw a face, a limb, both or neither into a background, in place.

    Args:
        rng: Source of randomness.
        canvas: Linear RGB, float32 (P, P, 3).
        light: The light of the scene.
        skin: Skin of the hand, CIE L*, a*, b*, (3,).
    """
    side = len(canvas)
    colour = linear_rgb(skin if chosen("own_skin", rng) else draw_skin(rng)).astype(np.float32)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / np.float32(side)
    if chosen("face", rng):
        _face(rng, canvas, light, colour, rows, columns)
    if chosen("limb", rng):
        for _ in range(rng.integers(1, 3)):
            _limb(rng, canvas, light, colour, rows, columns)


def _face(
    rng: np.random.Generator,
    canvas: Image,
    light: Light,
    colour: Image,
    rows: Image,
    columns: Image,
) -> None:
    """Draw a head: an ellipsoid of skin with hair above, eyes, brows, nose and mouth."""
    x, y = rng.uniform(-0.05, 1.05, 2)
    size, turn = rng.uniform(0.12, 0.32), rng.normal(0.0, 0.35)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = ((columns - x) * cos + (rows - y) * sin) / np.float32(size * 0.75)
    v = (-(columns - x) * sin + (rows - y) * cos) / np.float32(size)
    r2 = u * u + v * v
    inside = r2 < 1.0
    hair = (r2 < 1.25) & (v < -0.45 + 0.2 * u * u)
    at = np.nonzero(inside | hair)
    u, v = u[at], v[at]
    normals = _bulge(u, v, (cos, sin))
    albedo = np.broadcast_to(colour, (len(u), 3)).copy()
    dark = (0.05 + 0.25 * rng.random() ** 2) * np.array([1.0, 0.75, 0.55], dtype=np.float32)
    for eye in (-0.36, 0.36):
        d = np.hypot((u - eye) / 0.2, (v + 0.08) / 0.09)
        albedo[d < 1.0] = 0.6
        albedo[np.hypot(u - eye, (v + 0.08)) < 0.085] = 0.03
        albedo[(np.abs(u - eye) < 0.22) & (np.abs(v + 0.3 - 0.2 * np.abs(u - eye)) < 0.05)] = dark
    albedo[(np.abs(u) < 0.32 - 0.4 * np.abs(v - 0.55)) & (np.abs(v - 0.55) < 0.09)] *= np.array(
        [0.85, 0.45, 0.45], dtype=np.float32
    )
    albedo[(np.abs(u - 0.09) < 0.05) & (v > -0.1) & (v < 0.25)] *= np.float32(0.8)
    albedo[hair[at]] = dark
    _put(canvas, at, normals, albedo, light)


def _limb(
    rng: np.random.Generator,
    canvas: Image,
    light: Light,
    colour: Image,
    rows: Image,
    columns: Image,
) -> None:
    """Draw a tapered cylinder of skin that enters from a border, partly clothed or not."""
    start = rng.uniform(0.0, 1.0, 2)
    start[rng.integers(2)] = rng.choice((-0.1, 1.1))
    end = rng.uniform(0.15, 0.85, 2)
    along = (end - start) / np.linalg.norm(end - start)
    length = float(np.linalg.norm(end - start))
    t = ((columns - start[0]) * along[0] + (rows - start[1]) * along[1]) / np.float32(length)
    off = (columns - start[0]) * -along[1] + (rows - start[1]) * along[0]
    wide, narrow = np.sort(rng.uniform(0.04, 0.14, 2))[::-1]
    radius = (wide + (narrow - wide) * t.clip(0.0, 1.0)).astype(np.float32)
    beyond = (t - 1.0).clip(0.0, None) * np.float32(length)
    at = np.nonzero(off * off + beyond * beyond < radius * radius)
    u, w = off[at] / radius[at], beyond[at] / radius[at]
    normals = _bulge(u, w, (np.float32(-along[1]), np.float32(along[0])))
    albedo = np.broadcast_to(colour, (len(u), 3)).copy()
    if rng.random() < 0.4:
        albedo[t[at] < rng.uniform(0.1, 0.9)] = draw_surfaces(rng, 1)[0]
    _put(canvas, at, normals, albedo, light)


def _bulge(u: Image, v: Image, turn: tuple[np.float32, np.float32]) -> Image:
    """Return camera-frame normals of a bulge over its own coordinates, (N, 3)."""
    cos, sin = turn
    toward = -np.sqrt((1.0 - u * u - v * v).clip(0.02, None))
    return np.stack((u * cos - v * sin, u * sin + v * cos, toward), axis=1)


def _put(
    canvas: Image,
    at: tuple[NDArray[np.signedinteger], ...],
    normals: Image,
    albedo: Image,
    light: Light,
) -> None:
    gloss = np.full(len(albedo), 0.03, dtype=np.float32)
    mask = np.zeros(canvas.shape[:2], dtype=np.float32)
    layer = canvas.copy()
    layer[at], mask[at] = shade(normals, albedo, gloss, light), 1.0
    soft = cv2.GaussianBlur(mask, (3, 3), 0)[..., None]
    canvas += soft * (layer - canvas)
