"""Skinned hand: mesh, joints and skin weights, with a forearm added at the wrist.

The mesh has 25 original joints (including five metacarpals) and a 26th, the forearm, that bends
at the wrist. A joint's local axes are: -z along the bone, +y to the back of the hand, x the axis of
flexion. Units are metres.
"""

from __future__ import annotations

import itertools
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
_CREASED = (3, 7, 8, 12, 13, 17, 18, 22, 23)  # joints whose bending creases the skin
# Forearm rings: distance from the wrist along the arm, and semi-axes of the ellipse.
_RINGS_M = (
    (0.030, 0.0185, 0.0262),
    (0.045, 0.0185, 0.0262),
    (0.065, 0.0190, 0.0268),
    (0.090, 0.0205, 0.0285),
    (0.120, 0.0235, 0.0310),
    (0.155, 0.0275, 0.0340),
    (0.195, 0.0315, 0.0370),
    (0.240, 0.0345, 0.0395),
    (0.290, 0.0360, 0.0410),
    (0.350, 0.0370, 0.0415),
    (0.440, 0.0390, 0.0430),
)
_RING_CENTRE_M = (0.0385, 0.0105)
_CAP_FROM_M, _CAP_SLOPE = 0.06, 0.7
_WRIST_BEND_M = (-0.012, 0.030)  # where the hand's skin passes over to the forearm's motion


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
        arm_m: Distance from the wrist joint towards the elbow, negative on the hand, (V,), metres.
        volar: 1 on the palm's side, 0 on the back, (V,).
        crease: Normal and offset of the plane through the nearest crease of a finger, (F, 4);
            a point's distance is normal . point - offset.
        nail: Transform from mesh to the frame of the fingertip, (F, 3, 4); zero off fingertips.
    """

    vertices: Floats
    faces: Ints
    weights: Floats
    rest: Floats
    to_joint: Floats
    local: Floats
    tip_vertices: Ints
    arm_m: Floats
    volar: Floats
    crease: NDArray[np.float32]
    nail: NDArray[np.float32]


@lru_cache(maxsize=1)
def load_mesh() -> HandMesh:
    """Return the hand mesh, loaded once per process."""
    with np.load(ASSET, allow_pickle=False) as asset:
        hand, faces = asset["vertices"].astype(np.float64), asset["faces"].astype(np.int64)
        rest, weights = asset["rest"].astype(np.float64), asset["weights"].astype(np.float64)
    vertices, faces = _with_forearm(hand, faces, wrist_m=rest[0, 1, 3])
    rest = np.concatenate((rest, rest[:1]))
    share = np.zeros((len(vertices), 26))
    share[: len(hand), :25] = weights / weights.sum(1, keepdims=True)
    share[len(hand) :, 0] = 1.0
    arm_m = vertices[:, 1] - rest[0, 1, 3]
    share[:, FOREARM] = share[:, 0] * _smooth_step(arm_m, *_WRIST_BEND_M)
    share[:, 0] -= share[:, FOREARM]
    to_joint = np.linalg.inv(rest)
    return HandMesh(
        vertices=vertices,
        faces=faces,
        weights=share,
        rest=rest,
        to_joint=to_joint,
        local=np.stack([_to_parent(rest, joint) for joint in range(26)]),
        tip_vertices=np.array([_tip_vertex(hand, rest, weights, tip) for tip in TIPS]),
        arm_m=arm_m,
        volar=_volar(vertices, faces, rest, share),
        crease=_creases(vertices, faces, rest, share).astype(np.float32),
        nail=_nails(faces, to_joint, share).astype(np.float32),
    )


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Return unit normals of vertices, weighted by the areas of their faces, (V, 3)."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, weights = faces.ravel(), np.repeat(across, 3, axis=0)
    summed = [np.bincount(flat, weights[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(summed, axis=1)
    return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))


def _smooth_step(values: Floats, low: float, high: float) -> Floats:
    part = ((values - low) / (high - low)).clip(0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part))


def _volar(vertices: Floats, faces: Ints, rest: Floats, share: Floats) -> Floats:
    """Return 1 where the skin faces the palm's side of its bones, 0 on their back."""
    back = share @ rest[:, :3, 1]
    facing = np.einsum("vk,vk->v", vertex_normals(vertices, faces), back)
    return _smooth_step(-facing, -0.35, 0.35)


def _creases(vertices: Floats, faces: Ints, rest: Floats, share: Floats) -> Floats:
    """Return the plane of the nearest crease for each face; one far away off the fingers."""
    planes = np.zeros((len(faces), 4))
    planes[:, 3] = 1.0
    centres, finger = vertices[faces].mean(1), _finger_of(faces, share)
    nearest = np.full(len(faces), np.inf)
    for joint in _CREASED:
        axis = rest[joint, :3, 2]
        distance = np.abs((centres - rest[joint, :3, 3]) @ axis)
        closer = (finger == (joint - 1) // 5) & (distance < nearest)
        nearest[closer] = distance[closer]
        planes[closer] = (*axis, axis @ rest[joint, :3, 3])
    return planes


def _nails(faces: Ints, to_joint: Floats, share: Floats) -> Floats:
    """Return the frame of its fingertip for each face of a last bone, zero elsewhere."""
    frames = np.zeros((len(faces), 3, 4))
    for tip in TIPS:
        on_tip = share[faces][:, :, [tip - 1, tip]].sum(2).min(1) > 0.5
        frames[on_tip] = to_joint[tip, :3]
    return frames


def _finger_of(faces: Ints, share: Floats) -> Ints:
    """Return the finger of each face, 0 for the thumb, -1 for palm and arm."""
    joint = share[faces].sum(1).argmax(1)
    on_finger = ~np.isin(joint, (0, 1, 5, 10, 15, 20, FOREARM))
    return np.where(on_finger, np.minimum((joint - 1) // 5, 4), -1)


def _to_parent(rest: Floats, joint: int) -> Floats:
    parent = PARENTS[joint]
    return np.asarray(rest[joint] if parent < 0 else np.linalg.inv(rest[parent]) @ rest[joint])


def _tip_vertex(hand: Floats, rest: Floats, weights: Floats, tip: int) -> int:
    """Return the vertex farthest along the last bone: the mesh's tip joint is inside the finger."""
    vertices_of_tip = np.flatnonzero(weights[:, [tip - 1, tip]].sum(1) > 0.5)
    return int(vertices_of_tip[np.argmax(hand[vertices_of_tip] @ -rest[tip - 1][:3, 2])])


def _with_forearm(hand: Floats, faces: Ints, *, wrist_m: float) -> tuple[Floats, Ints]:
    """Replace the cap that closes the hand by a forearm that continues its rim without a step."""
    corners = hand[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    steep = normals[:, 1] > _CAP_SLOPE * np.linalg.norm(normals, axis=1)
    open_hand = faces[~(steep & (corners[..., 1].mean(1) > _CAP_FROM_M))]
    rim = _rim(open_hand)
    angles = np.arctan2(*(hand[rim][:, [2, 0]] - _RING_CENTRE_M[::-1]).T)
    rows, rings = [rim], []
    for number, (along, half_x, half_z) in enumerate(_RINGS_M):
        ring = np.empty((len(rim), 3))
        ring[:, 0] = _RING_CENTRE_M[0] + half_x * np.cos(angles)
        ring[:, 1] = wrist_m + along
        ring[:, 2] = _RING_CENTRE_M[1] + half_z * np.sin(angles)
        rings.append(ring)
        rows.append(len(hand) + number * len(rim) + np.arange(len(rim)))
    arm = [_band(near, far) for near, far in itertools.pairwise(rows)]
    return np.concatenate((hand, *rings)), np.concatenate((open_hand, *arm))


def _rim(faces: Ints) -> Ints:
    """Return the vertices of the one open border, in the order of its faces' edges."""
    edges = {
        (a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)
    }
    follows = {b: a for a, b in edges if (b, a) not in edges}
    rim = [min(follows)]
    while len(rim) < len(follows):
        rim.append(follows[rim[-1]])
    return np.array(rim)


def _band(near: Ints, far: Ints) -> Ints:
    """Return the triangles between two rings of equally many points."""
    next_near, next_far = np.roll(near, -1), np.roll(far, -1)
    return np.concatenate(
        (np.stack((near, next_near, far), 1), np.stack((next_near, next_far, far), 1))
    )
