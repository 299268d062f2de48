"""Pose the mesh with forward kinematics and linear blend skinning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.mesh import FOREARM, OURS, PARENTS, TIPS, load_mesh
from handssl.data.procedural.poses import HandPose
from handssl.data.procedural.subjects import Subject

Floats = NDArray[np.float64]

_CHILD = {parent: joint for joint, parent in enumerate(PARENTS) if parent > 0}


def bend(pose: HandPose, subject: Subject) -> tuple[Floats, Floats]:
    """Return the vertices and the 21 joints of a subject's hand in a pose.

    Args:
        pose: Joint angles.
        subject: Bone lengths and thickness.

    Returns:
        Vertices (V, 3) and joints (21, 3) in our order, metres, in the mesh's frame (fingers along
        -y, back of the hand along +x). Fingertips lie on the skin.
    """
    mesh = load_mesh()
    world = _kinematics(pose, subject)
    skin = world @ _stretch(subject) @ mesh.to_joint
    blended = (mesh.weights @ skin[:, :3].reshape(26, 12)).reshape(-1, 3, 4)
    vertices = np.einsum("vij,vj->vi", blended[..., :3], mesh.vertices) + blended[..., 3]
    joints = world[list(OURS), :3, 3]
    joints[[OURS.index(tip) for tip in TIPS]] = vertices[mesh.tip_vertices]
    return vertices, joints


def _kinematics(pose: HandPose, subject: Subject) -> Floats:
    mesh, world = load_mesh(), np.empty((26, 4, 4))
    turns = _turns(pose)
    for joint, parent in enumerate(PARENTS):
        local = mesh.local[joint].copy()
        local[:3, 3] *= subject.size * subject.lengths[joint]
        if joint in turns:
            local[:3, :3] = local[:3, :3] @ turns[joint]
        world[joint] = local if parent < 0 else world[parent] @ local
    return world


def _turns(pose: HandPose) -> dict[int, Floats]:
    """Return the rotation of every moving joint in its local axes."""
    turns = {FOREARM: _about_y(pose.wrist[1]) @ _about_x(pose.wrist[0])}
    for finger, base in enumerate((1, 6, 11, 16, 21)):
        flexion = pose.flexion[finger]
        turns[base] = _about_y(pose.spread[finger]) @ _about_x(-flexion[0])
        turns[base + 1], turns[base + 2] = _about_x(-flexion[1]), _about_x(-flexion[2])
    return turns


def _stretch(subject: Subject) -> Floats:
    """Return the scaling of the flesh around every bone, along and across it."""
    across = subject.size * subject.thickness
    stretch = np.zeros((26, 4, 4))
    for joint in range(26):
        along = subject.size * subject.lengths[_CHILD.get(joint, joint)]
        stretch[joint] = np.diag((across, across, along, 1.0))
    return stretch


def _about_x(degrees: float) -> Floats:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def _about_y(degrees: float) -> Floats:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
