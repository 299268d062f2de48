"""Hand skeleton: 21 joints, wrist first, then thumb to little finger, each from base to tip.

Example:
    >>> JOINT_NAMES[ROOT], [JOINT_NAMES[joint] for joint in BONE]
    ('wrist', ['wrist', 'middle_mcp'])
    >>> PARENTS[5:9]
    (0, 5, 6, 7)
"""

from __future__ import annotations

FINGERS = ("thumb", "index", "middle", "ring", "little")
_THUMB = ("cmc", "mcp", "ip", "tip")
_FINGER = ("mcp", "pip", "dip", "tip")

JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"{name}_{part}" for name in FINGERS for part in (_THUMB if name == "thumb" else _FINGER)),
)
"""Name of each joint, in the internal order."""

JOINT_COUNT = len(JOINT_NAMES)
"""Number of joints, 21."""

PARENTS: tuple[int, ...] = (-1, *(0 if (j - 1) % 4 == 0 else j - 1 for j in range(1, JOINT_COUNT)))
"""Parent of each joint, the next one towards the wrist; -1 for the wrist."""

BONES: tuple[tuple[int, int], ...] = tuple((PARENTS[j], j) for j in range(1, JOINT_COUNT))
"""The 20 bones as (parent, child)."""

ROOT = 0
"""The joint that depths are relative to: the wrist."""

BONE = (0, 9)
"""The bone whose length is the unit of depth: wrist to middle_mcp."""

PHALANX = (9, 10)
"""middle_mcp to middle_pip: FreiHAND provides its length with every image as `scale`."""
