"""Draw a mesh on the CPU: an id buffer by the painter's rule, then shading of every pixel at once.

Triangles are painted from far to near into a buffer of ids at twice the resolution; position
inside the triangle gives normal and colour by barycentric interpolation. Twice the resolution
makes the silhouette smooth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.scenes import Light

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Image = NDArray[np.float32]

_OVERSAMPLING = 2
_SUBPIXEL_BITS = 4
_NEAREST_M = 0.02
_WARM_SHADOW = np.array([0.06, 0.0, -0.03])


def render(
    vertices: Floats, faces: Ints, albedo: Floats, camera: Floats, light: Light, *, image_px: int
) -> tuple[Image, Image]:
    """Render a closed mesh.

    Args:
        vertices: (V, 3), camera frame, metres.
        faces: (F, 3), counter-clockwise from outside.
        albedo: (V, 3), in [0, 1].
        camera: (3, 3).
        light: One light.
        image_px: Side of the image.

    Returns:
        Colour (P, P, 3), multiplied by coverage, and coverage (P, P, 1) in [0, 1], float32.
    """
    pixels = vertices @ camera.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    triangles = ((pixels + 0.5) * _OVERSAMPLING - 0.5)[faces]
    side = image_px * _OVERSAMPLING
    ids = _paint(triangles, vertices[faces][..., 2], side)
    rows, columns = np.nonzero(ids >= 0)
    face = ids[rows, columns]
    shares = _barycentric(triangles[face], np.stack((columns, rows), axis=1))
    corners = faces[face]
    attributes = np.concatenate((_normals(vertices, faces), albedo), axis=1).astype(np.float32)
    mixed = (attributes[corners] * shares[..., None]).sum(axis=1)
    layer = np.zeros((side, side, 4), dtype=np.float32)
    layer[rows, columns, :3] = _shade(mixed[:, :3], mixed[:, 3:], light)
    layer[rows, columns, 3] = 1.0
    small = cv2.resize(layer, (image_px, image_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., :3]), np.asarray(small[..., 3:])


def _paint(triangles: Floats, depths: Floats, side: int) -> NDArray[np.int32]:
    """Return the id of the triangle seen at every pixel, -1 where there is none."""
    front = (_twice_area(triangles) < 0) & (depths.min(axis=1) > _NEAREST_M)
    visible = np.flatnonzero(front)
    order = visible[np.argsort(-depths[visible].mean(axis=1), kind="stable")]
    corners = np.round(triangles[order] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    ids = np.full((side, side), -1, dtype=np.int32)
    for face, corner in zip(order.tolist(), corners, strict=True):
        cv2.fillConvexPoly(ids, corner, face, 8, _SUBPIXEL_BITS)
    return ids


def _twice_area(triangles: Floats) -> Floats:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _barycentric(triangles: Floats, points: Ints) -> Image:
    """Return the three shares of each point in its triangle; points just outside are brought in."""
    area = _twice_area(triangles)
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    p = points - triangles[:, 0]
    second = ((p[:, 0] * b[:, 1] - p[:, 1] * b[:, 0]) / area).clip(0.0, 1.0)
    third = ((a[:, 0] * p[:, 1] - a[:, 1] * p[:, 0]) / area).clip(0.0, 1.0)
    first = (1.0 - second - third).clip(0.0, 1.0)
    return np.stack((first, second, third), axis=1).astype(np.float32)


def _normals(vertices: Floats, faces: Ints) -> Floats:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, weights = faces.ravel(), np.repeat(across, 3, axis=0)
    summed = [np.bincount(flat, weights[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(summed, axis=1)
    return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))


def _shade(normals: Image, albedo: Image, light: Light) -> Image:
    """Wrapped Lambert, a small highlight, and shadows a little warmer than the light."""
    normals = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)
    diffuse = ((normals @ light.direction + 0.35) / 1.35).clip(0.0, 1.0)[:, None]
    half = light.direction + np.array([0.0, 0.0, -1.0])
    half /= np.linalg.norm(half) + 1e-9
    highlight = 0.12 * (normals @ half).clip(0.0, 1.0)[:, None] ** 18
    warm = _WARM_SHADOW * (1.0 - diffuse)
    reach = light.ambient + (1.1 - light.ambient) * diffuse
    return np.asarray(albedo * (reach + warm) * light.colour + highlight, dtype=np.float32)
