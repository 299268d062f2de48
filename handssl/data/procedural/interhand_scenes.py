"""Procedural captures in the style of InterHand2.6M: one pose in the world, many cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.articulation import bend
from handssl.data.procedural.cameras import draw_view
from handssl.data.procedural.interhand_spec import InterhandTreeSpec
from handssl.data.procedural.poses import draw_pose
from handssl.data.procedural.scene.light import Light, draw_light
from handssl.data.procedural.subjects import Subject, draw_subject, subject_numbers
from handssl.data.readers.interhand.layout import Released
from handssl.data.readers.interhand.world import ORDER
from handssl.data.sample import Split
from handssl.randomness import numpy_generator

Floats = NDArray[np.float64]
HandType = Literal["right", "left", "interacting"]

HAND_TYPES: tuple[HandType, ...] = ("right", "left", "interacting")
SUBJECTS_OF: dict[Released, Split] = {"train": "pretrain", "val": "select", "test": "test"}
FIRST_FRAME, FRAME_STEP = 12_000, 6
_DISTANCE_M = (0.95, 1.15)
_FOCAL_SHARE = (2.1, 2.4)  # in longer image sides; the official cameras have 2.5
_APART_M = 0.05
_SPOILT_EVERY, _WRISTLESS_EVERY = 4, 8


@dataclass(frozen=True, eq=False)
class View:
    """One camera of a capture.

    Attributes:
        name: Camera name, 400xxx (colour) or 410xxx (grey).
        grey: Whether the camera has one channel, stored as three.
        size_px: Image size (width, height) in pixels.
        rotation: Rotation from world to camera, (3, 3).
        position_mm: Position of the camera in the world, (3,), mm.
        focal: Focal lengths, (2,), pixels.
        principal: Principal point, (2,), pixels.
    """

    name: str
    grey: bool
    size_px: tuple[int, int]
    rotation: Floats
    position_mm: Floats
    focal: Floats
    principal: Floats


@dataclass(frozen=True, eq=False)
class WorldFrame:
    """One frame of a capture in the world; the mesh contains all visible hands.

    Attributes:
        hand_type: Hands in the frame: right, left or interacting.
        joints_mm: Joints in the official order, (42, 3), mm; (1, 1, 1) for an absent hand.
        valid: Whether each joint has a label, bool (42,).
        vertices_mm: Mesh vertices of one hand after another, (V, 3), mm.
        hands: Subject of each hand in the mesh, and whether it is mirrored, i.e. a left hand.
        light: The light, with its direction in the world frame.
    """

    hand_type: HandType
    joints_mm: Floats
    valid: NDArray[np.bool_]
    vertices_mm: Floats
    hands: tuple[tuple[Subject, bool], ...]
    light: Light


def make_views(spec: InterhandTreeSpec, released: Released, capture: int) -> list[View]:
    """Draw the cameras of a capture, in all directions around its centre."""
    views = []
    for number in range(spec.colour + spec.grey):
        grey = number >= spec.colour
        rng = numpy_generator("interhand camera", spec.seed, released, capture, number)
        size = spec.image_px if number % 2 == 0 else spec.image_px[::-1]
        rotation = draw_view(rng, "hard")
        focal = max(size) * rng.uniform(*_FOCAL_SHARE) * rng.uniform(0.99, 1.01, 2)
        principal = np.array(size) / 2.0 + rng.uniform(-4.0, 4.0, 2)
        views.append(
            View(
                name=f"{(410_000 if grey else 400_000) + 2 + 3 * number}",
                grey=grey,
                size_px=(size[0], size[1]),
                rotation=rotation,
                position_mm=-1000.0 * rng.uniform(*_DISTANCE_M) * rotation[2],
                focal=focal,
                principal=principal,
            )
        )
    return views


def make_frame(spec: InterhandTreeSpec, released: Released, capture: int, frame: int) -> WorldFrame:
    """Draw poses, positions and light of a frame; equal for all cameras."""
    rng = numpy_generator("interhand frame", spec.seed, released, capture, frame)
    numbers = subject_numbers(SUBJECTS_OF[released])
    subject = draw_subject(spec.seed, numbers[capture % len(numbers)])
    hand_type = HAND_TYPES[frame % len(HAND_TYPES)]
    joints, valid = np.ones((42, 3)), np.zeros(42, dtype=bool)
    vertices: list[Floats] = []
    hands: list[tuple[Subject, bool]] = []
    for side in range(2):
        if hand_type == HAND_TYPES[1 - side]:
            continue
        surface, bones = _place(rng, subject, left=side == 1, alone=hand_type != "interacting")
        joints[21 * side + ORDER], valid[21 * side : 21 * side + 21] = bones, True
        vertices.append(surface)
        hands.append((subject, side == 1))
    _spoil(rng, frame, joints, valid)
    skins = np.concatenate(vertices)
    return WorldFrame(hand_type, joints, valid, skins, tuple(hands), draw_light(rng))


def _place(
    rng: np.random.Generator, subject: Subject, *, left: bool, alone: bool
) -> tuple[Floats, Floats]:
    """Return vertices and joints of a hand in the world, mm."""
    vertices, joints = bend(draw_pose(rng), subject)
    turn = draw_view(rng, "hard") * ((-1.0, 1.0, 1.0) if left else 1.0)
    shift = rng.normal(0.0, 0.01, 3) + (0.0 if alone else np.array([1 - 2 * left, 0, 0]) * _APART_M)
    shift = shift - turn @ joints.mean(axis=0)
    return 1000.0 * (vertices @ turn.T + shift), 1000.0 * (joints @ turn.T + shift)


def _spoil(rng: np.random.Generator, frame: int, joints: Floats, valid: NDArray[np.bool_]) -> None:
    """Invalidate some labels in place."""
    if frame % _SPOILT_EVERY == _SPOILT_EVERY - 1:
        present = np.flatnonzero(valid)
        fingers = present[present % 21 < 8]  # thumb and index
        lost = rng.choice(fingers, 3, replace=False)
        valid[lost] = False
        if frame % _WRISTLESS_EVERY == _WRISTLESS_EVERY - 1:
            valid[[20, 41]] = False
        joints[~valid] = 1.0
