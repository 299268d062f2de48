"""Draw camera views, across the arm or from all directions, and frame the hand."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import draw
from handssl.pose.crop_rules import crop_box

Floats = NDArray[np.float64]
Level = Literal["cone", "hard"]

# The mesh's frame has y along the arm and its own handedness; a half turn about x makes y point
# down and z away from the camera, with the fingers up.
_UPRIGHT = np.diag([1.0, -1.0, -1.0]) @ np.diag([-1.0, -1.0, 1.0])


def draw_view(rng: np.random.Generator, level: Level) -> Floats:
    """Draw a rotation from the mesh's frame to the camera's.

    `cone`: any side of the hand (palm, back, edges) and any angle in the image plane; the hand is
    tilted out of the image plane by 20 degrees on average of squares, by 60 at most. `hard`:
    uniform over all rotations, so that the hand may point at the camera or away from it.

    Args:
        rng: Source of randomness.
        level: `cone` or `hard`.

    Returns:
        Proper rotation matrix (3, 3).
    """
    if level == "hard":
        return _from_quaternion(rng.normal(size=4))
    side = _rotation(1, np.deg2rad(draw("side", rng)))
    tilt = _rotation(0, np.deg2rad(draw("tilt", rng)))
    turn = _rotation(2, np.deg2rad(draw("in_plane", rng)))
    return np.asarray(turn @ tilt @ side @ _UPRIGHT)


def frame(
    rng: np.random.Generator, joints: Floats, vertices: Floats, *, image_px: int, context: float
) -> tuple[Floats, Floats, Floats]:
    """Place the hand in front of the camera and choose the focal length.

    The published crop box of the projected joints has side image / context x U(0.9, 1) and its
    centre is within 1.5 % of the image side from the image's centre.

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
    box_px = image_px / context * draw("box_fill", rng)
    wanted_px = np.array([draw("off_centre", rng) for _ in range(2)]) * image_px
    shift = -joints.mean(0)
    shift[2] += draw("distance", rng)
    for _ in range(3):  # moving the hand changes its perspective; three iterations converge
        centre, side = crop_box(_rays(joints + shift))
        shift[:2] += (wanted_px / (box_px / side) - centre) * (joints.mean(0) + shift)[2]
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
