"""Render a mesh on the CPU: id buffer by the painter's algorithm, then vectorised shading.

Triangles are painted from far to near into a buffer of ids at twice the resolution, which smooths
the silhouette; normal and colour are interpolated with barycentric coordinates.
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
_WARM_SHADOW = np.array([0.06, 0.0, -0.03], dtype=np.float32)


def render(
    vertices: Floats, faces: Ints, albedo: Floats, camera: Floats, light: Light, *, image_px: int
) -> tuple[Image, Image]:
    """Render a closed mesh.

    Args:
        vertices: Vertices in the camera frame, (V, 3), metres.
        faces: Triangles, (F, 3), counter-clockwise from outside.
        albedo: Vertex colours, (V, 3), in [0, 1].
        camera: Pinhole matrix, (3, 3), pixels.
        light: The light.
        image_px: Side of the image in pixels.

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
    shares = _barycentric(triangles, face, columns, rows)
    attributes = np.concatenate((_normals(vertices, faces), albedo), axis=1).astype(np.float32)
    corners = faces[face].T
    mixed = sum(
        share[:, None] * attributes[corner] for share, corner in zip(shares, corners, strict=True)
    )
    layer = np.zeros((side, side, 4), dtype=np.float32)
    layer[rows, columns, :3] = _shade(mixed[:, :3], mixed[:, 3:], light)
    layer[rows, columns, 3] = 1.0
    small = cv2.resize(layer, (image_px, image_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., :3]), np.asarray(small[..., 3:])


def _paint(triangles: Floats, depths: Floats, side: int) -> NDArray[np.int32]:
    """Return the id of the visible triangle at every pixel, -1 where there is none."""
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


def _barycentric(
    triangles: Floats, face: NDArray[np.int32], columns: Ints, rows: Ints
) -> tuple[Image, Image, Image]:
    """Return the three barycentric coordinates of each pixel, clipped to the triangle.

    A coordinate is linear in the pixel: its three coefficients are computed once per triangle.
    """
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = _twice_area(triangles)
    area = np.where(np.abs(area) > 1e-9, area, 1.0)
    slopes = np.stack((b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]), axis=1) / area[:, None]
    x, y = triangles[:, 0].T
    at_origin = -(slopes[:, ::2] * x[:, None] + slopes[:, 1::2] * y[:, None])
    linear = np.concatenate((slopes, at_origin), axis=1).astype(np.float32)[face].T
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    second = (linear[0] * x + linear[1] * y + linear[4]).clip(0.0, 1.0)
    third = (linear[2] * x + linear[3] * y + linear[5]).clip(0.0, 1.0)
    return (1.0 - second - third).clip(0.0, 1.0), second, third


def _normals(vertices: Floats, faces: Ints) -> Floats:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, weights = faces.ravel(), np.repeat(across, 3, axis=0)
    summed = [np.bincount(flat, weights[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(summed, axis=1)
    return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))


def _shade(normals: Image, albedo: Image, light: Light) -> Image:
    """Shade with wrapped Lambert, a small highlight, and shadows slightly warmer than the light."""
    direction, half = light.direction.astype(np.float32), light.direction - (0.0, 0.0, 1.0)
    half = (half / (np.linalg.norm(half) + 1e-9)).astype(np.float32)
    inverse_length = 1.0 / np.sqrt(np.einsum("nk,nk->n", normals, normals) + 1e-12)
    diffuse = ((normals @ direction * inverse_length + 0.35) / 1.35).clip(0.0, 1.0)
    # The 18th power by squaring: a general power of a large array takes ten times as long.
    second = (normals @ half * inverse_length).clip(0.0, 1.0) ** 2
    highlight = 0.12 * ((second * second) ** 2) ** 2 * second
    reach = light.ambient + (1.1 - light.ambient) * diffuse
    tint = reach[:, None] + _WARM_SHADOW * (1.0 - diffuse)[:, None]
    colour = albedo * tint * light.colour.astype(np.float32) + highlight[:, None]
    return np.asarray(colour, dtype=np.float32)
