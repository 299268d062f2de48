"""Render hands and objects on the CPU: a depth buffer in numpy, then shading.

Triangles are rasterised at twice the resolution, which smooths the silhouette; everything else is
interpolated with barycentric coordinates. Objects are cast by rays, and at every pixel the nearer
of hand and object is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.mesh import load_mesh, vertex_normals
from handssl.data.procedural.scene.light import Light, shade
from handssl.data.procedural.scene.primitives import Primitive, cast, surface_colour
from handssl.data.procedural.scene.skin import skin
from handssl.data.procedural.subjects import Subject

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Image = NDArray[np.float32]

_OVERSAMPLING = 2
_NEAREST_M = 0.02
_CAVITY_SHARE, _CAVITY_M, _DARKEST = 0.02, 0.05, 0.45  # blur in sides; depth that darkens fully


@dataclass(frozen=True, eq=False)
class Figure:
    """One hand to render.

    Attributes:
        vertices: Vertices of the posed mesh in the camera frame, (V, 3), metres.
        subject: The person.
        mirrored: Whether it is a left hand, i.e. the mesh is mirrored.
    """

    vertices: Floats
    subject: Subject
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """A rendered layer.

    Attributes:
        colour: Linear RGB times coverage, float32 (P, P, 3).
        coverage: Share of each pixel that is covered, float32 (P, P, 1).
        hand: Share of each pixel that shows a hand or its arm, float32 (P, P, 1).
    """

    colour: Image
    coverage: Image
    hand: Image


def render(
    figures: Sequence[Figure],
    props: Sequence[Primitive],
    camera: Floats,
    light: Light,
    *,
    image_px: int,
) -> Layer:
    """Render hands and objects.

    Args:
        figures: The hands.
        props: Objects in the camera frame.
        camera: Pinhole matrix, (3, 3), pixels.
        light: The light.
        image_px: Side of the image in pixels.
    """
    side = image_px * _OVERSAMPLING
    fine = np.diag([_OVERSAMPLING, _OVERSAMPLING, 1.0]) @ camera
    fine[:2, 2] += (_OVERSAMPLING - 1) / 2
    # Channels: red, green, blue, coverage, hand.
    layer = np.zeros((side, side, 5), dtype=np.float32)
    depth = np.full((side, side), np.inf, dtype=np.float32)
    _draw_hands(layer, depth, figures, fine, light)
    for prop in props:
        _draw_prop(layer, depth, prop, fine, light)
    layer[..., :3] *= _cavities(depth)[..., None]
    small = cv2.resize(layer, (image_px, image_px), interpolation=cv2.INTER_AREA)
    return Layer(small[..., :3], small[..., 3:4], small[..., 4:])


def _draw_hands(
    layer: Image, depth: Image, figures: Sequence[Figure], camera: Floats, light: Light
) -> None:
    mesh, count = load_mesh(), len(load_mesh().faces)
    vertices = np.concatenate([figure.vertices for figure in figures])
    # A mirrored mesh is inside out: reverse the order of its triangles' vertices.
    faces = np.concatenate(
        [
            mesh.faces[:, :: -1 if figure.mirrored else 1] + number * len(mesh.vertices)
            for number, figure in enumerate(figures)
        ]
    )
    pixels = vertices @ camera.T
    triangles = (pixels[:, :2] / pixels[:, 2:])[faces]
    seen = rasterise(triangles, vertices[faces][..., 2], len(layer))
    fixed = np.concatenate((mesh.vertices, mesh.volar[:, None]), axis=1)
    attributes = np.concatenate(
        (vertex_normals(vertices, faces), np.tile(fixed, (len(figures), 1))), axis=1
    ).astype(np.float32)
    corners = faces[seen.face]
    mixed = np.einsum("cn,ncx->nx", seen.shares, attributes[corners])
    rows, columns, face = seen.rows, seen.columns, seen.face
    depth[rows, columns] = seen.depth
    for number, figure in enumerate(figures):
        own = slice(None) if len(figures) == 1 else np.flatnonzero(face // count == number)
        point, at = mixed[own], (rows[own], columns[own])
        albedo, gloss = skin(figure.subject, face[own] % count, point[:, 3:6], point[:, 6])
        layer[(*at, slice(0, 3))] = shade(point[:, :3], albedo, gloss, light)
        layer[(*at, slice(3, 5))] = 1.0


def _draw_prop(layer: Image, depth: Image, prop: Primitive, camera: Floats, light: Light) -> None:
    hits = cast(prop, camera, len(layer))
    nearer = hits.depth < depth[hits.rows, hits.columns]
    at = (hits.rows[nearer], hits.columns[nearer])
    albedo = surface_colour(prop, hits.local[nearer])
    gloss = np.full(len(albedo), prop.gloss, dtype=np.float32)
    layer[(*at, slice(0, 3))] = shade(hits.normals[nearer], albedo, gloss, light)
    layer[(*at, 3)], layer[(*at, 4)] = 1.0, 0.0
    depth[at] = hits.depth[nearer]


def _cavities(depth: Image) -> Image:
    """Return a factor below 1 where a point lies deeper than its surroundings.

    Reference:
        T. Luft, C. Colditz, O. Deussen, "Image enhancement by unsharp masking the depth buffer",
        SIGGRAPH 2006.
    """
    seen = np.isfinite(depth).astype(np.float32)
    known = np.where(seen > 0, depth, np.float32(0.0))
    width = max(_CAVITY_SHARE * len(depth), 1.0)
    around = cv2.GaussianBlur(np.stack((known, seen), 2), (0, 0), width)
    deeper = (known - around[..., 0] / np.maximum(around[..., 1], 1e-3)) * seen
    return np.asarray(1.0 - (deeper / _CAVITY_M).clip(0.0, _DARKEST), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Visible:
    """What a depth buffer shows, one entry per covered pixel.

    Attributes:
        rows: Row of the pixel, (N,).
        columns: Column of the pixel, (N,).
        face: Visible triangle, (N,).
        shares: Barycentric coordinates in that triangle, float32 (3, N).
        depth: Depth, float32 (N,), metres.
    """

    rows: Ints
    columns: Ints
    face: Ints
    shares: Image
    depth: Image


def rasterise(triangles: Floats, depths: Floats, side: int) -> Visible:
    """Return the nearest front-facing triangle at every pixel whose centre it covers.

    All pixels of all triangles' boxes are tested at once. Those inside are written in the order of
    falling depth, so that the nearest stays.

    Args:
        triangles: Corners in pixels, (F, 3, 2).
        depths: Depths of the corners, (F, 3), metres.
        side: Side of the pixel grid.
    """
    near = np.minimum(np.minimum(depths[:, 0], depths[:, 1]), depths[:, 2])
    faces = np.flatnonzero((_twice_area(triangles) < 0) & (near > _NEAREST_M))
    a, b, c = triangles[faces].transpose(1, 0, 2)
    low = np.ceil(np.minimum(np.minimum(a, b), c)).clip(0, side).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c)).clip(-1, side - 1).astype(np.int32)
    size = high + 1 - low
    within_image = np.flatnonzero((size[:, 0] > 0) & (size[:, 1] > 0))
    faces, low, size = faces[within_image], low[within_image], size[within_image]
    count = size[:, 0] * size[:, 1]
    within = np.arange(count.sum(), dtype=np.int32) - np.repeat(np.cumsum(count) - count, count)
    entry = np.repeat(np.arange(len(faces), dtype=np.int32), count)
    row, column = np.divmod(within, size[entry, 0])
    row, column = row + low[entry, 1], column + low[entry, 0]
    plane = _planes(triangles[faces], low)[entry]
    x, y = (column - low[entry, 0]).astype(np.float32), (row - low[entry, 1]).astype(np.float32)
    second = plane[:, 0] * x + plane[:, 1] * y + plane[:, 2]
    third = plane[:, 3] * x + plane[:, 4] * y + plane[:, 5]
    inside = np.flatnonzero((second >= 0.0) & (third >= 0.0) & (second + third <= 1.0))
    second, third = second[inside], third[inside]
    first = 1.0 - second - third
    corner = depths.astype(np.float32)[faces[entry[inside]]]
    depth = first * corner[:, 0] + second * corner[:, 1] + third * corner[:, 2]
    pixel = row[inside] * side + column[inside]
    order = np.argsort(-depth, kind="stable")
    top = np.full(side * side, -1, dtype=np.int32)
    top[pixel[order]] = order
    shown = np.flatnonzero(top >= 0)
    pick = top[shown]
    shares = np.stack((first[pick], second[pick], third[pick]))
    return Visible(shown // side, shown % side, faces[entry[inside[pick]]], shares, depth[pick])


def _planes(triangles: Floats, low: Ints) -> Image:
    """Return the coefficients of two barycentric coordinates over each box, float32 (F, 6)."""
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = _twice_area(triangles)
    area = np.where(np.abs(area) > 1e-9, area, 1.0)
    slopes = np.stack((b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]), axis=1) / area[:, None]
    x, y = (low - triangles[:, 0]).T
    second = slopes[:, 0] * x + slopes[:, 1] * y
    third = slopes[:, 2] * x + slopes[:, 3] * y
    columns = (slopes[:, 0], slopes[:, 1], second, slopes[:, 2], slopes[:, 3], third)
    return np.stack(columns, axis=1).astype(np.float32)


def _twice_area(triangles: Floats) -> Floats:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
