"""Skin and sleeve at points of the hand: mottling, folds, nails, palm lines.

Colour varies by absorption: an albedo a becomes a exp(-m M - h H) with M and H the relative
absorption of melanin and haemoglobin in red, green and blue. Nothing changes at the wrist.

Reference:
    S. Alotaibi, W. Smith, "A biophysical 3D morphable model of face appearance", ICCV Workshops
    2017, for colour from melanin and haemoglobin; only the idea is used.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.procedural.mesh import load_mesh
from handssl.data.procedural.scene.colours import linear_rgb
from handssl.data.procedural.subjects import Subject
from handssl.randomness import numpy_generator

Image = NDArray[np.float32]
Ints = NDArray[np.int64]

MELANIN = np.array([0.45, 0.75, 1.0], dtype=np.float32)
HAEMOGLOBIN = np.array([0.15, 1.0, 0.8], dtype=np.float32)
_NOISE_PX, _NOISE_M = 256, 0.256  # a texel is a millimetre
_SKIN_GLOSS, _NAIL_GLOSS = 0.035, 0.12
# Palm lines in the rest pose: circles (y, z, radius) and the range of z of each, metres.
_PALM_LINES = (
    (-0.075, 0.012, 0.072, (-0.030, 0.036)),  # heart
    (0.105, 0.030, 0.110, (-0.034, 0.030)),  # head
    (0.012, -0.048, 0.046, (-0.030, 0.000)),  # life
)


def skin(subject: Subject, faces: Ints, rest: Image, volar: Image) -> tuple[Image, Image]:
    """Return albedo and gloss at points of the hand.

    Args:
        subject: The person.
        faces: Face of each point, (N,).
        rest: Points in the rest pose, (N, 3), metres.
        volar: 1 on the palm's side, 0 on the back, (N,).

    Returns:
        Linear RGB (N, 3) and gloss (N,), float32.
    """
    melanin, blood, fold = _fields(subject, rest)
    crease = load_mesh().crease[faces]
    distance = np.abs(np.einsum("nk,nk->n", crease[:, :3], rest) - crease[:, 3])
    fold = fold + _bump(distance + 0.0004 * fold, 0.0011) + _bump(distance, 0.004) * 0.3
    blood = blood + 0.22 * _bump(distance, 0.007) + 0.18 * volar
    # Palms have little melanin, and dark skin has more of it to lose.
    share = np.float32((75.0 - subject.skin[0]) / 45.0)
    melanin = melanin - share * 0.45 * volar + 0.35 * fold
    melanin = melanin + 0.5 * volar * _palm_lines(rest)
    colour = linear_rgb(subject.skin).astype(np.float32)
    absorbed = melanin[:, None] * MELANIN + (blood + 0.25 * fold)[:, None] * HAEMOGLOBIN
    albedo = colour * np.exp(-absorbed)
    gloss = np.full(len(rest), _SKIN_GLOSS, dtype=np.float32)
    _paint_nails(albedo, gloss, colour, faces, rest)
    _dress(subject, albedo, gloss, rest)
    return albedo.clip(0.0, 1.0), gloss


@lru_cache(maxsize=256)
def _texture(seed: int) -> Image:
    """Return two periodic fields of mean 0: a blotchy and a fine one, float32 (2, P, P)."""
    rng = numpy_generator("skin texture", seed)
    fields = []
    for octaves in ((8, 16, 32), (32, 64, 128)):
        total = np.zeros((_NOISE_PX, _NOISE_PX), dtype=np.float32)
        for number, cells in enumerate(octaves):
            grid = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
            scale = _NOISE_PX // cells
            smooth = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            total += smooth[2 * scale : -2 * scale, 2 * scale : -2 * scale] / 2**number
        fields.append(total)
    return np.stack(fields)


def _fields(subject: Subject, rest: Image) -> tuple[Image, Image, Image]:
    """Return melanin, blood and folds at points, sums of two planar fields each."""
    texel = (rest * np.float32(_NOISE_PX / _NOISE_M)).astype(np.int32) & (_NOISE_PX - 1)
    x, y, z = texel.T
    blotchy, fine = _texture(subject.texture)
    first, second = blotchy[y, z], blotchy[x, y]
    folds = fine[y, (2 * z) & (_NOISE_PX - 1)] + fine[x, y]
    return 0.045 * (first + second), 0.035 * (first - second), 0.08 * folds


def _bump(distance: Image, width_m: float) -> Image:
    return np.asarray(np.exp(-np.square(distance / np.float32(width_m))))


def _palm_lines(rest: Image) -> Image:
    y, z = rest[:, 1], rest[:, 2]
    total = np.zeros(len(rest), dtype=np.float32)
    for centre_y, centre_z, radius, (low, high) in _PALM_LINES:
        off = np.hypot(y - np.float32(centre_y), z - np.float32(centre_z)) - np.float32(radius)
        total += _bump(off, 0.0009) * ((z > low) & (z < high))
    return total


def _paint_nails(albedo: Image, gloss: Image, colour: Image, faces: Ints, rest: Image) -> None:
    """Paint the nails on the backs of the fingertips, in place."""
    frames = load_mesh().nail
    at = np.flatnonzero(frames[faces, 2, 2] != 0)
    frame = frames[faces[at]]
    x, y, z = np.einsum("nij,nj->in", frame[..., :3], rest[at]) + frame[..., 3].T
    out = np.square(x / np.float32(0.0058)) ** 2 + np.square((z + 0.0015) / np.float32(0.0075)) ** 2
    share = ((1.25 - out) / 0.5).clip(0.0, 1.0) * (y > 0.0015)
    bed = 0.75 * colour + np.array([0.13, 0.08, 0.07], dtype=np.float32)
    edge = np.where((z < -0.0065)[:, None], np.float32(1.2), np.float32(1.0))
    albedo[at] += share[:, None] * (bed * edge - albedo[at])
    gloss[at] += share * np.float32(_NAIL_GLOSS - _SKIN_GLOSS)


def _dress(subject: Subject, albedo: Image, gloss: Image, rest: Image) -> None:
    """Cover the arm from the sleeve's edge on, in place."""
    if subject.sleeve_m is None:
        return
    mesh = load_mesh()
    along = rest[:, 1] - np.float32(mesh.rest[0, 1, 3]) - np.float32(subject.sleeve_m)
    around = np.arctan2(rest[:, 2] - np.float32(0.0105), rest[:, 0] - np.float32(0.0385))
    phase = np.float32(subject.texture % 7)
    covered = along > 0.004 * np.sin(2.0 * around + phase)
    wave = np.sin(along * np.float32(300.0 + 40.0 * (subject.texture % 5)))
    cloth = np.where((wave > 0.3)[:, None], *subject.cloth[::-1].astype(np.float32))
    cloth = cloth * (0.9 + 0.1 * np.sin(9.0 * around + 60.0 * along))[:, None]
    albedo[covered] = cloth[covered]
    gloss[covered] = 0.0
