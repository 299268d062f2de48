"""Draw subjects: bone lengths, thickness, skin and sleeve; each belongs to one split.

Reference:
    Spread of sizes: A. Buryanov, V. Kotiuk, "Proportions of hand segments", Int. J. Morphol. 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.distributions import chosen, draw
from handssl.data.procedural.scene.colours import draw_skin, draw_surfaces
from handssl.data.sample import Split
from handssl.randomness import numpy_generator

Floats = NDArray[np.float64]

SUBJECTS: dict[Split, int] = {
    "pretrain": 96,
    "probe": 48,
    "select": 24,
    "test": 24,
    "evaluation": 24,
}
_FINGERS = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 25))


@dataclass(frozen=True, eq=False)
class Subject:
    """One person's hand.

    Attributes:
        number: Subject number, unique over all splits.
        size: Factor on all lengths.
        thickness: Factor across the bones.
        lengths: Factor on the bone that ends in each joint, (26,).
        skin: Mean colour of the skin, CIE L*, a*, b*, (3,).
        texture: Seed of mottling and folds.
        sleeve_m: Edge of the sleeve from the wrist joint towards the elbow, metres; None without.
        cloth: Albedo of the sleeve and of its stripes, linear RGB, (2, 3).
    """

    number: int
    size: float
    thickness: float
    lengths: Floats
    skin: Floats
    texture: int
    sleeve_m: float | None
    cloth: Floats


def subject_numbers(split: Split) -> range:
    """Return the range of subject numbers of a split; no two splits share one.

    Example:
        >>> set(subject_numbers("probe")) & set(subject_numbers("test"))
        set()
    """
    names = list(SUBJECTS)
    first = sum(SUBJECTS[name] for name in names[: names.index(split)])
    return range(first, first + SUBJECTS[split])


@lru_cache(maxsize=256)
def draw_subject(seed: int, number: int) -> Subject:
    """Return a subject, a pure function of the dataset's seed and the subject's number."""
    rng = numpy_generator("subject", seed, number)
    lengths = np.ones(26)
    for first, last in _FINGERS:
        finger = draw("finger_length", rng)
        lengths[first:last] = [finger * draw("bone_length", rng) for _ in range(first, last)]
    return Subject(
        number=number,
        size=draw("size", rng),
        thickness=draw("thickness", rng),
        lengths=lengths.clip(0.85, 1.15),
        skin=draw_skin(rng),
        texture=int(rng.integers(2**31)),
        sleeve_m=draw("sleeve_start", rng) if chosen("sleeve", rng) else None,
        cloth=draw_surfaces(rng, 2),
    )
