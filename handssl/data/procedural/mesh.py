"""Skinned hand: mesh, joints and skin weights, with a forearm added at the wrist.

The mesh has 25 original joints (including five metacarpals) and a 26th, the forearm, that bends
at the wrist. A joint's local axes are: -z along the bone, +y to the back of the hand, x the axis of
flexion. Units are metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ASSET = Path(__file__).parent / "assets" / "hand.npz"
FOREARM = 25
# Parents in the mesh's order: wrist, thumb (4 joints), index, middle, ring, little (5 each).
PARENTS = (-1, 0, 1, 2, 3, *(p for b in (5, 10, 15, 20) for p in (0, b, b + 1, b + 2, b + 3)), 0)
# The mesh's joints in our order: wrist, then thumb to little finger without the metacarpals.
OURS = (0, 1, 2, 3, 4, *(j for b in (6, 11, 16, 21) for j in range(b, b + 4)))
TIPS = (4, 9, 14, 19, 24)
# Forearm rings: distance along the arm from the mesh's origin, and semi-axes of the ellipse.
_RINGS_M = (
    (0.055, 0.0170, 0.0240),
    (0.075, 0.0175, 0.0255),
    (0.120, 0.0200, 0.0280),
    (0.200, 0.0280, 0.0340),
    (0.320, 0.0360, 0.0400),
)
_RING_CENTRE_M = (0.0385, 0.0105)
_RING_POINTS = 16


@dataclass(frozen=True, eq=False)
class HandMesh:
    """Rest pose of the hand with its forearm.

    Attributes:
        vertices: Vertices, (V, 3), metres.
        faces: Triangles, (F, 3), counter-clockwise from outside.
        weights: Skin weights, (V, 26), rows sum to 1.
        rest: Transforms from joint to mesh, (26, 4, 4).
        to_joint: Transforms from mesh to joint, (26, 4, 4).
        local: Transforms from joint to parent, (26, 4, 4).
        tip_vertices: Most distal vertex of each finger, thumb to little finger, (5,).
        arm_m: Distance along the forearm for its vertices, 0 for the hand, (V,), metres.
    """

    vertices: Floats
    faces: Ints
    weights: Floats
    rest: Floats
    to_joint: Floats
    local: Floats
    tip_vertices: Ints
    arm_m: Floats


@lru_cache(maxsize=1)
def load_mesh() -> HandMesh:
    """Return the hand mesh, loaded once per process."""
    with np.load(ASSET, allow_pickle=False) as asset:
        hand, faces = asset["vertices"].astype(np.float64), asset["faces"].astype(np.int64)
        rest, weights = asset["rest"].astype(np.float64), asset["weights"].astype(np.float64)
    rings, ring_faces = _forearm(len(hand))
    vertices = np.concatenate((hand, rings))
    rest = np.concatenate((rest, rest[:1]))
    share = np.zeros((len(vertices), 26))
    share[: len(hand), :25] = weights / weights.sum(1, keepdims=True)
    share[len(hand) :, FOREARM] = 1.0
    share[len(hand) : len(hand) + _RING_POINTS] = np.eye(26)[0]
    arm_m = np.concatenate((np.zeros(len(hand)), rings[:, 1]))
    return HandMesh(
        vertices=vertices,
        faces=np.concatenate((faces, ring_faces)),
        weights=share,
        rest=rest,
        to_joint=np.linalg.inv(rest),
        local=np.stack([_to_parent(rest, joint) for joint in range(26)]),
        tip_vertices=np.array([_tip_vertex(hand, rest, weights, tip) for tip in TIPS]),
        arm_m=arm_m,
    )


def _to_parent(rest: Floats, joint: int) -> Floats:
    parent = PARENTS[joint]
    return np.asarray(rest[joint] if parent < 0 else np.linalg.inv(rest[parent]) @ rest[joint])


def _tip_vertex(hand: Floats, rest: Floats, weights: Floats, tip: int) -> int:
    """Return the vertex farthest along the last bone: the mesh's tip joint is inside the finger."""
    vertices_of_tip = np.flatnonzero(weights[:, [tip - 1, tip]].sum(1) > 0.5)
    return int(vertices_of_tip[np.argmax(hand[vertices_of_tip] @ -rest[tip - 1][:3, 2])])


def _forearm(first: int) -> tuple[Floats, Ints]:
    angles = np.arange(_RING_POINTS) / _RING_POINTS * 2.0 * np.pi
    rings = [
        np.stack(
            (
                _RING_CENTRE_M[0] + half_x * np.cos(angles),
                np.full(_RING_POINTS, along),
                _RING_CENTRE_M[1] + half_z * np.sin(angles),
            ),
            axis=1,
        )
        for along, half_x, half_z in _RINGS_M
    ]
    faces = []
    for ring in range(len(_RINGS_M) - 1):
        for point in range(_RING_POINTS):
            a = first + ring * _RING_POINTS + point
            b = first + ring * _RING_POINTS + (point + 1) % _RING_POINTS
            faces += [(a, a + _RING_POINTS, b), (b, a + _RING_POINTS, b + _RING_POINTS)]
    return np.concatenate(rings), np.array(faces)
