"""Naive references for handssl.pose: one hand at a time, plain Python numbers where it matters."""

from __future__ import annotations

import math
import statistics

import numpy as np


def random_hands(rng, count):
    """Return xyz (N, 21, 3) in metres and cameras (N, 3, 3): any rotation, varied focal length."""
    xyz, cameras = np.empty((count, 21, 3)), np.empty((count, 3, 3))
    for i in range(count):
        hand = np.zeros((21, 3))
        for finger in range(5):
            spread = math.radians(-40 + 20 * finger + rng.uniform(-8, 8))
            along = np.array([math.sin(spread), -math.cos(spread), 0.0])
            reach = rng.uniform(0.07, 0.1)
            for part in range(4):
                bend = rng.normal(0, 0.3, 3)
                hand[1 + 4 * finger + part] = along * reach + 0.01 * bend
                reach += rng.uniform(0.02, 0.035)
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.linalg.det(rotation)
        place = np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.35, 1.0)])
        xyz[i] = hand @ rotation.T + place
        focal = rng.uniform(200, 1100)
        cameras[i] = [[focal, 0.3, 112], [0, focal * rng.uniform(0.99, 1.01), 110], [0, 0, 1]]
    return xyz, cameras


def project(hand, camera):
    """Return 21 pairs of pixels."""
    uv = []
    for x, y, z in hand.tolist():
        image = [row[0] * x + row[1] * y + row[2] * z for row in camera.tolist()]
        uv.append((image[0] / image[2], image[1] / image[2]))
    return uv


def encode(hand, camera, root, bone):
    """Return uv, z and scale of one hand."""
    scale = math.dist(hand[bone[0]], hand[bone[1]])
    z = [(float(joint[2]) - float(hand[root][2])) / scale for joint in hand]
    return project(hand, camera), z, scale


def ray(uv, camera):
    """Return (x, y) of K^-1 (u, v, 1) by substitution; the camera is upper triangular."""
    (fx, skew, cx), (_, fy, cy), _ = camera.tolist()
    y = (uv[1] - cy) / fy
    return (uv[0] - cx - skew * y) / fx, y


def root_depths(uv, z, camera, bone):
    """Return both solutions of the quadratic, larger first, as written in the literature.

    None where there is no real solution or the equation is not quadratic.
    """
    (xn, yn), (xm, ym) = ray(uv[bone[0]], camera), ray(uv[bone[1]], camera)
    zn, zm = z[bone[0]], z[bone[1]]
    a = (xn - xm) ** 2 + (yn - ym) ** 2
    b = 2 * (zn * (xn**2 + yn**2 - xn * xm - yn * ym) + zm * (xm**2 + ym**2 - xn * xm - yn * ym))
    c = (xn * zn - xm * zm) ** 2 + (yn * zn - ym * zm) ** 2 + (zn - zm) ** 2 - 1
    discriminant = b * b - 4 * a * c
    if a <= 1e-6 or discriminant < 0:
        return None
    root = math.sqrt(discriminant)
    return (-b + root) / (2 * a), (-b - root) / (2 * a)


def decode(uv, z, camera, scale, root, bone, root_depth=None):
    """Return one hand (21, 3), or None where the root depth cannot be recovered."""
    z = [0.0 if joint == root else float(depth) for joint, depth in enumerate(z)]
    if root_depth is None:
        solutions = root_depths(uv, z, camera, bone)
        if solutions is None or solutions[0] <= 0:
            return None
        root_depth = solutions[0] * scale
    hand = []
    for pixel, depth in zip(uv, z, strict=True):
        x, y = ray(pixel, camera)
        metric = depth * scale + root_depth
        hand.append((x * metric, y * metric, metric))
    return np.array(hand)


def align(predicted, target, *, allow_reflection=False):
    """Align one hand by Horn's quaternion: the largest eigenvector of a 4 x 4 matrix.

    A best orthogonal map is the better of the best rotation of the hand and of its mirror image.
    """
    aligned = _align_by_rotation(predicted, target)
    if not allow_reflection:
        return aligned
    mirrored = _align_by_rotation(-predicted, target)
    return min((aligned, mirrored), key=lambda hand: np.sum((hand - target) ** 2))


def _align_by_rotation(predicted, target):
    p, q = predicted - predicted.mean(0), target - target.mean(0)
    s = p.T @ q
    n = np.zeros((4, 4))
    n[0, 0] = np.trace(s)
    n[0, 1:] = n[1:, 0] = s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]
    n[1:, 1:] = s + s.T - np.trace(s) * np.eye(3)
    values, vectors = np.linalg.eigh(n)
    w, x, y, z = vectors[:, -1]
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    scale = values[-1] / np.sum(p * p)
    return scale * p @ rotation.T + target.mean(0)


def metrics(uv, z, true_uv, xyz, cameras, valid, box_px):
    """Return the whole metric set by loops over hands and joints."""
    spatial = ["root_gtroot_20", "abs_gtroot_21", "abs_recovered_21", "root_recovered_20", "pa_21"]
    pools = {name: [] for name in [*spatial, "px_21"]}
    degenerate = 0
    for i in range(len(uv)):
        joints = [j for j in range(21) if valid[i, j]]
        for j in joints:
            pools["px_21"].append(math.dist(uv[i, j], true_uv[i, j]) * 128 / box_px)
        if not (valid[i, 0] and valid[i, 9]):
            continue
        scale = math.dist(xyz[i, 0], xyz[i, 9])
        known = decode(uv[i], z[i], cameras[i], scale, 0, (0, 9), float(xyz[i, 0, 2]))
        found = decode(uv[i], z[i], cameras[i], scale, 0, (0, 9))
        degenerate += found is None
        for kind, hand in (("gtroot", known), ("recovered", found)):
            for j in joints if hand is not None else []:
                pools[f"abs_{kind}_21"].append(1000 * math.dist(hand[j], xyz[i, j]))
                if j != 0:
                    predicted, truth = hand[j] - hand[0], xyz[i, j] - xyz[i, 0]
                    pools[f"root_{kind}_20"].append(1000 * math.dist(predicted, truth))
        if len(joints) >= 3:
            aligned = align(known[joints], xyz[i, joints])
            for row, j in enumerate(joints):
                pools["pa_21"].append(1000 * math.dist(aligned[row], xyz[i, j]))
    result = {}
    for name, pool in pools.items():
        unit = "px" if name == "px_21" else "mm"
        result[f"{name}/median_{unit}"] = statistics.median(pool)
        result[f"{name}/mean_{unit}"] = statistics.fmean(pool)
    for name in ("abs_recovered_21", "root_recovered_20"):
        result[f"{name}/degenerate_count"] = float(degenerate)
    return result
