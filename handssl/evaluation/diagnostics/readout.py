"""Linear read-outs: what of a transformation can be told from features by a straight line."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the customary name

from handssl.augment import REGRESSABLE, Interval, Theta
from handssl.evaluation.ridge import LAMBDA_EXPONENTS
from handssl.objectives import relative_target

_HELD_BACK = 4  # every fourth image fitted on chooses lambda
Readout = Callable[[torch.Tensor], torch.Tensor]
# What is read out of a set of views: features (N, D) of both views, and what was drawn for each.
Pairs = tuple[torch.Tensor, torch.Tensor, Theta, Theta]


def ridge_readouts(features: torch.Tensor, targets: torch.Tensor) -> list[Readout]:
    """Fit a ridge regression for every lambda of the probe's grid from one decomposition.

    Lambda means what it means in `handssl.evaluation.ridge_path`, with the same result; here the
    singular vectors of the few rows are taken, not the eigenvectors of the many columns.

    Args:
        features: (N, D).
        targets: (N, T).

    Returns:
        One function from (M, D) to (M, T) for each exponent in `LAMBDA_EXPONENTS`.
    """
    x, y = features.double(), targets.double()
    mean, scale, middle = x.mean(0), x.std(0, correction=0), y.mean(0)
    scale = torch.where(scale > 1e-12, scale, torch.ones_like(scale))
    left, values, right = torch.linalg.svd((x - mean) / scale, full_matrices=False)
    projected = values[:, None] * (left.T @ (y - middle))
    typical = (values.square().sum() / x.shape[1]).clamp(min=1e-12)

    def readout(exponent: float) -> Readout:
        damped = projected / (values.square() + typical * 10.0**exponent)[:, None]
        weight = right.T @ damped
        return lambda new: ((new.double() - mean) / scale) @ weight + middle

    return [readout(exponent) for exponent in LAMBDA_EXPONENTS]


def fit_readout(features: torch.Tensor, targets: torch.Tensor, held: torch.Tensor) -> Readout:
    """Fit a linear read-out, lambda chosen by the squared error on rows held back.

    Args:
        features: (N, D).
        targets: (N, T).
        held: bool (N,), the rows that choose lambda; the others are fitted on.

    Returns:
        A function from (M, D) to (M, T); ties go to the larger lambda.
    """
    readouts = ridge_readouts(features[~held], targets[~held])
    truth = targets[held].double()
    return min(
        reversed(readouts),
        key=lambda readout: float((readout(features[held]) - truth).square().mean()),
    )


def wrapped_r2(
    predicted: torch.Tensor,
    target: torch.Tensor,
    transformation: str,
    ranges: tuple[Interval, ...],
) -> float:
    """Return R2 = 1 - sum of squared residuals / that about the mean, averaged over parameters.

    Residuals of angle and hue are wrapped to half a turn either way. A parameter that does not
    vary is left out.

    Args:
        predicted: (N, k), differences over the range of one view.
        target: (N, k), from `relative_target`.
        transformation: One of `REGRESSABLE`.
        ranges: One view's interval of each parameter.

    Returns:
        1 where all is told, 0 for the mean, negative where it is worse; 0 if nothing varies.
    """
    target = target.double()
    width = target.new_tensor([interval.width for interval in ranges])
    residual = relative_target(
        transformation, predicted.double() * width, target * width, ranges=ranges
    )
    spread = (target - target.mean(0)).square().sum(0)
    varied = spread > 1e-12
    r2 = 1.0 - residual.square().sum(0)[varied] / spread[varied]
    return float(r2.mean()) if bool(varied.any()) else 0.0


def equivariance_r2(
    fitted: Pairs, scored: Pairs, transformation: str, ranges: tuple[Interval, ...]
) -> float:
    """Return how much of the relative transformation a linear read-out of (h_a, h_b) tells.

    The target is that of the relative objective, (theta_b - theta_a) / range (Eq. 2), read out by
    ridge regression. Every pair is fitted in both orders, so that swapping the views turns the
    sign of what is read, as it does the target's.

    Args:
        fitted: Pairs the read-out is fitted on; every fourth image chooses lambda.
        scored: Pairs of other images.
        transformation: One of `REGRESSABLE`, the only one that is on.
        ranges: One view's interval of each parameter.

    Returns:
        R2 on `scored`, from `wrapped_r2`.

    Reference:
        Eq. 2 and 4, and Sec. 1: features that tell the transformation are called equivariant.
    """
    h_a, h_b, theta_a, theta_b = fitted
    features = torch.cat((torch.cat((h_a, h_b), 1), torch.cat((h_b, h_a), 1)))
    targets = torch.cat(
        (
            _target(transformation, theta_a, theta_b, ranges),
            _target(transformation, theta_b, theta_a, ranges),
        )
    )
    # Both orders of an image fall on the same side.
    readout = fit_readout(features, targets, held_back(len(h_a)).repeat(2))
    h_a, h_b, theta_a, theta_b = scored
    predicted = readout(torch.cat((h_a, h_b), 1))
    return wrapped_r2(
        predicted, _target(transformation, theta_a, theta_b, ranges), transformation, ranges
    )


def readout_accuracy(
    fitted: tuple[torch.Tensor, torch.Tensor],
    scored: tuple[torch.Tensor, torch.Tensor],
    classes: int,
) -> float:
    """Return the accuracy of a linear classifier: ridge regression on one-vs-all targets.

    Args:
        fitted: Features (N, D) and classes int64 (N,); every fourth image chooses lambda.
        scored: The same of other images.
        classes: How many there are; 1 / classes is chance.

    Returns:
        Share of `scored` whose largest output is that of their class.
    """
    features, labels = fitted
    targets = F.one_hot(labels, classes).double()
    readout = fit_readout(features, targets, held_back(len(features)))
    chosen = readout(scored[0]).argmax(1)
    return float((chosen == scored[1]).double().mean())


def held_back(count: int) -> torch.Tensor:
    """Return which of a number of images choose lambda, bool (count,)."""
    return torch.arange(count) % _HELD_BACK == _HELD_BACK - 1


def _target(
    transformation: str, theta_a: Theta, theta_b: Theta, ranges: tuple[Interval, ...]
) -> torch.Tensor:
    count = len(REGRESSABLE[transformation])
    a, b = (theta[transformation][:, 1 : 1 + count] for theta in (theta_a, theta_b))
    return relative_target(transformation, a.double(), b.double(), ranges=ranges)
