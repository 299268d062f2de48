"""Naive twins of skinning and rasterising: loops over vertices and pixels."""

from __future__ import annotations

import numpy as np


def skin(vertices, weights, transforms):
    """Linear blend skinning, one vertex and one joint at a time."""
    out = np.zeros((len(vertices), 3))
    for v, vertex in enumerate(vertices):
        for j, transform in enumerate(transforms):
            if weights[v, j]:
                out[v] += weights[v, j] * (transform @ np.append(vertex, 1.0))[:3]
    return out


def covered(triangles, depths, side):
    """Return the nearest front-facing triangle at every pixel centre, -1 where there is none."""
    ids = np.full((side, side), -1)
    nearest = np.full((side, side), np.inf)
    for face, (triangle, depth) in enumerate(zip(triangles, depths, strict=True)):
        (ax, ay), (bx, by), (cx, cy) = triangle
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        for y in range(max(0, int(min(ay, by, cy))), min(side, int(max(ay, by, cy)) + 2)):
            for x in range(max(0, int(min(ax, bx, cx))), min(side, int(max(ax, bx, cx)) + 2)):
                second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                first = 1.0 - second - third
                z = first * depth[0] + second * depth[1] + third * depth[2]
                if min(first, second, third) >= 0 and z < nearest[y, x]:
                    nearest[y, x], ids[y, x] = z, face
    return ids
