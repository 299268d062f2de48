"""Ellipsoids, cylinders and boxes, cast exactly by rays through the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.scene.colours import draw_surfaces

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Shape = Literal["ellipsoid", "cylinder", "box"]

_NEAREST_M = 0.02


@dataclass(frozen=True, eq=False)
class Primitive:
    """A solid in the camera frame.

    Attributes:
        shape: `ellipsoid`; `cylinder` along its third axis; or `box`.
        centre: Centre, (3,), metres.
        axes: Its own axes as columns, (3, 3), a rotation.
        half: Half extents along its axes, (3,), metres.
        colours: Albedo of the ground and of its pattern, linear RGB, (2, 3).
        pattern: Waves of the pattern along the first and third axis, (2,); 0 for none.
        gloss: Strength of the highlight.
    """

    shape: Shape
    centre: Floats
    axes: Floats
    half: Floats
    colours: Floats
    pattern: Floats
    gloss: float


@dataclass(frozen=True, eq=False)
class Hits:
    """Pixels at which rays meet a primitive.

    Attributes:
        rows: Row of each pixel, (N,).
        columns: Column of each pixel, (N,).
        depth: Depth of the nearest point, (N,), metres.
        normals: Normals in the camera frame, (N, 3).
        local: Point in half extents along the primitive's axes, (N, 3).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    depth: Image
    normals: Image
    local: Image


def draw_material(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Draw two colours, the waves of a pattern and the gloss of an object."""
    colours = draw_surfaces(rng, 2)
    waves = rng.integers(0, 5, 2) * (rng.random(2) < 0.5)
    return colours, waves.astype(np.float64), float(rng.choice((0.0, 0.05, 0.3)))


def cast(primitive: Primitive, camera: Floats, side: int) -> Hits:
    """Cast rays through all pixels that a primitive may cover.

    Args:
        primitive: The solid; nothing of it is seen if it reaches behind the camera.
        camera: Pinhole matrix of the pixel grid, (3, 3).
        side: Side of the pixel grid.

    Returns:
        The pixels that see it, each with its nearest point.
    """
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T * primitive.half
    corners = corners @ primitive.axes.T + primitive.centre
    if corners[:, 2].min() < _NEAREST_M:
        return _meeting(primitive, camera, (0, 0), (0, 0))
    pixels = corners @ camera.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    low = np.clip(np.floor(pixels.min(0)), 0, side).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, side).astype(int)
    return _meeting(primitive, camera, (low[0], high[0]), (low[1], high[1]))


def _meeting(
    primitive: Primitive, camera: Floats, columns: tuple[int, int], rows: tuple[int, int]
) -> Hits:
    x = (np.arange(*columns) - camera[0, 2]) / camera[0, 0]
    y = (np.arange(*rows) - camera[1, 2]) / camera[1, 1]
    # Origin and direction of a ray in half extents; a ray's parameter is its depth.
    to_local = primitive.axes / primitive.half
    origin = (-primitive.centre @ to_local).astype(np.float32)
    rays = (x[None, :, None] * to_local[0] + y[:, None, None] * to_local[1] + to_local[2]).astype(
        np.float32
    )
    depth = _SOLVERS[primitive.shape](origin, rays)
    seen = np.isfinite(depth) & (depth > _NEAREST_M)
    row, column = np.nonzero(seen)
    near = depth[row, column]
    local = origin + near[:, None] * rays[row, column]
    normals = _gradient(primitive.shape, local) @ (primitive.axes / primitive.half).T
    return Hits(row + rows[0], column + columns[0], near, normals.astype(np.float32), local)


def _quadratic(origin: Image, rays: Image, axes: int) -> tuple[Image, Image]:
    """Return where rays enter and leave the unit ball of the first axes; NaN if they miss it."""
    a = np.einsum("ijk,ijk->ij", rays[..., :axes], rays[..., :axes]) + 1e-12
    b = rays[..., :axes] @ origin[:axes]
    c = origin[:axes] @ origin[:axes] - 1.0
    inside = b * b - a * c
    root = np.sqrt(np.where(inside > 0, inside, np.nan))
    return (-b - root) / a, (-b + root) / a


def _slabs(origin: Image, rays: Image, axes: slice) -> tuple[Image, Image]:
    """Return where rays enter and leave the unit cube along some axes."""
    safe = np.where(np.abs(rays[..., axes]) < 1e-9, 1e-9, rays[..., axes])
    one, two = (-1.0 - origin[axes]) / safe, (1.0 - origin[axes]) / safe
    return np.minimum(one, two).max(axis=-1), np.maximum(one, two).min(axis=-1)


def _ellipsoid(origin: Image, rays: Image) -> Image:
    return _quadratic(origin, rays, 3)[0]


def _box(origin: Image, rays: Image) -> Image:
    enter, leave = _slabs(origin, rays, slice(0, 3))
    return np.where(enter < leave, enter, np.nan)


def _cylinder(origin: Image, rays: Image) -> Image:
    wall_in, wall_out = _quadratic(origin, rays, 2)
    caps_in, caps_out = _slabs(origin, rays, slice(2, 3))
    enter, leave = np.maximum(wall_in, caps_in), np.minimum(wall_out, caps_out)
    return np.where(enter < leave, enter, np.nan)


_SOLVERS = {"ellipsoid": _ellipsoid, "box": _box, "cylinder": _cylinder}


def _gradient(shape: Shape, local: Image) -> Image:
    """Return the outward normal in half extents at points on the surface."""
    if shape == "ellipsoid":
        return local
    flat = np.zeros_like(local)
    if shape == "box":
        axis = np.abs(local).argmax(axis=1)[:, None]
        np.put_along_axis(flat, axis, np.take_along_axis(local, axis, 1), 1)
        return flat
    on_cap = np.abs(local[:, 2]) > 0.999
    flat[~on_cap, :2] = local[~on_cap, :2]
    flat[on_cap, 2] = np.sign(local[on_cap, 2])
    return flat


def surface_colour(primitive: Primitive, local: Image) -> Image:
    """Return the albedo at points of the surface: stripes, blocks, or one colour, (N, 3)."""
    ground, figure = primitive.colours.astype(np.float32)
    waves = primitive.pattern
    if not waves.any():
        return np.broadcast_to(ground, local.shape)
    along = np.ones(len(local), dtype=bool)
    for axis, count in zip((0, 2), waves, strict=True):
        if count:
            along &= (local[:, axis] * count) % 2.0 < 1.0
    return np.asarray(np.where(along[:, None], figure, ground))
