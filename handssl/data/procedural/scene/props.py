"""Objects that a hand holds, and things between hand and camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import chosen
from handssl.data.procedural.scene.colours import linear_rgb
from handssl.data.procedural.scene.primitives import Primitive, Shape, draw_material

Floats = NDArray[np.float64]

OBJECTS = ("bottle", "ball", "carton", "pen", "phone")
_SKIN_M, _FINGER_M = 0.013, 0.008  # flesh between a joint and the skin: palm, finger
_RADII_M = np.arange(0.004, 0.046, 0.003)
_PLACES = np.linspace(1.0, 0.6, 4)  # along the palm, as a share of the way to the knuckles
_FINGER_JOINTS = [3, 4, *range(6, 9), *range(10, 13), *range(14, 17), *range(18, 21)]


def draw_props(rng: np.random.Generator, joints: Floats, skin: Floats) -> tuple[Primitive, ...]:
    """Draw what a hand holds and what hides a part of it.

    Args:
        rng: Source of randomness.
        joints: Joints in the camera frame, (21, 3), metres.
        skin: Skin of the subject, CIE L*, a*, b*, (3,).

    Returns:
        No, one or two primitives in the camera frame.
    """
    props = []
    if chosen("held", rng):
        props.append(draw_held(rng, joints))
    if chosen("occluder", rng):
        props.append(draw_occluder(rng, joints, skin))
    return tuple(props)


def draw_held(rng: np.random.Generator, joints: Floats) -> Primitive:
    """Draw an object that fits between palm and fingers in their pose.

    Its centre lies on the palm's normal; its radius is the largest with which it touches the palm
    and no joint of a finger is inside. A hand without room holds a pen.
    """
    across, along, out = _palm_axes(joints)
    palm, radius = _room(joints, across, out)
    kind = OBJECTS[rng.integers(len(OBJECTS))] if radius > 0.012 else "pen"
    if kind == "phone" and radius < _RADII_M[-1]:
        kind = "carton"  # a phone needs an open hand
    radius = min(radius, rng.uniform(0.012, 0.045))
    shape, axes, half = _form(rng, kind, radius, (across, along, out))
    centre = palm + (_SKIN_M + half @ np.abs(axes.T @ out)) * out
    slide = across if kind in ("bottle", "pen") else along
    centre = centre + rng.uniform(-0.3, 0.3) * max(half.max() - radius, 0.01) * slide
    colours, pattern, gloss = draw_material(rng)
    return Primitive(shape, centre, axes @ _twist(rng), half, colours, pattern, gloss)


def _palm_axes(joints: Floats) -> tuple[Floats, Floats, Floats]:
    """Return unit vectors across the palm, along the middle finger and out of the palm."""
    along = joints[9] - joints[0]
    along = along / np.linalg.norm(along)
    across = joints[5] - joints[17]
    across = across - across @ along * along
    across = across / np.linalg.norm(across)
    return across, along, np.cross(across, along)


def _room(joints: Floats, axis: Floats, out: Floats) -> tuple[Floats, float]:
    """Return where on the palm the thickest cylinder across it fits, and its radius.

    It touches the palm, and no joint of a finger comes nearer to it than a finger is thick.
    """
    knuckles = joints[[5, 9, 13, 17]].mean(0)
    places = joints[0] + _PLACES[:, None] * (knuckles - joints[0])
    centres = places[:, None] + (_SKIN_M + _RADII_M)[:, None] * out
    offset = joints[_FINGER_JOINTS] - centres[:, :, None]
    offset = offset - (offset @ axis)[..., None] * axis
    free = np.linalg.norm(offset, axis=3).min(2) > _RADII_M + _FINGER_M
    fits = np.logical_and.accumulate(free, axis=1).sum(1)
    best = int(fits.argmax())
    return places[best], float(_RADII_M[max(fits[best] - 1, 0)])


def _form(
    rng: np.random.Generator, kind: str, radius: float, palm: tuple[Floats, Floats, Floats]
) -> tuple[Shape, Floats, Floats]:
    """Return shape, axes and half extents of an object of a kind and a radius."""
    across, along, out = palm
    lying = np.stack((along, out, across), axis=1)  # third axis across the palm
    lying = lying * np.sign(np.linalg.det(lying))
    facing = np.stack((across, -out, along), axis=1)
    facing = facing * np.sign(np.linalg.det(facing))
    if kind == "ball":
        return "ellipsoid", lying, np.full(3, radius)
    if kind == "bottle":
        return "cylinder", lying, np.array([radius, radius, rng.uniform(0.05, 0.11)])
    if kind == "pen":
        thin = rng.uniform(0.0035, 0.006)
        return "cylinder", lying, np.array([thin, thin, rng.uniform(0.06, 0.08)])
    if kind == "phone":
        return "box", facing, np.array([rng.uniform(0.033, 0.04), 0.004, rng.uniform(0.065, 0.08)])
    return "box", lying, np.array([radius * 0.9, radius * 0.7, rng.uniform(0.03, 0.08)])


def _twist(rng: np.random.Generator) -> Floats:
    """Return a turn about the second axis by a few degrees."""
    cos, sin = np.cos(turn := rng.normal(0.0, 0.15)), np.sin(turn)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])


def draw_occluder(rng: np.random.Generator, joints: Floats, skin: Floats) -> Primitive:
    """Draw a bar, plate or limb between hand and camera that covers a side of the hand."""
    middle, reach = joints.mean(0), np.linalg.norm(joints - joints.mean(0), axis=1).max()
    nearest = joints[:, 2].min() - 0.02
    turn, away = rng.uniform(0.0, 2.0 * np.pi), reach * rng.uniform(0.35, 1.1)
    side = np.array([np.cos(turn), np.sin(turn), 0.0])
    across = np.array([-side[1], side[0], 0.0])
    thick = reach * rng.uniform(0.12, 0.4)
    depth = max(nearest - thick - rng.uniform(0.0, 0.08), 0.35 * nearest)
    at = (middle + (away + thick) * side) * (depth / middle[2])
    shrink = depth / middle[2]
    shape: Shape = ("cylinder", "box", "ellipsoid")[rng.integers(3)]
    half = shrink * np.array([thick, min(thick, 0.04), reach * rng.uniform(0.4, 2.0)])
    colours, pattern, gloss = draw_material(rng)
    if rng.random() < 0.3:
        colours, pattern, gloss = linear_rgb(np.stack((skin, skin))), np.zeros(2), 0.03
    axes = np.stack((side, np.cross(across, side), across), axis=1)
    return Primitive(shape, at, axes, half, colours, pattern, gloss)
