"""Linear read-outs that predict transformation parameters from features."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the customary name

from handssl.evaluation.ridge import LAMBDA_EXPONENTS
from handssl.objectives import relative_target
from handssl.transforms import REGRESSABLE, Interval, Theta

_HELD_BACK = 4  # every fourth image for fitting chooses lambda
Readout = Callable[[torch.Tensor], torch.Tensor]
# Input of a read-out: features (N, D) of both views, and the drawn parameters of both.
Pairs = tuple[torch.Tensor, torch.Tensor, Theta, Theta]


def ridge_readouts(features: torch.Tensor, targets: torch.Tensor) -> list[Readout]:
    """Fit a ridge regression for every lambda of the probe's grid from one decomposition.

    Lambda is defined as in `handssl.evaluation.ridge_path`, with the same result; here the singular
    vectors of the few rows are used instead of the eigenvectors of the many columns.

    Args:
        features: Features, (N, D).
        targets: Targets, (N, T).

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
    """Fit a linear read-out, with lambda chosen by the squared error on held-out rows.

    Args:
        features: Features, (N, D).
        targets: Targets, (N, T).
        held: bool (N,), the held-out rows that choose lambda; the others are used for fitting.

    Returns:
        A function from (M, D) to (M, T); of equal errors the larger lambda is chosen.
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

    Residuals of angle and hue are wrapped to at most half a turn. A constant parameter is left out.

    Args:
        predicted: (N, k), differences in units of the range of one view.
        target: (N, k), from `relative_target`.
        transformation: One of `REGRESSABLE`.
        ranges: Interval of each of one view's parameters.

    Returns:
        1 for perfect predictions, 0 for the mean, negative if worse; 0 if all are constant.
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
    """Return how well a linear read-out of (h_a, h_b) predicts the relative transformation.

    The target is that of the relative objective, (theta_b - theta_a) / range (Eq. 2), predicted by
    ridge regression. Every pair is fitted in both orders, so that swapping the views changes the
    sign of the prediction, as it does for the target.

    Args:
        fitted: Pairs for fitting; every fourth image chooses lambda.
        scored: Pairs of other images.
        transformation: One of `REGRESSABLE`, the only enabled one.
        ranges: Interval of each of one view's parameters.

    Returns:
        R2 on `scored`, from `wrapped_r2`.

    Reference:
        Eq. 2 and 4, and Sec. 1: features that determine the transformation are called equivariant.
    """
    h_a, h_b, theta_a, theta_b = fitted
    features = torch.cat((torch.cat((h_a, h_b), 1), torch.cat((h_b, h_a), 1)))
    targets = torch.cat(
        (
            _target(transformation, theta_a, theta_b, ranges),
            _target(transformation, theta_b, theta_a, ranges),
        )
    )
    # Both orders of an image belong to the same side of the split.
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
        classes: Number of classes; chance level is 1 / classes.

    Returns:
        Share of `scored` whose largest output is that of their class.
    """
    features, labels = fitted
    targets = F.one_hot(labels, classes).double()
    readout = fit_readout(features, targets, held_back(len(features)))
    chosen = readout(scored[0]).argmax(1)
    return float((chosen == scored[1]).double().mean())


def held_back(count: int) -> torch.Tensor:
    """Return the mask of the images that choose lambda, bool (count,)."""
    return torch.arange(count) % _HELD_BACK == _HELD_BACK - 1


def _target(
    transformation: str, theta_a: Theta, theta_b: Theta, ranges: tuple[Interval, ...]
) -> torch.Tensor:
    count = len(REGRESSABLE[transformation])
    a, b = (theta[transformation][:, 1 : 1 + count] for theta in (theta_a, theta_b))
    return relative_target(transformation, a.double(), b.double(), ranges=ranges)
