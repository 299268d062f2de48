"""Pinhole cameras: projection, viewing rays, and affine maps of the image.

Coordinates: x right, y down, z forward; (u, v, 1) = K (x, y, z) / z without a half-pixel shift.
"""

from __future__ import annotations

from typing import Any

from handssl.errors import InputError
from handssl.pose.arrays import Array, as_floats, check_batches, namespace


def project(xyz: Array, camera: Array) -> Array:
    """Project points into the image: (u, v, 1) = K (x, y, z) / z.

    Args:
        xyz: (..., J, 3), points in the camera frame; any unit of length.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.

    Returns:
        (..., J, 2), pixels; NaN for a point at or behind the camera, which has no projection.

    Raises:
        InputError: A shape or a camera is not valid.

    Example:
        >>> import numpy as np
        >>> camera = np.array([[100.0, 0.0, 64.0], [0.0, 100.0, 64.0], [0.0, 0.0, 1.0]])
        >>> project(np.array([[0.1, -0.05, 0.5]]), camera)
        array([[84., 54.]])
    """
    points = as_floats("xyz", xyz, 3)
    xp = namespace(points)
    matrix = _as_camera(camera, points)
    check_batches(xyz=points.shape[:-2], camera=matrix.shape[:-2])
    depth = points[..., 2:]
    depth = xp.where(depth > 0, depth, float("nan"))
    image: Array = (points @ matrix.swapaxes(-1, -2))[..., :2] / depth
    return image


def back_project(uv: Array, camera: Array) -> Array:
    """Return the viewing ray of each pixel: K^-1 (u, v, 1), the point at depth 1.

    Args:
        uv: (..., J, 2), pixels.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.

    Returns:
        (..., J, 3), the last coordinate 1: a point at depth z is z times its ray.

    Raises:
        InputError: A shape or a camera is not valid.

    Example:
        >>> import numpy as np
        >>> camera = np.array([[100.0, 0.0, 64.0], [0.0, 100.0, 64.0], [0.0, 0.0, 1.0]])
        >>> back_project(np.array([[84.0, 54.0]]), camera).round(3)
        array([[ 0.2, -0.1,  1. ]])
    """
    pixels = as_floats("uv", uv, 2)
    xp = namespace(pixels)
    matrix = _as_camera(camera, pixels)
    check_batches(uv=pixels.shape[:-2], camera=matrix.shape[:-2])
    homogeneous = xp.concatenate((pixels, xp.ones_like(pixels[..., :1])), -1)
    rays: Array = homogeneous @ xp.linalg.inv(matrix).swapaxes(-1, -2)
    return rays


def crop_camera(camera: Array, affine: Array) -> Array:
    """Return the camera of an image after an affine map: A K.

    Args:
        camera: (..., 3, 3), of the source image.
        affine: (..., 2, 3) or (..., 3, 3), maps source pixels to pixels of the new image.

    Returns:
        (..., 3, 3), of the new image: equivalent to projecting and then applying the map.

    Raises:
        InputError: A shape, the camera or the map is not valid.

    Example:
        >>> import numpy as np
        >>> camera = np.array([[100.0, 0.0, 64.0], [0.0, 100.0, 64.0], [0.0, 0.0, 1.0]])
        >>> crop_camera(camera, np.array([[0.5, 0.0, -8.0], [0.0, 0.5, -8.0]]))
        array([[50.,  0., 24.],
               [ 0., 50., 24.],
               [ 0.,  0.,  1.]])
    """
    matrix = _as_camera(camera, None)
    map_ = _as_affine(affine, matrix)
    check_batches(camera=matrix.shape[:-2], affine=map_.shape[:-2])
    moved: Array = map_ @ matrix
    return moved


def move_uv(uv: Array, affine: Array) -> Array:
    """Apply an affine map of the image to pixel coordinates.

    Args:
        uv: (..., J, 2), pixels of the source image.
        affine: (..., 2, 3) or (..., 3, 3), maps source pixels to pixels of the new image.

    Returns:
        (..., J, 2), pixels of the new image.

    Raises:
        InputError: A shape or the map is not valid.
    """
    pixels = as_floats("uv", uv, 2)
    map_ = _as_affine(affine, pixels)
    check_batches(uv=pixels.shape[:-2], affine=map_.shape[:-2])
    moved: Array = pixels @ map_[..., :2, :2].swapaxes(-1, -2) + map_[..., None, :2, 2]
    return moved


def _as_affine(affine: Any, like: Any) -> Any:
    """Return the map as (..., 3, 3) for either accepted shape."""
    xp = namespace(like)
    rows = 3 if tuple(getattr(affine, "shape", ()))[-2:] == (3, 3) else 2
    map_ = as_floats("affine", affine, rows, 3, like=like)
    if rows == 2:
        last = xp.zeros_like(map_[..., :1, :])
        last[..., 2] = 1.0
        map_ = xp.concatenate((map_, last), -2)
    return _check_last_row("affine", map_)


def _as_camera(camera: Any, like: Any) -> Any:
    return _check_last_row("camera", as_floats("camera", camera, 3, 3, like=like))


def _check_last_row(name: str, matrix: Any) -> Any:
    """Reject all but invertible matrices with last row (0, 0, 1); NaN fails each test."""
    determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    last = matrix[..., 2, :]
    good = (abs(determinant) > 0) & (abs(matrix).sum((-2, -1)) < float("inf"))
    good = good & (last[..., 0] == 0) & (last[..., 1] == 0) & (last[..., 2] == 1)
    if not bool(good.all()):
        raise InputError(
            f"{name}: expected finite, invertible matrices with last row (0, 0, 1), got "
            f"{int((~good).sum())} that are not, the first {matrix[~good][0].tolist()}"
        )
    return matrix
