"""Draw camera views, from a cone or from all directions, and frame the hand."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.pose.crop_rules import crop_box

Floats = NDArray[np.float64]
Level = Literal["cone", "hard"]

_DEPTH_M = (0.4, 0.95)
_OFF_CENTRE = 0.015  # maximum offset in image sides
# The mesh's frame has y along the arm and its own handedness; a half turn about x makes y point
# down and z away from the camera, with the fingers up.
_UPRIGHT = np.diag([1.0, -1.0, -1.0]) @ np.diag([-1.0, -1.0, 1.0])


def draw_view(rng: np.random.Generator, level: Level) -> Floats:
    """Draw a rotation from the mesh's frame to the camera's.

    `cone`: any side of the hand (palm, back, edges), tilted by at most 60 degrees and rotated in
    the image plane by at most 90. `hard`: uniform over all rotations.

    Args:
        rng: Source of randomness.
        level: `cone` or `hard`.

    Returns:
        Proper rotation matrix (3, 3).
    """
    if level == "hard":
        return _from_quaternion(rng.normal(size=4))
    side = _rotation(1, rng.uniform(-np.pi, np.pi))
    tilt = _rotation(0, np.clip(rng.normal(0.0, np.deg2rad(25)), -np.pi / 3, np.pi / 3))
    turn = _rotation(2, rng.uniform(-np.pi / 2, np.pi / 2))
    return np.asarray(turn @ tilt @ side @ _UPRIGHT)


def frame(
    rng: np.random.Generator, joints: Floats, vertices: Floats, *, image_px: int, context: float
) -> tuple[Floats, Floats, Floats]:
    """Place the hand in front of the camera and choose the focal length.

    The published box around the projected joints (`handssl.pose.crop_box`) has side
    image / context x U(0.9, 1) and its centre is within 1.5 % of the image side from the image's
    centre.

    Args:
        rng: Source of randomness.
        joints: Joints in metres, rotated into the camera's axes, (21, 3).
        vertices: Vertices in metres, rotated into the camera's axes, (V, 3).
        image_px: Side of the image in pixels.
        context: Minimum side of the image in box sides.

    Returns:
        Joints and vertices in the camera frame, and the camera (3, 3), its principal point at the
        image's centre.
    """
    box_px = image_px / context * rng.uniform(0.9, 1.0)
    wanted_px = rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * image_px
    shift = -joints.mean(0)
    shift[2] += rng.uniform(*_DEPTH_M)
    for _ in range(3):  # moving the hand changes its perspective; three iterations converge
        centre, side = crop_box(_rays(joints + shift))
        shift[:2] += (wanted_px * side / box_px - centre) * (joints.mean(0) + shift)[2]
    focal_px = box_px / crop_box(_rays(joints + shift))[1]
    # Pixel coordinates count from the centre of the first pixel; FreiHAND's principal point is
    # nevertheless half the side.
    centre_px = image_px / 2
    camera = np.array([[focal_px, 0, centre_px], [0, focal_px, centre_px], [0, 0, 1.0]])
    return joints + shift, vertices + shift, camera


def _rays(joints: Floats) -> Floats:
    return np.asarray(joints[:, :2] / joints[:, 2:])


def _rotation(axis: int, angle_rad: float) -> Floats:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = cos, -sin, sin, cos
    return matrix


def _from_quaternion(quaternion: Floats) -> Floats:
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
