"""The 2.5D pose: joints in pixels, and depths relative to the root in bone lengths.

Reference: U. Iqbal, P. Molchanov, T. Breuel, J. Gall, J. Kautz, "Hand pose estimation via latent
2.5D heatmap regression", ECCV 2018, arXiv 1804.09534.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from handssl.pose.arrays import Array, as_floats, check_batches, check_joints, namespace
from handssl.pose.camera import back_project, project
from handssl.pose.skeleton import BONE, JOINT_COUNT, ROOT

MIN_RAY_DISTANCE = 1e-3
"""Minimum distance of the rays of a bone's ends (half a pixel at a focal length of 500): closer
rays yield no usable depth; the published code clamps here and returns tens of metres."""


@dataclass(frozen=True, eq=False)
class Pose25D(Generic[Array]):
    """A pose as observable in one image, and the bone length used for normalisation.

    Attributes:
        uv: Joints in pixels, (..., 21, 2).
        z: Relative depths (Z - Z_root) / scale, (..., 21); 0 at the root.
        scale: Length of the bone in the unit of the 3D points, (...).
    """

    uv: Array
    z: Array
    scale: Array


def encode_2_5d(
    xyz: Array, camera: Array, *, root: int = ROOT, bone: tuple[int, int] = BONE
) -> Pose25D[Array]:
    """Convert 3D joints to the 2.5D pose: uv = K P / Z, z = (Z - Z_root) / |P_n - P_m|.

    Args:
        xyz: (..., 21, 3), joints in the camera frame.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.
        root: The joint that depths are relative to.
        bone: The joints (n, m) whose distance is the unit of depth.

    Returns:
        The pose; scale in the unit of `xyz`. NaN for undefined values: uv of a joint at or behind
        the camera, scale and z of a hand whose bone has no length.

    Raises:
        InputError: A shape, a camera or a joint index is not valid.

    Example:
        >>> import numpy as np
        >>> xyz = np.full((21, 3), 0.5)
        >>> xyz[9] = (0.5, 0.4, 0.5)
        >>> xyz[12, 2] = 0.55
        >>> pose = encode_2_5d(xyz, np.eye(3))
        >>> round(float(pose.scale), 3), round(float(pose.z[12]), 3)
        (0.1, 0.5)
    """
    check_joints(root, bone)
    points = as_floats("xyz", xyz, JOINT_COUNT, 3)
    bone_vector = points[..., bone[0], :] - points[..., bone[1], :]
    length = (bone_vector * bone_vector).sum(-1) ** 0.5
    scale = namespace(points).where(length > 0, length, float("nan"))
    depth = points[..., 2]
    z = (depth - depth[..., root : root + 1]) / scale[..., None]
    return Pose25D(uv=project(points, camera), z=z, scale=scale)


def decode_2_5d(
    uv: Array,
    z: Array,
    camera: Array,
    *,
    scale: Array | float,
    root: int = ROOT,
    bone: tuple[int, int] = BONE,
    root_depth: Array | float | None = None,
) -> Array:
    """Convert a 2.5D pose to 3D joints: P_k = (scale z_k + Z_root) K^-1 (u_k, v_k, 1).

    Args:
        uv: (..., 21, 2), pixels.
        z: (..., 21), relative depths in bone lengths; ignored at the root, where it is 0 by
            definition.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.
        scale: (...), length of the bone; its unit is the unit of the result.
        root: The joint that depths are relative to.
        bone: The joints (n, m) whose distance is the unit of depth.
        root_depth: (...), depth of the root in the unit of `scale`; default: recovered from the
            pose as in `recover_root_depth`.

    Returns:
        (..., 21, 3) in the unit of `scale`; all NaN for a hand whose root depth cannot be
        recovered.

    Raises:
        InputError: A shape, a camera or a joint index is not valid.

    Example:
        >>> import numpy as np
        >>> xyz = np.random.default_rng(0).uniform(-0.1, 0.1, (21, 3)) + (0.0, 0.0, 0.6)
        >>> camera = np.array([[500.0, 0.0, 112.0], [0.0, 500.0, 112.0], [0.0, 0.0, 1.0]])
        >>> pose = encode_2_5d(xyz, camera)
        >>> bool(np.allclose(decode_2_5d(pose.uv, pose.z, camera, scale=pose.scale), xyz))
        True
    """
    rays, relative = _rays_and_depths(uv, z, camera, root, bone)
    unit = as_floats("scale", scale, like=rays)
    check_batches(uv=rays.shape[:-2], scale=unit.shape)
    if root_depth is None:
        distance = _solve(rays, relative, bone)[0] * unit
    else:
        distance = as_floats("root_depth", root_depth, like=rays)
        check_batches(uv=rays.shape[:-2], scale=unit.shape, root_depth=distance.shape)
    xyz: Array = (relative * unit[..., None] + distance[..., None])[..., None] * rays
    return xyz


def recover_root_depth(
    uv: Array, z: Array, camera: Array, *, root: int = ROOT, bone: tuple[int, int] = BONE
) -> tuple[Array, Array]:
    """Find the depth of the root at which the bone has length one.

    With rays r = K^-1 (u, v, 1), d = r_n - r_m and e = z_n r_n - z_m r_m the bone is Z d + e, so
    |d|^2 Z^2 + 2 (d . e) Z + |e|^2 - 1 = 0. The larger solution is chosen; if both are positive
    the image does not distinguish them and the nearer hand is not considered.

    Args:
        uv: (..., 21, 2), pixels.
        z: (..., 21), relative depths in bone lengths; ignored at the root, where it is 0.
        camera: (3, 3) or (..., 3, 3), pinhole matrices.
        root: The joint that depths are relative to.
        bone: The joints (n, m) whose distance is the unit of depth.

    Returns:
        Depth of the root (...) in bone lengths, and a boolean (...) that is true where the
        problem is well posed. It is ill posed, and the depth NaN, where the bone's ends share a
        ray, no depth gives the bone its length, or the depth is not in front of the camera.

    Raises:
        InputError: A shape, a camera or a joint index is not valid.

    Example:
        >>> import numpy as np
        >>> uv, z = np.zeros((21, 2)), np.zeros(21)
        >>> uv[9] = (0.25, 0.0)  # a bone across the view, 0.25 long at depth 1
        >>> depth, well_posed = recover_root_depth(uv, z, np.eye(3))
        >>> float(depth), bool(well_posed)
        (4.0, True)
        >>> depth, well_posed = recover_root_depth(np.zeros((21, 2)), z, np.eye(3))
        >>> float(depth), bool(well_posed)
        (nan, False)
    """
    rays, relative = _rays_and_depths(uv, z, camera, root, bone)
    depth, well_posed = _solve(rays, relative, bone)
    return depth, well_posed


def _rays_and_depths(
    uv: Any, z: Any, camera: Any, root: int, bone: tuple[int, int]
) -> tuple[Any, Any]:
    check_joints(root, bone)
    pixels = as_floats("uv", uv, JOINT_COUNT, 2)
    xp = namespace(pixels)
    depths = as_floats("z", z, JOINT_COUNT, like=pixels)
    check_batches(uv=pixels.shape[:-2], z=depths.shape[:-1])
    zero = xp.zeros_like(depths[..., :1])
    relative = xp.concatenate((depths[..., :root], zero, depths[..., root + 1 :]), -1)
    return back_project(pixels, camera), relative


def _solve(rays: Any, z: Any, bone: tuple[int, int]) -> tuple[Any, Any]:
    xp = namespace(rays)
    n, m = bone
    d = rays[..., n, :] - rays[..., m, :]
    e = z[..., n, None] * rays[..., n, :] - z[..., m, None] * rays[..., m, :]
    squared = (d * d).sum(-1)
    apart = squared > MIN_RAY_DISTANCE**2
    squared = xp.where(apart, squared, 1.0)
    along = (d * e).sum(-1) / squared
    # The part of e orthogonal to d must be shorter than the bone; subtracting vectors before
    # squaring loses fewer digits than the textbook discriminant.
    across = e - along[..., None] * d
    rest = 1.0 - (across * across).sum(-1)
    depth = (xp.where(rest > 0, rest, 0.0) / squared) ** 0.5 - along
    well_posed = apart & (rest >= 0) & (depth > 0)
    return xp.where(well_posed, depth, float("nan")), well_posed
