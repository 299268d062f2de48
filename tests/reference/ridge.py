"""Ridge regression by solving the normal equations, one target at a time."""

from __future__ import annotations

import numpy as np


def predict(features, targets, new_features, exponent):
    """Standardise on `features`, centre targets, penalise all but the intercept."""
    x, y, new = (np.asarray(a, dtype=np.float64) for a in (features, targets, new_features))
    mean = [float(np.mean(x[:, d])) for d in range(x.shape[1])]
    deviation = [float(np.std(x[:, d])) or 1.0 for d in range(x.shape[1])]
    x, new = (x - mean) / deviation, (new - mean) / deviation
    gram = np.zeros((x.shape[1], x.shape[1]))
    for row in x:
        gram += np.outer(row, row) / len(x)
    penalty = 10.0**exponent * np.trace(gram) / len(gram)
    columns = []
    for t in range(y.shape[1]):
        centre = float(np.mean(y[:, t]))
        moment = np.zeros(x.shape[1])
        for row, value in zip(x, y[:, t], strict=True):
            moment += row * (value - centre) / len(x)
        weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), moment)
        columns.append(new @ weight + centre)
    return np.stack(columns, axis=1)
