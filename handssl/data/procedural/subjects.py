"""Draw subjects: bone lengths, thickness, skin and sleeve; each belongs to one split.

Reference:
    Spread of sizes: A. Buryanov, V. Kotiuk, "Proportions of hand segments", Int. J. Morphol. 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.mesh import TIPS, load_mesh
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
_LIGHT_SKIN, _DARK_SKIN = np.array([0.93, 0.72, 0.60]), np.array([0.30, 0.18, 0.12])
_NAIL = np.array([0.95, 0.78, 0.74])
_FINGERS = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 25))


@dataclass(frozen=True, eq=False)
class Subject:
    """One person's hand.

    Attributes:
        number: Subject number, unique over all splits.
        size: Factor on all lengths.
        thickness: Factor across the bones.
        lengths: Factor on the bone that ends in each joint, (26,).
        albedo: Linear colour of every vertex including forearm and sleeve, (V, 3), in [0, 1].
    """

    number: int
    size: float
    thickness: float
    lengths: Floats
    albedo: Floats


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
        lengths[first:last] = rng.normal(1.0, 0.04) * rng.normal(1.0, 0.04, last - first)
    return Subject(
        number=number,
        size=float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.2)),
        thickness=float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.15)),
        lengths=lengths.clip(0.85, 1.15),
        albedo=_albedo(rng),
    )


def _albedo(rng: np.random.Generator) -> Floats:
    mesh = load_mesh()
    melanin = rng.random()
    base = ((1.0 - melanin) * _LIGHT_SKIN + melanin * _DARK_SKIN) * rng.normal(1.0, 0.04, 3)
    mottling = sum(
        _value_noise(mesh.vertices * f, rng) / 2**o for o, f in enumerate((60, 150, 400))
    )
    skin = base * (1.0 + 0.22 * (mottling / 1.75 - 0.5))[:, None]
    _crease_and_nails(skin, base)
    if rng.random() < 0.5:
        covered = mesh.arm_m > 0.07 + rng.uniform(0.0, 0.06)
        skin[covered] = rng.uniform(0.05, 0.9) * rng.normal(1.0, 0.12, 3)
    return np.asarray(skin.clip(0.02, 1.0))


def _crease_and_nails(skin: Floats, base: Floats) -> None:
    """Darken the skin at the joints and lighten the backs of the finger ends, in place."""
    mesh = load_mesh()
    for joint in range(2, 25):
        offset = (mesh.vertices - mesh.rest[joint, :3, 3]) @ mesh.rest[joint, :3, :3]
        if joint in TIPS:
            on_finger = mesh.weights[:, [joint - 1, joint]].sum(1) > 0.5
            near = (np.abs(offset[:, 0]) < 0.006) & (np.abs(offset[:, 2]) < 0.009)
            nail = on_finger & near & (offset[:, 1] > 0.002)
            skin[nail] = 0.6 * skin[nail] + 0.4 * _NAIL * base.max()
        else:
            squares = (offset[:, 2] / 0.0025) ** 2 + (np.linalg.norm(offset, axis=1) / 0.014) ** 2
            skin *= 1.0 - 0.12 * np.exp(-squares)[:, None]


def _value_noise(points: Floats, rng: np.random.Generator) -> Floats:
    """Return smooth noise in [0, 1] at points, from random values on a periodic lattice."""
    lattice = rng.random((12, 12, 12))
    points = np.mod(points, 11.0)
    cell = np.floor(points).astype(np.int64)
    part = points - cell
    part = part * part * (3.0 - 2.0 * part)
    total = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        weight = np.abs(1.0 - np.array(corner) - part).prod(axis=1)
        x, y, z = (cell + corner).T
        total += weight * lattice[x, y, z]
    return total
