"""Published measures as plain loops, one hand and one joint at a time."""

from __future__ import annotations

import math
import statistics

import numpy as np
from scipy.linalg import orthogonal_procrustes


def align(target, predicted):
    """Align as FreiHAND's eval.py does: centre, divide by the Frobenius norm, rotate or mirror."""
    target_centre, predicted_centre = target.mean(0), predicted.mean(0)
    p, q = target - target_centre, predicted - predicted_centre
    p_size, q_size = np.linalg.norm(p) + 1e-8, np.linalg.norm(q) + 1e-8
    rotation, scale = orthogonal_procrustes(p / p_size, q / q_size)
    return (q / q_size) @ rotation.T * scale * p_size + target_centre


def per_joint(errors):
    """Return (mean of means, mean of medians, mean area) of a list of errors in mm per joint."""
    thresholds = [50.0 * step / 99 for step in range(100)]
    means, medians, areas = [], [], []
    for values in errors:
        if not values:
            continue
        means.append(sum(values) / len(values))
        medians.append(statistics.median(values))
        pck = [sum(value <= t for value in values) / len(values) for t in thresholds]
        area = sum((pck[i] + pck[i + 1]) / 2 * (50.0 / 99) for i in range(99))
        areas.append(area / 50.0)
    return tuple(sum(column) / len(column) for column in (means, medians, areas))


def collect(predicted, truth, valid=None):
    """Return the errors in mm of every joint, one list a joint."""
    lists = [[] for _ in range(21)]
    for i, (hand, goal) in enumerate(zip(predicted, truth, strict=True)):
        for j in range(21):
            if valid is None or valid[i, j]:
                lists[j].append(1000 * math.dist(hand[j], goal[j]))
    return lists


def size_by_phalanx(hand, goal):
    """Scale a hand about the camera so that joints 9 and 10 are as far apart as in the truth."""
    return hand * (math.dist(goal[9], goal[10]) / math.dist(hand[9], hand[10]))


def interhand(predicted, truth, valid, left, wrist):
    """Return MPJPE in mm: root-aligned, mean of each of 42 joints over valid samples, then of all.

    Joints 0 to 20 are those of right hands, 21 to 41 those of left ones; a hand whose wrist is not
    valid has no valid joint.
    """
    sums, counts = [0.0] * 42, [0] * 42
    for i in range(len(truth)):
        for j in range(21):
            if valid[i, j] and valid[i, 0]:
                mine = predicted[i, j] - predicted[i, 0]
                theirs = truth[i, j] - truth[i, 0]
                sums[j + 21 * left[i]] += 1000 * math.dist(mine, theirs)
                counts[j + 21 * left[i]] += 1
    shown = [j for j in range(42) if counts[j] and (wrist or j % 21)]
    return sum(sums[j] / counts[j] for j in shown) / len(shown)
