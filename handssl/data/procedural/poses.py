"""Draw poses within joint limits: from a prior over flexion and spread, or jittered gestures.

Reference:
    Limits: clinical ranges of motion (finger MCP -15 to 90 degrees, PIP 0 to 105, DIP 0 to 80,
    thumb within the functional part of its range). How far fingers bend: the angles between bones
    of 100 training hands of FreiHAND, see `FREIHAND_ANGLES_DEG`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import chosen, draw

Floats = NDArray[np.float64]

# Degrees, (low, high); rows are thumb, index, middle, ring, little; columns base to tip.
FLEXION_LIMITS_DEG = np.array(
    [[(-20, 30), (-10, 55), (-10, 80)], *[[(-15, 90), (0, 105), (0, 80)]] * 4], dtype=np.float64
)
SPREAD_LIMITS_DEG = np.array([(-20, 25), *[(-15, 15)] * 4], dtype=np.float64)
WRIST_LIMITS_DEG = np.array([(-45, 45), (-20, 10)], dtype=np.float64)

_OPEN, _BENT, _SHUT = (0, 5, 5), (30, 50, 30), (80, 95, 55)
_THUMB_OUT, _THUMB_IN = (-5, 0, 0), (20, 40, 50)
GESTURES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "open": (_THUMB_OUT, _OPEN, _OPEN, _OPEN, _OPEN),
    "fist": (_THUMB_IN, _SHUT, _SHUT, _SHUT, _SHUT),
    "point": (_THUMB_IN, _OPEN, _SHUT, _SHUT, _SHUT),
    "victory": (_THUMB_IN, _OPEN, _OPEN, _SHUT, _SHUT),
    "three": (_THUMB_OUT, _OPEN, _OPEN, _SHUT, _SHUT),
    "four": (_THUMB_IN, _OPEN, _OPEN, _OPEN, _OPEN),
    "thumb": (_THUMB_OUT, _SHUT, _SHUT, _SHUT, _SHUT),
    "pinch": ((20, 25, 20), (45, 50, 30), _BENT, _BENT, _BENT),
    "ring": ((20, 25, 20), (45, 50, 30), _OPEN, _OPEN, _OPEN),
    "horns": (_THUMB_IN, _OPEN, _SHUT, _SHUT, _OPEN),
    "claw": (_THUMB_OUT, (10, 60, 40), (10, 60, 40), (10, 60, 40), (10, 60, 40)),
}
# Angles between successive bones of 100 hands of FreiHAND's training set at 5, 50 and 95 percent of
# them: base, middle and last joint of thumb, index, middle, ring and little finger. The prior's
# numbers below were chosen so that its percentiles come near to these.
FREIHAND_ANGLES_DEG = np.array(
    [
        [(5, 20, 32), (11, 23, 38), (4, 11, 31)],
        [(8, 24, 51), (8, 28, 74), (4, 13, 40)],
        [(7, 27, 68), (4, 32, 71), (4, 16, 32)],
        [(9, 25, 70), (9, 33, 75), (5, 19, 42)],
        [(7, 28, 78), (2, 21, 79), (5, 14, 40)],
    ],
    dtype=np.float64,
)
_CLOSURE = (1.2, 2.8)
_FOLLOWS, _LOOSENESS = 0.8, 0.12
_THUMB_DEG = ((-20, 30), (0, 45), (-10, 45))


@dataclass(frozen=True, eq=False)
class HandPose:
    """Joint angles of a hand in degrees.

    Attributes:
        flexion: Flexion, (5, 3), thumb to little finger, base to tip; positive closes.
        spread: Spread at the base joints, (5,).
        wrist: Flexion and deviation of the hand relative to the forearm, (2,).
    """

    flexion: Floats
    spread: Floats
    wrist: Floats


def draw_pose(rng: np.random.Generator) -> HandPose:
    """Draw a pose within the joint limits.

    Args:
        rng: Source of randomness.
    """
    flexion, spread = _gesture(rng) if chosen("gesture", rng) else _free(rng)
    return HandPose(
        flexion=flexion.clip(FLEXION_LIMITS_DEG[..., 0], FLEXION_LIMITS_DEG[..., 1]),
        spread=spread.clip(SPREAD_LIMITS_DEG[:, 0], SPREAD_LIMITS_DEG[:, 1]),
        wrist=np.array([draw("wrist_flexion", rng), draw("wrist_deviation", rng)]),
    )


def _free(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw a pose whose fingers follow a common closure of the hand or move independently."""
    closure = rng.beta(*_CLOSURE)
    thumb = rng.uniform(*np.transpose(_THUMB_DEG))
    rows, spread = [thumb], [rng.uniform(*SPREAD_LIMITS_DEG[0])]
    for _ in range(4):
        follows = rng.random() < _FOLLOWS
        own = closure + rng.normal(0, _LOOSENESS) if follows else rng.beta(*_CLOSURE)
        own = float(np.clip(own, 0, 1))
        base = -8.0 + 110.0 * own * rng.uniform(0.7, 1.0)
        middle = 105.0 * float(np.clip(own + rng.normal(0, 0.12), 0, 1))
        rows.append(np.array([base, middle, middle * rng.normal(0.62, 0.12)]))
        spread.append(rng.normal(0, 7) * (1.0 - own))
    return np.stack(rows), np.array(spread)


def _gesture(rng: np.random.Generator) -> tuple[Floats, Floats]:
    name = list(GESTURES)[rng.integers(len(GESTURES))]
    flexion = np.array(GESTURES[name], dtype=np.float64) + rng.normal(0, 7, (5, 3))
    return flexion, np.array([5.0, -6.0, -1.0, 3.0, 8.0]) * rng.random() + rng.normal(0, 3, 5)
