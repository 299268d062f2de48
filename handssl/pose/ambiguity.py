"""Detect ambiguous hands: one image allows two depths of the root."""

from __future__ import annotations

from handssl.pose.arrays import Array, namespace
from handssl.pose.camera import back_project
from handssl.pose.pose25d import recover_root_depth
from handssl.pose.skeleton import BONE, ROOT


def nearer_root_depth(
    uv: Array, z: Array, camera: Array, *, root: int = ROOT, bone: tuple[int, int] = BONE
) -> Array:
    """Return the second solution for the root depth, which `recover_root_depth` did not choose.

    The two solutions of |Z d + e| = 1 lie at equal distance from -(d . e) / |d|^2. The nearer one
    is a valid hand too if it places every joint in front of the camera.

    Args:
        uv: (..., 21, 2), pixels.
        z: (..., 21), relative depths in bone lengths; ignored at the root, where it is 0.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.
        root: The joint that depths are relative to.
        bone: The joints (n, m) whose distance is the unit of depth.

    Returns:
        Depth of the root (...) in bone lengths; NaN if the farther solution is the only one, or
        there is none. A hand with a finite value is ambiguous.

    Raises:
        InputError: A shape, a camera or a joint index is not valid.

    Example:
        >>> import numpy as np
        >>> from handssl.pose import encode_2_5d
        >>> xyz = np.full((21, 3), (0.05, 0.0, 0.2))
        >>> xyz[9] = (0.04, 0.0, 0.11)  # the bone points at the camera
        >>> pose = encode_2_5d(xyz, np.eye(3))
        >>> nearer = nearer_root_depth(pose.uv, pose.z, np.eye(3))
        >>> round(float(nearer * pose.scale), 6)
        0.2
    """
    farther, _ = recover_root_depth(uv, z, camera, root=root, bone=bone)
    xp = namespace(farther)
    rays = back_project(xp.asarray(uv, dtype=farther.dtype), camera)
    relative = xp.asarray(z, dtype=farther.dtype) + 0.0  # a copy
    relative[..., root] = 0.0
    n, m = bone
    d = rays[..., n, :] - rays[..., m, :]
    e = relative[..., n, None] * rays[..., n, :] - relative[..., m, None] * rays[..., m, :]
    # If the ends share a ray the farther depth is already NaN.
    squared = xp.where(xp.isnan(farther), 1.0, (d * d).sum(-1))
    nearer = -2.0 * (d * e).sum(-1) / squared - farther
    in_front = (nearer[..., None] + relative > 0).all(-1)
    found: Array = xp.where(in_front & (nearer < farther), nearer, float("nan"))
    return found
