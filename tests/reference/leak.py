"""The read-out of the leak test, from normal equations and one left-out row after the other."""

import numpy as np


def solve(x, y, penalty):
    """Ridge with an intercept that is not penalised: weights and intercept."""
    centre, mean = x.mean(0), y.mean(0)
    gram = (x - centre).T @ (x - centre) + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, (x - centre).T @ (y - mean))
    return weights, mean - centre @ weights


def left_out_error(x, y, penalty):
    """Mean squared error of rows that the ridge did not see.

    The penalty's own centring is that of all rows, as the closed form has it.
    """
    centred, target = x - x.mean(0), y - y.mean(0)
    gram = centred.T @ centred + penalty * np.eye(x.shape[1])
    hat = centred @ np.linalg.solve(gram, centred.T) + 1.0 / len(x)
    total = 0.0
    for row in range(len(x)):
        fitted = sum(hat[row, other] * target[other] for other in range(len(x)))
        total = total + ((target[row] - fitted) / (1.0 - hat[row, row])) ** 2
    return total / len(x)


def held_out_r2(features, targets):
    """R2 on the second half of a ridge fitted on the first."""
    fit = len(features) // 2
    x, y = features[:fit], targets[:fit]
    x_mean, spread = x.mean(0), x.std(0, ddof=1)
    x, new = (np.clip((f - x_mean) / spread, -10, 10) for f in (x, features[fit:]))
    penalties = [10.0 ** (power / 2) * fit for power in range(-8, 13)]
    told = []
    for column in range(targets.shape[1]):
        own, held = y[:, [column]], targets[fit:, [column]]
        errors = [left_out_error(x, own, p).sum() for p in penalties]
        weights, intercept = solve(x, own, penalties[int(np.argmin(errors))])
        residual = ((new @ weights + intercept - held) ** 2).sum()
        told.append(1 - residual / ((held - held.mean()) ** 2).sum())
    return np.array(told)


def read_out_pixels(views, theta):
    """R2 of theta or of what folding it thrice leaves, whichever is largest; mean of parameters."""
    features = views.mean(1).reshape(len(views), -1)
    told, folded = [held_out_r2(features, theta)], theta
    for _ in range(3):
        folded = np.abs(folded - (folded.max(0) + folded.min(0)) / 2)
        told.append(held_out_r2(features, folded))
    return np.max(told, axis=0).mean()
